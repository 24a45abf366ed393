"""What all tests share: the tool that runs pytest inside a test, and the thread's event loop."""

import asyncio
import warnings
from collections.abc import Iterator

import pytest

# Only the conftest at the top may name plugins.
pytest_plugins = ["pytester"]


@pytest.fixture(scope="session", autouse=True)
def _close_the_loop_of_the_thread() -> Iterator[None]:
    """Keep and close a loop that pytest-asyncio 1.1 leaves open.

    To put it back later, it asks for the thread's loop; where there is none, asking makes one. It
    falls to nobody when anyio or `asyncio.run` sets the thread's loop to None, and its sockets are
    found open in whatever test runs when they are collected.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            loop = asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:  # as Python 3.14 says where there is none
            loop = asyncio.new_event_loop()
    yield
    loop.close()
