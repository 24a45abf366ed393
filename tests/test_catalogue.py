"""The catalogue: search, order checks, exact prices, differences, JSON."""

import copy
import decimal
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import attrs
import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from smmfanfast_async._wire.decode import decode_services
from smmfanfast_async._wire.encode import encode_order
from smmfanfast_async.catalogue import Catalogue, ServiceChange, quote_form, total_quantity
from smmfanfast_async.errors import InvalidOrderError, InvalidSettingsError
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
from smmfanfast_async.profile import API_V2
from smmfanfast_async.results import Response, Service

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
UNUSUAL = Service(service="ord_x", name="", category="", raw_rate="7", type="a new type")


def evolve_service(service: Service, **changes: Any) -> Service:
    return structs.replace(service, **changes)


def catalogue(*services: Service) -> Catalogue:
    return Catalogue.from_services(services, FETCHED_AT)


OFFER = catalogue(FOLLOWERS, COMMENTS, PACKAGE, UNUSUAL)


def catalogue_for(order: Order, **fields: Any) -> Catalogue:
    """Create a catalogue with one service of the type of an order."""
    return catalogue(Service(service=order.service, **{"type": order.panel_type} | fields))


def lines(count: int) -> list[str]:
    return [f"line {number}" for number in range(count)]


def subscription(minimum: int, maximum: int) -> SubscriptionsOrder:
    return SubscriptionsOrder(service=5, username="ann", min=minimum, max=maximum, delay=0)


def traffic(quantity: int, runs: int | None = None) -> WebTrafficOrder:
    return WebTrafficOrder(
        service=5, link=LINK, quantity=quantity, country="US", device=1, type_of_traffic=3,
        runs=runs, interval=runs and 5,
    )  # fmt: skip


# Orders with a quantity, and the field that has it; None if it is not checked.
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


def test_catalogue_maps_ids_to_services_in_panel_order() -> None:
    assert list(OFFER) == ["5", "9", "10", "ord_x"]
    assert list(OFFER.values()) == [FOLLOWERS, COMMENTS, PACKAGE, UNUSUAL]
    assert len(OFFER) == 4
    assert dict(OFFER)["9"] is COMMENTS


@pytest.mark.parametrize("asked", [5, "5"])
def test_id_lookup_accepts_int_and_text(asked: int | str) -> None:
    assert OFFER[asked] is FOLLOWERS
    assert OFFER.find(asked) is FOLLOWERS
    assert OFFER.get(asked) is FOLLOWERS
    assert asked in OFFER


@pytest.mark.parametrize("asked", [6, "6", "", "05", "5 ", None])
def test_unlisted_id_is_not_found(asked: Any) -> None:
    assert OFFER.find(asked) is None
    assert OFFER.get(asked) is None
    assert asked not in OFFER
    with pytest.raises(KeyError):
        OFFER[asked]


def test_repeated_id_keeps_all_its_services() -> None:
    again = evolve_service(FOLLOWERS, name="later", raw_rate="9")
    found = catalogue(FOLLOWERS, COMMENTS, again)

    assert found["5"] is found.find(5) is FOLLOWERS
    assert list(found) == ["5", "9"]
    assert list(found.values()) == [FOLLOWERS, COMMENTS, again]
    assert (len(found), len(found.values())) == (2, 3)
    assert again in found.values()
    assert PACKAGE not in found.values()
    assert found.search("later") == [again]
    assert found.by_category()["Instagram - Followers"] == [FOLLOWERS, again]
    assert found.by_type(DefaultOrder) == [FOLLOWERS, again]
    assert found.repeated == (again,)
    assert found.ambiguous_ids == {"5"}
    assert catalogue(FOLLOWERS, COMMENTS).ambiguous_ids == frozenset()


def test_repeated_id_is_stored_in_json() -> None:
    found = catalogue(FOLLOWERS, evolve_service(FOLLOWERS, raw_rate="9"), COMMENTS)

    assert Catalogue.from_json(found.to_json()) == found


