"""Processes for tests, forked from one that has imported the library: each starts in milliseconds.

They are killed like any other; what they would measure of the coverage is lost with them, so they
measure none.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from unittest import mock

__all__ = ["CONTEXT", "PRELOADED", "start_process"]

TESTS = Path(__file__).parent.parent
PRELOADED = [
    "support.command",
    "support.killing_child",
    "support.wallet_child",
    "smmfanfast_async.cli._app",
    "smmfanfast_async.cli.commands.orders",
]

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


def start_process(run: Callable[..., Any], *args: object) -> ForkServerProcess:
    """Call a function of a module in a process of its own."""
    # The server ignores what it cannot import, and does not get the `sys.path` of this process.
    with mock.patch.dict(os.environ, PYTHONPATH=str(TESTS)):
        os.environ.pop("COVERAGE_PROCESS_START", None)
        process = CONTEXT.Process(target=run, args=args)
        process.start()
    return process
