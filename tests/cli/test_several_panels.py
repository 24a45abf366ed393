"""Commands over several panels: prices, orders that are routed, filters and what is shown."""

import asyncio
import io
import json
import re
import shlex
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from rich.console import Console

from smmfanfast_async import cli
from smmfanfast_async.cli import _input
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import NETWORK, OK, REFUSED, UNKNOWN, USAGE
from smmfanfast_async.cli._live import Board, lagging
from smmfanfast_async.cli.commands import follow as follow_command
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.timing import Timing
from smmfanfast_async.journal import (
    ConsumerHealth,
    DeskHealth,
    EventKind,
    JournalEvent,
    Summary,
)  # fmt: skip
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.schema import to_microseconds
from smmfanfast_async.sandbox import Fault, Sandbox

Captured = pytest.CaptureFixture[str]
Shop = dict[str, Sandbox]

FILE = """\
account = "shop"
router = "in_order"

[panels.alpha]
base_url = "{alpha}"
key_env = "ALPHA_API_KEY"

[panels.beta]
base_url = "{beta}"
key_env = "BETA_API_KEY"

[products.likes]
alpha = "5"
beta = "5"

[products.rare]
alpha = "gone"

[products.package]
beta = "72"

[exchange_rates]
beta = "2"
"""

DEADLINE_S = 30.0
"""Seconds after which a test fails instead of waiting."""

LINK = "https://instagram.com/example"
ORDER = ["default", "--service", "likes", "--quantity", "1000"]


@pytest_asyncio.fixture
async def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Shop]:
    """Two panels in a file that the environment names, the first with money for one order."""
    async with (
        Sandbox(speed=0, api_key="test-alpha", balance=Decimal("1.50")) as alpha,
        Sandbox(speed=0, api_key="test-beta") as beta,
    ):
        path = tmp_path / "panels.toml"
        path.write_text(FILE.format(alpha=alpha.url, beta=beta.url))
        monkeypatch.setenv("ALPHA_API_KEY", "test-alpha")
        monkeypatch.setenv("BETA_API_KEY", "test-beta")
        monkeypatch.setenv("SMMFANFAST_PANELS", str(path))
        monkeypatch.setenv("SMMFANFAST_JOURNAL", str(tmp_path / "orders.db"))
        monkeypatch.setenv("COLUMNS", "200")
        yield {"alpha": alpha, "beta": beta}


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


async def place(ref: str, *args: str) -> int:
    return await run("add", *ORDER, "--link", f"{LINK}.{ref}", "--ref", ref, *args)


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- quote ---------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_quote_shows_the_price_at_each_panel(shop: Shop, capsys: Captured) -> None:
    assert await run("quote", *ORDER, "--link", LINK) == OK

    first, second = rows(capsys.readouterr().out)
    assert first == ["1", "alpha", "5", "1.02", "1.02", "-"]
    assert second == ["2", "beta", "5", "1.02", "2.04", "-"]
    assert not any(each.orders for each in shop.values())


@pytest.mark.asyncio
async def test_quote_says_why_a_panel_is_left_out(shop: Shop, capsys: Captured) -> None:
    rare = ["default", "--service", "rare", "--quantity", "1000", "--link", LINK]
    assert await run("quote", *rare, "--json") == REFUSED
    (found,) = objects(capsys.readouterr().out)
    assert (found["panel"], found["rank"], found["reason"]) == ("alpha", None, "not_listed")
    assert (found["price"], found["price_there"]) == (None, None)

    shop["alpha"].fail_next(Fault.DROP_AFTER, action="add")
    assert await place("lost", "--yes") == UNKNOWN
    capsys.readouterr()
    assert await run("quote", *ORDER, "--link", LINK) == OK
    able, left_out = rows(capsys.readouterr().out)
    assert able[:2] == ["1", "beta"]
    assert left_out[:2] == ["-", "alpha"]
    assert left_out[5].startswith("circuit_open until 20")


