"""Services: found, held against orders, priced to the last digit, compared."""

import copy
import decimal
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import example, given
from hypothesis import strategies as st

from smmfanfast_async.catalogue import Catalogue, ServiceChange, total_quantity
from smmfanfast_async.errors import InvalidOrderError
from smmfanfast_async.orders import (
    API_V2_ORDER_TYPES,
    MAX_WHOLE_NUMBER,
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
from smmfanfast_async.results import Service

LINK = "https://example.com/p"
FETCHED_AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

FOLLOWERS = Service(
    service="5",
    name="Instagram Followers [15K]",
    category="Instagram - Followers",
    raw_rate="1.02",
    min=500,
    max=10000,
    type="default",
    dripfeed=True,
)
COMMENTS = Service(
    service="9",
    name="Comments",
    category="Instagram - Comments",
    raw_rate="0.04",
    min=2,
    max=4,
    type="Custom Comments",
)
PACKAGE = Service(
    service="10", name="STRASSE متابعين", category="Instagram - Followers", type="package"
)
ODD = Service(service="ord_x", name="", category="", raw_rate="7", type="a new type")


def catalogue(*services: Service) -> Catalogue:
    return Catalogue.from_services(services, FETCHED_AT)


OFFER = catalogue(FOLLOWERS, COMMENTS, PACKAGE, ODD)


def offer_for(order: Order, **fields: Any) -> Catalogue:
    """Make a catalogue whose one service takes the type of an order."""
    return catalogue(Service(service=order.service, **{"type": order.panel_type} | fields))


def lines(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


def subscription(least: int, most: int) -> SubscriptionsOrder:
    return SubscriptionsOrder(service=5, username="ann", min=least, max=most, delay=0)


def traffic(quantity: int, runs: int | None = None) -> WebTrafficOrder:
    return WebTrafficOrder(
        service=5, link=LINK, quantity=quantity, country="US", device=1, type_of_traffic=3,
        runs=runs, interval=runs and 5,
    )  # fmt: skip


# Orders over a quantity, and the field that says it; None for what is not held against limits.
OVER: dict[str, tuple[Callable[[int], Order], str | None]] = {
    "default": (lambda n: DefaultOrder(service=5, link=LINK, quantity=n), "quantity"),
    "drip-feed": (
        lambda n: DefaultOrder(service=5, link=LINK, quantity=1, runs=n, interval=5),
        "quantity",
    ),
    "package": (lambda n: PackageOrder(service=5, link=LINK, quantity=n), None),
    "custom comments": (
        lambda n: CustomCommentsOrder(service=5, link=LINK, comments=lines(n)),
        "comments",
    ),
    "with hashtags": (
        lambda n: MentionsWithHashtagsOrder(
            service=5, link=LINK, quantity=n, usernames=["ann"], hashtags=["sun"]
        ),
        "quantity",
    ),
    "custom list": (
        lambda n: MentionsCustomListOrder(service=5, link=LINK, usernames=lines(n)),
        "usernames",
    ),
    "hashtag": (
        lambda n: MentionsHashtagOrder(service=5, link=LINK, quantity=n, hashtag="sun"),
        "quantity",
    ),
    "user followers": (
        lambda n: MentionsUserFollowersOrder(
            service=5, link=LINK, quantity=n, username="https://example.com/ann"
        ),
        "quantity",
    ),
    "comments package": (
        lambda n: CustomCommentsPackageOrder(service=5, link=LINK, comments=lines(n)),
        None,
    ),
    "media likers": (
        lambda n: MentionsMediaLikersOrder(service=5, link=LINK, quantity=n),
        "quantity",
    ),
    "comment likes": (
        lambda n: CommentLikesOrder(service=5, link=LINK, quantity=n, username="ann"),
        "quantity",
    ),
    "mentions": (
        lambda n: MentionsOrder(service=5, link=LINK, quantity=n, usernames=["ann", "bob"]),
        "quantity",
    ),
    "seo": (
        lambda n: SeoOrder(service=5, link=LINK, quantity=n, keywords=["red", "shoes"]),
        "quantity",
    ),
    "comment replies": (
        lambda n: CommentRepliesOrder(service=5, link=LINK, username="ann", comments=lines(n)),
        "comments",
    ),
    "poll": (
        lambda n: PollOrder(service=5, link=LINK, quantity=n, answer_number=2),
        "quantity",
    ),
    "invites": (
        lambda n: InvitesFromGroupsOrder(service=5, link=LINK, quantity=n, groups=["a", "b"]),
        "quantity",
    ),
    "web traffic": (traffic, "quantity"),
    "web traffic in runs": (lambda n: traffic(1, n), "quantity"),
    "subscription, min": (lambda n: subscription(n, max(n, 20)), "min"),
    "subscription, max": (lambda n: subscription(min(n, 10), n), "max"),
}
LIMITED = [name for name, (_, field) in OVER.items() if field is not None]
COUNTED = [name for name in OVER if "subscription" not in name]


def refusal(make: Callable[[], object]) -> InvalidOrderError:
    with pytest.raises(InvalidOrderError) as raised:
        make()
    return raised.value


# --- a mapping of services -----------------------------------------------------------------------


def test_a_catalogue_maps_ids_to_services_in_the_panels_order() -> None:
    assert list(OFFER) == ["5", "9", "10", "ord_x"]
    assert list(OFFER.values()) == [FOLLOWERS, COMMENTS, PACKAGE, ODD]
    assert len(OFFER) == 4
    assert dict(OFFER)["9"] is COMMENTS


@pytest.mark.parametrize("asked", [5, "5"])
def test_ids_are_asked_for_as_int_or_text(asked: int | str) -> None:
    assert OFFER[asked] is FOLLOWERS
    assert OFFER.find(asked) is FOLLOWERS
    assert OFFER.get(asked) is FOLLOWERS
    assert asked in OFFER


@pytest.mark.parametrize("asked", [6, "6", "", "05", "5 ", None])
def test_an_id_that_is_not_listed_is_not_found(asked: Any) -> None:
    assert OFFER.find(asked) is None
    assert OFFER.get(asked) is None
    assert asked not in OFFER
    with pytest.raises(KeyError):
        OFFER[asked]


def test_where_an_id_is_listed_twice_the_later_row_counts() -> None:
    later = Service(service="5", name="later")

    assert catalogue(FOLLOWERS, COMMENTS, later)["5"] is later


def test_a_catalogue_takes_any_iterable_and_says_when_it_was_fetched() -> None:
    found = Catalogue.from_services(iter([FOLLOWERS]), FETCHED_AT, ("{'name'",))

    assert found.services == {"5": FOLLOWERS}
    assert found.fetched_at == FETCHED_AT
    assert found.unreadable == ("{'name'",)
    assert "Followers" not in repr(found)


@pytest.mark.parametrize(
    "way",
    [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))],  # noqa: S301
)
def test_a_copy_is_equal(way: Callable[[Catalogue], Catalogue]) -> None:
    assert way(OFFER) == OFFER
    assert way(OFFER) != catalogue(FOLLOWERS)


