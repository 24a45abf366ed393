"""A world for each test; waits of the desk that are made short."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support.postgres import shared_server

from smmfanfast_async.desk import backoff, feed, following

from .world import World, world_on


@pytest.fixture
def backend() -> str:
    """SQLite, unless a test sets it."""
    return "sqlite"


@pytest_asyncio.fixture
async def world(backend: str, tmp_path: Path) -> AsyncIterator[World]:
    if backend == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}"
    else:
        url = await shared_server().fresh()
    async with world_on(url) as made:
        yield made


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (
        ("IDLE_S", 0.02),
        ("SEND_EVERY_S", 0.02),
        ("MAINTENANCE_S", 0.05),
    ):
        monkeypatch.setattr(following, name, seconds)
    monkeypatch.setattr(backoff, "BACKOFF_S", 0.05)
    monkeypatch.setattr(backoff, "MAX_BACKOFF_S", 0.2)
    monkeypatch.setattr(feed, "EVENTS_EVERY_S", 0.02)
