"""The exit codes and their meanings."""

__all__ = [
    "INTERRUPTED",
    "JOURNAL",
    "LEFT_UNKNOWN",
    "MEANINGS",
    "NETWORK",
    "NOT_WRITTEN",
    "OK",
    "PARTLY",
    "PIPE_CLOSED",
    "REFUSED",
    "UNKNOWN",
    "USAGE",
]

OK, REFUSED, USAGE, UNKNOWN, NETWORK, PARTLY, JOURNAL, LEFT_UNKNOWN, NOT_WRITTEN = range(9)

INTERRUPTED, PIPE_CLOSED = 130, 141
"""As a shell reports SIGINT and SIGPIPE: 128 + the number of the signal."""

MEANINGS = {
    OK: "done",
    REFUSED: "the panel refused or failed; a check found something (services, doctor)",
    USAGE: "invalid input or settings, or not confirmed: nothing was sent",
    UNKNOWN: "an order may have been placed: check the panel before ordering again",
    NETWORK: "the panel was not reached or did not respond, or an order is not sent yet",
    PARTLY: "some ids have errors, or are not final before the time-out",
    JOURNAL: "the journal of orders cannot be written or read: nothing was sent",
    LEFT_UNKNOWN: "follow --until-final is done, but the outcome of some orders is unknown",
    NOT_WRITTEN: "the output cannot be written, as on a full disk; the rest was carried out",
    INTERRUPTED: "interrupted by Ctrl-C or SIGTERM",
    PIPE_CLOSED: "output pipe closed",
}
"""The meaning of each exit code, in one line."""
