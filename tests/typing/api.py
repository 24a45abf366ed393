"""The types of the public API. Checked by mypy and pyright, never run."""

from collections.abc import AsyncGenerator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import assert_never, assert_type

import attrs

from smmfanfast_async import (
    API_V2_ORDER_TYPES,
    ORDER_TYPES,
    AddedOrder,
    Balance,
    Catalogue,
    ChangeKind,
    Client,
    CustomCommentsOrder,
    DefaultOrder,
    ErrorKind,
    InvalidCode,
    InvalidOrderError,
    InvitesFromGroupsOrder,
    Order,
    OrderStatus,
    PanelError,
    PollOrder,
    PollPolicy,
    Profile,
    RefillResult,
    RetryPolicy,
    Service,
    SpendingLimitError,
    Status,
    StatusChange,
    SubscriptionsOrder,
    WaitTimeoutError,
    WebTrafficOrder,
)
from smmfanfast_async.events import (
    AttemptFinished,
    BalanceBelowThreshold,
    BalanceChecked,
    BalanceRecovered,
    BatchFinished,
    CallFinished,
    CallStarted,
    CombinedHooks,
    Event,
    Hook,
    OrderChanged,
    OrderSettled,
    OrdersTracked,
    OutcomeUnknown,
    PlacementOutcome,
    RetryScheduled,
    Throttled,
    combine_hooks,
)

Lines = tuple[str, ...]


async def verbs(client: Client) -> None:
    """The verbs and their results."""
    order = DefaultOrder(service=5, link="https://example.com/p", quantity=1000)
    assert_type(await client.add(order), AddedOrder)
    assert_type((await client.add(order)).order, str)
    assert_type((await client.add(order)).raw, str | None)
    assert_type(await client.status(32), OrderStatus)
    assert_type(await client.statuses(["1", 2]), dict[str, OrderStatus | PanelError])
    assert_type(
        client.iter_statuses(iter([1])), AsyncGenerator[tuple[str, OrderStatus | PanelError], None]
    )
    assert_type(
        client.iter_status_batches(iter([1])),
        AsyncGenerator[dict[str, OrderStatus | PanelError], None],
    )
    assert_type(await client.wait(32, until=lambda found: found.runs == 2), OrderStatus)
    assert_type(client.watch(["1", 2], timeout_s=60), AsyncGenerator[StatusChange, None])
    assert_type(await client.services(), Catalogue)
    assert_type(await client.services(max_age_s=0), Catalogue)
    assert_type(await client.add(order, max_charge=Decimal(1), wait_s=5), AddedOrder)
    assert_type(await client.balance(), Balance)
    assert_type((await client.balance()).raw, str | None)
    assert_type(await client.refill("1"), RefillResult)
    assert_type(await client.refills([1]), dict[str, RefillResult | PanelError])
    assert_type(await client.call("orders", page=1), object)


def orders() -> None:
    """Ids as int or text, lists from any iterable or one text; kept as one."""
    order = DefaultOrder(service="5", link="https://example.com/p", quantity=1, runs=2, interval=3)
    assert_type(order.service, str)
    assert_type(order.runs, int | None)
    comments = CustomCommentsOrder(service=1, link="https://example.com/p", comments="a\nb")
    assert_type(comments.comments, tuple[str, ...])
    CustomCommentsOrder(service=1, link="x", comments=(text for text in ["a"]))
    SubscriptionsOrder(service=1, username="example", min=1, max=2, delay=5, expiry=date.max)
    assert_type(ORDER_TYPES, Mapping[str, type[Order]])
    assert_type(API_V2_ORDER_TYPES, Mapping[str, type[Order]])
    poll = PollOrder(service=1, link="x", quantity=1, answer_number=2)
    assert_type(poll.answer_number, int)
    assert_type(InvitesFromGroupsOrder(service=1, link="x", quantity=1, groups="a").groups, Lines)
    visits = WebTrafficOrder(
        service=1, link="x", quantity=1, country="US", device=1, type_of_traffic=3
    )
    assert_type(visits.google_keyword, str | None)


