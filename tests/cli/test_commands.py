"""The commands against a sandbox: output for people, JSON for programs, exit codes."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from smmfanfast_async import cli
from smmfanfast_async.cli import _app, _input
from smmfanfast_async.cli import _output as output
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import NETWORK, OK, PARTLY, REFUSED, UNKNOWN, USAGE
from smmfanfast_async.cli._live import counting
from smmfanfast_async.cli.commands.add import confirmation_question
from smmfanfast_async.cli.commands.sandbox import sandbox
from smmfanfast_async.errors import InvalidCode, InvalidOrderError
from smmfanfast_async.orders import DefaultOrder, Order, PackageOrder
from smmfanfast_async.results import Balance, Service
from smmfanfast_async.sandbox import Fault, Sandbox

LINK = "https://instagram.com/example"
ADD = ["add", "default", "--service", "5", "--link", LINK, "--quantity", "500"]


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(speed=0) as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        monkeypatch.setenv("COLUMNS", "200")
        yield sandbox


async def run(*args: str) -> int:
    """Run a command in this event loop and return its exit code."""
    return int(await app.run_async(list(args), result_action="return_value"))


def read_stdout(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


# --- reading commands ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_balance_is_shown(panel: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run("balance") == OK
    assert "USD" in read_stdout(capsys)

    assert await run("balance", "--json") == OK
    assert json.loads(read_stdout(capsys)) == {
        "balance": f"{panel.balance}.00",
        "currency": "USD",
    }


@pytest.mark.asyncio
async def test_services_are_searched(panel: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["--search", "instagram followers", "--type", "Default", "--max-rate", "1.1"]
    assert await run("services", *args, "--json") == OK
    services = json.loads(read_stdout(capsys))

    assert services
    assert all(each["type"] == "default" and float(each["rate"]) <= 1.1 for each in services)
    assert await run("services", *args) == OK
    rows = [line.split("\t") for line in read_stdout(capsys).splitlines()]
    assert [row[0] for row in rows] == [each["service"] for each in services]
    assert [row[3] for row in rows] == [each["rate"] for each in services]


@pytest.mark.asyncio
async def test_max_rate_must_be_a_number(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("services", "--max-rate", "cheap") == USAGE

    assert "max_rate 'cheap' is not a number" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_statuses_are_shown_with_their_errors(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(*ADD, "--yes")
    await run("add", "subscriptions", "--service", "50", "--username", "example",
              "--min", "20", "--max", "30", "--delay", "5", "--posts", "2", "--yes")  # fmt: skip
    panel.finish_all()
    read_stdout(capsys)

    assert await run("status", "1", "2", "999") == PARTLY
    shown = read_stdout(capsys).splitlines()
    assert [line.split()[0] for line in shown] == ["1", "2", "999"]
    assert "2 orders: 3, 4" in shown[1]
    assert "Incorrect order ID" in shown[2]
    assert await run("status", "1") == OK


@pytest.mark.asyncio
async def test_json_statuses_are_one_object_per_line(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(*ADD, "--yes")
    read_stdout(capsys)

    assert await run("status", "1", "2", "--json") == PARTLY
    first, second = map(json.loads, read_stdout(capsys).splitlines())

    assert (first["order"], first["status"], first["charge"]) == ("1", "pending", "0.5100")
    assert second["error"]["kind"] == "not_found"
    assert second["error"]["safe_to_retry"] is True


@pytest.mark.asyncio
async def test_ids_are_read_from_standard_input(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("7, 8\n9\n\n"))

    assert await run("status", "-", "--json") == PARTLY

    lines = read_stdout(capsys).splitlines()
    assert [json.loads(line)["order"] for line in lines] == ["7", "8", "9"]


@pytest.mark.asyncio
async def test_ids_are_read_from_a_pipe_as_they_arrive(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that is split between two chunks is one id; the pipe may stay open meanwhile."""
    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading))
    monkeypatch.setattr(_input, "CHUNK_BYTES", 4)
    await run(*ADD, "--yes")
    capsys.readouterr()
    command = asyncio.create_task(run("status", "-"))
    os.write(writing, b"1, 1000")
    await asyncio.sleep(0.01)
    os.write(writing, b"09\t22\n333")
    os.close(writing)

    assert await command == PARTLY

    rows = [line.split() for line in read_stdout(capsys).splitlines()]
    assert {row[0] for row in rows} == {"1", "100009", "22", "333"}
    assert rows[0][:3] == ["1", "pending", "0.5100"]


