"""The outcome of an order that was sent: every case, and both sides of each limit."""

from datetime import UTC, datetime
from typing import Any

import pytest
from attrs import evolve
from msgspec import structs

from smmfanfast_async._wire.decode import decode_added
from smmfanfast_async._wire.decode.add_outcome import MAX_REFUSAL_CHARACTERS
from smmfanfast_async.errors import (
    AuthenticationError,
    BlockedError,
    ErrorKind,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    RefusedError,
)
from smmfanfast_async.profile import API_V2, SMMFANFAST, Refusal
from smmfanfast_async.results import AddedOrder, Response

SENT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLACED = b'{"status":"success","order":32}'
REFUSED = b'{"error":"Bad Link"}'
PAGE = b"<html><body>Something went wrong</body></html>"


def decode(body: bytes, status: int = 200, **more: Any) -> AddedOrder:
    reply = Response(status=status, body=body, **more)
    return decode_added(reply, SMMFANFAST, {"action": "add"}, SENT_AT)


def outcome(body: bytes, status: int = 200, **more: Any) -> str:
    """Return the outcome of the order: "placed", "refused" or "unknown"."""
    try:
        decode(body, status, **more)
    except PanelError as error:
        return "unknown" if error.maybe_placed else "refused"
    return "placed"


@pytest.mark.parametrize(
    "order",
    ["32", '"32"', '"032"', "1", '"1"', '"ord_01HZX3"', '"3f2b8c1e-0a6d-4f5e-9c7b-1d2e3f4a5b6c"'],
)
@pytest.mark.parametrize("status", [200, 201])
def test_placed_needs_a_usable_id(order: str, status: int) -> None:
    body = f'{{"order":{order}}}'.encode()

    assert decode(body, status) == AddedOrder(order=order.strip('"'))


@pytest.mark.parametrize(
    "order",
    [
        *("0", "-1", "null", "true", "false", "1.5", "32.0", "1e5", "1e99", "1e1000000"),
        *("NaN", "Infinity", "-Infinity", "[]", "[32]", "{}", "9" * 5000, "9" * 129),
        *('""', '"0"', '"000"', '"-1"', '"+1"', '"abc def"', '" 32"', '"12,13"', '"12\\n"'),
        *('"١٢"', '"１２"', '"1\\u0000"', '"1.5"', '"_1"', '"null"', '"None"', '"pending"'),
        *('"Incorrect order ID"', f'"{"9" * 129}"', '"\\ud83d1"'),
    ],
)
def test_unusable_id_leaves_outcome_unknown(order: str) -> None:
    assert outcome(f'{{"status":"success","order":{order}}}'.encode()) == "unknown"


@pytest.mark.parametrize("quote", ["", '"'])
def test_longest_id_is_accepted(quote: str) -> None:
    body = f'{{"order":{quote}{"9" * 128}{quote}}}'

    assert decode(body.encode()).order == "9" * 128


@pytest.mark.parametrize(
    "other_fields",
    [
        *('"error":"low balance"', '"error":"Bad Link"', '"errors":["Bad Link"]', '"error":true'),
        *('"status":"error"', '"status":false', '"success":false', '"success":0'),
        *('"status":"fail","message":"Bad Link"', '"status":"Fail","charge":"0.10"'),
    ],
)
def test_error_beside_id_keeps_both(other_fields: str) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        decode(f'{{"order":32,{other_fields}}}'.encode())

    assert caught.value.order == "32"
    assert caught.value.text.startswith("the response contains both an order id and an error: ")


