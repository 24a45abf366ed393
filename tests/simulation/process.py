"""A process of the client's side, which can end at any moment, without any clean-up."""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import ContextVar, copy_context
from typing import Any

from attrs import define, field

__all__ = ["PROCESS", "Process", "create_task"]

PROCESS: ContextVar["Process"] = ContextVar("PROCESS")
"""Whose code is running; not set in that of the simulation itself."""


@define(eq=False)
class Process:
    """One process; its tasks, connections and files end with it."""

    number: int = 0
    disk_s: float = 0.0
    """Seconds that each call to a database takes."""
    is_alive: bool = True
    tasks: set[asyncio.Task[Any]] = field(factory=set)
    """Everything that runs in it."""
    on_end: list[Callable[[], None]] = field(factory=list)
    """What its kernel does when it ends."""

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task in it; what that starts is in it too."""
        context = copy_context()
        context.run(PROCESS.set, self)
        return asyncio.get_running_loop().create_task(coroutine, context=context)

    def end(self) -> None:
        """End it: nothing that it does from here on has an effect."""
        self.is_alive = False
        for each in self.on_end:
            each()
        for task in self.tasks:
            task.cancel()


def create_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    """Create a task, and note whose it is; the task factory of a loop."""
    task = asyncio.Task(coroutine, loop=loop, **options)
    context = options.get("context") or copy_context()
    process = context.get(PROCESS)
    if process is not None:
        process.tasks.add(task)
        task.add_done_callback(process.tasks.discard)
    return task
