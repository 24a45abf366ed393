"""Profiles: what the two panels support, and which texts are refusals."""

import copy
import pickle

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async.errors import ErrorKind, InvalidSettingsError
from smmfanfast_async.orders import API_V2_ORDER_TYPES, DELAYS_MINUTES, ORDER_TYPES
from smmfanfast_async.profile import API_V2, SMMFANFAST, Profile, Refusal

# The texts of the panel script, some with what it appends.
TEXTS = {
    "API is Disable for this user or User Not Found! Contact the Support": ErrorKind.AUTH,
    "Invalid API key": ErrorKind.AUTH,
    "The account does not exists": ErrorKind.AUTH,
    "This action is Invalid": ErrorKind.VALIDATION,
    "Incorrect request": ErrorKind.VALIDATION,
    "There are missing required parameters. Please check your API Manual": ErrorKind.VALIDATION,
    "Service ID does not exists": ErrorKind.SERVICE,
    "error.incorrect_service_id": ErrorKind.SERVICE,
    "neworder.error.service_not_found": ErrorKind.SERVICE,
    "Bad Link": ErrorKind.VALIDATION,
    "neworder.error.invalid_link": ErrorKind.VALIDATION,
    "neworder.error.link_duplicate": ErrorKind.DUPLICATE,
    "neworder.error.link": ErrorKind.VALIDATION,
    "Quantity is required": ErrorKind.VALIDATION,
    "Comments field is required": ErrorKind.VALIDATION,
    "Quantity must to be greater than or equal to minimum amount 500": ErrorKind.VALIDATION,
    "Quantity must to be less than or equal to maximum amount 10000": ErrorKind.VALIDATION,
    "neworder.error.min_quantity": ErrorKind.VALIDATION,
    "neworder.error.max_quantity": ErrorKind.VALIDATION,
    "Not enough funds on balance": ErrorKind.FUNDS,
    "neworder.error.not_enough_funds": ErrorKind.FUNDS,
    "This services does not support Dripfeed feature!": ErrorKind.VALIDATION,
    "Interval time is required": ErrorKind.VALIDATION,
    "Invalid Interval in minutes": ErrorKind.VALIDATION,
    "Runs is required": ErrorKind.VALIDATION,
    "You have an active order with this link. Please wait until it ends": ErrorKind.DUPLICATE,
    "Order ID is required parameter. Please check your API Manual": ErrorKind.VALIDATION,
    "Incorrect order ID": ErrorKind.NOT_FOUND,
    "Refill not found": ErrorKind.NOT_FOUND,
}

# Additional texts of API v2 panels.
API_V2_TEXTS = {
    "Incorrect API key": ErrorKind.AUTH,
    "Incorrect service ID": ErrorKind.SERVICE,
    "neworder.error.incorrect_service_id": ErrorKind.SERVICE,
    "Incorrect link": ErrorKind.VALIDATION,
    "Incorrect quantity": ErrorKind.VALIDATION,
    "Quantity less than minimal 100": ErrorKind.VALIDATION,
    "Quantity less than minimum 100": ErrorKind.VALIDATION,
    "Quantity more than maximum 1000": ErrorKind.VALIDATION,
    "Quantity less than maximum 1000": ErrorKind.VALIDATION,
    "You have active order with this link. Please wait until order being completed.": (
        ErrorKind.DUPLICATE
    ),
    "Incorrect refill ID": ErrorKind.NOT_FOUND,
    "Refill Request Not found": ErrorKind.NOT_FOUND,
    "Order not eligible for refill.": ErrorKind.VALIDATION,
    "Refill is not available": ErrorKind.VALIDATION,
    "Refill is not available for this service": ErrorKind.VALIDATION,
}


def test_default_profile_follows_the_document() -> None:
    assert SMMFANFAST.base_url == "https://smmfanfast.com/api/v1"
    assert SMMFANFAST.actions == {"add", "status", "services", "balance"}
    assert SMMFANFAST.double_decodes is False


