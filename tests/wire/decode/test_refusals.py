"""Each text of a refusal has its error class and kind; delays are passed on."""

from typing import Any

import pytest

from smmfanfast_async._wire.decode import decode_balance, decode_statuses
from smmfanfast_async._wire.decode.refusals import MAX_TEXT_CHARACTERS, find_error_text
from smmfanfast_async.errors import (
    AuthenticationError,
    ErrorKind,
    InsufficientFundsError,
    OrderNotFoundError,
    PanelError,
    RateLimitError,
    RefusedError,
    ServerError,
)
from smmfanfast_async.profile import SMMFANFAST, Refusal
from smmfanfast_async.results import Response

CLASSES = {
    ErrorKind.AUTH: AuthenticationError,
    ErrorKind.FUNDS: InsufficientFundsError,
    ErrorKind.NOT_FOUND: OrderNotFoundError,
}


def error_of(body: str, status: int = 200, **more: Any) -> PanelError:
    with pytest.raises(PanelError) as caught:
        decode_balance(Response(status=status, body=body.encode(), **more), SMMFANFAST)
    return caught.value


@pytest.mark.parametrize("refusal", SMMFANFAST.refusals, ids=lambda refusal: refusal.text)
def test_every_refusal_text_has_its_error_class(refusal: Refusal) -> None:
    error = error_of(f'{{"error":"{refusal.text.upper()}: please read the documentation"}}')

    assert type(error) is CLASSES.get(refusal.kind, RefusedError)
    assert error.kind is refusal.kind
    assert error.text.startswith(refusal.text.upper())


# Texts of known panels, each exactly as the panel writes it.
@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            "API is Disable for this user or User Not Found! Contact the Support",
            ErrorKind.AUTH,
        ),
        ("There are missing required parameters. Read the documentation", ErrorKind.VALIDATION),
        (
            "Quantity must to be greater than or equal to minimum amount 10",
            ErrorKind.VALIDATION,
        ),
        (
            "Quantity must to be less than or equal to maximum amount 1000",
            ErrorKind.VALIDATION,
        ),
        ("neworder.error.link_duplicate", ErrorKind.DUPLICATE),
        ("neworder.error.link", ErrorKind.VALIDATION),
        ("This services does not support Dripfeed feature!", ErrorKind.VALIDATION),
        ("Order ID is required parameter. Read the documentation", ErrorKind.VALIDATION),
        ("You have an active order with this link. Wait for it", ErrorKind.DUPLICATE),
        ("There was an error processing your request. Please try again later", ErrorKind.UNKNOWN),
        ("Bad Linkage", ErrorKind.UNKNOWN),
    ],
)
def test_documented_texts_have_their_kind(text: str, kind: ErrorKind) -> None:
    error = error_of(f'{{"error":"{text}"}}')

    assert (error.kind, error.text) == (kind, text)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ({"error": "x"}, "x"),
        ({"error": ["x", None, "y"]}, "x; y"),
        ({"error": {"link": ["x"], "runs": ["y", "z"]}}, "link: x; runs: y; z"),
        ({"error": {"code": 5, "message": "x"}}, "x"),
        ({"error": {"code": 5}}, "code: 5"),
        ({"error": 104}, "104"),
        ({"error": 104, "message": "x"}, "x"),
        ({"error": True}, "refused without a message"),
        ({"error": True, "message": "x"}, "x"),
        ({"errors": ["x"]}, "x"),
        ({"message": "m", "errors": {"link": ["x"]}}, "m: link: x"),
        ({"status": "error", "error": "x"}, "x"),
        ({"status": "Fail", "message": "x"}, "x"),
        ({"status": False, "msg": "x"}, "x"),
        ({"status": "failed"}, "refused without a message"),
        ({"success": False, "msg": "x"}, "x"),
        ({"success": "false", "description": "x"}, "x"),
        ({"success": 0, "detail": "x"}, "x"),
        ({"status": False, "data": {"msg": "x"}}, "x"),
        ({"status": "error", "data": "x"}, "x"),
        # Not errors.
        ({}, None),
        ({"error": None}, None),
        ({"error": ""}, None),
        ({"error": " \n"}, None),
        ({"error": False}, None),
        ({"error": 0}, None),
        ({"error": []}, None),
        ({"error": {}}, None),
        ({"error": {"link": None}}, None),
        ({"errors": []}, None),
        ({"status": "success", "message": "x"}, None),
        ({"success": True, "msg": "x"}, None),
        ({"message": "x"}, None),
    ],
)
def test_error_text_is_found_in_every_format(answer: dict[str, object], text: str | None) -> None:
    assert find_error_text(answer) == text


