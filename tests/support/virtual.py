"""Run a coroutine on a loop with virtual time, and check what it leaves behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from simulation.virtual_loop import VirtualLoop

__all__ = ["run", "turns"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; a wait that nothing can end, loop errors and remaining tasks are errors."""
    loop = VirtualLoop()
    try:
        result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, left
        assert not loop.loop_errors, loop.loop_errors
        return result
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(_ended(left))
        loop.close()


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


async def turns(number: int = 20) -> None:
    """Run everything that needs no time."""
    for _ in range(number):
        await asyncio.sleep(0)