def test_allowed_delays_are_those_of_the_document() -> None:
    assert SMMFANFAST.delays_minutes == DELAYS_MINUTES == {0, 5, 10, 15, 30, 60, 90}


def test_api_v2_supports_refill_cancel_and_any_delay() -> None:
    assert API_V2.actions - SMMFANFAST.actions == {"refill", "refill_status", "cancel"}
    assert API_V2.delays_minutes is None
    assert API_V2.ids_per_call == 100
    assert API_V2.calls_per_minute == 60


def test_order_types_of_profiles_match_the_order_classes() -> None:
    assert SMMFANFAST.order_types == set(ORDER_TYPES)
    assert API_V2.order_types == set(API_V2_ORDER_TYPES)


def test_custom_profile_defaults_to_the_document_types() -> None:
    mine = Profile(name="mine", base_url="https://panel.example", actions=frozenset({"add"}))

    assert mine.order_types == SMMFANFAST.order_types
    assert mine.ignored_fields == frozenset()


@pytest.mark.parametrize("word", ["web_traffic", "Web Traffic", "WEB-TRAFFIC", " webtraffic "])
def test_order_type_is_supported_in_any_spelling(word: str) -> None:
    mine = attrs.evolve(SMMFANFAST, order_types=frozenset({word}))

    assert mine.supports_order_type("web_traffic")
    assert API_V2.supports_order_type(word)
    assert not SMMFANFAST.supports_order_type(word)
    assert not mine.supports_order_type("default")


def test_only_the_default_panel_ignores_old_posts() -> None:
    assert SMMFANFAST.ignored_fields == {"old_posts"}
    assert API_V2.ignored_fields == frozenset()


@pytest.mark.parametrize(("text", "kind"), API_V2_TEXTS.items())
def test_api_v2_texts_are_refusals_only_there(text: str, kind: ErrorKind) -> None:
    assert API_V2.refusal_kind(text) is kind
    assert SMMFANFAST.refusal_kind(text) is None


def test_api_v2_has_no_real_default_url() -> None:
    """`.example` is reserved: a forgotten setting cannot send a key to an unrelated host."""
    assert API_V2.base_url == "https://panel.example/api/v2"


@pytest.mark.parametrize("profile", [SMMFANFAST, API_V2], ids=lambda profile: profile.name)
@pytest.mark.parametrize(("text", "kind"), TEXTS.items())
def test_known_text_has_its_kind(profile: Profile, text: str, kind: ErrorKind) -> None:
    assert profile.refusal_kind(text) is kind


def test_every_refusal_is_matched_by_a_known_text() -> None:
    for each in API_V2.refusals:
        alone = attrs.evolve(API_V2, refusals=(each,))

        assert [text for text in TEXTS | API_V2_TEXTS if alone.refusal_kind(text)], each


@pytest.mark.parametrize(("text", "kind"), (TEXTS | API_V2_TEXTS).items())
def test_order_of_refusals_does_not_matter(text: str, kind: ErrorKind) -> None:
    backwards = attrs.evolve(API_V2, refusals=API_V2.refusals[::-1])

    assert backwards.refusal_kind(text) is kind


@pytest.mark.parametrize("text", [
    "  not   ENOUGH funds!! ", "Not enough funds", "Not enough funds\n", "NOT-ENOUGH-FUNDS: 0.03",
])  # fmt: skip
def test_case_punctuation_and_spaces_are_ignored(text: str) -> None:
    assert SMMFANFAST.refusal_kind(text) is ErrorKind.FUNDS


@pytest.mark.parametrize("text", [
    "",
    "!",
    "There was an error processing your request. Please try again later",
    "Bad Linkage",
    "Bad",
    "see Bad Link",
    "neworder.error",
    "neworder.error.link_is_being_processed",
    "neworder.error.something_else",
    "رصيد غير كافٍ",
])  # fmt: skip
def test_unknown_text_is_not_a_refusal(text: str) -> None:
    """On `add`, a wrong guess would allow sending an order again that may exist."""
    assert SMMFANFAST.refusal_kind(text) is None
    assert API_V2.refusal_kind(text) is None


