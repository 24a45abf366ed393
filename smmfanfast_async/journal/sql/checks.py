"""What a check leaves of an order: its new state, its row, and the event that it records."""

from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

import attrs
from attrs import frozen

from ..._text import sanitize
from ...results import Status
from .. import Claim, Entry, EntryState, EventKind, Observation
from .schema import stored_amount, stored_time

__all__ = ["CheckedOrder", "apply_observation", "release_row"]

MISSES_BEFORE_EVENT = 3
"""How many checks in succession must miss an order before a MISSING event is recorded."""

MAX_STATUS_CHARACTERS = 200
"""How much of a status is kept, in characters: real ones have fewer than 20."""

MAX_CURRENCY_CHARACTERS = 16
"""How much of a currency is kept, in characters: real ones have three."""

_S = EntryState

_CHECKED = (
    "state", "raw_status", "charge", "currency", "start_count", "remains", "miss_count",
    "checked_at", "changed_at",
)  # fmt: skip
"""Fields of an entry that a check sets."""
_KEPT = [each.name for each in attrs.fields(Entry) if each.name not in _CHECKED]
_kept_of = attrgetter(*_KEPT)


@frozen(kw_only=True)
class CheckedOrder:
    """What a check leaves of an order: no `Entry`, which few callers need of an unchanged order."""

    observation: Observation
    state: EntryState
    raw_status: str | None
    charge: Decimal | None
    currency: str | None
    start_count: int | None
    remains: int | None
    miss_count: int
    is_changed: bool
    """Whether the state, the status or a number has changed."""

    @property
    def event_kind(self) -> EventKind | None:
        """The event kind of the check, None if it records no event."""
        was_finished = self.observation.claim.entry.state is _S.FINISHED
        if self.observation.status is None:
            # Panels delete finished orders after some time (assumed).
            is_missing = self.miss_count == MISSES_BEFORE_EVENT and not was_finished
            return EventKind.MISSING if is_missing else None
        if self.state is _S.FINISHED and not was_finished:
            return EventKind.FINISHED
        return EventKind.CHANGED if self.is_changed else None

    def entry(self, now: datetime) -> Entry:
        """Return the entry as it is after the check."""
        before = self.observation.claim.entry
        # As `attrs.evolve`, which takes twice the time to find what is kept.
        kept: dict[str, Any] = dict(zip(_KEPT, _kept_of(before), strict=True))
        return Entry(
            **kept,
            state=self.state,
            raw_status=self.raw_status,
            charge=self.charge,
            currency=self.currency,
            start_count=self.start_count,
            remains=self.remains,
            miss_count=self.miss_count,
            checked_at=now,
            changed_at=now if self.is_changed else before.changed_at,
        )

    def row(self, now: datetime) -> dict[str, Any]:
        """Return a row for the statement `record_statuses`."""
        observation, claim = self.observation, self.observation.claim
        is_final = self.state is _S.FINISHED
        return {
            "id": claim.key,
            "claim_version": claim.version,
            "due_at": stored_time(observation.recheck_at if is_final else observation.due_at),
            "is_final": int(is_final),
            "raw_status": self.raw_status,
            "status": None if self.raw_status is None else Status.parse(self.raw_status).value,
            "charge": stored_amount(self.charge),
            "currency": self.currency,
            "start_count": self.start_count,
            "remains": self.remains,
            "checked_at": stored_time(now),
            "changed_at": stored_time(now if self.is_changed else claim.entry.changed_at),
            "miss_count": self.miss_count,
        }


def apply_observation(observation: Observation) -> CheckedOrder:
    """Return an order as it is after a check."""
    entry, status = observation.claim.entry, observation.status
    before = (entry.state, entry.raw_status, entry.charge, entry.start_count, entry.remains)
    state, raw_status, charge, start_count, remains = before
    currency = entry.currency
    if status is not None:
        # A field that is missing from this answer keeps its last value.
        if (status.is_final or observation.is_final) and not observation.has_open_orders:
            state = _S.FINISHED
        raw_status = sanitize(status.raw_status, MAX_STATUS_CHARACTERS)
        is_sum = observation.charge is not None
        reported_charge = observation.charge if is_sum else status.charge
        reported_currency = observation.currency if is_sum else status.currency
        charge = charge if reported_charge is None else reported_charge
        start_count = start_count if status.start_count is None else status.start_count
        remains = remains if status.remains is None else status.remains
        if reported_currency:
            currency = sanitize(reported_currency, MAX_CURRENCY_CHARACTERS)
    return CheckedOrder(
        observation=observation,
        state=state,
        raw_status=raw_status,
        charge=charge,
        currency=currency,
        start_count=start_count,
        remains=remains,
        miss_count=entry.miss_count + 1 if status is None else 0,
        is_changed=(state, raw_status, charge, start_count, remains) != before,
    )


def release_row(claim: Claim, due_at: datetime | None) -> dict[str, int | None]:
    """Return a row for the statement `release`."""
    return {"id": claim.key, "claim_version": claim.version, "due_at": stored_time(due_at)}
