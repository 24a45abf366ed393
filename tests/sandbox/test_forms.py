"""Parsing of `add` forms: required fields, limits, prices, drip-feeds, subscriptions."""

from decimal import Decimal

import attrs
import pytest

from smmfanfast_async.sandbox import messages
from smmfanfast_async.sandbox.dialects import API_V2, DELAYS_MINUTES
from smmfanfast_async.sandbox.forms import (
    MAX_POSTS,
    MAX_RUNS,
    REQUIRED_FIELDS,
    calculate_price,
    parse_order,
    split_items,
)
from smmfanfast_async.sandbox.messages import RefusalReply
from smmfanfast_async.sandbox.orders import OrderRequest
from smmfanfast_async.sandbox.services import API_V2_SERVICES, API_V2_TYPES, SandboxService

from .samples import API_V2_FORMS, FORMS, LINK, form_of

SERVICES = {service.service: service for service in API_V2_SERVICES}
ALL_FORMS = FORMS | API_V2_FORMS


def parse(order_type: str, **changes: str) -> OrderRequest:
    return parse_order(form_of(order_type, **changes), SERVICES)


def refusal(order_type: str, **changes: str) -> str:
    with pytest.raises(RefusalReply) as caught:
        parse(order_type, **changes)
    assert str(caught.value) == caught.value.text
    return caught.value.text


def test_required_fields_cover_every_type() -> None:
    assert set(REQUIRED_FIELDS) == set(API_V2_TYPES) == set(ALL_FORMS)


@pytest.mark.parametrize("order_type", ALL_FORMS)
def test_required_fields_are_sufficient(order_type: str) -> None:
    _, _, quantity, price = ALL_FORMS[order_type]

    request = parse(order_type)

    assert request.service.type == order_type
    assert (request.quantity, str(request.price)) == (quantity, price)
    assert request.runs is None


@pytest.mark.parametrize(
    ("order_type", "field"),
    [
        (order_type, field)
        for order_type, (_, fields, _, _) in ALL_FORMS.items()
        for field in fields
    ],
)
@pytest.mark.parametrize("value", ["-", "", " \n"])
def test_missing_or_empty_required_field_is_refused(
    order_type: str, field: str, value: str
) -> None:
    expected = {"quantity": "Quantity is required", "comments": "Comments field is required"}

    text = refusal(order_type, **{field: value})

    assert text == expected.get(
        field, "There are missing required parameters. Please check your API Manual"
    )


@pytest.mark.parametrize("value", ["-", "", " "])
def test_service_is_required(value: str) -> None:
    assert refusal("default", service=value) == messages.PARAMETERS_MISSING


def test_unknown_service_is_refused() -> None:
    assert refusal("default", service="99999") == "Service ID does not exists"


@pytest.mark.parametrize("link", ["example", "https://example", "two words", "ftp://a", "/a.b"])
def test_link_without_host_is_refused(link: str) -> None:
    assert refusal("default", link=link) == "Bad Link"


@pytest.mark.parametrize(
    "link",
    ["instagram.com/example", "https://t.me/ abc", "HTTP://example.com?x=1", " https://a.b "],
)
def test_link_needs_no_scheme_and_its_path_is_not_checked(link: str) -> None:
    assert parse("default", link=link).link == link.strip()


def test_additional_fields_are_stored_without_key_and_action() -> None:
    request = parse("package", key="test-key", action="add", country="SA", quantity="3")

    assert request.fields == {"service": "72", "link": LINK, "country": "SA", "quantity": "3"}
    assert (request.quantity, request.price) == (3, Decimal(32))


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        ("499", "Quantity must to be greater than or equal to minimum amount 500"),
        ("10001", "Quantity must to be less than or equal to maximum amount 10000"),
        ("9" * 5000, "Quantity must to be less than or equal to maximum amount 10000"),
        ("-600", "Quantity must to be greater than or equal to minimum amount 500"),
        ("١٠٠٠", "Quantity must to be greater than or equal to minimum amount 500"),
        ("1e3", "Quantity must to be greater than or equal to minimum amount 500"),
    ],
)
def test_refusal_of_a_quantity_names_the_limit(quantity: str, text: str) -> None:
    assert refusal("default", quantity=quantity) == text


@pytest.mark.parametrize("quantity", ["500", "10000", " 500 "])
def test_quantity_equal_to_a_limit_is_allowed(quantity: str) -> None:
    assert parse("default", quantity=quantity).quantity == int(quantity)


