"""The states of an order in a journal and the legal transitions between them."""

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["OPEN_STATES", "SPENDING_STATES", "TRANSITIONS", "EntryState"]


class EntryState(StrEnum):
    """The state of an order between the caller and the panel."""

    PREPARED = "prepared"
    """Recorded and not being sent. A running desk sends it when it is due."""
    HELD = "held"
    """The panel has an active order with the same link: it is sent after that one has ended."""
    SENDING = "sending"
    """Being sent, or about to be; after its lease has expired the outcome counts as unknown."""
    ACCEPTED = "accepted"
    """The panel returned an id; the order is followed until its status is final."""
    REFUSED = "refused"
    """The panel refused before creating an order. Only `retry` sends it again."""
    UNKNOWN = "unknown"
    """An order may exist. Nothing sends it again; a person records the outcome (`resolve`), or the
    desk does by the balance (`settle_by_balance`)."""
    WITHDRAWN = "withdrawn"
    """Not ordered: withdrawn before it was sent, or found not placed by a person."""
    FINISHED = "finished"
    """Final at the panel."""


_S = EntryState

TRANSITIONS: Mapping[EntryState, frozenset[EntryState]] = {
    # A late answer with an order id, to an attempt that was given up before, settles the order
    # wherever nothing is in flight: it also overrides a person's decision.
    # REFUSED, if none of several panels can take it.
    _S.PREPARED: frozenset({_S.SENDING, _S.WITHDRAWN, _S.ACCEPTED, _S.REFUSED}),
    _S.HELD: frozenset({_S.PREPARED, _S.WITHDRAWN, _S.ACCEPTED}),
    _S.SENDING: frozenset({_S.PREPARED, _S.HELD, _S.ACCEPTED, _S.REFUSED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.REFUSED, _S.WITHDRAWN}),
    _S.REFUSED: frozenset({_S.PREPARED, _S.ACCEPTED}),
    _S.WITHDRAWN: frozenset({_S.PREPARED, _S.ACCEPTED}),
    _S.ACCEPTED: frozenset({_S.FINISHED}),
    _S.FINISHED: frozenset(),
}
"""The legal next states of each state. Any other transition is a bug; no journal applies it."""

OPEN_STATES = frozenset(EntryState) - {_S.REFUSED, _S.WITHDRAWN, _S.FINISHED}
"""States in which the desk, or a person, still has something to do."""

SPENDING_STATES = frozenset(EntryState) - {_S.REFUSED, _S.WITHDRAWN}
"""States in which the price counts against a budget: money that is spent, or may be."""
