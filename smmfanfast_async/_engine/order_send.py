"""What a call is run with: its options, and the state of an order that is being sent."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from .._wire.encode import Form
from ..errors import ClosedError
from ..results import AddedOrder
from .instrumentation import CallTrace
from .policy import RetryPolicy

__all__ = ["BeforeSend", "OrderSend", "Settings"]


class Settings(NamedTuple):
    """Options of a call, set for a client or by `Client.with_options`."""

    timeout_s: float
    """Seconds for a read with all its retries."""
    retry: RetryPolicy
    """When a call is retried."""
    keep_raw: bool = False
    """Whether each record of a batch or catalogue keeps the text that it was decoded from."""


BeforeSend = Callable[[], Awaitable[float]]
"""Runs before each attempt of an order, for example to record it in a journal. Returns the time of
`elapsed_s` after which the order must not be sent any more."""


class OrderSend:
    """The state of an order that is being sent.

    `started_s` is the time of the clock when `send_order` was called, `trace` is None if neither a
    hook nor the log needs one, `timeout_s` is how long one attempt may take, in seconds.
    """

    __slots__ = (
        "added", "before", "form", "is_in_flight", "settings", "started_s", "timeout_s", "trace",
    )  # fmt: skip

    def __init__(
        self,
        form: Form,
        settings: Settings,
        before: BeforeSend | None,
        started_s: float,
        trace: CallTrace | None,
        timeout_s: float,
    ) -> None:
        self.form = form
        self.settings = settings
        self.before = before
        self.started_s = started_s
        self.trace = trace
        self.timeout_s = timeout_s
        self.is_in_flight = False
        """Whether it may have been sent already; until then it can be withdrawn."""
        self.added: AddedOrder | None = None
        """The order that was created; None until then."""

    def result(self, task: "asyncio.Task[AddedOrder]") -> AddedOrder | BaseException:
        """Return the order or the error of its completed task, which may be cancelled."""
        if not task.cancelled():
            return task.exception() or task.result()
        # Cancelled before its first step, or during its last one: then asyncio drops the result.
        text = "the client was closed before the order was sent"
        return self.added or ClosedError(text, action="add")

    def unwrap(self, task: "asyncio.Task[AddedOrder]") -> AddedOrder:
        """Return the order of its completed task, or raise its error."""
        result = self.result(task)
        if isinstance(result, AddedOrder):
            return result
        raise result

    async def wait_for_outcome(self, task: "asyncio.Task[AddedOrder]") -> AddedOrder:
        """Wait for the outcome. Cancelling the caller does not cancel the sending."""
        await asyncio.wait({task})
        return self.unwrap(task)
