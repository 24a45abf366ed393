"""Measure the order desk: following a million open orders, and placing durably.

Run `python benchmarks/following.py` from the root of the project, with the extra `dev` installed.
For each database, SQLite in a file and a PostgreSQL of its own, it fills a journal with a million
open orders, and lets one process and then four follow them for some seconds against the stand-in
panel, twice: at the first look, where every order changes, and later, where most stand still.
Beside them runs the bare floor: the same batches by hand, aiohttp and orjson, and one `executemany`
a batch. Then orders are placed one after the other, each durably.

`--quick` is a smoke test; `--json FILE` keeps figures, `--from FILE` shows kept ones, `--charts`
draws following.svg beside this file.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from charts import bars, svg
from goals import aligned
from measuring import Spread, spread
from panel import KEY, Panel, started
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from smmfanfast_async import Client, DefaultOrder, PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Claim
from smmfanfast_async.journal.sql import SQLJournal

HERE = Path(__file__).parent

ORDERS, QUICK_ORDERS = 1_000_000, 2_000
WINDOW_S, QUICK_WINDOW_S = 20.0, 2.0
"""Seconds that each contestant follows."""
ADDS, QUICK_ADDS = 300, 20
ADD_ROUNDS, QUICK_ADD_ROUNDS = 5, 1
FAR_S = 10_000_000.0
"""Seconds until an order is looked at again: in a window each is looked at once."""
BATCH, FLOOR_TASKS = 100, 10
ACCOUNT = "benchmark"

# --- filling -------------------------------------------------------------------------------------

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {orders})",
    "postgresql": "WITH n AS (SELECT i FROM generate_series(1, {orders}) AS i)",
}
FILL = """{numbers}
INSERT INTO smm_orders (account, ref, digest, form, link, quantity, price, budget_day, created_at,
    state, attempt, due_at, was_unknown, panel_order, miss_count, claim_version)
SELECT '{account}', 'ref-' || i, 'x', '{{}}', 'https://example.com/' || i, 1000, '0.51',
    '2030-01-01', {now}, 'accepted', 1, {now} - {orders} + i, {false}, '' || i, 0, 0 FROM n"""
# SQLite's grammar wants the insert before the list of numbers.
FILL_SQLITE = FILL.replace("{numbers}\n", "").replace("\nSELECT", "\n{numbers}\nSELECT")


async def fill(url: str, orders: int) -> None:
    """Make a journal of open orders that are all due."""
    journal = SQLJournal(url).for_account(ACCOUNT)
    await journal.open()
    await journal.aclose()
    engine = create_async_engine(url)
    kind = engine.dialect.name
    statement = FILL_SQLITE if kind == "sqlite" else FILL
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            statement.format(
                numbers=NUMBERS[kind].format(orders=orders),
                orders=orders,
                account=ACCOUNT,
                now=int(datetime.now(UTC).timestamp() * 1_000_000) - 60_000_000,
                false="0" if kind == "sqlite" else "false",
            )
        )
    await settled(engine)
    await engine.dispose()


async def settled(engine: AsyncEngine) -> None:
    """Let the database tidy up after a filling, so that no contestant pays for it."""
    async with engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name == "postgresql":
            await autocommit.exec_driver_sql("VACUUM ANALYZE smm_orders")
            await autocommit.exec_driver_sql("CHECKPOINT")
        else:
            await autocommit.exec_driver_sql("ANALYZE")
            await autocommit.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


async def all_due(url: str) -> None:
    """Let every open order be due again."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        await connection.exec_driver_sql(
            f"UPDATE smm_orders SET due_at = {now} WHERE state = 'accepted'"  # noqa: S608  # a number
        )
    await settled(engine)
    await engine.dispose()


