"""The raw text kept with results and errors: sanitized, bounded, one item's own fragment."""

import copy
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from rich.pretty import pretty_repr
from support.faults import FaultPanel, Plan, answer
from support.wire import Drop, WireServer, reply
from test_errors import COPIES, EXAMPLES

from smmfanfast_async import (
    API_V2,
    SMMFANFAST,
    AddedOrder,
    Balance,
    CancelResult,
    Client,
    DefaultOrder,
    InvalidResponseError,
    NoResponseError,
    OutcomeUnknownError,
    PanelError,
    RefillResult,
    RefillStatus,
    RetryPolicy,
)
from smmfanfast_async._engine import runner
from smmfanfast_async._text import MAX_RAW_CHARACTERS, raw_text
from smmfanfast_async._wire.decode import (
    decode_added,
    decode_balance,
    decode_call,
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
    decode_services,
    decode_status,
    decode_statuses,
)
from smmfanfast_async.results import Response

ORDER = DefaultOrder(service=5, link="https://example.com/p", quantity=10)
SENT_AT = datetime(2026, 1, 2, tzinfo=UTC)
PAGE = "<html>\r\n<b>Bad\x1b[31m gateway</b>\u202e</html>"
CLEAN_PAGE = "<html> <b>Bad [31m gateway</b> </html>"


def added(reply: Response) -> AddedOrder:
    return decode_added(reply, SMMFANFAST, {"action": "add"}, SENT_AT)


READERS: dict[str, Callable[[Response], object]] = {
    "add": added,
    "status": lambda reply: decode_status(reply, SMMFANFAST, "7"),
    "statuses": lambda reply: decode_statuses(reply, SMMFANFAST, ["7", "8"]),
    "services": lambda reply: decode_services(reply, SMMFANFAST),
    "balance": lambda reply: decode_balance(reply, SMMFANFAST),
    "refill": lambda reply: decode_refill(reply, API_V2, "7"),
    "refills": lambda reply: decode_refills(reply, API_V2, ["7", "8"]),
    "cancel": lambda reply: decode_cancels(reply, API_V2, ["7", "8"]),
    "refill_status": lambda reply: decode_refill_statuses(reply, API_V2, ["7", "8"]),
    "call": lambda reply: decode_call(reply, SMMFANFAST, "undocumented"),
}


def ok(body: str, status: int = 200, **headers: Any) -> Response:
    return Response(status=status, body=body.encode(), **headers)


def client_of(panel: WireServer | FaultPanel) -> Client:
    return Client("test-key", base_url=panel.url, retry=RetryPolicy(max_attempts=1))


def error_of(read: Callable[[Response], object], reply: Response) -> PanelError:
    with pytest.raises(PanelError) as caught:
        read(reply)
    return caught.value


# --- errors --------------------------------------------------------------------------------------

WHOLE = {
    "refused": ok('{"error":"Invalid API key"}'),
    "refused, with other fields": ok('{"status":"fail","message":"Bad Link","code":7}'),
    "a bare text": ok('"Invalid API key"'),
    "refused under 400": ok('{"error":"Not enough funds on balance"}', 400),
    "rate limited": ok('{"message":"slower"}', 429),
    "server error": ok(PAGE, 502),
    "challenged": ok(PAGE, 403, is_challenge=True),
    "redirected": ok(PAGE, 301, location="https://example.com"),
    "no message": ok(PAGE, 404),
    "no JSON": ok(PAGE),
    "truncated": ok('{"order":'),
    "empty": ok(""),
}


