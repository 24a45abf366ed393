"""The part of `OrderDesk` that tells what happened, to orders and to services."""

from typing import Literal

from ..journal import Journal, JournalEvent, ServiceEvent, StreamKind
from .event_reader import EventReader, EventStream

__all__ = ["EventCalls"]


class EventCalls:
    """The streams of a desk. The desk sets the attributes."""

    _journal: Journal
    _event_reader: EventReader

    def events(
        self,
        consumer: str,
        *,
        wait: bool = True,
        acknowledge: Literal["auto", "manual"] = "auto",
        lease_s: float = 60.0,
    ) -> EventStream[JournalEvent]:
        """Return a stream of what happened to orders, in order, for a consumer.

        Any number of workers may read one consumer: one of them does at a time, the others stand by
        and continue when its lease is over or its stream is closed.

        Args:
            consumer: A name of yours, such as "mail", of 1 to 200 characters; its position is kept
                in the journal.
            wait: False ends after the last event instead of waiting for new ones.
            acknowledge: "auto": an event counts as processed when the next one is requested, and is
                acknowledged some time later; after a crash the last ones are repeated. "manual":
                call `EventStream.acknowledge`, also in a transaction of your own; events that are
                not acknowledged come again after a restart.
            lease_s: How long this worker may take for a page of events ("manual": for an event),
                in seconds, 1 to 86,400, before another one continues.

        Raises:
            InvalidSettingsError: An argument is out of bounds.
            ClosedError: In the iteration: the desk is not open. If it is closed later, the
                iteration just ends.
            JournalError: In the iteration: the journal is not available, or, with `wait=False`,
                another worker reads the consumer. Iterate again: nothing is lost.
        """
        return self._event_reader.stream(
            StreamKind.ORDERS,
            self._journal.events,
            consumer,
            wait=wait,
            acknowledge=acknowledge,
            lease_s=lease_s,
        )

    def service_events(
        self,
        consumer: str,
        *,
        wait: bool = True,
        acknowledge: Literal["auto", "manual"] = "auto",
        lease_s: float = 60.0,
    ) -> EventStream[ServiceEvent]:
        """Return a stream of what happened to watched services, in order, for a consumer.

        Services are watched by desks that run `follow` with `watch_services_every_s`. What is first
        seen of a service is not an event. Each change is one event, whatever happens to the desks.

        Arguments and errors are those of `events`. A consumer of the same name there has a position
        of its own.
        """
        return self._event_reader.stream(
            StreamKind.SERVICES, self._journal.service_events, consumer, wait=wait,
            acknowledge=acknowledge, lease_s=lease_s,
        )  # fmt: skip