@pytest.mark.parametrize(("change", "price"), [
    ({"name": "later"}, Decimal("1.02")),
    ({"raw_rate": "1.0200"}, Decimal("1.02")),
    ({"raw_rate": "9"}, None),
    ({"raw_rate": None}, None),
    ({"type": "package"}, None),
])  # fmt: skip
def test_ambiguous_price_is_not_known(change: dict[str, Any], price: Decimal | None) -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=1000)

    for services in ([FOLLOWERS, evolve_service(FOLLOWERS, **change)],
                     [evolve_service(FOLLOWERS, **change), FOLLOWERS]):  # fmt: skip
        assert catalogue(*services).quote(order) == price


@pytest.mark.parametrize(("change", "reason"), [
    ({"min": 2000}, "below the minimum"), ({"max": 900}, "above the maximum"),
    ({"type": "package"}, "accepts only orders of type"),
])  # fmt: skip
def test_order_has_to_suit_all_services_of_its_id(change: dict[str, Any], reason: str) -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=1000)
    again = evolve_service(FOLLOWERS, **change)

    assert catalogue(FOLLOWERS, evolve_service(FOLLOWERS, name="x")).check(order) is FOLLOWERS
    for services in ([FOLLOWERS, again], [again, FOLLOWERS]):
        with pytest.raises(InvalidOrderError, match=reason):
            catalogue(*services).check(order)


def test_diff_compares_repeated_ids_one_by_one() -> None:
    second, third = evolve_service(FOLLOWERS, name="b"), evolve_service(FOLLOWERS, name="c")
    older, newer = catalogue(FOLLOWERS, second), catalogue(FOLLOWERS, third)

    assert newer.diff(older).changed == (ServiceChange(second, third),)
    assert catalogue(FOLLOWERS, second, third).diff(older).added == (third,)
    assert older.diff(catalogue(FOLLOWERS, second, third)).removed == (third,)
    assert catalogue(FOLLOWERS).diff(older).removed == (second,)


def test_from_services_accepts_any_iterable() -> None:
    found = Catalogue.from_services(iter([FOLLOWERS]), FETCHED_AT, ("{'name'",))

    assert found.services == {"5": FOLLOWERS}
    assert found.fetched_at == FETCHED_AT
    assert found.unreadable == ("{'name'",)
    assert "Followers" not in repr(found)


@pytest.mark.parametrize(
    "way",
    [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))],  # noqa: S301
)
def test_copy_is_equal(way: Callable[[Catalogue], Catalogue]) -> None:
    assert way(OFFER) == OFFER
    assert way(OFFER) != catalogue(FOLLOWERS)


def test_catalogue_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        OFFER.fetched_at = FETCHED_AT  # type: ignore[misc]  # the assignment under test


# --- searching -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("words", "found"), [
    ("", [FOLLOWERS, COMMENTS, PACKAGE, UNUSUAL]),
    ("  ", [FOLLOWERS, COMMENTS, PACKAGE, UNUSUAL]),
    ("instagram", [FOLLOWERS, COMMENTS, PACKAGE]),
    ("FOLLOWERS 15k", [FOLLOWERS]),
    ("15k instagram - followers", [FOLLOWERS]),
    ("comments", [COMMENTS]),
    ("متابعين", [PACKAGE]),
    ("straße", [PACKAGE]),
    ("followers comments", []),
    ("tiktok", []),
])  # fmt: skip
def test_search_matches_all_words_in_name_or_category(words: str, found: list[Service]) -> None:
    assert OFFER.search(words) == found


@pytest.mark.parametrize(("word", "found"), [
    ("default", [FOLLOWERS]),
    ("custom_comments", [COMMENTS]),
    ("CUSTOM-COMMENTS", [COMMENTS]),
    ("A new type", [UNUSUAL]),
    ("", []),
    ("comments", []),
])  # fmt: skip
def test_search_by_type_ignores_spelling(word: str, found: list[Service]) -> None:
    assert OFFER.search(type=word) == found


def test_search_by_empty_type_finds_services_without_type() -> None:
    bare = Service(service="1")

    assert catalogue(bare).search(type="") == [bare]
    assert catalogue(bare).search(type="default") == []


