"""The hand-written loops that the order desk is compared with, on the bare drivers.

Each makes the same calls to the panel as the desk, commits to the same tables, and does nothing
that such a loop could do without: no models, no retries, no checks of what it reads.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp
import aiosqlite
import asyncpg  # type: ignore[import-untyped]  # it has no types
import orjson
from panel import KEY
from sqlalchemy.engine import make_url

__all__ = ["ACCOUNT", "FloorDatabase", "Row", "follow_by_hand", "open_floor", "place_by_hand"]

ACCOUNT = "benchmark"
BATCH, TASKS = 100, 10
"""Orders of a status call, and calls at once, as the desk's."""
LEASE_US = 120_000_000
"""Microseconds for which a claim hides an order."""
FAR_US = 10_000_000_000_000
"""Microseconds until the next check: each order is checked once during a measurement."""
POOL_SIZE = 10
"""PostgreSQL connections, as many as a journal's."""

Row = Sequence[Any]


class Statements(Protocol):
    """The statements of one transaction."""

    async def rows(self, sql: str, *values: object) -> Sequence[Row]:
        """Run a statement and return its rows."""
        ...

    async def many(self, sql: str, values: Sequence[Row]) -> None:
        """Run a statement for each of some rows."""
        ...


Transaction = Callable[[Callable[[Statements], Awaitable[Any]]], Awaitable[Any]]
"""Runs a function in a transaction; `FloorDatabase.run`."""


class FloorDatabase(Protocol):
    """A database on its bare driver."""

    async def run(self, work: Callable[[Statements], Awaitable[Any]]) -> Any:
        """Run a function in a transaction and commit it durably."""
        ...


class _SQLite:
    """One connection, whose transactions take turns."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()

    async def rows(self, sql: str, *values: object) -> Sequence[Row]:
        return list(await self._connection.execute_fetchall(sql, values))

    async def many(self, sql: str, values: Sequence[Row]) -> None:
        await self._connection.executemany(sql, values)

    async def run(self, work: Callable[[Statements], Awaitable[Any]]) -> Any:
        async with self._lock:
            await self._connection.execute("BEGIN IMMEDIATE")
            result = await work(self)
            await self._connection.commit()
        return result


class _PostgreSQL:
    """A pool of connections; the driver prepares each statement once."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def run(self, work: Callable[[Statements], Awaitable[Any]]) -> Any:
        async with self._pool.acquire() as connection, connection.transaction():
            return await work(_PostgreSQLStatements(connection))


class _PostgreSQLStatements:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, sql: str, *values: object) -> Sequence[Row]:
        found: Sequence[Row] = await self._connection.fetch(_numbered(sql), *values)
        return found

    async def many(self, sql: str, values: Sequence[Row]) -> None:
        await self._connection.executemany(_numbered(sql), values)


def _numbered(sql: str) -> str:
    """Return a statement with PostgreSQL's parameters instead of `?`."""
    first, *others = sql.split("?")
    return first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))


@asynccontextmanager
async def open_floor(url: str) -> AsyncGenerator[FloorDatabase, None]:
    """Yield a journal's database on the bare driver, with the durability of the journal."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        async with aiosqlite.connect(address.database or "", isolation_level=None) as connection:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
                await connection.execute(f"PRAGMA {pragma}")
            yield _SQLite(connection)
        return
    plain = address.set(drivername="postgresql").render_as_string(hide_password=False)
    async with asyncpg.create_pool(plain, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        yield _PostgreSQL(pool)


def now_us() -> int:
    """Return the time as a journal stores it."""
    return int(datetime.now(UTC).timestamp() * 1_000_000)


# --- following -----------------------------------------------------------------------------------

CLAIM = """UPDATE smm_orders SET claim_version = claim_version + 1, due_at = ?
WHERE id IN (SELECT id FROM smm_orders WHERE account = ? AND panel = 'default'
    AND state = 'accepted' AND due_at <= ? ORDER BY due_at LIMIT ? {lock})
