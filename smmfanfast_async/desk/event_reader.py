"""Reading events in order, for named consumers, each from its own position."""

import asyncio
import logging
from collections.abc import AsyncGenerator

from ..errors import JournalError
from ..journal import Journal, JournalEvent
from .timing import Timing

__all__ = ["EventReader"]

EVENTS_PER_PAGE = 200
"""Events read, and acknowledged, at a time: up to so many are repeated after a crash."""

_LOG = logging.getLogger("smmfanfast_async")


class EventReader:
    """Reads the events of one account for any number of consumers."""

    def __init__(
        self, journal: Journal, timing: Timing, *, page_size: int = EVENTS_PER_PAGE
    ) -> None:
        self._journal = journal
        self._timing = timing
        self._page_size = page_size
        self._has_events = asyncio.Event()
        self._is_closed = False

    def notify(self) -> None:
        """Wake the readers: there may be new events."""
        self._has_events.set()

    def close(self) -> None:
        """End all reading. Events that are not acknowledged by then are repeated."""
        self._is_closed = True
        self._has_events.set()

    async def read(self, consumer: str, *, wait: bool) -> AsyncGenerator[JournalEvent, None]:
        """Yield the events after what the consumer has acknowledged; see `OrderDesk.events`."""
        done = acknowledged = await self._journal.position(consumer)
        try:
            while not self._is_closed:
                page = await self._journal.events(done, self._page_size)
                for event in page:
                    yield event
                    done = event.position
                if done > acknowledged:
                    await self._journal.acknowledge(consumer, done)
                    acknowledged = done
                elif wait:
                    await self._wait_for_events()
                else:
                    return
        except JournalError:
            if not self._is_closed:  # else the desk was closed during a poll, which is not an error
                raise
        finally:
            if done > acknowledged and not self._is_closed:
                await self._acknowledge_before_exit(consumer, done)

    async def _acknowledge_before_exit(self, consumer: str, done: int) -> None:
        """Acknowledge for a reader that stops; a failure must not hide why it stops."""
        try:
            async with asyncio.timeout(self._timing.final_acknowledge_s):
                await self._journal.acknowledge(consumer, done)
        except (JournalError, TimeoutError) as error:
            _LOG.warning("events up to %d will be repeated to %r: %s", done, consumer, error)

    async def _wait_for_events(self) -> None:
        """Wait until there may be events; every reader also polls, notified or not."""
        try:
            async with asyncio.timeout(self._timing.event_poll_s):
                await self._has_events.wait()
        except TimeoutError:
            return
        # The next `notify` wakes all readers again; one between two polls polls once too often.
        self._has_events.clear()