def test_no_field_can_be_set() -> None:
    with pytest.raises(FrozenInstanceError):
        OFFER.fetched_at = FETCHED_AT  # type: ignore[misc]  # what is tested


# --- searching -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "found"), [
    ("", [FOLLOWERS, COMMENTS, PACKAGE, ODD]),
    ("  ", [FOLLOWERS, COMMENTS, PACKAGE, ODD]),
    ("instagram", [FOLLOWERS, COMMENTS, PACKAGE]),
    ("FOLLOWERS 15k", [FOLLOWERS]),
    ("15k instagram - followers", [FOLLOWERS]),
    ("comments", [COMMENTS]),
    ("متابعين", [PACKAGE]),
    ("straße", [PACKAGE]),
    ("followers comments", []),
    ("tiktok", []),
])  # fmt: skip
def test_a_search_finds_every_word_in_name_or_category_in_any_case(
    words: str, found: list[Service]
) -> None:
    assert OFFER.search(words) == found


@pytest.mark.parametrize(("word", "found"), [
    ("default", [FOLLOWERS]),
    ("custom_comments", [COMMENTS]),
    ("CUSTOM-COMMENTS", [COMMENTS]),
    ("A new type", [ODD]),
    ("", []),
    ("comments", []),
])  # fmt: skip
def test_a_search_by_type_takes_any_spelling(word: str, found: list[Service]) -> None:
    assert OFFER.search(type=word) == found


def test_a_search_by_no_type_finds_services_without_one() -> None:
    bare = Service(service="1")

    assert catalogue(bare).search(type="") == [bare]
    assert catalogue(bare).search(type="default") == []


