"""The exit codes, and what each means."""

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
"""As a shell gives them for the signals of Ctrl-C and of a reader who is gone."""

MEANINGS = {
    OK: "done",
    REFUSED: "the panel refused or failed; catalogues differ (services --exit-code)",
    USAGE: "wrong input or settings, or not agreed to: nothing was sent",
    UNKNOWN: "the outcome of an order is unknown: look before you order again",
    NETWORK: "the panel was not reached or gave no answer, or an order is not sent yet",
    PARTLY: "some of the ids have errors, or are not final in time",
    JOURNAL: "the journal of orders can't be written or read: nothing was sent",
    LEFT_UNKNOWN: "follow --until-final came to its end, and left orders that are unknown",
    NOT_WRITTEN: "the answer can't be written, as on a full disk; what was asked for is done",
    INTERRUPTED: "ended by Ctrl-C or SIGTERM before the end",
    PIPE_CLOSED: "whoever read the output is gone",
}
"""What each says, in a line."""
