"""Every shape of a refusal, in every call; and what each means for an order that was sent."""

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
BESIDE = "the response contains both an order id and an error"
AFTER = "error that may have occurred after the order was created"
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
    ("error_in_box.json", 200, AuthenticationError, Kind.AUTH, "Invalid API key"),
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

READS: list[Callable[[Response], object]] = [
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


@pytest.mark.parametrize("decode", READS)
@pytest.mark.parametrize(("name", "status", "kind_of", "kind", "text"), REFUSALS)
def test_every_call_knows_every_shape_of_a_refusal(
    decode: Callable[[Response], object],
    name: str,
    status: int,
    kind_of: type[PanelError],
    kind: Kind,
    text: str,
) -> None:
    with pytest.raises(PanelError) as caught:
        decode(sample(f"errors/{name}", status))

    assert (type(caught.value), caught.value.kind, caught.value.text) == (kind_of, kind, text)
    assert caught.value.http_status == status


@pytest.mark.parametrize("decode", READS)
@pytest.mark.parametrize("status", [403, 429, 503])
def test_challenge_at_the_edge_blocks_every_call(
    decode: Callable[[Response], object], status: int
) -> None:
    body = (SAMPLES / "errors/challenge.html").read_bytes()

    with pytest.raises(BlockedError):
        decode(Response(status=status, body=body, is_challenge=True))


@pytest.mark.parametrize(("name", "status", "kind_of", "kind", "text"), REFUSALS)
def test_add_is_refused_by_a_known_text_alone(
    name: str, status: int, kind_of: type[PanelError], kind: Kind, text: str
) -> None:
    refuses = issubclass(kind_of, RefusedError) and kind is not Kind.UNKNOWN
    # A bare text is no object, and an answer to `add` must be one.
    known = refuses and name != "bare_text.json"

    with pytest.raises(kind_of if known else OutcomeUnknownError) as caught:
        decode_added(sample(f"errors/{name}", status), SMMFANFAST, FORM, SENT_AT)

    assert caught.value.maybe_placed is not known
    assert not known or (caught.value.kind, caught.value.text) == (kind, text)


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
def test_placed(name: str, order: str) -> None:
    assert decode_added(sample(name), SMMFANFAST, FORM, SENT_AT) == AddedOrder(order=order)


@pytest.mark.parametrize(
    ("name", "why", "order"),
    [
        ("errors/error_beside_order.json", f"{BESIDE}: low balance", "32"),
        ("errors/empty.txt", "invalid response: empty", None),
        ("errors/server_error.html", "invalid response: not JSON", None),
        ("errors/bare_text.json", "invalid response: not an object", None),
        ("errors/order_that_failed.json", f"{BESIDE}: refused without a message", "32"),
        ("errors/too_many.json", f"{AFTER}: Too many requests", None),
        ("hostile/add_list.json", "invalid response: not an object", None),
        ("hostile/add_cut.json", "invalid response: more than one JSON value", None),
        ("hostile/add_trailing_text.json", "invalid response: more than one JSON value", None),
        (
            "hostile/add_names_twice.json",
            "invalid response: an object has a name twice",
            None,
        ),
        ("services_empty_data.json", "no usable order id", None),
    ],
)  # fmt: skip
def test_unknown_outcome_keeps_its_evidence(name: str, why: str, order: str | None) -> None:
    reply = sample(name)
    with pytest.raises(OutcomeUnknownError) as caught:
        decode_added(reply, SMMFANFAST, FORM, SENT_AT)

    error = caught.value
    assert (error.text, error.order, error.form, error.sent_at) == (why, order, FORM, SENT_AT)
    assert error.excerpt == reply.body.decode().strip()
    assert error.http_status == 200
