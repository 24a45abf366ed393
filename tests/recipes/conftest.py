"""A panel for the recipes, Django's settings, and what a server does for an ASGI application.

These tests have an environment of their own (extra `recipes`), which holds every framework: one
that is missing is an error here.
"""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings

from smmfanfast_async.sandbox import Sandbox

API_KEY = "test-key-of-the-recipes"
EARLIER_ORDERS = 200

SERVED_S = 120
"""Seconds for which an application is served: one that hangs ends its test."""

settings.configure(ROOT_URLCONF="with_django", SECRET_KEY="test", ALLOWED_HOSTS=["127.0.0.1"])


@pytest_asyncio.fixture
async def panel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Sandbox]:
    """Give the panel that the environment names; the journal goes to a folder of its own."""
    caplog.set_level("DEBUG")
    async with Sandbox(api_key=API_KEY, speed=0, existing_orders=EARLIER_ORDERS) as made:
        monkeypatch.setenv("SMMFANFAST_API_KEY", made.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", made.url)
        monkeypatch.chdir(tmp_path)
        yield made
        assert not is_followed()
        assert API_KEY not in caplog.text


def is_followed() -> bool:
    """Say whether a desk's `follow` runs on this loop, in the task that a recipe gave it."""
    return "follow" in {task.get_coro().__name__ for task in asyncio.all_tasks()}


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[Any]:
    """Start and stop an ASGI application as a server does, and hand its state to each request."""
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}

    async def with_state(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    async def told(kind: str) -> None:
        await to_app.put({"type": kind})
        answer = await from_app.get()
        assert answer["type"] == f"{kind}.complete", answer

    async with asyncio.timeout(SERVED_S), asyncio.TaskGroup() as group:
        group.create_task(app(scope, to_app.get, from_app.put))
        await told("lifespan.startup")
        try:
            yield with_state
        finally:
            await told("lifespan.shutdown")
