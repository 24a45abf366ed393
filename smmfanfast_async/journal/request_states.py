"""The states of a refill or a cancellation in a journal, and the legal transitions between them.

How this works. A request about an order gets a record before anything is sent, as an order does.
Its states have the words and the meanings of `EntryState`; each attempt first moves it to SENDING,
under a lease, and from UNKNOWN it is never sent again. At most one request of a kind is open for an
order: a second call returns it.
"""

from collections.abc import Mapping
from enum import StrEnum

__all__ = ["OPEN_REQUEST_STATES", "REQUEST_TRANSITIONS", "RequestKind", "RequestState"]


class RequestKind(StrEnum):
    """What is requested for an order."""

    REFILL = "refill"
    """To deliver again what was lost since."""
    CANCEL = "cancel"
    """To stop the order and refund what is not delivered."""


class RequestState(StrEnum):
    """The state of a request between the caller and the panel."""

    PREPARED = "prepared"
    """Recorded and not being sent. A running desk sends it when it is due."""
    SENDING = "sending"
    """Being sent, or about to be; after its lease has expired the outcome counts as unknown."""
    ACCEPTED = "accepted"
    """The panel accepted it. A refill is followed by its id, a cancellation by its order."""
    REFUSED = "refused"
    """The panel refused it, or a person decided that it was not made (any more)."""
    UNKNOWN = "unknown"
    """It may have been made. Nothing sends it again; a person decides (`resolve_request`), and the
    end of the order ends a cancellation."""
    FINISHED = "finished"
    """Over: the refill has a final status, or the order to be canceled has ended, however."""


_S = RequestState

REQUEST_TRANSITIONS: Mapping[RequestState, frozenset[RequestState]] = {
    _S.PREPARED: frozenset({_S.SENDING, _S.REFUSED, _S.FINISHED}),
    _S.SENDING: frozenset({_S.PREPARED, _S.ACCEPTED, _S.REFUSED, _S.UNKNOWN, _S.FINISHED}),
    _S.UNKNOWN: frozenset({_S.ACCEPTED, _S.REFUSED, _S.FINISHED}),
    # Panels accept a cancellation and then do not carry it out; a person ends it.
    _S.ACCEPTED: frozenset({_S.REFUSED, _S.FINISHED}),
    _S.REFUSED: frozenset(),
    _S.FINISHED: frozenset(),
}
"""The legal next states of each state of a request."""

OPEN_REQUEST_STATES = frozenset(RequestState) - {_S.REFUSED, _S.FINISHED}
"""States in which the desk, or a person, still has something to do; at most one request of a kind
and an order is in one of them."""
