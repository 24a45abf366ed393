"""The tables and the migrations of older versions of them.

Money is stored as text and read as the same `Decimal`, times as whole microseconds since 1970:
SQLite has no exact type for either, and one representation on both databases is simpler to test.
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
    and_,
    false,
    literal_column,
    or_,
)

from .. import OPEN_REQUEST_STATES, EntryState

__all__ = [
    "MIGRATIONS",
    "OPEN_REQUEST",
    "SCHEMA_VERSION",
    "Money",
    "UtcTime",
    "accounts",
    "budget_changes",
    "budgets",
    "consumers",
    "events",
    "from_microseconds",
    "has_state",
    "metadata",
    "orders",
    "panels",
    "requests",
    "service_events",
    "services",
    "to_microseconds",
    "versions",
]

SCHEMA_VERSION = 1
"""The version of the tables below; a database with a later version is refused."""

MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""For each older version, the statements that turn it into the next one, in order, keeping all
rows; they run in one transaction and must be valid on both databases."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_microseconds(value: datetime) -> int:
    """Return an aware time as whole microseconds since 1970."""
    return (value - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC time."""
    return _EPOCH + value * _MICROSECOND


def stored_time(value: datetime | None) -> int | None:
    """Return a time as it is stored."""
    return None if value is None else to_microseconds(value)


def stored_amount(value: Decimal | None) -> str | None:
    """Return an amount as it is stored, never with an exponent, so that people can read it too."""
    return None if value is None else f"{value:f}"


def _time_of(value: int | None) -> datetime | None:
    return None if value is None else from_microseconds(value)


