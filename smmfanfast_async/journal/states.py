"""The states of an order in a journal, and what may follow what."""

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["OPEN_STATES", "SPENDING_STATES", "TRANSITIONS", "EntryState"]


class EntryState(StrEnum):
    """Where an order stands between the caller and the panel."""

    PREPARED = "prepared"
    """Written down; nothing of it is on its way. A running desk sends it when it is due."""
    HELD = "held"
    """The panel has an active order with the same link: it is sent when that one ends."""
    SENDING = "sending"
    """On its way, or about to be; after its lease the outcome counts as unknown."""
    ACCEPTED = "accepted"
    """The panel gave an id; it is followed until it is final."""
    REFUSED = "refused"
    """The panel said no, before it made an order. Nothing sends it again but `retry`."""
    UNKNOWN = "unknown"
    """An order may exist. Nothing sends it again; a person says what is true (`resolve`)."""
    WITHDRAWN = "withdrawn"
    """Not ordered: taken back before it was sent, or found not placed by a person."""
    FINISHED = "finished"
    """Final at the panel."""


_S = EntryState

TRANSITIONS: Mapping[EntryState, frozenset[EntryState]] = {
    _S.PREPARED: frozenset({_S.SENDING, _S.WITHDRAWN}),
    _S.HELD: frozenset({_S.PREPARED, _S.WITHDRAWN}),
    _S.SENDING: frozenset({_S.PREPARED, _S.HELD, _S.ACCEPTED, _S.REFUSED, _S.UNKNOWN}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.REFUSED, _S.WITHDRAWN}),
    _S.REFUSED: frozenset({_S.PREPARED}),
    # The panel's late word that there is an order counts more than a person's that there is none.
    _S.WITHDRAWN: frozenset({_S.PREPARED, _S.ACCEPTED}),
    _S.ACCEPTED: frozenset({_S.FINISHED}),
    _S.FINISHED: frozenset(),
}
"""What may follow what. A move that is not here is a bug, and no journal carries it out."""

OPEN_STATES = frozenset(EntryState) - {_S.REFUSED, _S.WITHDRAWN, _S.FINISHED}
"""States that something still follows upon, or must."""

SPENDING_STATES = frozenset(EntryState) - {_S.REFUSED, _S.WITHDRAWN}
"""States in which the price counts against a budget: money that is spent, or may be."""