FUNDS, LIMIT, DUPLICATE = ErrorKind.FUNDS, ErrorKind.VALIDATION, ErrorKind.DUPLICATE


@pytest.mark.parametrize(("text", "kind"), [
    ("Not enough funds in your wallet", FUNDS),
    ("Not enough funds on your account balance.", FUNDS),
    ("Not enough funds to place this order!", FUNDS),
    ("Not enough funds: 0.03", FUNDS),
    ("Not enough funds. Need $1.5000", FUNDS),
    ("Not enough funds (12 USD required)", FUNDS),
    ("Not enough funds: EUR 1,234.56", FUNDS),
    ("Not enough funds on balance. Required: 1.50 USD. Please contact support.", FUNDS),
    ("Quantity must to be greater than or equal to minimum 1,000", LIMIT),
    ("Quantity must to be less than or equal to maximum order quantity of 10 000", LIMIT),
    ("Quantity must to be less than or equal to maximum amount", LIMIT),
    ("neworder.error.min_quantity 100", LIMIT),
    ("You have an active order with this link. Please wait", DUPLICATE),
    ("You have an active order with this link. Wait for it", DUPLICATE),
    ("You have an active order with this link, please wait until it is completed", DUPLICATE),
    ("Bad Link; Quantity is required", LIMIT),
    ("Invalid API key. See our API documentation", ErrorKind.AUTH),
])  # fmt: skip
def test_tails_that_change_nothing_may_follow(text: str, kind: ErrorKind) -> None:
    assert SMMFANFAST.refusal_kind(text) is kind


@pytest.mark.parametrize("text", [
    "Not enough funds on provider account",
    "Not enough funds on provider balance",
    "Not enough funds 12345",
    "Not enough funds 0.03 sent",
    "Not enough funds on balance on balance on balance on balance",
    "Invalid API key (upstream)",
    "Invalid API key 12",
    "Bad Link on balance",
    "Bad Link 100",
    "Bad Link. Order 32 was created",
    "Bad Link; processing",
    "Quantity must to be greater than or equal to minimum amount 100 of provider",
    "Quantity is required 100",
    "You have an active order with this link: 77",
    "You have an active order with this link. Please wait until your order 77 is completed",
    "Bad Link" + " ! " * 200,
])  # fmt: skip
def test_any_other_word_after_a_listed_text_makes_it_unknown(text: str) -> None:
    assert SMMFANFAST.refusal_kind(text) is None
    assert API_V2.refusal_kind(text) is None


def test_rate_limit_text_may_say_how_long_to_wait() -> None:
    limit = Refusal("Too many requests", ErrorKind.RATE_LIMIT)
    mine = attrs.evolve(SMMFANFAST, refusals=(limit,))

    for text in ("Too many requests. Slow down.", "too many requests, please wait 30s",
                 "Too many requests: try again in 2 minutes"):  # fmt: skip
        assert mine.refusal_kind(text) is ErrorKind.RATE_LIMIT
    assert mine.refusal_kind("Too many requests. Try again later") is None


def test_listed_text_may_have_numbers_of_any_size() -> None:
    texts = ("Cantidad mínima {n}", "Entre {n} y {n}", "{n} es poco", "Error 17")
    mine = attrs.evolve(
        SMMFANFAST, refusals=tuple(Refusal(each, ErrorKind.VALIDATION) for each in texts)
    )

    for text in ("Cantidad mínima: 1.000", "CANTIDAD MÍNIMA 5", "entre 10 y 20 000",
                 "5 es poco", "Error 17"):  # fmt: skip
        assert mine.refusal_kind(text) is ErrorKind.VALIDATION
    for text in ("Cantidad mínima", "Cantidad mínima 10 pedido 5", "Entre 10 y muchos", "es poco",
                 "Cantidad mínima n", "Error 18"):  # fmt: skip
        assert mine.refusal_kind(text) is None


