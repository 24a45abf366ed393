"""`refill`, `refill-status` and `cancel` against a panel of API v2."""

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async import Client, DefaultOrder
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import INTERRUPTED, NETWORK, OK, PARTLY, USAGE
from smmfanfast_async.errors import ClosedError
from smmfanfast_async.profile import API_V2
from smmfanfast_async.sandbox import Fault, Sandbox

Captured = pytest.CaptureFixture[str]


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    """A panel with three orders of a service that can be refilled and canceled."""
    async with Sandbox(speed=0, dialect="api-v2") as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        monkeypatch.setenv("SMMFANFAST_PROFILE", "api-v2")
        async with Client(sandbox.api_key, base_url=sandbox.url, profile=API_V2) as client:
            catalogue = await client.services()
            service = next(
                each for each in catalogue.by_type(DefaultOrder) if each.refill and each.cancel
            )
            for number in (1, 2, 3):
                link = f"https://instagram.com/example.{number}"
                order = DefaultOrder(service=service.service, link=link, quantity=service.min or 1)
                await client.add(order)
        yield sandbox


@pytest.fixture
def small_batches(panel: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_text('like = "api-v2"\nids_per_call = 1\n')
    monkeypatch.setenv("SMMFANFAST_PROFILE", str(path))


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def rows(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


# --- results -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_cancel_prints_a_row_for_each_order(panel: Sandbox, capsys: Captured) -> None:
    assert await run("cancel", "1", "2", "999", "--yes") == PARTLY

    assert rows(capsys.readouterr().out) == [
        ["1", "requested", "-"],
        ["2", "requested", "-"],
        ["999", "not_found", "Incorrect order ID"],
    ]
    assert await run("cancel", "3", "--yes", "--json") == OK
    assert objects(capsys.readouterr().out) == [{"order": "3", "cancel": "requested"}]
    assert panel.requests["cancel"] == 2


@pytest.mark.asyncio
async def test_refill_prints_the_id_that_refill_status_takes(
    panel: Sandbox, capsys: Captured
) -> None:
    panel.finish_all()

    assert await run("refill", "1", "--yes") == OK
    ((order, refill, note),) = rows(capsys.readouterr().out)
    assert (order, note) == ("1", "-")
    assert await run("refill", "2", "3", "999", "--yes", "--json") == PARTLY
    results = objects(capsys.readouterr().out)
    assert [each["order"] for each in results] == ["2", "3", "999"]
    assert [set(each) for each in results[:2]] == [{"order", "refill"}] * 2
    assert results[2]["error"]["kind"] == "not_found"
    assert await run("refill", "1", "--yes") == PARTLY
    assert rows(capsys.readouterr().out)[0][0] == "1"

    assert await run("refill-status", refill, "999") == PARTLY
    first, second = rows(capsys.readouterr().out)
    assert (first[0], second[:2]) == (refill, ["999", "not_found"])
    assert await run("refill-status", refill, "--json") == OK
    (status,) = objects(capsys.readouterr().out)
    assert status["refill"] == refill
    assert status["status"] == status["raw_status"].lower().replace(" ", "_")


@pytest.mark.asyncio
async def test_terminal_gets_a_table(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert await run("cancel", "1", "--yes") == OK

    shown = capsys.readouterr().out
    assert all(word in shown for word in ("order", "cancel", "note", "requested"))


@pytest.mark.asyncio
@pytest.mark.usefixtures("small_batches")
async def test_ids_from_standard_input_are_sent_in_batches(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1, 2\n2 3\n"))

    assert await run("cancel", "-", "--yes") == OK

    assert [row[0] for row in rows(capsys.readouterr().out)] == ["1", "2", "3"]
    assert panel.requests["cancel"] == 3


@pytest.mark.asyncio
async def test_ids_are_read_from_a_pipe(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"1\n2\n")
    os.close(writing)
    with os.fdopen(reading) as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)

        assert await run("cancel", "-", "--yes") == OK

    assert [row[0] for row in rows(capsys.readouterr().out)] == ["1", "2"]


# --- nothing is sent -----------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(("args", "message"), [
    (["cancel", "1"], "there is no terminal to confirm at; add --yes"),
    (["refill", "1"], "there is no terminal to confirm at; add --yes"),
    (["cancel", "--yes"], "ids are missing"),
    (["refill-status"], "ids are missing"),
    (["cancel", "1", "2,3", "--yes"], "'2,3' is not an id"),
    (["cancel", "1", "--yes", "--profile", "smmfanfast"], "use `--profile api-v2`"),
    (["cancel", "1", "--profile", "smmfanfast"], "does not support the action 'cancel'"),
])  # fmt: skip
async def test_nothing_is_sent_without_ids_confirmation_or_such_an_action(
    panel: Sandbox,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))

    assert await run(*args) == USAGE

    assert message in capsys.readouterr().err
    assert panel.requests["cancel"] + panel.requests["refill"] == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(("answer", "code", "count"), [("y\n", OK, 1), ("n\n", USAGE, 0)])
