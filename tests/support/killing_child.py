"""A process that places orders by ref until it is killed.

It reports its progress to the test on its output, one JSON object per line: `{"at": …}` when it
stops at a named point, `{"entry": ref, "state": …, "order": …}` for the result of a `place`,
`{"event": position}` for each event that its consumer has received, `{"request": ref, "state": …}`
for the result of a refill or cancellation.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

import attrs
from attrs import frozen
from sqlalchemy import event
from sqlalchemy.engine import Engine

from smmfanfast_async import (
    API_V2,
    SMMFANFAST,
    Client,
    DefaultOrder,
    PanelError,
    PollPolicy,
    RetryPolicy,
)
from smmfanfast_async.desk import CircuitPolicy, OrderDesk
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal

from .broken_desks import BROKEN

UNLIMITED = attrs.evolve(API_V2, calls_per_minute=None)
"""The profile for refills and cancellations; a rate would be kept on the clock of any desk."""

BLOCK_S = 600.0
"""Seconds for which it blocks at a point: the test kills it long before."""

COMMITS = {
    "intent": "create",
    "outcome": "record_outcome",
    "resolve": "apply_decision",
    "request intent": "create_request",
    "request outcome": "record_request",
}
"""Points before a commit, and the method of the journal that commits."""

STOPS = {
    "started": "start_attempt",
    "sending": "start_attempt",
    "requested": "create_request",
    "request started": "start_request",
}
"""Points after a commit and before what follows it, and the method of the journal that commits. At
"sending" the process goes on: it waits for a panel that does not answer."""


def report(**fields: object) -> None:
    """Send a line to the parent."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def block(point: str) -> None:
    """Report the point, and block the whole process until it is killed."""
    report(at=point)
    time.sleep(BLOCK_S)


def stop(point: str) -> None:
    """Report the point, and stop the whole process until it is killed or continued."""
    report(at=point)
    if point != "sending":
        os.kill(os.getpid(), signal.SIGSTOP)


@frozen
class Turn:
    """Which attempts are stopped at the point, of which processes."""

    panel: str | None
    """Those at one panel; None for any."""
    path: str | None
    """A file that the first process at the point creates: only that one stops. None for each."""

    def has_come(self, panel: str | None) -> bool:
        """Return whether an attempt at this panel stops."""
        if self.panel not in (None, panel):
            return False
        if self.path is None:
            return True
        try:
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def track(name: str, running: list[str | None]) -> Callable[..., Any]:
    """Wrap a method of the journal so that `running` contains the attempt's panel meanwhile."""
    method = getattr(SQLJournal, name)

    async def wrapped(self: SQLJournal, *args: Any, **options: Any) -> Any:
        running.append(next((each.panel for each in args if isinstance(each, Entry)), None))
        try:
            return await method(self, *args, **options)
        finally:
            running.pop()

    return wrapped


def block_before_commit(point: str, turn: Turn) -> None:
    """Block when a method of the journal is about to commit."""

    def on_commit(_: object) -> None:
        if running and turn.has_come(running[-1]):
            block(point)

    method = COMMITS[point]
    running: list[str | None] = []
    setattr(SQLJournal, method, track(method, running))
    event.listen(Engine, "commit", on_commit)


def stop_after_commit(point: str, turn: Turn) -> None:
    """Stop after a method of the journal has committed."""
    method = getattr(SQLJournal, STOPS[point])

    async def commit_and_stop(self: SQLJournal, *args: Any, **options: Any) -> Any:
        committed = await method(self, *args, **options)
        if committed is not None and turn.has_come(committed.panel):
            stop(point)
        return committed

    setattr(SQLJournal, STOPS[point], commit_and_stop)


def stop_before_start() -> None:
    """Stop before asking for the right to send an order that was found unsent."""
    method = SQLJournal.start_attempt

    async def stop_and_start(self: SQLJournal, *args: Any, **options: Any) -> Any:
        stop("ready")
        return await method(self, *args, **options)

    SQLJournal.start_attempt = stop_and_start  # type: ignore[method-assign]


def prepare(task: dict[str, Any]) -> None:
    """Change the library so that this process stops where it is to, and fails as it is to."""
    if "broken" in task:
        BROKEN[task["broken"]]()
    point, turn = task.get("point"), Turn(task.get("at_panel"), task.get("first"))
    if point in COMMITS:
        block_before_commit(point, turn)
    elif point in STOPS:
        stop_after_commit(point, turn)
    elif point == "ready":
        stop_before_start()


async def consume(desk: OrderDesk, consumer: str) -> None:
    # A short lease: the next process continues soon after this one is killed.
    async for each in desk.events(consumer, lease_s=1.0):
        report(event=each.position)


async def place(desk: OrderDesk, ref: str, service: int | str) -> None:
    order = DefaultOrder(service=service, link=f"https://example.com/{ref}", quantity=500)
    try:
        entry = await desk.place(order, ref=ref)
    except PanelError as error:
        report(failed=ref, why=str(error))
    else:
        report(entry=ref, state=entry.state.value, order=entry.order)


async def main(task: dict[str, Any]) -> None:
    """Do what the JSON object describes."""
    # A short lease, so that attempts of a killed process expire within the test's time.
    OrderDesk._timing = Timing(
        lease_s=task.get("lease_s", 1.0), write_within_s=task.get("write_within_s", 0.5)
    )
    prepare(task)
    off = timedelta(seconds=task.get("clock_off_s", 0.0))
    clock = (lambda: datetime.now(UTC) + off) if off else None
    poll = PollPolicy(min_interval_s=0.2, max_interval_s=1.0)
    panels = task.get("panels", {})
    products = {"likes": dict.fromkeys(panels, 5)} if panels else None
    profile = UNLIMITED if "request" in task else SMMFANFAST
    once = RetryPolicy(max_attempts=1)
    async with (
        AsyncExitStack() as stack,
        OrderDesk(
            {
                name: await stack.enter_async_context(
                    Client("test-key", base_url=url, retry=once, account=name)
                )
                for name, url in panels.items()
            }
            or await stack.enter_async_context(
                Client("test-key", base_url=task["panel"], profile=profile)
            ),
            SQLJournal(task["journal"], clock=clock),
            account="killing",
            products=products,
            poll=poll,
            record_balance=False,
            circuit=CircuitPolicy(open_s=task.get("open_s", 1.0)),
        ) as desk,
        asyncio.TaskGroup() as group,
    ):
        running = []
        if task.get("consumer"):
            running.append(group.create_task(consume(desk, task["consumer"])))
        if task.get("follow"):
            running.append(group.create_task(desk.follow()))
        if "resolve" in task:
            await desk.resolve(task["resolve"], placed=False, decided_by="a test")
        if "request" in task:
            ref, kind = task["request"]
            made = await getattr(desk, kind)(ref, decided_by="a test")
            report(request=ref, state=made.state.value)
        for ref in task.get("refs", ()):
            await place(desk, ref, "likes" if panels else 5)
        report(done=True)
        await asyncio.sleep(task.get("stay_s", 0.0))
        for each in running:
            each.cancel()


def run(task: dict[str, Any], output: Connection) -> None:
    """Do it in this process, which was started for it."""
    os.dup2(output.fileno(), sys.stdout.fileno())
    asyncio.run(main(task))