def test_list_items_are_counted_against_the_limits() -> None:
    assert refusal("custom_comments", comments="\n".join("x" * 51)) == (
        "Quantity must to be less than or equal to maximum amount 50"
    )
    assert refusal("mentions_custom_list", usernames="a\nb") == (
        "Quantity must to be greater than or equal to minimum amount 5"
    )


def test_packages_have_no_quantity_limits() -> None:
    assert parse("package", quantity="500").price == Decimal(32)
    assert parse("custom_comments_package", comments="x\n" * 40).quantity == 40


def test_media_likers_quantity_defaults_to_the_minimum() -> None:
    assert parse("mentions_media_likers", quantity="150").quantity == 150
    assert parse("mentions_media_likers", quantity=" ").quantity == 100
    assert refusal("mentions_media_likers", quantity="99") == messages.MIN_QUANTITY.format(100)


def test_lists_are_split_at_documented_line_breaks() -> None:
    r"""Document: "Comments list separated by \r\n or \n"."""
    assert split_items("one\r\ntwo\n\n  three \r\n") == ["one", "two", "three"]
    assert split_items("one\rtwo") == ["one\rtwo"]


@pytest.mark.parametrize(
    ("rate", "quantity", "price"),
    [
        ("1.02", 1000, "1.0200"),
        ("0.05", 1, "0.0001"),  # 0.00005: half a step is rounded up
        ("0.049", 1, "0.0000"),
        ("1000000", 10**12, "1000000000000000.0000"),
    ],
)
def test_price_has_four_exact_decimals(rate: float, quantity: int, price: str) -> None:
    service = attrs.evolve(SERVICES["5"], rate=Decimal(rate))

    assert str(calculate_price(service, quantity)) == price


def test_drip_feed_limits_and_price_cover_all_runs() -> None:
    request = parse("default", quantity="100", runs="10", interval="30")

    assert (request.quantity, request.runs, request.interval_s) == (1000, 10, 1800)
    assert request.price == Decimal("1.0200")
    assert refusal("default", quantity="100", runs="4", interval="30") == (
        "Quantity must to be greater than or equal to minimum amount 500"
    )
    assert refusal("default", quantity="1001", runs="10", interval="30") == (
        "Quantity must to be less than or equal to maximum amount 10000"
    )


@pytest.mark.parametrize(
    ("runs", "interval", "text"),
    [
        ("5", "", "Interval time is required"),
        ("", "5", "Runs is required"),
        ("0", "5", "Runs is required"),
        ("x", "5", "Runs is required"),
        ("5", "0", "Invalid Interval in minutes"),
        ("5", "soon", "Invalid Interval in minutes"),
        (str(MAX_RUNS + 1), "5", messages.TRY_AGAIN),
    ],
)
def test_runs_and_interval_are_required_together(runs: str, interval: str, text: str) -> None:
    assert refusal("default", runs=runs, interval=interval) == text


def test_blank_runs_and_interval_mean_no_drip_feed() -> None:
    assert parse("default", runs=" ", interval="").runs is None


def test_maximum_number_of_runs_is_allowed() -> None:
    request = parse("default", service="10", quantity="100", runs=str(MAX_RUNS), interval="1")

    assert request.runs == MAX_RUNS


def test_drip_feed_requires_a_service_that_supports_it() -> None:
    text = "This services does not support Dripfeed feature!"

    assert refusal("default", service="13", runs="2", interval="5") == text
    assert refusal("package", runs="2", interval="5") == text


def test_drip_feed_flag_is_ignored_for_types_without_runs() -> None:
    service = SandboxService(
        service=1, name="n", category="c", rate=1, type="comment_likes", dripfeed=True
    )

    with pytest.raises(RefusalReply, match="does not support Dripfeed"):
        parse_order(form_of("comment_likes", service="1", runs="2", interval="5"), {"1": service})


@pytest.mark.parametrize("delay", DELAYS_MINUTES)
def test_documented_delays_are_allowed(delay: int) -> None:
    """Document: "Possible values: 0, 5, 10, 15, 30, 60, 90"."""
    assert DELAYS_MINUTES == (0, 5, 10, 15, 30, 60, 90)
    assert parse("subscriptions", delay=str(delay)).per_post == (20, 30)


@pytest.mark.parametrize("delay", ["1", "-5", "91", "x"])
def test_other_delays_are_refused(delay: str) -> None:
    assert refusal("subscriptions", delay=delay) == "Invalid Interval in minutes"


