"""One example of each class that can be returned as JSON, and a strategy for orders of any type."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import attrs
from hypothesis import strategies as st

from smmfanfast_async import (
    API_V2_ORDER_TYPES,
    AddedOrder,
    Balance,
    CancelResult,
    CatalogueDiff,
    DefaultOrder,
    ErrorKind,
    Order,
    OrderStatus,
    RefillResult,
    RefillStatus,
    Service,
    ServiceChange,
)
from smmfanfast_async.journal import (
    Entry,
    EntryState,
    EventKind,
    JournalEvent,
    ServiceEvent,
    ServiceEventKind,
    Summary,
    UnknownOrder,
)

MOMENT = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=3)))
"""Midnight in UTC, said in another time zone."""

SERVICE = Service(
    service="5", name="Followers", raw_rate="1.50", min=10, max=1000, extra={"note": "x"}, raw="{}"
)
ENTRY = Entry(
    ref="cart-1", state=EntryState.UNKNOWN, attempt=1, form={"service": "5", "link": "l"}, link="l",
    quantity=1000, price=Decimal("1E-7"), order="32", kind=ErrorKind.NETWORK, reason="no response",
    created_at=MOMENT, sent_at=MOMENT, balance_before=Decimal("10.00"),
)  # fmt: skip

EXAMPLES = [
    OrderStatus(
        order="32", raw_status="In progress", raw_charge="0.27", remains=157, currency="USD",
        orders=("33",), extra={"note": ["x", 1, None]}, raw="{}",
    ),
    SERVICE,
    Balance(balance=Decimal("100.84"), currency="USD", raw="{}"),
    AddedOrder(order="32", raw="{}"),
    RefillResult(order="32", refill="1", raw="{}"),
    RefillStatus(refill="1", raw_status="Completed", raw="{}"),
    CancelResult(order="32", raw="{}"),
    ENTRY,
    JournalEvent(
        position=1, at=MOMENT, ref="cart-1", kind=EventKind.CHANGED, attempt=1, order="32",
        charge=Decimal("0.27"), text="the owner",
    ),
    UnknownOrder(
        entry=ENTRY, balance_drop=Decimal("1.5"), link_reported_active=True, other_refs=("cart-2",)
    ),
    Summary(
        by_state={EntryState.UNKNOWN: 1}, by_status={"unseen": 1}, spent=Decimal(0),
        refunded=Decimal(0), at_risk=Decimal("1.5"),
    ),
    ServiceChange(SERVICE, SERVICE),
    ServiceEvent(
        position=1, at=MOMENT, panel="alpha", service="5", kind=ServiceEventKind.REMOVED,
        before=SERVICE, after=None,
    ),
    CatalogueDiff(added=(SERVICE,), removed=(), changed=(ServiceChange(SERVICE, SERVICE),)),
    DefaultOrder(service=5, link="https://example.com/p", quantity=1000),
]  # fmt: skip


_TEXTS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=9)
_LISTS = st.lists(_TEXTS, min_size=1, max_size=3)
_NUMBERS = st.integers(1, 10**12)
_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXTS,
    str | None: st.none() | _TEXTS,
    int: _NUMBERS,
    int | None: st.none() | _NUMBERS,
    tuple[str, ...]: _LISTS,
    date | None: st.none() | st.dates(date(2100, 1, 1)),
}
"""Valid values by the type of a field."""

_FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "service": _NUMBERS | _TEXTS.map("id-{}".format),
    "extra": st.dictionaries(_TEXTS.map("x-{}".format), st.text("ab\n"), max_size=2),
    "device": st.integers(1, 5),
    "type_of_traffic": st.just(3),
    "min": st.integers(1, 10),
    "max": st.integers(10, 99),
    "delay": st.integers(0, 10**6),
    "allowed_delays_minutes": st.none(),
}
"""Valid values of fields that have rules of their own."""


@st.composite
def orders(draw: st.DrawFn) -> Order:
    """Return an order of any type, with valid values in any of its fields."""
    order_type = draw(st.sampled_from(list(API_V2_ORDER_TYPES.values())))
    values = {
        each.name: draw(_FIELDS[each.name] if each.name in _FIELDS else _VALUES[each.type])
        for each in attrs.fields(order_type)
    }
    if values.get("runs") is None or values.get("interval") is None:
        values = {name: each for name, each in values.items() if name not in {"runs", "interval"}}
    return order_type(**values)


def utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