@pytest.mark.parametrize("action", READERS)
@pytest.mark.parametrize("shape", WHOLE)
def test_error_about_a_whole_response_keeps_it(action: str, shape: str) -> None:
    answer = WHOLE[shape]

    error = error_of(READERS[action], answer)

    body = answer.body.decode()
    assert error.raw == (CLEAN_PAGE if body == PAGE else body)


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_raw_survives_copies_and_never_enters_messages(error: PanelError) -> None:
    bare = copy.copy(error)
    kept = copy.copy(error).with_raw("the answer")

    assert kept.for_order("77").raw == "the answer"
    for way, copied in COPIES.items():
        assert copied(kept).raw == "the answer", way
        assert copied(kept.for_order("77")).raw == "the answer", way
    assert str(kept) == str(bare)
    assert repr(kept) == repr(bare)


def test_error_without_a_response_has_no_raw() -> None:
    assert {error.raw for error in EXAMPLES if not getattr(error, "excerpt", "")} == {None}


def test_raw_defaults_to_the_excerpt() -> None:
    assert InvalidResponseError("not JSON", excerpt="<html>").raw == "<html>"
    assert OutcomeUnknownError("not JSON", excerpt="<html>").raw == "<html>"


@pytest.mark.parametrize(("body", "kept"), [
    (b"x" * MAX_RAW_CHARACTERS, "x" * MAX_RAW_CHARACTERS),
    (b"x" * (MAX_RAW_CHARACTERS + 1), "x" * MAX_RAW_CHARACTERS),
    ("\U0001f600".encode() * 2 * MAX_RAW_CHARACTERS, "\U0001f600" * MAX_RAW_CHARACTERS),
    (b"\xff{}", "\ufffd{}"),
    (b"a\x00\x1b\x9b\r\nb", "a \ufffd b"),
    ("a\u0085\u200b\u2066b".encode(), "a b"),
])  # fmt: skip
def test_raw_text_is_sanitized_and_bounded(body: bytes, kept: str) -> None:
    assert raw_text(body) == kept


# --- items ----------------------------------------------------------------------------------------


def test_error_about_one_entry_keeps_its_own_fragment() -> None:
    body = '{"7":"Incorrect order ID","8":{"charge":"1"},"9":{"status":"Pending"}}'

    found = decode_statuses(ok(body), SMMFANFAST, ["7", "8", "9", "10"]).found

    raws = {order: each.raw for order, each in found.items() if isinstance(each, PanelError)}
    assert (raws["7"], raws["10"]) == ("Incorrect order ID", None)
    assert "charge" in (raws["8"] or "")
    assert not any("Pending" in (raw or "") for raw in raws.values())


ITEMS: dict[str, tuple[Callable[..., dict[str, Any]], str, list[str]]] = {
    "refills": (decode_refills, "order", [
        '{"order": 7, "refill": 11}',
        '{"order":8,"refill":{"error":"Incorrect order ID"}}',
        '{"order":9, "refill":null}',
    ]),
    "refill_statuses": (decode_refill_statuses, "refill", [
        '{"refill": 7, "status": "Completed"}',
        '{"refill":8,"status":{"error":"Refill not found"}}',
        '{"refill":9, "status":5}',
    ]),
    "cancels": (decode_cancels, "order", [
        '{"order": 7, "cancel": 1}',
        '{"order":8,"cancel":{"error":"Incorrect order ID"}}',
        '{"order":9, "cancel":0}',
    ]),
}  # fmt: skip


@pytest.mark.parametrize("call", ITEMS)
def test_each_item_of_a_list_keeps_its_own_fragment(call: str) -> None:
    decode, _, items = ITEMS[call]

    found = decode(ok(f"[{', '.join(items)}]"), API_V2, ["7", "8", "9", "10"])

    assert [each.raw for each in found.values()] == [*items, None]
    assert not isinstance(found["7"], PanelError)
    assert isinstance(found["8"], PanelError)
    assert isinstance(found["9"], InvalidResponseError)


@pytest.mark.parametrize("call", ITEMS)
def test_item_after_noise_keeps_the_parsed_value(call: str) -> None:
    decode, _, items = ITEMS[call]

    found = decode(ok(f"<b>Notice</b> [{', '.join(items)}]"), API_V2, ["7", "8"])

    for order in ("7", "8"):
        assert order in found[order].raw
        assert "Notice" not in found[order].raw