@pytest.mark.asyncio
async def test_overlong_id_on_standard_input_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr(_input, "MAX_ID_BYTES", 8)
    monkeypatch.setattr(_input, "CHUNK_BYTES", 4)
    os.write(writing, b"1234567890")
    os.close(writing)

    assert [each async for each in _input.ids_from(os.fdopen(reading))] == ["12345678", "90"]


def ids_of(path: str | Path) -> list[str]:
    with Path(path).open() as file:
        ids = _input.ids_from(file)
        assert isinstance(ids, Iterator)
        return list(ids)


def test_invalid_bytes_spoil_only_their_own_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A byte order mark is not part of an id, an invalid byte spoils only its own id."""
    monkeypatch.setattr(_input, "CHUNK_BYTES", 5)
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbf12,345678 \xff13\r\n\n14\t15")

    assert ids_of(path) == ["12", "345678", "\ufffd13", "14", "15"]


def test_ids_on_one_long_line_are_read_in_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_input, "CHUNK_BYTES", 100)
    path = tmp_path / "ids.txt"
    path.write_text(",".join(map(str, range(1000))))
    with path.open() as file:
        ids = _input.ids_from(file)
        assert isinstance(ids, Iterator)

        assert next(ids) == "0"
        assert file.buffer.tell() < 10_000
        assert list(ids) == [str(each) for each in range(1, 1000)]


def test_null_device_has_no_ids() -> None:
    assert ids_of(os.devnull) == []


@pytest.mark.asyncio
async def test_ids_from_a_terminal_leave_it_blocking() -> None:
    """Standard output may be the same terminal: a write to it must be able to wait."""
    keyboard, terminal = os.openpty()
    with os.fdopen(terminal) as file:
        ids = _input.ids_from(file)
        assert isinstance(ids, AsyncIterator)
        os.write(keyboard, b"12 13\n")

        assert [await anext(ids), await anext(ids)] == ["12", "13"]
        assert os.get_blocking(terminal)
        os.write(keyboard, b"14\n\x04")
        assert [each async for each in ids] == ["14"]
    os.close(keyboard)


@pytest.mark.asyncio
async def test_shared_pipe_is_blocking_again_after_reading() -> None:
    reading, writing = os.pipe()
    shared = os.dup(reading)
    os.write(writing, b"1 2 ")
    ids = _input.ids_from(os.fdopen(reading))
    assert isinstance(ids, AsyncGenerator)
    assert await anext(ids) == "1"
    assert not os.get_blocking(shared)

    await ids.aclose()

    assert os.get_blocking(shared)
    await asyncio.sleep(0)  # the loop closes its end in its next iteration
    os.close(shared)
    os.close(writing)


def test_closed_output_pipe_ends_the_command_silently(tmp_path: Path) -> None:
    """As with `| head -1`: no traceback, and the exit code that a shell reports for SIGPIPE."""
    script = tmp_path / "many.py"
    script.write_text(
        "import sys\n"
        "from smmfanfast_async import cli\n"
        "from smmfanfast_async.cli import _app, _output as output\n"
        "@_app.app.command\n"
        "def many() -> int:\n"
        "    for number in range(100_000):\n"
        "        output.print_json(output.Console(), {'number': number})\n"
        "    return 0\n"
        "sys.argv = ['smmfanfast', 'many']\n"
        "cli.main()\n"
    )
    process = subprocess.Popen(  # noqa: S603  # our own script
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        assert process.stdout.readline() == b'{"number": 0}\n'
        process.stdout.close()

        assert process.stderr.read() == b""
        assert process.wait(10) == 141


def test_output_after_a_broken_pipe_is_discarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(args: list[str]) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(_app, "run", broken)
    monkeypatch.setattr(sys, "argv", ["smmfanfast", "balance"])
    path = tmp_path / "out.txt"
    with path.open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out.write("the rest")

    assert caught.value.code == 141
    assert path.read_text() == ""


def test_progress_is_shown_only_while_rows_go_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other end of a pipe may be the same terminal."""
    reading, writing = os.pipe()
    with (tmp_path / "rows").open("w") as file, os.fdopen(writing, "w") as pipe:
        screens = []
        for stdout in (file, pipe, io.StringIO()):
            monkeypatch.setattr(sys, "stdout", stdout)
            screens.append(io.StringIO())
            with counting(Console(file=screens[-1], force_terminal=True), "orders") as counted:
                counted()
                counted()
    os.close(reading)

    assert "2 orders" in screens[0].getvalue()
    assert [each.getvalue() for each in screens[1:]] == ["", ""]


