"""Shared by all tests: the `pytester` fixture, the `postgres` marker, the event loop."""

import asyncio
import signal
import warnings
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# No example fails because the machine is slow.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Only the conftest at the top may name plugins.
pytest_plugins = ["pytester"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As for a command that a shell script starts with `&`. The processes that tests start inherit
    # it, and some of them are interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need a PostgreSQL server: by fixture, or by the backend they run on."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        backends = () if callspec is None else callspec.params.values()
        if "postgres" in getattr(item, "fixturenames", ()) or "postgresql" in map(str, backends):
            item.add_marker(pytest.mark.postgres)


@pytest.fixture(scope="session", autouse=True)
def _close_the_event_loop_of_the_thread() -> Iterator[None]:
    """Keep a reference to a loop that pytest-asyncio 1.1 leaves open, and close it.

    To restore the thread's loop later, it asks for it; if there is none, asking creates one. That
    loop is orphaned when anyio or `asyncio.run` sets the thread's loop to None, and its sockets are
    reported as unclosed in whatever test runs when they are garbage-collected.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            loop = asyncio.get_event_loop_policy().get_event_loop()
        except RuntimeError:  # as Python 3.14 raises if there is none
            loop = asyncio.new_event_loop()
    yield
    loop.close()
