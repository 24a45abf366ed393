"""Conversions between rows of the tables and the values of `journal`; no statements."""

import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, TypeAlias

from attrs import define, field

from ..._amounts import EXACT
from ..._text import sanitize
from ...errors import ErrorKind
from .. import (
    MAX_REASON_CHARACTERS,
    Entry,
    EntryState,
    EventKind,
    JournalEvent,
    NewEntry,
    Outcome,
    RequestState,
    Summary,
    UnknownOrder,
)
from .schema import stored_amount, stored_time

__all__ = [
    "build_summary",
    "build_unknown_order",
    "entry_from_row",
    "event_from_row",
    "event_of_transition",
    "event_row",
    "evidence_by_link",
    "form_digest",
    "late_event_row",
    "new_order_row",
    "order_number",
    "outcome_values",
    "panel_values",
    "refusals_of",
    "stored_event",
    "text_digest",
]

MAX_OTHER_REFS = 20
"""How many other orders with the same link are shown of an unknown one: a person looks at them, and
thousands of orders for one link must not show thousands each."""

Row = Mapping[Any, Any]
"""A database row as a mapping from column names."""

_NUMBER = re.compile(r"[+-]?[0-9]{1,128}")
"""An id that is a number, in as many digits as an id may have characters."""

ONE = Decimal(1)
"""The exchange rate of an order that was not sent yet."""

_S = EntryState
_SAME_NAMES = (
    "ref", "attempt", "link", "quantity", "price", "max_charge", "was_unknown", "created_at",
    "sent_at", "settled_at", "balance_before", "balance_after", "is_error_answer", "raw_status",
    "charge", "currency", "start_count", "remains", "checked_at", "changed_at", "miss_count",
    "panel", "service", "is_pinned",
)  # fmt: skip
"""Columns that are fields of `Entry` with the same name."""
_same_of = itemgetter(*_SAME_NAMES)


# --- one order -----------------------------------------------------------------------------------


def form_digest(form: Mapping[str, str]) -> str:
    """Return a digest that two forms share if and only if they are the same order."""
    text = json.dumps(sorted(form.items()), ensure_ascii=True)
    return text_digest(text)


def text_digest(text: str) -> str:
    """Return a digest by which a text is found."""
    return hashlib.sha256(text.encode()).hexdigest()


def new_order_row(
    account: str, new: NewEntry, budget: Decimal | None, now: datetime
) -> dict[str, Any]:
    """Return the row of a new order, whose price is within a day's budget."""
    return {
        "account": account,
        "ref": new.ref,
        "digest": form_digest(new.form),
        "form": json.dumps(dict(new.form)),
        "link": new.link,
        "link_digest": None if new.link is None else text_digest(new.link),
        "quantity": new.quantity,
        "price": new.price,
        "max_charge": new.max_charge,
        "budget": budget,
        "budget_day": new.budget_day,
        "created_at": now,
        "state": _S.PREPARED.value,
        "attempt": 0,
        "due_at": new.due_at,
        "was_unknown": False,
        "is_error_answer": False,
        "miss_count": 0,
        "claim_version": 0,
        "routes": json.dumps(dict(new.routes)) if new.routes else None,
        "is_pinned": False,
    }


def entry_from_row(row: Row) -> Entry:
    """Return the entry of an order's row."""
    form = row["form"]
    kind = row["kind"]
    return Entry(
        state=_S(row["state"]),
        form=json.loads(form) if form else {},
        order=row["panel_order"] or row["suspected_order"],
        kind=ErrorKind(kind) if kind else None,
        reason=row["reason"],
        exchange_rate=ONE if row["exchange_rate"] is None else row["exchange_rate"],
        routes=json.loads(row["routes"]) if row["routes"] else {},
        refused_by=refusals_of(row),
        **dict(zip(_SAME_NAMES, _same_of(row), strict=True)),
    )


def refusals_of(row: Row) -> dict[str, ErrorKind]:
    """Return the panels that refused an order, and why."""
    stored = row["refused_by"]
    return {} if stored is None else {
        panel: ErrorKind(kind) for panel, kind in json.loads(stored).items()
    }  # fmt: skip


