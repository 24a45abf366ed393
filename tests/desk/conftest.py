"""A world for each test."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support import prepared

from .world import World, open_world

PATIENCE_S = 600.0
"""Seconds for a status call of a desk, with the parts that it is split into."""


@pytest.fixture
def backend() -> str:
    """SQLite, unless a test overrides it."""
    return "sqlite"


@pytest.fixture
def world_options() -> dict[str, Any]:
    """Options of the panel, unless a module overrides them."""
    return {}


@pytest.fixture(autouse=True)
def patient_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A panel that answers late because the machine is busy has not failed."""
    module = "smmfanfast_async._engine.failed_batches"
    monkeypatch.setattr(f"{module}.MIN_PATIENCE_S", PATIENCE_S)
    monkeypatch.setattr("smmfanfast_async.desk.checking.CHECK_TIMEOUT_S", PATIENCE_S)


@pytest_asyncio.fixture
async def world(
    backend: str, tmp_path: Path, world_options: dict[str, Any]
) -> AsyncIterator[World]:
    if backend == "sqlite":
        url = await prepared.sqlite_url(tmp_path / "orders.db")
    else:
        url = await prepared.postgres_url()
    async with open_world(url, **world_options) as opened:
        yield opened
