"""`health`, reading without a key, and hints at other accounts of a journal."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smmfanfast_async.cli import _options
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import JOURNAL, OK, REFUSED, UNKNOWN, USAGE
from smmfanfast_async.journal.sql.schema import to_microseconds
from smmfanfast_async.sandbox import Fault, Sandbox

Captured = pytest.CaptureFixture[str]

ADD = ["add", "default", "--service", "5", "--quantity", "500", "--yes"]
LINK = "https://instagram.com/example"
ONE = [*ADD, "--link", LINK, "--ref", "one"]
OTHER_ADDRESS = ["--base-url", "http://127.0.0.1:9/"]


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


async def health(panel: Sandbox, capsys: Captured, *args: str) -> tuple[int, str]:
    """Return exit code and line; no request reaches the panel."""
    before = panel.request_count
    capsys.readouterr()
    code = await run("health", *args)
    assert panel.request_count == before
    return code, capsys.readouterr().out


def edit(tmp_path: Path, **columns: datetime | None) -> None:
    """Set times of all orders."""
    with sqlite3.connect(tmp_path / "orders.db") as database:
        for name, moment in columns.items():
            value = None if moment is None else to_microseconds(moment)
            database.execute(f"UPDATE smm_orders SET {name} = ?", (value,))  # noqa: S608
    database.close()


# --- health --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_journal_without_overdue_orders_is_healthy(
    panel: Sandbox, capsys: Captured, tmp_path: Path
) -> None:
    assert await run(*ONE) == OK
    edit(tmp_path, due_at=datetime.now(UTC) - timedelta(minutes=1))

    assert await health(panel, capsys) == (OK, "ok: 0 to send\n")


@pytest.mark.asyncio
@pytest.mark.parametrize(("checked_before", "code", "line"), [
    (None, REFUSED, "no check was answered yet: is `smmfanfast follow` running?"),
    (timedelta(hours=3), REFUSED, "no check was answered since "),
    (timedelta(minutes=1), OK, "ok: 1 overdue, 0 to send"),
])  # fmt: skip
async def test_overdue_orders_that_nothing_follows_are_not_healthy(
    panel: Sandbox,
    capsys: Captured,
    tmp_path: Path,
    checked_before: timedelta | None,
    code: int,
    line: str,
) -> None:
    assert await run(*ONE) == OK
    now = datetime.now(UTC)
    checked_at = None if checked_before is None else now - checked_before
    edit(tmp_path, due_at=now - timedelta(hours=1), checked_at=checked_at)

    found, shown = await health(panel, capsys)

    assert (found, shown.count("\n")) == (code, 1)
    assert line in shown
    if code:
        assert shown.startswith("not followed: 1 overdue, 0 to send; ")


@pytest.mark.asyncio
async def test_what_waits_for_a_person_or_a_panel_is_shown(
    panel: Sandbox, capsys: Captured
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")
    assert await run(*ONE) == UNKNOWN

    unknown = "1 unknown (see `smmfanfast unknown`)"
    line = f"ok: {unknown}, waiting for panel default (network), 0 to send\n"
    assert await health(panel, capsys) == (OK, line)
    code, shown = await health(panel, capsys, "--json")
    found = json.loads(shown)
    assert code == OK
    assert (found["unknown"], found["prepared"], found["overdue"]) == (1, 0, 0)
    assert (found["is_followed"], found["checked_at"]) == (True, None)
    assert found["oldest_unknown_at"] is not None
    assert found["panels"]["default"]["circuit"] == "open"


@pytest.mark.asyncio
async def test_journal_that_cannot_be_read_is_not_healthy(
    panel: Sandbox, capsys: Captured, tmp_path: Path
) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is a text and not a database " * 50)

    assert (await health(panel, capsys, "--journal", str(path)))[0] == JOURNAL
    assert (await health(panel, capsys, "--journal", str(tmp_path / "none.db")))[0] == USAGE


# --- without a key -------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(("command", "shown"), [
    ("orders", "one\tunknown\t"), ("summary", "unknown 1"), ("health", "1 unknown"),
    ("unknown", "? one"),
])  # fmt: skip
async def test_journal_with_one_account_is_read_without_a_key(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch, command: str, shown: str
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")
    assert await run(*ONE) == UNKNOWN
    monkeypatch.delenv("SMMFANFAST_API_KEY")
    capsys.readouterr()

    assert await run(*command.split()) == OK

    said = capsys.readouterr()
    assert shown in said.out
    assert said.err == ""


@pytest.mark.asyncio
async def test_account_has_to_be_named_if_there_are_several(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run(*ONE, "--account", "first") == OK
    assert await run(*ADD, "--link", f"{LINK}/2", "--ref", "two", "--account", "second") == OK
    monkeypatch.delenv("SMMFANFAST_API_KEY")
    capsys.readouterr()

    assert await run("orders") == USAGE
    said = capsys.readouterr()
    assert "account is missing: the journal has orders of first (1 order), second (1" in said.err
    assert await run("orders", "--account", "second") == OK
    assert capsys.readouterr().out.startswith("two\t")


@pytest.mark.asyncio
async def test_empty_journal_is_read_without_a_key(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run("follow", "--until-final") == OK
    monkeypatch.delenv("SMMFANFAST_API_KEY")

    assert await run("orders") == OK
    assert capsys.readouterr() == ("", "")


# --- other accounts ------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("args", [
    ["orders"], ["summary"], ["unknown"], ["health"], ["follow", "--until-final"],
])  # fmt: skip
async def test_account_without_orders_is_told_of_the_others(
    panel: Sandbox, capsys: Captured, args: list[str]
) -> None:
    assert await run(*ONE, "--account", "shop") == OK
    capsys.readouterr()

    assert await run(*args, *OTHER_ADDRESS) == OK

    said = capsys.readouterr().err
    assert "the journal has no orders of this account (hint: it has those of another key" in said
    assert "shop (1 order); see --account)" in said


@pytest.mark.asyncio
async def test_account_with_orders_is_told_of_no_other(panel: Sandbox, capsys: Captured) -> None:
    assert await run(*ONE, "--account", "shop") == OK
    assert await run(*ADD, "--link", f"{LINK}/2", "--ref", "two") == OK
    capsys.readouterr()

    for command in (["orders", "--ref", "none"], ["unknown"], ["summary"]):
        assert await run(*command) == OK
        assert capsys.readouterr().err == ""


@pytest.mark.asyncio
@pytest.mark.parametrize("args", [
    ["resolve", "one", "--order", "1"], ["resolve", "one", "--not-placed"], ["retry", "one"],
    ["withdraw", "one"],
])  # fmt: skip
async def test_ref_of_another_account_is_told(
    panel: Sandbox, capsys: Captured, args: list[str]
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")
    assert await run(*ONE, "--account", "shop") == UNKNOWN
    capsys.readouterr()

    assert await run(*args, "--by", "ann") == USAGE

    said = capsys.readouterr().err
    assert "ref 'one' is not in the journal; another account has it: shop (1 order);" in said
    assert said.count("\n") == 1


def test_few_accounts_are_listed() -> None:
    counts = {f"account-{number}": number for number in range(1, 8)}

    listed = _options.list_accounts(counts)

    assert listed.startswith("account-1 (1 order), account-2 (2 orders), ")
    assert listed.endswith("account-5 (5 orders), and 2 more")
