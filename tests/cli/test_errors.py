"""How a command ends, whatever its streams are: a line on stderr and an exit code, no traceback."""

import asyncio
import codecs
import io
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from smmfanfast_async import InvalidSettingsError, cli
from smmfanfast_async.cli import _codes, _errors
from smmfanfast_async.cli import _output as output
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import INTERRUPTED, NOT_WRITTEN, OK, PARTLY, REFUSED, USAGE
from smmfanfast_async.cli._input import parse_lines
from smmfanfast_async.errors import ErrorKind
from smmfanfast_async.sandbox import Fault, Sandbox

LINK = "https://instagram.com/example"
ADD = ["add", "default", "--service", "5", "--quantity", "500"]


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(speed=0) as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        monkeypatch.delenv("COLUMNS", raising=False)
        yield sandbox


async def run(*words: str) -> int:
    return int(await app.run_async(list(words), result_action="return_value"))


async def shell(line: str, **environment: str) -> tuple[int, str, str]:
    """Run a line in bash, `$S` being the command; give exit code, stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", line,
        env={**os.environ, "S": f"{sys.executable} -m smmfanfast_async", **environment},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


# --- exit codes and hints ------------------------------------------------------------------------


def test_every_exit_code_is_in_the_overview() -> None:
    codes = {getattr(_codes, name) for name in _codes.__all__ if name != "MEANINGS"}

    assert codes == set(_codes.MEANINGS)
    shown = cli._commands.overview()
    for code, meaning in _codes.MEANINGS.items():
        assert f"  {code:<5}{meaning}" in shown


@pytest.mark.asyncio
async def test_an_error_is_a_line_with_a_hint(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", "test-wrong")

    assert await run("balance") == REFUSED

    said = capsys.readouterr().err
    assert said.startswith("error: balance: API is Disable for this user")
    assert said.endswith("(hint: `smmfanfast doctor` shows where the key comes from)\n")
    assert said.count("\n") == 1


def test_a_hint_is_given_for_every_kind_that_is_not_about_the_input_itself() -> None:
    without = {ErrorKind.INVALID, ErrorKind.CLOSED, ErrorKind.VALIDATION, ErrorKind.UNKNOWN}

    assert set(_errors.HINTS) == set(ErrorKind) - without


def test_a_command_that_says_nothing_of_itself_has_no_help() -> None:
    async def silent() -> int:
        return OK

    assert _errors.handle_errors(silent).__doc__ == ""


def test_wrong_words_name_the_help_to_look_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, hint in ((["balance", "--odd"], "smmfanfast balance --help"),
                        (["odd"], "smmfanfast --help")):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["smmfanfast", *words])
        with pytest.raises(SystemExit) as caught:
            cli.main()

        assert caught.value.code == USAGE
        assert f"(hint: see {hint})" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_the_help_flows_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    await app.run_async(["follow", "--help"], result_action="return_value")

    shown = capsys.readouterr().out
    assert "share the journal. An outage of the panel marks no order. With --json each" in shown
    assert "refused, or unknown. Exit code 7 if the outcome of some is unknown" in shown


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_a_terminal_that_knows_few_signs_gets_others(panel: Sandbox, encoding: str) -> None:
    code, out, err = await shell("$S doctor; $S services --search telegram; $S add --help",
                                 PYTHONIOENCODING=encoding, COLUMNS="100")  # fmt: skip

    assert (code, err) == (OK, "")
    assert re.search(r" \+ .* python ", out)
    assert "Telegram Reactions ?" in out
    assert "custom_comments, ...;" in out


def test_only_what_can_not_be_written_is_replaced() -> None:
    codecs.register_error("in-ascii", cli._replace_in_ascii)

    assert "a – b … ✓ é".encode("latin-1", "in-ascii") == b"a - b ... + \xe9"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "in-ascii")


@pytest.mark.asyncio
async def test_streams_that_are_closed_are_as_nowhere(panel: Sandbox) -> None:
    code, out, err = await shell("$S balance >&-; echo $?; $S balance 2>&-; $S status - <&-")

    assert (code, err) == (OK, "")
    assert out.splitlines() == ["0", "1000.00 USD"]


def test_a_stream_that_is_no_file_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stdin", None)

    cli.prepare_streams()

    assert sys.stdout is screen
    with sys.stdin as stdin:
        assert stdin.read() == ""


@pytest.mark.asyncio
async def test_a_full_disk_is_said_and_no_order_is_lost(panel: Sandbox) -> None:
    code, _, err = await shell(f"$S {' '.join(ADD)} --link {LINK} --yes > /dev/full")

    assert code == NOT_WRITTEN
    assert err.splitlines()[-2:] == [
        "order 1 placed",
        "error: the output cannot be written: No space left on device",
    ]
    assert "Traceback" not in err


@pytest.mark.asyncio
async def test_who_has_read_enough_hears_nothing_more(panel: Sandbox) -> None:
    line = "set -o pipefail; $S services --json | head -c 1; echo; $S services | head -1"

    code, out, err = await shell(line)

    assert (code in {OK, 141}, err) == (True, "")
    assert out.splitlines()[0] == "["


@pytest.mark.asyncio
async def test_no_color_is_respected(panel: Sandbox) -> None:
    _, plain, _ = await shell("$S status 1", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm")
    _, coloured, _ = await shell("$S status 1", FORCE_COLOR="1", TERM="xterm")

    assert "\x1b[31m" in coloured
    assert "\x1b[31m" not in plain


# --- widths --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_pipe_gets_a_row_on_a_line_and_a_narrow_terminal_every_cell(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run("services") == OK
    wide = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "10")
    assert await run("services", "--search", "telegram") == OK
    narrow = capsys.readouterr().out

    assert len(wide.splitlines()) == len(panel.services) + 5
    for cell in ("80", "0.95", "200000", "yes"):
        assert cell in narrow


@pytest.mark.asyncio
async def test_a_terminal_bounds_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = output.table("", "a")
    shown.add_row(output.cell("word " * 40))

    output.show(shown)

    assert len(capsys.readouterr().out.splitlines()) > 4


# --- Ctrl-C --------------------------------------------------------------------------------------


CTRL_C = b"\x03"

DEADLINE_S = 30.0
"""Seconds for a command to ask its question, and to end after the answer."""

ON_TERMINAL = 'exec "$@" <"$0" >"$0" 2>&1'
"""For a shell that leads a session: the terminal it opens is the one that Ctrl-C comes from."""


def at_terminal(keys: bytes, *words: str) -> tuple[int, str]:
    """Run a command on a terminal of its own, type when it asks; give exit code and screen."""
    keyboard, terminal = os.openpty()
    process = subprocess.Popen(  # noqa: S603  # our own command
        ["/bin/bash", "-c", ON_TERMINAL, os.ttyname(terminal),
         sys.executable, "-m", "smmfanfast_async", *words],
        start_new_session=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    screen = b""
    while b"[y/n]" not in screen:
        if not select.select([keyboard], [], [], DEADLINE_S)[0]:
            process.send_signal(signal.SIGABRT)
            pytest.fail(f"it asked nothing: {screen!r}, exit code {process.wait(DEADLINE_S)}")
        screen += os.read(keyboard, 1024)
    while True:
        os.write(keyboard, keys)
        try:
            code = process.wait(DEADLINE_S)
            break
        except subprocess.TimeoutExpired:
            # Python looks for signals before it waits for a line; in between, Ctrl-C waits as well.
            assert keys == CTRL_C
    os.set_blocking(keyboard, False)
    with suppress(BlockingIOError):
        while chunk := os.read(keyboard, 65536):
            screen += chunk
    os.close(terminal)
    os.close(keyboard)
    return code, screen.decode()


@pytest.mark.asyncio
@pytest.mark.parametrize(("keys", "code", "said"), [
    (CTRL_C, INTERRUPTED, "^C"),
    (b"\x04", USAGE, "nothing was sent"),
    (b"\n", USAGE, "nothing was sent"),
    (b"y\n", OK, "order 1 placed"),
])  # fmt: skip
async def test_the_question_can_be_answered_in_every_way(
    panel: Sandbox, keys: bytes, code: int, said: str
) -> None:
    found = await asyncio.to_thread(at_terminal, keys, *ADD, "--link", LINK)

    assert found[0] == code
    assert said in found[1]
    assert "Traceback" not in found[1]
    assert len(panel.orders) == (code == OK)


@pytest.mark.asyncio
async def test_an_order_on_its_way_is_told_of_through_ctrl_c(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    panel.fail_next(Fault.DELAY, action="add", delay_s=0.2)
    adding = asyncio.create_task(run(*ADD, "--link", LINK, "--yes"))
    while not panel.orders:  # noqa: ASYNC110  # it is the panel's
        await asyncio.sleep(0.005)
    adding.cancel()

    assert await adding == OK

    said = capsys.readouterr()
    assert said.out == "order 1 placed\n"
    assert "the order is being sent and cannot be cancelled" in said.err


@pytest.mark.asyncio
async def test_an_end_of_input_at_the_question_is_a_no(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = io.StringIO("")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)

    assert await run(*ADD, "--link", LINK) == USAGE

    assert "nothing was sent" in capsys.readouterr().err
    assert not panel.orders


@pytest.mark.asyncio
async def test_the_id_of_an_order_outlives_the_output(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w") as full:  # noqa: ASYNC230, PTH123  # a device that is always full
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OSError, match="No space left"):
            await run(*ADD, "--link", LINK, "--yes")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())

    assert capsys.readouterr().err.splitlines()[-1] == "order 1 placed"


@pytest.mark.asyncio
async def test_a_status_that_is_cut_shows_what_has_landed(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading))
    asking = asyncio.create_task(run("status", "-"))
    os.write(writing, b"".join(b"%d " % each for each in range(100)))  # a full batch
    while "not_found" not in (shown := capsys.readouterr()).out:  # noqa: ASYNC110  # it prints
        await asyncio.sleep(0.005)
    asking.cancel()

    assert await asking == INTERRUPTED
    os.close(writing)
    assert shown.err == ""
    assert "interrupted before all statuses were requested" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_on_a_terminal_statuses_are_a_table_that_stays(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")

    assert await run("status", "1", "2") == PARTLY
    shown = capsys.readouterr().out
    assert panel.request_count == 1
    panel.fail_next(Fault.DELAY, delay_s=60)
    asking = asyncio.create_task(run("status", "1"))
    while panel.request_count < 2:  # noqa: ASYNC110  # it is the panel's
        await asyncio.sleep(0.005)
    asking.cancel()

    assert await asking == INTERRUPTED

    assert "2 of 2 orders" in shown
    assert shown.count("Incorrect order ID") >= 2
    assert "of 1 orders" not in capsys.readouterr().out.split("\x1b[?25h")[-1]


@pytest.mark.asyncio
@pytest.mark.parametrize(("content", "said"), [
    (None, "cannot be read: No such file"), (b"\xff", "cannot be read: it is not in UTF-8"),
])  # fmt: skip
async def test_a_file_of_comments_that_can_not_be_read_is_no_comment(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: bytes | None,
    said: str,
) -> None:
    path = tmp_path / "lines.txt"
    if content is not None:
        path.write_bytes(content)
    words = ["add", "custom_comments", "--service", "30", "--link", LINK, "--yes"]

    assert await run(*words, "--comments", f"@{path}") == USAGE

    assert said in capsys.readouterr().err
    assert not panel.orders


def test_a_user_s_name_and_a_comment_are_no_files() -> None:
    for text in ("@example.name", "@you: 10/10", "@" + "long " * 100):
        assert parse_lines([text]) == [text]


@pytest.mark.asyncio
async def test_status_ends_by_ctrl_c_with_what_has_landed(panel: Sandbox, tmp_path: Path) -> None:
    """A pipe that stays open is one that more ids may come from."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "smmfanfast_async", "status", "-",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"".join(b"%d " % each for each in range(7, 107)))  # a full batch
    await process.stdin.drain()
    first = await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()

    assert first.split()[:2] == [b"7", b"not_found"]
    assert (process.returncode, err) == (
        INTERRUPTED,
        b"interrupted before all statuses were requested\n",
    )


def test_the_signal_of_a_service_manager_is_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        cli._end(signal.SIGTERM, None)


def test_main_says_what_a_stream_refuses(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(words: list[str]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "_run", refused)
    with (tmp_path / "out.txt").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit) as caught:
            cli.main()

    assert caught.value.code == NOT_WRITTEN
    assert capsys.readouterr().err == (
        "error: the output cannot be written: No space left on device\n"
    )


def test_no_command_of_a_wrong_word_reaches_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _errors.print_error(InvalidSettingsError("profile", "\x1b[31m[/x] is odd"))

    assert capsys.readouterr().err == "error: profile  [31m[/x] is odd\n"