@pytest.mark.parametrize(
    ("fields", "order"),
    [
        ('"order_id":32', "32"),
        ('"orderId":"32"', "32"),
        ('"ORDER-ID":32', "32"),
        ('"id":32', "32"),
        ('"orders":[32,33]', "32"),
        ('"orders":[{"id":32}]', "32"),
        ('"order_ids":["ord_01HZX3"]', "ord_01HZX3"),
        ('"order":{"id":32}', "32"),
        ('"order":0,"order_id":32', "32"),
        ('"order":null,"data":{"order":32}', "32"),
        ('"data":{"orderId":32}', "32"),
        ('"data":[{"order":{"id":"32"}}]', "32"),
        ('"result":{"id":32}', "32"),
        ('"errors":[{"order_id":32}]', "32"),
        ('"order":"abc def"', None),
        ('"order_id":-1', None),
        ('"id":true', None),
        ('"order":"32\\n"', None),
        (f'"order":{"[" * 9}32{"]" * 9}', None),
    ],
)
def test_error_beside_id_under_another_name_is_unknown(fields: str, order: str | None) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        decode(f'{{"error":"Bad Link",{fields}}}'.encode())

    assert caught.value.order == order
    assert caught.value.text == "the response contains both an order id and an error: Bad Link"


@pytest.mark.parametrize("name", ["order", "order_id", "orderId", "id", "orders"])
@pytest.mark.parametrize(
    "value", ["null", "0", "0.0", "-0", '""', '"0"', "false", "[]", "{}", "[null]", '{"id":0}']
)
def test_no_id_beside_a_known_refusal_is_a_refusal(name: str, value: str) -> None:
    assert outcome(f'{{"error":"Bad Link","{name}":{value}}}'.encode()) == "refused"
    assert outcome(f'{{"error":"Bad Link","data":{{"{name}":{value}}}}}'.encode()) == "refused"


@pytest.mark.parametrize(
    "body",
    [
        '{"error":"Bad Link","errors":{"order":["is required"]}}',
        '{"error":"Bad Link","service":32}',
        '{"status":"fail","error":"Bad Link","data":{"service":{"id":5}}}',
    ],
)
def test_field_names_in_errors_and_other_ids_are_no_order_ids(body: str) -> None:
    assert outcome(body.encode()) == "refused"


@pytest.mark.parametrize("fields", ['"order_id":32', '"data":{"order":32}', '"order":[32]'])
def test_id_under_another_name_is_kept_as_evidence(fields: str) -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        decode(f'{{"status":"success",{fields}}}'.encode())

    assert (caught.value.order, caught.value.text) == ("32", "no usable order id")


@pytest.mark.parametrize("status", [200, *range(400, 430)])
def test_known_refusal_counts_under_http_200_and_400_to_429(status: int) -> None:
    expected = "unknown" if status in (408, 409, 425) else "refused"

    assert outcome(REFUSED, status) == expected


@pytest.mark.parametrize(
    "status",
    [
        *(101, 103, 199, 300, 301, 302, 303, 304, 305, 306, 307, 308, 399),
        *(430, 451, 499, 500, 502, 503, 504, *range(520, 531)),
    ],
)
@pytest.mark.parametrize("body", [PLACED, REFUSED, PAGE, b""])
def test_any_other_http_status_leaves_outcome_unknown(status: int, body: bytes) -> None:
    assert outcome(body, status) == "unknown"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
@pytest.mark.parametrize("body", [PLACED, PAGE, b"", b'{"error":"Try again later"}', b"[]"])
def test_http_error_without_known_refusal_leaves_outcome_unknown(status: int, body: bytes) -> None:
    assert outcome(body, status) == "unknown"


@pytest.mark.parametrize(
    "body",
    [
        *(PAGE, b"", b"[]", b"{}", b'"slower"', b"Too Many Requests", b'{"retry_after":30}'),
        *(b'{"error":"Try again later"}', b'{"message":"Too Many Attempts."}', b"<a id=5>"),
        b'{"error":"slower","order":null}',
    ],
)
def test_http_429_without_an_id_is_a_rate_limit(body: bytes) -> None:
    """Limiters answer before the panel's own code does."""
    with pytest.raises(RateLimitError) as caught:
        decode(body, 429, retry_after_s=7.0)

    assert (caught.value.retry_after_s, caught.value.action) == (7.0, "add")
    assert (caught.value.maybe_placed, caught.value.kind) == (False, ErrorKind.RATE_LIMIT)
    assert caught.value.raw == body.decode().strip()


