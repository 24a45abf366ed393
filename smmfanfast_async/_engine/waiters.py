"""The callers that wait for the keys of a group. Knows nothing of batches.

How this works. A key has one waiter as a rule, and others that joined it at times. They are kept in
dicts by key: an object for each key would be one more that the garbage collector traverses again
and again, which with 10,000 callers costs a tenth of a call.
"""

import asyncio
import copy
from collections.abc import Iterator, Mapping
from contextvars import Context
from itertools import islice
from typing import Generic, TypeVar

__all__ = ["Waiters", "mark_retrieved"]

K = TypeVar("K")
R = TypeVar("R")
T = TypeVar("T")


class Waiters(Generic[K, R]):
    """Keys and their waiters, each with its deadline on the clock of the event loop."""

    __slots__ = ("contexts", "deadlines_s", "futures", "joined")

    def __init__(self) -> None:
        self.futures: dict[K, asyncio.Future[R]] = {}
        """The first waiter of each key, keys in the order of arrival."""
        self.deadlines_s: dict[K, float] = {}
        """The deadlines of the first waiters."""
        self.joined: dict[K, dict[asyncio.Future[R], float]] = {}
        """The other waiters of a key, and their deadlines."""
        self.contexts: dict[K, Context] = {}
        """The context of the first caller of a key, if it may be the first key of a batch."""

    def __contains__(self, key: object) -> bool:
        return key in self.futures

    def __iter__(self) -> Iterator[tuple[K, asyncio.Future[R], float]]:
        """Iterate over all waiters of a key after those of the key before."""
        for key, future in self.futures.items():
            yield key, future, self.deadlines_s[key]
            for other, deadline_s in self.joined.get(key, {}).items():
                yield key, other, deadline_s

    def join(self, key: K, future: asyncio.Future[R], deadline_s: float) -> None:
        """Add a waiter to a key that has one."""
        self.joined.setdefault(key, {})[future] = deadline_s

    def remove(self, key: K, future: asyncio.Future[R]) -> bool:
        """Remove a waiter, and its key with the last one; return False if it is not here."""
        others = self.joined.get(key, {})
        if self.futures.get(key) is future:
            if others:
                first = next(iter(others))
                self.futures[key], self.deadlines_s[key] = first, others.pop(first)
            else:
                del self.futures[key], self.deadlines_s[key]
                self.contexts.pop(key, None)
        elif others.pop(future, None) is None:
            return False
        if not others:
            self.joined.pop(key, None)
        return True

    def take(self, count: int) -> "Waiters[K, R]":
        """Move the first keys to another object, and return it."""
        taken: Waiters[K, R] = Waiters()
        keys = list(islice(self.futures, count))
        taken.futures = {key: self.futures.pop(key) for key in keys}
        taken.deadlines_s = {key: self.deadlines_s.pop(key) for key in keys}
        for key in keys if self.joined else ():
            if key in self.joined:
                taken.joined[key] = self.joined.pop(key)
        for key in keys if self.contexts else ():
            if key in self.contexts:
                taken.contexts[key] = self.contexts.pop(key)
        return taken

    def last_deadline_s(self) -> float:
        """Return the latest deadline of all waiters; there is at least one."""
        last_s = max(self.deadlines_s.values())
        for others in self.joined.values():
            last_s = max(last_s, *others.values())
        return last_s

    def expire(self, now_s: float) -> None:
        """Raise `TimeoutError` to the waiters past their deadline, and remove them."""
        for key, future, deadline_s in list(self):
            if deadline_s <= now_s:
                if not future.done():
                    future.set_exception(TimeoutError())
                mark_retrieved(future)
                self.remove(key, future)

    def resolve(self, results: Mapping[K, R | Exception]) -> None:
        """Pass its result or error to each waiter, as a separate object for each."""
        for key, future in self.futures.items():
            result = results[key] if key in results else KeyError(key)
            if isinstance(result, Exception):
                self._fail_key(key, result)
                continue
            if not future.done():
                future.set_result(result)
            for other in self.joined.get(key, ()) if self.joined else ():
                if not other.done():
                    other.set_result(_copy(result))

    def fail(self, error: BaseException) -> None:
        """Raise an error to all waiters, a copy to each."""
        for key in self.futures:
            self._fail_key(key, error)

    def _fail_key(self, key: K, error: BaseException) -> None:
        for future in (self.futures[key], *self.joined.get(key, ())):
            if not future.done():
                copied = _copy(error)
                copied.__cause__ = error.__cause__
                future.set_exception(copied)


def mark_retrieved(future: asyncio.Future[R]) -> None:
    """Read the error of a future, if any: asyncio reports one that nothing has read."""
    if future.done() and not future.cancelled():
        future.exception()


def _copy(value: T) -> T:
    """Return a copy; a value that cannot be copied is shared rather than lost."""
    try:
        copied = copy.copy(value)
    except Exception:  # noqa: BLE001  # the copy protocol of a class may raise anything
        return value
    return copied if type(copied) is type(value) else value
