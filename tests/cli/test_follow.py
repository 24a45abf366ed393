"""`follow` and `watch` against a sandbox: boards for people, lines and JSON for pipes."""

import asyncio
import io
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from smmfanfast_async.cli import _live, _options
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import (
    INTERRUPTED,
    LEFT_UNKNOWN,
    OK,
    PARTLY,
    REFUSED,
    UNKNOWN,
    USAGE,
)
from smmfanfast_async.cli.commands import follow as follow_command
from smmfanfast_async.cli.commands.follow import follow
from smmfanfast_async.cli.commands.status import watch
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.journal import Entry, EntryState, Summary, UnknownOrder
from smmfanfast_async.sandbox import Fault, Sandbox

LINK = "https://instagram.com/example"
ADD = ["add", "default", "--service", "5", "--quantity", "500", "--yes"]


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    # No real waiting: checks are due at once, and failures cause only a short backoff.
    monkeypatch.setattr(
        "smmfanfast_async._engine.policy.PollPolicy.interval_s", lambda *_, **__: 0.02
    )
    timing = Timing(min_backoff_s=0.01, idle_s=0.02)
    monkeypatch.setattr(OrderDesk, "_timing", timing)
    monkeypatch.setattr(follow_command, "COUNT_EVERY_S", 0.02)
    async with Sandbox(speed=0) as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        monkeypatch.setenv("SMMFANFAST_JOURNAL", str(tmp_path / "orders.db"))
        monkeypatch.setenv("COLUMNS", "120")
        yield sandbox


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")


async def run(*args: str) -> int:
    """Run a command in this event loop and return its exit code."""
    return int(await app.run_async(list(args), result_action="return_value"))


async def place(panel: Sandbox, capsys: pytest.CaptureFixture[str], count: int = 2) -> None:
    """Place orders with refs that are final and due for a check once they are followed."""
    for number in range(1, count + 1):
        panel.fail_next(Fault.EMPTY, action="add")
        args = [*ADD, "--link", f"{LINK}/{number}", "--ref", f"ref-{number}"]
        assert await run(*args) == UNKNOWN
        # An order resolved by a person is due for a check at once.
        assert await run("resolve", f"ref-{number}", "--order", str(number), "--by", "ann") == OK
    panel.finish_all()
    capsys.readouterr()


def unstyled(text: str) -> str:
    return text.replace("\x1b[0m", "").replace("\x1b[1m", "")


