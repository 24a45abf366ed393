"""Rows 1 to 38 of the fault matrix: failures before, during and after sending an order."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp.abc import AbstractResolver, ResolveResult
from support import matrix
from support.faults import FIN, HANG, RST, FaultPanel, Plan, Proxy, answer, free_port
from support.matrix import KEY, ORDER, REAL_KEY, Stage, client_of, hides_the_key, outcome_of, stage

from smmfanfast_async import (
    AddedOrder,
    Client,
    ClosedError,
    NoResponseError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RetryPolicy,
)

__all__ = ["stage"]

GOOD = answer('{"status":"success","order":ORDER}')
PLACES = Plan(stores=True, raw=GOOD)
HANDSHAKE = Plan(reads="nothing", end=HANG)
TWICE = RetryPolicy(max_attempts=2, base_delay_s=0.0)


# --- rows 1 to 21: before sending ----------------------------------------------------------------


class Resolver(AbstractResolver):
    """A resolver that returns a local port, fails, or never answers."""

    def __init__(self, port: int | None = None, error: OSError | None = None) -> None:
        self._port, self._error = port, error
        self.asked = asyncio.Event()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.set()
        if self._error is not None:
            raise self._error
        if self._port is None:
            await asyncio.Event().wait()
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=self._port or 0,
                family=socket.AF_INET, proto=0, flags=0,
            )
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing to close."""


async def assert_not_sent(
    url: str, *, connector: aiohttp.BaseConnector | None = None, **options: Any
) -> PanelError:
    """Check that `add` and `balance` both fail as proved not sent."""
    # No real host is ever reached, but its name requires a key that is not a sandbox key.
    key = KEY if "127.0.0.1" in url or "localhost" in url else REAL_KEY
    async with Client(
        key, base_url=url, connector=connector, retry=TWICE, timeout_s=matrix.TIMEOUT_S, **options
    ) as client:
        failed = await outcome_of(client.balance())
        assert isinstance(failed, NotSentError), failed
        outcome = await outcome_of(client.add(ORDER))
    if connector is not None:
        await connector.close()
    assert isinstance(outcome, NotSentError), outcome
    assert not outcome.maybe_placed
    hides_the_key(outcome)
    hides_the_key(failed)
    return outcome


def test_row_01_refused(stage: Stage) -> None:
    async def play() -> None:
        await assert_not_sent(f"http://127.0.0.1:{free_port()}/")

    stage.play(play)


@pytest.mark.parametrize("row", ["02 DNS fails", "03 DNS hangs"])
def test_rows_02_03_names(stage: Stage, row: str) -> None:
    stage.wait_briefly_for_connections()

    async def play() -> None:
        error = OSError("no such name") if "fails" in row else None
        connector = aiohttp.TCPConnector(resolver=Resolver(error=error))
        await assert_not_sent("https://panel.example/api/v1", connector=connector)

    stage.play(play)


def test_row_04_connect_hangs(stage: Stage) -> None:
    stage.wait_briefly_for_connections()

    async def play() -> None:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)  # noqa: FBT003  # its only argument
                each.connect_ex(full.getsockname())
            await asyncio.sleep(0.05)
            await assert_not_sent(f"http://127.0.0.1:{full.getsockname()[1]}/")
            for each in waiting:
                each.close()

    stage.play(play)


def test_row_05_pool_exhausted(stage: Stage) -> None:
    stage.wait_briefly_for_connections()

    async def play() -> None:
        connector = aiohttp.TCPConnector(limit=1)
        async with FaultPanel(Plan(end=HANG)) as panel:
            async with client_of(panel, connector=connector) as busy:
                reading = asyncio.create_task(outcome_of(busy.balance()))
                await panel.has_read()
                async with client_of(panel, connector=connector) as client:
                    assert isinstance(await outcome_of(client.add(ORDER)), NotSentError)
                reading.cancel()
            await connector.close()
            assert [form["action"] for form in panel.bodies] == ["balance"] * len(panel.bodies)

    stage.play(play)


