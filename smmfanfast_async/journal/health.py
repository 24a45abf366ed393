"""The state of an account's orders, consumers and panels in numbers. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import ClassVar, Literal

from attrs import field, frozen

from .._serialization import JsonFields, Serializable
from ..errors import ErrorKind
from .circuit import CircuitState

__all__ = ["ConsumerHealth", "DeskHealth", "PanelHealth"]


@frozen(kw_only=True)
class ConsumerHealth(Serializable):
    """How far a consumer of events is.

    Attributes:
        consumer: Its name.
        position: The position that it has acknowledged; 0 for none.
        lag: How many events it has not acknowledged.
        oldest_at: When the first of those was recorded; None if there is none.
        lease_until: Until when a worker reads it; None if none does.
    """

    consumer: str
    position: int
    lag: int
    oldest_at: datetime | None
    lease_until: datetime | None


@frozen(kw_only=True)
class PanelHealth(Serializable):
    """Whether orders are sent to a panel, and its account there.

    Attributes:
        panel: Its name; that of a lone client is "default".
        circuit: Whether orders are sent; see `CircuitState`.
        reason: Why they are not; None while they are.
        failure_count: Calls that failed in a row, and probes while the circuit is open.
        open_until: When the panel is probed next; None while orders are sent.
        paused_until: The end of the pause that the panel last asked for; None if it never did.
        balance: The balance that a desk last recorded, in `currency`: one that follows orders does
            so every 15 seconds, if it has read the balance. None if there is none.
        currency: The currency of the balance; None if the panel stated none.
        balance_at: When that was.
        services_at: When a complete answer about the panel's services was last compared with what
            was known of them; None if they are not watched. Long ago: see `services_reason`.
        services_reason: Why the last answer could not be compared, at most 500 characters; None if
            it could.
        state: "missing" if the desk has no client for this panel, so that what is open there is not
            followed; otherwise "ok".
    """

    _json: ClassVar[JsonFields] = JsonFields(raw=frozenset({"services_reason"}))

    panel: str
    circuit: CircuitState
    reason: ErrorKind | None = None
    failure_count: int = 0
    open_until: datetime | None = None
    paused_until: datetime | None = None
    balance: Decimal | None = None
    currency: str | None = None
    balance_at: datetime | None = None
    services_at: datetime | None = None
    services_reason: str | None = None
    state: Literal["ok", "missing"] = "ok"


@frozen(kw_only=True)
class DeskHealth(Serializable):
    """The state of an account in numbers, from the journal alone. All times are aware UTC.

    Orders that the panel works on are not counted: there may be millions.

    Attributes:
        at: When it was read, by the journal's clock.
        prepared: Orders to be sent, those that wait for a panel among them.
        held: Orders that wait for another one with the same link.
        sending: Orders that are being sent.
        unknown: Orders whose outcome is unknown; each needs a person.
        oldest_unknown_at: When the first of those became unknown; None if there is none.
        oldest_prepared_at: When the oldest order to be sent was created; None if there is none.
        oldest_due_check_at: When the next check of an accepted order is due. If that is long ago,
            nothing follows the orders. None if there is none.
        requests_unknown: Refills and cancellations whose outcome is unknown.
        budget_left: What is left of the day's budget; None without a budget.
        consumers: The consumers of events about orders, by name.
        service_consumers: The consumers of events about services, by name.
        panels: The panels, by name.
    """

    at: datetime
    prepared: int
    held: int
    sending: int
    unknown: int
    oldest_unknown_at: datetime | None
    oldest_prepared_at: datetime | None
    oldest_due_check_at: datetime | None
    requests_unknown: int
    budget_left: Decimal | None
    consumers: Mapping[str, ConsumerHealth] = field(factory=dict[str, ConsumerHealth])
    service_consumers: Mapping[str, ConsumerHealth] = field(factory=dict[str, ConsumerHealth])
    panels: Mapping[str, PanelHealth] = field(factory=dict[str, PanelHealth])
