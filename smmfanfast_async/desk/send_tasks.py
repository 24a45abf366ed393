"""The tasks that send orders, one per ref; they outlive the callers who wait for them."""

import asyncio
import copy
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from attrs import define, field

from ..errors import AuthenticationError, ClosedError, ErrorKind, PanelError
from ..journal import Entry, EntryState, Journal

__all__ = ["SendTasks", "key_rejection", "made_progress"]

_LOG = logging.getLogger("smmfanfast_async")


class Send(Protocol):
    """Sends an entry; `is_awaited` says whether a caller waits for it."""

    def __call__(self, entry: Entry, *, is_awaited: bool) -> Coroutine[Any, Any, Entry]: ...


@define(kw_only=True)
class SendTasks:
    """Starts at most one sending task per ref of a desk, and lets callers wait for it."""

    journal: Journal
    send: Send
    check_open: Callable[[], None]
    """Raises `ClosedError` if the desk is not open."""
    on_done: Callable[[], None]
    """Called after each task."""
    reload_s: float
    """Seconds for which a caller whose `wait_s` has passed waits for its current entry."""
    tasks: dict[str, "asyncio.Task[Entry]"] = field(factory=dict)

    def start(self, entry: Entry, *, is_awaited: bool = False) -> "asyncio.Task[Entry]":
        """Send an entry, or join the task that does."""
        self.check_open()
        task = self.tasks.get(entry.ref)
        if task is None:
            task = asyncio.create_task(self.send(entry, is_awaited=is_awaited))
            self.add(entry.ref, task)
        return task

    def add(self, ref: str, task: "asyncio.Task[Entry]") -> None:
        """Keep a task until it is done."""
        self.tasks[ref] = task
        task.add_done_callback(lambda done: self._on_task_done(ref, done))

    async def wait(self, entry: Entry, wait_s: float | None = None) -> Entry:
        """Return the outcome of an entry; if that takes longer than `wait_s`, the current entry.

        If the journal does not return it at once, the entry is returned as it was passed.
        """
        if entry.state not in (EntryState.PREPARED, EntryState.SENDING):
            return entry
        task = self.start(entry, is_awaited=True)
        done, _ = await asyncio.wait({task}, timeout=wait_s)
        if not done:
            return await self._reload(entry)
        if task.cancelled():
            raise ClosedError("the desk was closed", action="add")
        try:
            return task.result()
        except PanelError as error:
            # Other callers may wait for the same order: each gets an error object of its own.
            raise copy.copy(error) from error

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

    def _on_task_done(self, ref: str, task: "asyncio.Task[Entry]") -> None:
        del self.tasks[ref]
        if not task.cancelled() and (error := task.exception()) is not None:
            # Logged here, since its caller may be gone, or be the follower.
            bug = None if isinstance(error, PanelError) else error
            _LOG.warning("%r could not be sent: %s", ref, error, exc_info=bug)
        self.on_done()

    async def _reload(self, entry: Entry) -> Entry:
        try:
            async with asyncio.timeout(self.reload_s):
                current = await self.journal.find(entry.ref)
        except TimeoutError:
            return entry
        assert current is not None, "an entry is never deleted"  # noqa: S101
        return current


def made_progress(task: "asyncio.Task[Entry]") -> bool:
    """Return whether a send ended in a way that would not be repeated at once.

    Raises `ClosedError` if the desk or the client is closed; other errors are in the log.
    """
    if task.cancelled():
        return False
    error = task.exception()
    if isinstance(error, ClosedError):
        raise error
    if error is not None:
        return False
    return task.result().state is not EntryState.PREPARED


def key_rejection(task: "asyncio.Task[Entry]") -> PanelError | None:
    """Return the refusal of an order whose text means that the key is rejected; None if none."""
    if task.cancelled() or task.exception() is not None:
        return None
    entry = task.result()
    if entry.state is EntryState.REFUSED and entry.kind is ErrorKind.AUTH:
        return AuthenticationError(entry.reason or "", action="add")
    return None
