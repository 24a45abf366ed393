"""Every format of a refusal, in every call, and what each means for an order that was sent."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from support.decoding import SAMPLES, sample

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
from smmfanfast_async.errors import (
    AuthenticationError,
    BlockedError,
    InsufficientFundsError,
    InvalidResponseError,
    OrderNotFoundError,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    RefusedError,
    ServerError,
)
from smmfanfast_async.errors import ErrorKind as Kind
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import AddedOrder, Response

SENT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ERROR_AND_ID = "the response contains both an order id and an error"
MAYBE_AFTER = "error that may have occurred after the order was created"
FORM = {"action": "add", "service": "5", "link": "https://example.com/p/1", "quantity": "100"}


BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
)

REFUSALS: list[tuple[str, int, type[PanelError], Kind, str]] = [
    ("error.json", 200, OrderNotFoundError, Kind.NOT_FOUND, "Incorrect order ID"),
    ("error_arabic.json", 200, RefusedError, Kind.UNKNOWN, "رصيدك غير كافٍ"),
    (
        "status_error_with_error.json",
        200,
        InsufficientFundsError,
        Kind.FUNDS,
        "Not enough funds on balance",
    ),
    ("status_fail_with_message.json", 200, RefusedError, Kind.VALIDATION, "This action is Invalid"),
    ("status_false_with_msg.json", 200, RefusedError, Kind.VALIDATION, "Bad Link"),
    ("success_false_with_msg.json", 200, AuthenticationError, Kind.AUTH, "Invalid API key"),
    (
        "status_false_with_data_msg.json",
        200,
        RefusedError,
        Kind.SERVICE,
        "Service ID does not exists",
    ),
    ("errors_list.json", 200, RefusedError, Kind.VALIDATION, "Quantity is required; Bad Link"),
    (
        "errors_by_field.json",
        422,
        RefusedError,
        Kind.UNKNOWN,
        "The given data was invalid.: link: The link field is required.; quantity: Too few.",
    ),
    ("error_nested.json", 200, AuthenticationError, Kind.AUTH, "Invalid API key"),
    ("error_true_with_message.json", 200, AuthenticationError, Kind.AUTH, "Invalid API key"),
    ("bare_text.json", 200, OrderNotFoundError, Kind.NOT_FOUND, "Incorrect order ID"),
    (
        "wait.json",
        200,
        RateLimitError,
        Kind.RATE_LIMIT,
        "Spam protection: please wait 30 seconds",
    ),
    ("too_many.json", 429, RateLimitError, Kind.RATE_LIMIT, "Too many requests"),
    ("empty.txt", 200, InvalidResponseError, Kind.MALFORMED, "empty"),
    (
        "empty.txt",
        404,
        InvalidResponseError,
        Kind.MALFORMED,
        "HTTP error without a message from the panel",
    ),
    (
        "redirect.html",
        301,
        InvalidResponseError,
        Kind.MALFORMED,
        "redirected to an unknown address; redirects are not followed",
    ),
    (
        "server_error.html",
        502,
        ServerError,
        Kind.SERVER,
        BAD_GATEWAY,
    ),
]

READERS: list[Callable[[Response], object]] = [
    lambda reply: decode_status(reply, SMMFANFAST, "7"),
    lambda reply: decode_statuses(reply, SMMFANFAST, ["7", "8"]),
    lambda reply: decode_services(reply, SMMFANFAST),
    lambda reply: decode_balance(reply, SMMFANFAST),
    lambda reply: decode_refill(reply, SMMFANFAST, "7"),
    lambda reply: decode_refills(reply, SMMFANFAST, ["7", "8"]),
    lambda reply: decode_refill_statuses(reply, SMMFANFAST, ["7"]),
    lambda reply: decode_refill_statuses(reply, SMMFANFAST, ["7", "8"]),
    lambda reply: decode_cancels(reply, SMMFANFAST, ["7", "8"]),
    lambda reply: decode_call(reply, SMMFANFAST, "orders"),
]


@pytest.mark.parametrize("decode", READERS)
@pytest.mark.parametrize(("name", "status", "error_class", "kind", "text"), REFUSALS)
def test_every_call_recognizes_every_refusal_format(
    decode: Callable[[Response], object],
    name: str,
    status: int,
    error_class: type[PanelError],
    kind: Kind,
    text: str,
) -> None:
    with pytest.raises(PanelError) as caught:
        decode(sample(f"errors/{name}", status))

    assert (type(caught.value), caught.value.kind, caught.value.text) == (error_class, kind, text)
    assert caught.value.http_status == status


@pytest.mark.parametrize("decode", READERS)
@pytest.mark.parametrize("status", [403, 429, 503])
def test_challenge_blocks_every_call(decode: Callable[[Response], object], status: int) -> None:
    body = (SAMPLES / "errors/challenge.html").read_bytes()

    with pytest.raises(BlockedError):
        decode(Response(status=status, body=body, is_challenge=True))


@pytest.mark.parametrize(("name", "status", "error_class", "kind", "text"), REFUSALS)
def test_only_a_known_text_refuses_an_add(
    name: str, status: int, error_class: type[PanelError], kind: Kind, text: str
) -> None:
    is_known = issubclass(error_class, RefusedError) and kind is not Kind.UNKNOWN
    # A limiter answers before the panel's own code does.
    is_known = is_known or status == 429
    # A bare text is not an object, as a response to `add` must be.
    is_refused = is_known and name != "bare_text.json"

    with pytest.raises(error_class if is_refused else OutcomeUnknownError) as caught:
        decode_added(sample(f"errors/{name}", status), SMMFANFAST, FORM, SENT_AT)

    assert caught.value.maybe_placed is not is_refused
    assert not is_refused or (caught.value.kind, caught.value.text) == (kind, text)


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("add_document.json", "32"),
        ("add_id_as_text.json", "48213"),
        ("add_api_v2.json", "23501"),
        ("add_php_notice.html", "32"),
        ("errors/error_null.json", "32"),
        ("errors/error_empty.json", "32"),
    ],
)
def test_add_samples_are_placed(name: str, order: str) -> None:
    assert decode_added(sample(name), SMMFANFAST, FORM, SENT_AT) == AddedOrder(order=order)


@pytest.mark.parametrize(
    ("name", "reason", "order"),
    [
        ("errors/error_beside_order.json", f"{ERROR_AND_ID}: low balance", "32"),
        ("errors/empty.txt", "invalid response: empty", None),
        ("errors/server_error.html", "invalid response: not JSON", None),
        ("errors/bare_text.json", "invalid response: not an object", None),
        ("errors/order_that_failed.json", f"{ERROR_AND_ID}: refused without a message", "32"),
        ("errors/too_many.json", f"{MAYBE_AFTER}: Too many requests", None),
        ("hostile/add_list.json", "invalid response: not an object", None),
        ("hostile/add_truncated.json", "invalid response: more than one JSON value", None),
        ("hostile/add_trailing_text.json", "invalid response: more than one JSON value", None),
        (
            "hostile/add_duplicate_names.json",
            "invalid response: an object has a name twice",
            None,
        ),
        ("services_empty_data.json", "no usable order id", None),
    ],
)  # fmt: skip
def test_unknown_outcome_keeps_its_evidence(name: str, reason: str, order: str | None) -> None:
    reply = sample(name)
    with pytest.raises(OutcomeUnknownError) as caught:
        decode_added(reply, SMMFANFAST, FORM, SENT_AT)

    error = caught.value
    assert (error.text, error.order, error.form, error.sent_at) == (reason, order, FORM, SENT_AT)
    assert error.excerpt == reply.body.decode().strip()
    assert error.http_status == 200