@pytest.mark.parametrize(
    "body",
    [
        *(PLACED, b'{"order":32', b'{"Order_ID" : 32, "a":', b'[{"id":32}]', b'{"id":5}'),
        *(b'{"status":"success"}', b'{"error":"Order queued"}', b'{"message":"Your order 5"}'),
        *(b'{"error":"The provider limits requests"}', b'{"error":"slower","order":32}'),
        b'{"error":"Processing the previous one"}',
    ],
)
def test_http_429_that_may_be_about_an_order_is_unknown(body: bytes) -> None:
    assert outcome(body, 429) == "unknown"


def test_delay_of_a_rate_limit_is_read_from_its_text() -> None:
    with pytest.raises(RateLimitError) as caught:
        decode(b'{"error":"Slower, please wait 30 seconds"}', 429)

    assert caught.value.retry_after_s == 30.0


def test_listed_refusal_under_http_429_keeps_its_kind() -> None:
    with pytest.raises(RefusedError) as caught:
        decode(REFUSED, 429)

    assert caught.value.kind is ErrorKind.VALIDATION


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You have an active order with this link", "refused"),
        ("neworder.error.link_duplicate", "refused"),
        ("Bad Link", "unknown"),
        ("Conflict", "unknown"),
    ],
)
def test_http_409_is_a_refusal_only_with_the_text_of_a_duplicate(text: str, expected: str) -> None:
    assert outcome(f'{{"error":"{text}"}}'.encode(), 409) == expected


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("text", ["Unauthorized", "Unauthenticated.", "Access denied"])
def test_texts_of_frameworks_are_refusals_under_401_and_403(status: int, text: str) -> None:
    reply = Response(status=status, body=f'{{"message":"{text}"}}'.encode())

    with pytest.raises(AuthenticationError):
        decode_added(reply, API_V2, {"action": "add"}, SENT_AT)
    with pytest.raises(OutcomeUnknownError):
        decode_added(reply, SMMFANFAST, {"action": "add"}, SENT_AT)
    for other in (200, 400, 404):
        with pytest.raises(OutcomeUnknownError):
            decode_added(structs.replace(reply, status=other), API_V2, {}, SENT_AT)


def test_id_under_http_error_is_kept() -> None:
    with pytest.raises(OutcomeUnknownError) as caught:
        decode(PLACED, 400)

    assert (caught.value.order, caught.value.http_status) == ("32", 400)


@pytest.mark.parametrize("status", [403, 429, 503])
@pytest.mark.parametrize("body", [PAGE, PLACED, b""])
def test_challenge_refuses_the_order(status: int, body: bytes) -> None:
    with pytest.raises(BlockedError):
        decode(body, status, is_challenge=True)


@pytest.mark.parametrize("status", [200, 302, 500, 502])
def test_challenge_under_other_http_status_leaves_outcome_unknown(status: int) -> None:
    assert outcome(PAGE, status, is_challenge=True) == "unknown"


@pytest.mark.parametrize(
    "text",
    [
        "There was an error processing your request. Please try again later",
        *(
            "try again later",
            "processing",
            "timeout",
            "low balance",
            "Bad Linkage",
            "رصيدك غير كافٍ",
        ),
        *("Spam protection: wait 30 seconds", "Too many requests"),
    ],
)
def test_unknown_error_text_leaves_outcome_unknown(text: str) -> None:
    assert outcome(f'{{"error":"{text}"}}'.encode()) == "unknown"


@pytest.mark.parametrize("refusal", SMMFANFAST.refusals, ids=lambda refusal: refusal.text)
@pytest.mark.parametrize("wording", ["{}", "  {}! \\n", "{}. Please contact support."])
def test_every_refusal_text_of_the_profile_refuses(refusal: Refusal, wording: str) -> None:
    body = f'{{"error":"{wording.format(refusal.text)}"}}'.encode()

    with pytest.raises(RefusedError) as caught:
        decode(body)

    assert caught.value.kind is refusal.kind


@pytest.mark.parametrize(
    "text",
    [
        "Bad Link" + " " * 3000 + "Order 32 was created",
        "Bad Link" + "\u200b" * 3000 + "Order 32 was created",
        "Bad Link" + " ." * 300 + "Order 32 was created",
        "Bad Link; Order 32 was created",
        "Bad Link 32",
    ],
)
def test_text_that_goes_on_after_a_refusal_is_unknown(text: str) -> None:
    assert outcome(f'{{"error":"{text}"}}'.encode()) == "unknown"


