"""HTTP replies: PHP's JSON, and the effect of each fault."""

import json
from typing import Any

import pytest

from smmfanfast_async.sandbox.answers import Answer
from smmfanfast_async.sandbox.faults import APPLIED, Fault, ScriptedFault
from smmfanfast_async.sandbox.replies import (
    HttpReply,
    build_faulty_reply,
    build_reply,
    encode_php_json,
)

ROW: dict[str, Answer] = {
    "order": "12",
    "status": "pending",
    "charge": "1.2600",
    "start_count": "0",
    "remains": "0",
}


def build_reply_for(fault: Fault, answer: Answer = None, **arguments: Any) -> HttpReply:
    scripted = ScriptedFault(fault=fault, **arguments)
    return build_faulty_reply(scripted, lambda: answer, "http://127.0.0.1/moved")


def test_answers_are_encoded_like_php() -> None:
    answer = {"category": "Less Drops ⭐ [a/b]", "rows": [{"n": 1, "none": None}], "yes": True}

    assert encode_php_json(answer) == (
        "{\n"
        '    "category": "Less Drops \\u2b50 [a\\/b]",\n'
        '    "rows": [\n'
        "        {\n"
        '            "n": 1,\n'
        '            "none": null\n'
        "        }\n"
        "    ],\n"
        '    "yes": true\n'
        "}"
    )


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        ({}, []),
        ({"0": "a", "1": "b"}, ["a", "b"]),
        ({"1": "b", "0": "a"}, {"1": "b", "0": "a"}),
        ({"1": "a"}, {"1": "a"}),
        ({" 0": "a"}, {" 0": "a"}),
        ({"x": {}}, {"x": []}),
    ],
)
def test_php_array_with_keys_from_zero_is_a_list(answer: Answer, printed: object) -> None:
    assert json.loads(encode_php_json(answer)) == printed


def test_reply_without_fault_is_only_the_answer() -> None:
    reply = build_reply({"order": 32})

    assert reply == HttpReply(body=b'{\n    "order": 32\n}')
    assert (reply.http_status, reply.headers, reply.wait_s, reply.is_dropped) == (200, {}, 0, False)


@pytest.mark.parametrize("fault", Fault)
def test_action_is_applied_at_most_once(fault: Fault) -> None:
    calls: list[int] = []

    def apply() -> Answer:
        calls.append(1)
        return {}

    build_faulty_reply(ScriptedFault(fault=fault), apply, "")

    assert len(calls) == APPLIED[fault]


def test_delayed_reply_is_the_correct_one() -> None:
    assert build_reply_for(Fault.DELAY, ROW, delay_s=0.25) == HttpReply(
        body=encode_php_json(ROW).encode(), wait_s=0.25
    )


@pytest.mark.parametrize(
    ("fault", "http_status", "prefix"),
    [
        (Fault.HTTP_500, 500, b""),
        (Fault.HTTP_502, 502, b"<!DOCTYPE html>"),
        (Fault.HTTP_503, 503, b"<!DOCTYPE html>"),
        (Fault.HTML_PAGE, 200, b"<!DOCTYPE html>"),
        (Fault.BLOCKED, 403, b"<!DOCTYPE html>"),
        (Fault.EMPTY, 200, b""),
    ],
)
def test_error_pages_do_not_contain_the_answer(
    fault: Fault, http_status: int, prefix: bytes
) -> None:
    reply = build_reply_for(fault, ROW)

    assert (reply.http_status, reply.is_dropped) == (http_status, False)
    assert reply.body.startswith(prefix)
    assert bool(reply.body) == bool(prefix)
    assert b"pending" not in reply.body
    assert reply.headers == ({"cf-mitigated": "challenge"} if fault is Fault.BLOCKED else {})


def test_rate_limit_reply_names_its_seconds() -> None:
    reply = build_reply_for(Fault.RATE_LIMIT, retry_after_s=7)

    assert (reply.http_status, reply.headers) == (429, {"Retry-After": "7"})
    assert json.loads(reply.body) == {"error": "Too many requests, please wait 7 seconds"}


def test_php_notice_precedes_the_correct_answer() -> None:
    reply = build_reply_for(Fault.PHP_NOTICE, ROW)

    notice, _, rest = reply.body.decode().partition("{")
    assert notice.startswith("<br />\n<b>Notice</b>:")
    assert json.loads("{" + rest) == ROW


def test_truncated_body_is_the_first_half() -> None:
    whole = encode_php_json(ROW).encode()

    assert build_reply_for(Fault.TRUNCATED_BODY, ROW).body == whole[: len(whole) // 2]


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.DROP_AFTER])
def test_dropped_connection_has_no_reply(fault: Fault) -> None:
    assert build_reply_for(fault, ROW) == HttpReply(is_dropped=True)


@pytest.mark.parametrize("location", [None, "http://127.0.0.1:1/elsewhere"])
def test_redirect_points_to_its_location(location: str | None) -> None:
    reply = build_reply_for(Fault.REDIRECT, location=location)

    assert reply.http_status == 307
    assert reply.headers == {"Location": location or "http://127.0.0.1/moved"}


def test_one_row_of_a_batch_is_malformed() -> None:
    other = ROW | {"order": "13"}
    batch = {"2": "Incorrect order ID", "12": ROW, "13": other}

    rows = json.loads(build_reply_for(Fault.MALFORMED_ROW, batch).body)

    assert rows == batch | {
        "12": {
            "order": "12",
            "status": "In moderation",
            "charge": "1,234.5",
            "start_count": "N/A",
            "remains": "N/A",
        }
    }


def test_single_status_is_malformed() -> None:
    assert json.loads(build_reply_for(Fault.MALFORMED_ROW, ROW).body)["status"] == "In moderation"


def test_one_service_of_a_list_is_malformed() -> None:
    service = {"service": "5", "rate": "1.02", "min": "500", "type": "default", "dripfeed": 1}

    rows = json.loads(build_reply_for(Fault.MALFORMED_ROW, [service, service]).body)

    assert rows == [
        {
            "service": "5",
            "rate": "1,234.5",
            "min": "N/A",
            "type": "Something New",
            "dripfeed": "maybe",
        },
        service,
    ]


def test_error_object_in_a_batch_is_not_malformed() -> None:
    batch = {"2": {"error": "Incorrect order ID"}, "12": ROW}

    rows = json.loads(build_reply_for(Fault.MALFORMED_ROW, batch).body)

    assert rows["2"] == batch["2"]
    assert rows["12"]["status"] == "In moderation"


@pytest.mark.parametrize(("row", "malformed"), [
    ({"order": 1, "refill": 2}, {"order": 1, "refill": "N/A"}),
    ({"order": 1, "cancel": 1}, {"order": 1, "cancel": "N/A"}),
    ({"refill": 2, "status": "Pending"}, {"refill": 2, "status": "In moderation"}),
    (
        {"service": 5, "refill": True, "cancel": False},
        {"service": 5, "refill": "maybe", "cancel": "maybe"},
    ),
])  # fmt: skip
def test_one_row_of_an_api_v2_list_is_malformed(row: dict[str, Answer], malformed: Answer) -> None:
    assert json.loads(build_reply_for(Fault.MALFORMED_ROW, [row, row]).body) == [malformed, row]


@pytest.mark.parametrize(
    "answer", [{"2": "Incorrect order ID"}, {"error": "no"}, ["text"], "text", []]
)
def test_answer_without_rows_is_unchanged(answer: Answer) -> None:
    assert build_reply_for(Fault.MALFORMED_ROW, answer) == build_reply(answer)
