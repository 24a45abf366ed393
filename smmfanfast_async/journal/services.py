"""Watched services: what a journal keeps of them, and the events about what changed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from attrs import frozen

from .._serialization import Serializable
from ..catalogue import ServiceChange
from ..results import Service

__all__ = [
    "Comparison",
    "NewServiceEvent",
    "ServiceEvent",
    "ServiceEventKind",
    "ServiceRound",
    "WatchClaim",
    "WatchedService",
]


class ServiceEventKind(StrEnum):
    """What happened to a watched service."""

    CHANGED = "changed"
    """It is listed with another rate, other limits or any other field than before."""
    REMOVED = "removed"
    """Two complete answers in a row, at least one interval apart, did not list it."""
    RESTORED = "restored"
    """It is listed again, or for the first time since it is watched."""


@frozen(kw_only=True)
class NewServiceEvent:
    """What happened to a service, before it has a position.

    Attributes:
        service: The id of the service at its panel.
        kind: What happened; see `ServiceEventKind`.
        before: The service as it was last listed; None if it never was.
        after: The service as it is listed now; None if it is not.
    """

    service: str
    kind: ServiceEventKind
    before: Service | None
    after: Service | None


@frozen(kw_only=True)
class ServiceEvent(Serializable):
    """Something that happened to a service that a desk watches.

    Events are numbered in the order they were recorded. Those of a service lead from what was first
    seen of it to what is listed now: `after` of one is `before` of the next, unless that is None.

    Attributes:
        position: Its number among the account's events about services, 1 for the first, without
            gaps.
        at: When it was recorded, aware UTC.
        panel: The name of the panel.
        service: The id of the service there.
        kind: What happened; see `ServiceEventKind`.
        before: The service as it was last listed, `raw` being None; None if it never was.
        after: The service as it is listed now, `raw` being None; None if it is not.
    """

    position: int
    at: datetime
    panel: str
    service: str
    kind: ServiceEventKind
    before: Service | None
    after: Service | None

    @property
    def change(self) -> ServiceChange | None:
        """Both together, with the comparisons of `ServiceChange`; None if one of them is None."""
        if self.before is None or self.after is None:
            return None
        return ServiceChange(self.before, self.after)


@frozen(kw_only=True)
class WatchedService:
    """What a journal keeps of a service. All times are aware UTC.

    Attributes:
        service: The id of the service at its panel.
        row: The service as it was last listed; None if it never was.
        checked_at: When a complete answer was last compared with it.
        missing_since: When the first of the complete answers in a row that did not list it was
            recorded; None while it is listed, and once it is removed.
        is_removed: Whether it counts as removed, or was not listed yet when it was first watched.
    """

    service: str
    row: Service | None
    checked_at: datetime
    missing_since: datetime | None = None
    is_removed: bool = False


@frozen(kw_only=True)
class ServiceRound:
    """What one answer of the panel changes.

    Attributes:
        rows: All services that were compared, as they are now.
        events: What happened to them, in order.
    """

    rows: Sequence[WatchedService]
    events: Sequence[NewServiceEvent]


Comparison: TypeAlias = Callable[[Mapping[str, WatchedService], datetime], ServiceRound]
"""Compares an answer with what is kept of a panel's services, by id, at a time; pure, and perhaps
called more than once."""


@frozen(kw_only=True)
class WatchClaim:
    """The right of one desk to watch the services of a panel, until its lease is over.

    Attributes:
        panel: The name of the panel.
        version: The version of the claim, a fencing token: a later claim invalidates this one.
        at: When it was claimed, aware UTC.
        count: How many services the last complete answer had; None before the first.
        watched_at: When that was recorded, aware UTC; None before the first.
    """

    panel: str
    version: int
    at: datetime
    count: int | None = None
    watched_at: datetime | None = None
