"""One desk over several panels: an order is at one of them at most, whatever they answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
import pytest_asyncio
from attrs import define
from sqlalchemy.ext.asyncio import create_async_engine
from support.journals import LEASE

from smmfanfast_async import (
    Client,
    ErrorKind,
    InvalidOrderError,
    InvalidSettingsError,
    NotSentError,
    PollPolicy,
    RefConflictError,
    RetryPolicy,
    SpendingLimitError,
    SubscriptionsOrder,
)
from smmfanfast_async.desk import OrderDesk, RouteReason, in_order
from smmfanfast_async.desk.routing import FAILOVER_KINDS
from smmfanfast_async.journal import Entry, EntryState, EventKind
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault, SandboxService

from .world import SERVICES, Panel, S, eventually, in_state, order, read_events, timed_desk

NO_FUNDS = '{"error": "Not enough funds"}'
NO_KEY = '{"error": "Invalid API key"}'
ACTIVE = '{"error": "You have an active order with this link"}'
ODD = '{"error": "Something happened"}'
PRODUCTS = {"likes": {"alpha": 1, "beta": "11"}}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}"


@define
class Shop:
    """Two panels, a client for each, and desks over them on one journal."""

    url: str
    stack: AsyncExitStack
    alpha: Panel
    beta: Panel

    async def clients(self) -> dict[str, Client]:
        return {
            name: await self.stack.enter_async_context(
                Client(panel.api_key, base_url=panel.url, retry=RetryPolicy(max_attempts=1))
            )
            for name, panel in (("alpha", self.alpha), ("beta", self.beta))
        }

    async def desk(self, **options: Any) -> OrderDesk:
        options = {"account": "shop", "products": PRODUCTS, "record_balance": False} | options
        options.setdefault("retry", RetryPolicy(max_attempts=1))
        clients = options.pop("clients", None) or await self.clients()
        desk = timed_desk()(clients, SQLJournal(self.url), **options)
        return await self.stack.enter_async_context(desk)

    def stored(self, name: str = "a") -> list[str]:
        """Return the panels that have an order with the link of a ref, one for each order."""
        return [
            panel_name
            for panel_name, panel in (("alpha", self.alpha), ("beta", self.beta))
            for each in panel.orders.values()
            if each.link.endswith(f"/{name}")
        ]


@pytest_asyncio.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        panels = []
        for services in (SERVICES, (dearer(),)):
            panel = Panel(balance=Decimal(10**6), services=services)
            panels.append(await stack.enter_async_context(panel))
        yield Shop(url, stack, *panels)


def dearer(**changes: Any) -> SandboxService:
    values = {"service": 11, "name": "Eleven", "type": "default", "category": "c", "rate": 2}
    return SandboxService(**{**values, "min": 1, "max": 10**6, **changes})


def likes(name: object = "a", **changes: Any) -> Any:
    return order(name, service="likes", **changes)


async def place(desk: OrderDesk, **options: Any) -> Entry:
    return await desk.place(likes(), ref="a", **options)


@pytest.mark.asyncio
async def test_order_goes_to_the_cheapest_panel(shop: Shop) -> None:
    desk = await shop.desk()

    entry = await place(desk)

    assert (entry.state, entry.panel, entry.service) == (S.ACCEPTED, "alpha", "1")
    assert (entry.form["service"], entry.routes) == ("likes", {"alpha": "1", "beta": "11"})
    assert entry.price == 1
    assert shop.stored() == ["alpha"]


@pytest.mark.asyncio
async def test_quote_shows_what_routing_sees(shop: Shop) -> None:
    desk = await shop.desk(exchange_rates={"beta": Decimal("0.25")})

    quotes = await desk.quote(likes())
    entry = await place(desk)

    assert [(each.panel, each.service, each.price, each.reason) for each in quotes] == [
        ("alpha", "1", Decimal(1), None), ("beta", "11", Decimal("0.5"), None),
    ]  # fmt: skip
    assert (entry.panel, entry.price, entry.exchange_rate) == (
        "beta",
        Decimal("0.5"),
        Decimal("0.25"),
    )


@pytest.mark.asyncio
async def test_router_decides_the_order(shop: Shop) -> None:
    desk = await shop.desk(products={"likes": {"beta": 11, "alpha": 1}}, router=in_order)

    assert (await place(desk)).panel == "beta"


@pytest.mark.parametrize("body", [NO_FUNDS, NO_KEY])
@pytest.mark.asyncio
async def test_refusal_goes_on_to_the_next_panel(shop: Shop, body: str) -> None:
    desk = await shop.desk()
    shop.alpha.answer_next("add", body)

    entry = await place(desk)

    assert (entry.state, entry.panel, entry.attempt) == (S.ACCEPTED, "beta", 2)
    assert entry.refused_by.keys() == {"alpha"}
    assert set(entry.refused_by.values()) <= FAILOVER_KINDS
    assert shop.stored() == ["beta"]
    events = await read_events(desk)
    assert [(each.kind, each.panel) for each in events] == [
        (EventKind.REROUTED, "alpha"), (EventKind.ACCEPTED, "beta"),
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_order_that_all_panels_refuse_is_refused_once_by_each(shop: Shop) -> None:
    desk = await shop.desk()
    shop.alpha.answer_next("add", NO_FUNDS)
    shop.beta.answer_next("add", NO_FUNDS)

    entry = await place(desk)

    assert (entry.state, entry.kind, entry.attempt) == (S.REFUSED, ErrorKind.FUNDS, 2)
    assert entry.refused_by == dict.fromkeys(("alpha", "beta"), ErrorKind.FUNDS)
    assert (await desk.retry("a", decided_by="ops")).panel == "alpha"
    assert shop.stored() == ["alpha"]


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.TRUNCATED_BODY])
@pytest.mark.asyncio
async def test_order_without_a_certain_answer_stays_at_its_panel(shop: Shop, fault: Fault) -> None:
    desk = await shop.desk()
    shop.alpha.fail_next(fault, action="add")

    entry = await place(desk)

    assert (entry.state, entry.panel, entry.is_pinned) == (S.UNKNOWN, "alpha", True)
    assert await place(desk) == entry
    assert shop.beta.calls("add") == []


@pytest.mark.parametrize(
    ("body", "state"), [(ODD, S.UNKNOWN), (ACTIVE, S.REFUSED), ("<html>", S.UNKNOWN)]
)
@pytest.mark.asyncio
async def test_other_answers_never_fail_over(shop: Shop, body: str, state: EntryState) -> None:
    desk = await shop.desk()
    shop.alpha.answer_next("add", body)

    entry = await place(desk)

    assert (entry.state, entry.panel) == (state, "alpha")
    assert shop.beta.calls("add") == []


@pytest.mark.asyncio
async def test_held_order_waits_at_its_panel(shop: Shop) -> None:
    desk = await shop.desk(queue_active_links=True)
    shop.alpha.answer_next("add", ACTIVE)

    entry = await place(desk)

    assert (entry.state, entry.panel, entry.is_pinned) == (S.HELD, "alpha", True)
    assert shop.beta.calls("add") == []


@pytest.mark.asyncio
async def test_order_that_was_not_sent_goes_on_to_the_next_panel(shop: Shop) -> None:
    desk = await shop.desk()
    await desk.quote(likes())
    await shop.alpha.close()

    entry = await place(desk)

    assert (entry.state, entry.panel, entry.refused_by) == (S.ACCEPTED, "beta", {})
    assert shop.stored() == ["beta"]


@pytest.mark.asyncio
async def test_once_unknown_order_leaves_its_panel_only_by_a_person(shop: Shop) -> None:
    desk = await shop.desk()
    shop.alpha.answer_next("add", ODD)
    assert (await place(desk)).state is S.UNKNOWN
    await desk.resolve("a", placed=False, decided_by="ops")

    shop.alpha.answer_next("add", NO_FUNDS)
    refused = await desk.retry("a", decided_by="ops")
    assert (refused.state, refused.panel) == (S.REFUSED, "alpha")
    assert shop.beta.calls("add") == []

    moved = await desk.retry("a", decided_by="ops", panel="beta")
    assert (moved.state, moved.panel, moved.is_pinned) == (S.ACCEPTED, "beta", True)
    assert shop.stored() == ["beta"]


@pytest.mark.asyncio
async def test_retry_at_an_unknown_panel_is_an_error(shop: Shop) -> None:
    desk = await shop.desk()
    for panel in (shop.alpha, shop.beta):
        panel.answer_next("add", NO_FUNDS)
    await place(desk)

    with pytest.raises(InvalidOrderError, match="'gamma' is not a panel of order 'a': alpha, beta"):
        await desk.retry("a", decided_by="ops", panel="gamma")


@pytest.mark.asyncio
async def test_limits_are_those_of_the_cheapest_panel(shop: Shop) -> None:
    desk = await shop.desk()

    with pytest.raises(SpendingLimitError) as caught:
        await place(desk, max_charge=Decimal("0.5"))
    assert caught.value.price == 1
    entry = await place(desk, max_charge=Decimal("1.5"))

    assert entry.panel == "alpha"
    assert await desk.find("b") is None


@pytest.mark.asyncio
async def test_order_that_fits_nowhere_is_an_error_and_not_stored(shop: Shop) -> None:
    desk = await shop.desk()

    with pytest.raises(InvalidOrderError, match="alpha: above_max; beta: above_max"):
        await desk.place(likes(quantity=10**7), ref="a")

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_order_is_refused_once_no_panel_that_is_left_lists_it(shop: Shop) -> None:
    desk = await shop.desk(products={"likes": {"alpha": 1, "beta": 99}})
    shop.alpha.answer_next("add", NO_FUNDS)

    entry = await place(desk)

    assert (entry.state, entry.kind) == (S.REFUSED, ErrorKind.FUNDS)
    assert entry.reason is not None
    assert "alpha: already_refused; beta: not_listed" in entry.reason


@pytest.mark.asyncio
async def test_paused_panel_is_passed_over(shop: Shop) -> None:
    desk = await shop.desk()
    await desk._sender.rate_limit.pause(300.0)

    quotes = await desk.quote(likes())
    entry = await place(desk)

    assert quotes[0].reason is RouteReason.PAUSED
    assert quotes[0].until is not None
    assert entry.panel == "beta"


@pytest.mark.asyncio
async def test_panel_with_another_currency_gets_nothing_without_a_rate(shop: Shop) -> None:
    shop.beta.answer_next("balance", '{"balance": "5", "currency": "EUR"}')
    desk = await shop.desk()
    shop.alpha.answer_next("add", NO_FUNDS)

    quotes = await desk.quote(likes())
    entry = await place(desk)

    assert [each.reason for each in quotes] == [None, RouteReason.CURRENCY_MISMATCH]
    assert entry.state is S.PREPARED
    assert shop.beta.calls("add") == []


@pytest.mark.asyncio
async def test_catalogue_that_is_not_available_leaves_the_other_panel(shop: Shop) -> None:
    shop.alpha.fail_next(Fault.HTTP_500, action="services", times=9)
    desk = await shop.desk()

    assert [each.reason for each in await desk.quote(likes())] == [
        RouteReason.CATALOGUE_UNAVAILABLE, None,
    ]  # fmt: skip
    assert (await place(desk)).panel == "beta"


@pytest.mark.asyncio
async def test_order_is_not_refused_because_a_panel_sends_an_empty_catalogue(shop: Shop) -> None:
    shop.beta.answer_next("services", "[]")
    desk = await shop.desk()
    shop.alpha.answer_next("add", NO_FUNDS)

    entry = await place(desk)

    assert entry.state is S.PREPARED
    assert entry.reason is not None
    assert "alpha: already_refused; beta: catalogue_unavailable" in entry.reason


@pytest.mark.asyncio
async def test_same_ref_is_the_same_order_whatever_the_products_are(shop: Shop) -> None:
    clients = await shop.clients()
    desk = await shop.desk(clients=clients)
    entry = await place(desk)
    other = await shop.desk(clients=clients, products={"likes": {"beta": 11}, "more": {"beta": 11}})

    assert await place(other) == entry
    with pytest.raises(RefConflictError):
        await other.place(order(service="more"), ref="a")
    with pytest.raises(InvalidOrderError, match="is not a product of this desk"):
        await other.place(order(service=5), ref="b")
    assert shop.stored() == ["alpha"]


@pytest.mark.asyncio
async def test_orders_are_followed_at_their_own_panels(shop: Shop) -> None:
    desk = await shop.desk(poll=None)
    shop.alpha.answer_next("add", NO_FUNDS)
    await place(desk)
    await desk.place(likes("b"), ref="b")
    await desk.place(likes("c"), ref="c")
    clock_ahead = [each async for each in desk.entries(panels=["alpha"])]
    assert [each.ref for each in clock_ahead] == ["b", "c"]

    claims = await desk._journal.claim(9, lease=LEASE, panel="beta")

    assert [each.entry.ref for each in claims] in ([], ["a"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account": None}, "account is required"),
        ({"products": None}, "products is required with several panels"),
        ({"products": {"likes": {"gamma": 1}}}, "names the panel 'gamma'"),
        ({"products": {"likes": {}}}, "must name a service at one panel or more"),
        ({"products": {"likes": {"alpha": "1,2"}}}, "cannot be a service"),
        ({"products": {"a b": {"alpha": 1}}}, "cannot be the name of a product"),
        ({"exchange_rates": {"gamma": Decimal(1)}}, "names the panel 'gamma'"),
        ({"exchange_rates": {"beta": 1.5}}, "must be a finite Decimal above 0"),
        ({"exchange_rates": {"beta": Decimal(0)}}, "must be a finite Decimal above 0"),
        ({"clients": {}}, "must be 1 to 100"),
        ({"clients": {"": None}}, "is not a name"),
        ({"clients": {"alpha": None}}, "must be a Client"),
    ],
)
@pytest.mark.asyncio
async def test_settings_no_desk_can_work_with(
    url: str, changes: dict[str, Any], message: str
) -> None:
    async with Client("test-1", base_url="http://127.0.0.1:9/api") as one:
        two = one.with_options()
        other = Client("test-2", base_url="http://127.0.0.1:9/api")
        values: dict[str, Any] = {
            "clients": {"alpha": one, "beta": other}, "account": "shop", "products": PRODUCTS,
        } | changes  # fmt: skip
        with pytest.raises(InvalidSettingsError, match=message):
            OrderDesk(values.pop("clients"), SQLJournal(url), **values)
        with pytest.raises(InvalidSettingsError, match="are the same account of the same panel"):
            OrderDesk(
                {"alpha": one, "beta": two}, SQLJournal(url), account="shop",
                products=PRODUCTS,
            )  # fmt: skip
        with pytest.raises(InvalidSettingsError, match="another name than 'default'"):
            OrderDesk({"alpha": one}, SQLJournal(url), account="shop")
        await other.aclose()


@pytest.mark.asyncio
async def test_desk_that_grows_keeps_its_orders_at_the_default_panel(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    clients = await shop.clients()
    single = timed_desk()(
        clients["alpha"], SQLJournal(shop.url), account="shop", record_balance=False
    )
    async with single:
        before = await single.place(order("b"), ref="b")
    assert (before.panel, before.routes) == ("default", {})

    products = {"likes": {"default": 1, "beta": 11}}
    grown = {"default": clients["alpha"], "beta": clients["beta"]}
    desk = await shop.desk(clients=grown, products=products)
    assert (await desk.find("b")) == before
    assert "orders are open" not in caplog.text

    await shop.desk(clients=clients)
    assert "orders are open at the panel 'default'" in caplog.text


@pytest.mark.asyncio
async def test_running_desk_sends_what_is_due(shop: Shop) -> None:
    desk = await shop.desk()

    following = asyncio.create_task(desk.follow())
    shop.alpha.answer_next("add", NO_KEY)
    shop.alpha.answer_next("status", NO_KEY)
    entry = await place(desk)
    shop.beta.set_status(entry.order_id(), "completed")
    finished = await in_state(desk, "a", S.FINISHED)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    assert (entry.panel, finished.panel) == ("beta", "beta")


@pytest.mark.asyncio
async def test_balance_settles_nothing_over_several_panels(shop: Shop) -> None:
    with pytest.raises(InvalidSettingsError, match="without products="):
        await shop.desk(record_balance=True, settle_by_balance=True)


@pytest.mark.asyncio
async def test_money_is_counted_in_the_currency_of_the_desk(shop: Shop) -> None:
    desk = await shop.desk(exchange_rates={"beta": Decimal("0.25")}, record_balance=True)
    await place(desk)
    shop.beta.answer_next("add", ODD)
    unknown = await desk.place(likes("b"), ref="b")

    summary = await desk.summary()
    [evidence] = await desk.unknown()

    assert unknown.state is S.UNKNOWN
    assert (summary.spent, summary.at_risk) == (Decimal("0.5"), Decimal("0.5"))
    assert evidence.balance_drop == 0
    assert evidence.drop_difference == Decimal("-0.5")


@pytest.mark.asyncio
async def test_panel_that_does_not_tell_its_currency_gets_nothing_for_now(shop: Shop) -> None:
    shop.beta.fail_next(Fault.HTTP_500, action="balance", times=9)
    desk = await shop.desk()

    reasons = [each.reason for each in await desk.quote(likes())]

    assert reasons == [None, RouteReason.CATALOGUE_UNAVAILABLE]


@pytest.mark.asyncio
async def test_desk_over_one_panel_quotes_its_services(shop: Shop) -> None:
    clients = await shop.clients()
    desk = await shop.desk(clients=clients["alpha"], products=None)

    [quote] = await desk.quote(order())

    assert (quote.panel, quote.service, quote.price, quote.reason) == ("default", "1", 1, None)


@pytest.mark.asyncio
async def test_order_that_is_paused_everywhere_is_stored_and_sent_later(shop: Shop) -> None:
    desk = await shop.desk()
    for panel in desk._panels.values():
        await panel.rate_limit.pause(300.0)

    entry = await place(desk)

    assert (entry.state, entry.panel, entry.attempt) == (S.PREPARED, None, 0)
    assert entry.reason == "no panel can take the order: alpha: paused; beta: paused"
    assert await place(desk) == entry
    assert shop.stored() == []


@pytest.mark.asyncio
async def test_order_without_any_catalogue_is_not_sent_and_not_stored(shop: Shop) -> None:
    for panel in (shop.alpha, shop.beta):
        panel.fail_next(Fault.HTTP_500, action="services", times=9)
    desk = await shop.desk()

    with pytest.raises(NotSentError, match="alpha: catalogue_unavailable"):
        await place(desk)

    assert await desk.find("a") is None


@pytest.mark.asyncio
async def test_limit_without_a_known_price_is_an_error(shop: Shop) -> None:
    desk = await shop.desk(products={"posts": {"alpha": 2}})
    subscription = SubscriptionsOrder(service="posts", username="u", min=10, max=20, delay=0)

    with pytest.raises(InvalidOrderError, match="alpha: no_price"):
        await desk.place(subscription, ref="s", max_charge=Decimal(1))


@pytest.mark.asyncio
async def test_panel_whose_profile_does_not_take_the_order_is_no_route(shop: Shop) -> None:
    clients = await shop.clients()
    few = attrs.evolve(clients["alpha"].profile, order_types=frozenset({"package"}))
    clients["alpha"] = await shop.stack.enter_async_context(
        Client(shop.alpha.api_key, base_url=shop.alpha.url, profile=few)
    )
    desk = await shop.desk(clients=clients)

    assert [each.reason for each in await desk.quote(likes())] == [RouteReason.WRONG_TYPE, None]
    assert (await place(desk)).routes == {"beta": "11"}

    alone = await shop.desk(clients={"alpha": clients["alpha"]}, products={"likes": {"alpha": 1}})
    with pytest.raises(InvalidOrderError, match="is not supported"):
        await alone.place(likes("b"), ref="b")


@pytest.mark.asyncio
async def test_order_is_stored_in_a_transaction_and_sent_by_a_running_desk(shop: Shop) -> None:
    desk = await shop.desk()
    engine = create_async_engine(shop.url)
    with pytest.raises(NotSentError):
        async with engine.begin() as connection:
            await desk.enqueue(likes(), ref="a", connection=connection)
    await desk.quote(likes())
    async with engine.begin() as connection:
        stored = await desk.enqueue(likes(), ref="a", connection=connection)
    await engine.dispose()

    following = asyncio.create_task(desk.follow())
    accepted = await in_state(desk, "a", S.ACCEPTED)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    assert (stored.price, accepted.panel, shop.stored()) == (1, "alpha", ["alpha"])


@pytest.mark.asyncio
async def test_key_that_one_panel_rejects_stops_no_other(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    desk = await shop.desk(poll=PollPolicy(min_interval_s=0.02, max_interval_s=0.05))
    await place(desk)
    other = await desk.place(likes("b"), ref="b", max_charge=None)
    assert other.panel == "alpha"
    for action in ("status", "balance"):
        for _ in range(50):
            shop.alpha.answer_next(action, NO_KEY)
    shop.alpha.answer_next("add", NO_FUNDS)

    following = asyncio.create_task(desk.follow())
    moved = await desk.place(likes("c"), ref="c")
    shop.beta.set_status(moved.order_id(), "completed")
    await in_state(desk, "c", S.FINISHED)
    await eventually(lambda: "the panel 'alpha' rejects the key" in caplog.text)
    assert not following.done()
    await desk.aclose()
    await following

    assert moved.panel == "beta"


# --- panels that fail, pauses, and other desks ---------------------------------------------------


@pytest.mark.asyncio
async def test_panel_that_fails_is_shown_and_passed_over(shop: Shop) -> None:
    desk = await shop.desk()
    shop.alpha.fail_next(Fault.DROP_AFTER, action="add")
    assert (await place(desk)).state is S.UNKNOWN

    first, second = await desk.quote(likes())
    other = await desk.place(likes("b"), ref="b")

    assert (first.panel, first.reason) == ("alpha", RouteReason.CIRCUIT_OPEN)
    assert first.until is not None
    assert second.reason is None
    assert (other.state, other.panel) == (S.ACCEPTED, "beta")


@pytest.mark.asyncio
async def test_order_waits_if_all_panels_fail(shop: Shop) -> None:
    desk = await shop.desk()
    for panel, ref in ((shop.alpha, "a"), (shop.beta, "b")):
        panel.fail_next(Fault.DROP_AFTER, action="add")
        assert (await desk.place(likes(ref), ref=ref)).state is S.UNKNOWN
    entry = await desk.place(likes("c"), ref="c")

    assert (entry.state, entry.attempt, entry.kind) == (S.PREPARED, 0, ErrorKind.NETWORK)
    again = await desk.place(likes("c"), ref="c", max_charge=Decimal(9))
    assert (again.state, again.max_charge) == (S.PREPARED, 9)
    assert shop.stored("c") == []


@pytest.mark.asyncio
async def test_stale_catalogue_cannot_enforce_a_limit(shop: Shop) -> None:
    clients = {
        name: await shop.stack.enter_async_context(
            Client(panel.api_key, base_url=panel.url, services_ttl_s=0.0)
        )
        for name, panel in (("alpha", shop.alpha), ("beta", shop.beta))
    }
    desk = await shop.desk(clients=clients)
    await desk.quote(likes())
    shop.alpha.fail_at_rate(Fault.HTTP_503, rate=1.0, action="services")

    entry = await place(desk, max_charge=Decimal(9))

    assert (entry.state, entry.panel) == (S.ACCEPTED, "beta")


@pytest.mark.asyncio
async def test_without_circuits_no_panel_is_passed_over(shop: Shop) -> None:
    desk = await shop.desk(circuit=None)
    shop.alpha.fail_next(Fault.DROP_AFTER, action="add")
    await place(desk)

    assert [each.reason for each in await desk.quote(likes())] == [None, None]


@pytest.mark.asyncio
async def test_currency_that_cannot_be_read_in_time_keeps_an_order_from_a_panel(
    shop: Shop,
) -> None:
    desk = await shop.desk(calls_per_minute=60)
    await desk._panels["alpha"].rate_limit.pause(60)

    reasons = [each.reason for each in await desk.quote(likes())]

    assert reasons == [RouteReason.CATALOGUE_UNAVAILABLE, None]


@pytest.mark.asyncio
async def test_clients_with_changing_keys_are_told_apart(shop: Shop) -> None:
    clients = {
        name: await shop.stack.enter_async_context(
            Client(lambda panel=panel: panel.api_key, base_url=panel.url)
        )
        for name, panel in (("alpha", shop.alpha), ("beta", shop.beta))
    }

    assert (await place(await shop.desk(clients=clients))).state is S.ACCEPTED


@pytest.mark.asyncio
async def test_order_that_another_desk_is_sending_is_waited_for(shop: Shop) -> None:
    first, second = await shop.desk(), await shop.desk()
    shop.alpha.fail_next(Fault.DELAY, action="add", delay_s=0.3)
    placing = asyncio.create_task(place(first))

    async def is_sending() -> bool:
        entry = await first.find("a")
        return entry is not None and entry.state is S.SENDING

    await eventually(is_sending)

    assert (await place(second)).order == (await placing).order
    assert shop.stored() == ["alpha"]


@pytest.mark.asyncio
async def test_order_without_a_slot_stays_for_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None: ...

    monkeypatch.setattr(SQLJournal, "start_attempt", refuse)
    desk = timed_desk(slot_wait_s=0.0)(
        await shop.clients(), SQLJournal(shop.url), account="shop", products=PRODUCTS,
        record_balance=False,
    )  # fmt: skip
    async with desk:
        assert (await place(desk)).state is S.PREPARED
    assert shop.stored() == []


@pytest.mark.asyncio
async def test_limit_that_no_panel_meets_any_more_is_told(shop: Shop) -> None:
    desk = await shop.desk()
    await desk.quote(likes())
    engine = create_async_engine(shop.url)
    async with engine.begin() as connection:
        await desk.enqueue(likes(), ref="a", connection=connection, max_charge=Decimal(3))
    await engine.dispose()
    shop.alpha.change_rate(1, Decimal(50))
    shop.beta.change_rate(11, Decimal(60))
    later = await shop.desk()
    with pytest.raises(SpendingLimitError, match="50"):
        await place(later)
    following = asyncio.create_task(later.follow())

    async def is_put_off() -> bool:
        entry = await later.find("a")
        return entry is not None and entry.kind is ErrorKind.BUDGET

    await eventually(is_put_off)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    entry = await later.find("a")
    assert entry is not None
    assert (entry.state, entry.attempt) == (S.PREPARED, 0)
