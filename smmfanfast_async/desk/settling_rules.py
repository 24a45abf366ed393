"""When the balance settles unknown orders: the rules. Pure.

How this works. A balance that did not fall proves nothing by itself: an order may be charged late,
and a deposit or a refund may hide the charge. So the unknown orders of an account are judged
together, and all of them or none are settled. Each must have had a complete answer of the panel, an
error without an order id, and a balance that was the same before and just after the attempt. From
then on, what the balance fell by must be the charges of orders that were accepted meanwhile, to the
last decimal, and it must stand still for `SETTLE_AFTER_S` during which no order of the account was
on its way. Whatever else may have moved money, such as an order that was canceled, leaves them to a
person; so does whatever is not known.

What this cannot see: money from elsewhere (a deposit, a refund of an order of the website) of
exactly the price, between the same two readings as the charge; an order that is charged later than
`SETTLE_AFTER_S` after the attempt, or never.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import field, frozen

from .._amounts import EXACT, step_of, total
from ..journal import DEFAULT_PANEL, Activity, Entry, EntryState, EventKind, JournalEvent
from ..results import Status

__all__ = [
    "MAX_ACCEPTED",
    "MAX_UNKNOWN",
    "SETTLE_AFTER_S",
    "Account",
    "Reading",
    "Window",
    "describe",
    "judge",
    "may_settle_all",
    "read_window",
]

SETTLE_AFTER_S = 900.0
"""Seconds between two readings that settle an order, without anything of the account on its way.
**Assumed**: a panel inserts and charges an order within that time, or not at all. A queue of one
inserted orders 100 s late (seen), and a proxy in front gives up after 120 s."""

MAX_UNKNOWN = 20
"""The most unknown orders that are settled together: more are an incident, for a person."""

MAX_ACCEPTED = 20
"""The most accepted orders by which a drop is explained: each is read from the journal."""

MIN_STEPS = 2
"""How many units of the last decimal of the balance a price must be: below, a charge may not show
beside the rounding of another one."""

_MARGIN = timedelta(seconds=SETTLE_AFTER_S)
"""How long before an attempt events count: its balance was read up to that long before."""

_S = EntryState
_ATTEMPT_ENDED = frozenset(
    {EventKind.ACCEPTED, EventKind.REFUSED, EventKind.UNKNOWN, EventKind.HELD, EventKind.RELEASED}
)
_NO_REFUND = frozenset(
    {
        Status.PENDING, Status.AWAITING, Status.PROCESSING, Status.IN_PROGRESS, Status.ACTIVE,
        Status.PAUSED, Status.COMPLETED,
    }
)  # fmt: skip
"""The statuses under which a panel gives no money back."""

_FIELDS_OF_PARENTS = frozenset({"runs", "posts", "min", "max"})
"""Fields of orders that are delivered, and perhaps charged, by orders of their own."""


@frozen(kw_only=True)
class Reading:
    """The balance at a moment at which no order of the account was in flight."""

    balance: Decimal
    currency: str | None
    """None if the panel does not state it."""
    at: datetime
    """The journal's time just after it was read."""
    position: int
    """The position of the account's last event just after it was read."""
    asked_s: float
    """The desk's clock just before it was asked for, in seconds."""
    read_s: float
    """The desk's clock just after it was read, in seconds."""


@frozen(kw_only=True)
class Window:
    """What happened in an account since shortly before its unknown orders were sent."""

    last_attempt: int
    """The position of the last event, up to the reading, of an attempt that ended, or that a person
    decided had placed an order."""
    unknown: Mapping[str, int]
    """The position of the event of each unknown order, by ref."""
    accepted: tuple[JournalEvent, ...]
    """The events, up to the reading, of orders that were accepted after one of the unknown ones."""


@frozen(kw_only=True)
class Account:
    """What the unknown orders of an account are judged by."""

    unknown: Sequence[Entry]
    window: Window
    accepted: Mapping[str, Entry | None] = field(factory=dict[str, Entry | None])
    """The current entries of `window.accepted`, by ref."""


def may_settle_all(activity: Activity) -> bool:
    """Return whether the balance may settle the unknown orders, as far as their entries say."""
    return 0 < len(activity.unknown) <= MAX_UNKNOWN and all(map(_may_settle, activity.unknown))


def _may_settle(entry: Entry) -> bool:
    before = entry.balance_before
    return (
        entry.state is _S.UNKNOWN
        # One of several panels has a balance that this one says nothing about.
        and entry.panel == DEFAULT_PANEL
        and not entry.routes
        and entry.is_error_answer
        and not entry.was_unknown
        and entry.order is None
        and entry.sent_at is not None
        and entry.settled_at is not None
        and before is not None
        and before == entry.balance_after
        and entry.price is not None
        and entry.price > 0
        and entry.price >= MIN_STEPS * step_of(before)
        and not _FIELDS_OF_PARENTS & entry.form.keys()
    )


