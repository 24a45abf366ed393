"""What an HTTP response means for calls that place no order, and where its JSON starts."""

from typing import Any

import pytest

from smmfanfast_async._wire.decode import decode_balance, decode_call, decode_statuses
from smmfanfast_async._wire.decode.json_values import (
    NestedTooDeepError,
    parse_lenient_json,
    parse_strict_json,
)
from smmfanfast_async.errors import (
    AuthenticationError,
    BlockedError,
    ErrorKind,
    InvalidResponseError,
    OrderNotFoundError,
    PanelError,
    RateLimitError,
    RefusedError,
    ServerError,
)
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import Response

PAGE = b"<html><body>Something went wrong</body></html>"
REFUSED = b'{"error":"Invalid API key"}'
BALANCE = b'{"balance":"1.00"}'


def error_of(body: bytes, status: int = 200, **more: Any) -> PanelError:
    with pytest.raises(PanelError) as caught:
        decode_balance(Response(status=status, body=body, **more), SMMFANFAST)
    return caught.value


@pytest.mark.parametrize("status", [400, 404, 408, 409, 413, 425, 430, 499])
@pytest.mark.parametrize(
    ("body", "error_class"),
    [
        (PAGE, InvalidResponseError),
        (b"", InvalidResponseError),
        (b"[]", InvalidResponseError),
        (BALANCE, InvalidResponseError),
        (REFUSED, AuthenticationError),
        (b'{"message":"Invalid API key"}', AuthenticationError),
        (b'{"message":"No such thing"}', RefusedError),
    ],
)
def test_http_400_to_499_is_a_refusal_or_invalid(
    status: int, body: bytes, error_class: type[PanelError]
) -> None:
    error = error_of(body, status)

    assert type(error) is error_class
    assert (error.http_status, error.action) == (status, "balance")


@pytest.mark.parametrize(
    ("status", "body", "error_class"),
    [
        (401, PAGE, AuthenticationError),
        (401, b"", AuthenticationError),
        (401, b'{"message":"No such thing"}', AuthenticationError),
        (403, b'{"message":"No such thing"}', AuthenticationError),
        (403, REFUSED, AuthenticationError),
        (403, PAGE, BlockedError),
        (403, b"", BlockedError),
        (403, b'{"error":"Spam protection"}', RateLimitError),
        (403, b'{"error":"Order not found"}', OrderNotFoundError),
    ],
)
def test_http_401_and_403_of_a_read_are_about_the_key_or_blocked(
    status: int, body: bytes, error_class: type[PanelError]
) -> None:
    error = error_of(body, status)

    assert type(error) is error_class
    assert (error.http_status, error.action) == (status, "balance")


@pytest.mark.parametrize("status", [401, 403])
def test_http_401_of_an_undocumented_call_has_no_kind_of_its_own(status: int) -> None:
    """It may create an order, so its error stays as careful as that of an `add`."""
    body = b'{"error":"No such thing"}'

    with pytest.raises(RefusedError) as caught:
        decode_call(Response(status=status, body=body), SMMFANFAST, "an_action")

    assert caught.value.kind is ErrorKind.UNKNOWN


@pytest.mark.parametrize("body", [PAGE, REFUSED, BALANCE, b""])
def test_http_429_is_a_rate_limit_with_any_body(body: bytes) -> None:
    error = error_of(body, 429)

    assert type(error) is RateLimitError
    assert error.text == ("Invalid API key" if body == REFUSED else "")


@pytest.mark.parametrize("status", [500, 502, 503, 504, *range(520, 527), 530, 599])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (PAGE, PAGE.decode()),
        (b"", ""),
        (BALANCE, BALANCE.decode()),
        (b'{"error":"Please try again later"}', "Please try again later"),
        (b'{"error":"Incorrect order ID"}', "Incorrect order ID"),
    ],
)
def test_http_500_and_above_is_a_server_error(status: int, body: bytes, text: str) -> None:
    error = error_of(body, status)

    assert (type(error), error.text, error.http_status) == (ServerError, text, status)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 306, 307, 308])
@pytest.mark.parametrize("body", [PAGE, BALANCE, REFUSED])
@pytest.mark.parametrize(
    ("location", "target"),
    [
        (None, "an unknown address"),
        ("https://other.example/\x1b[2J\n", "https://other.example/ [2J"),
    ],
)
def test_redirect_is_reported_and_its_body_ignored(
    status: int, body: bytes, location: str | None, target: str
) -> None:
    error = error_of(body, status, location=location)

    assert type(error) is InvalidResponseError
    assert error.text == f"redirected to {target}; redirects are not followed"


@pytest.mark.parametrize("status", [403, 429, 503])
def test_challenge_is_a_blocked_error(status: int) -> None:
    assert type(error_of(PAGE, status, is_challenge=True)) is BlockedError


@pytest.mark.parametrize("status", [101, 103])
def test_http_status_below_200_is_invalid(status: int) -> None:
    assert type(error_of(b"", status)) is InvalidResponseError


