"""Checks that hold for every row of the fault matrix.

W  a form is read completely at most once per attempt; an order is not repeated once maybe sent
N  "not sent" means that the panel saw nothing
A  "placed" means that exactly this id is in the ledger
R  "refused" means that the ledger is empty
U  an unknown outcome is never sent again
K  the key is in no log, text, pickle or frame
L  no task and no connection remains
T  it ends before its deadline
"""

import asyncio
import logging
import pickle
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import uvloop

from smmfanfast_async import (
    AddedOrder,
    Balance,
    Client,
    DefaultOrder,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RefusedError,
    RetryPolicy,
)
from smmfanfast_async._engine import runner as calls_module
from smmfanfast_async._wire import transport as transport_module

from .faults import FaultPanel

__all__ = ["KEY", "LOOPS", "ORDER", "REAL_KEY", "Stage", "frames_of", "stage"]

MARKER = "MARKER-9f"
KEY = f"test-{MARKER}"
REAL_KEY = MARKER
"""For a host that is not this machine and is never reached."""
LINK = "https://example.com/matrix"
ORDER = DefaultOrder(service=5, link=LINK, quantity=100)
DEADLINE_S = 290.0
"""Maximum seconds for one row."""

TIMEOUT_S = 60.0
"""Seconds in which an answer comes, however busy the machine is."""
SHORT_TIMEOUT_S, SHORT_CONNECT_S = 3.0, 0.4
"""Seconds for an answer and for a connection that never come."""

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
T = TypeVar("T")
TESTS = Path(__file__).parent.parent


class Stage:
    """Runs a row on one kind of event loop and checks its outcome."""

    def __init__(
        self, loop: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.loop = loop
        self._caplog = caplog
        self._monkeypatch = monkeypatch

    def wait_briefly_for_connections(self) -> None:
        """For a row in which no connection is made."""
        self._monkeypatch.setattr(transport_module, "CONNECT_TIMEOUT_S", SHORT_CONNECT_S)

    def wait_briefly_for_answers(self) -> None:
        """For a row in which the request is sent and no answer comes."""
        self._monkeypatch.setattr(calls_module, "ADD_TIMEOUT_S", SHORT_TIMEOUT_S)
        self._monkeypatch.setattr(sys.modules[__name__], "TIMEOUT_S", SHORT_TIMEOUT_S)

    def play(self, row: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a row, with asyncio's debug mode on and every log record kept."""

        async def bounded() -> None:
            before = asyncio.all_tasks()
            async with asyncio.timeout(DEADLINE_S):  # T
                await row()
            assert asyncio.all_tasks() == before  # L

        self._caplog.set_level(logging.DEBUG)
        # Debug mode also logs slow callbacks, which could reveal a key.
        with asyncio.Runner(debug=True, loop_factory=LOOPS[self.loop]) as runner:
            runner.run(bounded())
        assert MARKER not in self._caplog.text  # K

    async def add(self, panel: FaultPanel, **options: Any) -> AddedOrder | PanelError:
        """Place an order, close the client, and compare the outcome with the ledger."""
        async with client_of(panel, **options) as client:
            outcome = await outcome_of(client.add(ORDER))
        await self.examine(outcome, panel)
        return outcome

    async def balance(self, panel: FaultPanel, **options: Any) -> Balance | PanelError:
        """Read the balance, close the client, and check that nothing remains."""
        async with client_of(panel, **options) as client:
            outcome = await outcome_of(client.balance())
        await self.examine(outcome, panel)
        return outcome

    async def examine(self, outcome: object, panel: FaultPanel) -> None:
        """Compare an outcome with what the panel received and stored."""
        await panel.is_left()  # L
        orders = [form for form in panel.bodies if form["action"] == "add"]
        assert len(orders) <= 1  # W, U: no row sends an order twice
        assert len(panel.ledger) <= 1
        if isinstance(outcome, NotSentError):
            assert (panel.bodies, panel.bytes_seen) == ([], 0)  # N
        if isinstance(outcome, AddedOrder):
            assert panel.ledger == {outcome.order: LINK}  # A
        if isinstance(outcome, RefusedError):
            assert panel.ledger == {}  # R
        if isinstance(outcome, OutcomeUnknownError):
            assert outcome.form["link"] == LINK
        if isinstance(outcome, BaseException):
            hides_the_key(outcome)


def client_of(panel: FaultPanel, **options: Any) -> Client:
    """Create a client that tries twice without delays."""
    settings: dict[str, Any] = {
        "base_url": panel.url,
        "retry": RetryPolicy(max_attempts=2, base_delay_s=0.0),
        "timeout_s": TIMEOUT_S,
    }
    return Client(KEY, **settings | options)


async def outcome_of(call: Awaitable[T]) -> T | PanelError:
    """Return the result of a call, or its error."""
    try:
        return await call
    except PanelError as error:
        return error


def hides_the_key(error: BaseException) -> None:
    """Search an error, its causes, its pickle and every frame outside the tests for the key."""
    chain = list(chain_of(error))
    assert MARKER not in "".join(f"{each} {each!r} {vars(each)}" for each in chain)
    assert MARKER.encode() not in pickle.dumps(error)
    for values in (values for each in chain for values in frames_of(each)):
        assert MARKER not in repr(values)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def frames_of(error: BaseException) -> Iterator[dict[str, Any]]:
    """Yield the locals of every frame of an error, except those of tests."""
    trace = error.__traceback__
    while trace is not None:
        if not Path(trace.tb_frame.f_code.co_filename).is_relative_to(TESTS):
            yield trace.tb_frame.f_locals
        trace = trace.tb_next


@pytest.fixture(params=sorted(LOOPS))
def stage(
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    """A stage on each kind of event loop."""
    return Stage(request.param, caplog, monkeypatch)
