"""Words that several rooms share: what went wrong, and which actions change nothing."""

from enum import StrEnum

__all__ = ["READS", "ErrorKind"]

READS = frozenset({"status", "services", "balance", "refill_status"})
"""Actions that change nothing at the panel, so that asking again is harmless (document: status,
services, balance; refill_status is from API v2)."""


class ErrorKind(StrEnum):
    """What went wrong, as a word for tables, metrics and `match`."""

    INVALID = "invalid"
    UNSUPPORTED = "unsupported"
    CLOSED = "closed"
    CONFLICT = "conflict"
    BUDGET = "budget"
    JOURNAL = "journal"
    TIMEOUT = "timeout"
    NETWORK = "network"
    MALFORMED = "malformed"
    SERVER = "server"
    RATE_LIMIT = "rate_limit"
    AUTH = "auth"
    FUNDS = "funds"
    NOT_FOUND = "not_found"
    VALIDATION = "validation"
    SERVICE = "service"
    DUPLICATE = "duplicate"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"
