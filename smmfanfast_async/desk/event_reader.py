"""Reading events in order, for named consumers, each from its own position.

Workers share a consumer: one of them reads at a time, under a lease, and the others stand by. The
lease is for efficiency. What is true is the position, which only the current claim can move: a
worker that stalls beyond its lease cannot acknowledge, whatever it did meanwhile.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any, Generic, Literal, Protocol, Self, TypeVar

from attrs import define, field

from .._engine.limiter import Clock
from ..errors import InvalidSettingsError, JournalError, StaleEventError
from ..journal import ConsumerClaim, Journal, StreamKind
from .timing import Timing

__all__ = ["EventReader", "EventStream"]

EVENTS_PER_PAGE = 200
"""Events read, and acknowledged, at a time: up to so many are repeated after a crash."""

MIN_LEASE_S, MAX_LEASE_S = 1.0, 86_400.0
"""Bounds of `lease_s`, in seconds: one shorter than a slow commit would change hands at random, and
with one longer than a day a worker that hangs would go unnoticed."""

_LOG = logging.getLogger("smmfanfast_async")


class Numbered(Protocol):
    """An event of any stream."""

    @property
    def position(self) -> int:
        """Its number in its stream, 1 for the first, without gaps."""
        ...


E = TypeVar("E", bound=Numbered)


@define(kw_only=True)
class _Reading(Generic[E]):
    """What one stream knows of its consumer."""

    journal: Journal
    timing: Timing
    clock: Clock
    kind: StreamKind
    read_page: Callable[[int, int], Awaitable[Sequence[E]]]
    """Reads the events after a position, up to a number."""
    consumer: str
    lease_s: float
    page_size: int
    is_manual: bool
    """Whether the caller acknowledges."""
    wait_for_events: Callable[[], Awaitable[None]]
    is_closed: Callable[[], bool]
    owner: str = field(factory=lambda: secrets.token_hex(16))
    claim: ConsumerClaim | None = None
    renewed_at_s: float = 0.0
    read_to: int = 0
    """The position of the last event that was yielded."""
    done: int = 0
    """The position of the last event that the caller has processed."""
    acknowledged: int = 0

    async def read(self, *, wait: bool) -> AsyncGenerator[E, None]:
        """Yield the events after what the consumer has acknowledged; see `OrderDesk.events`."""
        while not self.is_closed():
            if not await self._hold():
                await self._stand_by(wait=wait)
                continue
            page = await self.read_page(self.read_to, self.page_size)
            for event in page:
                if not await self._still_holds():
                    break
                self.read_to = event.position
                yield event
                self.done = event.position
            if self.claim is None:
                self._log_repeated("another worker reads them now")
            elif not self.is_manual and self.done > self.acknowledged:
                await self._acknowledge_page(self.claim)
            elif not page and not wait:
                return
            elif not page:
                await self.wait_for_events()

    @property
    def version(self) -> int | None:
        """The version of the claim; None without one."""
        return None if self.claim is None else self.claim.version

    async def _hold(self) -> bool:
        """Acquire the lease, or renew it in its second half; return whether this stream has it.

        A new claim continues after what is acknowledged by then, by whomever.
        """
        version, now_s = self.version, self.clock.now_s()
        if version is not None and now_s - self.renewed_at_s < self.lease_s / 2:
            return True
        lease = timedelta(seconds=self.lease_s)
        self.claim = await self._claim(lease)
        if self.claim is None:
            return False
        self.renewed_at_s = now_s
        if self.version != version:
            self.read_to = self.done = self.acknowledged = self.claim.position
        return True

    async def _claim(self, lease: timedelta) -> ConsumerClaim | None:
        """Acquire or renew the lease. If cancelled meanwhile, keep what was claimed, for `end`."""
        claiming = asyncio.ensure_future(
            self.journal.claim_consumer(self.consumer, self.owner, lease=lease, stream=self.kind)
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with suppress(TimeoutError, JournalError):
                async with asyncio.timeout(self.timing.final_acknowledge_s):
                    self.claim = await claiming
            raise

    async def _still_holds(self) -> bool:
        """Return whether the next event of a page may be yielded under the claim it was read by."""
        if self.is_closed():
            return True  # what was read before is yielded, and repeated later
        version = self.version
        return await self._hold() and self.version == version

    async def _stand_by(self, *, wait: bool) -> None:
        if not wait:
            text = f"consumer {self.consumer!r} is read by another worker; try again later"
            raise JournalError(text)
        await self.wait_for_events()

    async def _acknowledge_page(self, claim: ConsumerClaim) -> None:
        lease = timedelta(seconds=self.lease_s)
        try:
            await self.journal.acknowledge(claim, self.done, lease=lease)
        except StaleEventError:
            # A handler took longer than the lease, and another worker has taken over.
            self._log_repeated("another worker reads them now")
            self.claim = None
        else:
            self.acknowledged = self.done

    async def acknowledge(self, event: E, connection: object | None) -> None:
        """See `EventStream.acknowledge`."""
        if not self.is_manual:
            reason = "is for streams that were opened with acknowledge='manual'"
            raise InvalidSettingsError("acknowledge()", reason)
        if not 0 < event.position <= self.read_to:
            reason = f"at position {event.position} was not read by this stream"
            raise InvalidSettingsError("event", reason)
        if self.claim is None:
            text = "the stream has ended, or another worker reads this consumer now"
            raise StaleEventError(text, action="events")
        lease, now_s = timedelta(seconds=self.lease_s), self.clock.now_s()
        try:
            await self.journal.acknowledge(
                self.claim, event.position, lease=lease, connection=connection
            )
        except StaleEventError:
            self.claim = None  # the next event is read after what is acknowledged by then
            raise
        if connection is None:
            self.renewed_at_s = now_s

    async def end(self) -> None:
        """Acknowledge and release for a stream that ends; a failure must not hide why it ends."""
        claim, self.claim = self.claim, None
        if claim is None:
            return
        try:
            async with asyncio.timeout(self.timing.final_acknowledge_s):
                if not self.is_manual and self.done > self.acknowledged:
                    lease = timedelta(seconds=self.lease_s)
                    await self.journal.acknowledge(claim, self.done, lease=lease)
                    self.acknowledged = self.done
                await self.journal.release_consumer(claim)
        except (JournalError, TimeoutError) as error:
            self._log_repeated(_why(error))

    def _log_repeated(self, why: str) -> None:
        if not self.is_manual and self.done > self.acknowledged:
            _LOG.warning(
                "events up to %d will be repeated to %r: %s", self.done, self.consumer, why
            )

    async def release(self) -> None:
        """Release the consumer for another worker; the desk is being closed."""
        if self.claim is not None:
            await self.journal.release_consumer(self.claim)


def _why(error: JournalError | TimeoutError) -> str:
    return str(error) or "the journal did not answer in time"  # a timeout has no text of its own


class EventStream(Generic[E]):
    """The events of one consumer, from `OrderDesk.events` or `service_events`: an async iterator.

    Used as an async context manager, it lets another worker continue at once when it is left.
    """

    def __init__(self, reading: _Reading[E], events: AsyncGenerator[E, None]) -> None:
        self._reading = reading
        self._events = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the stream and release its lease. A second call does nothing."""
        await self._events.aclose()

    async def acknowledge(self, event: E, *, connection: object | None = None) -> None:
        """Record that an event, and all before it, are processed.

        With `connection`, as for `OrderDesk.enqueue`, that becomes true with the caller's own
        commit: what the transaction did for the event happens exactly once, in this database.
        Call it as the last statement before the commit. Effects elsewhere (mail, a message) happen
        at least once; `event.position` is a key by which a receiver can tell a repetition.

        Args:
            event: The last event that this stream has yielded, or an earlier one; before the stream
                ends.
            connection: A transaction of the caller's own that is open.

        Raises:
            StaleEventError: Another worker has, or had, this event. Let the error roll back your
                transaction, and continue with the stream.
            InvalidSettingsError: The stream acknowledges by itself, the event is not of this
                stream, or `connection` is not an open transaction.
            JournalError: The journal is not available. Roll back; the event is repeated.
        """
        await self._reading.acknowledge(event, connection)


