"""Which events a hook receives, and what they never contain."""

import asyncio
import copy
import pickle
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from inspect import Parameter, signature
from typing import Any, get_args

import msgspec
import pytest

from smmfanfast_async import (
    CustomCommentsOrder,
    DefaultOrder,
    MentionsCustomListOrder,
    OutcomeUnknownError,
    PanelError,
    RetryPolicy,
    SubscriptionsOrder,
    events,
)
from smmfanfast_async.client import Client
from smmfanfast_async.events import (
    AttemptFinished,
    BalanceBelowThreshold,
    BalanceChecked,
    BalanceRecovered,
    CallFinished,
    CombinedHooks,
    Event,
    OrderChanged,
    OrderSettled,
    OutcomeUnknown,
    PlacementOutcome,
    RetryScheduled,
    combine_hooks,
)
from smmfanfast_async.sandbox import Sandbox

KEY = "test-events-marker"
LINK = "https://example.com/marked-link"
COMMENT = "a marked comment"
USERNAME = "marked.user"
SECRETS = (KEY, "marked-link", "example.com", COMMENT, USERNAME)
CLASSES: tuple[Any, ...] = get_args(Event)
SEEN = BalanceChecked(balance=Decimal(1), currency=None)


def values_of(event: object) -> Iterator[tuple[str, object]]:
    """Yield the name and value of each field of an event."""
    assert isinstance(event, msgspec.Struct)
    for name, value in msgspec.structs.asdict(event).items():
        yield name, value
        assert not isinstance(value, msgspec.Struct), "nested values would have to be checked too"


async def run_every_call(panel: Sandbox, client: Client) -> None:
    """Make every kind of call, successful and failing."""
    retried = client.with_options(retry=RetryPolicy(base_delay_s=0.0))
    placed = await client.add(DefaultOrder(service=5, link=LINK, quantity=1000))
    orders = [
        CustomCommentsOrder(
            service=service_of_type(panel, "custom_comments"), link=LINK, comments=[COMMENT]
        ),
        MentionsCustomListOrder(
            service=service_of_type(panel, "mentions_custom_list"), link=LINK, usernames=[USERNAME]
        ),
        SubscriptionsOrder(
            service=service_of_type(panel, "subscriptions"),
            username=USERNAME,
            min=100,
            max=200,
            delay=0,
        ),
        # Refused, with a text that may quote the order.
        DefaultOrder(service=99999, link=LINK, quantity=10),
        DefaultOrder(service=5, link=LINK, quantity=1000),
    ]
    for order in orders:
        with suppress(PanelError):
            await client.add(order)
    panel.fail_next("drop_after", action="add")
    with pytest.raises(OutcomeUnknownError):
        await client.add(DefaultOrder(service=5, link=f"{LINK}/2", quantity=1000))
    panel.fail_next("http_500", action="balance")
    await retried.balance()
    panel.fail_next("rate_limit", action="services", retry_after_s=0)
    await retried.services()
    await client.status(placed.order)
    await client.statuses([placed.order, 987654])
    with suppress(PanelError):
        await client.call("no_such_action", link=LINK, username=USERNAME)
    panel.finish_all()
    await client.wait(placed.order)


def service_of_type(panel: Sandbox, kind: str) -> str:
    return next(
        each.service
        for each in panel.services.values()
        if each.type.lower().replace(" ", "_") == kind
    )


@pytest.mark.asyncio
async def test_no_event_holds_a_secret_or_order_content() -> None:
    events: list[Event] = []
    async with Sandbox(api_key=KEY, balance=Decimal(100)) as panel:
        async with Client(
            KEY, base_url=panel.url, on_event=events.append, balance_thresholds=[Decimal(1000)]
        ) as client:
            await run_every_call(panel, client)
        assert len(panel.orders) >= 4

    for event in events:
        for name, value in values_of(event):
            assert not [each for each in SECRETS if each in f"{value}"], (event, name)
        assert not [each for each in SECRETS if each in repr(event)]
    # All but the one that needs a rising balance.
    assert {type(each) for each in events} == set(CLASSES) - {BalanceRecovered}
    assert {each.outcome for each in events if isinstance(each, OrderSettled)} >= {
        PlacementOutcome.PLACED, PlacementOutcome.REFUSED,
    }  # fmt: skip


@pytest.mark.asyncio
async def test_failing_hook_changes_nothing() -> None:
    def broken(event: Event) -> None:
        raise ValueError(f"{event}")

    async with (
        Sandbox(api_key=KEY, balance=Decimal(100)) as panel,
        Client(
            KEY, base_url=panel.url, on_event=broken, balance_thresholds=[Decimal(50)]
        ) as client,
    ):
        await run_every_call(panel, client)


