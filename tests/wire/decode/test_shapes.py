"""Answers in other shapes: failing states, lists of one, objects under `data`, sentences."""

from typing import Any

import pytest
from support.decoding import comparable_entries, invalid, not_found, sample, status_of

from smmfanfast_async._wire.decode import (
    decode_balance,
    decode_cancel,
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
    decode_status,
    decode_statuses,
)
from smmfanfast_async.errors import ErrorKind, InvalidResponseError, RefusedError
from smmfanfast_async.profile import API_V2
from smmfanfast_async.results import (
    CancelResult,
    OrderStatus,
    RefillResult,
    RefillStatus,
    Response,
    Status,
)


def ok(body: str) -> Response:
    return Response(status=200, body=body.encode())


def statuses(reply: Response, *orders: str) -> dict[str, Any]:
    found = decode_statuses(reply, API_V2, orders).found
    return comparable_entries(dict(found))


# --- failing states ------------------------------------------------------------------------------


def test_failing_word_is_the_state_of_a_refill() -> None:
    found = decode_refill_statuses(sample("refill_status_failed.json"), API_V2, ["5"])

    assert found == {"5": RefillStatus(refill="5", raw_status="Error")}


def test_failing_and_rejected_refills_are_states() -> None:
    found = decode_refill_statuses(sample("refill_statuses_failed.json"), API_V2, ["1", "2"])

    assert found == {
        "1": RefillStatus(refill="1", raw_status="Fail"),
        "2": RefillStatus(refill="2", raw_status="Rejected"),
    }
    assert [each.status for each in found.values() if isinstance(each, RefillStatus)] == [
        Status.FAILED,
        Status.REJECTED,
    ]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ('{"status":"error","error":"Refill not found"}', "Refill not found"),
        ('{"status":"Fail","message":"Refill not found"}', "Refill not found"),
        ('{"status":"error","success":false}', "refused without a message"),
        ('{"status":"error","code":5}', "refused without a message"),
    ],
)
def test_failing_word_with_more_is_a_refused_call(body: str, text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        decode_refill_statuses(ok(body), API_V2, ["5"])


def test_failing_word_without_a_refill_refuses_a_call_for_several() -> None:
    with pytest.raises(RefusedError):
        decode_refill_statuses(ok('{"status":"Fail"}'), API_V2, ["5", "6"])


def test_failing_word_about_another_refill_is_no_state_of_this_one() -> None:
    with pytest.raises(RefusedError):
        decode_refill_statuses(ok('{"refill":6,"status":"Fail"}'), API_V2, ["5"])


def test_failing_word_under_its_id_is_the_state_of_an_order() -> None:
    found = decode_statuses(
        sample("statuses_failed_without_numbers.json"), API_V2, ["1", "2"]
    ).found

    assert found == {
        "1": OrderStatus(order="1", raw_status="Fail"),
        "2": OrderStatus(order="2", raw_status="Error"),
    }


def test_row_that_names_its_order_and_fails_is_its_state() -> None:
    reply = sample("status_failed_with_order.json")

    assert decode_status(reply, API_V2, "1") == OrderStatus(order="1", raw_status="Fail")
    assert decode_statuses(reply, API_V2, ["1"]).found == {
        "1": OrderStatus(order="1", raw_status="Fail")
    }


def test_failing_word_alone_refuses_a_status_call() -> None:
    with pytest.raises(RefusedError):
        decode_status(ok('{"status":"Fail"}'), API_V2, "1")


# --- one record in a list, or under `data` ------------------------------------------------------

PARTIAL = {"raw_status": "Partial", "raw_charge": "0.10", "remains": 5}


@pytest.mark.parametrize("name", ["status_in_list.json", "status_in_data.json"])
def test_single_status_is_found_in_a_list_and_under_data(name: str) -> None:
    assert decode_status(sample(name), API_V2, "7") == status_of(order="7", **PARTIAL)
    assert statuses(sample(name), "7") == {"7": status_of(order="7", **PARTIAL)}


def test_batch_is_found_under_data() -> None:
    found = statuses(sample("statuses_in_data.json"), "1", "2")

    assert found == {
        "1": OrderStatus(order="1", raw_status="Partial", raw_charge="0.10"),
        "2": not_found("2"),
    }


@pytest.mark.parametrize("orders", [("1",), ("1", "2")])
def test_list_is_found_under_data(orders: tuple[str, ...]) -> None:
    found = statuses(sample("statuses_list_in_data.json"), *orders)

    assert found["1"] == OrderStatus(order="1", raw_status="Partial", raw_charge="0.10")


@pytest.mark.parametrize("name", ["balance_in_data.json", "balance_in_list.json"])
def test_balance_is_found_in_a_list_and_under_data(name: str) -> None:
    assert str(decode_balance(sample(name), API_V2).balance) == "1.50"


@pytest.mark.parametrize(
    "body", ['{"status":"fail","data":{"balance":"1"}}', '{"error":"x","data":{"balance":"1"}}']
)
def test_refusal_with_data_stays_a_refusal(body: str) -> None:
    with pytest.raises(RefusedError):
        decode_balance(ok(body), API_V2)


def test_data_beside_other_fields_is_not_the_answer() -> None:
    with pytest.raises(InvalidResponseError):
        decode_balance(ok('{"user":5,"data":{"balance":"1"}}'), API_V2)


@pytest.mark.parametrize(
    "name", ["refill_in_list.json", "refill_in_data.json", "refill_nested.json"]
)
def test_single_refill_is_found_in_every_shape(name: str) -> None:
    expected = RefillResult(order="1", refill="7")

    assert decode_refill(sample(name), API_V2, "1") == expected
    assert decode_refills(sample(name), API_V2, ["1"]) == {"1": expected}


def test_lists_of_one_may_be_collapsed() -> None:
    refills = decode_refills(sample("refills_collapsed.json"), API_V2, ["1"])
    cancels = decode_cancels(sample("cancels_collapsed.json"), API_V2, ["1"])
    states = decode_refill_statuses(sample("refill_status_in_list.json"), API_V2, ["1"])

    assert refills == {"1": RefillResult(order="1", refill="5")}
    assert cancels == {"1": CancelResult(order="1")}
    assert states == {"1": RefillStatus(refill="1", raw_status="Completed")}


@pytest.mark.parametrize("body", ['{"refill":5}', '{"cancel":1}', '{"success":"sent"}'])
def test_collapsed_answer_to_several_ids_is_about_none_of_them(body: str) -> None:
    """No id is guessed, and each error has the whole response."""
    for found in (
        decode_refills(ok(body), API_V2, ["1", "2"]),
        decode_cancels(ok(body), API_V2, ["1", "2"]),
    ):
        assert all(isinstance(each, InvalidResponseError) for each in found.values())
        assert {each.raw for each in found.values()} == {body}


def test_cancellations_are_found_under_data() -> None:
    found = decode_cancels(sample("cancels_in_data.json"), API_V2, ["1", "2"])

    assert found["1"] == CancelResult(order="1")
    assert comparable_entries(dict(found))["2"] == not_found("2")


# --- accepted in words ---------------------------------------------------------------------------


def test_cancellation_in_an_object_says_whether_it_is_accepted() -> None:
    found = decode_cancels(sample("cancels_nested.json"), API_V2, ["1", "2"])

    assert found["1"] == CancelResult(order="1")
    assert isinstance(found["2"], RefusedError)


def test_sentence_accepts_one_cancellation_or_refill() -> None:
    cancel = decode_cancels(sample("cancel_sentence.json"), API_V2, ["1"])
    refill = decode_refill(sample("refill_sentence.json"), API_V2, "1")

    assert cancel == {"1": CancelResult(order="1")}
    assert decode_cancel(sample("cancel_sentence.json"), API_V2, "1") == CancelResult(order="1")
    assert refill == RefillResult(order="1", refill="")


@pytest.mark.parametrize(
    "body",
    [
        '{"success":true}',
        '{"success":true,"message":"done"}',
        '{"status":"success"}',
        '{"status":true,"message":"done"}',
    ],
)
def test_flag_accepts_one_cancellation(body: str) -> None:
    assert decode_cancels(ok(body), API_V2, ["1"]) == {"1": CancelResult(order="1")}


@pytest.mark.parametrize(
    "body", ["{}", '{"message":"done"}', '{"success":""}', '{"status":"later"}']
)
def test_answer_that_accepts_nothing_is_invalid(body: str) -> None:
    for found in (
        decode_cancels(ok(body), API_V2, ["1"]),
        decode_refills(ok(body), API_V2, ["1"]),
    ):
        assert isinstance(found["1"], InvalidResponseError)


def test_sentence_of_a_refusal_is_a_refusal() -> None:
    found = decode_cancels(ok('{"success":"Order cannot be canceled"}'), API_V2, ["1"])["1"]

    assert isinstance(found, RefusedError)
    assert (found.kind, found.text) == (ErrorKind.VALIDATION, "Order cannot be canceled")


# --- answers about other ids ---------------------------------------------------------------------


def test_answer_without_the_requested_ids_is_kept_with_each_error() -> None:
    statuses_reply, cancels_reply = (
        sample("statuses_other_ids.json"),
        sample("cancels_other_ids.json"),
    )
    batch = decode_statuses(statuses_reply, API_V2, ["1", "2"])
    cancels = decode_cancels(cancels_reply, API_V2, ["1", "2"])

    assert batch.unexpected == 1
    assert {each.raw for each in batch.found.values()} == {statuses_reply.body.decode()}
    assert {each.raw for each in cancels.values()} == {cancels_reply.body.decode()}
    assert comparable_entries(dict(cancels))["1"] == invalid(
        "the response does not mention this id", "1"
    )


def test_answer_with_one_requested_id_is_not_kept_with_the_others() -> None:
    reply = ok('{"1":{"status":"Completed","charge":"0.10"}}')

    found = decode_statuses(reply, API_V2, ["1", "2"]).found

    assert found["2"].raw is None
