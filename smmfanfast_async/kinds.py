"""`ErrorKind`: what went wrong, as a word."""

from enum import StrEnum

__all__ = ["ErrorKind"]


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