def context_of(ca: trustme.CA, *names: str, **dates: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert(*names, **dates).configure_cert(context)
    return context


def trusting(ca: trustme.CA) -> aiohttp.TCPConnector:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return aiohttp.TCPConnector(ssl=context)


YESTERDAY = datetime.now(UTC) - timedelta(days=1)
CERTIFICATES: dict[str, tuple[bool, str, dict[str, Any]]] = {
    "06 unknown CA": (False, "localhost", {}),
    "07 wrong host": (True, "other.example", {}),
    "08 expired certificate": (
        True, "localhost",
        {"not_before": YESTERDAY - timedelta(days=9), "not_after": YESTERDAY},
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", sorted(CERTIFICATES))
def test_rows_06_to_08_certificates(stage: Stage, row: str) -> None:
    is_trusted, name, dates = CERTIFICATES[row]
    ca = trustme.CA()

    async def play() -> None:
        async with FaultPanel(PLACES, tls=context_of(ca, name, **dates)) as panel:
            connector = trusting(ca) if is_trusted else aiohttp.TCPConnector()
            await assert_not_sent(panel.url, connector=connector)
            assert (panel.bytes_seen, panel.ledger) == (0, {})

    stage.play(play)


HANDSHAKES = {
    "09 plain text to TLS": Plan(reads="nothing", raw=b"HTTP/1.1 400 Bad\r\n\r\n", end=FIN),
    "10 FIN in the handshake": Plan(reads="nothing", end=FIN),
    "11 RST in the handshake": Plan(reads="nothing", end=RST),
    "12 handshake hangs": HANDSHAKE,
}


@pytest.mark.parametrize("row", sorted(HANDSHAKES))
def test_rows_09_to_12_handshakes(stage: Stage, row: str) -> None:
    if row == "12 handshake hangs":
        stage.wait_briefly_for_connections()

    async def play() -> None:
        async with FaultPanel(HANDSHAKES[row]) as panel:
            await assert_not_sent(f"https://127.0.0.1:{panel.port}/api/v1")

    stage.play(play)


@pytest.mark.parametrize(("row", "raw"), [
    ("14 CONNECT 407", answer("", 407)),
    ("15 CONNECT 502", answer("", 502)),
    ("16 CONNECT hangs", b""),
])  # fmt: skip
def test_rows_14_to_16_proxies(stage: Stage, row: str, raw: bytes) -> None:
    if row == "16 CONNECT hangs":
        stage.wait_briefly_for_connections()

    async def play() -> None:
        async with Proxy(raw, FIN if raw else HANG) as proxy:
            await assert_not_sent("https://127.0.0.1:1/api/v1", proxy=proxy)

    stage.play(play)


def test_row_13_proxy_refused(stage: Stage) -> None:
    async def play() -> None:
        proxy = f"http://127.0.0.1:{free_port()}"
        await assert_not_sent("https://127.0.0.1:1/api/v1", proxy=proxy)

    stage.play(play)


def test_row_17_proxy_that_closes_leaves_outcome_unknown(stage: Stage) -> None:
    async def play() -> None:
        async with (
            Proxy(b"") as proxy,
            Client(KEY, base_url="https://127.0.0.1:1/", proxy=proxy, retry=TWICE) as client,
        ):
            # Nothing was sent, but no witness can distinguish that from a later disconnect.
            assert isinstance(
                await outcome_of(client.add(ORDER)), OutcomeUnknownError | NotSentError
            )
            assert isinstance(await outcome_of(client.balance()), NoResponseError | NotSentError)

    stage.play(play)


def test_row_18_closed_session(stage: Stage) -> None:
    async def play() -> None:
        session = aiohttp.ClientSession()
        await session.close()
        async with FaultPanel(PLACES) as panel:
            client = client_of(panel, session=session)
            assert isinstance(await outcome_of(client.add(ORDER)), ClosedError)
            assert panel.connections == 0

    stage.play(play)


def test_row_19_connector_closed_while_connecting(stage: Stage) -> None:
    async def play() -> None:
        resolver = Resolver()
        connector = aiohttp.TCPConnector(resolver=resolver)
        client = Client(REAL_KEY, base_url="https://panel.example/", connector=connector)
        sending = asyncio.create_task(outcome_of(client.add(ORDER)))
        await resolver.asked.wait()
        await connector.close()
        assert isinstance(await sending, NotSentError | ClosedError | OutcomeUnknownError)
        await client.aclose()

    stage.play(play)


def test_row_20_caller_cancelled_before_starting(stage: Stage) -> None:
    async def play() -> None:
        async with FaultPanel(PLACES) as panel:
            async with client_of(panel) as client:
                caller = asyncio.create_task(client.add(ORDER))
                caller.cancel()
                await asyncio.gather(caller, return_exceptions=True)
            await stage.examine(None, panel)
            assert panel.ledger == {}

    stage.play(play)


@pytest.mark.parametrize("where", ["DNS", "TCP or TLS"])
def test_row_21_caller_cancelled_while_connecting(stage: Stage, where: str) -> None:
    stage.wait_briefly_for_connections()

    async def play() -> None:
        async with FaultPanel(HANDSHAKE) as panel:
            resolver = Resolver(port=None if where == "DNS" else panel.port)
            connector = aiohttp.TCPConnector(resolver=resolver)
            client = Client(
                REAL_KEY, base_url="https://panel.example/", connector=connector, retry=TWICE
            )
            caller = asyncio.create_task(client.add(ORDER))
            await resolver.asked.wait()
            await asyncio.sleep(0.02)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            await client.aclose()
            await connector.close()
            assert (panel.bytes_seen, panel.ledger) == (0, {})

    stage.play(play)


# --- rows 22 to 30: after sending ----------------------------------------------------------------


AFTER = {
    "22 FIN unread": Plan(reads="nothing", end=FIN),
    "23 RST unread": Plan(reads="nothing", end=RST),
    "24 read then FIN": Plan(stores=True, end=FIN),
    "25 read then RST": Plan(stores=True, end=RST),
    "26 half a head": Plan(stores=True, raw=GOOD[:30], end=FIN),
    "27 half a status line": Plan(stores=True, raw=b"HTTP/1.1 2", end=FIN),
    "28 garbage": Plan(stores=True, raw=b"\x00\xff garbage \r\n\r\n", end=FIN),
    "29 silence": Plan(stores=True, end=HANG),
    "30 slow drip": Plan(stores=True, raw=answer("{" + " " * 500), drips=True),
}


@pytest.mark.parametrize("row", sorted(AFTER))
def test_rows_22_to_30_after_sending(stage: Stage, row: str) -> None:
    if row in {"29 silence", "30 slow drip"}:
        stage.wait_briefly_for_answers()
    # A panel that closes without reading may do so before the first byte: then "not sent" is true.
    ends = (OutcomeUnknownError, NotSentError) if "unread" in row else (OutcomeUnknownError,)

    async def play() -> None:
        async with FaultPanel(AFTER[row]) as panel:
            assert isinstance(await stage.add(panel), ends)
        async with FaultPanel(AFTER[row]) as panel:
            found = await stage.balance(panel)
            assert isinstance(found, PanelError)
            assert not found.maybe_placed

    stage.play(play)


@pytest.mark.parametrize("store", [True, False])
def test_rows_31_32_caller_cancelled_after_sending(stage: Stage, *, store: bool) -> None:
    async def play() -> None:
        plan = Plan(stores=store, raw=GOOD, drips=True)
        async with FaultPanel(plan) as panel:
            async with client_of(panel) as client:
                caller = asyncio.create_task(client.add(ORDER))
                await panel.has_read()
                caller.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await caller
            await stage.examine(None, panel)
            assert len(panel.ledger) == int(store)

    stage.play(play)


def test_row_33_blocked_event_loop(stage: Stage) -> None:
    async def play() -> None:
        async with FaultPanel(PLACES) as panel:
            async with client_of(panel) as client:
                sending = asyncio.create_task(outcome_of(client.add(ORDER)))
                await panel.has_read()
                time.sleep(1.0)  # noqa: ASYNC251  # the fault under test
                outcome = await sending
            await stage.examine(outcome, panel)
            assert isinstance(outcome, AddedOrder | OutcomeUnknownError)

    stage.play(play)


@pytest.mark.parametrize("end", [FIN, RST])
def test_rows_34_35_dead_kept_connection_affects_no_order(stage: Stage, end: Any) -> None:
    async def play() -> None:
        balance = Plan(raw=answer('{"balance":"1"}'), end=end)
        order = Plan(stores=True, raw=GOOD, end=end)
        async with FaultPanel(balance, order, order) as panel:
            async with client_of(panel) as client:
                await outcome_of(client.balance())
                for number in (1, 2):
                    assert isinstance(await client.add(ORDER), AddedOrder)
                    assert len(panel.ledger) == number
            await panel.is_left()

    stage.play(play)


# --- rows 36 to 38: sessions that repeat or change requests --------------------------------------


async def sends_again(request: Any, handler: Callable[[Any], Any]) -> aiohttp.ClientResponse:
    for _ in range(2):
        try:
            await handler(request)
        except (aiohttp.ClientError, RuntimeError):
            continue
    return await handler(request)


async def replaces_the_body(request: Any, handler: Callable[[Any], Any]) -> aiohttp.ClientResponse:
    await request.update_body(b"key=x&action=add&link=other")
    return await handler(request)


@pytest.mark.parametrize("middleware", [sends_again, replaces_the_body])
@pytest.mark.parametrize("end", ["stay", FIN])
def test_rows_36_37_middlewares_of_a_given_session(stage: Stage, middleware: Any, end: Any) -> None:
    async def play() -> None:
        plan = Plan(stores=True, raw=GOOD if end == "stay" else b"", end=end)
        async with (
            FaultPanel(plan) as panel,
            aiohttp.ClientSession(middlewares=(middleware,)) as session,
        ):
            outcome = await outcome_of(client_of(panel, session=session).add(ORDER))
            assert isinstance(outcome, AddedOrder if end == "stay" else OutcomeUnknownError)
            assert len(panel.bodies) == len(panel.ledger) == 1

    stage.play(play)


class RetryingSession:
    """A session wrapper that repeats failed requests."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.closed = False
        self.attempts = 0

    @asynccontextmanager
    async def post(self, *args: Any, **kwargs: Any) -> AsyncGenerator[aiohttp.ClientResponse, None]:
        for attempt in range(3):
            try:
                self.attempts += 1
                response = await self._session.post(*args, **kwargs)
                break
            except (aiohttp.ClientError, RuntimeError):
                if attempt == 2:
                    raise
        async with response:
            yield response


def test_row_38_retrying_client_as_session(stage: Stage) -> None:
    async def play() -> None:
        async with (
            FaultPanel(Plan(stores=True, end=FIN)) as panel,
            aiohttp.ClientSession() as session,
        ):
            given: Any = RetryingSession(session)
            outcome = await outcome_of(client_of(panel, session=given).add(ORDER))
            assert isinstance(outcome, OutcomeUnknownError)
            assert given.attempts == 3
            assert len(panel.bodies) == len(panel.ledger) == 1

    stage.play(play)
