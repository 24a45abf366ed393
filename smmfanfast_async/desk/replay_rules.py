"""When an order is sent once more to a panel that repeats orders: the rules. Pure.

How this works. A panel with `Profile.replay_window_s` answers an order that equals an earlier one
with the id of that one. An attempt that such a panel answered with a complete error may therefore
send its order a second time: whether the first call made the order or the second one does, there is
one, and the second answer names it. Both calls belong to one attempt, which is SENDING until its
outcome is recorded: no other desk and no person can have the order sent meanwhile, and a crash at
any moment leaves an attempt without an answer, which becomes UNKNOWN as any other.

Why there is one order. The first call leaves after `started_s`, so that the window of what it made
lasts longer than until `started_s` + window. The second call leaves between `Plan.send_at_s` and
`Plan.write_by_s`. It finds what the first one made, and is handled before the window ends, if this
is true of the panel:

1. **Assumed**: a panel that has answered with an error, in complete JSON, creates the order within
   `REPLAY_AFTER_S` after that answer, or never: its script has ended. One broker created orders
   seconds after such an answer (reported). It is not assumed of an order that got no answer, or
   that of a gateway: one was created 100 s later (seen), and such orders are not sent again. A
   panel that answers an error and leaves the order to a slow queue breaks this.
2. **Assumed**: a request is handled within `REPLAY_MARGIN_S` after it left, or never. After that
   time its connection is closed. A network or a server that holds it for longer breaks this; the
   order is then unknown, and there may be two.
3. The window is counted from when the order is created, or later, as `replay_window_s` says.

Why the id is that of the order. The answer came before the window ended, which needs no assumption.
No other order of the journal could have made what it names: that is looked up before and after the
call. An equal order from outside of the journal cannot be seen: placed less than the window before,
its id is what the panel returns, to this call as to every other one.

Whatever else comes back leaves the order unknown.
"""

from collections.abc import Sequence

import attrs
from attrs import frozen

from .._text import sanitize
from ..errors import ErrorKind, OutcomeUnknownError, PanelError
from ..journal import Entry, EntryState, Outcome

__all__ = [
    "MAX_SAME_LINK",
    "MIN_WINDOW_S",
    "REPLAY_AFTER_S",
    "REPLAY_MARGIN_S",
    "Plan",
    "accept",
    "find_obstacle",
    "make_plan",
    "may_replay",
    "note_answer",
]

REPLAY_AFTER_S = 15.0
"""The fewest seconds between the first answer and the second call: what the panel creates after its
answer has to be there by then."""

REPLAY_MARGIN_S = 25.0
"""The fewest seconds of the window that are left when the second call leaves, and its time-out: a
request that is held up for longer may arrive after the window. A panel answers in a few seconds."""

MIN_WINDOW_S = REPLAY_AFTER_S + REPLAY_MARGIN_S
"""The shortest window in which there can be a second call, in seconds."""

MAX_SAME_LINK = 50
"""How many other orders with the same link are looked at: if there are more, it cannot be told
whether one of them is equal."""

MAX_ANSWER_CHARACTERS = 150
"""How much of the second answer an outcome has, in characters: the first one follows it, and both
are kept in 500."""

_S = EntryState


@frozen(kw_only=True)
class Plan:
    """When the second call may be made, by the desk's clock in seconds."""

    send_at_s: float
    """Not before this."""
    write_by_s: float
    """After this, no byte of it may leave."""
    end_s: float
    """When the window ends. An answer after that may be about another order."""


def may_replay(unknown: Outcome, entry: Entry) -> bool:
    """Return whether an attempt that ended so may be settled by a second call, as far as it says.

    `is_error_answer` is the panel's complete error, without an order id.
    """
    return (
        unknown.state is _S.UNKNOWN
        and unknown.is_error_answer
        and unknown.order is None
        and not entry.was_unknown
        # Without a link, equal orders are not found.
        and entry.link is not None
    )


def make_plan(started_s: float, answered_s: float, window_s: float) -> Plan | None:
    """Return when the second call may be made; None if too little of the window is left.

    It waits for the middle of the window: what the panel creates late has as long to be there as
    the request has to arrive.
    """
    plan = Plan(
        send_at_s=max(started_s + window_s / 2, answered_s + REPLAY_AFTER_S),
        write_by_s=started_s + window_s - REPLAY_MARGIN_S,
        end_s=started_s + window_s,
    )
    return plan if plan.send_at_s <= plan.write_by_s else None


def find_obstacle(
    entry: Entry, current: Entry | None, others: Sequence[Entry], panel: str
) -> str | None:
    """Return why an attempt is not settled by a second call; None if nothing speaks against it.

    `entry` is what the attempt started with, `current` what the journal has; `others` are up to
    `MAX_SAME_LINK` + 1 orders with the same link that may be at the panel (`Journal.same_link`).
    """
    if current is None or current.state is not _S.SENDING or current.attempt != entry.attempt:
        return "the attempt was given up"
    if len(others) > MAX_SAME_LINK:
        return "too many orders have its link"
    equal = next((each.ref for each in others if _may_be_equal(entry, each, panel)), None)
    return None if equal is None else f"{equal!r} may be an equal order"


def _may_be_equal(entry: Entry, other: Entry, panel: str) -> bool:
    """Return whether two orders with one link may be equal for the panel: also its service is one.

    Other fields are not compared, in case the panel does not either.
    """
    if other.is_pinned and other.panel != panel:
        return False
    service = _service_at(other, panel)
    return service is None or service == _service_at(entry, panel)


def _service_at(entry: Entry, panel: str) -> str | None:
    """Return the id of an order's service at a panel; "" if it cannot go there, None if purged."""
    return entry.routes.get(panel, "") if entry.routes else entry.form.get("service")


def accept(
    unknown: Outcome, order: str, *, plan: Plan, answered_s: float, after_s: float
) -> Outcome:
    """Return the outcome of a second call that was answered with an order id.

    `after_s` is how many seconds after the start of the attempt the call was made.
    """
    if answered_s > plan.end_s:
        return note_answer(unknown, None, f"order {order}, after the window had ended", order)
    text = (
        f"settled by the panel's repeated answer: sent once more after {after_s:.0f} s, within the"
        f" window in which it repeats an equal order, it was answered with order {order}; the first"
        f" answer was: {unknown.reason}"
    )
    return Outcome(state=_S.ACCEPTED, order=order, reason=text)


def note_answer(
    unknown: Outcome, error: PanelError | None, text: str, order: str | None = None
) -> Outcome:
    """Return the outcome of a second call that settles nothing, which says what came back.

    Only a complete error, like the first one, leaves it to the balance (`settle_by_balance`).
    """
    shown = sanitize(text, MAX_ANSWER_CHARACTERS)
    is_duplicate = error is not None and error.kind is ErrorKind.DUPLICATE
    return attrs.evolve(
        unknown,
        order=order,
        kind=ErrorKind.DUPLICATE if is_duplicate else unknown.kind,
        reason=f"sent once more, answered with: {shown}; the first answer was: {unknown.reason}",
        is_error_answer=isinstance(error, OutcomeUnknownError) and error.is_error_answer,
    )