def panel_values(row: Row, outcome: Outcome) -> dict[str, Any]:
    """Return the columns about panels that the outcome of an attempt sets."""
    values: dict[str, Any] = {}
    if outcome.state is _S.PREPARED and not row["is_pinned"]:
        values["panel"] = None
    if (outcome.is_rerouted or outcome.state is _S.REFUSED) and row["panel"] is not None:
        refused_by = refusals_of(row) | {row["panel"]: outcome.kind or ErrorKind.UNKNOWN}
        values["refused_by"] = json.dumps(refused_by)
    return values


def order_number(order: str | None) -> str | None:
    """Return the one spelling that all texts of an order id share: 7 for "007" and "+7".

    A person may type an id in another spelling than the panel's. Other text is unchanged.
    """
    return str(abs(int(order))) if order and _NUMBER.fullmatch(order) else order


def outcome_values(outcome: Outcome, now: datetime) -> dict[str, Any]:
    """Return the columns that a transition with this outcome sets."""
    is_certain = outcome.state is not _S.UNKNOWN
    values: dict[str, Any] = {
        "state": outcome.state.value,
        "slot": None,
        "lease_until": None,
        "settled_at": now,
        "due_at": outcome.due_at,
        "kind": outcome.kind.value if outcome.kind else None,
        "reason": sanitize(outcome.reason, MAX_REASON_CHARACTERS) if outcome.reason else None,
        "panel_order": outcome.order if is_certain else None,
        "order_number": order_number(outcome.order) if is_certain else None,
        "suspected_order": None if is_certain else outcome.order,
        "is_error_answer": outcome.is_error_answer and not is_certain and outcome.order is None,
    }
    if outcome.balance_after is not None:
        values["balance_after"] = outcome.balance_after
    if outcome.state in (_S.HELD, _S.UNKNOWN):
        values["is_pinned"] = True
    if outcome.state is _S.ACCEPTED:
        # The polling interval depends on how long the order is unchanged, counted from here.
        values["changed_at"] = now
    return values


_EVENT_KINDS = {
    _S.PREPARED: EventKind.RELEASED,
    _S.HELD: EventKind.HELD,
    _S.ACCEPTED: EventKind.ACCEPTED,
    _S.REFUSED: EventKind.REFUSED,
    _S.UNKNOWN: EventKind.UNKNOWN,
    _S.WITHDRAWN: EventKind.WITHDRAWN,
}


def event_of_transition(outcome: Outcome) -> tuple[EventKind, str | None]:
    """Return the event kind of a transition and the event's text."""
    parts = [f"by {outcome.decided_by}"] if outcome.decided_by else []
    parts += [outcome.reason] if outcome.reason else []
    text = sanitize(": ".join(parts), MAX_REASON_CHARACTERS)
    kind = EventKind.REROUTED if outcome.is_rerouted else _EVENT_KINDS[outcome.state]
    return kind, text or None


# --- events --------------------------------------------------------------------------------------


def event_row(row: Row, kind: EventKind, now: datetime) -> dict[str, Any]:
    """Return the row of an event about an order; its position is added later."""
    return {
        "account": row["account"],
        "at": now,
        "ref": row["ref"],
        "kind": kind.value,
        "attempt": row["attempt"],
        "panel": row["panel"],
        "panel_order": row["panel_order"],
        "raw_status": row["raw_status"],
        "charge": row["charge"],
        "remains": row["remains"],
        "text": row["reason"],
        "request_state": None,
    }


def stored_event(row: Row) -> dict[str, Any]:
    """Return the row of an event for the statement `insert_events`."""
    return {**row, "at": stored_time(row["at"]), "charge": stored_amount(row["charge"])}


def late_event_row(
    row: Row, attempt: int, panel: str | None, outcome: Outcome, now: datetime
) -> dict[str, Any]:
    """Return the row of an event about an order id that came too late for a transition."""
    is_purged = row["form"] is None  # and no `purge` would find this text
    text = None if is_purged else sanitize(outcome.reason or "", MAX_REASON_CHARACTERS) or None
    values = {
        "attempt": attempt, "panel": panel, "panel_order": outcome.order, "text": text,
    }  # fmt: skip
    return event_row(row, EventKind.LATE, now) | values