@pytest.mark.parametrize(("max_rate", "found"), [
    ("0.0399999999999999999999999999999999999999", []),
    ("0.04", [COMMENTS]),
    ("1.0199", [COMMENTS]),
    ("1.02", [FOLLOWERS, COMMENTS]),
    ("7", [FOLLOWERS, COMMENTS, UNUSUAL]),
])  # fmt: skip
def test_search_by_max_rate_needs_a_rate_up_to_it(max_rate: str, found: list[Service]) -> None:
    assert OFFER.search(max_rate=Decimal(max_rate)) == found


def test_search_conditions_are_combined() -> None:
    assert OFFER.search("instagram", type="default", max_rate=Decimal(2)) == [FOLLOWERS]
    assert OFFER.search("instagram", type="default", max_rate=Decimal(1)) == []


def test_by_category_keeps_panel_order() -> None:
    assert list(OFFER.by_category().items()) == [
        ("Instagram - Followers", [FOLLOWERS, PACKAGE]),
        ("Instagram - Comments", [COMMENTS]),
        ("", [UNUSUAL]),
    ]


@pytest.mark.parametrize("cls", API_V2_ORDER_TYPES.values())
def test_by_type_finds_services_by_order_class(cls: type[Order]) -> None:
    expected = {DefaultOrder: [FOLLOWERS], CustomCommentsOrder: [COMMENTS], PackageOrder: [PACKAGE]}

    assert OFFER.by_type(cls) == expected.get(cls, [])


# --- checking ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIMITED)
def test_quantity_is_checked_against_min_and_max(name: str) -> None:
    over, field = OVER[name]
    limits = {"min": 10, "max": 20}
    where = type(over(10)).__name__

    for fine in (10, 11, 19, 20):
        offer = catalogue_for(over(fine), **limits)
        assert offer.check(over(fine)) is offer["5"]
    below = refusal(lambda: catalogue_for(over(9), **limits).check(over(9)))
    above = refusal(lambda: catalogue_for(over(21), **limits).check(over(21)))

    assert above.reason == "is above the maximum of service 5 (20)"
    assert (above.owner, above.value) == (where, "21")
    assert below.reason == "is below the minimum of service 5 (10)"
    assert (below.owner, below.value) == (where, "9")
    assert field in {above.field, below.field}


@pytest.mark.parametrize("name", ["package", "comments package"])
@pytest.mark.parametrize("quantity", [1, 9, 21])
def test_package_quantity_is_not_checked(name: str, quantity: int) -> None:
    order = OVER[name][0](quantity)

    assert catalogue_for(order, min=10, max=20).check(order).service == "5"


@pytest.mark.parametrize("name", OVER)
def test_missing_limits_are_not_checked(name: str) -> None:
    order = OVER[name][0](1)

    assert catalogue_for(order).check(order).service == "5"


def test_order_without_quantity_is_not_checked() -> None:
    order = MentionsMediaLikersOrder(service=5, link=LINK)

    assert catalogue_for(order, min=10, max=20).check(order).service == "5"


def test_drip_feed_limit_applies_to_total() -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=7, runs=3, interval=5)

    error = refusal(lambda: catalogue_for(order, min=1, max=20).check(order))

    assert str(error) == "quantity 21 is above the maximum of service 5 (20)"
    assert catalogue_for(order, min=21, max=21).check(order).service == "5"


DRIP_FED = [DefaultOrder(service=5, link=LINK, quantity=7, runs=3, interval=5), traffic(7, 3)]


@pytest.mark.parametrize("drip_feed", [True, None])
@pytest.mark.parametrize("order", DRIP_FED, ids=lambda each: each.panel_type)
def test_drip_feed_is_accepted_unless_excluded(order: Order, drip_feed: object) -> None:
    assert catalogue_for(order, dripfeed=drip_feed).check(order).service == "5"


@pytest.mark.parametrize("order", DRIP_FED, ids=lambda each: each.panel_type)
def test_drip_feed_is_refused_by_service_without_it(order: Order) -> None:
    once = attrs.evolve(order, runs=None, interval=None)

    error = refusal(lambda: catalogue_for(order, dripfeed=False).check(order))

    assert str(error) == "runs 3 requires drip-feed, which service 5 does not support"
    assert catalogue_for(once, dripfeed=False).check(once).service == "5"


