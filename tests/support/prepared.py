"""Databases with the journal's tables, for tests that are not about creating them.

To create them takes longer than most tests do. SQLite's file is a copy of one that was made once;
PostgreSQL's tables are emptied, as long as they are as the journal makes them.
"""

import tempfile
from pathlib import Path

from asyncpg import Connection, Record
from sqlalchemy import delete

from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.schema import SCHEMA_VERSION, metadata, versions

from .postgres import CLOSE_OTHERS, PostgresServer, shared_server

__all__ = ["postgres_url", "sqlite_url"]

SHAPE = """
SELECT md5(string_agg(part, ';' ORDER BY part)) FROM (
    SELECT concat_ws(' ', relname, relkind, reltuples, pg_relation_size(oid) / 1000000) AS part
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', relname, attname, atttypid, attnotnull, atthasdef)
        FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL SELECT tgname FROM pg_trigger
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS parts
"""
"""What tells tables that a test has changed, analysed or filled with much from new ones."""

EMPTY = ";".join(
    [
        *(str(delete(table)) for table in metadata.sorted_tables),
        f"INSERT INTO {versions.name} VALUES (1, {SCHEMA_VERSION}, 0)",  # noqa: S608  # a number
        "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences",
    ]
)

_file = b""
"""A SQLite file with the tables, once it was made."""

_shapes: dict[PostgresServer, str] = {}
"""What the tables of a server are like when they are new."""


async def sqlite_url(path: Path) -> str:
    """Write a file with empty tables, and return its address."""
    global _file  # noqa: PLW0603  # made once
    if not _file:
        with tempfile.TemporaryDirectory() as folder:
            template = Path(folder) / "template.db"
            await _create_tables(f"sqlite+aiosqlite:///{template}")
            _file = template.read_bytes()
    path.write_bytes(_file)  # noqa: ASYNC240
    return f"sqlite+aiosqlite:///{path}"


async def postgres_url() -> str:
    """Return the address of the shared server's database, with empty tables."""
    server = shared_server()
    server.start()
    connection = await server.connect()
    try:
        await connection.execute(CLOSE_OTHERS)
        if server in _shapes and _shapes[server] == await _read_shape(connection):
            await connection.execute(EMPTY)
            return server.url
    finally:
        await connection.close()
    url = await server.fresh()
    await _create_tables(url)
    connection = await server.connect()
    try:
        _shapes[server] = await _read_shape(connection)
    finally:
        await connection.close()
    return url


async def _create_tables(url: str) -> None:
    journal = SQLJournal(url).for_account("none")
    await journal.open()
    await journal.aclose()


async def _read_shape(connection: "Connection[Record]") -> str:
    shape: str = await connection.fetchval(SHAPE)
    return shape
