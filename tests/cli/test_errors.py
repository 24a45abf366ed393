"""How a command ends with any streams: one line on stderr, an exit code, no traceback."""

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


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


async def run_in_bash(line: str, **environment: str) -> tuple[int, str, str]:
    """Run a line in bash, where `$S` is the command; return exit code, stdout and stderr."""
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
async def test_error_is_one_line_with_a_hint(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", "test-wrong")

    assert await run("balance") == REFUSED

    error = capsys.readouterr().err
    assert error.startswith("error: balance: API is Disable for this user")
    assert error.endswith("(hint: `smmfanfast doctor` shows where the key comes from)\n")
    assert error.count("\n") == 1


def test_every_kind_not_caused_by_the_input_has_a_hint() -> None:
    without = {ErrorKind.INVALID, ErrorKind.CLOSED, ErrorKind.VALIDATION, ErrorKind.UNKNOWN}

    assert set(_errors.HINTS) == set(ErrorKind) - without


def test_command_without_a_docstring_has_no_help() -> None:
    async def silent() -> int:
        return OK

    assert _errors.handle_errors(silent).__doc__ == ""


def test_unknown_option_or_command_refers_to_the_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for args, hint in ((["balance", "--nonsense"], "smmfanfast balance --help"),
                        (["nonsense"], "smmfanfast --help")):  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["smmfanfast", *args])
        with pytest.raises(SystemExit) as caught:
            cli.main()

        assert caught.value.code == USAGE
        assert f"(hint: see {hint})" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_help_is_wrapped_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    await app.run_async(["follow", "--help"], result_action="return_value")

    shown = capsys.readouterr().out
    assert (
        "share the journal. During an outage of the panel it waits, and no order changes." in shown
    )
    assert "refused, or unknown. Exit code 7 if the outcome of some is unknown" in shown


# --- streams -------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
async def test_unencodable_characters_are_replaced(panel: Sandbox, encoding: str) -> None:
    code, out, err = await run_in_bash("$S doctor; $S services --search telegram; $S add --help",
                                 PYTHONIOENCODING=encoding, COLUMNS="100")  # fmt: skip

    assert (code, err) == (OK, "")
    assert re.search(r"\+\tpython\t", out)
    assert "Telegram Reactions ?" in out
    assert "custom_comments, ...;" in out


def test_only_unencodable_characters_are_replaced() -> None:
    codecs.register_error("in-ascii", cli._replace_in_ascii)

    assert "a – b … ✓ é".encode("latin-1", "in-ascii") == b"a - b ... + \xe9"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "in-ascii")


@pytest.mark.asyncio
async def test_closed_streams_act_like_the_null_device(panel: Sandbox) -> None:
    code, out, err = await run_in_bash("$S balance >&-; echo $?; $S balance 2>&-; $S status - <&-")

    assert (code, err) == (OK, "")
    assert out.splitlines() == ["0", "1000.00 USD"]


def test_replaced_stdout_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stdin", None)

    cli.prepare_streams()

    assert sys.stdout is screen
    with sys.stdin as stdin:
        assert stdin.read() == ""


@pytest.mark.asyncio
async def test_full_disk_is_reported_with_the_order_id(panel: Sandbox) -> None:
    code, _, err = await run_in_bash(f"$S {' '.join(ADD)} --link {LINK} --yes > /dev/full")

    assert code == NOT_WRITTEN
    assert err.splitlines()[-2:] == [
        "order 1 placed",
        "error: the output cannot be written: No space left on device",
    ]
    assert "Traceback" not in err


@pytest.mark.asyncio
async def test_closed_pipe_reader_causes_no_error_output(panel: Sandbox) -> None:
    line = "set -o pipefail; $S services --json | head -c 1; echo; $S services | head -1"

    code, out, err = await run_in_bash(line)

    assert (code in {OK, 141}, err) == (True, "")
    assert out.splitlines()[0] == "["


