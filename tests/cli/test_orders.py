"""The commands that use a journal, against a sandbox: `add --ref`, `orders`, `resolve`, …"""

import csv
import io
import json
import re
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from smmfanfast_async import Client, DefaultOrder, ErrorKind
from smmfanfast_async.cli import _entries as entries
from smmfanfast_async.cli import _options
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import JOURNAL, LEFT_UNKNOWN, NETWORK, OK, REFUSED, UNKNOWN, USAGE
from smmfanfast_async.cli._entries import report_placed
from smmfanfast_async.cli.commands import orders as orders_command
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry, EntryState, NewEntry, Outcome, Summary, UnknownOrder
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault, Sandbox

LINK = "https://instagram.com/example"
ADD = ["add", "default", "--service", "5", "--quantity", "500", "--yes"]
ONE = [*ADD, "--link", LINK, "--ref", "one"]

SEQUENCE = "\x1b[31mred\x1b]0;title\x07"


@pytest.fixture
def panel(panel: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("COLUMNS", "200")
    return panel


async def run(*args: str) -> int:
    """Run a command in this event loop and return its exit code."""
    return int(await app.run_async(list(args), result_action="return_value"))


class Captured:
    """The output of a command; reading it clears it."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.out, self.err = capsys.readouterr()

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


def files_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def create_entry(
    panel: Sandbox, tmp_path: Path, ref: str, outcome: Outcome | None = None
) -> None:
    """Create an entry in the journal, with an attempt of this outcome if there is one."""
    journal = SQLJournal(f"sqlite+aiosqlite:///{tmp_path}/orders.db")
    async with Client(panel.api_key, base_url=panel.url) as client:
        mine = journal.for_account(client.account)
        await mine.open()
        now = await mine.now()
        new = NewEntry(
            ref=ref,
            form={"action": "add", "service": "5", "link": LINK, "quantity": "500"},
            link=LINK,
            quantity=500,
            price=Decimal("0.51"),
            due_at=now + timedelta(hours=1),
            budget_day="2030-01-01",
        )
        await mine.create(new)
        if outcome is not None:
            await mine.start_attempt(ref, 0, lease=timedelta(minutes=4), max_in_flight=1)
            await mine.record_outcome(ref, 1, outcome)
        await mine.aclose()


# --- add --ref -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_same_ref_is_ordered_once(panel: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(*ONE) == OK
    first = Captured(capsys)
    assert await run(*ONE) == OK
    second = Captured(capsys)

    assert first.out == "order 1 placed as one\n"
    assert second.out == "order 1 already placed as one\n"
    assert "0.51" in first.err
    assert second.err == ""  # it costs nothing, so no price is shown
    assert len(panel.orders) == 1


@pytest.mark.asyncio
async def test_ref_that_another_process_places_meanwhile_is_already_placed(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = OrderDesk.find

    async def find_nothing_yet(desk: OrderDesk, ref: str) -> Entry | None:
        found = await find(desk, ref)
        monkeypatch.setattr(OrderDesk, "find", find)
        await desk.place(DefaultOrder(service="5", link=LINK, quantity=500), ref=ref)
        return found

    monkeypatch.setattr(OrderDesk, "find", find_nothing_yet)

    assert await run(*ONE) == OK
    assert Captured(capsys).out == "order 1 already placed as one\n"
    assert len(panel.orders) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["add", "retry"])
async def test_known_ref_that_is_sent_by_this_call_is_not_already_placed(
    panel: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    refused = Outcome(state=EntryState.REFUSED, kind=ErrorKind.FUNDS)
    await create_entry(panel, tmp_path, "one", refused if command == "retry" else None)

    words = [*ONE, "--json"] if command == "add" else ["retry", "one", "--by", "me", "--json"]
    assert await run(*words) == OK
    (entry,) = Captured(capsys).rows()
    assert (entry["order"], entry["already_placed"]) == ("1", False)


@pytest.mark.asyncio
async def test_known_ref_without_an_order_is_not_already_placed(
    panel: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await create_entry(panel, tmp_path, "one", Outcome(state=EntryState.UNKNOWN))

    assert await run(*ONE, "--json") == UNKNOWN
    (entry,) = Captured(capsys).rows()
    assert (entry["state"], entry["already_placed"]) == ("unknown", False)


@pytest.mark.asyncio
async def test_json_prints_the_entry(panel: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert await run(*ONE, "--json") == OK
    (entry,) = Captured(capsys).rows()

    assert (entry["ref"], entry["state"], entry["order"]) == ("one", "accepted", "1")
    assert entry["price"] == "0.51"
    assert datetime.fromisoformat(entry["created_at"]).tzinfo is not None


@pytest.mark.asyncio
async def test_different_order_under_the_same_ref_is_a_usage_error(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(*ONE)

    assert await run(*ADD, "--link", f"{LINK}/other", "--ref", "one") == USAGE
    assert "one" in Captured(capsys).err
    assert len(panel.orders) == 1


@pytest.mark.asyncio
async def test_order_above_max_charge_is_not_sent(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(*ONE, "--max-charge", "0.50") == USAGE
    assert "a price of 0.51 exceeds max_charge 0.5" in Captured(capsys).err
    assert await run(*ONE, "--max-charge", "much") == USAGE
    assert "max_charge 'much' is not a number" in Captured(capsys).err
    assert await run(*ADD, "--link", LINK, "--max-charge", "nan") == USAGE

    assert not panel.orders


@pytest.mark.asyncio
async def test_ref_without_a_journal_sends_nothing(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A default journal in the current folder would order twice if run from another one."""
    monkeypatch.delenv("SMMFANFAST_JOURNAL")

    assert await run(*ONE) == USAGE
    assert "use --journal or set SMMFANFAST_JOURNAL" in Captured(capsys).err
    assert panel.request_count == 0


@pytest.mark.asyncio
async def test_no_journal_is_created_without_a_ref(panel: Sandbox, tmp_path: Path) -> None:
    assert await run(*ADD, "--link", LINK) == OK

    assert files_in(tmp_path) == []
    assert len(panel.orders) == 1


@pytest.mark.asyncio
async def test_order_with_a_ref_needs_confirmation(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    args = [each for each in ONE if each != "--yes"]

    assert await run(*args) == USAGE

    assert "add --yes" in Captured(capsys).err
    assert not panel.orders


@pytest.mark.asyncio
async def test_refused_order_has_its_exit_code_and_can_be_retried(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(*ONE)
    assert await run(*ADD, "--link", LINK, "--ref", "two") == REFUSED
    assert "active order with this link" in Captured(capsys).err
    panel.finish_all()

    assert await run("retry", "two", "--by", "ann") == OK
    assert "order 2 placed as two" in Captured(capsys).out
    assert await run("retry", "two", "--by", "ann") == USAGE
    assert (
        "is already accepted; only refused or withdrawn orders can be retried"
        in Captured(capsys).err
    )


# --- unknown outcomes ----------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_lost_response_is_shown_with_evidence_and_resolved(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")

    assert await run(*ONE) == UNKNOWN
    captured = Captured(capsys)
    assert "outcome unknown" in captured.err
    assert "smmfanfast resolve one --order ID --by NAME" in captured.err
    assert await run("unknown") == OK
    shown = Captured(capsys).out
    assert "fell by 0.51; the price is 0.51: it matches an order" in shown
    assert f"500 of service 5 for {LINK}" in shown
    assert await run("resolve", "one", "--order", "1", "--by", "ann", "--note", "on the list") == OK
    assert Captured(capsys).out == "one is accepted, order 1\n"
    assert await run(*ONE) == OK
    assert await run("unknown") == OK
    assert "No order has an unknown outcome." in Captured(capsys).out
    assert len(panel.orders) == 1


@pytest.mark.asyncio
async def test_order_resolved_as_not_placed_is_sent_again_only_by_retry(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    panel.fail_next(Fault.HTML_PAGE, action="add")

    assert await run(*ONE) == UNKNOWN
    assert await run("unknown", "--json") == OK
    (unknown,) = Captured(capsys).rows()
    assert (unknown["entry"]["ref"], unknown["drop_matches_price"]) == ("one", False)
    assert await run("resolve", "one", "--not-placed", "--by", "ann", "--json") == OK
    assert Captured(capsys).rows()[0]["state"] == "withdrawn"
    assert await run(*ONE) == USAGE
    assert "`smmfanfast retry` sends it again" in Captured(capsys).err
    assert not panel.orders
    assert await run("retry", "one", "--by", "ann", "--json") == OK
    assert Captured(capsys).rows()[0]["state"] == "accepted"
    assert len(panel.orders) == 1


@pytest.mark.asyncio
async def test_limit_of_add_and_retry_holds_for_a_ref_that_is_not_sent(
    panel: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await create_entry(panel, tmp_path, "one")

    assert await run(*ONE, "--max-charge", "0.01") == USAGE
    assert "a price of 0.51 exceeds max_charge 0.01" in Captured(capsys).err
    assert await run(*ONE) == USAGE
    assert await run("withdraw", "one", "--by", "ann") == OK
    assert await run("retry", "one", "--by", "ann", "--max-charge", "0.50") == USAGE
    assert not panel.orders
    assert await run("retry", "one", "--by", "ann", "--max-charge", "0.51") == OK
    assert len(panel.orders) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("args", [[], ["--order", "1", "--not-placed"]])
async def test_resolve_needs_exactly_one_of_order_and_not_placed(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], args: list[str]
) -> None:
    assert await run("resolve", "one", "--by", "ann", *args) == USAGE
    assert "only one of the two" in Captured(capsys).err


@pytest.mark.asyncio
async def test_unknown_ref_or_wrong_state_is_a_usage_error(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(*ONE)

    assert await run("resolve", "none", "--not-placed", "--by", "ann") == USAGE
    assert "is not in the journal" in Captured(capsys).err
    assert await run("withdraw", "one", "--by", "ann") == USAGE
    assert (
        "is already accepted; only prepared or held orders can be withdrawn" in Captured(capsys).err
    )


def unknown_order(**changes: Any) -> UnknownOrder:
    entry = {"ref": "one", "state": EntryState.UNKNOWN, "created_at": datetime.now(UTC)}
    evidence = {"balance_drop": None, "link_reported_active": False, "other_refs": ()}
    names = set(evidence)
    evidence |= {name: value for name, value in changes.items() if name in names}
    entry |= {name: value for name, value in changes.items() if name not in names}
    return UnknownOrder(entry=Entry(**entry), **evidence)  # type: ignore[arg-type]


@pytest.mark.parametrize(("changes", "message"), [
    ({}, "not recorded before and after; the price is unknown"),
    ({"balance_drop": Decimal(1)}, "fell by 1; the price is unknown"),
    ({"balance_drop": Decimal(0), "price": Decimal(2)}, "fell by 0; the price is 2: it does not"),
    (
        {"balance_drop": Decimal("0.5110"), "price": Decimal("0.51102")},
        "it matches an order (a difference of -0.00002)",
    ),
    ({"balance_drop": Decimal(0), "price": Decimal("0.5")}, "have too few decimals to tell"),
    ({}, "service – for no link"),
    ({}, "no other information"),
    ({"link_reported_active": True}, "that an order with this link is active"),
    ({"other_refs": ("two", "three")}, "also open here: two, three"),
    ({"order": "77"}, "id in the response"),
    ({"was_unknown": True}, "an earlier attempt was unknown too"),
    ({"ref": "a b"}, "smmfanfast resolve 'a b' --order ID"),
])  # fmt: skip
def test_evidence_states_what_is_known(changes: dict[str, Any], message: str) -> None:
    stream = io.StringIO()

    Console(file=stream, width=120).print(entries.evidence(unknown_order(**changes)))

    assert message in stream.getvalue()


# --- unsent orders -------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_unsent_order_can_be_withdrawn(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await create_entry(panel, tmp_path, "one")

    assert await run("withdraw", "one", "--by", "ann", "--note", "changed my mind") == OK
    assert Captured(capsys).out == "one is withdrawn\n"
    assert not panel.orders


@pytest.mark.asyncio
async def test_held_order_states_what_it_waits_for(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await run(*ONE)
    address = f"sqlite+aiosqlite:///{tmp_path}/orders.db"
    async with (
        Client(panel.api_key, base_url=panel.url) as client,
        OrderDesk(client, SQLJournal(address), queue_active_links=True) as desk,
    ):
        await desk.place(DefaultOrder(service="5", link=LINK, quantity=500), ref="two")

    assert await run(*ADD, "--link", LINK, "--ref", "two") == NETWORK
    assert "held until another order with this link is final" in Captured(capsys).err


@pytest.mark.parametrize(("reason", "message"), [
    (None, "run `smmfanfast follow` to send it"),
    ("no connection", "run `smmfanfast follow` to send it (no connection)"),
])  # fmt: skip
def test_unsent_order_states_how_to_send_it(
    capsys: pytest.CaptureFixture[str], reason: str | None, message: str
) -> None:
    now = datetime.now(UTC)
    entry = Entry(ref="one", state=EntryState.PREPARED, created_at=now, reason=reason)

    assert report_placed(entry, _options.JournalOptions()) == NETWORK
    assert message in Captured(capsys).err


# --- orders and summary --------------------------------------------------------------------------


async def fill(panel: Sandbox, tmp_path: Path) -> None:
    await run(*ONE)
    await run(*ADD, "--link", LINK, "--ref", "other")
    panel.fail_next(Fault.DROP_AFTER, action="add")
    await run(*ADD, "--link", f"{LINK}/3", "--ref", "one-more")


@pytest.mark.asyncio
@pytest.mark.parametrize(("args", "refs"), [
    ([], ["one", "other", "one-more"]),
    (["--state", "accepted", "--state", "unknown"], ["one", "one-more"]),
    (["--state", "refused"], ["other"]),
    (["--status", "completed"], []),
    (["--ref", "one"], ["one", "one-more"]),
    (["--since", "2020-01-01"], ["one", "other", "one-more"]),
    (["--since", "2020-01-01", "--until", "2020-01-02T10:00+02:00"], []),
])  # fmt: skip
async def test_orders_are_filtered_by_state_status_ref_and_time(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    args: list[str],
    refs: list[str],
) -> None:
    await fill(panel, tmp_path)
    capsys.readouterr()

    assert await run("orders", *args, "--json") == OK
    assert [each["ref"] for each in Captured(capsys).rows()] == refs


@pytest.mark.asyncio
async def test_orders_are_shown_as_a_table(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert await run(*ONE) == OK
    assert await run("orders") == OK
    assert re.search(r"m1 order +\x1b", Captured(capsys).out)
    await fill(panel, tmp_path)
    capsys.readouterr()

    assert await run("orders") == OK
    shown = Captured(capsys).out
    assert "3 orders" in shown
    assert "one-more" in shown
    monkeypatch.setattr(orders_command, "ORDERS_SHOWN", 1)
    assert await run("orders") == OK
    shown = Captured(capsys).out
    assert "3 orders, the newest 1 of them (a pipe gets all)" in shown
    assert "other" not in shown
    assert await run("orders", "--ref", "none") == OK
    assert "no orders" in Captured(capsys).out


@pytest.mark.asyncio
async def test_csv_cells_are_never_formulas(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    outcome = Outcome(state=EntryState.REFUSED, reason=f"=HYPERLINK(0)\n{SEQUENCE}")
    await create_entry(panel, tmp_path, "@SUM(A1)", outcome)

    assert await run("orders", "--csv") == OK
    (row,) = csv.DictReader(io.StringIO(Captured(capsys).out))

    assert row["ref"] == "'@SUM(A1)"
    assert row["reason"].startswith("'=HYPERLINK(0) ")
    assert "\x1b" not in row["reason"]
    assert (row["state"], row["price"], row["service"]) == ("refused", "0.51", "5")


@pytest.mark.parametrize(("value", "cell"), [
    ("=1+1", "'=1+1"),
    ("+1", "'+1"),
    ("-x", "'-x"),
    ("@a", "'@a"),
    ("\t=1", "'=1"),
    ("plain", "plain"),
    ("-1.50", "-1.50"),
    (-5, -5),
    (None, None),
])  # fmt: skip
def test_formula_characters_get_an_apostrophe(value: object, cell: object) -> None:
    assert entries.csv_cell(value) == cell


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["orders", "unknown", "summary", "follow"])
async def test_panel_escape_sequences_are_not_printed(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
) -> None:
    await create_entry(panel, tmp_path, "one", Outcome(state=EntryState.UNKNOWN, reason=SEQUENCE))

    args = ["--until-final"] if command == "follow" else []
    assert await run(command, *args) == (LEFT_UNKNOWN if args else OK)

    captured = Captured(capsys)
    assert captured.out or captured.err
    assert "\x1b" not in captured.out + captured.err
    assert "\x07" not in captured.out + captured.err


@pytest.mark.asyncio
@pytest.mark.parametrize(("args", "message"), [
    (["--since", "yesterday"], "since 'yesterday' is not a day or time"),
    (["--until", "31/12/2030"], "until '31/12/2030' is not a day or time"),
    (["--csv", "--json"], "cannot be combined"),
])  # fmt: skip
async def test_invalid_filter_is_reported_on_one_line(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], args: list[str], message: str
) -> None:
    assert await run("orders", *args) == USAGE

    error = Captured(capsys).err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.asyncio
async def test_summary_counts_states_and_money(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    await fill(panel, tmp_path)
    capsys.readouterr()

    assert await run("summary") == OK
    shown = Captured(capsys).out
    assert "accepted 1  refused 1  unknown 1" in shown
    assert "spent 0.51  refunded 0  at risk 0.51" in shown
    assert await run("summary", "--json") == OK
    (summary,) = Captured(capsys).rows()
    assert summary["by_state"] == {"accepted": 1, "refused": 1, "unknown": 1}
    assert (summary["spent"], summary["at_risk"]) == ("0.51", "0.51")


def test_summary_of_an_empty_journal_is_none() -> None:
    stream = io.StringIO()
    zero = Decimal(0)
    summary = Summary(by_state={}, by_status={}, spent=zero, refunded=zero, at_risk=zero)

    Console(file=stream).print(entries.summary_view(summary))

    assert "none" in stream.getvalue()


def test_summary_says_of_how_many_orders_the_cost_is_not_known() -> None:
    stream = io.StringIO()
    one, two = Decimal(1), Decimal(2)
    summary = Summary(
        by_state={}, by_status={}, spent=two, refunded=one, at_risk=one, cost_unknown=3
    )

    Console(file=stream).print(entries.summary_view(summary))

    assert "spent 2  refunded 1  at risk 1  cost unknown of 3" in stream.getvalue()


# --- the journal itself --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_reading_a_missing_journal_does_not_create_it(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mistyped.db"

    assert await run("orders", "--journal", str(path)) == USAGE
    assert await run("orders", "--journal", f"sqlite+aiosqlite:///{path}") == USAGE
    assert f"does not exist: no file '{path}'" in Captured(capsys).err
    assert not path.exists()


@pytest.mark.asyncio
async def test_unreadable_journal_has_its_own_exit_code(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "no-journal.db"
    path.write_text("this is a text and not a database " * 50)

    assert await run("orders", "--journal", str(path)) == JOURNAL
    assert "error: journal:" in Captured(capsys).err


@pytest.mark.asyncio
async def test_unsupported_journal_address_shows_no_password(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("orders", "--journal", "mysql://ann:hunter2@127.0.0.1/orders") == USAGE

    error = Captured(capsys).err
    assert "sqlite+aiosqlite or postgresql+asyncpg" in error
    assert "hunter2" not in error


@pytest.mark.asyncio
async def test_orders_are_stored_per_account(
    panel: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    await run(*ONE, "--account", "shop")
    capsys.readouterr()

    assert await run("orders", "--json") == OK
    assert Captured(capsys).rows() == []
    assert await run("orders", "--json", "--account", "shop") == OK
    assert [each["ref"] for each in Captured(capsys).rows()] == ["one"]


@pytest.mark.asyncio
@pytest.mark.parametrize("missing", ["sqlalchemy", "aiosqlite"])
async def test_missing_library_names_the_extra_to_install(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    missing: str,
) -> None:
    def without(name: str, package: str | None = None) -> None:
        raise ModuleNotFoundError(f"No module named {missing!r}", name=f"{missing}.ext")

    monkeypatch.setattr(_options, "import_module", without)

    assert await run(*ONE) == USAGE

    error = Captured(capsys).err
    assert "pip install 'smmfanfast_async[journal]'" in error
    assert error.count("\n") == 1
    assert panel.request_count == 0


@pytest.mark.asyncio
async def test_missing_driver_names_the_extra_to_install(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    address = "postgresql+asyncpg://ann:hunter2@127.0.0.1:1/orders"

    assert await run("orders", "--journal", address) == USAGE

    error = Captured(capsys).err
    assert "pip install 'smmfanfast_async[postgres]'" in error
    assert "hunter2" not in error


@pytest.mark.asyncio
async def test_missing_module_without_an_extra_is_raised(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "smmfanfast_async.journal.sql", None)

    with pytest.raises(ModuleNotFoundError, match="sql"):
        await run(*ONE)