@pytest.mark.parametrize(("max_rate", "found"), [
    ("0.0399999999999999999999999999999999999999", []),
    ("0.04", [COMMENTS]),
    ("1.0199", [COMMENTS]),
    ("1.02", [FOLLOWERS, COMMENTS]),
    ("7", [FOLLOWERS, COMMENTS, ODD]),
])  # fmt: skip
def test_a_search_by_rate_leaves_out_what_is_dearer_or_has_none(
    max_rate: str, found: list[Service]
) -> None:
    assert OFFER.search(max_rate=Decimal(max_rate)) == found


def test_all_conditions_of_a_search_hold_together() -> None:
    assert OFFER.search("instagram", type="default", max_rate=Decimal(2)) == [FOLLOWERS]
    assert OFFER.search("instagram", type="default", max_rate=Decimal(1)) == []


def test_services_stand_under_their_headings_in_the_panels_order() -> None:
    assert list(OFFER.by_category().items()) == [
        ("Instagram - Followers", [FOLLOWERS, PACKAGE]),
        ("Instagram - Comments", [COMMENTS]),
        ("", [ODD]),
    ]


@pytest.mark.parametrize("cls", API_V2_ORDER_TYPES.values())
def test_services_of_a_type_are_found_by_its_class(cls: type[Order]) -> None:
    expected = {DefaultOrder: [FOLLOWERS], CustomCommentsOrder: [COMMENTS], PackageOrder: [PACKAGE]}

    assert OFFER.by_type(cls) == expected.get(cls, [])


# --- checking ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIMITED)
def test_a_quantity_is_held_against_min_and_max(name: str) -> None:
    over, field = OVER[name]
    limits = {"min": 10, "max": 20}
    where = type(over(10)).__name__

    for fine in (10, 11, 19, 20):
        offer = offer_for(over(fine), **limits)
        assert offer.check(over(fine)) is offer["5"]
    below = refusal(lambda: offer_for(over(9), **limits).check(over(9)))
    above = refusal(lambda: offer_for(over(21), **limits).check(over(21)))

    assert above.reason == "is above the maximum of service 5 (20)"
    assert (above.owner, above.value) == (where, "21")
    assert below.reason == "is below the minimum of service 5 (10)"
    assert (below.owner, below.value) == (where, "9")
    assert field in {above.field, below.field}


@pytest.mark.parametrize("name", ["package", "comments package"])
@pytest.mark.parametrize("quantity", [1, 9, 21])
def test_a_package_has_no_quantity_to_hold_against_limits(name: str, quantity: int) -> None:
    order = OVER[name][0](quantity)

    assert offer_for(order, min=10, max=20).check(order).service == "5"


@pytest.mark.parametrize("name", OVER)
def test_limits_the_panel_does_not_give_are_not_checked(name: str) -> None:
    order = OVER[name][0](1)

    assert offer_for(order).check(order).service == "5"


def test_an_order_without_quantity_is_not_checked() -> None:
    order = MentionsMediaLikersOrder(service=5, link=LINK)

    assert offer_for(order, min=10, max=20).check(order).service == "5"


def test_the_total_of_a_drip_feed_is_what_counts() -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=7, runs=3, interval=5)

    error = refusal(lambda: offer_for(order, min=1, max=20).check(order))

    assert str(error) == "quantity 21 is above the maximum of service 5 (20)"
    assert offer_for(order, min=21, max=21).check(order).service == "5"


DRIP_FED = [DefaultOrder(service=5, link=LINK, quantity=7, runs=3, interval=5), traffic(7, 3)]


@pytest.mark.parametrize("drip_feed", [True, None])
@pytest.mark.parametrize("order", DRIP_FED, ids=lambda each: each.panel_type)
def test_a_drip_feed_needs_a_service_that_may_have_it(order: Order, drip_feed: object) -> None:
    assert offer_for(order, dripfeed=drip_feed).check(order).service == "5"


@pytest.mark.parametrize("order", DRIP_FED, ids=lambda each: each.panel_type)
def test_a_drip_feed_is_refused_where_the_service_has_none(order: Order) -> None:
    once = attrs.evolve(order, runs=None, interval=None)

    error = refusal(lambda: offer_for(order, dripfeed=False).check(order))

    assert str(error) == "runs 3 requires drip-feed, which service 5 does not support"
    assert offer_for(once, dripfeed=False).check(once).service == "5"