@pytest.mark.parametrize(
    ("answer", "text"),
    [({"message": "x"}, "x"), ({"detail": "x"}, "x"), ({"order": 32}, None), ({}, None)],
)
def test_message_alone_counts_under_http_error(answer: dict[str, object], text: str | None) -> None:
    assert find_error_text(answer, is_http_error=True) == text


@pytest.mark.parametrize("nesting", ['{"error":', '{"a":', "["])
@pytest.mark.parametrize("depth", [7, 30, 498])
def test_deeply_nested_error_is_an_error(nesting: str, depth: int) -> None:
    closing = "]" if nesting == "[" else "}"

    error = error_of(f'{{"error":{nesting * depth}"x"{closing * depth}}}')

    assert error.text.endswith("error")


def test_text_is_one_sanitized_bounded_line() -> None:
    error = error_of('{"error":"a\\nb\\u001b[31m\\u202ec' + "x" * 10**6 + '"}')

    assert error.text.startswith("a b [31m c")
    assert len(error.text) == MAX_TEXT_CHARACTERS


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("Spam protection: wait 30 seconds", 30.0),
        ("Please wait 1 minute", 60.0),
        ("Please wait for 2 min.", 120.0),
        ("WAIT 15S", 15.0),
        ("Too many requests. Try again in 30 seconds.", 30.0),
        ("Rate limit exceeded. Retry after 2 minutes", 120.0),
        ("Too many requests, retry in 5s", 5.0),
        ("please wait at least 999999 seconds", 999999.0),
        ("Spam protection", None),
        ("Too many requests", None),
        ("Rate limit exceeded, wait 9999999 seconds", None),
        ("rate limit: wait ٣٠ seconds", None),
    ],
)
def test_rate_limit_is_recognized_by_its_text(text: str, wait_s: float | None) -> None:
    error = error_of(f'{{"error":"{text}"}}')

    assert isinstance(error, RateLimitError)
    assert error.retry_after_s == wait_s


@pytest.mark.parametrize("text", ["Waiting list is full", "wait for the moderator"])
def test_wait_without_a_time_is_not_a_rate_limit(text: str) -> None:
    assert type(error_of(f'{{"error":"{text}"}}')) is RefusedError


@pytest.mark.parametrize(
    ("status", "body", "header_s", "wait_s"),
    [
        (429, "", 7.0, 7.0),
        (429, "", 0.0, 0.0),
        (429, "", None, None),
        (429, '{"error":"wait 30 seconds"}', None, 30.0),
        (429, '{"error":"wait 30 seconds"}', 7.0, 7.0),
        (429, '{"error":"Invalid API key"}', 7.0, 7.0),
        (403, '{"error":"Spam protection"}', 7.0, 7.0),
        (200, '{"error":"Spam protection"}', 7.0, 7.0),
        (503, "<html></html>", 7.0, 7.0),
        (503, '{"error":"wait 30 seconds"}', None, 30.0),
    ],
)
def test_retry_after_header_takes_precedence(
    status: int, body: str, header_s: float | None, wait_s: float | None
) -> None:
    error = error_of(body, status, retry_after_s=header_s)

    assert type(error) is (ServerError if status == 503 else RateLimitError)
    assert (error.retry_after_s, error.http_status) == (wait_s, status)


def test_each_id_of_a_batch_has_its_own_error() -> None:
    body = b'{"1":"Incorrect order ID","2":"Incorrect order ID"}'

    found = decode_statuses(Response(status=200, body=body), SMMFANFAST, ["1", "2"]).found

    assert found["1"] is not found["2"]