@pytest.mark.parametrize("spelled", ["custom_comments", "Custom Comments", "CUSTOM-COMMENTS"])
def test_order_of_another_type_is_refused(spelled: str) -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=7)

    error = refusal(lambda: catalogue_for(order, type=spelled).check(order))

    assert str(error) == (
        f"service '5' accepts only orders of type {spelled!r}: use CustomCommentsOrder"
    )


@pytest.mark.parametrize("type_", [None, "", "something new"])
def test_unknown_service_type_is_not_checked(type_: str | None) -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=7)

    assert catalogue_for(order, type=type_).check(order).service == "5"


@pytest.mark.parametrize("ask", [Catalogue.check, Catalogue.quote])
def test_unlisted_service_is_refused(ask: Callable[[Catalogue, Order], object]) -> None:
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
def test_price_is_flat_for_packages_else_per_1000(order: Order, rate: str, price: str) -> None:
    assert catalogue_for(order, raw_rate=rate).quote(order) == Decimal(price)


def form_price(order: Order, price: str | None = None, **offer: Any) -> Decimal | None:
    """Return the price of an order by its form."""
    quoted = None if price is None else Decimal(price)
    form = encode_order(order, API_V2)
    return quote_form(catalogue_for(order, **offer), form, total_quantity(order), quoted)


@pytest.mark.parametrize("name", OVER)
def test_form_has_the_price_of_its_order(name: str) -> None:
    order = OVER[name][0](10)

    assert form_price(order, raw_rate="1.02") == catalogue_for(order, raw_rate="1.02").quote(order)


@pytest.mark.parametrize("order", [
    DefaultOrder(service=5, link=LINK, quantity=100, runs=3, interval=5), traffic(100, 3),
    PackageOrder(service=5, link=LINK), subscription(10, 20),
    MentionsMediaLikersOrder(service=5, link=LINK),
    CustomCommentsOrder(service=5, link=LINK, comments=["a"], quantity=9),
    PollOrder(service=5, link=LINK, quantity=10, answer_number=1, extra={"runs": "9"}),
    PollOrder(service=5, link=LINK, quantity=10, answer_number=1, extra={"runs": "x"}),
], ids=repr)  # fmt: skip
def test_form_with_several_numbers_has_the_price_of_its_order(order: Order) -> None:
    assert form_price(order, raw_rate="1.02") == catalogue_for(order, raw_rate="1.02").quote(order)


def test_form_for_a_service_without_rate_or_that_is_gone_has_no_price() -> None:
    order = DefaultOrder(service=5, link=LINK, quantity=100)

    assert form_price(order) is None
    assert quote_form(catalogue(), {"service": "5"}, 100, None) is None


@pytest.mark.parametrize(("before", "price"), [
    ("0.2", "0.2"), ("2", "2"), ("0.1", "2"), (None, "2"),
])  # fmt: skip
def test_form_for_a_service_of_unknown_type_may_be_a_package(
    before: str | None, price: str
) -> None:
    """Its earlier price shows which; otherwise the higher price counts."""
    order = DefaultOrder(service=5, link=LINK, quantity=100)

    assert form_price(order, before, raw_rate="2", type="new") == Decimal(price)


@pytest.mark.parametrize("name", OVER)
def test_service_without_rate_has_no_price(name: str) -> None:
    order = OVER[name][0](10)

    assert catalogue_for(order).quote(order) is None


@pytest.mark.parametrize("order", [
    subscription(10, 20), MentionsMediaLikersOrder(service=5, link=LINK),
], ids=repr)  # fmt: skip
def test_price_not_known_in_advance_is_none(order: Order) -> None:
    assert catalogue_for(order, raw_rate="1.02").quote(order) is None


@pytest.mark.parametrize("kind", ["default", "Custom Comments", "SUBSCRIPTIONS", "poll"])
def test_order_for_another_type_has_no_price(kind: str) -> None:
    """The panel charges by the type of the service: 100,000 times the rate, not once."""
    order = PackageOrder(service=5, link=LINK, quantity=100_000)

    assert catalogue(service(5, raw_rate="1.02", type=kind)).quote(order) is None


