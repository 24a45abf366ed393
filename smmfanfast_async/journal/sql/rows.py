"""Between rows of the tables and the values of `journal`; no statements, no connections."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from ..._text import sanitize
from ...errors import ErrorKind
from .. import (
    MAX_REASON_CHARACTERS,
    Claim,
    Entry,
    EntryState,
    EventKind,
    JournalEvent,
    NewEntry,
    Observation,
    Outcome,
    Summary,
    UnknownOrder,
)
from .schema import microseconds

__all__ = [
    "back_row",
    "digest_of",
    "entry_of",
    "event_of",
    "event_row",
    "late_row",
    "new_row",
    "observed",
    "outcome_values",
    "seen_row",
    "summary_of",
    "told_of_move",
    "told_of_observation",
    "told_of_state",
    "unknown_order",
]

MISSES = 3
"""Looks in a row that must miss an order before it is told as missing."""

MAX_WORD_CHARACTERS = 200
"""How much of a status word is kept, in characters: real ones have below 20."""

MAX_CURRENCY_CHARACTERS = 16
"""How much of a currency is kept, in characters: real ones have three."""

Row = Mapping[Any, Any]
"""A row by the names of its columns."""

_S = EntryState
_SAME_NAMES = (
    "ref", "attempt", "link", "quantity", "price", "was_unknown", "created_at", "sent_at",
    "settled_at", "balance_before", "balance_after", "raw_status", "charge", "currency",
    "start_count", "remains", "checked_at", "changed_at", "miss_count",
)  # fmt: skip
"""Columns that are fields of an `Entry` under the same name."""


# --- one order -----------------------------------------------------------------------------------


def digest_of(form: Mapping[str, str]) -> str:
    """Give what two forms have in common if and only if they are the same order."""
    plain = json.dumps(sorted(form.items()), ensure_ascii=True)
    return hashlib.sha256(plain.encode()).hexdigest()


def new_row(account: str, new: NewEntry, now: datetime) -> dict[str, Any]:
    """Give the row of an order that is written down."""
    return {
        "account": account,
        "ref": new.ref,
        "digest": digest_of(new.form),
        "form": json.dumps(dict(new.form)),
        "link": new.link,
        "quantity": new.quantity,
        "price": new.price,
        "budget_day": new.budget_day,
        "created_at": now,
        "state": _S.PREPARED.value,
        "attempt": 0,
        "due_at": new.due_at,
        "was_unknown": False,
        "miss_count": 0,
        "claim_version": 0,
    }


def entry_of(row: Row) -> Entry:
    """Read an order."""
    form = row["form"]
    kind = row["kind"]
    return Entry(
        state=_S(row["state"]),
        form=json.loads(form) if form else {},
        order=row["panel_order"] or row["suspected_order"],
        kind=ErrorKind(kind) if kind else None,
        reason=row["reason"],
        **{name: row[name] for name in _SAME_NAMES},
    )


def outcome_values(outcome: Outcome, now: datetime) -> dict[str, Any]:
    """Give what a move writes."""
    is_sure = outcome.state is not _S.UNKNOWN
    values: dict[str, Any] = {
        "state": outcome.state.value,
        "slot": None,
        "lease_until": None,
        "settled_at": now,
        "due_at": outcome.due_at,
        "kind": outcome.kind.value if outcome.kind else None,
        "reason": sanitize(outcome.reason, MAX_REASON_CHARACTERS) if outcome.reason else None,
        "panel_order": outcome.order if is_sure else None,
        "suspected_order": None if is_sure else outcome.order,
    }
    if outcome.balance_after is not None:
        values["balance_after"] = outcome.balance_after
    if outcome.state is _S.ACCEPTED:
        # How long it has stood still, and with it how soon it is looked at, counts from here.
        values["changed_at"] = now
    return values


_TOLD_OF_STATE = {
    _S.PREPARED: EventKind.RELEASED,
    _S.HELD: EventKind.HELD,
    _S.ACCEPTED: EventKind.ACCEPTED,
    _S.REFUSED: EventKind.REFUSED,
    _S.UNKNOWN: EventKind.UNKNOWN,
    _S.WITHDRAWN: EventKind.WITHDRAWN,
}


def told_of_state(state: EntryState) -> bool:
    """Whether a single order can be moved to a state, and that is told: SENDING is not."""
    return state in _TOLD_OF_STATE


def told_of_move(outcome: Outcome) -> tuple[EventKind, str | None]:
    """Give the event of a move, and its text."""
    words = [f"by {outcome.decided_by}"] if outcome.decided_by else []
    words += [outcome.reason] if outcome.reason else []
    text = sanitize(": ".join(words), MAX_REASON_CHARACTERS)
    return _TOLD_OF_STATE[outcome.state], text or None


# --- looks ---------------------------------------------------------------------------------------


def observed(look: Observation, now: datetime) -> Entry:
    """Give an order as it stands after a look."""
    entry, status = look.claim.entry, look.status
    if status is None:
        return attrs.evolve(entry, miss_count=entry.miss_count + 1, checked_at=now)
    # What the panel leaves out this time it has not taken back.
    told: dict[str, Any] = {  # in the order of `_told`
        "state": _S.FINISHED if status.is_final or look.is_over else entry.state,
        "raw_status": sanitize(status.raw_status, MAX_WORD_CHARACTERS),
        "charge": entry.charge if status.charge is None else status.charge,
        "start_count": entry.start_count if status.start_count is None else status.start_count,
        "remains": entry.remains if status.remains is None else status.remains,
    }
    stands_still = tuple(told.values()) == _told(entry)
    currency = status.currency
    return attrs.evolve(
        entry,
        currency=sanitize(currency, MAX_CURRENCY_CHARACTERS) if currency else entry.currency,
        miss_count=0,
        checked_at=now,
        changed_at=entry.changed_at if stands_still else now,
        **told,
    )


def _told(entry: Entry) -> tuple[object, ...]:
    """Give what of an order is worth an event where it changes."""
    return entry.state, entry.raw_status, entry.charge, entry.start_count, entry.remains


def told_of_observation(look: Observation, after: Entry) -> EventKind | None:
    """Give the event of a look, None where nothing is to be told."""
    if look.status is None:
        return EventKind.MISSING if after.miss_count == MISSES else None
    if after.state is _S.FINISHED:
        return EventKind.FINISHED
    return EventKind.CHANGED if _told(after) != _told(look.claim.entry) else None


def seen_row(look: Observation, after: Entry) -> dict[str, Any]:
    """Give what the statement `observe` takes."""
    is_final = after.state is _S.FINISHED
    return {
        "id": look.claim.key,
        "claim_version": look.claim.number,
        "is_final": int(is_final),
        "due_at": None if is_final else microseconds(look.due_at),
        "raw_status": after.raw_status,
        "status": None if after.status is None else after.status.value,
        "charge": None if after.charge is None else f"{after.charge:f}",
        "currency": after.currency,
        "start_count": after.start_count,
        "remains": after.remains,
        "checked_at": microseconds(after.checked_at) if after.checked_at else None,
        "changed_at": microseconds(after.changed_at) if after.changed_at else None,
        "miss_count": after.miss_count,
    }


def back_row(claim: Claim, due_at: datetime) -> dict[str, int]:
    """Give what the statement `give_back` takes."""
    return {"id": claim.key, "claim_version": claim.number, "due_at": microseconds(due_at)}


# --- events --------------------------------------------------------------------------------------


def event_row(row: Row, kind: EventKind, now: datetime) -> dict[str, Any]:
    """Give the row of an event about an order; its position comes last."""
    return {
        "account": row["account"],
        "at": now,
        "ref": row["ref"],
        "kind": kind.value,
        "attempt": row["attempt"],
        "panel_order": row["panel_order"],
        "raw_status": row["raw_status"],
        "charge": row["charge"],
        "remains": row["remains"],
        "text": row["reason"],
    }


def late_row(row: Row, attempt: int, outcome: Outcome, now: datetime) -> dict[str, Any]:
    """Give the row of an event about an order that came too late for a move."""
    text = sanitize(outcome.reason, MAX_REASON_CHARACTERS) if outcome.reason else None
    about = {"attempt": attempt, "panel_order": outcome.order, "text": text}
    return event_row(row, EventKind.LATE, now) | about


def event_of(row: Row) -> JournalEvent:
    """Read an event."""
    return JournalEvent(
        position=row["position"],
        at=row["at"],
        ref=row["ref"],
        kind=EventKind(row["kind"]),
        attempt=row["attempt"],
        order=row["panel_order"],
        raw_status=row["raw_status"],
        charge=row["charge"],
        remains=row["remains"],
        text=row["text"],
    )


# --- questions -----------------------------------------------------------------------------------


def unknown_order(entry: Entry, others: Sequence[Row]) -> UnknownOrder:
    """Put together what speaks for and against an order whose outcome nobody knows."""
    before, after = entry.balance_before, entry.balance_after
    beside = [row for row in others if entry.link and row["link"] == entry.link]
    since = entry.sent_at
    called_active = any(
        row["kind"] == ErrorKind.DUPLICATE
        and (row["ref"] == entry.ref or (since and row["sent_at"] and row["sent_at"] >= since))
        for row in beside
    )
    return UnknownOrder(
        entry=entry,
        balance_drop=None if before is None or after is None else before - after,
        link_reported_active=called_active,
        other_refs=tuple(
            row["ref"]
            for row in beside
            if row["ref"] != entry.ref and row["state"] in (_S.ACCEPTED, _S.SENDING, _S.UNKNOWN)
        ),
    )


def summary_of(groups: Iterable[Any]) -> Summary:
    """Sum up groups of (state, status, price, charge, how many)."""
    states: Counter[EntryState] = Counter()
    statuses: Counter[str] = Counter()
    spent = refunded = at_risk = Decimal(0)
    for state_word, status, price, charge, count in groups:
        state = _S(state_word)
        states[state] += count
        if state in (_S.ACCEPTED, _S.FINISHED):
            statuses[status or "unseen"] += count
            cost = price if charge is None else charge
            spent += (cost or Decimal(0)) * count
            if state is _S.FINISHED and price is not None and charge is not None:
                refunded += max(price - charge, Decimal(0)) * count
        elif state in (_S.UNKNOWN, _S.SENDING):
            at_risk += (price or Decimal(0)) * count
    return Summary(
        by_state=dict(states),
        by_status=dict(statuses),
        spent=spent,
        refunded=refunded,
        at_risk=at_risk,
    )
