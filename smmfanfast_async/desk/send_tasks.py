"""The tasks that send orders, one per ref; they outlive the callers who wait for them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from attrs import define

from ..errors import AuthenticationError, ClosedError, ErrorKind, PanelError
from ..journal import Entry, EntryState, Journal
from .tasks import Tasks, result_of

__all__ = ["SendTasks", "key_rejection", "made_progress"]


class Send(Protocol):
    """Sends an entry; `is_awaited` says whether a caller waits for it."""

    def __call__(self, entry: Entry, *, is_awaited: bool) -> Coroutine[Any, Any, Entry]: ...


@define(kw_only=True)
class SendTasks(Tasks[str, Entry]):
    """Starts at most one sending task per ref of a desk, and lets callers wait for it."""

    journal: Journal
    send: Send
    check_open: Callable[[], None]
    """Raises `ClosedError` if the desk is not open."""
    reload_s: float
    """Seconds for which a caller whose `wait_s` has passed waits for its current entry."""

    def start(self, entry: Entry, *, is_awaited: bool = False) -> "asyncio.Task[Entry]":
        """Send an entry, or join the task that does."""
        self.check_open()
        task = self.tasks.get(entry.ref)
        if task is None:
            task = asyncio.create_task(self.send(entry, is_awaited=is_awaited))
            self.add(entry.ref, task)
        return task

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
        return result_of(task, "add")

    def _describe_failure(self, key: str) -> str:
        return f"{key!r} could not be sent"

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