async def test_question_names_the_panel(
    panel: Sandbox,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    count: int,
) -> None:
    typed = io.StringIO(answer)
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", typed)
    monkeypatch.setenv("COLUMNS", "200")

    assert await run("cancel", "1", "2") == code

    assert f"Request to cancel 2 orders at {panel.url}? [y/N]" in capsys.readouterr().err
    assert panel.requests["cancel"] == count


# --- failures and Ctrl-C -------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("ids", [["1"], ["1", "2"]])
async def test_request_without_a_response_may_have_taken_effect(
    panel: Sandbox, capsys: Captured, ids: list[str]
) -> None:
    panel.finish_all()
    panel.fail_next(Fault.DROP_AFTER, action="refill")

    assert await run("refill", *ids, "--yes") == PARTLY

    said = capsys.readouterr()
    assert [row[:2] for row in rows(said.out)] == [[each, "network"] for each in ids]
    noun = "1 order" if len(ids) == 1 else "2 orders"
    assert f"the request for {noun} may have taken effect: check before repeating" in said.err


@pytest.mark.asyncio
async def test_closed_client_is_one_error(
    panel: Sandbox, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(*_: object) -> None:
        raise ClosedError("the client is closed", action="refill")

    monkeypatch.setattr(Client, "refill", closed)

    assert await run("refill", "1", "--yes") not in {OK, PARTLY, NETWORK}
    assert "the client is closed" in capsys.readouterr().err


async def interrupt(command: list[str], is_reached: Callable[[], bool]) -> int:
    running = asyncio.create_task(run(*command))
    while not is_reached():  # noqa: ASYNC110  # it is the panel's
        await asyncio.sleep(0.005)
    running.cancel()
    return await running


@pytest.mark.asyncio
@pytest.mark.usefixtures("small_batches")
async def test_ctrl_c_reports_what_is_being_sent_and_sends_no_more(
    panel: Sandbox, capsys: Captured
) -> None:
    panel.fail_next(Fault.DELAY, action="cancel", delay_s=0.3)

    code = await interrupt(["cancel", "1", "2", "3", "--yes"], lambda: panel.requests["cancel"] > 0)

    said = capsys.readouterr()
    assert code == INTERRUPTED
    assert rows(said.out) == [["1", "requested", "-"]]
    assert "waiting for its outcome" in said.err
    assert "interrupted: 2 orders not requested" in said.err
    assert panel.requests["cancel"] == 1


@pytest.mark.asyncio
async def test_ctrl_c_ends_a_query_at_once(panel: Sandbox, capsys: Captured) -> None:
    panel.fail_next(Fault.DELAY, action="refill_status", delay_s=60)

    code = await interrupt(["refill-status", "1"], lambda: panel.requests["refill_status"] > 0)

    assert code == INTERRUPTED
    assert capsys.readouterr().out == ""
