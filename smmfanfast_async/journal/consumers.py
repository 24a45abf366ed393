"""The consumers of an account's events: who reads which stream, and from where."""

from enum import StrEnum

from attrs import frozen

__all__ = ["ConsumerClaim", "StreamKind"]


class StreamKind(StrEnum):
    """A stream of events of an account. Each has positions, and consumers, of its own."""

    ORDERS = "orders"
    """What happened to orders: `JournalEvent`."""
    SERVICES = "services"
    """What happened to watched services: `ServiceEvent`."""


@frozen(kw_only=True)
class ConsumerClaim:
    """The right of one worker to read the events of a consumer, until its lease is over.

    Attributes:
        consumer: The name of the consumer.
        position: The position that is acknowledged; events after it are to be read.
        version: The version of the claim, a fencing token: a later claim invalidates this one.
        stream: Whose events it reads.
    """

    consumer: str
    position: int
    version: int
    stream: StreamKind = StreamKind.ORDERS