@pytest.mark.parametrize(("listed", "same", "other"), [
    ("अमान्य लिंक", "अमान्य लिंक!", "अमान्य लिंकन"),
    ("लिंक", "लिंक।", "लिंकिंग"),
    ("কি", "কি?", "কিছু"),
    ("เงิน", "เงิน…", "เงินดี"),
    ("GEÇERSİZ BAĞLANTI", "geçersiz bağlantı", "geçersiz bağlantılar"),
    ("geçersiz bağlantı", "GEÇERSİZ BAĞLANTI", "GEÇERSİZ"),
    ("Geçersiz bağlantı", "GEÇERSIZ BAGLANTI".replace("BAG", "BAĞ"), "GECERSIZ BAGLANTI"),
])  # fmt: skip
def test_words_are_whole_and_have_no_case_in_any_script(listed: str, same: str, other: str) -> None:
    mine = attrs.evolve(SMMFANFAST, refusals=(Refusal(listed, ErrorKind.VALIDATION),))

    assert mine.refusal_kind(listed) is ErrorKind.VALIDATION
    assert mine.refusal_kind(same) is ErrorKind.VALIDATION
    assert mine.refusal_kind(other) is None


def test_first_of_two_equal_texts_counts() -> None:
    texts = (Refusal("No!", ErrorKind.FUNDS), Refusal("no", ErrorKind.SERVICE))

    assert attrs.evolve(SMMFANFAST, refusals=texts).refusal_kind("NO") is ErrorKind.FUNDS


@given(st.sampled_from(list(TEXTS)), st.text(min_size=1))
def test_inserted_words_make_a_listed_text_unknown(text: str, more: str) -> None:
    inserted = f"{text} order {more} was created"

    assert SMMFANFAST.refusal_kind(inserted) is None


def test_profile_that_was_used_can_be_pickled_and_copied() -> None:
    mine = attrs.evolve(SMMFANFAST, name="mine")
    assert mine.refusal_kind("Bad Link") is ErrorKind.VALIDATION

    loaded = pickle.loads(pickle.dumps(mine))  # noqa: S301  # our own bytes
    for clone in (loaded, copy.deepcopy(mine)):
        assert clone == mine
        assert clone.refusal_kind("Bad Link") is ErrorKind.VALIDATION


def test_profile_may_add_texts_in_another_language() -> None:
    arabic = Refusal("رصيد غير كافٍ", ErrorKind.FUNDS)
    mine = attrs.evolve(SMMFANFAST, refusals=(*SMMFANFAST.refusals, arabic))

    assert mine.refusal_kind("رصيد غير كافٍ!") is ErrorKind.FUNDS
    assert mine.refusal_kind("Bad Link") is ErrorKind.VALIDATION


