"""What a real terminal shows and what a real pipe gets."""

import asyncio
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.command import command as smmfanfast

from smmfanfast_async import Client, DefaultOrder, PollPolicy
from smmfanfast_async.cli import _output as output
from smmfanfast_async.cli._codes import OK, PARTLY
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Sandbox

LINK = f"https://instagram.com/{'long' * 100}"
DEADLINE_S = 120.0
"""Seconds for a command to show something, and to end."""

ON_TERMINAL = 'exec 3<>"$0"; eval "$1" <&3 >&3 2>&3'
"""For a shell that leads a session: the terminal it opens is its controlling one (Ctrl-C)."""

SMM = f"{sys.executable} -m smmfanfast_async"
ESCAPES = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")


@pytest.fixture
def panel(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("TERM", "xterm-256color")
    # A shell may export its width; a pipe has none.
    monkeypatch.setenv("COLUMNS", "40")
    return panel


async def place(panel: Sandbox, tmp_path: Path, count: int) -> None:
    async with (
        Client(panel.api_key, base_url=panel.url) as client,
        OrderDesk(
            client, SQLJournal(f"sqlite+aiosqlite:///{tmp_path}/orders.db"),
            poll=PollPolicy(min_interval_s=0.05),
        ) as desk,
    ):  # fmt: skip
        for number in range(1, count + 1):
            order = DefaultOrder(service=5, link=f"{LINK}/{number}", quantity=500)
            await desk.place(order, ref=f"{'invoice' * 20}-{number}")


async def pipe(line: str) -> tuple[int, list[str], str]:
    """Run a line of bash with pipes; return exit code, lines of stdout, and stderr."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-o", "pipefail", "-c", line,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode().splitlines(), err.decode()


def on_terminal(line: str, *, until: bytes = b"", keys: bytes = b"") -> tuple[int, str]:
    """Run a line of bash on a terminal; type keys once it shows `until`; return code and output."""
    keyboard, terminal = os.openpty()
    process = subprocess.Popen(  # noqa: S603  # our own command
        ["/bin/bash", "-c", ON_TERMINAL, os.ttyname(terminal), line],
        start_new_session=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    shown, is_typed, deadline_s = b"", not keys, time.monotonic() + DEADLINE_S
    try:
        while select.select([keyboard], [], [], 0.05)[0] or process.poll() is None:
            assert time.monotonic() < deadline_s, shown
            if select.select([keyboard], [], [], 0)[0]:
                shown += os.read(keyboard, 4096)
            if not is_typed and until in shown:
                os.write(keyboard, keys)
                is_typed = True
        return process.wait(DEADLINE_S), shown.decode()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        os.close(terminal)
        os.close(keyboard)


# --- pipes ---------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_pipe_gets_one_complete_line_per_order(panel: Sandbox, tmp_path: Path) -> None:
    await place(panel, tmp_path, 3)

    code, lines, err = await pipe(f"{smmfanfast()} orders | cat")

    assert (code, err) == (OK, "")
    rows = [line.split("\t") for line in lines]
    assert [row[0] for row in rows] == [f"{'invoice' * 20}-{number}" for number in (1, 2, 3)]
    assert [row[1:7] for row in rows] == [
        ["accepted", order, "-", "0.51", "-", "-"] for order in ("1", "2", "3")
    ]
    _, cut, _ = await pipe(f"{smmfanfast()} orders | cut -f 2,3 | awk '{{ print $2, $1 }}'")
    assert cut == ["1 accepted", "2 accepted", "3 accepted"]


@pytest.mark.asyncio
async def test_pipe_gets_one_complete_line_per_service(panel: Sandbox) -> None:
    code, lines, err = await pipe(f"{smmfanfast()} services | cat")

    assert (code, err) == (OK, "")
    assert [line.split("\t")[0] for line in lines] == list(panel.services)
    assert {len(line.split("\t")) for line in lines} == {7}
    assert max(map(len, lines)) > 80
    assert not [line for line in lines if "…" in line]


@pytest.mark.asyncio
async def test_pipe_gets_every_status_as_a_line(panel: Sandbox, tmp_path: Path) -> None:
    await place(panel, tmp_path, 1)

    code, lines, err = await pipe(f"echo 1 2 | {smmfanfast()} status - | sort")

    assert code == PARTLY
    assert lines == ["1\tpending\t0.5100 USD\t0\t0\t-", "2\tnot_found\t-\t-\t-\tIncorrect order ID"]
    hint = "they may belong to another account or panel"
    assert err == f"1 id not known at {panel.url} (hint: {hint})\n"


@pytest.mark.asyncio
async def test_json_is_one_object_per_line(panel: Sandbox, tmp_path: Path) -> None:
    await place(panel, tmp_path, 2)
    read = (
        "python3 -c 'import json, sys; print(*(type(json.loads(x)).__name__ for x in sys.stdin))'"
    )

    for command in ("orders", "status 1 2", "follow --until-final"):
        panel.finish_all()
        _, (kinds,), err = await pipe(f"{smmfanfast()} {command} --json | {read}")
        assert set(kinds.split()) == {"dict"}
        assert err == ""


# --- terminals -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_nothing_is_drawn_before_rows_that_a_pipe_brings_to_the_terminal(
    panel: Sandbox,
) -> None:
    code, shown = await asyncio.to_thread(on_terminal, f"echo 7 8 | {SMM} status - | cat")

    assert code == OK  # that of cat
    rows = {f"{order}\tnot_found\t-\t-\t-\tIncorrect order ID" for order in ("7", "8")}
    # The hint may come before what `cat` passes on.
    assert rows < set(shown.splitlines())
    assert not any(drawn in shown for drawn in ("\x1b[?25l", "\x1b[2K", "\x1b[1A"))


@pytest.mark.asyncio
async def test_rows_of_ids_from_a_pipe_are_aligned_without_a_progress_bar(panel: Sandbox) -> None:
    line = f"COLUMNS=100; echo 7 8 | {SMM} status -"
    code, shown = await asyncio.to_thread(on_terminal, line)

    assert code == PARTLY
    rows = ESCAPES.sub("", shown).splitlines()[:2]
    assert sorted(row.split()[0] for row in rows) == ["7", "8"]
    assert "it/s" not in shown


@pytest.mark.asyncio
async def test_ctrl_c_in_follow_leaves_one_line(panel: Sandbox, tmp_path: Path) -> None:
    await place(panel, tmp_path, 2)

    code, shown = await asyncio.to_thread(
        on_terminal, f"{SMM} follow", until=b"Latest changes", keys=b"\x03"
    )

    assert code == OK
    # The board is erased line by line: what follows the last erasure stays.
    left = ESCAPES.sub("", shown.rpartition("\x1b[2K")[2]).split("\r\n")
    line = "stopped: 0 of 2 orders are closed; orders in progress continue at the panel"
    assert [each for each in left if each] == [line]


@pytest.mark.asyncio
async def test_ctrl_c_in_follow_into_a_pipe_leaves_one_line(panel: Sandbox, tmp_path: Path) -> None:
    await place(panel, tmp_path, 1)

    _, shown = await asyncio.to_thread(
        on_terminal, f"{SMM} follow | cat", until=b"accepted", keys=b"\x03"
    )

    last = ESCAPES.sub("", shown).splitlines()[-1].removeprefix("^C")
    assert last == "stopped: 0 of 1 order is closed; orders in progress continue at the panel"


@pytest.mark.asyncio
async def test_board_stays_at_the_end(panel: Sandbox, tmp_path: Path) -> None:
    await place(panel, tmp_path, 1)
    panel.finish_all()

    line = f"COLUMNS=100 {SMM} follow --until-final --every 0.05"
    code, shown = await asyncio.to_thread(on_terminal, line)

    assert code == OK
    assert "1 of 1 order is closed" in ESCAPES.sub("", shown.rpartition("\x1b[2K")[2])


@pytest.mark.asyncio
async def test_question_shows_price_rate_and_balance(panel: Sandbox) -> None:
    line = f"{SMM} add default --service 5 --quantity 500 --link https://instagram.com/example"
    _, shown = await asyncio.to_thread(on_terminal, line, until=b"[y/N]", keys=b"n\n")

    question = "Place this order for 0.51 USD (1.02 USD per 1000)? Balance: 1000.00 USD [y/N]"
    assert question in re.sub(r"\s+", " ", ESCAPES.sub("", shown))
    assert not panel.orders


@pytest.mark.asyncio
async def test_empty_list_is_said(panel: Sandbox, tmp_path: Path) -> None:
    await place(panel, tmp_path, 0)

    _, shown = await asyncio.to_thread(on_terminal, f"{SMM} orders")

    assert ESCAPES.sub("", shown) == "no orders\r\n"


def test_cells_of_a_table_are_cut_and_those_of_rows_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{'long ' * 60}name"

    def show() -> str:
        output.show(output.table("", "name", rows=[[output.cell(name)]]))
        return capsys.readouterr().out

    assert show() == f"{name}\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "400")
    shown = show()
    assert "…" in shown
    assert "long name" not in shown
