"""The tables, and how an older version of them becomes this one.

Money is kept as text and comes back as the same `Decimal`, times as whole microseconds since 1970:
SQLite has no exact type for either, and one form on both databases is one to be wrong about.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    literal_column,
)

from .. import EntryState

__all__ = [
    "MIGRATIONS",
    "SCHEMA_VERSION",
    "accounts",
    "budgets",
    "consumers",
    "events",
    "is_in",
    "metadata",
    "microseconds",
    "moment",
    "orders",
    "versions",
]

SCHEMA_VERSION = 1
"""The version of the tables below; a database of a later one is refused."""

MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""For each older version, the statements that make the next one of it, in order, keeping all rows;
they run in one transaction and have to be understood by both databases."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(value: datetime) -> int:
    """Give an aware time as whole microseconds since 1970."""
    return (value - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """Give microseconds since 1970 as an aware UTC time."""
    return _EPOCH + value * _MICROSECOND


class Moment(TypeDecorator[datetime]):
    """An aware UTC time, kept as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Give what is kept."""
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Give the time that was kept."""
        return None if value is None else moment(value)


class Money(TypeDecorator[Decimal]):
    """An exact amount, kept as the text of it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Give what is kept: never with an exponent, so that people can read it too."""
        return None if value is None else f"{value:f}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        """Give the amount that was kept."""
        return None if value is None else Decimal(value)


# SQLite counts rows up by itself only under this type.
_Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

versions = Table(
    "smm_versions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
)

accounts = Table(
    "smm_accounts",
    metadata,
    Column("account", String(64), primary_key=True),
    # The position of the last event: taken up with the row locked, so that events are written in
    # the order of their positions and none comes in behind a reader's back.
    Column("last_event", BigInteger, nullable=False, default=0),
    Column("next_call_at", Moment),
    Column("paused_until", Moment),
)

budgets = Table(
    "smm_budgets",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    # Counted up, and so locked, by whoever holds an order against the day's budget. A table of its
    # own, since a caller's transaction may hold it for long.
    Column("checks", BigInteger, nullable=False),
)

orders = Table(
    "smm_orders",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("account", String(64), nullable=False),
    Column("ref", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("form", Text),
    Column("link", Text),
    Column("quantity", BigInteger),
    Column("price", Money),
    Column("budget_day", String(10), nullable=False),
    Column("created_at", Moment, nullable=False),
    # Where it stands.
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", Moment),
    Column("kind", String(32)),
    Column("reason", Text),
    Column("was_unknown", Boolean, nullable=False),
    # The attempt under way. No two of an account have the same place.
    Column("slot", Integer),
    Column("owner", String(32)),
    Column("lease_until", Moment),
    Column("sent_at", Moment),
    Column("settled_at", Moment),
    Column("balance_before", Money),
    Column("balance_after", Money),
    # The panel's order. An id that came beside an error is no order of this ref for sure.
    Column("panel_order", String(128)),
    Column("suspected_order", String(128)),
    Column("raw_status", Text),
    Column("status", String(16)),
    Column("charge", Money),
    Column("currency", String(16)),
    Column("start_count", BigInteger),
    Column("remains", BigInteger),
    Column("checked_at", Moment),
    Column("changed_at", Moment),
    Column("miss_count", Integer, nullable=False),
    Column("claim_version", BigInteger, nullable=False),
    UniqueConstraint("account", "ref", name="smm_orders_ref"),
    UniqueConstraint("account", "panel_order", name="smm_orders_panel_order"),
    UniqueConstraint("account", "slot", name="smm_orders_slot"),
)


def is_in(*states: EntryState) -> ColumnElement[bool]:
    """Say that an order is in one of some states, in words and not as a parameter."""
    words: list[ColumnElement[Any]] = [literal_column(f"'{state.value}'") for state in states]
    return orders.c.state == words[0] if len(words) == 1 else orders.c.state.in_(words)


# An index a state, since most orders are final and few are in any other one. SQLite takes such an
# index only where the statement says the very same, which is why statements spell states out.
for _name, _state, _order in (
    ("smm_orders_followed", EntryState.ACCEPTED, "due_at"),
    ("smm_orders_prepared", EntryState.PREPARED, "due_at"),
    ("smm_orders_held", EntryState.HELD, "due_at"),
    ("smm_orders_sending", EntryState.SENDING, "lease_until"),
    ("smm_orders_unknown", EntryState.UNKNOWN, "id"),
):
    _where = is_in(_state)
    Index(
        _name,
        orders.c.account,
        orders.c[_order],
        sqlite_where=_where,
        postgresql_where=_where,
    )
Index("smm_orders_booked", orders.c.account, orders.c.budget_day)
Index("smm_orders_link", orders.c.account, orders.c.link)
Index("smm_orders_created", orders.c.account, orders.c.created_at)

events = Table(
    "smm_events",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("ref", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("panel_order", String(128)),
    Column("raw_status", Text),
    Column("charge", Money),
    Column("remains", BigInteger),
    Column("text", Text),
)

consumers = Table(
    "smm_consumers",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("consumer", String(200), primary_key=True),
    Column("position", BigInteger, nullable=False),
)
