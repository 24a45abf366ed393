"""A panel for the recipes, Django's settings, and a minimal server for an ASGI application.

These tests need an environment of their own (extra `recipes`) with every framework: a missing one
is an error.
"""

import asyncio
import warnings
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings

from smmfanfast_async import PollPolicy
from smmfanfast_async.sandbox import Sandbox

API_KEY = "test-key-of-the-recipes"
EXISTING_ORDERS = 200

FOLLOW_S = 120
"""Seconds after which a desk that does not follow an order fails its test."""

SERVE_S = 120
"""Seconds after which an application that hangs fails its test."""

with warnings.catch_warnings():
    # discord.py imports audioop, which Python 3.11 and 3.12 warn about.
    warnings.simplefilter("ignore", DeprecationWarning)
    import discord  # noqa: F401

settings.configure(ROOT_URLCONF="with_django", SECRET_KEY="test", ALLOWED_HOSTS=["127.0.0.1"])


@pytest_asyncio.fixture
async def panel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Sandbox]:
    """Start a panel and name it in the environment; the journal is in a temporary folder."""
    caplog.set_level("DEBUG")
    async with Sandbox(api_key=API_KEY, speed=0, existing_orders=EXISTING_ORDERS) as started:
        monkeypatch.setenv("SMMFANFAST_API_KEY", started.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", started.url)
        monkeypatch.chdir(tmp_path)
        yield started
        assert not is_followed()
        assert API_KEY not in caplog.text


@pytest.fixture
def polls_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make desks poll orders without a delay."""
    defaults = PollPolicy.__init__.__kwdefaults__ or {}
    quick = defaults | {"min_interval_s": 0.01, "max_interval_s": 0.01}
    monkeypatch.setattr(PollPolicy.__init__, "__kwdefaults__", quick)


def is_followed() -> bool:
    """Return whether a recipe's task that follows orders runs on this loop."""
    return "follow" in {task.get_coro().__name__ for task in asyncio.all_tasks()}


@asynccontextmanager
async def serve(app: Any) -> AsyncIterator[Any]:
    """Start and stop an ASGI application as a server does, and pass its state to each request."""
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}

    async def with_state(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    async def send_lifespan(kind: str) -> None:
        await to_app.put({"type": kind})
        answer = await from_app.get()
        assert answer["type"] == f"{kind}.complete", answer

    async with asyncio.timeout(SERVE_S), asyncio.TaskGroup() as group:
        group.create_task(app(scope, to_app.get, from_app.put))
        await send_lifespan("lifespan.startup")
        try:
            yield with_state
        finally:
            await send_lifespan("lifespan.shutdown")