def results(status: OrderStatus, service: Service, catalogue: Catalogue) -> None:
    """Money is Decimal; a missing value is None."""
    assert_type(status.charge, Decimal | None)
    assert_type(status.status, Status)
    assert_type(status.remains, int | None)
    assert_type(status.orders, tuple[str, ...])
    assert_type(status.is_final, bool)
    assert_type(status.refund_share(10), Decimal | None)
    assert_type(status.refund(Decimal(1), 10), Decimal | None)
    assert_type(service.rate, Decimal | None)
    assert_type(catalogue.quote(DefaultOrder(service=1, link="x", quantity=1)), Decimal | None)
    assert_type(catalogue[5], Service)


def changes(change: StatusChange) -> None:
    """The fields of a status change."""
    assert_type(change.kind, ChangeKind)
    assert_type(change.before, OrderStatus | None)
    assert_type(change.after, OrderStatus | None)
    assert_type(change.error, PanelError | None)


def invalid(error: InvalidOrderError) -> None:
    """What a program translates."""
    assert_type(error.code, InvalidCode)
    assert_type(error.limit, int | None)
    assert_type(error.value, str)


def errors(error: PanelError, limit: SpendingLimitError, late: WaitTimeoutError) -> None:
    """The three properties and the fields."""
    assert_type(limit.price, Decimal)
    assert_type(late.raw_status, str | None)
    assert_type(error.kind, ErrorKind)
    assert_type(error.maybe_sent, bool)
    assert_type(error.maybe_placed, bool)
    assert_type(error.safe_to_retry, bool)
    assert_type(error.retry_after_s, float | None)
    assert_type(error.raw, str | None)


def hook(event: Event) -> None:
    """The events of a hook; the match is exhaustive."""
    match event:
        case CallStarted() | CallFinished() | RetryScheduled():
            assert_type(event.call_id, str)
        case AttemptFinished():
            assert_type(event.http_status, int | None)
            assert_type(event.kind, ErrorKind | None)
        case Throttled(delay_s=pause_s):
            assert_type(pause_s, float)
        case BatchFinished(found_count=found):
            assert_type(found, int)
        case OrderSettled():
            assert_type(event.outcome, PlacementOutcome)
            assert_type(event.order, str | None)
        case OutcomeUnknown():
            assert_type(event.sent_at, datetime | None)
        case OrderChanged():
            assert_type(event.after, Status | None)
        case OrdersTracked():
            assert_type(event.order_count, int)
        case BalanceChecked() | BalanceBelowThreshold() | BalanceRecovered():
            assert_type(event.balance, Decimal)
        case _:
            assert_never(event)


def hooks(other: Hook) -> None:
    """A hook is any function that takes an event."""
    assert_type(combine_hooks(hook, other), CombinedHooks)
    Client("test-key", on_event=hook)
    Client(
        "test-key",
        on_event=combine_hooks(hook, print),
        balance_thresholds=[Decimal(50), Decimal(10)],
    )


def settings(profile: Profile) -> None:
    """The options of a client."""
    assert_type(profile.supports_order_type("poll"), bool)
    assert_type(profile.order_types, frozenset[str])
    assert_type(profile.action_names, tuple[tuple[str, str], ...])
    assert_type(profile.replay_window_s, float | None)
    attrs.evolve(
        profile,
        request_format="json",
        action_names={"statuses": "multi_status"},
        field_names={"key": "token", "refill.order": "refill"},
        single_id_actions={"cancel"},
        replay_window_s=60,
    )
    Client(
        "test-key",
        profile=profile,
        base_url="http://127.0.0.1:1",
        retry=RetryPolicy(max_attempts=1),
    )
    Client("test-key", base_url="http://127.0.0.1:1", timeout_s=5, concurrency=2, proxy=None)
    Client("test-key", base_url="http://127.0.0.1:1", trust_env=True)
    Client(
        "test-key",
        base_url="http://127.0.0.1:1",
        poll=PollPolicy(min_interval_s=1, max_interval_s=60),
    )
    assert_type(Client.from_env(timeout_s=1.0), Client)
    changing = Client(lambda: "test-key", base_url="http://127.0.0.1:1", account="main")
    assert_type(changing.account, str)
    assert_type(changing.is_account_given, bool)
    assert_type(changing.with_options(timeout_s=1, concurrency=2, keep_raw=True), Client)
