"""One call, from its form to its result: a place to run, an attempt, and another if it may help.

How this works. A call that changes nothing (`read`) is repeated as `RetryPolicy` says, paid from
one quota, until its deadline. A call that may change something (`once`) is made once. An order
(`send_order`) has a loop of its own, because of two differences: only what is proved not to have
left is sent again, and the sending is a task that the caller's cancellation does not reach, since
what is on its way can't be called back.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from ._decode import decode_added
from ._encode import Form
from ._policy import RetryPolicy, RetryQuota
from ._transport import Limits, Transport
from .errors import (
    ClosedError,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    UnreadableReplyError,
    UnsupportedActionError,
)
from .profile import Profile
from .results import AddedOrder, Reply

__all__ = ["Calls"]

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

MIN_READ_S = 0.05
"""With less than that left, after waiting for a place, no request is begun: it could only fail."""

_BODY_BYTES = {"status": STATUS_BODY_BYTES, "services": SERVICES_BODY_BYTES}
_LOG = logging.getLogger("smmfanfast_async")

T = TypeVar("T")


class Calls:
    """The calls of one client: its places, its retry quota, its orders on their way."""

    def __init__(
        self,
        transport: Transport,
        profile: Profile,
        *,
        timeout_s: float,
        retry: RetryPolicy,
        concurrency: int,
    ) -> None:
        self.transport = transport
        self.profile = profile
        self._timeout_s = timeout_s
        self._retry = retry
        self._quota = RetryQuota()
        self._places = asyncio.Semaphore(concurrency)
        self._order_places = asyncio.Semaphore(profile.add_concurrency)
        self._sends: set[asyncio.Task[AddedOrder]] = set()
        # What a test replaces, so that none has to wait.
        self._sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep
        self._random = random.random

    def check_action(self, action: str) -> None:
        """Raise `ClosedError` or `UnsupportedActionError` where an action can't be called."""
        self.transport.check_usable()
        if action not in self.profile.actions:
            text = f"{self.profile.name} has no action {action!r}"
            raise UnsupportedActionError(text, None, None, None, action)

    async def read(self, form: Form, decode: Callable[[Reply], T]) -> T:
        """Send a call that changes nothing, again if that may help, until the deadline."""
        self.check_action(form["action"])
        deadline_s = _now_s() + self._timeout_s
        repeats = 0
        while True:
            try:
                result = decode(await self._posted(form, deadline_s))
            except PanelError as error:
                pause_s = self._retry.pause_s(error, repeats, self._random())
                if pause_s is None or _now_s() + pause_s >= deadline_s:
                    raise
                if not self._quota.take(error):
                    raise
                _LOG.info("%s; again in %.1f s", error, pause_s)
                await self._sleep(pause_s)
                repeats += 1
            else:
                if repeats == 0:
                    self._quota.earn()
                return result

    async def once(self, form: Form, decode: Callable[[Reply], T]) -> T:
        """Send a call that may change something, once."""
        return decode(await self._posted(form, _now_s() + self._timeout_s))

    async def send_order(self, form: Form) -> AddedOrder:
        """Send an order and await its outcome; a cancelled caller leaves it on its way."""
        self.check_action("add")
        task = asyncio.create_task(self._send_order(form))
        self._sends.add(task)
        task.add_done_callback(self._sent)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Take no more calls, let orders on their way arrive, then close the connections."""
        self.transport.is_closed = True
        if self._sends:
            await asyncio.wait(self._sends, timeout=CLOSE_GRACE_S)
        left = list(self._sends)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self.transport.close()

    async def _posted(self, form: Form, deadline_s: float) -> Reply:
        """Wait for a place among the requests, then post; both end with the deadline."""
        self.transport.check_usable()
        action = form["action"]
        try:
            async with asyncio.timeout_at(deadline_s - MIN_READ_S):
                await self._places.acquire()
        except TimeoutError as error:
            text = f"no request came free within {self._timeout_s:g} s"
            raise NotSentError(text, None, None, None, action) from error
        try:
            limits = Limits(deadline_s - _now_s(), _BODY_BYTES.get(action, SMALL_BODY_BYTES))
            return await self.transport.post(form, limits)
        finally:
            self._places.release()

    async def _send_order(self, form: Form) -> AddedOrder:
        """Send an order; again only what is proved not to have left."""
        try:
            async with self._order_places:
                return await self._attempts(form)
        except asyncio.CancelledError as error:
            # Only closing cancels this task, and only what was not under way ends here.
            raise ClosedError("the client was closed before the order was sent") from error

    async def _attempts(self, form: Form) -> AddedOrder:
        repeats = 0
        while True:
            try:
                return await self._attempt(form)
            except NotSentError as error:
                pause_s = self._retry.pause_s(error, repeats, self._random())
                if pause_s is None or not self._quota.take(error):
                    raise
                _LOG.info("%s; nothing was sent; again in %.1f s", error, pause_s)
                await self._sleep(pause_s)
                repeats += 1

    async def _attempt(self, form: Form) -> AddedOrder:
        sent_at = datetime.now(UTC)
        try:
            limits = Limits(ADD_TIMEOUT_S, SMALL_BODY_BYTES)
            reply = await self.transport.post(form, limits, fresh=True)
        except (NoReplyError, UnreadableReplyError) as error:
            raise OutcomeUnknownError(error.text, form, sent_at, "", error.http_status) from error
        except asyncio.CancelledError as error:
            text = "the client was closed before an answer came"
            raise OutcomeUnknownError(text, form, sent_at) from error
        return decode_added(reply, self.profile, form, sent_at)

    def _sent(self, task: asyncio.Task[AddedOrder]) -> None:
        """Let go of a sending; its outcome is logged, since its caller may be gone."""
        self._sends.discard(task)
        if task.cancelled():  # before its first step
            _LOG.info("an order was not sent: the client was closed")
        elif (error := task.exception()) is not None:
            level = logging.WARNING if isinstance(error, OutcomeUnknownError) else logging.INFO
            _LOG.log(level, "%s", error)
        else:
            _LOG.debug("order %s placed", task.result().order)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