@pytest.mark.parametrize("blanks", [0, 2000 - len('{"error":"Bad Link"}')])
def test_long_answer_may_be_a_refusal_up_to_a_limit(blanks: int) -> None:
    assert outcome(f'{{"error":{" " * blanks}"Bad Link"}}'.encode()) == "refused"
    assert outcome(f'{{"error":{" " * (blanks + 2000)}"Bad Link"}}'.encode()) == "unknown"


def test_several_refusals_are_one_and_one_unknown_text_is_enough() -> None:
    assert outcome(b'{"errors":["Quantity is required","Bad Link"]}') == "refused"
    assert outcome(b'{"errors":["Quantity is required","Saved as 32"]}') == "unknown"


def test_profile_may_list_rate_limit_as_refusal() -> None:
    profile = evolve(SMMFANFAST, refusals=(Refusal("One order a minute", ErrorKind.RATE_LIMIT),))
    reply = Response(status=200, body=b'{"error":"One order a minute!"}', retry_after_s=60.0)

    with pytest.raises(RateLimitError) as caught:
        decode_added(reply, profile, {}, SENT_AT)

    assert caught.value.retry_after_s == 60.0


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"  \r\n", PAGE, b"null", b"32", b'"32"', b"[]", b'[{"order":32}]', b"{}"),
        *(b'{"status":"success","order":3', b'{"status":"success"}', b'{"order":32}{"order":33}'),
        *(
            b'[{"order":32}',
            b'{"data" :{"order":32}',
            b'{"data":\n{"order":32}',
            b'[1,{"order":32}',
        ),
        *(b'{"a":1}<br>{"order":32}', b"{'order':32}", b'{"order":32,"order":32}'),
        *(b'{"order":32,"a":{"b":1,"b":2}}', b"[" * 10**6, b'{"order":' * 10**6),
        *(b'{"order":32,"a":' + b"[" * 985 + b"]" * 985 + b"}",),
        *(
            b'{"data":{"order":32}}',
            b'{"order":32}\xff',
            b'{"order":"\xff32"}',
            b"\x00" + PLACED + b"\x00",
        ),
    ],
)
def test_add_answer_that_is_not_one_object_is_unknown(body: bytes) -> None:
    assert outcome(body) == "unknown"


def test_http_204_leaves_outcome_unknown() -> None:
    assert outcome(b"", 204) == "unknown"


@pytest.mark.parametrize(
    "noise",
    [
        b"\xef\xbb\xbf",
        b" \r\n\t",
        b"<br />\n<b>Notice</b>: Undefined index: runs in <b>/srv/api.php</b> on line <b>4</b>\n",
        b"Warning: [8] Undefined offset {0} in list\n",
        b"\xef\xbb\xbf<p>caf\xe9</p>",
    ],
)
def test_noise_before_the_json_is_ignored(noise: bytes) -> None:
    assert decode(noise + PLACED + b" \n").order == "32"


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b'{"error":"Something new"}', 200, True),
        (b'\xef\xbb\xbf {"error":"Something new"}\n', 400, True),
        (b'{"status":"fail","message":"Something new"}', 200, True),
        (b'{"error":"Bad Link"}', 409, True),
        # The panel did more than to answer with an error.
        (b'<br>Notice {"error":"Something new"}', 200, False),
        (b'{"error":"' + b"x" * MAX_REFUSAL_CHARACTERS + b'"}', 200, False),
        (b'{"status":"fail"}', 200, False),
        (b'{"error":"Something new"}', 500, False),
        (b'{"error":"Something new","order":7}', 200, False),
        (b'{"error":"Something ne', 200, False),
        (b'["Something new"]', 200, False),
        (b'{"order":0}', 200, False),
    ],
)
def test_complete_error_answer_is_told_apart(body: bytes, status: int, expected: bool) -> None:  # noqa: FBT001
    with pytest.raises(OutcomeUnknownError) as caught:
        decode(body, status)

    assert caught.value.is_error_answer is expected
