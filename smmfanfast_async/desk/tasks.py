"""Tasks of a desk, one per key; they outlive the callers who wait for them."""

import asyncio
import copy
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import define, field

from ..errors import ClosedError, PanelError

__all__ = ["Tasks", "result_of"]

_LOG = logging.getLogger("smmfanfast_async")

K = TypeVar("K")
T = TypeVar("T")


@define(kw_only=True)
class Tasks(ABC, Generic[K, T]):
    """The tasks that are not done, by key."""

    on_done: Callable[[], None]
    """Called after each task: there may be new events."""
    tasks: "dict[K, asyncio.Task[T]]" = field(factory=dict)

    def add(self, key: K, task: "asyncio.Task[T]") -> None:
        """Keep a task until it is done."""
        self.tasks[key] = task
        task.add_done_callback(lambda done: self._on_task_done(key, done))

    async def wait_all(self, timeout_s: float) -> None:
        """Wait until every task is done, at most for `timeout_s` seconds."""
        if self.tasks:
            await asyncio.wait(self.tasks.values(), timeout=timeout_s)

    async def cancel_all(self) -> None:
        """Cancel the tasks that are not done, and wait for their end."""
        tasks = list(self.tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @abstractmethod
    def _describe_failure(self, key: K) -> str: ...

    def _on_task_done(self, key: K, task: "asyncio.Task[T]") -> None:
        del self.tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Logged here, since its caller may be gone, or be the follower.
            bug = None if isinstance(error, PanelError) else error
            _LOG.warning("%s: %s", self._describe_failure(key), error, exc_info=bug)
        self.on_done()


def result_of(task: "asyncio.Task[T]", action: str) -> T:
    """Return the result of a task that is done; `ClosedError` if it was cancelled."""
    if task.cancelled():
        raise ClosedError("the desk was closed", action=action)
    try:
        return task.result()
    except PanelError as error:
        # Other callers may wait for the same task: each gets an error object of its own.
        raise copy.copy(error) from error
