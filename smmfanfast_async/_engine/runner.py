"""Run one API call: acquire a slot, send the request, retry if that is safe.

How this works. A call that changes nothing (`read`) is retried according to `RetryPolicy`, within
the shared retry budget and its deadline. A call that may change something (`send_once`) is sent
once. An order (`send_order`) has a retry loop of its own, because of two differences: only a
request that is proved not to have been sent is retried, and the sending is a task that the
cancellation of the caller does not reach, since a request in flight cannot be called back.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from .._wire.decode import decode_added, read_ahead
from .._wire.encode import Form
from .._wire.transport import RequestLimits, Transport
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
from .limiter import Clock, Limiter, Slot
from .order_send import BeforeSend, OrderSend, Settings
from .policy import RateLimiter, RetryBudget
from .replays import Replays

__all__ = ["BeforeSend", "Runner", "Settings"]

ADD_TIMEOUT_S = 140.0
"""Seconds for one attempt of an order. A proxy in front of a panel gives up after 120 s; stopping
earlier would turn answers that are still to come into unknown outcomes."""

CLOSE_GRACE_S = 10.0
"""Seconds that `close` waits for orders in flight before it cancels them as unknown."""

SMALL_BODY_BYTES = 64 * 1024
"""The longest answer to add, balance and similar calls: real ones are below 200 bytes."""

STATUS_BODY_BYTES = 1024 * 1024
"""The longest answer to a status batch: 100 entries are below 20 KB."""

SERVICES_BODY_BYTES = 32 * 1024 * 1024
"""The longest catalogue: 10,000 services with long descriptions are below 10 MB."""

INLINE_BODY_BYTES = 256 * 1024
"""The longest catalogue that is decoded in one step, in about a millisecond. A longer one is
decoded in steps, and other tasks run after each: measured on 35 MB, they wait for at most 0.8 ms
instead of 120 ms. A thread would keep the interpreter's lock for 5 ms at a time."""

MIN_READ_S = 0.05
"""No request is started with less time left after waiting for a slot: it could only fail."""

_BODY_BYTES = {"status": STATUS_BODY_BYTES, "services": SERVICES_BODY_BYTES}
_NO_TRACE = nullcontext()
"""Replaces the trace of a call when neither a hook nor the log needs one."""

_Post = Callable[[Form, RequestLimits], Awaitable[Response]]
"""Sends a form once, on a connection from the pool or on a new one."""

T = TypeVar("T")