# --- results -------------------------------------------------------------------------------------

ANSWERS: dict[str, tuple[Callable[[Response], Any], str]] = {
    "add": (added, '{ "status":"success",\r\n"order":32 }'),
    "balance": (lambda reply: decode_balance(reply, SMMFANFAST), '{"balance": "0.03", "x": 1}'),
    "refill": (lambda reply: decode_refill(reply, API_V2, "7"), '{"refill":"1", "x":[]}'),
    "refill_status": (
        lambda reply: decode_refill_statuses(reply, API_V2, ["7"])["7"],
        '{"status":"Completed", "x":null}',
    ),
}


@pytest.mark.parametrize("action", ANSWERS)
def test_result_keeps_the_response_it_was_read_from(action: str) -> None:
    read, body = ANSWERS[action]

    found = read(ok(body))

    assert found.raw == body.replace("\r\n", " ")
    for copied in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):  # noqa: S301  # ours
        assert copied.raw == found.raw


RESULTS = (
    AddedOrder(order="32", raw="an answer"),
    Balance(balance=Decimal(1), raw="an answer"),
    RefillResult(order="1", refill="2", raw="an answer"),
    RefillStatus(refill="2", raw_status="Completed", raw="an answer"),
    CancelResult(order="32", raw="an answer"),
)


@pytest.mark.parametrize("found", RESULTS, ids=repr)
def test_results_with_equal_content_are_equal_despite_raw(found: Any) -> None:
    other = msgspec.structs.replace(found, raw="another")

    assert found == other
    assert not found != other  # noqa: SIM202  # msgspec has its own
    assert len({found, other}) == 1
    assert repr(found) == repr(other)
    assert pretty_repr(found) == repr(found)
    assert "an answer" not in repr(found)


def test_results_of_different_classes_are_unequal() -> None:
    assert RESULTS[0] != RESULTS[4]
    assert RESULTS[0] != "32"
    assert RESULTS[0] != msgspec.structs.replace(RESULTS[0], order="33")


# --- over a real socket --------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_client_methods_keep_raw_in_results_and_errors() -> None:
    answers = (
        reply('{"status":"success","order":32}'),
        reply('{"balance":"0.03"}'),
        reply('{"error":"no such thing"}'),
        reply(PAGE, 503),
    )
    async with WireServer(*answers) as server, client_of(server) as client:
        assert (await client.add(ORDER)).raw == '{"status":"success","order":32}'
        assert (await client.balance()).raw == '{"balance":"0.03"}'
        with pytest.raises(PanelError) as refused:
            await client.call("undocumented")
        failed = await client.statuses([1, 2])

    assert refused.value.raw == '{"error":"no such thing"}'
    assert {each.raw for each in failed.values() if isinstance(each, PanelError)} == {CLEAN_PAGE}


@pytest.mark.asyncio
async def test_raw_is_none_without_a_response() -> None:
    async with WireServer(Drop()) as server, client_of(server) as client:
        with pytest.raises(NoResponseError) as silent:
            await client.balance()
        with pytest.raises(OutcomeUnknownError) as unknown:
            await client.add(ORDER)

    assert (silent.value.raw, unknown.value.raw) == (None, None)


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["add", "balance"])
async def test_start_of_an_oversized_response_is_kept(
    monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(runner, "SMALL_BODY_BYTES", 10_000)
    body = json.dumps({"order": "x" * 100_000})
    async with FaultPanel(Plan(raw=answer(body))) as panel, client_of(panel) as client:
        with pytest.raises(PanelError) as caught:
            await (client.add(ORDER) if verb == "add" else client.balance())

    assert caught.value.raw == body[:MAX_RAW_CHARACTERS]
    assert "longer than 10000 bytes" in caught.value.text
