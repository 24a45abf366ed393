"""Events, read in order by consumers of a name, each from where it came to."""

import asyncio
import logging
from collections.abc import AsyncGenerator

from ..errors import JournalError
from ..journal import Journal, JournalEvent

__all__ = ["Feed"]

EVENTS_ROWS = 200
"""Events read at a time, and acknowledged at a time: so many may come again after a crash."""

EVENTS_EVERY_S = 1.0
"""Seconds between looks for events that other machines have written."""


LAST_WORD_S = 5.0
"""Seconds for which a reader who goes away is held up to acknowledge what it has read."""

_LOG = logging.getLogger("smmfanfast_async")


class Feed:
    """Reads the events of one account for any number of consumers."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._news = asyncio.Event()
        self._is_closed = False

    def tell(self) -> None:
        """Say that there are events."""
        self._news.set()

    def close(self) -> None:
        """End all reading; what is not acknowledged by then comes again."""
        self._is_closed = True
        self._news.set()

    async def read(self, consumer: str, *, wait: bool) -> AsyncGenerator[JournalEvent, None]:
        """Give the events after what the consumer has acknowledged; see `OrderDesk.events`."""
        done = acknowledged = await self._journal.position(consumer)
        try:
            while not self._is_closed:
                page = await self._journal.events(done, EVENTS_ROWS)
                for event in page:
                    yield event
                    done = event.position
                if done > acknowledged:
                    await self._journal.acknowledge(consumer, done)
                    acknowledged = done
                elif wait:
                    await self._some_news()
                else:
                    return
        except JournalError:
            if not self._is_closed:  # else it was closed under a look, and the end is no error
                raise
        finally:
            if done > acknowledged and not self._is_closed:
                await self._acknowledged_at_last(consumer, done)

    async def _acknowledged_at_last(self, consumer: str, done: int) -> None:
        """Acknowledge for a reader who goes away, whose own reason must not be lost for it."""
        try:
            async with asyncio.timeout(LAST_WORD_S):
                await self._journal.acknowledge(consumer, done)
        except (JournalError, TimeoutError) as error:
            _LOG.warning("events up to %d will come again to %r: %s", done, consumer, error)

    async def _some_news(self) -> None:
        """Wait until there may be events; every reader has its own look, told or not."""
        try:
            async with asyncio.timeout(EVENTS_EVERY_S):
                await self._news.wait()
        except TimeoutError:
            return
        # Whoever tells next wakes all again; who is in between looks once more than needed.
        self._news.clear()