@pytest.mark.asyncio
async def test_every_call_starts_and_finishes_once() -> None:
    events: list[Event] = []
    async with (
        Sandbox(api_key=KEY, balance=Decimal(100)) as panel,
        Client(KEY, base_url=panel.url, on_event=events.append) as client,
    ):
        await run_every_call(panel, client)

    calls: dict[str, list[Event]] = {}
    for event in events:
        if (call := getattr(event, "call_id", None)) is not None:
            calls.setdefault(call, []).append(event)
    for steps in calls.values():
        names = [type(each).__name__ for each in steps]
        assert names[0] == "CallStarted"
        assert names[-1] == "CallFinished"
        assert names.count("CallStarted") == names.count("CallFinished") == 1
        attempts = [each.attempt for each in steps if isinstance(each, AttemptFinished)]
        assert attempts == list(range(1, len(attempts) + 1))
        ended = steps[-1]
        assert isinstance(ended, CallFinished)
        assert ended.attempts == len(attempts)
        outcomes = [each for each in steps if isinstance(each, OrderSettled | OutcomeUnknown)]
        assert len(outcomes) == (ended.action == "add")
        retries = [each.attempt for each in steps if isinstance(each, RetryScheduled)]
        assert retries == attempts[1:]


@pytest.mark.asyncio
async def test_balance_thresholds_are_reported_once_each_way() -> None:
    events: list[Event] = []
    async with (
        Sandbox(balance=Decimal(100)) as panel,
        Client(
            panel.api_key, base_url=panel.url, on_event=events.append,
            balance_thresholds=[Decimal(10), 50],
        ) as client,
    ):  # fmt: skip
        for amount in (100, 49, 52, 49, 9, 8, 12, 56, 49):
            panel._panel.ledger.balance = Decimal(amount)
            await client.balance()

    crossed = [
        (type(each).__name__, int(each.threshold), int(each.balance))
        for each in events
        if isinstance(each, BalanceBelowThreshold | BalanceRecovered)
    ]
    assert crossed == [
        ("BalanceBelowThreshold", 50, 49),
        ("BalanceBelowThreshold", 10, 9),
        ("BalanceRecovered", 10, 12),
        ("BalanceRecovered", 50, 56),
        ("BalanceBelowThreshold", 50, 49),
    ]
    assert [int(each.balance) for each in events if isinstance(each, BalanceChecked)] == [
        100, 49, 52, 49, 9, 8, 12, 56, 49,
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_order_changes_hold_only_enum_values() -> None:
    events: list[Event] = []
    async with (
        Sandbox() as panel,
        Client(panel.api_key, base_url=panel.url, on_event=events.append) as client,
    ):
        added = await client.add(DefaultOrder(service=5, link=LINK, quantity=1000))
        panel.finish_all()
        await asyncio.gather(client.wait(added.order), client.wait(added.order))

    changes = [each for each in events if isinstance(each, OrderChanged)]
    assert [(each.order, each.kind, each.before, each.after) for each in changes] == [
        (added.order, "finished", None, "completed")
    ] * 2


# --- the classes ---------------------------------------------------------------------------------


def test_every_event_is_frozen_and_documented() -> None:
    for each in CLASSES:
        assert each.__name__ in events.__all__
        assert each.__doc__
        parameters = signature(each).parameters.values()
        assert all(parameter.kind is Parameter.KEYWORD_ONLY for parameter in parameters)
    with pytest.raises(AttributeError):
        SEEN.balance = Decimal(2)  # type: ignore[misc]  # the assignment under test


def test_events_are_compared_copied_and_pickled_by_value() -> None:
    other = BalanceChecked(balance=Decimal(2), currency=None)

    assert copy.copy(SEEN) == SEEN == pickle.loads(pickle.dumps(SEEN))  # noqa: S301  # our own
    assert {SEEN, copy.deepcopy(SEEN)} == {SEEN}
    assert other != SEEN
    assert repr(SEEN) == "BalanceChecked(balance=Decimal('1'), currency=None)"


def test_field_names_contain_units() -> None:
    fields = [field for each in CLASSES for field in msgspec.structs.fields(each)]
    floats = {field.name for field in fields if field.type is float}

    assert floats == {"duration_s", "delay_s"}


# --- several hooks -------------------------------------------------------------------------------


def test_combined_hooks_are_all_called_in_order() -> None:
    events: list[str] = []

    def first(event: Event) -> None:
        events.append("first")
        raise ValueError("first")

    def second(event: Event) -> None:
        events.append("second")
        raise KeyError("second")

    hook = combine_hooks(first, combine_hooks(second, lambda _: events.append("third")))
    with pytest.raises(ExceptionGroup) as caught:
        hook(SEEN)

    assert events == ["first", "second", "third"]
    assert isinstance(hook, CombinedHooks)
    assert isinstance(caught.value.exceptions[0], ValueError)


def test_combined_hooks_without_errors_raise_nothing() -> None:
    events: list[Event] = []

    combine_hooks(events.append, events.append)(SEEN)
    combine_hooks()(SEEN)

    assert events == [SEEN, SEEN]


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_combined_hooks_pass_process_ending_exceptions(ending: type[BaseException]) -> None:
    def hook(event: Event) -> None:
        raise ending

    with pytest.raises(ending):
        combine_hooks(hook)(SEEN)
