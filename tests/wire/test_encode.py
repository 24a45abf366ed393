"""Orders and calls as forms: the exact fields and texts, without the key."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import parse_qsl, unquote_plus, urlencode

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async._text import strip_line
from smmfanfast_async._wire.encode import Form, encode_call, encode_ids, encode_order
from smmfanfast_async.errors import InvalidOrderError
from smmfanfast_async.orders import (
    API_V2_ORDER_TYPES,
    ORDER_TYPES,
    CommentLikesOrder,
    CommentRepliesOrder,
    CustomCommentsOrder,
    CustomCommentsPackageOrder,
    DefaultOrder,
    InvitesFromGroupsOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsMediaLikersOrder,
    MentionsOrder,
    MentionsUserFollowersOrder,
    MentionsWithHashtagsOrder,
    Order,
    PackageOrder,
    PollOrder,
    SeoOrder,
    SubscriptionsOrder,
    WebTrafficOrder,
)
from smmfanfast_async.profile import API_V2, SMMFANFAST, Profile

LINK = "https://example.com/p"
DOUBLE = attrs.evolve(SMMFANFAST, name="double", double_decodes=True)

# Each table of the document without and with its optional fields, as it is sent.
FORMS: list[tuple[Order, Form]] = [
    (DefaultOrder(service=5, link=LINK, quantity=100),
        {"service": "5", "link": LINK, "quantity": "100"}),
    (DefaultOrder(service=5, link=LINK, quantity=100, runs=3, interval=60),
        {"service": "5", "link": LINK, "quantity": "100", "runs": "3", "interval": "60"}),
    (PackageOrder(service=5, link=LINK), {"service": "5", "link": LINK}),
    (PackageOrder(service=5, link=LINK, quantity=1),
        {"service": "5", "link": LINK, "quantity": "1"}),
    (CustomCommentsOrder(service=5, link=LINK, comments=["well done", "great"]),
        {"service": "5", "link": LINK, "comments": "well done\ngreat"}),
    (CustomCommentsOrder(service=5, link=LINK, comments="a\r\nb", quantity=2),
        {"service": "5", "link": LINK, "comments": "a\nb", "quantity": "2"}),
    (MentionsWithHashtagsOrder(
        service=5, link=LINK, quantity=10, usernames=["ann", "bob"], hashtags=["sun"]),
        {"service": "5", "link": LINK, "quantity": "10", "usernames": "ann\nbob",
         "hashtags": "sun"}),
    (MentionsCustomListOrder(service=5, link=LINK, usernames=["ann", "bob"]),
        {"service": "5", "link": LINK, "usernames": "ann\nbob"}),
    (MentionsCustomListOrder(service=5, link=LINK, usernames=["ann"], quantity=1),
        {"service": "5", "link": LINK, "usernames": "ann", "quantity": "1"}),
    (MentionsHashtagOrder(service=5, link=LINK, quantity=10, hashtag="sun"),
        {"service": "5", "link": LINK, "quantity": "10", "hashtag": "sun"}),
    (MentionsUserFollowersOrder(
        service=5, link=LINK, quantity=10, username="https://example.com/ann"),
        {"service": "5", "link": LINK, "quantity": "10", "username": "https://example.com/ann"}),
    (CustomCommentsPackageOrder(service=5, link=LINK, comments=["a", "b"]),
        {"service": "5", "link": LINK, "comments": "a\nb"}),
    (CustomCommentsPackageOrder(service=5, link=LINK, comments=["a", "b"], quantity=2),
        {"service": "5", "link": LINK, "comments": "a\nb", "quantity": "2"}),
    (MentionsMediaLikersOrder(service=5, link=LINK), {"service": "5", "link": LINK}),
    (MentionsMediaLikersOrder(service=5, link=LINK, quantity=10, media="https://example.com/m"),
        {"service": "5", "link": LINK, "quantity": "10", "media": "https://example.com/m"}),
    (CommentLikesOrder(service=5, link=LINK, quantity=10, username="ann"),
        {"service": "5", "link": LINK, "quantity": "10", "username": "ann"}),
    (SubscriptionsOrder(service=5, username="ann", min=10, max=20, delay=0),
        {"service": "5", "username": "ann", "min": "10", "max": "20", "delay": "0"}),
    (SubscriptionsOrder(
        service=5, username="ann", min=10, max=20, delay=90, expiry=date(2999, 2, 1),
        posts=4, link=LINK, quantity=15),
        {"service": "5", "username": "ann", "min": "10", "max": "20", "delay": "90",
         "expiry": "01/02/2999", "posts": "4", "link": LINK, "quantity": "15"}),
]  # fmt: skip

# What API v2 panels document beyond it (seen).
API_V2_FORMS: list[tuple[Order, Form]] = [
    (MentionsOrder(service=5, link=LINK, quantity=10, usernames=["ann", "bob"]),
        {"service": "5", "link": LINK, "quantity": "10", "usernames": "ann\nbob"}),
    (SeoOrder(service=5, link=LINK, quantity=10, keywords="red\r\nshoes"),
        {"service": "5", "link": LINK, "quantity": "10", "keywords": "red\nshoes"}),
    (CommentRepliesOrder(service=5, link=LINK, username="ann", comments=["yes", "no"]),
        {"service": "5", "link": LINK, "username": "ann", "comments": "yes\nno"}),
    (PollOrder(service=5, link=LINK, quantity=10, answer_number=2),
        {"service": "5", "link": LINK, "quantity": "10", "answer_number": "2"}),
    (InvitesFromGroupsOrder(service=5, link=LINK, quantity=10, groups=["g1", "g2"]),
        {"service": "5", "link": LINK, "quantity": "10", "groups": "g1\ng2"}),
    (WebTrafficOrder(
        service=5, link=LINK, quantity=10, country="US", device=5, type_of_traffic=1,
        google_keyword="red shoes", runs=2, interval=60),
        {"service": "5", "link": LINK, "quantity": "10", "country": "US", "device": "5",
         "type_of_traffic": "1", "google_keyword": "red shoes", "runs": "2", "interval": "60"}),
    (WebTrafficOrder(
        service=5, link=LINK, quantity=10, country="United States", device=1, type_of_traffic=2,
        referring_url="https://example.com/from"),
        {"service": "5", "link": LINK, "quantity": "10", "country": "United States", "device": "1",
         "type_of_traffic": "2", "referring_url": "https://example.com/from"}),
    (SubscriptionsOrder(service=5, username="ann", min=10, max=20, delay=0, posts=1, old_posts=3),
        {"service": "5", "username": "ann", "min": "10", "max": "20", "delay": "0", "posts": "1",
         "old_posts": "3"}),
]  # fmt: skip


def rejection(make: Callable[[], object]) -> InvalidOrderError:
    with pytest.raises(InvalidOrderError) as raised:
        make()
    return raised.value


# --- orders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "fields"), FORMS, ids=lambda each: type(each).__name__)
def test_order_fields_are_encoded_in_order(order: Order, fields: Form) -> None:
    form = encode_order(order, SMMFANFAST)

    assert list(form.items()) == [("action", "add"), *fields.items()]


def test_every_documented_type_has_an_example() -> None:
    assert {type(order) for order, _ in FORMS} == set(ORDER_TYPES.values())


@pytest.mark.parametrize(
    ("order", "fields"), [*FORMS, *API_V2_FORMS], ids=lambda each: type(each).__name__
)
def test_api_v2_accepts_documented_and_additional_types(order: Order, fields: Form) -> None:
    assert list(encode_order(order, API_V2).items()) == [("action", "add"), *fields.items()]


def test_every_api_v2_type_has_an_example() -> None:
    sent = {type(order) for order, _ in [*FORMS, *API_V2_FORMS]}

    assert sent == set(API_V2_ORDER_TYPES.values())


@pytest.mark.parametrize(("order", "fields"), FORMS, ids=lambda each: type(each).__name__)
def test_extra_fields_follow_the_known_ones(order: Order, fields: Form) -> None:
    more = attrs.evolve(order, extra={"country": "EG", "note": "a\nb"})

    form = encode_order(more, SMMFANFAST)

    assert form == {"action": "add", **fields, "country": "EG", "note": "a\nb"}
    assert list(form)[-2:] == ["country", "note"]


@pytest.mark.parametrize("order", [order for order, _ in FORMS], ids=lambda each: each.panel_type)
def test_form_does_not_contain_the_key(order: Order) -> None:
    assert "key" not in encode_order(order, SMMFANFAST)


ITEMS = st.lists(
    st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"]), min_size=1).filter(
        lambda item: item == strip_line(item)
    ),
    min_size=1,
)


@given(ITEMS)
def test_panel_parses_the_given_items(items: list[str]) -> None:
    """The document: "Comments list separated by \\r\\n or \\n"."""
    order = CustomCommentsOrder(service=5, link=LINK, comments=items)

    form = encode_order(order, SMMFANFAST)

    body = urlencode(form)
    assert dict(parse_qsl(body, strict_parsing=True))["comments"].split("\n") == items


@given(st.dates(date(2999, 1, 1), date(9999, 12, 31)))
def test_date_is_day_month_year_with_all_digits(expiry: date) -> None:
    """The document: "Expiry date. Format d/m/Y"."""
    order = SubscriptionsOrder(service=5, username="ann", min=1, max=2, delay=0, expiry=expiry)

    text = encode_order(order, SMMFANFAST)["expiry"]

    assert [len(part) for part in text.split("/")] == [2, 2, 4]
    assert [int(part) for part in text.split("/")] == [expiry.day, expiry.month, expiry.year]


def subscription(delay: int) -> SubscriptionsOrder:
    return SubscriptionsOrder(
        service=5, username="ann", min=1, max=2, delay=delay, allowed_delays_minutes=None
    )


def test_delay_unsupported_by_the_panel_is_rejected() -> None:
    error = rejection(lambda: encode_order(subscription(7), SMMFANFAST))

    assert str(error) == (
        "delay 7 must be one of [0, 5, 10, 15, 30, 60, 90], the delays of smmfanfast"
    )


def test_stricter_panel_rejects_delays_of_the_document() -> None:
    strict = attrs.evolve(SMMFANFAST, name="strict", delays_minutes=frozenset({0, 30}))

    assert encode_order(subscription(30), strict)["delay"] == "30"
    assert rejection(lambda: encode_order(subscription(60), strict)).field == "delay"


@pytest.mark.parametrize("delay", [0, 7, 10_000])
def test_panel_without_a_list_accepts_any_delay(delay: int) -> None:
    assert encode_order(subscription(delay), API_V2)["delay"] == str(delay)


# --- what a panel supports -----------------------------------------------------------------------


def test_order_type_unsupported_by_the_panel_is_rejected() -> None:
    few = attrs.evolve(SMMFANFAST, name="few", order_types=frozenset({"Package", "default"}))
    poll = PollOrder(service=5, link=LINK, quantity=1, answer_number=1)

    error = rejection(lambda: encode_order(poll, few))

    assert str(error) == (
        "panel_type 'poll' is not supported by few, which supports Package, default"
    )
    assert not error.maybe_sent
    assert encode_order(PackageOrder(service=5, link=LINK), few)["action"] == "add"


def test_field_ignored_by_the_panel_is_rejected_if_set() -> None:
    order = SubscriptionsOrder(service=5, username="ann", min=1, max=2, delay=0, old_posts=3)

    error = rejection(lambda: encode_order(order, SMMFANFAST))

    assert str(error) == "old_posts 3 would be ignored by smmfanfast: leave it out"
    assert "old_posts" not in encode_order(attrs.evolve(order, old_posts=None), SMMFANFAST)


def test_ignored_fields_describe_a_panel_without_drip_feed() -> None:
    plain = attrs.evolve(SMMFANFAST, ignored_fields=frozenset({"runs", "interval"}))
    once = DefaultOrder(service=5, link=LINK, quantity=1)

    assert encode_order(once, plain)["quantity"] == "1"
    assert encode_order(PackageOrder(service=5, link=LINK), plain)["link"] == LINK
    assert rejection(lambda: encode_order(attrs.evolve(once, runs=2, interval=5), plain)).field == (
        "interval"
    )


@attrs.frozen(kw_only=True)
class OwnOrder(Order):
    """A custom form for an undocumented order type."""

    panel_type = "own"

    colour: str


def test_custom_order_class_needs_its_type_in_the_profile() -> None:
    order = OwnOrder(service=5, colour="red")
    mine = attrs.evolve(API_V2, order_types=API_V2.order_types | {"Own"})

    assert encode_order(order, mine) == {"action": "add", "service": "5", "colour": "red"}
    assert rejection(lambda: encode_order(order, API_V2)).field == "panel_type"


@pytest.mark.parametrize("profile", [SMMFANFAST, API_V2], ids=lambda profile: profile.name)
def test_order_without_type_is_not_checked_for_its_type(profile: Profile) -> None:
    form = encode_order(Order(service=5, extra={"colour": "red"}), profile)

    assert form == {"action": "add", "service": "5", "colour": "red"}


# --- values that a panel decodes twice -----------------------------------------------------------


@pytest.mark.parametrize(("link", "escaped"), [
    ("https://t.me/+AbC", "https://t.me/%2BAbC"),
    ("https://example.com/%41", "https://example.com/%2541"),
    ("https://example.com/%2B", "https://example.com/%252B"),
    ("https://example.com/a?b=c&d=é", "https://example.com/a?b=c&d=é"),
])  # fmt: skip
def test_percent_and_plus_are_escaped_if_double_decoded(link: str, escaped: str) -> None:
    order = PackageOrder(service=5, link=link, extra={"note": link})

    assert (
        encode_order(order, SMMFANFAST)["link"] == encode_order(order, SMMFANFAST)["note"] == link
    )
    assert encode_order(order, DOUBLE)["link"] == encode_order(order, DOUBLE)["note"] == escaped
    assert encode_call("x", {"link": link}, SMMFANFAST)["link"] == link
    assert encode_call("x", {"link": link}, DOUBLE)["link"] == escaped


@given(st.text())
def test_value_survives_double_decoding(text: str) -> None:
    body = urlencode(encode_call("x", {"note": text}, DOUBLE))

    once = dict(parse_qsl(body, keep_blank_values=True, strict_parsing=True))["note"]

    assert unquote_plus(once) == text


# --- calls with ids ------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "field", "ids", "form"), [
    ("status", "order", ["32"], {"action": "status", "order": "32"}),
    ("status", "orders", ["32"], {"action": "status", "orders": "32"}),
    ("status", "orders", ["12", "2", "13"], {"action": "status", "orders": "12,2,13"}),
    ("refill_status", "refills", ["1", "2"], {"action": "refill_status", "refills": "1,2"}),
])  # fmt: skip
def test_ids_are_joined_by_commas_without_spaces(
    action: str, field: str, ids: list[str], form: Form
) -> None:
    assert encode_ids(action, field, ids) == form


# --- undocumented calls --------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "text"), [
    ("a text", "a text"),
    ("a\nb", "a\nb"),
    ("", ""),
    (5, "5"),
    (0, "0"),
    (-5, "-5"),
    (True, "1"),
    (False, "0"),
    (Decimal("0.0360"), "0.0360"),
    (Decimal("1E+3"), "1000"),
    (Decimal("1E-7"), "0.0000001"),
    (date(2026, 2, 1), "01/02/2026"),
    (["a", "b"], "a\nb"),
    (("a", 5, True, Decimal("0.5"), date(2026, 2, 1)), "a\n5\n1\n0.5\n01/02/2026"),
    ([], ""),
])  # fmt: skip
def test_type_of_a_value_determines_its_text(value: object, text: str) -> None:
    assert encode_call("x", {"field": value}, SMMFANFAST) == {"action": "x", "field": text}


def test_none_is_omitted() -> None:
    form = encode_call("services", {"category": None, "page": 2}, SMMFANFAST)

    assert form == {"action": "services", "page": "2"}


@pytest.mark.parametrize(("value", "shown", "reason"), [
    (1.5, "1.5", "cannot be sent as text"),
    (b"x", "b'x'", "cannot be sent as text"),
    ({"a"}, "{'a'}", "cannot be sent as text"),
    ({"a": "b"}, "{'a': 'b'}", "cannot be sent as text"),
    (Decimal("NaN"), "Decimal('NaN')", "cannot be sent as text"),
    (Decimal("Infinity"), "Decimal('Infinity')", "cannot be sent as text"),
    (datetime(2026, 2, 1, tzinfo=UTC), repr(datetime(2026, 2, 1, tzinfo=UTC)),
        "cannot be sent as text"),
    ("a\ud800", r"'a\ud800'", "contains a lone surrogate, which UTF-8 cannot encode"),
    (["a", None], "None", "cannot be sent as text"),
    (["a", "b\nc"], r"'b\nc'", "contains a line break or NUL"),
    (["a", ["b", "c"]], "['b', 'c']", "contains a line break or NUL"),
    (["a", "b\u2028c"], r"'b\u2028c'", "contains a line break or NUL"),
])  # fmt: skip
def test_value_without_a_unique_text_form_is_rejected(
    value: object, shown: str, reason: str
) -> None:
    error = rejection(lambda: encode_call("x", {"fine": 1, "field": value}, SMMFANFAST))

    assert str(error) == f"field {shown} {reason}"


@pytest.mark.parametrize("action", ["", " ", "a\ud800", None, 5, b"status"])
def test_action_must_be_a_name(action: str) -> None:
    error = rejection(lambda: encode_call(action, {}, SMMFANFAST))

    assert str(error) == f"action {action!r} must be the name of an action"


@pytest.mark.parametrize("action", ["add", "Add", " add", "add\n", "ADD"])
def test_add_is_rejected_in_call_form(action: str) -> None:
    error = rejection(lambda: encode_call(action, {"service": 5}, SMMFANFAST))

    assert str(error) == f"action {action!r} is reserved for Client.add"


@pytest.mark.parametrize("name", ["key", "action"])
def test_key_and_action_are_rejected_and_not_shown(name: str) -> None:
    error = rejection(lambda: encode_call("x", {name: "made-up-key"}, SMMFANFAST))

    assert str(error) == f"{name} '…' is set by the client"
    assert "made-up-key" not in repr(error)