@pytest.mark.asyncio
async def test_no_color_is_respected(panel: Sandbox) -> None:
    _, plain, _ = await run_in_bash("$S status 1", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm")
    _, coloured, _ = await run_in_bash("$S status 1", FORCE_COLOR="1", TERM="xterm")

    assert "\x1b[31m" in coloured
    assert "\x1b[31m" not in plain


# --- widths --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_narrow_terminal_gets_all_cells(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "10")
    assert await run("services", "--search", "telegram") == OK
    narrow = capsys.readouterr().out

    for cell in ("80", "0.95", "200000", "yes"):
        assert cell in narrow


@pytest.mark.asyncio
async def test_table_is_wrapped_at_the_terminal_width(
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
"""Seconds for a command to ask for confirmation, and to end after the answer."""

ON_TERMINAL = 'exec "$@" <"$0" >"$0" 2>&1'
"""For a shell that leads a session: the terminal it opens is its controlling one (Ctrl-C)."""


def run_on_terminal(keys: bytes, *args: str) -> tuple[int, str]:
    """Run a command on its own terminal, answer its question; return exit code and screen."""
    keyboard, terminal = os.openpty()
    process = subprocess.Popen(  # noqa: S603  # our own command
        ["/bin/bash", "-c", ON_TERMINAL, os.ttyname(terminal),
         sys.executable, "-m", "smmfanfast_async", *args],
        start_new_session=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    screen = b""
    while b"[y/N]" not in screen:
        if not select.select([keyboard], [], [], DEADLINE_S)[0]:
            process.send_signal(signal.SIGABRT)
            pytest.fail(f"no question was asked: {screen!r}, exit code {process.wait(DEADLINE_S)}")
        screen += os.read(keyboard, 1024)
    while True:
        os.write(keyboard, keys)
        try:
            code = process.wait(DEADLINE_S)
            break
        except subprocess.TimeoutExpired:
            # Python checks for signals before it waits for a line; a Ctrl-C in between is pending.
            assert keys == CTRL_C
    os.set_blocking(keyboard, False)
    with suppress(BlockingIOError):
        while chunk := os.read(keyboard, 65536):
            screen += chunk
    os.close(terminal)
    os.close(keyboard)
    return code, screen.decode()


@pytest.mark.asyncio
@pytest.mark.parametrize(("keys", "code", "message"), [
    (CTRL_C, INTERRUPTED, "^C"),
    (b"\x04", USAGE, "nothing was sent"),
    (b"\n", USAGE, "nothing was sent"),
    (b"y\n", OK, "order 1 placed"),
])  # fmt: skip
async def test_confirmation_accepts_y_enter_ctrl_c_and_ctrl_d(
    panel: Sandbox, keys: bytes, code: int, message: str
) -> None:
    exit_code, screen = await asyncio.to_thread(run_on_terminal, keys, *ADD, "--link", LINK)

    assert exit_code == code
    assert message in screen
    assert "Traceback" not in screen
    assert len(panel.orders) == (code == OK)


@pytest.mark.asyncio
async def test_order_being_sent_is_reported_despite_ctrl_c(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    panel.fail_next(Fault.DELAY, action="add", delay_s=0.2)
    running = asyncio.create_task(run(*ADD, "--link", LINK, "--yes"))
    while not panel.orders:  # noqa: ASYNC110  # polls the panel
        await asyncio.sleep(0.005)
    running.cancel()

    assert await running == OK

    captured = capsys.readouterr()
    assert captured.out == "order 1 placed\n"
    assert "the order is being sent and cannot be cancelled" in captured.err


@pytest.mark.asyncio
async def test_end_of_input_declines_the_confirmation(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = io.StringIO("")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)

    assert await run(*ADD, "--link", LINK) == USAGE

    assert "nothing was sent" in capsys.readouterr().err
    assert not panel.orders


@pytest.mark.asyncio
async def test_order_id_is_on_stderr_if_stdout_fails(
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
async def test_cancelled_status_shows_completed_batches(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading))
    running = asyncio.create_task(run("status", "-"))
    os.write(writing, b"".join(b"%d " % each for each in range(100)))  # a full batch
    while "not_found" not in (shown := capsys.readouterr()).out:  # noqa: ASYNC110  # it prints
        await asyncio.sleep(0.005)
    running.cancel()

    assert await running == INTERRUPTED
    os.close(writing)
    assert shown.err == ""
    assert "interrupted before all statuses were requested" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_status_table_stays_on_the_terminal(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")

    assert await run("status", "1", "2") == PARTLY
    shown = capsys.readouterr().out
    assert panel.request_count == 1
    panel.fail_next(Fault.DELAY, delay_s=60)
    running = asyncio.create_task(run("status", "1"))
    while panel.request_count < 2:  # noqa: ASYNC110  # polls the panel
        await asyncio.sleep(0.005)
    running.cancel()

    assert await running == INTERRUPTED

    assert "2 of 2 orders" in shown
    assert shown.count("Incorrect order ID") >= 2
    assert "of 1 orders" not in capsys.readouterr().out.split("\x1b[?25h")[-1]


@pytest.mark.asyncio
@pytest.mark.parametrize(("content", "message"), [
    (None, "cannot be read: No such file"), (b"\xff", "cannot be read: it is not in UTF-8"),
])  # fmt: skip
async def test_unreadable_comments_file_is_a_usage_error(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: bytes | None,
    message: str,
) -> None:
    path = tmp_path / "lines.txt"
    if content is not None:
        path.write_bytes(content)
    args = ["add", "custom_comments", "--service", "30", "--link", LINK, "--yes"]

    assert await run(*args, "--comments", f"@{path}") == USAGE

    assert message in capsys.readouterr().err
    assert not panel.orders


def test_user_names_and_comments_are_not_read_as_files() -> None:
    for text in ("@example.name", "@you: 10/10", "@" + "long " * 100):
        assert parse_lines([text]) == [text]


@pytest.mark.asyncio
async def test_status_on_ctrl_c_has_printed_completed_batches(
    panel: Sandbox, tmp_path: Path
) -> None:
    """While the pipe is open, more ids may arrive."""
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


def test_sigterm_acts_like_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt):
        cli._end(signal.SIGTERM, None)


def test_main_reports_an_output_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(args: list[str]) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "_run", fail)
    with (tmp_path / "out.txt").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit) as caught:
            cli.main()

    assert caught.value.code == NOT_WRITTEN
    assert capsys.readouterr().err == (
        "error: the output cannot be written: No space left on device\n"
    )


def test_escape_sequences_in_errors_are_not_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _errors.print_error(InvalidSettingsError("profile", "\x1b[31m[/x] is wrong"))

    assert capsys.readouterr().err == "error: profile  [31m[/x] is wrong\n"
