"""Fixtures: both databases, empty for each test, and journals on them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from support import prepared
from support.journals import Clock, Journals, open_journals
from support.postgres import PostgresServer, shared_server

from smmfanfast_async.journal.sql import SQLJournal


@pytest.fixture(scope="session")
def postgres() -> PostgresServer:
    return shared_server()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}"


@pytest.fixture
def path(sqlite_url: str) -> Path:
    """The file of that address."""
    return path_of(sqlite_url)


def path_of(sqlite_url: str) -> Path:
    return Path(sqlite_url.partition(":///")[2])


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """Tests with a journal run on both databases, unless they override this with one."""
    name: str = request.param
    return name


@pytest.fixture
def has_tables() -> bool:
    """Whether the database has the journal's tables; a module overrides it to create them."""
    return True


@pytest_asyncio.fixture
async def url(backend: str, request: pytest.FixtureRequest, *, has_tables: bool) -> str:
    if backend == "sqlite":
        sqlite_url: str = request.getfixturevalue("sqlite_url")
        return await prepared.sqlite_url(path_of(sqlite_url)) if has_tables else sqlite_url
    server: PostgresServer = request.getfixturevalue("postgres")
    return await (prepared.postgres_url() if has_tables else server.fresh())


@pytest_asyncio.fixture
async def journals(url: str) -> AsyncIterator[Journals]:
    async with open_journals(url) as opened:
        yield opened


@pytest.fixture
def clock(journals: Journals) -> Clock:
    return journals.clock


@pytest_asyncio.fixture
async def journal(journals: Journals) -> SQLJournal:
    return await journals()
