"""One call, from its form to its result: a place to run, an attempt, and another if it may help.

How this works. A call that changes nothing (`read`) is repeated as `RetryPolicy` says, paid from
one quota, until its deadline. A call that may change something (`once`) is made once. An order
(`send_order`) has a loop of its own, because of two differences: only what is proved not to have
left is sent again, and the sending is a task that the caller's cancellation does not reach, since
what is on its way can't be called back.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from attrs import define, frozen

from .._wire.decode import decode_added, read_ahead
from .._wire.encode import Form
from .._wire.transport import Limits, Transport
from ..errors import (
    ClosedError,
    InvalidResponseError,
    NoResponseError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RateLimitError,
    UnsupportedActionError,
)
from ..profile import Profile
from ..results import AddedOrder, Response
from .instrumentation import AttemptTrace, CallTrace, Instrumentation
from .limiter import Clock, Limiter
from .policy import RateLimiter, RetryBudget, RetryPolicy

__all__ = ["BeforeSend", "Runner", "Settings"]

ADD_TIMEOUT_S = 140.0
"""Seconds for one sending of an order. A proxy in front of a panel gives up after 120; stopping
before it does would turn answers that are still to come into unknown outcomes."""

CLOSE_GRACE_S = 10.0
"""Seconds that closing lets orders on their way arrive before it gives them up as unknown."""

SMALL_BODY_BYTES = 64 * 1024
"""The longest answer to add, balance and the like: real ones have below 200 bytes."""

STATUS_BODY_BYTES = 1024 * 1024
"""The longest answer to a status batch: 100 entries have below 20 KB."""

SERVICES_BODY_BYTES = 32 * 1024 * 1024
"""The longest catalogue: 10,000 services with long descriptions have below 10 MB."""

INLINE_BODY_BYTES = 256 * 1024
"""The longest catalogue that is decoded in one go, in about a millisecond. A longer one is read in
steps, and everybody else in the event loop has a turn after each: measured on 35 MB nobody waits
for more than 0.8 ms, instead of 120. A thread keeps the interpreter's lock for 5 ms at a time."""

MIN_READ_S = 0.05
"""With less than that left, after waiting for a place, no request is begun: it could only fail."""

_BODY_BYTES = {"status": STATUS_BODY_BYTES, "services": SERVICES_BODY_BYTES}
_UNTOLD = nullcontext()
"""Stands for the trace of a call that nobody listens to."""

T = TypeVar("T")


@frozen
class Settings:
    """What a caller may choose for its calls, client by client or call by call."""

    timeout_s: float
    """Seconds for a reading call with all its repeats."""
    retry: RetryPolicy
    """When a call is repeated."""
    keep_raw: bool = False
    """Whether each row of a batch or catalogue keeps the text that it was read from."""


BeforeSend = Callable[[], Awaitable[float]]
"""Makes sure of something before an order is sent, such as that it is written down; gives the
moment of the monotonic clock after which it must not leave any more."""


@define
class _Sending:
    """An order that is being sent."""

    form: Form
    settings: Settings
    before: BeforeSend | None
    started_s: float
    """The moment of the clock at which it was taken on."""
    trace: CallTrace | None
    """What tells of it; None while nobody listens."""
    is_in_flight: bool = False
    """Whether it may have left already; what is not under way can be taken back."""
    added: AddedOrder | None = None
    """The order that it has made; None as long as there is none."""

    def ended(self, task: "asyncio.Task[AddedOrder]") -> AddedOrder | BaseException:
        """Say how its task ended, whatever became of the task."""
        if not task.cancelled():
            return task.exception() or task.result()
        # Cancelled before its first step, or from within its last one: asyncio drops the result.
        text = "the client was closed, and the order was not sent"
        return self.added or ClosedError(text, action="add")

    def outcome(self, task: "asyncio.Task[AddedOrder]") -> AddedOrder:
        """Give what its task came to, or raise it."""
        ended = self.ended(task)
        if isinstance(ended, AddedOrder):
            return ended
        raise ended

    async def settled(self, task: "asyncio.Task[AddedOrder]") -> AddedOrder:
        """Await its end; who is cancelled meanwhile leaves it on its way."""
        await asyncio.wait({task})
        return self.outcome(task)