async def looked_at(url: str) -> int:
    """Count the looks that the journal holds: each counts its claim up twice."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = (await connection.execute(text("SELECT sum(claim / 2) FROM smm_orders"))).scalar()
    await engine.dispose()
    return int(found or 0)


# --- a worker ------------------------------------------------------------------------------------


class Timed(SQLJournal):
    """A journal that says how long its claims took."""

    claims_ms: list[float]

    async def claim(self, limit: int, *, lease: timedelta) -> list[Claim]:
        """Claim, on a watch."""
        begin_s = time.perf_counter()
        found = await super().claim(limit, lease=lease)
        if found:
            self.claims_ms.append((time.perf_counter() - begin_s) * 1000)
        return found


async def work(url: str, panel_url: str, window_s: float) -> None:
    """Follow for some seconds; print what it took."""
    journal = Timed(url)
    journal.claims_ms = []
    poll = PollPolicy(min_interval_s=FAR_S, max_interval_s=FAR_S * 10)
    async with (
        Client(KEY, base_url=panel_url) as client,
        OrderDesk(client, journal, account=ACCOUNT, poll=poll) as desk,
    ):
        begin_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        with suppress(TimeoutError):
            async with asyncio.timeout(window_s):
                await desk.follow()
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    grown = {"claims_ms": journal.claims_ms, "peak_mb": peak_mb, "grown_mb": peak_mb - begin_mb}
    print(json.dumps(grown), flush=True)


async def follow(url: str, panel: Panel, workers: int, window_s: float) -> dict[str, Any]:
    """Let some processes follow; give orders a second, and what a claim took."""
    before = await looked_at(url)
    command = (str(Path(__file__)), "--worker", url, panel.url(), str(window_s))
    begin_s = time.perf_counter()
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(workers)
    ]
    said = [json.loads((await each.communicate())[0]) for each in processes]
    claims = sorted(ms for each in said for ms in each["claims_ms"])
    orders = await looked_at(url) - before
    return {
        "orders": orders,
        "orders_a_second": orders / window_s,
        "claim_p50_ms": claims[len(claims) // 2],
        "claim_p99_ms": claims[min(len(claims) - 1, len(claims) * 99 // 100)],
        "peak_mb": max(each["peak_mb"] for each in said),
        "grown_mb": max(each["grown_mb"] for each in said),
        "seconds": time.perf_counter() - begin_s,
    }


# --- the floor -----------------------------------------------------------------------------------

FLOOR_UPDATE = {
    "sqlite": "UPDATE smm_orders SET raw_status = ?, charge = ?, remains = ?, checked_at = ?, "
    "due_at = ? WHERE account = 'benchmark' AND panel_order = ?",
    "postgresql": "UPDATE smm_orders SET raw_status = $1, charge = $2, remains = $3, "
    "checked_at = $4, due_at = $5 WHERE account = 'benchmark' AND panel_order = $6",
}

Rows = list[tuple[Any, ...]]


@asynccontextmanager
async def writer(url: str) -> AsyncGenerator[Callable[[Rows], Awaitable[None]], None]:
    """Give what writes a batch by one `executemany` and a commit, on the bare driver."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        if engine.dialect.name == "postgresql":

            async def write(rows: Rows) -> None:
                await raw.executemany(FLOOR_UPDATE["postgresql"], rows)

        else:
            await raw.execute("PRAGMA journal_mode=WAL")
            await raw.execute("PRAGMA synchronous=FULL")

            async def write(rows: Rows) -> None:
                await raw.executemany(FLOOR_UPDATE["sqlite"], rows)
                await raw.commit()

        yield write
    await engine.dispose()


async def floor(url: str, panel: Panel, orders: int, window_s: float) -> dict[str, Any]:
    """Ask and write batch by batch, ten under way: no claims, no events, no moves."""
    done = 0
    batches = iter(range(1, orders + 1, BATCH))
    begin_s = time.perf_counter()
    lock = asyncio.Lock()
    async with aiohttp.ClientSession() as session, writer(url) as write:

        async def loop() -> None:
            nonlocal done
            for begin in batches:
                if time.perf_counter() - begin_s > window_s:
                    return
                ids = ",".join(map(str, range(begin, begin + BATCH)))
                form = {"key": KEY, "action": "status", "orders": ids}
                async with session.post(panel.url(), data=form) as response:
                    found = orjson.loads(await response.read())
                rows = [
                    (row["status"], row["charge"], int(row["remains"]), begin, begin, order)
                    for order, row in found.items()
                ]
                async with lock:
                    await write(rows)
                done += len(rows)

        await asyncio.gather(*(loop() for _ in range(FLOOR_TASKS)))
        taken_s = time.perf_counter() - begin_s
    return {"orders": done, "orders_a_second": done / taken_s}


# --- placing -------------------------------------------------------------------------------------


async def adds(url: str, panel: Panel, count: int, rounds: int) -> Spread:
    """Place orders one after the other; give orders a second."""
    found: list[float] = []
    async with (
        Client(KEY, base_url=panel.url()) as client,
        OrderDesk(client, SQLJournal(url), account="placing", record_balance=False) as desk,
    ):
        await client.services()
        for number in range(rounds):
            begin_s = time.perf_counter()
            for each in range(count):
                link = f"https://example.com/{number}/{each}"
                order = DefaultOrder(service=5, link=link, quantity=1000)
                entry = await desk.place(order, ref=f"{number}/{each}")
                entry.order_id()
            found.append(count / (time.perf_counter() - begin_s))
    return spread(found)


# --- the whole -----------------------------------------------------------------------------------