@pytest.mark.parametrize("spelled", ["custom_comments", "Custom Comments", "CUSTOM-COMMENTS"])
def test_an_order_of_another_type_is_refused(spelled: str) -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=7)

    error = refusal(lambda: offer_for(order, type=spelled).check(order))

    assert str(error) == (
        f"service '5' accepts only orders of type {spelled!r}: use CustomCommentsOrder"
    )


@pytest.mark.parametrize("type_", [None, "", "something new"])
def test_a_type_we_do_not_know_is_not_checked(type_: str | None) -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=7)

    assert offer_for(order, type=type_).check(order).service == "5"


@pytest.mark.parametrize("ask", [Catalogue.check, Catalogue.quote])
def test_a_service_that_is_not_listed_is_refused(ask: Callable[[Catalogue, Order], object]) -> None:
    order = PackageOrder(service=6, link=LINK)

    error = refusal(lambda: ask(OFFER, order))

    assert str(error) == "service '6' is not in the catalogue"


# --- prices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "rate", "price"), [
    (OVER["default"][0](500), "1.02", "0.51"),
    (OVER["default"][0](1), "0.001", "0.000001"),
    (OVER["default"][0](1000), "1.02", "1.02"),
    (DefaultOrder(service=5, link=LINK, quantity=100, runs=3, interval=5), "1.02", "0.306"),
    (OVER["package"][0](7), "1.02", "1.02"),
    (PackageOrder(service=5, link=LINK), "1.02", "1.02"),
    (OVER["custom comments"][0](3), "1.02", "0.00306"),
    (CustomCommentsOrder(service=5, link=LINK, comments=["a"], quantity=9), "1", "0.001"),
    (OVER["with hashtags"][0](10), "1.02", "0.0102"),
    (OVER["custom list"][0](2), "1.02", "0.00204"),
    (OVER["hashtag"][0](10), "1.02", "0.0102"),
    (OVER["user followers"][0](10), "1.02", "0.0102"),
    (OVER["comments package"][0](3), "1.02", "1.02"),
    (OVER["media likers"][0](10), "1.02", "0.0102"),
    (OVER["comment likes"][0](10), "0", "0"),
    (OVER["mentions"][0](10), "1.02", "0.0102"),
    (OVER["comment replies"][0](3), "1.02", "0.00306"),
    (attrs.evolve(OVER["comment replies"][0](3), quantity=1), "1.02", "0.00306"),
    (OVER["poll"][0](10), "1.02", "0.0102"),
    (traffic(100), "1.02", "0.102"),
    (traffic(100, 3), "1.02", "0.306"),
], ids=repr)  # fmt: skip
def test_a_price_is_flat_for_packages_and_by_1000_for_the_rest(
    order: Order, rate: str, price: str
) -> None:
    assert offer_for(order, raw_rate=rate).quote(order) == Decimal(price)


@pytest.mark.parametrize("name", OVER)
def test_without_a_rate_there_is_no_price(name: str) -> None:
    order = OVER[name][0](10)

    assert offer_for(order).quote(order) is None


@pytest.mark.parametrize("order", [
    subscription(10, 20), MentionsMediaLikersOrder(service=5, link=LINK),
], ids=repr)  # fmt: skip
def test_what_is_not_known_before_has_no_price(order: Order) -> None:
    assert offer_for(order, raw_rate="1.02").quote(order) is None


@pytest.mark.parametrize("kind", ["default", "Custom Comments", "SUBSCRIPTIONS", "poll"])
def test_an_order_for_a_service_of_another_type_has_no_price(kind: str) -> None:
    """The panel charges by the type of the service: 100,000 times the rate, not once."""
    order = PackageOrder(service=5, link=LINK, quantity=100_000)

    assert catalogue(service(5, raw_rate="1.02", type=kind)).quote(order) is None


def test_a_class_below_that_of_the_service_has_its_price() -> None:
    class Mine(DefaultOrder):
        """With something more."""

    order = Mine(service=5, link=LINK, quantity=1000)

    assert catalogue(service(5, raw_rate="1.02", type="default")).quote(order) == Decimal("1.02")