def event_from_row(row: Row) -> JournalEvent:
    """Return the event of its row."""
    return JournalEvent(
        position=row["position"],
        at=row["at"],
        ref=row["ref"],
        kind=EventKind(row["kind"]),
        attempt=row["attempt"],
        panel=row["panel"],
        order=row["panel_order"],
        raw_status=row["raw_status"],
        charge=row["charge"],
        remains=row["remains"],
        text=row["text"],
        request_state=RequestState(state) if (state := row["request_state"]) else None,
    )


# --- queries -------------------------------------------------------------------------------------


LinkAtPanel: TypeAlias = tuple[str | None, str | None]
"""The name of a panel and a link there."""


@define
class LinkEvidence:
    """What the orders with one link at a panel say about an unknown one among them."""

    refs: list[str] = field(factory=list)
    """Orders that are accepted, being sent or unknown; one more than is shown of an order."""
    duplicate_at: datetime | None = None
    """When the last attempt began that the panel refused because of an active order; None if there
    is none."""


def evidence_by_link(rows: Iterable[Row]) -> dict[LinkAtPanel, LinkEvidence]:
    """Return the evidence of orders with the links of unknown ones, at each panel."""
    by_link: defaultdict[LinkAtPanel, LinkEvidence] = defaultdict(LinkEvidence)
    for row in rows:
        found, sent_at = by_link[row["panel"], row["link"]], row["sent_at"]
        is_active = row["state"] in (_S.ACCEPTED, _S.SENDING, _S.UNKNOWN)
        if is_active and len(found.refs) <= MAX_OTHER_REFS:
            found.refs.append(row["ref"])
        if row["kind"] == ErrorKind.DUPLICATE and sent_at is not None:
            found.duplicate_at = max(found.duplicate_at or sent_at, sent_at)
    return by_link


def build_unknown_order(entry: Entry, by_link: Mapping[LinkAtPanel, LinkEvidence]) -> UnknownOrder:
    """Return an order with an unknown outcome and the evidence for and against its existence."""
    before, after = entry.balance_before, entry.balance_after
    found = by_link.get((entry.panel, entry.link), LinkEvidence())
    duplicate_at, since = found.duplicate_at, entry.sent_at
    is_reported_later = bool(duplicate_at and since and duplicate_at >= since)
    other_refs = [ref for ref in found.refs if ref != entry.ref]
    return UnknownOrder(
        entry=entry,
        balance_drop=None if before is None or after is None else EXACT.subtract(before, after),
        link_reported_active=bool(entry.link)
        and (entry.kind is ErrorKind.DUPLICATE or is_reported_later),
        other_refs=tuple(other_refs[:MAX_OTHER_REFS]),
    )


def build_summary(groups: Iterable[Any]) -> Summary:
    """Return the summary of groups of (state, status, price, charge, exchange rate, count)."""
    states: Counter[EntryState] = Counter()
    statuses: Counter[str] = Counter()
    spent = refunded = at_risk = Decimal(0)
    cost_unknown = 0
    for state_value, status, price, charged, rate, count in groups:
        state = _S(state_value)
        charge = charged
        if charged is not None and rate is not None:
            charge = EXACT.multiply(charged, rate)
        states[state] += count
        if state in (_S.ACCEPTED, _S.FINISHED):
            statuses[status or "unseen"] += count
            cost = price if charge is None else charge
            spent = _add(spent, cost, count)
            cost_unknown += count if cost is None else 0
            if state is _S.FINISHED and price is not None and charge is not None:
                refunded = _add(refunded, max(EXACT.subtract(price, charge), Decimal(0)), count)
        elif state in (_S.UNKNOWN, _S.SENDING):
            at_risk = _add(at_risk, price, count)
    return Summary(
        by_state=dict(states),
        by_status=dict(statuses),
        spent=spent,
        refunded=refunded,
        at_risk=at_risk,
        cost_unknown=cost_unknown,
    )


def _add(sum_: Decimal, amount: Decimal | None, count: int) -> Decimal:
    """Return a sum and `count` times an amount, exactly; None adds nothing."""
    return sum_ if amount is None else EXACT.fma(amount, Decimal(count), sum_)
