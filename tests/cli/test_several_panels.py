"""Commands over several panels: prices, orders that are routed, filters and what is shown."""

import json
import re
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async.cli import _input
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import NETWORK, OK, REFUSED, UNKNOWN, USAGE
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
    shop: Shop, capsys: Captured, monkeypatch: pytest.MonkeyPatch
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
    assert await run("orders", "--panel", "beta", "--csv") == OK
    head, *listed = capsys.readouterr().out.splitlines()
    assert head.endswith(",panel")
    assert [(row.split(",")[0], row.split(",")[-1]) for row in listed] == [("two", "beta")]
    assert await run("orders", "--panel", "beta", "--panel", "alpha", "--json") == OK
    assert len(objects(capsys.readouterr().out)) == 2
    assert await run("summary", "--json") == OK
    assert objects(capsys.readouterr().out)[0]["by_state"] == {"accepted": 2}
