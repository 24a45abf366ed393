"""Refills and cancellations: nothing counts as accepted unless the panel accepted it."""

import pytest

from smmfanfast_async._wire.decode import (
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
)
from smmfanfast_async.errors import (
    ErrorKind,
    InvalidResponseError,
    OrderNotFoundError,
    PanelError,
    RefusedError,
)
from smmfanfast_async.profile import API_V2
from smmfanfast_async.results import CancelResult, RefillResult, RefillStatus, Response

INVALID_IDS = [
    "0",
    '"0"',
    "-1",
    "null",
    "false",
    '"false"',
    '""',
    '"no"',
    "1.5",
    "1e99",
    "NaN",
    "[1]",
]


def ok(body: str) -> Response:
    return Response(status=200, body=body.encode())


@pytest.mark.parametrize("value", [*INVALID_IDS, "true"])
def test_refill_without_usable_id_is_invalid(value: str) -> None:
    reply = ok(f'{{"refill":{value}}}')

    with pytest.raises(InvalidResponseError) as caught:
        decode_refill(reply, API_V2, "7")

    assert (caught.value.text, caught.value.order) == ("no refill in the response", "7")
    assert not caught.value.safe_to_retry


@pytest.mark.parametrize(
    "body",
    [
        '{"refill":{"error":"Incorrect order ID"}}',
        '{"refill":"1","error":"Incorrect order ID"}',
        '{"refill":{"a":1},"error":"Incorrect order ID"}',
    ],
)
def test_error_beside_or_in_refill_is_refusal(body: str) -> None:
    record = body.replace("{", '{"order":7,', 1)

    with pytest.raises(OrderNotFoundError):
        decode_refill(ok(body), API_V2, "7")
    found = decode_refills(ok(f"[{record}]"), API_V2, ["7"])["7"]
    assert (type(found), found.action) == (OrderNotFoundError, "refill")  # type: ignore[union-attr]


@pytest.mark.parametrize("other_id", ["99", '"99"', "7.5", "[7]", "true"])
def test_response_about_another_id_is_rejected(other_id: str) -> None:
    with pytest.raises(InvalidResponseError, match="is about another order") as caught:
        decode_refill(ok(f'{{"order":{other_id},"refill":"3"}}'), API_V2, "7")
    assert (caught.value.order, caught.value.safe_to_retry) == ("7", False)

    status = ok(f'{{"refill":{other_id},"status":"Completed"}}')
    found = decode_refill_statuses(status, API_V2, ["7"])["7"]
    assert isinstance(found, InvalidResponseError)
    assert found.text == "the response does not mention this id"


@pytest.mark.parametrize("value", ["7", '"7"', '""', "null"])
def test_response_with_requested_id_or_without_id_is_accepted(value: str) -> None:
    refill = decode_refill(ok(f'{{"order":{value},"refill":"3"}}'), API_V2, "7")
    status = ok(f'{{"refill":{value},"status":"Completed"}}')

    assert refill == RefillResult(order="7", refill="3")
    assert decode_refill_statuses(status, API_V2, ["7"]) == {
        "7": RefillStatus(refill="7", raw_status="Completed")
    }


@pytest.mark.parametrize("value", INVALID_IDS)
def test_cancel_needs_a_positive_value(value: str) -> None:
    found = decode_cancels(ok(f'[{{"order":7,"cancel":{value}}}]'), API_V2, ["7"])["7"]

    assert isinstance(found, InvalidResponseError)
    assert (found.text, found.order) == ("no cancel in the response", "7")


@pytest.mark.parametrize("value", ["1", '"1"', "true", "90210"])
def test_cancel_with_a_positive_value_is_accepted(value: str) -> None:
    found = decode_cancels(ok(f'[{{"order":7,"cancel":{value}}}]'), API_V2, ["7"])

    assert found == {"7": CancelResult(order="7")}


def test_error_beside_positive_cancel_is_refusal() -> None:
    reply = ok('[{"order":7,"cancel":1,"error":"Bad Link"}]')

    assert type(decode_cancels(reply, API_V2, ["7"])["7"]) is RefusedError


@pytest.mark.parametrize("status", ["null", '""', '" "', "5", "true", "[]"])
def test_refill_status_without_a_word_is_invalid(status: str) -> None:
    found = decode_refill_statuses(ok(f'{{"status":{status}}}'), API_V2, ["1"])["1"]

    assert isinstance(found, InvalidResponseError)
    assert found.text == "no status in the response"


def test_only_requested_ids_are_matched_and_none_is_guessed() -> None:
    reply = ok(
        '[{"order":8,"refill":1},{"order":1e99,"refill":2},{"order":[9],"refill":3},"x",{"refill":4},'
        '{"order":"9","refill":"5"}]'
    )

    found = decode_refills(reply, API_V2, ["7", "1e99", "9", "[9]", "None"])

    assert found.pop("9") == RefillResult(order="9", refill="5")
    assert {key: str(each) for key, each in found.items()} == {
        key: f"refill of order {key}: the response does not mention this id (HTTP 200)"
        for key in ("7", "1e99", "[9]", "None")
    }


def test_single_object_with_its_order_is_a_list_of_one() -> None:
    assert decode_refills(ok('{"order":7,"refill":1}'), API_V2, ["7"]) == {
        "7": RefillResult(order="7", refill="1")
    }


def test_one_refill_status_may_come_in_a_list() -> None:
    found = decode_refill_statuses(ok('[{"refill":1,"status":"Pending"}]'), API_V2, ["1"])

    assert found == {"1": RefillStatus(refill="1", raw_status="Pending")}


def test_refusal_of_the_whole_call_is_raised() -> None:
    with pytest.raises(PanelError) as caught:
        decode_cancels(ok('{"error":"Invalid API key"}'), API_V2, ["7", "8"])

    assert (caught.value.kind, caught.value.action) == (ErrorKind.AUTH, "cancel")


def test_object_keyed_by_id_is_accepted() -> None:
    """Seen in two copies for `refill_status`. A bad entry does not affect the others."""
    reply = ok('{"1":{"status":"Pending"},"2":{"error":"Incorrect refill ID"},"3":"x","4":{}}')

    found = decode_refill_statuses(reply, API_V2, ["2", "1", "3", "4"])

    assert found["1"] == RefillStatus(refill="1", raw_status="Pending")
    assert getattr(found["2"], "text", "") == "Incorrect refill ID"
    assert type(found["3"]) is type(found["4"]) is InvalidResponseError
    assert decode_refill_statuses(reply, API_V2, ["1"]) == {"1": found["1"]}
    assert decode_refills(ok('{"7":{"refill":5}}'), API_V2, ["7"]) == {
        "7": RefillResult(order="7", refill="5")
    }


def test_two_records_for_one_id_are_ambiguous() -> None:
    body = '[{"order":1,"refill":5},{"order":2,"refill":6},{"order":1,"refill":{"error":"no"}}]'
    found = decode_refills(ok(body), API_V2, ["1", "2"])

    first = found["1"]
    assert isinstance(first, InvalidResponseError)
    assert first.text == "the response mentions this id more than once"
    assert first.raw == '{"order":1,"refill":5} {"order":1,"refill":{"error":"no"}}'
    assert found["2"] == RefillResult(order="2", refill="6")
