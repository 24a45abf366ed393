"""Run a coroutine on a loop with virtual time, and check what it leaves behind."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from simulation.virtual_loop import VirtualLoop

__all__ = ["run", "turns"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; endless waits, loop errors and remaining tasks are errors."""
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
        loop.run_until_complete(_wait_for(left))
        loop.close()


async def _wait_for(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


async def turns(number: int = 20) -> None:
    """Run everything that is ready without advancing the time."""
    for _ in range(number):
        await asyncio.sleep(0)
