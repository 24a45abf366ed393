"""A world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.postgres import shared_server

from .world import World, open_world


@pytest.fixture
def backend() -> str:
    """SQLite, unless a test overrides it."""
    return "sqlite"


@pytest.fixture
def world_options() -> dict[str, Any]:
    """Options of the panel, unless a module overrides them."""
    return {}


@pytest_asyncio.fixture
async def world(
    backend: str, tmp_path: Path, world_options: dict[str, Any]
) -> AsyncIterator[World]:
    if backend == "sqlite":
        url = f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}"
    else:
        url = await shared_server().fresh()
    async with open_world(url, **world_options) as opened:
        yield opened