def test_http_204_is_invalid() -> None:
    assert error_of(b"", 204).text == "empty"


def test_body_under_http_201_is_decoded() -> None:
    reply = Response(status=201, body=b'{"1":{"status":"Pending","charge":"1"}}')

    assert decode_statuses(reply, SMMFANFAST, ["1"]).found["1"].raw_status == "Pending"  # type: ignore[union-attr]


def call(body: bytes) -> object:
    return decode_call(Response(status=200, body=body), SMMFANFAST, "me")


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbf \r\n",
        b"<br />\n<b>Notice</b>: Undefined index in <b>/srv/api.php</b> on line <b>4</b><br />\n",
        b"Notice: [8] Undefined offset {0}\n",
        b"Array\n(\n    [0] => x\n)\n",
        b"<p>caf\xe9</p>",
        b"x" * (64 * 1024 - 1),
        b"[ " * 31 + b"x ",
    ],
)
@pytest.mark.parametrize("trailing", [b"", b" \r\n\t\n"])
def test_noise_before_and_whitespace_after_json_are_ignored(noise: bytes, trailing: bytes) -> None:
    assert call(noise + b'{"a":[1,{"b":2}]}' + trailing) == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"null", "not JSON"),
        (b"12", "not JSON"),
        (b"true", "not JSON"),
        (b"<html></html>", "not JSON"),
        (b'"Incorrect', "not JSON"),
        (b'"Incorrect" order', "not JSON"),
        (b'{"a":1', "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1,}', "not JSON"),
        (b'{"a":[1]', "not JSON"),
        (b'{"a":1} x', "more than one JSON value"),
        (b'{"a":1}{"a":2}', "more than one JSON value"),
        (b'<i>{"a":1}</i>{"a":2}', "more than one JSON value"),
        (b'{"a":{"b":1}', "more than one JSON value"),
        (b'{"a" : {"b":1}', "more than one JSON value"),
        (b'[{"b":1}', "more than one JSON value"),
        (b'[1, {"b":1}', "more than one JSON value"),
        (b"x" * 64 * 1024 + b'{"a":1}', "not JSON"),
        (b"[ " * 32 + b'x {"a":1}', "not JSON"),
        (b'{"a":[' + b"1," * 50_000 + b'{"b":1}', "not JSON"),
        (b"[" * 10**6, "nested too deep"),
        (b'{"a":' * 10**6, "nested too deep"),
        (b"[" * 10**6 + b"]" * 10**6, "nested too deep"),
    ],
)
def test_body_without_exactly_one_json_value_is_invalid(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidResponseError) as caught:
        call(body)

    assert caught.value.text == reason


def test_excerpt_is_the_first_500_characters_sanitized() -> None:
    error = error_of(b"\x1b[31m\n" + "é".encode() * 10**6)

    assert isinstance(error, InvalidResponseError)
    assert error.excerpt == "[31m " + "é" * 495


def test_numbers_are_exact_or_kept_as_text() -> None:
    long = b"9" * 5000
    found = call(b'{"a":1,"b":0.10,"c":1e1000000,"d":NaN,"e":-Infinity,"f":1e-3,"g":%b}' % long)

    assert repr(found) == (
        "{'a': 1, 'b': Decimal('0.10'), 'c': '1e1000000', 'd': 'NaN', 'e': '-Infinity', "
        f"'f': Decimal('0.001'), 'g': '{long.decode()}'}}"
    )


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\ud83d\ude00", "\N{GRINNING FACE}"),
        (r"\uD83D\uDE00", "\N{GRINNING FACE}"),
        (r"\ud83d", "\ufffd"),
        (r"\udc00", "\ufffd"),
        (r"\ude00\ud83d", "\ufffd\ufffd"),
        (r"\ud83d\ud83d\ude00", "\ufffd\N{GRINNING FACE}"),
        (r"\ud83d\ude00\ude00", "\N{GRINNING FACE}\ufffd"),
        (r"\ud83dx\ude00", "\ufffdx\ufffd"),
        # An escaped backslash does not start an escape.
        (r"\\ud83d", r"\ud83d"),
        (r"\\\ud83d", "\\\ufffd"),
        (r"\\\\ud83d", r"\\ud83d"),
        (r"\\ud83d\ude00", "\\ud83d\ufffd"),
        (r"\ud83d\\ude00", "\ufffd\\ude00"),
        (r"\/\u00e9\ud83", None),
    ],
)
def test_lone_surrogate_becomes_the_replacement_character(escaped: str, text: str | None) -> None:
    body = f'{{"a":"{escaped}"}}'.encode()

    if text is None:
        with pytest.raises(InvalidResponseError):
            call(body)
    else:
        assert call(body) == {"a": text}


@pytest.mark.parametrize("read", [parse_lenient_json, parse_strict_json])
@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**6])
def test_too_deep_nesting_is_a_value_error(read: Any, text: str) -> None:
    with pytest.raises(NestedTooDeepError):
        read(text)
