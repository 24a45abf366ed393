"""The grammar of refusals: what panels say before they create an order, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import refusal_texts

from smmfanfast_async._refusals.grammar import MAX_CHARACTERS, find_kind, find_kind_of_read
from smmfanfast_async.errors import ErrorKind
from smmfanfast_async.profile import API_V2, SMMFANFAST

# Texts of panels (seen), by kind.
RECOGNIZED: dict[ErrorKind, list[str]] = {
    ErrorKind.AUTH: [
        "The account does not exists",
        "API key invalid",
        "Your account is inactive",
        "Invalid API Key.",
        "The account is inactive.",
        "The api key field is required",
        "Invalid api key",
        "Missing key",
        "API access disabled",
        "Invalid API Key",
        "API Key is required",
        "User account is inactive",
        "User not found",
    ],
    ErrorKind.VALIDATION: [
        "Bad Link",
        "Quantity is required",
        "Comments field is required",
        "Quantity must to be greater than or equal to minimum amount 100",
        "Quantity must to be less than or equal to maximum amount 10000",
        "This services does not support Dripfeed feature!",
        "Interval time is required",
        "Invalid Interval in minutes",
        "Runs is required",
        "Invalid Link",
        "Missing data",
        "You must fill in the required fields.",
        "Enter a value above the minimum number.",
        "Maximum number exceed.",
        "Incorrect request.",
        "Link field is required.",
        "Order quantity field is required.",
        "The quantity specified must be less than the maximum quantity.",
        "The quantity specified must be greater than the minimum quantity.",
        "The action field is required",
        "The link field is required.",
        "The link field must be a valid URL.",
        "The quantity field is required.",
        "The quantity field must be at least 100.",
        "The quantity field must not be greater than 10000.",
        "The comments field is required.",
        "The username field is required.",
        "The delay field is required.",
        "The selected delay is invalid.",
        "The posts field is required.",
        "Incorrect parameters: service, link and quantity are required.",
        "Quantity must be between 10 and 1000",
        "Invalid url",
        "Number must be greater than 0",
        "Invalid request",
        "Incorrect username",
        "Incorrect min",
        "Incorrect comments",
        "Quantity must be a multiple of 100 (try 1000)",
        "Dripfeed is not supported by this service",
        "Incorrect runs",
        "Incorrect interval",
        "Scheduling is disabled",
        "Incorrect start_at",
        "Invalid runs (1-100)",
        "Invalid interval (5-10080 minutes)",
        "Missing required parameter: action",
        "Link / username required",
        "Minimum quantity is 10",
        "Maximum quantity is 100",
        "Min/Max order is: 100/1000",
        "Missing parameters",
        "service, link and quantity are required",
        "Missing required parameters: service, link",
        "Missing required parameters: quantity or comments",
        "neworder.error.invalid_link",
        "neworder.error.invalid_quantity",
        "neworder.error.link_not_found",
        "error.invalid_link",
        "Min quantity",
        "Max quantity",
        "neworder.error.not_enough_quantity",
        "Quantity must be between 100 and 1000",
    ],
    ErrorKind.SERVICE: [
        "Service ID does not exists",
        "Service not found or inactive",
        "Incorrect Service ID.",
        "Package or service not found.",
        "Package or Service currently not supported.",
        "Package or Service is disabled.",
        "Invalid service ID",
        "Service discontinued",
        "Service incorrect request",
        "The selected service is invalid.",
        "Invalid service or quantity",
        "neworder.error.service_not_found",
        "neworder.error.service_inactive",
        "neworder.error.invalid_service",
        "neworder.error.incorrect_service_id",
        "error.invalid_service",
        "Invalid service",
    ],
    ErrorKind.FUNDS: [
        "Not enough funds on balance",
        "Your balance is insufficient.",
        "You don't have sufficient balance to place this order.",
        "You do not have enough funds to place this order.",
        "Not enough balance",
        "Insufficient balance. Need $1.5000",
        "Not enough funds",
        "neworder.error.not_enough_funds",
    ],
    ErrorKind.DUPLICATE: [
        "You have an active order with this link. Please wait until the order is completed",
        "You cannot start a new order with the same link that is active processing order.",
        "You cannot start a new order with the same link that is already in progress.",
        "Active order already exists for this link.",
        "neworder.error.link_duplicate",
        "error.duplicate_order",
    ],
    ErrorKind.RATE_LIMIT: [
        "Too many requests. Slow down.",
        "Rate limit exceeded",
        "Too many requests",
        "neworder.error.too_many_orders",
    ],
}

# Texts that panels send after an order was created, or nobody can tell (seen).
UNCERTAIN = [
    "There was an error processing your request. Please try again later",
    "There was an error while creating your order.",
    "Something went wrong.",
    "Something went wrong while placing a manual order",
    "Error: Failed to update user balance",
    "Failed to place order. Please try again.",
    "Order failed",
    "Request failed",
    "Order could not be placed",
    "Order could not be created",
    "The order could not be placed. Please try again.",
    "The refill request could not be processed.",
    "Failed to place order",
    "Order failed: Provider timeout",
    "Refill request failed",
    "Failed to process order",
    "Provider temporarily unavailable. Your balance has been refunded.",
    "neworder.error",
    "order.error",
]

# Close to refusals, and not certain.
OTHER = [
    "Service temporarily unavailable",
    "Service is not available",
    "Service disabled by provider",
    "Not enough funds on provider account",
    "Insufficient balance 12345",
    "Invalid API key (upstream)",
    "Unauthorized",
    "Bad request",
    "Invalid response",
    "Invalid link. Order 5 created",
    "Invalid link 12345",
    "Invalid order",
    "Order not found",
    "Quantity is not required",
    "Too many requests, try again later",
    "error.link_processing",
    "neworder.error.not_enough_funds.provider",
    "",
    "!",
]
OTHER_WORDINGS = [
    (text, kind)
    for kind, texts in refusal_texts.OTHER_WORDINGS.items()
    for text in texts.strip().splitlines()
]
TEXTS = [text for texts in RECOGNIZED.values() for text in texts]
ALL_TEXTS = [*TEXTS, *(text for text, _ in OTHER_WORDINGS)]

# Errors of calls that cannot create an order (seen).
READS: dict[ErrorKind, list[str]] = {
    ErrorKind.NOT_FOUND: [
        "Order not found.",
        "order_not_found",
        "No order was placed with this ORDER ID.",
        "The selected order id is invalid.",
        "Incorrect order IDs",
        "Invalid orders",
        "Invalid refills",
        "Order 12345 not found",
        "Order does not exist",
        "Refill Request Not found",
        "Order Incorrect request",
        "This order does not belong to you",
    ],
    ErrorKind.VALIDATION: [
        "Refill not allowed",
        "The order field is required",
        "Refill or refills parameter is required.",
        "You are not eligible to send refill request.",
        "You are not eligible to cancel this order.",
        "Order ID is required",
        "order id(s) required",
        "order(s) required",
        "Order must be completed before it can be refilled",
        "Order can no longer be canceled",
        "Order cannot be canceled",
        "Order not found or not eligible for refill",
        "Order not found or cannot be cancelled",
        "Refill period has expired",
        "Cancellation not allowed for this service",
        "No more than 100 orders per request",
        "Too many orders",
        "This order cannot be refilled",
        "Refill is not available for this service",
        "Order is already canceled",
    ],
    ErrorKind.AUTH: ["Invalid API key", "Your account is suspended"],
    ErrorKind.SERVICE: ["Invalid service"],
    ErrorKind.RATE_LIMIT: ["Too many requests"],
}


@pytest.mark.parametrize(
    ("text", "kind"), [(text, kind) for kind, texts in RECOGNIZED.items() for text in texts]
)
def test_texts_of_panels_have_their_kind(text: str, kind: ErrorKind) -> None:
    assert find_kind(text) is kind
    assert find_kind(f"  {text.upper()}!\n") is kind


@pytest.mark.parametrize("text", [*UNCERTAIN, *OTHER])
def test_text_that_is_not_certain_is_not_a_refusal(text: str) -> None:
    assert find_kind(text) is None


@pytest.mark.parametrize(("text", "kind"), OTHER_WORDINGS)
def test_other_wordings_have_their_kind(text: str, kind: ErrorKind) -> None:
    """Texts that no code base has, worded as other programmers would."""
    assert find_kind(text) is kind


@pytest.mark.parametrize("text", refusal_texts.UNCERTAIN.splitlines())
def test_text_after_which_an_order_may_exist_is_not_a_refusal(text: str) -> None:
    assert find_kind(text) is None


@given(
    st.sampled_from(ALL_TEXTS),
    st.sampled_from(
        [
            *("created", "placed", "provider", "upstream", "later", "processing", "timeout"),
            *("temporarily", "queued", "success", "ord_01HZX3", "order_12345", "refunded"),
            *("try again", "order 12345", "saved as 5", "order id 5", "and the order was sent"),
            *("accepted", "submitted", "on hold", "order canceled", "partially", "yes"),
        ]
    ),
    st.integers(0, 25),
)
def test_any_inserted_word_makes_a_text_unknown(text: str, more: str, at: int) -> None:
    words = text.split()
    words.insert(min(at, len(words)), more)

    assert find_kind(" ".join(words)) is None


@given(
    st.sampled_from(ALL_TEXTS),
    st.sampled_from(
        [
            "Order 12345 created",
            "Your order was placed",
            "Please try again later",
            "The order is pending",
            "order: 12345",
            "Provider error",
        ]
    ),
    st.sampled_from([". ", "; ", ", ", " - ", ": ", " (", "\n", " "]),
)
def test_any_added_clause_makes_a_text_unknown(text: str, clause: str, joint: str) -> None:
    assert find_kind(f"{text}{joint}{clause}") is None
    assert find_kind(f"{clause}{joint}{text}") is None


@given(st.lists(st.sampled_from(" ".join(ALL_TEXTS).split()), min_size=1, max_size=30))
def test_any_words_are_examined_without_failing(words: list[str]) -> None:
    find_kind(" ".join(words))


@given(st.text(max_size=200))
def test_any_text_is_examined_without_failing(text: str) -> None:
    find_kind(text)


@pytest.mark.parametrize(
    ("text", "kind"), [(text, kind) for kind, texts in READS.items() for text in texts]
)
def test_errors_of_reads_have_their_kind(text: str, kind: ErrorKind) -> None:
    assert find_kind_of_read(text) is kind
    assert SMMFANFAST.refusal_kind(text, "status") in {kind, SMMFANFAST.refusal_kind(text)}


@pytest.mark.parametrize("text", READS[ErrorKind.NOT_FOUND])
def test_order_not_found_is_no_refusal_of_an_add(text: str) -> None:
    assert find_kind(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "The quantity field is required. (and 2 more errors)",
        "Insufficient balance. Required: $12.00, Available: $3.50. Please contact support.",
        "Quantity too low. Minimum is 10",
        "Invalid link; invalid quantity",
        "link: The link field is required.",
        "Error: Service not found",
    ],
)
def test_several_sentences_are_a_refusal_if_each_is(text: str) -> None:
    assert find_kind(text) is not None


@pytest.mark.parametrize("text", [
    "Insufficient balance. Need $1.50", "Not enough funds on your balance (0.03 USD)",
    "Quantity must be between 1,000 and 10 000", "Invalid runs (1-100)",
    "Maximum quantity is 10 000", "Minimum quantity: 100",
])  # fmt: skip
def test_limits_and_amounts_belong_to_a_text(text: str) -> None:
    assert find_kind(text) is not None


def test_long_text_is_not_examined() -> None:
    text = "Bad link"

    assert find_kind(text.ljust(MAX_CHARACTERS)) is ErrorKind.VALIDATION
    assert find_kind(text.ljust(MAX_CHARACTERS + 1)) is None


def test_grammar_is_on_for_api_v2_only() -> None:
    text = "The link field is required; Service not found or inactive"

    assert API_V2.refusal_kind(text) is ErrorKind.VALIDATION
    assert SMMFANFAST.refusal_kind(text) is None