class Runner:
    """The calls of one account: its places, its retry quota, its orders on their way."""

    def __init__(
        self,
        transport: Transport,
        profile: Profile,
        *,
        rate_limiter: RateLimiter,
        add_concurrency: int,
        clock: Clock | None = None,
        rng: Callable[[], float] = random.random,
        instrumentation: Instrumentation | None = None,
    ) -> None:
        self.transport = transport
        self.profile = profile
        self._retry_budget = RetryBudget()
        self.clock = clock or Clock()
        self.rng = rng
        self.instrumentation = instrumentation or Instrumentation()
        self._limiter = Limiter(rate_limiter, self.clock)
        self._order_slots = asyncio.Semaphore(add_concurrency)
        self._order_tasks: set[asyncio.Task[AddedOrder]] = set()
        self._active_reads: set[asyncio.Timeout] = set()
        self._read_ended = asyncio.Event()

    def check_action(self, action: str) -> None:
        """Raise `ClosedError` or `UnsupportedActionError` where an action can't be called."""
        self.transport.check_usable()
        if action not in self.profile.actions:
            text = f"{self.profile.name} has no action {action!r}"
            raise UnsupportedActionError(text, action=action)

    def read(
        self, form: Form, decode: Callable[[Response], T], settings: Settings
    ) -> Coroutine[Any, Any, T]:
        """Send a call that changes nothing, again if that may help, until the deadline."""
        self.check_action(form["action"])
        trace = self.instrumentation.trace(form, self.clock.now_s)
        if trace is None:
            return self._read(form, decode, settings, None)
        return self._traced_read(form, decode, settings, trace)

    async def _traced_read(
        self, form: Form, decode: Callable[[Response], T], settings: Settings, trace: CallTrace
    ) -> T:
        with trace:
            return await self._read(form, decode, settings, trace)

    async def _read(
        self,
        form: Form,
        decode: Callable[[Response], T],
        settings: Settings,
        trace: CallTrace | None,
    ) -> T:
        deadline_s = self.clock.now_s() + settings.timeout_s
        repeats = 0
        while True:
            try:
                result = await self._exchange(form, decode, deadline_s, settings, trace)
            except PanelError as error:
                pause_s = settings.retry.delay_s(error, repeats, self.rng())
                if pause_s is None or self.clock.now_s() + pause_s >= deadline_s:
                    raise
                if not self._retry_budget.spend(error):
                    raise
                self.instrumentation.retry_scheduled(error, pause_s, repeats, trace)
                await self.clock.sleep(pause_s)
                repeats += 1
            else:
                if repeats == 0:
                    self._retry_budget.deposit()
                return result

    async def send_once(self, form: Form, decode: Callable[[Response], T], settings: Settings) -> T:
        """Send a call that may change something, once."""
        deadline_s = self.clock.now_s() + settings.timeout_s
        trace = self.instrumentation.trace(form, self.clock.now_s)
        with trace or _UNTOLD:
            return await self._exchange(form, decode, deadline_s, settings, trace)

    def spend_retry(self, error: PanelError) -> bool:
        """Pay from the quota for asking again in another way; False where it is spent."""
        return self._retry_budget.spend(error)

    async def close(self) -> None:
        """Take no more calls, let orders on their way arrive, then close the connections."""
        self.transport.is_closed = True
        try:
            await self._end_reads()
            if self._order_tasks:
                await asyncio.wait(self._order_tasks, timeout=CLOSE_GRACE_S)
        finally:
            # Also if whoever closes is cancelled meanwhile: nothing of ours stays behind.
            left = list(self._order_tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self.transport.close()

    async def _exchange(
        self,
        form: Form,
        decode: Callable[[Response], T],
        deadline_s: float,
        settings: Settings,
        trace: CallTrace | None,
    ) -> T:
        """Wait for a place, post, decode; the waiting and the posting end with the deadline.

        Closing the client ends all of it, without cancelling the caller.
        """
        self.transport.check_usable()
        bound = asyncio.timeout(None)
        try:
            async with bound:
                self._active_reads.add(bound)
                await self._enter(form["action"], deadline_s, settings)
                try:
                    if trace is None:
                        return await self._answer(form, decode, deadline_s, settings, None)
                    with trace.attempt() as attempt:
                        return await self._answer(form, decode, deadline_s, settings, attempt)
                finally:
                    self._limiter.release()
        except TimeoutError as error:
            text = "the client was closed before an answer came"
            raise NoResponseError(text, action=form["action"]) from error
        finally:
            self._active_reads.discard(bound)
            self._read_ended.set()

    async def _enter(self, action: str, deadline_s: float, settings: Settings) -> None:
        if self._limiter.try_acquire():
            return
        now_s = self.clock.now_s()
        longest_pause_s = min(settings.retry.max_retry_after_s, deadline_s - now_s)
        try:
            async with asyncio.timeout(deadline_s - MIN_READ_S - now_s):
                await self._limiter.acquire(action, longest_pause_s)
        except TimeoutError as error:
            text = f"no request came free within {settings.timeout_s:g} s"
            raise NotSentError(text, action=action) from error

    async def _answer(
        self,
        form: Form,
        decode: Callable[[Response], T],
        deadline_s: float,
        settings: Settings,
        attempt: AttemptTrace | None,
    ) -> T:
        action = form["action"]
        left_s = max(deadline_s - self.clock.now_s(), MIN_READ_S)
        limits = Limits(left_s, _BODY_BYTES.get(action, SMALL_BODY_BYTES))
        reply = await self.transport.post(form, limits)
        if attempt is not None:
            attempt.reply = reply
        if action == "services" and len(reply.body) > INLINE_BODY_BYTES:
            reply = await self._read_in_steps(reply, deadline_s, settings)
        return self._decode(reply, decode, action)

    async def _read_in_steps(
        self, reply: Response, deadline_s: float, settings: Settings
    ) -> Response:
        """Decode a long catalogue, and let others have their turn after each step."""
        steps = read_ahead(reply, keep_raw=settings.keep_raw)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                read: Response = end.value
                return read
            if self.clock.now_s() >= deadline_s:
                text = f"the answer could not be decoded within {settings.timeout_s:g} s"
                raise NoResponseError(text, was_written=True, action="services")
            await asyncio.sleep(0)

    async def _end_reads(self) -> None:
        """End the reads under way: aiohttp leaks a connection that a session is closed over."""
        now_s = asyncio.get_running_loop().time()
        for bound in self._active_reads:
            bound.reschedule(now_s)
        async with asyncio.timeout(CLOSE_GRACE_S):
            while self._active_reads:
                self._read_ended.clear()
                await self._read_ended.wait()

    def _decode(self, reply: Response, decode: Callable[[Response], T], action: str) -> T:
        """Decode a reply, and heed what it says of being asked too often."""
        try:
            result = decode(reply)
        except RateLimitError as error:
            self._limited(error.retry_after_s, action)
            raise
        except PanelError:
            if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
                self._limited(reply.retry_after_s, action)
            raise
        self._limiter.rate_limiter.on_success()
        return result

    def _limited(self, asked_s: float | None, action: str) -> None:
        pause_s = self._limiter.on_rate_limited(asked_s)
        self.instrumentation.throttled(action, pause_s, self._limiter.rate_limiter.concurrency)

    # --- orders ----------------------------------------------------------------------------------

    async def send_order(
        self,
        form: Form,
        settings: Settings,
        wait_s: float | None = None,
        before: BeforeSend | None = None,
    ) -> AddedOrder:
        """Send an order and await its outcome; a cancelled caller leaves it on its way.

        After `wait_s` an order that waits for its turn is taken back, one that is on its way goes
        on: the error's `settled()` awaits it. `before` is awaited when its turn has come, before
        each sending; what it raises ends it, and nothing was sent.
        """
        self.check_action("add")
        now_s = self.clock.now_s
        trace = self.instrumentation.trace(form, now_s)
        sending = _Sending(form, settings, before, now_s(), trace and trace.__enter__())
        task = asyncio.create_task(self._send_order(sending))
        self._order_tasks.add(task)
        task.add_done_callback(partial(self._sent, sending))
        await asyncio.wait({task}, timeout=wait_s)
        if task.done():
            return sending.outcome(task)
        if sending.is_in_flight:
            text = f"no answer within {wait_s:g} s; the sending goes on"
            error = OutcomeUnknownError(text, form=form, sent_at=datetime.now(UTC))
            raise error._with_pending(partial(sending.settled, task))
        task.cancel()
        text = f"its turn did not come within {wait_s:g} s"
        raise NotSentError(text, action="add")

    async def _send_order(self, sending: _Sending) -> AddedOrder:
        """Send an order; again only what is proved not to have left."""
        try:
            async with self._order_slots:
                sending.added = await self._attempts(sending)
                return sending.added
        except asyncio.CancelledError as error:
            # Only what was not under way ends here: it was taken back, or the client is closed.
            closed = self.transport.is_closed
            text = "the client was closed" if closed else "the order was taken back"
            raise ClosedError(f"{text} before it was sent", action="add") from error

    async def _attempts(self, sending: _Sending) -> AddedOrder:
        repeats = 0
        while True:
            try:
                return await self._attempt(sending)
            except NotSentError as error:
                sending.is_in_flight = False
                pause_s = sending.settings.retry.delay_s(error, repeats, self.rng())
                if pause_s is None or not self._retry_budget.spend(error):
                    raise
                self.instrumentation.retry_scheduled(error, pause_s, repeats, sending.trace)
                await self.clock.sleep(pause_s)
                repeats += 1

    async def _attempt(self, sending: _Sending) -> AddedOrder:
        async with self._limiter.slot("add", sending.settings.retry.max_retry_after_s):
            write_by_s = await sending.before() if sending.before is not None else None
            sending.is_in_flight = True
            attempt = None if sending.trace is None else sending.trace.attempt()
            with attempt or _UNTOLD:
                return await self._sent_once(sending.form, write_by_s, attempt)

    async def _sent_once(
        self, form: Form, write_by_s: float | None, attempt: AttemptTrace | None
    ) -> AddedOrder:
        """Send an order, and tell its outcome: what is not proved is unknown."""
        sent_at = datetime.now(UTC)
        try:
            limits = Limits(ADD_TIMEOUT_S, SMALL_BODY_BYTES, write_by_s)
            reply = await self.transport.post(form, limits, fresh=True)
        except NoResponseError as error:
            raise OutcomeUnknownError(
                error.text, form=form, sent_at=sent_at, was_written=error.was_written
            ) from error
        except InvalidResponseError as error:
            status = error.http_status
            unknown = OutcomeUnknownError(
                error.text, form=form, sent_at=sent_at, http_status=status
            )
            raise unknown.with_raw(error.raw) from error
        except asyncio.CancelledError as error:
            text = "the client was closed before an answer came"
            raise OutcomeUnknownError(
                text, form=form, sent_at=sent_at, was_written=False
            ) from error
        if attempt is not None:
            attempt.reply = reply
        return self._decode(
            reply, lambda reply: decode_added(reply, self.profile, form, sent_at), "add"
        )

    def _sent(self, sending: _Sending, task: asyncio.Task[AddedOrder]) -> None:
        """Let go of a sending; its outcome is told, since its caller may be gone."""
        self._order_tasks.discard(task)
        self.instrumentation.order_settled(
            sending.form,
            sending.ended(task),
            self.clock.now_s() - sending.started_s,
            sending.trace,
            was_under_way=sending.is_in_flight,
        )