class EventReader:
    """Reads the events of one account for any number of consumers."""

    def __init__(
        self,
        journal: Journal,
        timing: Timing,
        clock: Clock,
        *,
        check_open: Callable[[], None],
        page_size: int = EVENTS_PER_PAGE,
    ) -> None:
        self._journal = journal
        self._timing = timing
        self._clock = clock
        self._check_open = check_open
        self._page_size = page_size
        self._has_events = asyncio.Event()
        self._is_closed = False
        self._readings: dict[str, _Reading[Any]] = {}

    def notify(self) -> None:
        """Wake the readers: there may be new events."""
        self._has_events.set()

    async def close(self) -> None:
        """End all reading. Events that are not acknowledged by then are repeated."""
        self._is_closed = True
        self._has_events.set()
        try:
            async with asyncio.timeout(self._timing.final_acknowledge_s):
                for reading in list(self._readings.values()):
                    await reading.release()
        except (JournalError, TimeoutError) as error:
            text = "events are read by no other worker until a lease is over: %s"
            _LOG.warning(text, _why(error))

    def stream(
        self,
        kind: StreamKind,
        read_page: Callable[[int, int], Awaitable[Sequence[E]]],
        consumer: str,
        *,
        wait: bool,
        acknowledge: Literal["auto", "manual"],
        lease_s: float,
    ) -> EventStream[E]:
        """Return a stream of the events of a consumer; see `OrderDesk.events`."""
        if acknowledge not in ("auto", "manual"):
            raise InvalidSettingsError("acknowledge", f"is {acknowledge!r}; use 'auto' or 'manual'")
        if not isinstance(lease_s, int | float) or not MIN_LEASE_S <= lease_s <= MAX_LEASE_S:
            reason = f"{lease_s!r} is not a number of {MIN_LEASE_S:g} to {MAX_LEASE_S:g} seconds"
            raise InvalidSettingsError("lease_s", reason)
        reading = _Reading(
            journal=self._journal,
            timing=self._timing,
            clock=self._clock,
            kind=kind,
            read_page=read_page,
            consumer=consumer,
            lease_s=lease_s,
            page_size=self._page_size,
            is_manual=acknowledge == "manual",
            wait_for_events=self._wait_for_events,
            is_closed=lambda: self._is_closed,
        )
        return EventStream(reading, self._read(reading, wait=wait))

    async def _read(self, reading: _Reading[E], *, wait: bool) -> AsyncGenerator[E, None]:
        """Yield the events of a reading, which `close` knows meanwhile."""
        self._check_open()
        self._readings[reading.owner] = reading
        events = reading.read(wait=wait)
        try:
            async for event in events:
                yield event
        except JournalError:
            if not self._is_closed:  # else the desk was closed during a poll: not an error
                raise
        finally:
            await events.aclose()
            if not self._is_closed:
                await reading.end()
            del self._readings[reading.owner]

    async def _wait_for_events(self) -> None:
        """Wait until there may be events; every reader also polls, notified or not."""
        try:
            async with asyncio.timeout(self._timing.event_poll_s):
                await self._has_events.wait()
        except TimeoutError:
            return
        # The next `notify` wakes all readers again; one between two polls polls once too often.
        self._has_events.clear()
