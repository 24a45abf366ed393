"""The callers' own transactions that `enqueue` took part in, while they are open."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from attrs import define, field

from ..errors import InvalidOrderError

__all__ = ["OwnTransactions"]


@define
class OwnTransactions:
    """Knows which tasks have enqueued an order in a transaction of their own."""

    _task_of: "WeakKeyDictionary[Any, asyncio.Task[Any] | None]" = field(factory=WeakKeyDictionary)
    """By connection or session; only what the journal has accepted as one."""

    def add(self, connection: object) -> None:
        """Remember that the current task uses a transaction."""
        self._task_of[connection] = asyncio.current_task()

    def check_none_open(self, ref: str) -> None:
        """Raise `InvalidOrderError` if the current task has one that is open.

        Its locks would be waited for, by the very task that has to release them.
        """
        task = asyncio.current_task()
        if any(
            task_of is task and connection.in_transaction()
            for connection, task_of in self._task_of.items()
        ):
            reason = (
                "would wait for your own transaction, which is still open; use"
                " `enqueue(…, connection=…)` in it, or commit it first"
            )
            raise InvalidOrderError("OrderDesk.place", "ref", ref, reason)