def rows(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- follow --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_json_changes_are_printed_once_per_consumer(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await place(panel, capsys)

    assert await run("follow", "--until-final", "--json") == OK
    first = rows(capsys.readouterr().out)
    assert await run("follow", "--until-final", "--json") == OK
    second = rows(capsys.readouterr().out)
    assert await run("follow", "--until-final", "--json", "--consumer", "mail") == OK
    other = rows(capsys.readouterr().out)

    assert {(each["ref"], each["kind"]) for each in first} >= {
        ("ref-1", "unknown"),
        ("ref-1", "accepted"),
        ("ref-1", "finished"),
        ("ref-2", "finished"),
    }
    assert second == []
    assert other == first
    assert [each["position"] for each in first] == list(range(1, len(first) + 1))


@pytest.mark.asyncio
async def test_follow_prints_only_lines_to_a_pipe(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await place(panel, capsys)

    assert await run("follow", "--until-final") == OK

    said = capsys.readouterr()
    lines = [line.split("\t") for line in said.out.splitlines()]
    assert ["ref-1", "finished", "1", "completed"] in [line[1:5] for line in lines]
    assert {(len(line), line[8]) for line in lines} == {(9, "default")}
    assert said.err == ""


@pytest.mark.asyncio
@pytest.mark.usefixtures("terminal")
async def test_follow_shows_a_board_on_a_terminal(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await place(panel, capsys)

    assert await run("follow", "--until-final") == OK

    shown = unstyled(capsys.readouterr().out)
    for text in ("2 of 2 orders are closed", "checks/s", "Latest changes", "completed 2", "spent"):
        assert text in shown


@pytest.mark.asyncio
@pytest.mark.usefixtures("terminal")
async def test_dumb_terminal_gets_lines(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    await place(panel, capsys, 1)

    assert await run("follow", "--until-final") == OK

    shown = capsys.readouterr().out
    assert "Latest changes" not in shown
    assert "ref-1" in shown


@pytest.mark.asyncio
async def test_empty_journal_can_be_followed(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("follow", "--until-final") == OK

    assert capsys.readouterr().out == ""


@pytest.mark.asyncio
async def test_balance_settles_orders_only_if_asked_for(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    settles: list[bool] = []

    def create(*args: Any, **options: Any) -> OrderDesk:
        desk = OrderDesk(*args, **options)
        settles.append(desk._follower.settle is not None)
        return desk

    monkeypatch.setattr(_options, "OrderDesk", create)

    assert await run("follow", "--until-final") == OK
    assert await run("follow", "--until-final", "--settle-by-balance") == OK
    assert settles == [False, True]


@pytest.mark.asyncio
async def test_outage_is_reported_and_marks_no_order(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await place(panel, capsys, 1)
    panel.fail_next(Fault.HTTP_503, action="status", times=4)

    assert await run("follow", "--until-final", "--json") == OK

    captured = capsys.readouterr()
    assert rows(captured.out)[-1]["kind"] == "finished"
    assert "503" in captured.err
    assert "no status calls for" in captured.err


@pytest.mark.asyncio
async def test_rejected_key_ends_following(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ["--ref", "one", "--account", "shop"]
    panel.fail_next(Fault.DROP_AFTER, action="add")
    await run(*ADD, "--link", LINK, *args)
    await run("resolve", "one", "--order", "1", "--by", "ann", "--account", "shop")
    capsys.readouterr()
    monkeypatch.setenv("SMMFANFAST_API_KEY", "test-wrong")

    assert await run("follow", "--account", "shop", "--json") == REFUSED

    assert "error: status of order 1: API is Disable" in capsys.readouterr().err


@pytest.mark.asyncio
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
async def test_sigint_and_sigterm_end_following_cleanly(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], signal_number: signal.Signals
) -> None:
    await place(panel, capsys, 1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "smmfanfast_async", "follow",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    while b"finished" not in await process.stdout.readline():
        pass
    process.send_signal(signal_number)
    out, err = await process.communicate()

    assert process.returncode == OK
    said = "stopped: 1 of 1 order is closed; orders in progress continue at the panel\n"
    assert (out.decode(), err.decode()) == ("", said)


@pytest.mark.asyncio
async def test_sigterm_ends_what_a_script_started_in_the_background(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """A shell without job control starts `follow &` with SIGINT ignored."""
    await place(panel, capsys, 1)
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", 'trap "" INT; exec "$@"', "sh",
        sys.executable, "-m", "smmfanfast_async", "follow",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    while b"finished" not in await process.stdout.readline():
        pass
    process.send_signal(signal.SIGTERM)
    _, err = await process.communicate()

    assert process.returncode == OK
    said = "stopped: 1 of 1 order is closed; orders in progress continue at the panel\n"
    assert err.decode() == said


@pytest.mark.asyncio
async def test_cancelled_follow_exits_with_ok(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await place(panel, capsys, 1)
    running = asyncio.create_task(follow())
    while "finished" not in (shown := capsys.readouterr()).out:  # noqa: ASYNC110  # it prints
        await asyncio.sleep(0.005)
    running.cancel()

    assert await running == OK
    assert shown.err == ""
    assert "continue at the panel" in capsys.readouterr().err


@pytest.mark.asyncio
@pytest.mark.usefixtures("terminal")
async def test_board_of_a_cancelled_follow_is_erased(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await place(panel, capsys, 1)
    running = asyncio.create_task(follow())
    shown = ""
    while "1 of 1 order is closed" not in unstyled(shown):
        await asyncio.sleep(0.005)
        shown += capsys.readouterr().out
    running.cancel()

    assert await running == OK
    said = capsys.readouterr()
    assert "\x1b[1A\x1b[2K" in said.out  # up, and empty
    assert "stopped: 1 of 1 order is closed" in said.err


@pytest.mark.asyncio
async def test_stopped_follow_counts_unknown_orders(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        panel.fail_next(Fault.EMPTY, action="add")
        await run(*ADD, "--link", f"{LINK}/{number}", "--ref", f"ref-{number}")
        running = asyncio.create_task(follow(consumer=f"{number}"))
        while "unknown" not in capsys.readouterr().out:  # noqa: ASYNC110  # it prints
            await asyncio.sleep(0.005)
        running.cancel()
        assert await running == OK

        verb = "is" if number == 1 else "are"
        said = capsys.readouterr().err
        assert f"closed, {number} {verb} unknown; orders in progress continue" in said


@pytest.mark.asyncio
async def test_remaining_unknown_orders_have_their_own_exit_code(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = []
    for number in (1, 2):
        panel.fail_next(Fault.EMPTY, action="add")
        await run(*ADD, "--link", f"{LINK}/{number}", "--ref", f"ref-{number}")
        capsys.readouterr()
        assert await run("follow", "--until-final") == LEFT_UNKNOWN
        errors.append(capsys.readouterr().err)

    hint = "(hint: `smmfanfast unknown` shows the evidence)\n"
    assert errors == [f"1 order is unknown {hint}", f"2 orders are unknown {hint}"]


@pytest.mark.asyncio
async def test_cancelled_follow_until_final_exits_as_interrupted(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(*ADD, "--link", LINK, "--ref", "one") == OK
    running = asyncio.create_task(follow(until_final=True))
    while "accepted" not in capsys.readouterr().out:  # noqa: ASYNC110  # it prints
        await asyncio.sleep(0.005)
    running.cancel()

    assert await running == INTERRUPTED


# --- the board -----------------------------------------------------------------------------------


def render(board: _live.Board) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120).print(board)
    return stream.getvalue()


def unknown_orders(count: int) -> list[UnknownOrder]:
    now = datetime.now(UTC)
    return [
        UnknownOrder(
            entry=Entry(
                ref=f"lost-{number}", state=EntryState.UNKNOWN, created_at=now, reason="cut off"
            ),
            balance_drop=None,
            link_reported_active=False,
            other_refs=(),
        )
        for number in range(count)
    ]


def test_board_shows_unknown_orders_and_problems() -> None:
    clock_s = [10.0]
    board = _live.Board(clock=lambda: clock_s[0])
    assert "reading the journal" in render(board)
    summary = Summary(
        by_state={EntryState.UNKNOWN: 7, EntryState.ACCEPTED: 3},
        by_status={"pending": 3},
        spent=Decimal(3),
        refunded=Decimal(0),
        at_risk=Decimal(7),
    )
    board.count(summary, 5, unknown_orders(7))
    board.notify("the panel is down")
    clock_s[0] = 12.0

    shown = render(board)

    assert "0 of 10 orders are closed" in shown
    assert "2.5 checks/s" in shown
    assert "7 unknown: see `smmfanfast unknown`" in shown
    assert "lost-4" in shown
    assert "lost-5" not in shown
    assert "the panel is down" in shown


# --- watch ---------------------------------------------------------------------------------------


async def order(panel: Sandbox, capsys: pytest.CaptureFixture[str], count: int = 1) -> None:
    for number in range(count):
        assert await run(*ADD, "--link", f"{LINK}/{number}") == OK
    capsys.readouterr()


@pytest.mark.asyncio
async def test_watch_ends_with_the_last_order(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await order(panel, capsys, 2)
    watching = asyncio.create_task(watch("1", "2"))
    while capsys.readouterr().out.count("pending") < 1:  # noqa: ASYNC110  # it prints
        await asyncio.sleep(0.005)
    panel.finish_all()

    assert await watching == OK
    assert "completed" in capsys.readouterr().out


@pytest.mark.asyncio
async def test_watch_prints_json_changes(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await order(panel, capsys)
    panel.finish_all()

    assert await run("watch", "1", "999", "--json") == PARTLY
    changes = {each["order"]: each for each in rows(capsys.readouterr().out)}

    assert (changes["1"]["change"], changes["1"]["status"]) == ("finished", "completed")
    assert changes["999"]["change"] == "missing"
    assert changes["999"]["error"]["kind"] == "not_found"


@pytest.mark.asyncio
@pytest.mark.usefixtures("terminal")
async def test_watch_shows_a_table_on_a_terminal(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await order(panel, capsys)
    panel.finish_all()

    assert await run("watch", "1", "999") == PARTLY

    shown = capsys.readouterr().out
    assert "2 of 2 orders are final" in shown
    assert "not_found" in shown


@pytest.mark.asyncio
async def test_watch_reports_orders_open_after_the_timeout(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await order(panel, capsys)

    assert await run("watch", "1", "--timeout", "0.05") == PARTLY

    captured = capsys.readouterr()
    assert "pending" in captured.out
    assert "error:" in captured.err


@pytest.mark.asyncio
async def test_cancelled_watch_exits_as_interrupted(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await order(panel, capsys)
    watching = asyncio.create_task(watch("1"))
    while "pending" not in capsys.readouterr().out:  # noqa: ASYNC110  # it prints
        await asyncio.sleep(0.005)
    watching.cancel()

    assert await watching == INTERRUPTED


@pytest.mark.asyncio
async def test_watch_without_ids_is_a_usage_error(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("watch") == USAGE
    assert "ids are missing" in capsys.readouterr().err
