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

from .samples import FAMILY_FORMS, FORMS, LINK, form_of

SERVICES = {service.service: service for service in API_V2_SERVICES}
ALL_FORMS = FORMS | FAMILY_FORMS


def read(kind: str, **changes: str) -> OrderRequest:
    return parse_order(form_of(kind, **changes), SERVICES)


def refusal(kind: str, **changes: str) -> str:
    with pytest.raises(RefusalReply) as caught:
        read(kind, **changes)
    assert str(caught.value) == caught.value.text
    return caught.value.text


def test_the_table_of_fields_knows_every_type() -> None:
    assert set(REQUIRED_FIELDS) == set(API_V2_TYPES) == set(ALL_FORMS)


@pytest.mark.parametrize("kind", ALL_FORMS)
def test_the_documented_fields_suffice(kind: str) -> None:
    _, _, quantity, price = ALL_FORMS[kind]

    wanted = read(kind)

    assert wanted.service.type == kind
    assert (wanted.quantity, str(wanted.price)) == (quantity, price)
    assert wanted.runs is None


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind, (_, fields, _, _) in ALL_FORMS.items() for field in fields],
)
@pytest.mark.parametrize("value", ["-", "", " \n"])
def test_a_documented_field_cannot_be_left_out(kind: str, field: str, value: str) -> None:
    expected = {"quantity": "Quantity is required", "comments": "Comments field is required"}

    text = refusal(kind, **{field: value})

    assert text == expected.get(
        field, "There are missing required parameters. Please check your API Manual"
    )


@pytest.mark.parametrize("value", ["-", "", " "])
def test_a_service_is_required(value: str) -> None:
    assert refusal("default", service=value) == messages.PARAMETERS_MISSING


def test_an_unknown_service_is_refused() -> None:
    assert refusal("default", service="99999") == "Service ID does not exists"


@pytest.mark.parametrize("link", ["example", "https://example", "two words", "ftp://a", "/a.b"])
def test_a_link_needs_a_host(link: str) -> None:
    assert refusal("default", link=link) == "Bad Link"


@pytest.mark.parametrize(
    "link",
    ["instagram.com/example", "https://t.me/ abc", "HTTP://example.com?x=1", " https://a.b "],
)
def test_a_link_may_be_short_and_its_path_is_not_looked_at(link: str) -> None:
    assert read("default", link=link).link == link.strip()


def test_fields_beyond_the_document_are_accepted_and_stored_without_key_and_action() -> None:
    wanted = read("package", key="test-key", action="add", country="SA", quantity="3")

    assert wanted.fields == {"service": "72", "link": LINK, "country": "SA", "quantity": "3"}
    assert (wanted.quantity, wanted.price) == (3, Decimal(32))


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
def test_a_quantity_outside_the_limits_is_told_the_limit(quantity: str, text: str) -> None:
    assert refusal("default", quantity=quantity) == text


@pytest.mark.parametrize("quantity", ["500", "10000", " 500 "])
def test_the_limits_themselves_are_allowed(quantity: str) -> None:
    assert read("default", quantity=quantity).quantity == int(quantity)


def test_listed_items_are_counted_against_the_limits() -> None:
    assert refusal("custom_comments", comments="\n".join("x" * 51)) == (
        "Quantity must to be less than or equal to maximum amount 50"
    )
    assert refusal("mentions_custom_list", usernames="a\nb") == (
        "Quantity must to be greater than or equal to minimum amount 5"
    )


def test_a_package_is_held_against_no_limit() -> None:
    assert read("package", quantity="500").price == Decimal(32)
    assert read("custom_comments_package", comments="x\n" * 40).quantity == 40


def test_media_likers_may_name_a_quantity_and_take_the_minimum_without() -> None:
    assert read("mentions_media_likers", quantity="150").quantity == 150
    assert read("mentions_media_likers", quantity=" ").quantity == 100
    assert refusal("mentions_media_likers", quantity="99") == messages.MIN_QUANTITY.format(100)


def test_lists_are_separated_as_the_document_says() -> None:
    r"""Document: "Comments list separated by \r\n or \n"."""
    assert split_items("one\r\ntwo\n\n  three \r\n") == ["one", "two", "three"]
    assert split_items("one\rtwo") == ["one\rtwo"]


@pytest.mark.parametrize(
    ("rate", "quantity", "price"),
    [
        ("1.02", 1000, "1.0200"),
        ("0.05", 1, "0.0001"),  # 0.00005: half a step goes up
        ("0.049", 1, "0.0000"),
        ("1000000", 10**12, "1000000000000000.0000"),
    ],
)
def test_a_price_is_exact_to_four_decimals(rate: float, quantity: int, price: str) -> None:
    service = attrs.evolve(SERVICES["5"], rate=Decimal(rate))

    assert str(calculate_price(service, quantity)) == price


def test_a_drip_feed_is_held_and_charged_over_all_runs() -> None:
    wanted = read("default", quantity="100", runs="10", interval="30")

    assert (wanted.quantity, wanted.runs, wanted.interval_s) == (1000, 10, 1800)
    assert wanted.price == Decimal("1.0200")
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
def test_runs_and_interval_come_together_or_not_at_all(runs: str, interval: str, text: str) -> None:
    assert refusal("default", runs=runs, interval=interval) == text


def test_blank_runs_and_interval_are_no_drip_feed() -> None:
    assert read("default", runs=" ", interval="").runs is None


def test_the_most_runs_are_allowed() -> None:
    wanted = read("default", service="10", quantity="100", runs=str(MAX_RUNS), interval="1")

    assert wanted.runs == MAX_RUNS