@pytest.mark.parametrize("expiry", ["31/12/2030", "1/2/2030", " 01/02/2030 ", ""])
def test_expiry_is_written_day_first(expiry: str) -> None:
    """Document: "Expiry date. Format d/m/Y"."""
    assert parse("subscriptions", expiry=expiry).price == 0


@pytest.mark.parametrize("expiry", ["2030-12-31", "12/31/2030", "32/1/2030", "1/1/30", "soon"])
def test_other_expiry_formats_are_refused(expiry: str) -> None:
    assert refusal("subscriptions", expiry=expiry) == "Incorrect request"


@pytest.mark.parametrize(
    ("min_per_post", "max_per_post", "text"),
    [
        ("19", "30", messages.MIN_QUANTITY.format(20)),
        ("10001", "10001", messages.MAX_QUANTITY.format(10000)),
        ("30", "29", messages.MIN_QUANTITY.format(30)),
        ("30", "10001", messages.MAX_QUANTITY.format(10000)),
    ],
)
def test_subscription_min_and_max_must_be_within_the_limits(
    min_per_post: str, max_per_post: str, text: str
) -> None:
    assert refusal("subscriptions", min=min_per_post, max=max_per_post) == text


def test_subscription_may_have_posts_and_a_link() -> None:
    request = parse("subscriptions", posts="3", link=LINK)

    assert (request.posts, request.link, request.quantity) == (3, LINK, 0)
    assert parse("subscriptions", posts=str(MAX_POSTS)).posts == MAX_POSTS
    assert parse("subscriptions").posts is None
    assert refusal("subscriptions", posts=str(MAX_POSTS + 1)) == messages.TRY_AGAIN


# --- API v2 --------------------------------------------------------------------------------------


def parse_api_v2(order_type: str, **changes: str) -> OrderRequest:
    return parse_order(form_of(order_type, **changes), SERVICES, API_V2)


@pytest.mark.parametrize("delay", ["0", "7", "600", " 20 "])
def test_api_v2_accepts_any_delay(delay: str) -> None:
    assert parse_api_v2("subscriptions", delay=delay).per_post == (20, 30)


@pytest.mark.parametrize("delay", ["-1", "x", "1.5"])
def test_api_v2_delay_must_be_a_whole_number(delay: str) -> None:
    with pytest.raises(RefusalReply, match="Invalid Interval"):
        parse_api_v2("subscriptions", delay=delay)


def test_only_api_v2_reads_old_posts() -> None:
    assert parse_api_v2("subscriptions", old_posts="3").old_posts == 3
    assert parse("subscriptions", old_posts="3").old_posts == 0
    assert parse("subscriptions", old_posts="3").fields["old_posts"] == "3"


def test_old_and_new_posts_share_one_bound() -> None:
    max_old_posts = str(MAX_POSTS - 1)

    assert (
        parse_api_v2("subscriptions", posts="1", old_posts=max_old_posts).old_posts == MAX_POSTS - 1
    )
    with pytest.raises(RefusalReply, match="try again"):
        parse_api_v2("subscriptions", posts="2", old_posts=max_old_posts)


@pytest.mark.parametrize("answer", ["0", "x", "-1"])
def test_poll_answer_numbers_start_at_1(answer: str) -> None:
    assert refusal("poll", answer_number=answer) == "Incorrect request"


@pytest.mark.parametrize(("field", "valid", "invalid"), [
    ("device", "12345", ["0", "6", "Desktop"]),
    ("type_of_traffic", "3", ["0", "4", "x"]),
])  # fmt: skip
def test_unknown_devices_and_traffic_types_are_refused(
    field: str, valid: str, invalid: list[str]
) -> None:
    for value in valid:
        assert parse("web_traffic", **{field: value}).quantity == 1000
    for value in invalid:
        assert refusal("web_traffic", **{field: value}) == "Incorrect request"


@pytest.mark.parametrize(
    ("traffic", "required_field"), [("1", "google_keyword"), ("2", "referring_url")]
)
def test_traffic_types_require_their_field(traffic: str, required_field: str) -> None:
    fields = {"type_of_traffic": traffic, required_field: "example.com"}

    assert parse("web_traffic", **fields).fields[required_field] == "example.com"
    assert refusal("web_traffic", type_of_traffic=traffic) == messages.PARAMETERS_MISSING


def test_web_traffic_can_be_drip_fed_if_the_service_allows() -> None:
    request = parse("web_traffic", quantity="100", runs="10", interval="30")

    assert (request.quantity, request.runs, request.interval_s) == (1000, 10, 1800)
    assert refusal("web_traffic", service="141", runs="10", interval="30") == messages.NO_DRIPFEED