def read_window(
    unknown: Sequence[Entry], events: Sequence[JournalEvent], reading: Reading, *, is_complete: bool
) -> Window | str:
    """Return what happened, or why the balance cannot settle the orders.

    `events` are the account's last ones, in order, also those after the reading; `is_complete` says
    that none are missing before the first.
    """
    attempts = {(each.ref, each.attempt) for each in unknown}
    start = min(each.sent_at for each in unknown if each.sent_at is not None) - _MARGIN
    first = next((n for n, each in enumerate(events) if each.at >= start), len(events))
    if first == 0 and not is_complete:
        return "too much happened since"
    in_window = events[first:]
    for event in in_window:
        if event.kind in (EventKind.LATE, EventKind.MISSING) or _may_refund(event):
            return f"{event.ref!r} may have moved money: event {event.position} ({event.kind})"
    until = [each for each in in_window if each.position <= reading.position]
    positions = {
        each.ref: each.position
        for each in until
        if each.kind is EventKind.UNKNOWN and (each.ref, each.attempt) in attempts
    }
    if len(positions) < len(unknown):
        return "the event of an unknown order is missing"
    since = min(positions.values())
    accepted = [each for each in until if each.kind is EventKind.ACCEPTED and each.position > since]
    if len(accepted) > MAX_ACCEPTED:
        return "too many orders were accepted since"
    return Window(
        last_attempt=max(each.position for each in until if each.kind in _ATTEMPT_ENDED),
        unknown=positions,
        accepted=tuple(accepted),
    )


def _may_refund(event: JournalEvent) -> bool:
    if event.kind not in (EventKind.CHANGED, EventKind.FINISHED):
        return False
    return event.raw_status is None or Status.parse(event.raw_status) not in _NO_REFUND


def judge(account: Account, reading: Reading, *, is_long: bool) -> tuple[str | None, list[Entry]]:
    """Return why the orders cannot be settled (yet), None if they can, and which never fit again.

    An order fits if the balance fell by the charges of the orders that were accepted after it. If
    it fell by more, no late charge of theirs changes that; if by less, some may still be charged,
    unless `is_long` says that the last one was accepted `SETTLE_AFTER_S` ago.
    """
    obstacle, misfits = None, list[Entry]()
    for entry in account.unknown:
        # `may_settle_all` is true for them.
        assert entry.balance_before is not None, "it was read"  # noqa: S101
        assert entry.price is not None, "it is known"  # noqa: S101
        charges = _charges_after(entry, account, reading)
        if isinstance(charges, str):
            obstacle = charges
            continue
        expected = EXACT.subtract(entry.balance_before, total(charges))
        may_still_fall = bool(charges) and not is_long
        if reading.balance < expected or (reading.balance > expected and not may_still_fall):
            misfits.append(entry)
        if reading.balance != expected:
            obstacle = f"the balance is {reading.balance:f} instead of {expected:f}"
        elif entry.price < MIN_STEPS * step_of(reading.balance):
            obstacle = f"the balance is too coarse for the price of {entry.ref!r}"
    return obstacle, misfits


def _charges_after(entry: Entry, account: Account, reading: Reading) -> list[Decimal] | str:
    """Return the charges of orders that were accepted after an unknown one, or what is missing."""
    charges: list[Decimal] = []
    for event in account.window.accepted:
        if event.position < account.window.unknown[entry.ref]:
            continue
        other = account.accepted.get(event.ref)
        problem = _problem_of(other, event, entry, reading)
        if problem is not None or other is None or other.charge is None:
            return f"{event.ref!r} {problem}"
        charges.append(other.charge)
    return charges


def _problem_of(
    other: Entry | None, event: JournalEvent, entry: Entry, reading: Reading
) -> str | None:
    """Return why an accepted order does not explain a part of the drop; None if it does."""
    if other is None or other.state not in (_S.ACCEPTED, _S.FINISHED):
        return "is not accepted any more"
    is_later = other.sent_at and entry.settled_at and other.sent_at >= entry.settled_at
    if other.attempt != event.attempt or not is_later:
        return "was on its way at the same time"
    if _FIELDS_OF_PARENTS & other.form.keys():
        return "is charged in parts"
    if other.charge is None:
        return "has no charge yet"
    if other.currency is not None and other.currency != reading.currency:
        return f"has a charge in {other.currency}, and the balance is in {reading.currency}"
    return None


def describe(entry: Entry, account: Account, first: Reading, last: Reading) -> str:
    """Return the evidence by which an order is settled, as text."""
    count = sum(
        each.position > account.window.unknown[entry.ref] for each in account.window.accepted
    )
    drop = EXACT.subtract(entry.balance_before or Decimal(0), last.balance)
    explained = f"the orders accepted since ({count}) cost {drop:f}; " if count else ""
    return (
        f"settled by the balance: {entry.balance_before:f} before and after the attempt of "
        f"{_time(entry.sent_at)}, {first.balance:f} at {_time(first.at)} and {last.balance:f} at "
        f"{_time(last.at)}; {explained}no other order in between; the answer was: {entry.reason}"
    )


def _time(at: datetime | None) -> str:
    return "?" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"
