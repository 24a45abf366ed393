"""Processes for tests, forked from one that has imported the library: each starts in milliseconds.

They are killed like any other; what they would measure of the coverage is lost with them, so they
measure none.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from typing import Any

__all__ = ["CONTEXT", "start_process"]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["support.killing_child", "support.wallet_child"])


def start_process(run: Callable[..., Any], *args: object) -> ForkServerProcess:
    """Call a function of a module in a process of its own."""
    measured = os.environ.pop("COVERAGE_PROCESS_START", None)
    try:
        process = CONTEXT.Process(target=run, args=args)
        process.start()
    finally:
        if measured is not None:
            os.environ["COVERAGE_PROCESS_START"] = measured
    return process