class Runner:
    """Runs the calls of one account: request slots, retry budget and orders in flight."""

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
        self.refund_retry = self._retry_budget.refund
        self.clock = clock or Clock()
        self.rng = rng
        self.instrumentation = instrumentation or Instrumentation()
        self._limiter = Limiter(rate_limiter, self.clock)
        self._order_slots = asyncio.Semaphore(add_concurrency)
        self._order_tasks: set[asyncio.Task[AddedOrder]] = set()
        self._replays = Replays(profile.replay_window_s)
        self._active_reads: set[asyncio.Timeout] = set()
        self._read_finished = asyncio.Event()

    def check_action(self, action: str) -> None:
        """Raise `ClosedError` or `UnsupportedActionError` if an action cannot be called."""
        self.transport.check_usable()
        if action not in self.profile.actions:
            text = f"{self.profile.name} does not support the action {action!r}"
            raise UnsupportedActionError(text, action=action)

    def read(
        self, form: Form, decode: Callable[[Response], T], settings: Settings
    ) -> Coroutine[Any, Any, T]:
        """Send a call that changes nothing, and retry it until the deadline."""
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
        retries = 0
        while True:
            try:
                result = await self._run_attempt(
                    form, decode, deadline_s, settings, trace, self.transport.post
                )
            except PanelError as error:
                delay_s = settings.retry.delay_s(error, retries, self.rng())
                if delay_s is None or self.clock.now_s() + delay_s >= deadline_s:
                    raise
                if not self._retry_budget.spend(error):
                    raise
                self.instrumentation.retry_scheduled(error, delay_s, retries, trace)
                await self.clock.sleep(delay_s)
                retries += 1
            else:
                if retries == 0:
                    self._retry_budget.deposit()
                return result

    async def send_once(
        self,
        form: Form,
        decode: Callable[[Response], T],
        settings: Settings,
        before: BeforeSend | None = None,
    ) -> T:
        """Send a call that may change something. It is never retried.

        It gets a connection of its own: the answer to an earlier call must not be taken for its.
        `before` is awaited when a slot is free, and the call has its whole time after that; if it
        raises, nothing is sent.
        """
        deadline_s = self.clock.now_s() + settings.timeout_s
        trace = self.instrumentation.trace(form, self.clock.now_s)
        with trace or _NO_TRACE:
            post = partial(self.transport.post, new_connection=True)
            if before is not None:
                post = partial(self._post_after, before, settings.timeout_s)
            return await self._run_attempt(form, decode, deadline_s, settings, trace, post)

    async def _post_after(
        self, before: BeforeSend, timeout_s: float, form: Form, limits: RequestLimits
    ) -> Response:
        """Send a form once, on a new connection, after what has to be done before."""
        write_by_s = await before()
        limits = limits._replace(timeout_s=timeout_s, write_deadline_s=write_by_s)
        return await self.transport.post(form, limits, new_connection=True)

    def spend_retry(self, error: PanelError) -> bool:
        """Spend retry budget for another kind of retry. Return False if it is exhausted."""
        return self._retry_budget.spend(error)

    async def close(self) -> None:
        """Reject new calls, wait for orders in flight, then close the connections."""
        self.transport.is_closed = True
        try:
            await self._cancel_reads()
            if self._order_tasks:
                await asyncio.wait(self._order_tasks, timeout=CLOSE_GRACE_S)
        finally:
            # Also if the caller is cancelled meanwhile: no task or connection is left behind.
            left = list(self._order_tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await self.transport.close()

    async def _run_attempt(
        self,
        form: Form,
        decode: Callable[[Response], T],
        deadline_s: float,
        settings: Settings,
        trace: CallTrace | None,
        post: _Post,
    ) -> T:
        """Wait for a slot, send the request and decode the response, until the deadline.

        Closing the client ends this with an error, without cancelling the caller.
        """
        self.transport.check_usable()
        timeout = asyncio.timeout(None)
        try:
            async with timeout:
                self._active_reads.add(timeout)
                slot = await self._acquire_slot(form["action"], deadline_s, settings)
                try:
                    with _NO_TRACE if trace is None else trace.attempt() as attempt:
                        return await self._post_and_decode(
                            form, decode, deadline_s, settings, attempt, post
                        )
                except PanelError as error:
                    slot.on_error(error)
                    raise
                finally:
                    self._limiter.release(slot)
        except TimeoutError as error:
            text = "the client was closed before an answer came"
            raise NoResponseError(text, action=form["action"]) from error
        finally:
            self._active_reads.discard(timeout)
            self._read_finished.set()

    async def _acquire_slot(self, action: str, deadline_s: float, settings: Settings) -> Slot:
        slot = self._limiter.try_acquire()
        if slot is not None:
            return slot
        now_s = self.clock.now_s()
        max_pause_s = min(settings.retry.max_retry_after_s, deadline_s - now_s)
        try:
            async with asyncio.timeout(deadline_s - MIN_READ_S - now_s):
                return await self._limiter.acquire(action, max_pause_s)
        except TimeoutError as error:
            text = f"timed out after {settings.timeout_s:g} s waiting for a free request slot"
            raise NotSentError(text, action=action) from error

    async def _post_and_decode(
        self,
        form: Form,
        decode: Callable[[Response], T],
        deadline_s: float,
        settings: Settings,
        attempt: AttemptTrace | None,
        post: _Post,
    ) -> T:
        action = form["action"]
        left_s = max(deadline_s - self.clock.now_s(), MIN_READ_S)
        limits = RequestLimits(left_s, _BODY_BYTES.get(action, SMALL_BODY_BYTES))
        reply = await post(form, limits)
        if attempt is not None:
            attempt.reply = reply
        if action == "services" and len(reply.body) > INLINE_BODY_BYTES:
            reply = await self._read_in_steps(reply, deadline_s, settings)
        return self._decode(reply, decode, action)

    async def _read_in_steps(
        self, reply: Response, deadline_s: float, settings: Settings
    ) -> Response:
        """Decode a long catalogue in steps, and let other tasks run after each step."""
        steps = read_ahead(reply, keep_raw=settings.keep_raw)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                read: Response = end.value
                return read
            if self.clock.now_s() >= deadline_s:
                text = f"the response could not be decoded within {settings.timeout_s:g} s"
                raise NoResponseError(text, was_written=True, action="services")
            await asyncio.sleep(0)

    async def _cancel_reads(self) -> None:
        """End the reads in flight.

        Otherwise aiohttp leaks the connections that are in use when its session is closed.
        """
        now_s = asyncio.get_running_loop().time()
        for timeout in self._active_reads:
            timeout.reschedule(now_s)
        async with asyncio.timeout(CLOSE_GRACE_S):
            while self._active_reads:
                self._read_finished.clear()
                await self._read_finished.wait()

    def _decode(self, reply: Response, decode: Callable[[Response], T], action: str) -> T:
        """Decode a response, and apply what it tells the rate limiter."""
        try:
            result = decode(reply)
        except RateLimitError as error:
            self._on_rate_limited(error.retry_after_s, action)
            raise
        except PanelError:
            if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
                self._on_rate_limited(reply.retry_after_s, action)
            raise
        self._limiter.rate_limiter.on_success()
        return result

    def _on_rate_limited(self, asked_s: float | None, action: str) -> None:
        pause_s = self._limiter.on_rate_limited(asked_s)
        self.instrumentation.throttled(action, pause_s, self._limiter.rate_limiter.concurrency)

    # --- orders ----------------------------------------------------------------------------------

    async def send_order(
        self,
        form: Form,
        settings: Settings,
        wait_s: float | None = None,
        before: BeforeSend | None = None,
        timeout_s: float | None = None,
    ) -> AddedOrder:
        """Send an order and wait for its outcome. Cancelling the caller does not stop it.

        After `wait_s` seconds an order that has not been sent is withdrawn (`NotSentError`); one in
        flight continues, and `wait_for_outcome()` of the `OutcomeUnknownError` waits for it.
        `before` is awaited before each attempt, when a slot is free; if it raises, nothing is sent.
        An attempt takes `timeout_s` seconds at most, or `ADD_TIMEOUT_S`.
        """
        self.check_action("add")
        self.transport.check_form(form)
        now_s = self.clock.now_s
        trace = self.instrumentation.trace(form, now_s)
        sending = OrderSend(
            form, settings, before, now_s(), trace and trace.__enter__(),
            ADD_TIMEOUT_S if timeout_s is None else timeout_s,
        )  # fmt: skip
        task = asyncio.create_task(self._send_order(sending))
        self._order_tasks.add(task)
        task.add_done_callback(partial(self._on_order_done, sending))
        await asyncio.wait({task}, timeout=wait_s)
        if task.done():
            return sending.unwrap(task)
        if sending.is_in_flight:
            text = f"no answer within {wait_s:g} s; the order is still being sent"
            error = OutcomeUnknownError(text, form=form, sent_at=datetime.now(UTC))
            raise error._with_pending(  # noqa: SLF001  # for this module alone
                partial(sending.wait_for_outcome, task)
            )
        task.cancel()
        text = f"timed out after {wait_s:g} s waiting to be sent"
        raise NotSentError(text, action="add")

    async def _send_order(self, sending: OrderSend) -> AddedOrder:
        """Send an order; retry only if it is proved that nothing was sent."""
        try:
            async with self._order_slots:
                sending.added = await self._send_with_retries(sending)
                return sending.added
        except asyncio.CancelledError as error:
            # Only an order that was not in flight ends here: withdrawn, or the client was closed.
            closed = self.transport.is_closed
            text = "the client was closed" if closed else "the order was withdrawn"
            raise ClosedError(f"{text} before it was sent", action="add") from error

    async def _send_with_retries(self, sending: OrderSend) -> AddedOrder:
        retries = 0
        while True:
            try:
                return await self._send_in_slot(sending)
            except NotSentError as error:
                sending.is_in_flight = False
                delay_s = sending.settings.retry.delay_s(error, retries, self.rng())
                if delay_s is None or not self._retry_budget.spend(error):
                    raise
                self.instrumentation.retry_scheduled(error, delay_s, retries, sending.trace)
                await self.clock.sleep(delay_s)
                retries += 1

    async def _send_in_slot(self, sending: OrderSend) -> AddedOrder:
        async with self._limiter.slot("add", sending.settings.retry.max_retry_after_s) as slot:
            slot.is_unused = True  # also if `before` raises, or is cancelled
            write_by_s = await sending.before() if sending.before is not None else None
            slot.is_unused, sending.is_in_flight = False, True
            attempt = None if sending.trace is None else sending.trace.attempt()
            with attempt or _NO_TRACE:
                limits = RequestLimits(sending.timeout_s, SMALL_BODY_BYTES, write_by_s)
                return await self._send_attempt(sending.form, limits, attempt)

    async def _send_attempt(
        self, form: Form, limits: RequestLimits, attempt: AttemptTrace | None
    ) -> AddedOrder:
        """Send an order once. Raise `OutcomeUnknownError` for every outcome that is not proved."""
        sent_at = datetime.now(UTC)
        try:
            reply = await self.transport.post(form, limits, new_connection=True)
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
        added = self._decode(
            reply, lambda reply: decode_added(reply, self.profile, form, sent_at), "add"
        )
        return self._replays.check(added, form, sent_at, self.clock.now_s())

    def _on_order_done(self, sending: OrderSend, task: asyncio.Task[AddedOrder]) -> None:
        """Report the outcome of an order, since its caller may be gone."""
        self._order_tasks.discard(task)
        self.instrumentation.order_settled(
            sending.form,
            sending.result(task),
            self.clock.now_s() - sending.started_s,
            sending.trace,
            was_in_flight=sending.is_in_flight,
        )
