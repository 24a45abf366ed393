"""API v2 panels, end to end: the client against a sandbox in their dialect."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smmfanfast_async import (
    API_V2,
    API_V2_ORDER_TYPES,
    ORDER_TYPES,
    SMMFANFAST,
    AuthenticationError,
    CancelResult,
    Client,
    CommentLikesOrder,
    CommentRepliesOrder,
    CustomCommentsOrder,
    CustomCommentsPackageOrder,
    DefaultOrder,
    ErrorKind,
    InsufficientFundsError,
    InvalidOrderError,
    InvalidResponseError,
    InvitesFromGroupsOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsMediaLikersOrder,
    MentionsOrder,
    MentionsUserFollowersOrder,
    MentionsWithHashtagsOrder,
    NoResponseError,
    NotSentError,
    Order,
    OrderNotFoundError,
    OutcomeUnknownError,
    PackageOrder,
    PanelError,
    PollOrder,
    Profile,
    RateLimitError,
    RefillResult,
    RefusedError,
    RetryPolicy,
    SeoOrder,
    ServerError,
    SpendingLimitError,
    Status,
    SubscriptionsOrder,
    WebTrafficOrder,
)
from smmfanfast_async._clock import elapsed_s
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault, Sandbox, SandboxService, messages

LINK = "https://example.com/p"

# One order of each type over a service of the sandbox, with every field that its class has.
ORDERS: list[Order] = [
    DefaultOrder(service=5, link=LINK, quantity=500, runs=2, interval=60),
    PackageOrder(service=72, link=LINK, quantity=1),
    CustomCommentsOrder(service=31, link=LINK, comments=["well done", "great"], quantity=2),
    MentionsWithHashtagsOrder(
        service=40, link=LINK, quantity=100, usernames=["ann"], hashtags=["#sun"]
    ),
    MentionsCustomListOrder(service=42, link=LINK, usernames=list("abcdefghij"), quantity=10),
    MentionsHashtagOrder(service=44, link=LINK, quantity=100, hashtag="#sun"),
    MentionsUserFollowersOrder(service=46, link=LINK, quantity=100, username=LINK),
    CustomCommentsPackageOrder(service=32, link=LINK, comments=["a", "b"], quantity=2),
    MentionsMediaLikersOrder(service=48, link=LINK, quantity=100, media=LINK + "/m"),
    CommentLikesOrder(service=34, link=LINK, quantity=10, username="ann"),
    SubscriptionsOrder(
        service=50, username="ann", min=20, max=30, delay=600, expiry=date(2999, 2, 1), posts=2,
        old_posts=3, link=LINK, quantity=20, allowed_delays_minutes=API_V2.delays_minutes,
    ),
    MentionsOrder(service=131, link=LINK, quantity=20, usernames=["ann", "bob"]),
    SeoOrder(service=132, link=LINK, quantity=10, keywords=["red shoes", "blue & white"]),
    CommentRepliesOrder(service=134, link=LINK, username="ann", comments=["yes", "نعم"]),
    PollOrder(service=136, link=LINK, quantity=10, answer_number=2),
    InvitesFromGroupsOrder(service=138, link=LINK, quantity=50, groups=["t.me/a", "t.me/b"]),
    WebTrafficOrder(
        service=140, link=LINK, quantity=500, country="US", device=5, type_of_traffic=1,
        google_keyword="red shoes", referring_url=LINK, runs=2, interval=30,
    ),
]  # fmt: skip

# A profile without a rate limit, so that tests may call as often as they need.
UNLIMITED = attrs.evolve(API_V2, calls_per_minute=None)


def create_client(panel: Sandbox, profile: Profile = UNLIMITED, **options: Any) -> Client:
    return Client(panel.api_key, profile=profile, base_url=panel.url, **options)


@asynccontextmanager
async def open_panel(**options: Any) -> AsyncIterator[tuple[Sandbox, Client]]:
    sandbox = Sandbox(**{"dialect": "api-v2", "speed": 0} | options)
    async with sandbox as panel, create_client(panel) as client:
        yield panel, client


async def place_orders(client: Client, count: int, **changes: Any) -> list[str]:
    """Place orders and return their ids."""
    order = DefaultOrder(**{"service": 5, "link": LINK, "quantity": 500} | changes)
    orders = [attrs.evolve(order, link=f"{LINK}/{number}") for number in range(count)]
    return [(await client.add(each)).order for each in orders]


async def place_and_complete(
    panel: Sandbox, client: Client, count: int, **changes: Any
) -> list[str]:
    ids = await place_orders(client, count, **changes)
    for order in ids:
        panel.set_status(order, "completed")
    return ids


# --- order types ---------------------------------------------------------------------------------


def test_every_order_type_has_an_example() -> None:
    assert {type(order) for order in ORDERS} == set(API_V2_ORDER_TYPES.values())


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.panel_type)
async def test_order_of_each_type_arrives_with_all_its_fields(order: Order) -> None:
    async with open_panel() as (panel, client):
        added = await client.add(order)
        stored = panel.orders[added.order]
        quoted = (await client.services()).quote(order)

    wanted = {
        field.name: value
        for field in attrs.fields(type(order))
        if field.metadata.get("form", True) and (value := getattr(order, field.name)) is not None
    }
    assert stored.type == order.panel_type
    assert stored.fields == {name: as_text(value) for name, value in wanted.items()}
    assert stored.price == (quoted or 0)


def as_text(value: object) -> str:
    """Return a value as form text, computed without the client."""
    if isinstance(value, tuple):
        return "\n".join(value)
    return value.strftime("%d/%m/%Y") if isinstance(value, date) else str(value)


@pytest.mark.asyncio
@pytest.mark.parametrize("order", ORDERS, ids=lambda order: order.panel_type)
@pytest.mark.parametrize("profile", [
    SMMFANFAST,
    API_V2,
    attrs.evolve(API_V2, name="few", order_types=frozenset({"Default", "Poll"})),
    Profile(name="own", base_url="https://panel.example", actions=frozenset({"add"})),
], ids=lambda profile: profile.name)  # fmt: skip
async def test_unsupported_order_types_are_rejected_unsent(profile: Profile, order: Order) -> None:
    supported = {
        "smmfanfast": set(ORDER_TYPES) - {"subscriptions"},  # it has old posts and another delay
        "api-v2": set(API_V2_ORDER_TYPES),
        "few": {"default", "poll"},
        "own": set(ORDER_TYPES),
    }[profile.name]
    async with open_panel() as (panel, _), create_client(panel, profile) as client:
        if order.panel_type in supported:
            await client.add(order)
        else:
            with pytest.raises(InvalidOrderError) as caught:
                await client.add(order)
            assert not caught.value.maybe_sent
            assert not caught.value.maybe_placed
            assert profile.name in str(caught.value)

        assert panel.request_count == len(panel.orders) == (order.panel_type in supported)


@pytest.mark.asyncio
async def test_old_posts_are_rejected_by_panels_that_ignore_them() -> None:
    order = SubscriptionsOrder(service=50, username="ann", min=20, max=30, delay=0, old_posts=3)
    async with Sandbox(speed=0) as panel, create_client(panel, SMMFANFAST) as client:
        with pytest.raises(InvalidOrderError, match="old_posts 3 would be ignored by smmfanfast"):
            await client.add(order)
        assert panel.request_count == 0
        await client.add(attrs.evolve(order, old_posts=None))

    async with open_panel() as (panel, client):
        await client.add(order)
        panel.finish_all()
        assert panel.orders["1"].posts is not None
        assert panel.orders["1"].posts > 3


@pytest.mark.asyncio
async def test_catalogue_knows_types_and_flags_of_api_v2() -> None:
    async with open_panel() as (panel, client):
        catalogue = await client.services()

        assert catalogue.unreadable == ()
        for word, order_type in API_V2_ORDER_TYPES.items():
            sold = catalogue.by_type(order_type)
            assert {panel.services[each.service].type for each in sold} == {word}
        for service in catalogue.values():
            row = panel.services[service.service]
            assert (service.refill, service.cancel, service.dripfeed) == (
                row.refill, row.cancel, row.dripfeed,
            )  # fmt: skip
        for order in ORDERS:
            assert catalogue.check(order).service == order.service
        with pytest.raises(
            InvalidOrderError, match="accepts only orders of type 'Poll': use PollOrder"
        ):
            catalogue.check(DefaultOrder(service=136, link=LINK, quantity=10))


@pytest.mark.asyncio
async def test_drip_feed_order_is_checked_at_its_whole_price() -> None:
    """2 × 500 visits at 0.25 per thousand."""
    async with open_panel() as (panel, client):
        with pytest.raises(SpendingLimitError) as caught:
            await client.add(ORDERS[-1], max_charge=Decimal("0.2499"))
        assert caught.value.price == Decimal("0.25")
        assert not panel.orders

        await client.add(ORDERS[-1], max_charge=Decimal("0.25"))
        assert panel.orders["1"].price == Decimal("0.25")


# --- refusals ------------------------------------------------------------------------------------

REFUSALS: list[tuple[Order, type[RefusedError], ErrorKind]] = [
    (DefaultOrder(service=999, link=LINK, quantity=500), RefusedError, ErrorKind.SERVICE),
    (DefaultOrder(service=5, link="nowhere", quantity=500), RefusedError, ErrorKind.VALIDATION),
    (DefaultOrder(service=5, link=LINK, quantity=499), RefusedError, ErrorKind.VALIDATION),
    (DefaultOrder(service=5, link=LINK, quantity=10_001), RefusedError, ErrorKind.VALIDATION),
    (DefaultOrder(service=71, link=LINK, quantity=20_000), InsufficientFundsError, ErrorKind.FUNDS),
    (PackageOrder(service=5, link=LINK), RefusedError, ErrorKind.VALIDATION),
    (PackageOrder(service=134, link=LINK), RefusedError, ErrorKind.VALIDATION),
    (
        DefaultOrder(service=13, link=LINK, quantity=10, runs=2, interval=5),
        RefusedError,
        ErrorKind.VALIDATION,
    ),
]


@pytest.mark.asyncio
@pytest.mark.parametrize(("order", "error", "kind"), REFUSALS)
async def test_api_v2_refusal_is_known_and_places_nothing(
    order: Order, error: type[RefusedError], kind: ErrorKind
) -> None:
    async with open_panel(balance=Decimal(100)) as (panel, client):
        with pytest.raises(error) as caught:
            await client.add(order)

        assert caught.value.kind is kind
        assert not caught.value.maybe_placed
        assert not panel.orders


@pytest.mark.asyncio
async def test_active_link_is_a_duplicate() -> None:
    async with open_panel() as (_, client):
        await client.add(ORDERS[1])
        with pytest.raises(RefusedError) as caught:
            await client.add(ORDERS[1])

    assert caught.value.kind is ErrorKind.DUPLICATE


@pytest.mark.asyncio
async def test_wrong_key_is_recognized() -> None:
    async with (
        open_panel() as (panel, _),
        Client("test-other", profile=UNLIMITED, base_url=panel.url) as client,
    ):
        with pytest.raises(AuthenticationError):
            await client.balance()
        with pytest.raises(AuthenticationError):
            await client.add(ORDERS[0])


@pytest.mark.asyncio
async def test_unlisted_error_text_leaves_the_outcome_unknown() -> None:
    """The sandbox created no order, but this text does not prove it."""
    order = DefaultOrder(service=5, link=LINK, quantity=500, runs=1001, interval=1)
    async with open_panel() as (_, client):
        with pytest.raises(OutcomeUnknownError, match="Please try again later") as caught:
            await client.add(order)

    assert caught.value.maybe_placed


@pytest.mark.asyncio
async def test_reading_an_api_v2_panel() -> None:
    async with open_panel() as (panel, client):
        (order,) = await place_orders(client, 1)
        balance = await client.balance()
        found = await client.statuses([order, 9])

        assert (balance.balance, balance.currency) == (panel.balance, "USD")
        status = found[order]
        assert not isinstance(status, PanelError)
        assert (status.order, status.status, status.charge) == (
            order, Status.PENDING, Decimal("0.51"),
        )  # fmt: skip
        assert isinstance(found["9"], OrderNotFoundError)
        panel.finish_all()
        assert (await client.wait(order)).is_final


def test_profile_knows_every_refusal_text_of_the_sandbox() -> None:
    """All but two: one does not prove anything about orders, the other never answers `add`."""
    said = {getattr(messages, name) for name in messages.__all__ if name.isupper()}
    unknown = {text for text in said if API_V2.refusal_kind(messages.to_api_v2(text)) is None}

    assert unknown == {messages.TRY_AGAIN, messages.CANCEL_REFUSED}


# --- refills -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_refill_from_request_to_completion() -> None:
    async with open_panel() as (panel, client):
        (order,) = await place_and_complete(panel, client, 1)

        refill = await client.refill(int(order))
        assert (refill.order, refill.refill) == (order, "1")
        assert (await client.refill_status(refill.refill)).status is Status.PENDING
        panel.set_refill_status(1, "in progress")
        assert (await client.refill_status(1)).status is Status.IN_PROGRESS
        panel.set_refill_status(1, "rejected")
        assert (await client.refill_status(1)).raw_status == "Rejected"
        assert (await client.refill(order)).refill == "2"


@pytest.mark.asyncio
async def test_refused_single_refill_is_raised() -> None:
    async with open_panel() as (panel, client):
        (order,) = await place_orders(client, 1)

        with pytest.raises(RefusedError, match=r"not eligible for refill\.") as caught:
            await client.refill(order)
        with pytest.raises(OrderNotFoundError):
            await client.refill(9)
        with pytest.raises(RefusedError, match="Refill not found") as missing:
            await client.refill_status(9)

        assert caught.value.kind is ErrorKind.VALIDATION
        assert missing.value.kind is ErrorKind.NOT_FOUND
        assert not panel.refills


@pytest.mark.asyncio
async def test_each_refill_of_a_batch_has_its_own_result() -> None:
    async with open_panel() as (panel, client):
        good = await place_and_complete(panel, client, 2)
        (pending,) = await place_orders(client, 1, service=10)

        found = await client.refills([good[1], "ord_x", pending, good[0], good[1]])
        again = await client.refills(good)
        statuses = await client.refill_statuses([2, 1, "7"])

    assert list(found) == [good[1], "ord_x", pending, good[0]]
    assert isinstance(found[good[1]], RefillResult)
    assert isinstance(found[good[0]], RefillResult)
    assert isinstance(found["ord_x"], OrderNotFoundError)
    assert isinstance(found[pending], RefusedError)
    assert all(isinstance(each, RefusedError) for each in again.values())
    assert list(statuses) == ["2", "1", "7"]
    assert getattr(statuses["2"], "raw_status", None) == "Pending"
    assert isinstance(statuses["7"], RefusedError)
    assert panel.requests["refill"] == 2


# --- cancels -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_cancelled_orders_refund_what_remains() -> None:
    async with open_panel() as (panel, client):
        untouched, started, done, kept = [
            *await place_orders(client, 3), *await place_orders(client, 1, service=10),
        ]  # fmt: skip
        panel.set_status(started, "in progress")
        panel.set_status(done, "completed")
        panel.advance(60)
        before = (await client.balance()).balance

        found = await client.cancel([started, done, 99, untouched, kept])

        assert list(found) == [started, done, "99", untouched, kept]
        assert type(found[started]) is type(found[untouched]) is CancelResult
        assert isinstance(found["99"], OrderNotFoundError)
        for refused in (found[done], found[kept]):
            assert isinstance(refused, RefusedError)
            assert refused.kind is ErrorKind.VALIDATION
            assert "not eligible for cancel." in refused.text
        status = await client.status(started)
        assert status.status is Status.PARTIAL
        assert status.remains is not None
        assert 0 < status.remains < 500
        back = Decimal("0.51") * (1 + Decimal(status.remains) / 500)
        assert (await client.balance()).balance - before == back.quantize(Decimal("0.0001"))
        assert (await client.status(untouched)).charge == 0


@pytest.mark.asyncio
async def test_wait_ends_when_the_order_is_cancelled() -> None:
    async with open_panel() as (_, client):
        (order,) = await place_orders(client, 1)
        waiting = asyncio.create_task(client.wait(order, timeout_s=20))
        await client.cancel([order])

        assert (await waiting).status is Status.CANCELED


# --- limits, both sides --------------------------------------------------------------------------

Verb = Callable[[Client, list[int]], Any]
VERBS: dict[str, Verb] = {
    "status": lambda client, ids: client.statuses(ids),
    "refill": lambda client, ids: client.refills(ids),
    "refill_status": lambda client, ids: client.refill_statuses(ids),
    "cancel": lambda client, ids: client.cancel(ids),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("action", VERBS)
@pytest.mark.parametrize(("count", "requests"), [(0, 0), (1, 1), (100, 1), (101, 2), (250, 3)])
async def test_ids_are_split_by_the_api_v2_limit(action: str, count: int, requests: int) -> None:
    async with open_panel() as (panel, client):
        found = await VERBS[action](client, list(range(1, count + 1)))

        assert list(found) == [str(number) for number in range(1, count + 1)]
        assert all(isinstance(each, RefusedError) for each in found.values())
        assert {each.kind for each in found.values()} <= {ErrorKind.NOT_FOUND}
        assert panel.requests[action] == requests


@pytest.mark.asyncio
@pytest.mark.parametrize("action", ["refill", "refill_status", "cancel"])
async def test_limit_that_is_too_high_only_costs_answers(
    action: str,
) -> None:
    high = attrs.evolve(UNLIMITED, ids_per_call=101)
    async with open_panel() as (panel, _), create_client(panel, high) as client:
        found = await VERBS[action](client, list(range(1, 103)))

        errors = list(found.values())
        assert {error.text for error in errors[:101]} == {"Incorrect request"}
        assert errors[101].kind is ErrorKind.NOT_FOUND
        assert panel.requests[action] == 2


# --- faults --------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(("verb", "action"), [
    (lambda client: client.refill(1), "refill"),
    (lambda client: client.refills([1]), "refill"),
    (lambda client: client.cancel([1]), "cancel"),
])  # fmt: skip
async def test_changing_calls_are_sent_once_whatever_the_answer(
    verb: Callable[[Client], Any], action: str
) -> None:
    async with open_panel() as (panel, client):
        if action == "refill":
            await place_and_complete(panel, client, 1)
        else:
            await place_orders(client, 1)
        panel.fail_next(Fault.DROP_AFTER, action=action)

        try:
            error = (await verb(client))["1"]
        except NoResponseError as raised:
            error = raised

        assert isinstance(error, NoResponseError)
        assert not error.safe_to_retry
        assert panel.requests[action] == 1
        assert len(panel.refills) == (action == "refill")
        assert (panel.orders["1"].status == "canceled") is (action == "cancel")


@pytest.mark.asyncio
async def test_refill_status_is_retried() -> None:
    quick = RetryPolicy(base_delay_s=0.001, max_retry_after_s=1)
    async with open_panel() as (panel, _), create_client(panel, retry=quick) as client:
        await place_and_complete(panel, client, 1)
        await client.refill(1)
        panel.fail_next(Fault.HTTP_503, action="refill_status")

        assert (await client.refill_status(1)).raw_status == "Pending"
        assert panel.requests["refill_status"] == 2


@pytest.mark.asyncio
async def test_failed_batch_does_not_affect_another() -> None:
    async with open_panel() as (panel, client):
        ids = await place_orders(client, 102)
        panel.fail_next(Fault.HTTP_502, action="cancel")

        found = list((await client.cancel(ids)).values())

        assert all(isinstance(each, ServerError) for each in found[:100])
        assert [type(each) for each in found[100:]] == [CancelResult] * 2
        assert [order.status for order in panel.orders.values()].count("canceled") == 2


@pytest.mark.asyncio
async def test_malformed_record_does_not_affect_another() -> None:
    async with open_panel() as (panel, client):
        ids = await place_and_complete(panel, client, 2)
        for action in ("refill", "refill_status"):
            panel.fail_next(Fault.MALFORMED_ROW, action=action)

        refills = await client.refills(ids)
        statuses = await client.refill_statuses([1, 2])

        assert isinstance(refills[ids[0]], InvalidResponseError)
        assert isinstance(refills[ids[1]], RefillResult)
        assert getattr(statuses["1"], "raw_status", None) == "In moderation"
        assert getattr(statuses["2"], "raw_status", None) == "Pending"


@pytest.mark.asyncio
async def test_rate_limit_of_the_panel_pauses_the_account() -> None:
    never = RetryPolicy(max_attempts=1)
    async with open_panel() as (panel, _), create_client(panel, retry=never) as client:
        panel.fail_next(Fault.RATE_LIMIT, action="cancel", retry_after_s=0)

        found = await client.cancel([1])

        assert isinstance(found["1"], RateLimitError)
        assert isinstance((await client.cancel([1]))["1"], OrderNotFoundError)


# --- any ids, any order --------------------------------------------------------------------------

IDS = st.lists(
    st.one_of(st.integers(1, 12), st.sampled_from(["ord_x", "1e5", "007", "é", "9" * 30])),
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@example(refills=[7, "007"], cancels=["007", 7], done={7}, size=2)
@given(refills=IDS, cancels=IDS, done=st.sets(st.integers(1, 8)), size=st.integers(1, 7))
def test_every_id_has_its_own_answer_and_balances_match(
    refills: list[int | str], cancels: list[int | str], done: set[int], size: int
) -> None:
    async def main() -> None:
        profile = attrs.evolve(UNLIMITED, ids_per_call=size)
        async with open_panel() as (panel, _), create_client(panel, profile) as client:
            await place_orders(client, 8)
            for order in done:
                panel.set_status(order, "completed")

            refilled = await client.refills(refills)
            canceled = await client.cancel(cancels)

            asked = list(dict.fromkeys(str(each) for each in refills))
            assert list(refilled) == asked
            assert panel.requests["refill"] == math.ceil(len(asked) / size)
            taken = {each for each in asked if isinstance(refilled[each], RefillResult)}
            assert taken == {str(order) for order in done} & set(asked)
            assert {refill.order for refill in panel.refills.values()} == taken
            ended = {each for each, found in canceled.items() if isinstance(found, CancelResult)}
            assert list(canceled) == list(dict.fromkeys(str(each) for each in cancels))
            assert ended == {str(order) for order in {*range(1, 9)} - done} & set(canceled)
            orders = panel.orders
            assert {each for each in orders if orders[each].status == "canceled"} == ended
            assert panel.balance + sum(order.charge for order in orders.values()) == 1000

    asyncio.run(main())


LINES = st.text(
    st.characters(categories=["L", "M", "N", "P", "S", "Zs"]), min_size=1, max_size=20
).map(lambda text: f"x{text}x")  # letters at both ends: spaces there are stripped
MANY = st.lists(LINES, min_size=1, max_size=5)


@settings(max_examples=25, deadline=None)
@given(MANY, MANY, MANY, LINES, LINES, LINES)
def test_free_texts_arrive_unchanged(
    comments: list[str],
    keywords: list[str],
    groups: list[str],
    username: str,
    country: str,
    keyword: str,
) -> None:
    orders = [
        CommentRepliesOrder(service=134, link=LINK, username=username, comments=comments),
        SeoOrder(service=132, link=LINK, quantity=10, keywords=keywords),
        InvitesFromGroupsOrder(service=138, link=LINK, quantity=50, groups=groups),
        WebTrafficOrder(
            service=140, link=LINK, quantity=500, country=country, device=1, type_of_traffic=1,
            google_keyword=keyword,
        ),
    ]  # fmt: skip

    async def main() -> None:
        async with open_panel() as (panel, client):
            for order in orders:
                await client.add(order)
            replies, seo, invites, traffic = [each.fields for each in panel.orders.values()]

        assert (replies["username"], replies["comments"].split("\n")) == (username, comments)
        assert seo["keywords"].split("\n") == keywords
        assert invites["groups"].split("\n") == groups
        assert (traffic["country"], traffic["google_keyword"]) == (country, keyword)

    asyncio.run(main())


# --- the desk ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_desk_places_only_supported_order_types(
    tmp_path: Path,
) -> None:
    poll = ORDERS[14]
    journal = f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}"
    async with open_panel() as (panel, client), OrderDesk(client, SQLJournal(journal)) as desk:
        entry = await desk.place(poll, ref="a")
        assert (await desk.place(poll, ref="a")).order == entry.order == "1"
        assert panel.requests["add"] == 1

    async with Sandbox(speed=0) as panel, create_client(panel, SMMFANFAST) as client:
        panel.add_service(SandboxService(service=136, name="n", category="c", rate=1))
        async with OrderDesk(client, SQLJournal(journal)) as desk:
            with pytest.raises(InvalidOrderError):
                await desk.place(poll, ref="b")
            assert (await desk.summary()).by_state == {}
            assert panel.requests["add"] == 0


# --- for a journal -------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_request_is_sent_after_the_callers_step() -> None:
    async with open_panel() as (panel, client):
        [order] = await place_orders(client, 1)
        before_calls: list[int] = []

        async def before() -> float:
            before_calls.append(panel.requests.get("cancel", 0))
            return elapsed_s() + 60

        result = await client.send_request("cancel", order, before=before)

        assert (result, before_calls) == (CancelResult(order=order), [0])
        with pytest.raises(RefusedError):
            await client.send_request("refill", order, before=before)


@pytest.mark.asyncio
async def test_request_is_not_sent_if_the_step_fails_or_took_too_long() -> None:
    async with open_panel() as (panel, client):

        async def fail() -> float:
            raise KeyError("no permission")

        async def too_late() -> float:
            return elapsed_s() - 1

        with pytest.raises(KeyError):
            await client.send_request("cancel", 1, before=fail)
        with pytest.raises(NotSentError):
            await client.send_request("cancel", 1, before=too_late)
        assert "cancel" not in panel.requests