def test_subclass_of_the_order_type_has_its_price() -> None:
    class OwnOrder(DefaultOrder):
        """A subclass of a known order type."""

    order = OwnOrder(service=5, link=LINK, quantity=1000)

    assert catalogue(service(5, raw_rate="1.02", type="default")).quote(order) == Decimal("1.02")


def test_quantity_in_extra_has_no_price() -> None:
    order = PollOrder(
        service=5, link=LINK, quantity=10, answer_number=1, extra={"runs": "9", "interval": "1"}
    )
    bare = Order(service=5, extra={"quantity": "9"})

    assert catalogue_for(order, raw_rate="1.02").quote(order) is None
    assert catalogue_for(bare, raw_rate="1.02").quote(bare) is None


@given(
    st.integers(0, 10**40 - 1),
    st.integers(0, 40),
    st.integers(1, MAX_WHOLE_NUMBER),
    st.integers(1, MAX_WHOLE_NUMBER),
    st.integers(1, 50),
)
@example(10**40 - 1, 40, MAX_WHOLE_NUMBER - 1, MAX_WHOLE_NUMBER - 1, 28)
def test_price_is_exact_in_any_decimal_context(
    digits: int, decimals: int, quantity: int, runs: int, precision: int
) -> None:
    rate = Decimal(digits).scaleb(-decimals, decimal.Context(prec=40))
    order = DefaultOrder(service=5, link=LINK, quantity=quantity, runs=runs, interval=5)

    with decimal.localcontext(prec=precision):
        price = catalogue_for(order, raw_rate=f"{rate:f}").quote(order)

    assert price is not None
    assert Fraction(price) == Fraction(rate) * quantity * runs / 1000


@pytest.mark.parametrize("name", COUNTED)
@pytest.mark.parametrize("quantity", [1, 10])
def test_total_quantity_of_each_order_type(name: str, quantity: int) -> None:
    assert total_quantity(OVER[name][0](quantity)) == quantity


@pytest.mark.parametrize(("order", "total"), [
    (DefaultOrder(service=5, link=LINK, quantity=100, runs=3, interval=5), 300),
    (CustomCommentsOrder(service=5, link=LINK, comments=["a", "b"], quantity=9), 2),
    (PackageOrder(service=5, link=LINK), None),
    (MentionsMediaLikersOrder(service=5, link=LINK), None),
    (traffic(100, 3), 300),
    (subscription(10, 20), None),
], ids=repr)  # fmt: skip
def test_total_quantity_is_none_without_quantity(order: Order, total: int | None) -> None:
    assert total_quantity(order) == total


# --- differences ---------------------------------------------------------------------------------


def service(number: int, **fields: Any) -> Service:
    return Service(service=str(number), **fields)


def test_diff_lists_added_removed_and_changed() -> None:
    older = catalogue(service(1), service(2), service(3, desc="a"), service(4))
    newer = catalogue(service(5), service(3, desc="b"), service(1), service(6))

    diff = newer.diff(older)

    assert diff.added == (service(5), service(6))
    assert diff.removed == (service(2), service(4))
    assert diff.changed == (ServiceChange(service(3, desc="a"), service(3, desc="b")),)


