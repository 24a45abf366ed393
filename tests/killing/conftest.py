"""A new database for each test, on SQLite and on PostgreSQL, and a panel."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from support import prepared
from support.killing import Child

from .panels import Panel


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest_asyncio.fixture
async def url(backend: str, tmp_path: Path) -> str:
    if backend == "sqlite":
        return await prepared.sqlite_url(tmp_path / "orders.db")
    return await prepared.postgres_url()


@pytest_asyncio.fixture
async def panel() -> AsyncIterator[Panel]:
    async with Panel(balance=Decimal(10**6)) as started:
        yield started
        # A test that failed has left its children running.
        for child in list(Child.alive):
            await child.kill()
