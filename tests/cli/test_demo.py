"""`smmfanfast demo`: every step is shown, and every order becomes final."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import OK, PARTLY
from smmfanfast_async.cli.commands import demo


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.asyncio
async def test_demo_brings_its_orders_to_a_final_status(
    count: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.ORDERS_FOLLOWED == 1000
    monkeypatch.setattr(demo, "ORDERS_FOLLOWED", count)

    assert await run("demo", "--json") == OK
    summary = json.loads(capsys.readouterr().out)

    assert summary["orders_placed"] == summary["finished"] == count
    assert summary["types_placed"] == 11
    assert summary["double_tap_orders"] == 1
    assert summary["unknown"] == 0
    assert summary["checks"] >= count
    assert summary["status_calls"] < 100
    assert Decimal(summary["spent"]) > 0
    left = map(Decimal, summary["balances"].values())
    assert summary["balances"].keys() == demo.BALANCES.keys()
    assert Decimal(summary["spent"]) + sum(left) == sum(demo.BALANCES.values())
    assert summary["moved_to"] == "beta"


@pytest.mark.asyncio
async def test_demo_output_fits_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "ORDERS_FOLLOWED", 40)
    monkeypatch.setattr(demo, "POLL_S", 0.05)
    monkeypatch.setattr(demo, "STEP_S", 0.01)
    monkeypatch.setenv("COLUMNS", "80")

    assert await run("demo") == OK

    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 80
    for text in (
        "Panel beta: 2000.00 USD on the account",
        "65 services; one of each type",
        "mentions-user-followers",
        "both calls return order 12; the panel has 1 more order",
        "before sending: service '5' cannot be taken by any panel: beta: below_min",
        "by the panel:   You have an active order with this link",
        "fell by 0.51; the price is 0.51: it matches an order",
        "it stayed unknown at alpha, where it may exist",
        "beta sells the same and got 0 orders for it",
        "placed again, same ref: order 1; alpha has 1 order for it",
        "Out of funds: panel alpha has 0.0900 USD left",
        "refused by: alpha",
        "placed at:  beta, order 13",
        "the refusal proves that alpha has ordered nothing",
        "26/26",
        "40/40",
        "refused 1  finished 40",
        "left 0.0900 (alpha) + left 1",
        "(beta) = 2000.6000 USD",
    ):
        assert text in shown


@pytest.mark.asyncio
async def test_demo_stops_if_orders_do_not_become_final(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "ORDERS_FOLLOWED", 14)
    monkeypatch.setattr(demo, "TIMEOUT_S", 0.05)
    monkeypatch.setattr(demo, "PANEL_SECONDS_PER_STEP", 0)

    assert await run("demo", "--json") == PARTLY
    assert "orders are still open after 0 s" in capsys.readouterr().err


def test_demo_journal_is_in_memory_only_if_writable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(demo, "MEMORY", tmp_path)
    assert demo._memory_folder() == str(tmp_path)

    monkeypatch.setattr(demo, "MEMORY", tmp_path / "not there")
    assert demo._memory_folder() is None
