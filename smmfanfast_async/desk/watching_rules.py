"""What an answer of a panel says about the services that are watched. Pure.

How this works. The first sight of a service is written down and makes no event. From then on, each
difference is one event. One answer that does not list a service may be cut short, so it is removed
only when a second one, at least one interval later, does not list it either. An answer that is no
complete one is not compared at all.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from ..catalogue import Catalogue
from ..journal import (
    NewServiceEvent,
    ServiceEventKind,
    ServiceRound,
    WatchClaim,
    WatchedService,
)
from ..results import Service

__all__ = ["compare", "find_fault", "pick"]

MIN_SHARE = 0.5
"""The share of the last complete answer's services that an answer must have to be complete: panels
drop a category at a time, and a list that is cut short is usually cut by more."""

BELIEVED_AFTER = timedelta(days=1)
BELIEVED_AFTER_ROUNDS = 3
"""A shorter list is believed once the last complete answer is older than a day and than three
intervals: no fault of a panel lasts that long, and a panel that has dropped most of its services
must not go unwatched for ever."""


def find_fault(catalogue: Catalogue, claim: WatchClaim, interval: timedelta) -> str | None:
    """Return why an answer is not complete, for a person; None if it is complete."""
    if catalogue.is_stale:
        return "the catalogue could not be fetched again"
    count = len(catalogue.values())
    if not count:
        return "the list of services is empty"
    if claim.count is None or claim.watched_at is None or count >= claim.count * MIN_SHARE:
        return None
    if claim.at - claim.watched_at > max(BELIEVED_AFTER, BELIEVED_AFTER_ROUNDS * interval):
        return None
    return f"the list of services has {count} entries; the last complete one had {claim.count}"


def pick(catalogue: Catalogue, services: Collection[str]) -> Mapping[str, Service]:
    """Return those of the services that are listed, by id, as a journal returns them later."""
    found = {each: service for each in services if (service := catalogue.find(each)) is not None}
    # Through JSON, so that a number in `extra` is the same that the journal returns, and unequal
    # to none of its former selves.
    kept = Catalogue.from_json(
        Catalogue.from_services(found.values(), catalogue.fetched_at).to_json()
    )
    return {each: kept[service.service] for each, service in found.items()}


def compare(
    services: Collection[str],
    listed: Mapping[str, Service],
    before: Mapping[str, WatchedService],
    now: datetime,
    interval: timedelta,
) -> ServiceRound:
    """Return what a complete answer changes of the services that are watched, in their order."""
    rows: list[WatchedService] = []
    events: list[NewServiceEvent] = []
    for service in services:
        row = _next_row(service, listed.get(service), before.get(service), now, interval)
        rows.append(row)
        event = _event(before.get(service), row)
        if event is not None:
            events.append(event)
    return ServiceRound(rows=rows, events=events)


def _next_row(
    service: str,
    listed: Service | None,
    known: WatchedService | None,
    now: datetime,
    interval: timedelta,
) -> WatchedService:
    last = None if known is None else known.row
    if listed is not None:
        # The same content in other digits is kept as it was, so that events follow one another.
        same = last is not None and last.is_equivalent_to(listed)
        return WatchedService(service=service, row=last if same else listed, checked_at=now)
    if known is None or known.is_removed:
        return WatchedService(service=service, row=last, checked_at=now, is_removed=True)
    since = known.missing_since
    if since is None or since > now:  # later than now: the clock was set back
        since = now
    is_removed = now - since >= interval
    return WatchedService(
        service=service, row=last, checked_at=now, missing_since=None if is_removed else since,
        is_removed=is_removed,
    )  # fmt: skip


def _event(known: WatchedService | None, row: WatchedService) -> NewServiceEvent | None:
    if known is None:
        return None
    if row.is_removed != known.is_removed:
        kind = ServiceEventKind.REMOVED if row.is_removed else ServiceEventKind.RESTORED
    elif row.row is not known.row:
        kind = ServiceEventKind.CHANGED
    else:
        return None
    after = None if row.is_removed else row.row
    return NewServiceEvent(service=row.service, kind=kind, before=known.row, after=after)
