"""Desks with one fault each, to check that the tests with killed processes find it."""

from collections.abc import Callable, Mapping
from typing import Any

from smmfanfast_async import OutcomeUnknownError
from smmfanfast_async.desk import sending
from smmfanfast_async.journal import EntryState, Outcome
from smmfanfast_async.journal.sql import statements

__all__ = ["BROKEN"]


def fail_over_after_unknown() -> None:
    """Send an order to the next panel when it is not known whether this one has it."""
    outcome_of_error = sending.outcome_of_error

    def outcome(error: Any, entry: Any, now: Any, **options: Any) -> Outcome:
        if isinstance(error, OutcomeUnknownError):
            return Outcome(
                state=EntryState.PREPARED, kind=error.kind, reason=error.text, due_at=now,
                is_rerouted=True,
            )  # fmt: skip
        return outcome_of_error(error, entry, now, **options)

    sending.outcome_of_error = outcome


def send_again_after_lease() -> None:
    """Send an order again whose attempt left no outcome before its lease expired."""
    again = statements.EXPIRE_LEASES.values(state=EntryState.PREPARED, is_pinned=False, panel=None)
    statements.EXPIRE_LEASES = again


BROKEN: Mapping[str, Callable[[], None]] = {
    "fails over after an unknown outcome": fail_over_after_unknown,
    "sends again after an expired lease": send_again_after_lease,
}