def test_diff_ignores_the_order_of_services() -> None:
    diff = catalogue(UNUSUAL, PACKAGE, COMMENTS, FOLLOWERS).diff(OFFER)

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
def test_price_change_needs_both_rates(
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
def test_change_of_min_or_max_is_a_limits_change(
    older: tuple[int | None, int | None], newer: tuple[int | None, int | None], *, other: bool
) -> None:
    change = ServiceChange(
        service(1, min=older[0], max=older[1]), service(1, min=newer[0], max=newer[1])
    )

    assert change.limits_changed is other


# --- JSON ----------------------------------------------------------------------------------------


IRREGULAR = Service(
    service="a-1",
    name="\u202e\x1b[31m ✨ \ud800",
    raw_rate="0.00000000000000000001",
    min=-1,
    type="default",
    dripfeed=False,
    extra={"refill_days": ["30", {"x": None}], "price": 1.5, "big": 10**40},
)

HEAD: dict[str, Any] = {
    "format": "smmfanfast catalogue 1",
    "fetched_at": FETCHED_AT.isoformat(),
    "unreadable": [],
    "services": [],
}


def test_numbers_out_of_bounds_are_text_in_json() -> None:
    body = b'[{"service": 1, "x": NaN, "y": 1e400, "z": 1.5}]'
    rows = decode_services(Response(status=200, body=body), API_V2)

    read = Catalogue.from_json(Catalogue.from_services(rows.services, FETCHED_AT).to_json())

    assert read["1"].extra == {"x": "NaN", "y": "1e400", "z": "1.5"}


def test_json_round_trip_is_exact() -> None:
    saved = Catalogue.from_services([IRREGULAR, FOLLOWERS], FETCHED_AT, ("not a record",))

    read = Catalogue.from_json(saved.to_json())

    assert read == saved
    assert Catalogue.from_json(saved.to_json().encode()) == saved
    assert list(read) == ["a-1", "5"]
    assert str(read["a-1"].rate) == "1E-20"


def test_json_is_ascii_with_one_service_per_line() -> None:
    lines = catalogue(IRREGULAR, FOLLOWERS).to_json().splitlines()

    assert all(line.isascii() for line in lines)
    assert [json.loads(line.rstrip(","))["service"] for line in lines[1:-1]] == ["a-1", "5"]
    assert json.loads(lines[1].rstrip(","))["rate"] == "0.00000000000000000001"


def test_json_contains_neither_raw_text_nor_staleness() -> None:
    stale = evolve(catalogue(structs.replace(FOLLOWERS, raw="{}")), is_stale=True)

    assert Catalogue.from_json(stale.to_json()) == catalogue(FOLLOWERS)


def test_json_time_is_read_as_utc() -> None:
    text = json.dumps(HEAD | {"fetched_at": "2026-03-01T14:00:00+02:00"})

    assert Catalogue.from_json(text).fetched_at == FETCHED_AT
    assert Catalogue.from_json(text).fetched_at.tzinfo is UTC


def of_service(**fields: object) -> str:
    return json.dumps(HEAD | {"services": [{"service": "5"} | fields]})


@pytest.mark.parametrize(("text", "reason"), [
    ("", "is invalid: Expecting value"),
    (b"\xff", "is invalid: 'utf-8' codec can't decode"),
    ("[" * 100_000, "is nested too deeply"),
    ("[]", "is invalid: expected an object"),
    ("{}", "the format is None, expected 'smmfanfast catalogue 1'"),
    (json.dumps({"format": "smmfanfast catalogue 2"}), "format is 'smmfanfast catalogue 2'"),
    (json.dumps({"format": HEAD["format"]}), "missing required field `fetched_at`"),
    (json.dumps(HEAD | {"fetched_at": 3}), "fetched_at: expected `str`, got `int`"),
    (json.dumps(HEAD | {"fetched_at": "soon"}), "Invalid isoformat string: 'soon'"),
    (json.dumps(HEAD | {"fetched_at": "2026-03-01"}), "'2026-03-01' has no time zone"),
    (json.dumps(HEAD | {"unreadable": [1]}), "unreadable[0]: expected `str`, got `int`"),
    (json.dumps(HEAD | {"services": {}}), "services: expected `array`, got `object`"),
    (json.dumps(HEAD | {"services": [1]}), "service 1: expected `object`, got `int`"),
    (json.dumps(HEAD | {"services": [{"name": "x"}]}), "missing required field `service`"),
    (of_service(service=5), "service 5: service: expected `str`"),
    (of_service(price="1"), "service '5': object contains unknown field `price`"),
    (of_service(raw="1"), "service '5': object contains unknown field `raw`"),
    (of_service(rate=1.02), "service '5': rate: expected `str | null`, got `float`"),
    (of_service(rate="NaN"), "service '5': rate: 'NaN' is not an amount"),
    (of_service(rate="much"), "service '5': rate: 'much' is not an amount"),
    (of_service(min=True), "service '5': min: expected `int | null`, got `bool`"),
    (of_service(extra=[]), "service '5': extra: expected `object | null`, got `array`"),
])  # fmt: skip
def test_invalid_json_error_names_the_flaw(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        Catalogue.from_json(text)

    assert caught.value.name == "catalogue"
    assert reason in caught.value.reason
    assert "\n" not in caught.value.reason