def test_what_an_extra_field_multiplies_has_no_price() -> None:
    order = PollOrder(
        service=5, link=LINK, quantity=10, answer_number=1, extra={"runs": "9", "interval": "1"}
    )
    bare = Order(service=5, extra={"quantity": "9"})

    assert offer_for(order, raw_rate="1.02").quote(order) is None
    assert offer_for(bare, raw_rate="1.02").quote(bare) is None


@given(
    st.integers(0, 10**40 - 1),
    st.integers(0, 40),
    st.integers(1, MAX_WHOLE_NUMBER),
    st.integers(1, MAX_WHOLE_NUMBER),
    st.integers(1, 50),
)
@example(10**40 - 1, 40, MAX_WHOLE_NUMBER - 1, MAX_WHOLE_NUMBER - 1, 28)
def test_a_price_is_exact_whatever_the_callers_context_rounds(
    digits: int, decimals: int, quantity: int, runs: int, precision: int
) -> None:
    rate = Decimal(digits).scaleb(-decimals, decimal.Context(prec=40))
    order = DefaultOrder(service=5, link=LINK, quantity=quantity, runs=runs, interval=5)

    with decimal.localcontext(prec=precision):
        price = offer_for(order, raw_rate=f"{rate:f}").quote(order)

    assert price is not None
    assert Fraction(price) == Fraction(rate) * quantity * runs / 1000


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("quantity", [1, 10])
def test_the_total_is_what_the_form_is_over(name: str, quantity: int) -> None:
    assert total_quantity(OVER[name][0](quantity)) == quantity


@pytest.mark.parametrize(("order", "total"), [
    (DefaultOrder(service=5, link=LINK, quantity=100, runs=3, interval=5), 300),
    (CustomCommentsOrder(service=5, link=LINK, comments=["a", "b"], quantity=9), 2),
    (PackageOrder(service=5, link=LINK), None),
    (MentionsMediaLikersOrder(service=5, link=LINK), None),
    (traffic(100, 3), 300),
    (subscription(10, 20), None),
], ids=repr)  # fmt: skip
def test_the_total_is_none_where_the_form_does_not_say(order: Order, total: int | None) -> None:
    assert total_quantity(order) == total


# --- differences ---------------------------------------------------------------------------------


def service(number: int, **fields: Any) -> Service:
    return Service(service=str(number), **fields)


def test_a_difference_is_what_is_new_gone_and_changed() -> None:
    older = catalogue(service(1), service(2), service(3, desc="a"), service(4))
    newer = catalogue(service(5), service(3, desc="b"), service(1), service(6))

    diff = newer.diff(older)

    assert diff.added == (service(5), service(6))
    assert diff.removed == (service(2), service(4))
    assert diff.changed == (ServiceChange(service(3, desc="a"), service(3, desc="b")),)


def test_a_catalogue_does_not_differ_from_itself_in_another_order() -> None:
    diff = catalogue(ODD, PACKAGE, COMMENTS, FOLLOWERS).diff(OFFER)

    assert (diff.added, diff.removed, diff.changed) == ((), (), ())


@pytest.mark.parametrize(("older", "newer", "dearer", "cheaper"), [
    ("1.02", "1.03", True, False),
    ("1.02", "1.020000000000000000000000000000000000001", True, False),
    ("1.02", "1.01", False, True),
    ("1.02", "1.0200", False, False),
    (None, "1", False, False),
    ("1", None, False, False),
    (None, None, False, False),
])  # fmt: skip
def test_a_change_is_dearer_or_cheaper_where_both_rates_are_known(
    older: str | None, newer: str | None, *, dearer: bool, cheaper: bool
) -> None:
    change = ServiceChange(
        service(1, raw_rate=older),
        service(1, raw_rate=newer),
    )

    assert (change.price_increased, change.price_decreased) == (dearer, cheaper)


@pytest.mark.parametrize(("older", "newer", "other"), [
    ((10, 20), (10, 20), False),
    ((10, 20), (11, 20), True),
    ((10, 20), (10, 21), True),
    ((None, 20), (10, 20), True),
    ((None, None), (None, None), False),
])  # fmt: skip
def test_a_change_of_min_or_max_is_one_of_limits(
    older: tuple[int | None, int | None], newer: tuple[int | None, int | None], *, other: bool
) -> None:
    change = ServiceChange(
        service(1, min=older[0], max=older[1]), service(1, min=newer[0], max=newer[1])
    )

    assert change.limits_changed is other
