"""Refills and cancellations of orders in the journal: by ref, listed and resolved."""

import io
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import NETWORK, OK, REFUSED, UNKNOWN, USAGE
from smmfanfast_async.cli.commands import follow as follow_command
from smmfanfast_async.sandbox import Fault, Sandbox

pytestmark = pytest.mark.asyncio

Captured = pytest.CaptureFixture[str]
BY = ("--ref", "one", "--by", "ann", "--yes")


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """A panel of API v2 with the order "one" of the journal."""
    monkeypatch.setattr(follow_command, "COUNT_EVERY_S", 0.02)
    profile = tmp_path / "mine.toml"
    profile.write_text('like = "api-v2"\ncalls_per_minute = 100000\n')
    async with Sandbox(speed=0, dialect="api-v2") as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        monkeypatch.setenv("SMMFANFAST_PROFILE", str(profile))
        monkeypatch.setenv("SMMFANFAST_JOURNAL", str(tmp_path / "orders.db"))
        service = next(each for each in sandbox.services.values() if each.refill and each.cancel)
        order = ["--service", service.service, "--quantity", str(service.min)]
        link = "https://instagram.com/one"
        assert await run("add", "default", *order, "--link", link, "--ref", "one", "--yes") == OK
        yield sandbox


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


def objects(captured: Captured) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


async def test_cancel_by_ref_is_made_once_and_listed(panel: Sandbox, capsys: Captured) -> None:
    capsys.readouterr()
    assert await run("cancel", *BY) == OK
    [row] = capsys.readouterr().out.splitlines()
    assert row.split("\t")[:7] == ["one", "cancel", "1", "accepted", "1", "-", "-"]
    assert await run("cancel", *BY, "--json") == OK
    [again] = objects(capsys)

    assert (again["number"], again["state"], again["decided_by"]) == (1, "accepted", "ann")
    assert panel.requests["cancel"] == 1
    assert await run("follow", "--until-final", "--every", "0.1") == OK
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(line[2], line[7]) for line in lines if line[2] == "cancel_changed"] == [
        ("cancel_changed", "accepted"), ("cancel_changed", "finished"),
    ]  # fmt: skip
    assert await run("requests", "--kind", "cancel", "--json") == OK
    assert [(each["state"], each["raw_status"]) for each in objects(capsys)] == [
        ("finished", "Canceled")
    ]


async def test_refill_by_ref_prints_the_id(panel: Sandbox, capsys: Captured) -> None:
    panel.set_status(1, "completed")
    assert await run("follow", "--until-final", "--every", "0.1") == OK
    capsys.readouterr()

    assert await run("refill", *BY, "--json") == OK

    [request] = objects(capsys)
    assert (request["state"], request["refill"]) == ("accepted", "1")


async def test_refused_request_has_the_exit_code_of_a_refusal(
    panel: Sandbox, capsys: Captured
) -> None:
    panel.set_status(1, "completed")

    assert await run("cancel", *BY) == REFUSED
    assert "Order not eligible for cancel." in capsys.readouterr().out


async def test_lost_answer_says_what_to_do_and_is_resolved(
    panel: Sandbox, capsys: Captured
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="cancel")
    assert await run("cancel", *BY) == UNKNOWN
    assert "it may have been made" in capsys.readouterr().err
    assert await run("requests", "--ref", "one", "--state", "unknown", "--json") == OK
    assert len(objects(capsys)) == 1

    assert await run("resolve-request", "one", "cancel", "--made", "--by", "ann", "--json") == OK

    assert objects(capsys)[0]["state"] == "accepted"


async def test_refill_is_resolved_with_its_id(panel: Sandbox, capsys: Captured) -> None:
    panel.set_status(1, "completed")
    assert await run("follow", "--until-final", "--every", "0.1") == OK
    panel.fail_next(Fault.DROP_AFTER, action="refill")
    assert await run("refill", *BY) == UNKNOWN
    capsys.readouterr()

    assert await run("resolve-request", "one", "refill", "--refill", "1", "--by", "ann") == OK

    assert capsys.readouterr().out.split("\t")[3:6] == ["accepted", "1", "1"]


async def test_request_that_is_not_sent_says_so(panel: Sandbox, capsys: Captured) -> None:
    panel.fail_next(Fault.RATE_LIMIT, action="cancel")

    assert await run("cancel", *BY) == NETWORK

    assert "it is not sent yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["cancel", "1", *BY], "ids of the panel cannot be combined"),
        (["cancel", "--ref", "one", "--yes"], "by is missing"),
        (["refill", *BY], "'one' is accepted; only finished orders"),
        (["cancel", "--ref", "two", "--by", "ann", "--yes"], "is not in the journal"),
        (["cancel", "--ref", "one", "--by", "ann"], "add --yes"),
        (["refill", "--ref", "one", "--by", "ann"], "add --yes"),
        (["resolve-request", "one", "cancel", "--by", "ann"], "only one of the three"),
        (["resolve-request", "one", "cancel", "--made", "--by", "ann"], "has no cancel"),
    ],
)
async def test_invalid_arguments_send_nothing(
    panel: Sandbox, capsys: Captured, arguments: list[str], reason: str
) -> None:
    assert await run(*arguments) == USAGE

    assert reason in " ".join(capsys.readouterr().err.split())
    assert panel.requests.keys().isdisjoint({"cancel", "refill"})


async def test_terminal_gets_a_table(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run("cancel", *BY)
    capsys.readouterr()
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "140")
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)

    assert await run("requests") == OK

    assert "1 request" in terminal.getvalue()
    assert "created (UTC)" in terminal.getvalue()


async def test_other_account_is_mentioned(panel: Sandbox, capsys: Captured) -> None:
    assert await run("requests", "--account", "another") == OK

    assert "the journal has no orders of this account" in capsys.readouterr().err
    assert await run("requests") == OK
    assert capsys.readouterr().out == ""
