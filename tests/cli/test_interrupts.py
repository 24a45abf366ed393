"""Ctrl-C and SIGTERM while an order is placed, and in the background of a script."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from smmfanfast_async import Client, cli
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import INTERRUPTED, OK, UNKNOWN, USAGE
from smmfanfast_async.cli._placing import _withdraw
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.rate_limit import AccountRateLimit
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.errors import JournalError
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.results import AddedOrder
from smmfanfast_async.sandbox import Fault, Sandbox

ADD = [
    "add", "default", "--service", "5", "--quantity", "500",
    "--link", "https://instagram.com/example", "--yes",
]  # fmt: skip
ONE = [*ADD, "--ref", "one"]
RETRY = ["retry", "one", "--by", "ann"]


@pytest.fixture
def panel(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setattr(OrderDesk, "_timing", Timing(close_grace_s=0.05))
    return panel


async def run(*words: str) -> int:
    return int(await app.run_async(list(words), result_action="return_value"))


async def make_retriable(panel: Sandbox) -> None:
    """Leave an order withdrawn that the panel does not have."""
    panel.fail_next(Fault.HTML_PAGE, action="add")
    assert await run(*ONE) == UNKNOWN
    assert await run("resolve", "one", "--not-placed", "--by", "ann") == OK


async def hang(*_: object, **__: object) -> float:
    """Wait for the rate limit for ever."""
    await asyncio.Event().wait()
    return 0.0


async def is_stored(panel: Sandbox) -> None:
    while not panel.orders:  # noqa: ASYNC110  # it is the panel's
        await asyncio.sleep(0.005)


# --- without a ref -------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("has_started", [False, True])
async def test_order_that_was_not_sent_is_withdrawn(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    *,
    has_started: bool,
) -> None:
    send, reached, released = Client.send_form, asyncio.Event(), asyncio.Event()

    async def held(self: Client, form: Mapping[str, str], *, before: Any) -> AddedOrder:
        if has_started:
            await before()  # an attempt whose connection failed, before the next one
        reached.set()
        await released.wait()
        return await send(self, form, before=before)

    monkeypatch.setattr(Client, "send_form", held)
    adding = asyncio.create_task(run(*ADD))
    await reached.wait()
    adding.cancel()
    await asyncio.sleep(0)
    released.set()

    assert await adding == INTERRUPTED

    said = capsys.readouterr()
    assert "interrupted before the order was sent: nothing was sent" in said.err
    assert ("waiting for its outcome" in said.err) is has_started
    assert said.out == ""
    assert not panel.orders


@pytest.mark.asyncio
@pytest.mark.parametrize(("limit", "code", "said"), [
    ("0.51", OK, ""),
    ("0.50", USAGE, "a price of 0.51 exceeds max_charge 0.5"),
])  # fmt: skip
async def test_max_charge_without_a_ref(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], limit: str, code: int, said: str
) -> None:
    assert await run(*ADD, "--max-charge", limit) == code

    assert said in capsys.readouterr().err
    assert len(panel.orders) == (code == OK)


@pytest.mark.asyncio
async def test_max_charge_needs_a_price_that_is_known(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smmfanfast_async.catalogue.Catalogue.quote", lambda *_: None)

    assert await run(*ADD, "--max-charge", "9") == USAGE

    assert "is not known in advance" in capsys.readouterr().err
    assert not panel.orders


# --- with a ref ----------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("words", [ONE, RETRY])
async def test_prepared_order_is_withdrawn(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    if words == RETRY:
        await make_retriable(panel)
    reached = asyncio.Event()

    async def reach_and_hang(*_: object) -> float:
        reached.set()
        return await hang()

    with monkeypatch.context() as patch:
        patch.setattr(AccountRateLimit, "wait", reach_and_hang)
        running = asyncio.create_task(run(*words))
        await reached.wait()
        running.cancel()
        assert await running == INTERRUPTED

    said = capsys.readouterr().err
    assert "interrupted before the order was sent: it is withdrawn" in said
    assert "smmfanfast retry one --by NAME" in said
    assert not panel.orders
    assert await run(*RETRY) == OK
    assert len(panel.orders) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("words", [ONE, RETRY])
async def test_order_that_is_being_sent_is_reported(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    if words == RETRY:
        await make_retriable(panel)
    panel.fail_next(Fault.DELAY, action="add", delay_s=0.3)
    running = asyncio.create_task(run(*words))
    await is_stored(panel)
    running.cancel()

    assert await running == OK

    said = capsys.readouterr()
    assert "order 1 placed as one" in said.out
    assert "the order is being sent and cannot be cancelled" in said.err


@pytest.mark.asyncio
async def test_order_that_is_being_stored_is_withdrawn(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create, find = SQLJournal.create, OrderDesk.find
    reached, released = asyncio.Event(), asyncio.Event()

    async def held(self: SQLJournal, *args: Any, **options: Any) -> Entry:
        reached.set()
        await released.wait()
        return await create(self, *args, **options)

    async def find_and_release(self: OrderDesk, ref: str) -> Entry | None:
        found = await find(self, ref)
        if reached.is_set():
            released.set()
        return found

    monkeypatch.setattr(AccountRateLimit, "wait", hang)
    monkeypatch.setattr(SQLJournal, "create", held)
    monkeypatch.setattr(OrderDesk, "find", find_and_release)
    running = asyncio.create_task(run(*ONE))
    await reached.wait()
    running.cancel()

    assert await running == INTERRUPTED

    assert "it is withdrawn" in capsys.readouterr().err
    assert not panel.orders


@pytest.mark.asyncio
async def test_order_that_cannot_be_withdrawn_is_reported(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: object, **__: object) -> Entry:
        raise JournalError("is gone")

    monkeypatch.setattr(OrderDesk, "withdraw", gone)
    panel.fail_next(Fault.DELAY, action="add", delay_s=0.3)
    running = asyncio.create_task(run(*ONE))
    await is_stored(panel)
    running.cancel()

    assert await running == OK
    assert "the order cannot be withdrawn: journal: is gone" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_order_that_has_ended_is_not_withdrawn() -> None:
    ended: Any = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    desk: Any = None

    assert not await _withdraw(desk, "one", ended)


# --- in the background of a script ---------------------------------------------------------------


@pytest.mark.asyncio
async def test_sigterm_ends_a_command_that_ignores_ctrl_c(panel: Sandbox) -> None:
    assert await run(*ONE) == OK
    panel.finish_all()
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"trap '' INT; exec {sys.executable} -m smmfanfast_async follow --every 0.05",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()

    assert process.returncode == OK
    said = r"stopped: [01] of 1 order is closed; orders in progress continue at the panel\n"
    assert re.fullmatch(said, err.decode())


def test_ctrl_c_stays_without_effect_where_it_is_ignored() -> None:
    script = (
        "import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from smmfanfast_async.cli import prepare_signals; prepare_signals()\n"
        "os.kill(os.getpid(), signal.SIGINT); print('goes on', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGTERM); print('does not', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)  # noqa: S603

    assert done.stdout == b"goes on\n"
    assert b"KeyboardInterrupt" in done.stderr


def test_sigterm_is_handled_as_ctrl_c() -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        cli.prepare_signals()
        assert signal.getsignal(signal.SIGINT) is before[signal.SIGINT]
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        cli.prepare_signals()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        for each, handler in before.items():
            signal.signal(each, handler)