async def measure(
    fresh: Callable[[], Awaitable[str]], panel: Panel, size: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure one database; `fresh` gives the address of an empty one."""
    rows: list[dict[str, Any]] = []
    for workers in (1, 4):
        address = await fresh()
        begin_s = time.perf_counter()
        await fill(address, size.orders)
        note(f"filled with {size.orders:,} orders", begin_s)
        for look in ("first look", "later look"):
            if look == "later look":
                await all_due(address)
            found = await follow(address, panel, workers, size.window_s)
            rows.append({"what": look, "workers": workers, **found})
            note(f"{look}, {workers} at work", begin_s)
    begin_s = time.perf_counter()
    address = await fresh()
    await fill(address, size.orders)
    bare = await floor(address, panel, size.orders, size.window_s)
    rows.append({"what": "by hand, one executemany a batch", "workers": 1, **bare})
    note("the floor", begin_s)
    placed = await adds(await fresh(), panel, size.adds, size.add_rounds)
    rows.append({"what": "place(), durably", "workers": 1, "orders_a_second": placed.median,
                 "low": placed.low, "high": placed.high})  # fmt: skip
    return rows


def note(what: str, begin_s: float) -> None:
    """Say on the error stream how far it is."""
    print(f"  {what}: {time.perf_counter() - begin_s:.0f} s", file=sys.stderr, flush=True)


async def everything(size: argparse.Namespace) -> dict[str, Any]:
    """Measure both databases."""
    # The tests' own server; a worker needs none of it.
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.postgres import shared_server  # noqa: PLC0415

    results: dict[str, Any] = {"orders": size.orders, "window_s": size.window_s}
    # Four processes and a server of PostgreSQL want all cores that there are.
    async with started(is_pinned=False) as panel:
        with tempfile.TemporaryDirectory() as folder:
            names = (f"sqlite+aiosqlite:///{folder}/{number}.db" for number in range(10))

            async def next_file() -> str:
                return next(names)

            sqlite = await measure(next_file, panel, size)
        postgres = await measure(shared_server().fresh, panel, size)
    return results | {"SQLite": sqlite, "PostgreSQL": postgres}


def show(results: dict[str, Any]) -> None:
    """Print the figures."""
    heads = ("database", "what", "processes", "orders/s", "claim p50", "claim p99", "peak memory")
    lines: list[tuple[str, ...]] = [heads]
    for database in ("SQLite", "PostgreSQL"):
        for row in results[database]:
            claim = [f"{row[key]:.1f} ms" if key in row else "-" for key in CLAIM_KEYS]
            peak = f"{row['peak_mb']:.0f} MB" if "peak_mb" in row else "-"
            speed = f"{row['orders_a_second']:,.0f}"
            lines.append((database, row["what"], str(row["workers"]), speed, *claim, peak))
    print(f"{results['orders']:,} open orders, {results['window_s']:g} s each\n")
    print(aligned(lines))


CLAIM_KEYS = ("claim_p50_ms", "claim_p99_ms")


def workers_of(row: dict[str, Any]) -> str:
    """Say how many processes were at work."""
    return f"{row['workers']} process{'es' if row['workers'] > 1 else ''}"


def draw(results: dict[str, Any]) -> None:
    """Write the chart."""
    parts: list[str] = []
    y = 4.0
    for database in ("SQLite", "PostgreSQL"):
        rows = [
            (
                f"{row['what']}, {workers_of(row)}" if "claim_p50_ms" in row else "bare, by hand",
                row["orders_a_second"],
                f"{row['orders_a_second']:,.0f}",
                "claim_p50_ms" in row,
            )
            for row in results[database]
            if "claim_p50_ms" in row or "by hand" in row["what"]
        ]
        title = f"Orders followed a second, {results['orders']:,} open, {database}"
        drawn, y = bars(y, title, rows)
        parts += drawn
    picture = svg(y, "Orders followed a second on SQLite and PostgreSQL", parts)
    (HERE / "following.svg").write_text(picture, encoding="utf-8")
    print("wrote following.svg")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke test, not a measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="kept", help="show kept figures")
    parser.add_argument("--charts", action="store_true", help="draw following.svg")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    found = parser.parse_args()
    found.orders = QUICK_ORDERS if found.quick else ORDERS
    found.window_s = QUICK_WINDOW_S if found.quick else WINDOW_S
    found.adds = QUICK_ADDS if found.quick else ADDS
    found.add_rounds = QUICK_ADD_ROUNDS if found.quick else ADD_ROUNDS
    return found


def main() -> None:
    """Measure, show, keep, draw."""
    asked = arguments()
    if asked.worker:
        url, panel_url, window_s = asked.worker
        asyncio.run(work(url, panel_url, float(window_s)))
        return
    if asked.kept:
        results = json.loads(asked.kept.read_text(encoding="utf-8"))
    else:
        results = asyncio.run(everything(asked)) | {"cores": os.cpu_count()}
    show(results)
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if asked.charts:
        draw(results)


if __name__ == "__main__":
    main()