@pytest.mark.asyncio
async def test_status_without_ids_is_a_usage_error(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("status") == USAGE
    assert "ids are missing" in capsys.readouterr().err
    assert panel.request_count == 0


# --- add -----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_add_places_the_order_and_shows_its_price(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(*ADD, "--yes") == OK
    shown = capsys.readouterr()
    assert "order 1 placed" in shown.out
    for text in (
        "5, Instagram Followers [15K]",
        "default from 500 to 10000, at a rate of 1.02",
        f"500 for {LINK}",
        "0.51",
    ):
        assert text in shown.err

    assert await run(*ADD[:-1], "600", "--yes", "--json", "--extra", "note=x") == REFUSED
    assert "active order with this link" in capsys.readouterr().err
    assert len(panel.orders) == 1


@pytest.mark.asyncio
async def test_json_prints_order_and_price(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(*ADD, "--yes", "--json", "--extra", "note=x") == OK

    assert json.loads(read_stdout(capsys)) == {"order": "1", "price": "0.51"}
    assert panel.orders["1"].fields["note"] == "x"


@pytest.mark.asyncio
async def test_nothing_is_sent_without_yes_or_a_terminal(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    assert await run(*ADD) == USAGE

    errors = capsys.readouterr().err
    assert "0.51" in errors
    assert "add --yes" in errors
    assert not panel.orders


@pytest.mark.asyncio
@pytest.mark.parametrize(("answer", "code", "orders"), [("y\n", OK, 1), ("n\n", USAGE, 0)])
async def test_add_asks_for_confirmation(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, orders: int
) -> None:
    typed = io.StringIO(answer)
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)

    assert await run(*ADD) == code
    assert len(panel.orders) == orders


@pytest.mark.parametrize(("order_type", "rate", "price", "currency", "question"), [
    (DefaultOrder, "1.02", "0.51", "USD", "for 0.51 USD (1.02 USD per 1000)? Balance: 9.50 USD"),
    (DefaultOrder, "1.02", "0.51", None, "for 0.51 (1.02 per 1000)? Balance: 9.50"),
    (DefaultOrder, "1.02", None, "USD", "at 1.02 USD per 1000? Balance: 9.50 USD"),
    (DefaultOrder, None, None, "USD", "? Balance: 9.50 USD"),
    (PackageOrder, "32", "32", "USD", "for 32 USD? Balance: 9.50 USD"),
])  # fmt: skip
def test_question_states_what_is_known(
    order_type: type[Order],
    rate: str | None,
    price: str | None,
    currency: str | None,
    question: str,
) -> None:
    quantity = {"quantity": 500} if order_type is DefaultOrder else {}
    order = order_type(service=5, link=LINK, **quantity)  # type: ignore[call-arg]  # both have these
    amount = None if price is None else Decimal(price)
    balance = Balance(balance=Decimal("9.50"), currency=currency)

    asked = confirmation_question(order, Service(service="5", raw_rate=rate), amount, balance)

    assert asked.replace("order?", "order ?") == f"Place this order {question}"


@pytest.mark.asyncio
async def test_lost_response_has_its_own_exit_code(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")

    assert await run(*ADD, "--yes") == UNKNOWN

    errors = capsys.readouterr().err
    assert "outcome unknown" in errors
    assert "The order may have been placed" in errors
    assert len(panel.orders) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("args", "message"), [
    (["nonsense", "--service", "5"], "is not an order type"),
    (["package", "--service", "72", "--link", LINK, "--runs", "2"], "is not a field of this type"),
    (["default", "--service", "5", "--link", LINK], "is missing: add --quantity"),
    (["default", "--service", "5", "--link", LINK, "--quantity", "3"], "of service 5 (500)"),
    ([*ADD[1:], "--extra", "x"], "name=value"),
    (["subscriptions", "--service", "50", "--username", "e", "--min", "20", "--max", "30",
      "--delay", "5", "--expiry", "soon"], "is not a day"),
])  # fmt: skip
async def test_invalid_order_is_a_usage_error(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    assert await run("add", *args, "--yes") == USAGE

    assert message in capsys.readouterr().err
    assert not panel.orders


@pytest.mark.asyncio
async def test_lists_are_repeated_options_or_a_file(panel: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "comments"
    path.write_text("one\ntwo\nthree\nfour\nfive\n", encoding="utf-8")
    args = ["add", "custom_comments", "--service", "30", "--yes"]

    assert await run(*args, "--link", f"{LINK}/1", "--comments", f"@{path}") == OK
    listed = [each for text in "abcde" for each in ("--comments", f"Nice {text}")]
    assert await run(*args, "--link", f"{LINK}/2", *listed) == OK

    assert panel.orders["1"].quantity == panel.orders["2"].quantity == 5


@pytest.mark.asyncio
@pytest.mark.parametrize("day", ["31/12/2099", "2099-12-31"])
async def test_expiry_accepts_both_day_formats(panel: Sandbox, day: str) -> None:
    args = ["add", "subscriptions", "--service", "50", "--username", "example", "--min", "20"]

    assert await run(*args, "--max", "30", "--delay", "5", "--expiry", day, "--yes") == OK
    assert panel.orders["1"].fields["expiry"] == "31/12/2099"


# --- other commands and settings -----------------------------------------------------------------


@pytest.mark.asyncio
async def test_unreachable_panel_has_its_own_exit_code(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smmfanfast_async._engine.policy.RetryPolicy.delay_s", lambda *_: None)

    assert await run("balance", "--base-url", "http://127.0.0.1:1/") == NETWORK
    assert "balance" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_invalid_settings_are_usage_errors(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMMFANFAST_API_KEY", raising=False)
    assert await run("balance") == USAGE
    assert "set SMMFANFAST_API_KEY" in capsys.readouterr().err
    assert await run("balance", "--profile", "nonsense") == USAGE
    assert "is neither a file nor one of smmfanfast, api-v2" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_doctor_accepts_a_working_panel(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run("doctor") == OK
    shown = read_stdout(capsys)
    for text in ("from SMMFANFAST_API_KEY", panel.url, "no TLS", "answered in", "USD"):
        assert text in shown
    assert panel.api_key not in shown

    assert await run("doctor", "--json") == OK
    assert {each["level"] for each in json.loads(read_stdout(capsys))} == {"ok"}


@pytest.mark.asyncio
async def test_doctor_reports_failing_checks(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("smmfanfast_async._engine.policy.RetryPolicy.delay_s", lambda *_: None)
    panel.fail_next(Fault.HTTP_503)
    assert await run("doctor") == REFUSED
    assert "503" in read_stdout(capsys)

    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("SMMFANFAST_API_KEY", "a1b2")
    assert await run("doctor", "--base-url", panel.url) == REFUSED
    shown = read_stdout(capsys)
    assert "tests might spend" in shown
    assert "a1b2" not in shown

    monkeypatch.delenv("SMMFANFAST_API_KEY")
    assert await run("doctor") == REFUSED
    assert "is missing: set SMMFANFAST_API_KEY" in read_stdout(capsys)

    path = tmp_path / "key"
    path.write_text(panel.api_key)
    path.chmod(0o600)
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", str(path))
    assert await run("doctor") == OK
    assert f"{path} (SMMFANFAST_API_KEY_FILE)" in read_stdout(capsys).replace("\n", "")


@pytest.mark.asyncio
async def test_empty_account_is_a_warning(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox(balance=Decimal(0)) as panel:
        monkeypatch.setenv("SMMFANFAST_API_KEY", panel.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", panel.url)
        assert await run("doctor", "--json") == OK

    assert json.loads(read_stdout(capsys))[-1]["level"] == "warning"


def test_panel_text_is_sanitized_before_printing() -> None:
    stream = io.StringIO()
    shown = output.table("t", "a")
    shown.add_row(output.cell("\x1b[31mred\u202e[/x] [bold]"))

    Console(file=stream, width=80).print(shown)

    assert "\x1b" not in stream.getvalue()
    assert "[31mred [/x] [bold]" in stream.getvalue()


def test_every_kind_of_value_is_converted_for_json() -> None:
    value: dict[str, Any] = {"a": [Decimal("1.50"), None, ("x", 1)], 2: True}

    assert output.plain(value) == {"a": ["1.50", None, ["x", 1]], "2": True}


def test_invalid_order_as_json_has_its_field_code_and_limit() -> None:
    error = InvalidOrderError(
        "DefaultOrder", "quantity", 3, "is too low", code=InvalidCode.BELOW_MIN, limit=10
    )

    shown = output.error_object(error)

    assert (shown["field"], shown["code"], shown["limit"]) == ("quantity", "below_min", 10)


@pytest.mark.asyncio
async def test_sandbox_runs_until_interrupted() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "smmfanfast_async", "sandbox", "--port", "0",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGINT)
    rest, errors = await process.communicate()

    assert "http://127.0.0.1:" in line
    assert "Closed: 0 orders, 0 requests." in rest.decode()
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.asyncio
async def test_invalid_sandbox_options_are_usage_errors(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    port = panel.url.split(":")[2].split("/")[0]

    assert await run("sandbox", "--port", port) == USAGE
    assert f"port {port} cannot be used" in capsys.readouterr().err
    assert await run("sandbox", "--balance", "much") == USAGE
    assert "'much' is not a number" in capsys.readouterr().err
    assert await run("sandbox", "--speed", "-1") == USAGE
    assert "sandbox cannot be created: speed" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_sandbox_prints_how_to_reach_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = asyncio.create_task(sandbox(port=0))
    while "SMMFANFAST_BASE_URL" not in (shown := read_stdout(capsys)):  # noqa: ASYNC110  # it prints
        await asyncio.sleep(0.001)
    running.cancel()
    assert await running == OK

    assert "export SMMFANFAST_API_KEY=test-key" in shown


def test_keyboard_interrupt_becomes_exit_code_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_app, "run", interrupted)
    monkeypatch.setattr(sys, "argv", ["smmfanfast", "balance"])
    with pytest.raises(SystemExit) as caught:
        cli.main()

    assert caught.value.code == 130


@pytest.mark.parametrize(("name", "shown"), [("__main__", cli.__version__), ("a_module", "")])
def test_module_runs_the_program_only_as_main(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, shown: str
) -> None:
    """Executed by hand: `runpy` cannot use the import hook that pytest sets on its plugins."""
    monkeypatch.setattr(sys, "argv", ["smmfanfast", "--version"])
    path = Path(cli.__file__).parents[1] / "__main__.py"

    code = compile(path.read_text(encoding="utf-8"), path, "exec")
    exec(code, {"__name__": name, "__package__": "smmfanfast_async"})  # noqa: S102  # our own file

    assert read_stdout(capsys).strip() == shown