def _amount_of(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time, stored as whole microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Return the stored value."""
        return stored_time(value)

    # Not `process_result_value`, for which SQLAlchemy makes two calls for each value.
    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that returns the time of a stored value."""
        return _time_of


class Money(TypeDecorator[Decimal]):
    """An exact amount, stored as text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """Return the stored value."""
        return stored_amount(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Return the function that returns the amount of a stored value."""
        return _amount_of


# SQLite numbers rows automatically only with this type.
_Key = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

versions = Table(
    "smm_versions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    # For SQLite alone: see `log_mark`.
    Column("log_mark", Integer, nullable=False, default=0),
)

accounts = Table(
    "smm_accounts",
    metadata,
    Column("account", String(64), primary_key=True),
    # The position of the last event. It is increased with the row locked, so that events become
    # visible in the order of their positions and a reader misses none.
    Column("last_event", BigInteger, nullable=False, default=0),
    # The same for the events about services.
    Column("last_service_event", BigInteger, nullable=False, default=0),
)

# One row for each panel that a desk of the account has used. Transactions that write it write
# nothing else, so that its lock is never held while another one is waited for; except the one that
# records a look at the services, which then locks the account's row, as no other does.
panels = Table(
    "smm_panels",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("panel", String(64), primary_key=True),
    # The rate limit of all machines, and the pause that the panel asked for.
    Column("next_call_at", UtcTime),
    Column("paused_until", UtcTime),
    # The circuit: failed calls in a row, until when no order is sent, and who looks again.
    Column("failure_count", Integer, nullable=False, default=0),
    Column("open_until", UtcTime),
    Column("probe_until", UtcTime),
    Column("reason", String(32)),
    # What was last seen of it.
    Column("balance", Money),
    Column("currency", String(16)),
    Column("balance_at", UtcTime),
    Column("services_at", UtcTime),
    Column("services_count", Integer),
    Column("services_reason", Text),
    # The lease of the desk that watches its services, and its fencing token.
    Column("watch_until", UtcTime),
    Column("watch_version", BigInteger, nullable=False, default=0),
)

budgets = Table(
    "smm_budgets",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    # Increased, and so locked, by every check of an order against the day's budget. A separate
    # table since a caller's transaction may hold the lock for long.
    Column("checks", BigInteger, nullable=False),
)

# What the orders of a day cost together is the sum of these rows. Each transaction that changes it
# adds what it changes, without a lock; a check of the budget, which has the lock, replaces many
# rows by their sum.
budget_changes = Table(
    "smm_budget_changes",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("account", String(64), nullable=False),
    Column("day", String(10), nullable=False),
    Column("amount", Money, nullable=False),
)
Index("smm_budget_changes_day", budget_changes.c.account, budget_changes.c.day)

orders = Table(
    "smm_orders",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("account", String(64), nullable=False),
    Column("ref", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("form", Text),
    Column("link", Text),
    # For the index: PostgreSQL's take no long links.
    Column("link_digest", String(64)),
    Column("quantity", BigInteger),
    Column("price", Money),
    Column("max_charge", Money),
    # The day's budget that the price was last checked against; None if it never was.
    Column("budget", Money),
    Column("budget_day", String(10), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    # JSON: the service at each panel that may take the order; None for a desk over one panel.
    Column("routes", Text),
    # The state.
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", UtcTime),
    Column("kind", String(32)),
    Column("reason", Text),
    Column("was_unknown", Boolean, nullable=False),
    # Where it was sent last, under which id of the service, and what a unit of that panel's
    # currency was worth in the desk's. A PREPARED order with a panel is sent there alone.
    Column("panel", String(64)),
    Column("service", String(128)),
    Column("exchange_rate", Money),
    # Whether it stays at that panel: it was held or unknown there, or a person chose it.
    Column("is_pinned", Boolean, nullable=False, default=False),
    # JSON: why each panel refused it, since it was last prepared by a person.
    Column("refused_by", Text),
    # The attempt in flight. No two attempts at a panel have the same slot.
    Column("slot", Integer),
    Column("owner", String(32)),
    Column("lease_until", UtcTime),
    Column("sent_at", UtcTime),
    Column("settled_at", UtcTime),
    Column("balance_before", Money),
    Column("balance_after", Money),
    # Whether an UNKNOWN order may be settled by the balance, as far as its answer is concerned.
    Column("is_error_answer", Boolean, nullable=False, server_default=false()),
    # The panel's order. An id that came with an error may not be an order of this ref.
    Column("panel_order", String(128)),
    # The same without leading zeros and sign if it is a number: no two refs have the same order.
    Column("order_number", String(128)),
    Column("suspected_order", String(128)),
    Column("raw_status", Text),
    Column("status", String(16)),
    Column("charge", Money),
    Column("currency", String(16)),
    Column("start_count", BigInteger),
    Column("remains", BigInteger),
    Column("checked_at", UtcTime),
    Column("changed_at", UtcTime),
    Column("miss_count", Integer, nullable=False),
    Column("claim_version", BigInteger, nullable=False),
    # The ref first: it is also looked up in all accounts.
    UniqueConstraint("ref", "account", name="smm_orders_ref"),
)


def has_state(*states: EntryState) -> ColumnElement[bool]:
    """Return the condition that an order is in one of the states, as literals, not parameters."""
    literals: list[ColumnElement[Any]] = [literal_column(f"'{state.value}'") for state in states]
    return orders.c.state == literals[0] if len(literals) == 1 else orders.c.state.in_(literals)


def _partial_index(
    name: str, *columns: Column[Any], where: ColumnElement[bool], unique: bool = False
) -> None:
    """Add an index of the rows that fulfil a condition, on both databases."""
    Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


# One partial index per state, since most orders are final and few are in any other state. SQLite
# uses a partial index only if the statement contains the same condition, hence literal states.
for _name, _state, *_columns in (
    ("smm_orders_followed", EntryState.ACCEPTED, "panel", "due_at"),
    ("smm_orders_prepared", EntryState.PREPARED, "due_at"),
    ("smm_orders_held", EntryState.HELD, "due_at"),
    ("smm_orders_sending", EntryState.SENDING, "lease_until"),
    ("smm_orders_unknown", EntryState.UNKNOWN, "id"),
):
    _partial_index(
        _name,
        orders.c.account,
        *(orders.c[_column] for _column in _columns),
        where=has_state(_state),
    )
_partial_index(
    "smm_orders_rechecked",
    orders.c.account,
    orders.c.panel,
    orders.c.due_at,
    where=and_(has_state(EntryState.FINISHED), orders.c.due_at.is_not(None)),
)
# Not constraints, which SQLite could only change by rebuilding the table.
# An attempt sets the panel, and neither an id nor a slot comes before one.
Index(
    "smm_orders_order_number",
    orders.c.account,
    orders.c.panel,
    orders.c.order_number,
    unique=True,
)
Index("smm_orders_slot", orders.c.account, orders.c.panel, orders.c.slot, unique=True)
Index("smm_orders_link", orders.c.account, orders.c.link_digest)
Index("smm_orders_created", orders.c.account, orders.c.created_at)

events = Table(
    "smm_events",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("ref", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("panel", String(64)),
    Column("panel_order", String(128)),
    Column("raw_status", Text),
    Column("charge", Money),
    Column("remains", BigInteger),
    Column("text", Text),
    Column("request_state", String(16)),
)
_partial_index("smm_events_text", events.c.account, events.c.ref, where=events.c.text.is_not(None))

consumers = Table(
    "smm_consumers",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("stream", String(16), primary_key=True),
    Column("consumer", String(200), primary_key=True),
    Column("position", BigInteger, nullable=False),
    # The worker that reads it, since and until when, and the fencing token of its claim.
    Column("owner", String(32)),
    Column("leased_at", UtcTime),
    Column("lease_until", UtcTime),
    Column("claim_version", BigInteger, nullable=False),
)

# The services that desks watch, as they were last listed.
services = Table(
    "smm_services",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("panel", String(64), primary_key=True),
    Column("service", String(128), primary_key=True),
    # JSON; None for one that was never listed.
    Column("row", Text),
    Column("checked_at", UtcTime, nullable=False),
    Column("missing_since", UtcTime),
    Column("is_removed", Boolean, nullable=False),
)

service_events = Table(
    "smm_service_events",
    metadata,
    Column("account", String(64), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("at", UtcTime, nullable=False),
    Column("panel", String(64), nullable=False),
    Column("service", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    # JSON: the service as it was and as it is.
    Column("before", Text),
    Column("after", Text),
)

requests = Table(
    "smm_requests",
    metadata,
    Column("id", _Key, primary_key=True, autoincrement=True),
    Column("account", String(64), nullable=False),
    Column("ref", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("number", Integer, nullable=False),
    # None for an order that was withdrawn before it was sent.
    Column("panel", String(64)),
    Column("panel_order", String(128)),
    Column("decided_by", String(200)),
    Column("created_at", UtcTime, nullable=False),
    # The state. Only what is to be sent or checked by itself has a due time.
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", UtcTime),
    Column("error_kind", String(32)),
    Column("reason", Text),
    Column("changed_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime),
    # The attempt in flight. No two attempts at a panel have the same slot.
    Column("slot", Integer),
    Column("owner", String(32)),
    Column("lease_until", UtcTime),
    Column("sent_at", UtcTime),
    # What the panel says.
    Column("refill", String(128)),
    Column("raw_status", Text),
    Column("claim_version", BigInteger, nullable=False),
)

OPEN_REQUEST = requests.c.state.in_(
    [literal_column(f"'{state.value}'") for state in sorted(OPEN_REQUEST_STATES)]
)
"""The condition that a request is open, as literals, for the partial index."""

_partial_index(
    "smm_requests_open",
    requests.c.account,
    requests.c.ref,
    requests.c.kind,
    where=OPEN_REQUEST,
    unique=True,
)
Index(
    "smm_requests_number",
    requests.c.account,
    requests.c.ref,
    requests.c.kind,
    requests.c.number,
    unique=True,
)
Index("smm_requests_slot", requests.c.account, requests.c.panel, requests.c.slot, unique=True)
_partial_index(
    "smm_requests_due",
    requests.c.account,
    requests.c.due_at,
    where=requests.c.due_at.is_not(None),
)
_partial_index(
    "smm_requests_sending",
    requests.c.account,
    requests.c.lease_until,
    where=requests.c.lease_until.is_not(None),
)
_partial_index(
    "smm_requests_text",
    requests.c.account,
    requests.c.created_at,
    where=or_(requests.c.reason.is_not(None), requests.c.decided_by.is_not(None)),
)