@pytest.mark.asyncio
async def test_quote_needs_a_panels_file(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMMFANFAST_PANELS")

    assert await run("quote", *ORDER, "--link", LINK) == USAGE
    assert "panels is missing: add --panels FILE or set SMMFANFAST_PANELS" in (
        capsys.readouterr().err
    )
    assert not shop["alpha"].request_count


# --- add -----------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_add_says_which_panel_took_the_order(shop: Shop, capsys: Captured) -> None:
    assert await place("one", "--yes") == OK
    captured = capsys.readouterr()
    assert captured.out == "order 1 placed as one at alpha\n"
    assert "beta" in captured.err  # what it costs there

    assert await place("two", "--yes") == OK
    assert capsys.readouterr().out == "order 1 placed as two at beta (refused by alpha: funds)\n"
    assert await place("two", "--yes", "--json") == OK
    (found,) = objects(capsys.readouterr().out)
    assert (found["panel"], found["service"], found["refused_by"]) == (
        "beta", "5", {"alpha": "funds"},
    )  # fmt: skip
    assert found["already_placed"] is True
    assert (len(shop["alpha"].orders), len(shop["beta"].orders)) == (1, 1)


@pytest.mark.asyncio
async def test_order_without_an_answer_goes_to_no_other_panel(shop: Shop, capsys: Captured) -> None:
    shop["alpha"].fail_next(Fault.DROP_AFTER, action="add")

    assert await place("lost", "--yes") == UNKNOWN
    assert not shop["beta"].orders
    capsys.readouterr()
    assert await run("unknown") == OK
    assert re.search(r"^panel +alpha *$", capsys.readouterr().out, re.MULTILINE)
    assert await run("resolve", "lost", "--not-placed", "--by", "ann") == OK
    assert capsys.readouterr().out == "lost is withdrawn at alpha\n"
    assert await run("retry", "lost", "--by", "ann", "--panel", "beta") == OK
    assert capsys.readouterr().out == "order 1 placed as lost at beta\n"


@pytest.mark.asyncio
@pytest.mark.parametrize(("answer", "code"), [("y", OK), ("n", USAGE)])
async def test_question_names_the_panel_and_what_another_may_cost(
    shop: Shop,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
) -> None:
    asked: list[str] = []

    def confirm(question: str, option: str) -> bool:
        asked.append(f"{question} {option}")
        return answer == "y"

    monkeypatch.setattr("smmfanfast_async.cli._routes.confirm", confirm)

    assert await place("one") == code
    (question,) = asked
    assert question.startswith("Place this order at alpha for 1.02, or for up to 2.04 at another ")
    assert question.endswith(" one that takes it? Balance: 1.50 USD --yes")
    assert len(shop["alpha"].orders) == (code == OK)
    assert _input.confirm is not confirm
    capsys.readouterr()


@pytest.mark.asyncio
async def test_question_if_no_panel_or_only_one_can_take_the_order(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def refuse(question: str, _: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr("smmfanfast_async.cli._routes.confirm", refuse)
    rare = ["default", "--service", "rare", "--quantity", "1000", "--link", LINK, "--ref", "rare"]
    assert await run("add", *rare) == USAGE
    package = ["package", "--service", "package", "--link", LINK, "--ref", "package"]
    assert await run("add", *package) == USAGE
    assert asked == [
        "No panel can take this order now. Store it, to be sent when one can?",
        "Place this order at beta for 64? Balance: 1000.00 USD",
    ]
    capsys.readouterr()
    assert not any(each.orders for each in shop.values())


@pytest.mark.asyncio
async def test_add_needs_a_ref_or_a_panel(shop: Shop, capsys: Captured) -> None:
    assert await run("add", *ORDER, "--link", LINK, "--yes") == USAGE
    assert "ref is missing: add --ref for the panels together, or --panel NAME" in (
        capsys.readouterr().err
    )
    assert await place("one", "--panel", "beta", "--yes") == USAGE
    assert "panel and --ref cannot be combined" in capsys.readouterr().err
    one = ["default", "--service", "5", "--quantity", "1000", "--link", LINK, "--yes"]
    assert await run("add", *one, "--panel", "beta") == OK
    assert (len(shop["alpha"].orders), len(shop["beta"].orders)) == (0, 1)


@pytest.mark.asyncio
async def test_order_that_no_panel_answers_is_kept(shop: Shop, capsys: Captured) -> None:
    for panel in shop.values():
        panel.fail_next(Fault.RATE_LIMIT, action="add", retry_after_s=600)

    assert await place("later", "--yes") == NETWORK
    assert "not sent yet" in capsys.readouterr().err
    assert not any(each.orders for each in shop.values())


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_orders_are_listed_by_panel(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert await place("one", "--yes") == OK
    assert await place("two", "--yes") == OK
    capsys.readouterr()

    # Without keys: the journal alone is read.
    monkeypatch.delenv("ALPHA_API_KEY")
    assert await run("orders") == OK
    assert [(row[0], row[-1]) for row in rows(capsys.readouterr().out)] == [
        ("one", "alpha"), ("two", "beta"),
    ]  # fmt: skip
    monkeypatch.setattr(Console, "is_terminal", True)
    assert await run("orders") == OK
    head, *_ = [line for line in capsys.readouterr().out.splitlines() if "status" in line]
    assert head.rstrip().removesuffix("\x1b[0m").rstrip().endswith("panel")
    monkeypatch.undo()
    monkeypatch.setenv("SMMFANFAST_PANELS", str(tmp_path / "panels.toml"))
    monkeypatch.setenv("SMMFANFAST_JOURNAL", str(tmp_path / "orders.db"))
    assert await run("orders", "--panel", "beta", "--csv") == OK
    head, *listed = capsys.readouterr().out.splitlines()
    assert head.endswith(",panel")
    assert [(row.split(",")[0], row.split(",")[-1]) for row in listed] == [("two", "beta")]
    assert await run("orders", "--panel", "beta", "--panel", "alpha", "--json") == OK
    assert len(objects(capsys.readouterr().out)) == 2
    assert await run("orders", "--panel", "gamma", "--panel", "beta", "--ref", "one") == OK
    out, err = capsys.readouterr()
    assert (out, err) == ("", "the journal has no panel 'gamma' (hint: it has alpha, beta)\n")
    assert await run("summary", "--json") == OK
    assert objects(capsys.readouterr().out)[0]["by_state"] == {"accepted": 2}


# --- services ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_products_are_compared_side_by_side(shop: Shop, capsys: Captured) -> None:
    assert await run("services", "--compare") == OK
    assert rows(capsys.readouterr().out) == [
        ["likes", "alpha", "5", "1.02", "500", "10000", "-", "-", "-"],
        ["likes", "beta", "5", "2.04", "500", "10000", "-", "-", "-"],
        ["rare", "alpha", "gone", "-", "-", "-", "-", "-", "not listed"],
        ["package", "beta", "72", "64", "1", "1", "-", "-", "-"],
    ]
    assert await run("services", "--compare", "--json") == OK
    found = objects(capsys.readouterr().out)
    assert (found[1]["rate"], found[1]["desk_rate"], found[1]["note"]) == ("1.02", "2.04", None)
    assert (found[2]["rate"], found[2]["note"]) == (None, "not listed")
    assert [each.requests["services"] for each in shop.values()] == [2, 2]


@pytest.mark.asyncio
async def test_panel_that_fails_is_noted_beside_the_others(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BETA_API_KEY", "test-wrong")

    assert await run("services", "--compare") == REFUSED
    found = rows(capsys.readouterr().out)
    assert found[0][3] == "1.02"
    assert (found[1][3], found[1][8]) == ("-", found[3][8])
    assert "API is Disable for this user" in found[1][8]
    assert "test-wrong" not in str(found)
    assert shop["beta"].requests["services"] == 1


@pytest.mark.asyncio
async def test_refill_and_cancel_are_compared(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with Sandbox(speed=0, api_key="test-alpha", dialect="api-v2") as panel:
        text = FILE.format(alpha=panel.url, beta=shop["beta"].url)
        table = '[panels.alpha]\nprofile = "api-v2"'
        (tmp_path / "v2.toml").write_text(text.replace("[panels.alpha]", table))
        monkeypatch.setenv("SMMFANFAST_PANELS", str(tmp_path / "v2.toml"))

        assert await run("services", "--compare") == OK

    first = rows(capsys.readouterr().out)[0]
    assert {first[6], first[7]} <= {"yes", "no"}


@pytest.mark.asyncio
async def test_comparison_needs_a_file_and_no_other_option(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await run("services", "--compare", "--search", "telegram") == USAGE
    assert "compare cannot be combined with options that choose" in capsys.readouterr().err
    monkeypatch.delenv("SMMFANFAST_PANELS")
    assert await run("services", "--compare") == USAGE
    assert "panels is missing: add --panels FILE" in capsys.readouterr().err
    assert not shop["alpha"].request_count


# --- follow and health ---------------------------------------------------------------------------


def edit(tmp_path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(tmp_path / "orders.db") as database:
        assert database.execute(statement, values).rowcount
    database.close()


def make_late(tmp_path: Path) -> None:
    """Make all events an hour old."""
    moment = to_microseconds(datetime.now(UTC) - timedelta(hours=1))
    edit(tmp_path, "UPDATE smm_events SET at = ?", moment)


async def read_one_event(tmp_path: Path) -> None:
    """Start a consumer "mail", which acknowledges the first event."""
    journal = SQLJournal(f"sqlite+aiosqlite:///{tmp_path}/orders.db").for_account("shop")
    await journal.open(["alpha", "beta"])
    claim = await journal.claim_consumer("mail", "test", lease=timedelta(seconds=1))
    assert claim is not None
    await journal.aclose()


@pytest.mark.asyncio
async def test_all_panels_are_followed(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(OrderDesk, "_timing", Timing(min_backoff_s=0.01, idle_s=0.02))
    monkeypatch.setattr(follow_command, "COUNT_EVERY_S", 0.02)
    for ref in ("one", "two"):
        assert await place(ref, "--yes") == OK
    for panel in shop.values():
        panel.finish_all()
    # Their first checks are due now.
    edit(tmp_path, "UPDATE smm_orders SET due_at = 1")
    capsys.readouterr()

    assert await asyncio.wait_for(run("follow", "--until-final"), DEADLINE_S) == OK

    found = {(row[1], row[2], row[8]) for row in rows(capsys.readouterr().out)}
    assert found >= {
        ("one", "finished", "alpha"), ("two", "rerouted", "alpha"), ("two", "finished", "beta"),
    }  # fmt: skip


def event(panel: str) -> JournalEvent:
    now = datetime.now(UTC)
    return JournalEvent(
        position=1, at=now, ref="one", kind=EventKind.ACCEPTED, attempt=1, panel=panel
    )


def consumer(name: str, lag: int, minutes: int) -> ConsumerHealth:
    return ConsumerHealth(
        consumer=name, position=3, lag=lag, lease_until=None,
        oldest_at=datetime.now(UTC) - timedelta(minutes=minutes) if lag else None,
    )  # fmt: skip


def health_of(*consumers: ConsumerHealth) -> DeskHealth:
    return DeskHealth(
        at=datetime.now(UTC), prepared=0, held=0, sending=0, unknown=0, oldest_unknown_at=None,
        oldest_prepared_at=None, oldest_due_check_at=None, requests_unknown=0, budget_left=None,
        consumers={each.consumer: each for each in consumers},
    )  # fmt: skip


def render(board: Board) -> str:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(board)
    return console.export_text()


def test_board_shows_panels_and_consumers_that_lag() -> None:
    board = Board()
    board.count(Summary(by_state={}, by_status={}, spent=Decimal(0), refunded=Decimal(0),
                        at_risk=Decimal(0)), 0, [])  # fmt: skip
    board.event(event("default"))
    assert "panel" not in render(board)

    board.event(event("beta"))
    late = [consumer("mail", 1, 60), consumer("sheet", 12, 60), consumer("own", 5, 60)]
    board.lag(lagging(health_of(*late, consumer("new", 5, 1), consumer("done", 0, 0)),
                      besides="own"))  # fmt: skip

    shown = render(board)
    assert re.search(r"message +panel", shown)
    assert "beta" in shown
    assert "consumer mail is 1 event behind, since 20" in shown
    assert "consumer sheet is 12 events behind, since 20" in shown
    assert not {name for name in ("own", "new", "done") if f"consumer {name}" in shown}


def test_lines_name_a_consumer_when_it_starts_to_lag(capsys: Captured) -> None:
    with follow_command._view(as_json=True) as view:
        for late in ([consumer("mail", 1, 60)], [consumer("mail", 2, 60)], []):
            view.lag(late)
        view.lag([consumer("mail", 3, 60)])
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [line[:31] for line in lines] == [
        "consumer mail is 1 event behind", "consumer mail is 3 events behin",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_health_names_what_is_wrong_with_panels_and_consumers(
    shop: Shop, capsys: Captured, tmp_path: Path
) -> None:
    assert await place("one", "--yes") == OK
    await read_one_event(tmp_path)
    make_late(tmp_path)
    shop["beta"].fail_next(Fault.RATE_LIMIT, action="add", retry_after_s=600)
    assert await place("two", "--yes") == NETWORK
    path = tmp_path / "panels.toml"
    path.write_text(path.read_text().replace("alpha", "gamma").replace("GAMMA", "ALPHA"))
    capsys.readouterr()

    assert await run("health") == OK
    line = capsys.readouterr().out
    assert "panel beta asked for a pause until 20" in line
    assert "orders are open at alpha, which is not in the --panels file" in line
    assert re.search(r"consumer mail is \d+ events behind, since 20", line)
    assert await run("health", "--json") == OK
    (found,) = objects(capsys.readouterr().out)
    assert found["lost_panels"] == ["alpha"]
    assert found["panels"]["beta"]["paused_until"]
    assert "default" not in found["panels"]


# --- doctor --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_doctor_checks_each_panel(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert await run("doctor") == OK
    found = {row[1]: row for row in rows(capsys.readouterr().out)}
    assert found["panels"][2] == "account shop, 3 products"
    assert found["alpha"][2].endswith("key from panels.alpha.key_env of the file")
    assert found["beta balance"][2] == "1000.00 USD"

    monkeypatch.delenv("ALPHA_API_KEY")
    key = tmp_path / "beta.key"
    key.write_text("test-beta")
    key.chmod(0o644)
    path = tmp_path / "panels.toml"
    path.write_text(path.read_text().replace('key_env = "BETA_API_KEY"', 'key_file = "beta.key"'))
    assert await run("doctor", "--json") == REFUSED
    (findings,) = objects(capsys.readouterr().out)
    levels = [(each["name"], each["level"]) for each in findings]
    assert ("alpha", "error") in levels
    assert ("beta", "warning") in levels
    assert ("beta balance", "ok") in levels

    assert await run("doctor", "--panel") == USAGE
    assert "panels and --panel cannot be combined" in capsys.readouterr().err
    path.write_text("account")
    assert await run("doctor") == REFUSED
    assert "is not TOML" in capsys.readouterr().out
    assert shop["alpha"].requests["balance"] == 1


@pytest.mark.asyncio
async def test_client_or_desk_that_cannot_be_made_names_file_and_table(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BETA_API_KEY", "test beta")
    assert await run("services", "--compare") == USAGE
    error = capsys.readouterr().err
    assert "panels.toml' has an invalid panels.beta: api_key" in error
    assert "test beta" not in error

    monkeypatch.setenv("BETA_API_KEY", "test-beta")
    path = tmp_path / "panels.toml"
    path.write_text(path.read_text().partition("[products.likes]")[0])
    assert await run("quote", *ORDER, "--link", LINK) == USAGE
    assert "panels.toml' has an invalid table: products is required" in capsys.readouterr().err
    assert not shop["alpha"].request_count


# --- the guide -----------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_blocks_of_the_guide_run_in_order(
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    guide = Path(cli.__file__).with_name("README.md").read_text(encoding="utf-8")
    section = guide.split("\n## Several panels\n")[1].split("\n## ")[0]
    (toml,) = re.findall(r"^```toml\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    (shell,) = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    for name, panel in shop.items():
        assert f"https://{name}.example/api/v2" in toml
        toml = toml.replace(f"https://{name}.example/api/v2", panel.url)
    (tmp_path / "panels.toml").write_text(toml)
    (tmp_path / "beta.key").write_text("test-beta")
    (tmp_path / "beta.key").chmod(0o600)
    monkeypatch.chdir(tmp_path)

    for line in shell.splitlines():
        program, *args = shlex.split(line, comments=True)
        if program == "export":
            monkeypatch.setenv(*args[0].split("=", 1))
        else:
            assert (line, await run(*args)) == (line, OK)

    shown = capsys.readouterr().out
    assert "order 1 placed as invoice-775 at alpha\n" in shown
    assert "\nok: 0 to send\n" in shown