def test_only_some_services_are_drip_fed() -> None:
    text = "This services does not support Dripfeed feature!"

    assert refusal("default", service="13", runs="2", interval="5") == text
    assert refusal("package", runs="2", interval="5") == text


def test_a_type_without_runs_in_the_document_is_not_drip_fed_whatever_its_flag() -> None:
    odd = SandboxService(
        service=1, name="n", category="c", rate=1, type="comment_likes", dripfeed=True
    )

    with pytest.raises(RefusalReply, match="does not support Dripfeed"):
        parse_order(form_of("comment_likes", service="1", runs="2", interval="5"), {"1": odd})


@pytest.mark.parametrize("delay", DELAYS_MINUTES)
def test_a_documented_delay_is_allowed(delay: int) -> None:
    """Document: "Possible values: 0, 5, 10, 15, 30, 60, 90"."""
    assert DELAYS_MINUTES == (0, 5, 10, 15, 30, 60, 90)
    assert read("subscriptions", delay=str(delay)).per_post == (20, 30)


@pytest.mark.parametrize("delay", ["1", "-5", "91", "x"])
def test_any_other_delay_is_refused(delay: str) -> None:
    assert refusal("subscriptions", delay=delay) == "Invalid Interval in minutes"


@pytest.mark.parametrize("expiry", ["31/12/2030", "1/2/2030", " 01/02/2030 ", ""])
def test_an_expiry_is_written_day_first(expiry: str) -> None:
    """Document: "Expiry date. Format d/m/Y"."""
    assert read("subscriptions", expiry=expiry).price == 0


@pytest.mark.parametrize("expiry", ["2030-12-31", "12/31/2030", "32/1/2030", "1/1/30", "soon"])
def test_any_other_expiry_is_refused(expiry: str) -> None:
    assert refusal("subscriptions", expiry=expiry) == "Incorrect request"


@pytest.mark.parametrize(
    ("least", "most", "text"),
    [
        ("19", "30", messages.MIN_QUANTITY.format(20)),
        ("10001", "10001", messages.MAX_QUANTITY.format(10000)),
        ("30", "29", messages.MIN_QUANTITY.format(30)),
        ("30", "10001", messages.MAX_QUANTITY.format(10000)),
    ],
)
def test_a_subscription_s_least_and_most_lie_within_the_limits(
    least: str, most: str, text: str
) -> None:
    assert refusal("subscriptions", min=least, max=most) == text


def test_a_subscription_may_name_its_posts_and_a_link() -> None:
    wanted = read("subscriptions", posts="3", link=LINK)

    assert (wanted.posts, wanted.link, wanted.quantity) == (3, LINK, 0)
    assert read("subscriptions", posts=str(MAX_POSTS)).posts == MAX_POSTS
    assert read("subscriptions").posts is None
    assert refusal("subscriptions", posts=str(MAX_POSTS + 1)) == messages.TRY_AGAIN


# --- API v2 --------------------------------------------------------------------------------------


def read_v2(kind: str, **changes: str) -> OrderRequest:
    return parse_order(form_of(kind, **changes), SERVICES, API_V2)


@pytest.mark.parametrize("delay", ["0", "7", "600", " 20 "])
def test_an_api_v2_panel_takes_any_delay(delay: str) -> None:
    assert read_v2("subscriptions", delay=delay).per_post == (20, 30)


@pytest.mark.parametrize("delay", ["-1", "x", "1.5"])
def test_a_delay_is_a_number_everywhere(delay: str) -> None:
    with pytest.raises(RefusalReply, match="Invalid Interval"):
        read_v2("subscriptions", delay=delay)


def test_old_posts_are_read_by_api_v2_alone() -> None:
    assert read_v2("subscriptions", old_posts="3").old_posts == 3
    assert read("subscriptions", old_posts="3").old_posts == 0
    assert read("subscriptions", old_posts="3").fields["old_posts"] == "3"


def test_old_and_new_posts_have_one_bound() -> None:
    most = str(MAX_POSTS - 1)

    assert read_v2("subscriptions", posts="1", old_posts=most).old_posts == MAX_POSTS - 1
    with pytest.raises(RefusalReply, match="try again"):
        read_v2("subscriptions", posts="2", old_posts=most)


@pytest.mark.parametrize("answer", ["0", "x", "-1"])
def test_a_poll_has_answers_from_1_on(answer: str) -> None:
    assert refusal("poll", answer_number=answer) == "Incorrect request"


@pytest.mark.parametrize(("field", "fine", "wrong"), [
    ("device", "12345", ["0", "6", "Desktop"]),
    ("type_of_traffic", "3", ["0", "4", "x"]),
])  # fmt: skip
def test_devices_and_types_of_traffic_are_numbers_of_a_list(
    field: str, fine: str, wrong: list[str]
) -> None:
    for value in fine:
        assert read("web_traffic", **{field: value}).quantity == 1000
    for value in wrong:
        assert refusal("web_traffic", **{field: value}) == "Incorrect request"


@pytest.mark.parametrize(("traffic", "needed"), [("1", "google_keyword"), ("2", "referring_url")])
def test_a_type_of_traffic_needs_what_it_comes_by(traffic: str, needed: str) -> None:
    given = {"type_of_traffic": traffic, needed: "example.com"}

    assert read("web_traffic", **given).fields[needed] == "example.com"
    assert refusal("web_traffic", type_of_traffic=traffic) == messages.PARAMETERS_MISSING


def test_web_traffic_may_be_drip_fed_where_the_service_allows() -> None:
    wanted = read("web_traffic", quantity="100", runs="10", interval="30")

    assert (wanted.quantity, wanted.runs, wanted.interval_s) == (1000, 10, 1800)
    assert refusal("web_traffic", service="141", runs="10", interval="30") == messages.NO_DRIPFEED