RETURNING id, claim_version, panel_order, ref"""
RECORD = """UPDATE smm_orders SET raw_status = ?, charge = ?, remains = ?, checked_at = ?,
due_at = ?, claim_version = claim_version + 1
WHERE id = ? AND claim_version = ? AND state = 'accepted'"""
RESERVE = """UPDATE smm_accounts SET last_event = last_event + ? WHERE account = ?
RETURNING last_event"""
EVENT = """INSERT INTO smm_events (account, position, at, ref, kind, attempt, panel, panel_order,
    raw_status, charge, remains) VALUES (?, ?, ?, ?, 'changed', 1, 'default', ?, ?, ?, ?)"""


async def follow_by_hand(
    database: FloorDatabase, url: str, orders: int, *, is_sqlite: bool, has_events: bool
) -> int:
    """Claim, ask and record until so many orders are checked; return how many were.

    Two transactions for each batch: a claim, and the results, each of which is written only while
    its claim is valid. With `has_events`, an event for each too. The desk has such transactions
    too, for up to ten batches each.
    """
    claim_sql = CLAIM.format(lock="" if is_sqlite else "FOR UPDATE SKIP LOCKED")
    done = 0
    started = 0

    async def claim(run: Statements) -> Sequence[Row]:
        now = now_us()
        return await run.rows(claim_sql, now + LEASE_US, ACCOUNT, now, BATCH)

    async def loop(session: aiohttp.ClientSession) -> None:
        nonlocal done, started
        while started < orders:
            started += BATCH
            claims = {row[2]: row for row in await database.run(claim)}
            form = {"key": KEY, "action": "status", "orders": ",".join(claims)}
            async with session.post(url, data=form) as response:
                statuses = orjson.loads(await response.read())
            now = now_us()
            checks = [
                (each["status"], each["charge"], int(each["remains"]), now, now + FAR_US,
                 claims[order][0], claims[order][1])
                for order, each in statuses.items()
            ]  # fmt: skip

            async def record(
                run: Statements,
                checks: Sequence[Row] = checks,
                claims: dict[str, Row] = claims,
                now: int = now,
            ) -> None:
                await run.many(RECORD, checks)
                if has_events:
                    last = (await run.rows(RESERVE, len(checks), ACCOUNT))[0][0]
                    first = last - len(checks) + 1
                    await run.many(EVENT, [
                        (ACCOUNT, first + number, now, claims[order][3], order, *check[:3])
                        for number, (order, check) in enumerate(zip(claims, checks, strict=True))
                    ])  # fmt: skip

            await database.run(record)
            done += len(checks)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(loop(session) for _ in range(TASKS)))
    return done


# --- placing -------------------------------------------------------------------------------------

INSERT = """INSERT INTO smm_orders (account, ref, digest, form, link, quantity, price, budget_day,
    created_at, state, attempt, due_at, was_unknown, is_pinned, miss_count, claim_version)
VALUES (?, ?, 'x', ?, ?, ?, '0.51', '2030-01-01', ?, 'prepared', 0, ?, {false}, {false}, 0, 0)"""
SEND = """UPDATE smm_orders SET state = 'sending', attempt = 1, panel = ?, lease_until = ?,
sent_at = ? WHERE account = ? AND ref = ? AND state = 'prepared'"""
ACCEPT = """UPDATE smm_orders SET state = 'accepted', panel_order = ?, order_number = ?,
settled_at = ?, due_at = ?, lease_until = NULL
WHERE account = ? AND ref = ? AND state = 'sending' AND attempt = 1"""
ACCEPTED_EVENT = """INSERT INTO smm_events (account, position, at, ref, kind, attempt, panel,
    panel_order) VALUES (?, ?, ?, ?, 'accepted', 1, ?, ?)"""


async def place_by_hand(
    database: FloorDatabase,
    account: str,
    ref: str,
    add: Callable[[], Awaitable[tuple[str, str]]],
    *,
    is_sqlite: bool,
) -> None:
    """Store an order, mark it as being sent, send it, and store what became of it.

    Three commits, as the desk's. `add` returns the panel and its order.
    """
    insert = INSERT.format(false="0" if is_sqlite else "false")
    link, now = f"https://example.com/{ref}", now_us()
    form = f'{{"service":"5","link":"{link}","quantity":"1000"}}'
    await database.run(lambda run: run.rows(insert, account, ref, form, link, 1000, now, now))
    await database.run(lambda run: run.rows(SEND, "default", now + LEASE_US, now, account, ref))
    panel, order = await add()

    async def accept(run: Statements) -> None:
        number = f"{account}/{order}"
        await run.rows(ACCEPT, order, number, now_us(), now + LEASE_US, account, ref)
        last = (await run.rows(RESERVE, 1, account))[0][0]
        await run.rows(ACCEPTED_EVENT, account, last, now_us(), ref, panel, order)

    await database.run(accept)