def test_profiles_are_values() -> None:
    clone = attrs.evolve(SMMFANFAST)

    assert clone == SMMFANFAST
    assert hash(clone) == hash(SMMFANFAST)
    assert attrs.evolve(SMMFANFAST, double_decodes=True) != SMMFANFAST


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Profile)])
def test_no_field_of_a_profile_can_be_set(name: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(SMMFANFAST, name, None)


BOUNDS = ["ids_per_call", "concurrency", "add_concurrency", "calls_per_minute"]


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", [0, -1, 1.0, "1", True])
def test_limits_must_be_positive_integers(name: str, value: object) -> None:
    with pytest.raises(InvalidSettingsError) as raised:
        attrs.evolve(SMMFANFAST, **{name: value})

    assert raised.value.name == f"Profile.{name}"
    assert raised.value.reason == f"{value!r} must be a positive integer"


@pytest.mark.parametrize("name", BOUNDS)
def test_every_limit_may_be_1(name: str) -> None:
    assert getattr(attrs.evolve(SMMFANFAST, **{name: 1}), name) == 1


@pytest.mark.parametrize(("name", "limit"), [
    ("ids_per_call", 10_000), ("concurrency", 1000), ("add_concurrency", 1000),
    ("calls_per_minute", 1_000_000),
])  # fmt: skip
def test_limits_have_a_maximum(name: str, limit: int) -> None:
    assert getattr(attrs.evolve(SMMFANFAST, **{name: limit}), name) == limit
    for value in (limit + 1, 10**20, 10**5000):
        with pytest.raises(InvalidSettingsError, match=rf"{name} .* must be at most {limit}"):
            attrs.evolve(SMMFANFAST, **{name: value})


def test_only_calls_per_minute_may_be_none() -> None:
    assert attrs.evolve(SMMFANFAST, calls_per_minute=None).calls_per_minute is None
    for name in BOUNDS[:-1]:
        with pytest.raises(InvalidSettingsError, match=name):
            attrs.evolve(SMMFANFAST, **{name: None})


@pytest.mark.parametrize("word", ["Fail", "FAIL", "refund pending", "Refund_Pending"])
def test_profile_may_add_final_statuses(word: str) -> None:
    mine = attrs.evolve(API_V2, final_statuses=frozenset({"Fail", "Refund pending"}))

    assert mine.is_final_status(word)
    assert not mine.is_final_status("Pending")
    assert not API_V2.is_final_status(word)


def test_profile_may_add_final_statuses_of_refills() -> None:
    mine = attrs.evolve(API_V2, final_refill_statuses=frozenset({"All done"}))

    assert mine.is_final_refill_status("ALL_DONE")
    assert not mine.is_final_refill_status("Pending")
    assert not API_V2.is_final_refill_status("All done")


def test_template_has_numbers_and_choices() -> None:
    listed = Refusal("{El|} {enlace|link} no es válido; mínimo {n}", ErrorKind.VALIDATION)
    mine = attrs.evolve(SMMFANFAST, refusals=(listed,))

    assert mine.refusal_kind("El link no es válido, mínimo 1.000") is ErrorKind.VALIDATION
    assert mine.refusal_kind("enlace no es válido. Mínimo: 5") is ErrorKind.VALIDATION
    assert mine.refusal_kind("El no es válido. Mínimo: 5") is None
    assert mine.refusal_kind("El enlace no es válido") is None


@pytest.mark.parametrize(("text", "flaw"), [
    (5, "5 must be a text"),
    ("x" * 500, "must be shorter than 500 characters"),
    ("a {b", "'a {b' has a brace without its counterpart"),
    ("{a|b}" * 9, "must have at most 500 variants"),
    ("", "'' has a variant without a letter or digit"),
    ("{a|}", "'{a|}' has a variant without a letter or digit"),
    ("{n}", "'{n}' has a variant without a letter or digit"),
])  # fmt: skip
def test_text_that_cannot_be_listed_is_rejected(text: object, flaw: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        Refusal(text, ErrorKind.FUNDS)  # type: ignore[arg-type]

    assert caught.value.name == "Refusal.text"
    assert str(caught.value).endswith(flaw)


def test_source_of_a_text_does_not_distinguish_it() -> None:
    assert Refusal("No", ErrorKind.FUNDS, "seen") == Refusal("No", ErrorKind.FUNDS)


def test_status_calls_have_kinds_that_an_add_does_not_have() -> None:
    assert SMMFANFAST.refusal_kind("Order not found", "status") is ErrorKind.NOT_FOUND
    assert SMMFANFAST.refusal_kind("Insufficient balance", "refill") is ErrorKind.FUNDS
    assert SMMFANFAST.refusal_kind("Order not found") is None
    assert SMMFANFAST.refusal_kind("Order not found", "an_action_of_another_panel") is None


def test_long_text_is_neither_recognized_nor_remembered() -> None:
    assert API_V2.refusal_kind("Bad link" + " " * 500) is None
