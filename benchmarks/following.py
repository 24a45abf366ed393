"""Measure the order desk: following a million open orders, and placing orders durably.

Run `python benchmarks/following.py` from the root of the project, with the extra `dev` installed.
For each database, SQLite in a file and a PostgreSQL server of its own, it fills a journal with a
million open orders, and has one process and then four follow them for some seconds against the
stand-in panel, twice: at the first check, in which every order changes, and later, when most are
unchanged. The baseline is a hand-written loop on the bare driver, which claims, asks, and writes
each result while its claim is valid, in two transactions for each call (`floors.py`). Then orders
are placed one after the other, each durably.

`--quick` is a smoke test; `--json FILE` stores the figures, `--from FILE` shows stored ones,
`--charts` draws following.svg next to this file.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from charts import build_svg, draw_bars, draw_text
from floors import ACCOUNT, follow_by_hand, open_floor
from goals import format_table
from measuring import Spread, create_parser, spread
from panel import KEY, Panel, run_panel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from smmfanfast_async import Client, DefaultOrder, PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import DEFAULT_PANEL, Claim
from smmfanfast_async.journal.sql import SQLJournal

HERE = Path(__file__).parent

ORDERS, QUICK_ORDERS = 1_000_000, 500
WINDOW_S, QUICK_WINDOW_S = 20.0, 2.0
"""Seconds for which each alternative follows orders."""
ADDS, QUICK_ADDS = 300, 20
ADD_ROUNDS, QUICK_ADD_ROUNDS = 5, 1
FAR_S = 10_000_000.0
"""Seconds until an order is checked again: each is checked once during the measurement."""
BASELINE_CHUNK = 5000
"""Orders between two looks at the clock."""

# --- filling -------------------------------------------------------------------------------------

NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {orders})",
    "postgresql": "WITH n AS (SELECT i FROM generate_series(1, {orders}) AS i)",
}
# SQLite's grammar requires the INSERT before the list of numbers.
FILL = """INSERT INTO smm_orders (account, ref, digest, form, link, quantity, price, budget_day,
    created_at, state, attempt, due_at, was_unknown, is_pinned, panel, panel_order, miss_count,
    claim_version)
{numbers}
SELECT '{account}', 'ref-' || i, 'x', '{{}}', 'https://example.com/' || i, 1000, '0.51',
    '2030-01-01', {now}, 'accepted', 1, {now} - {orders} + i, {false}, {false}, 'default',
    '' || i, 0, 0 FROM n"""


async def fill_journal(url: str, orders: int) -> None:
    """Create a journal of open orders that are all due."""
    engine = await fill_tables(url, 60.0, (FILL, orders))
    await tidy_database(engine)
    await engine.dispose()


async def fill_tables(url: str, age_s: float, *parts: tuple[str, int]) -> AsyncEngine:
    """Create a journal and insert rows: those of a part by its statement, `age_s` seconds ago.

    A part is a statement and a number of rows. The caller disposes of the engine.
    """
    journal = SQLJournal(url).for_account(ACCOUNT)
    await journal.open()
    await journal.aclose()
    engine = create_async_engine(url)
    database = engine.dialect.name
    now = int((datetime.now(UTC).timestamp() - age_s) * 1_000_000)
    async with engine.begin() as connection:
        for statement, rows in parts:
            filled = statement.format(
                numbers=NUMBERS[database].format(orders=rows), orders=rows, account=ACCOUNT,
                now=now, false="0" if database == "sqlite" else "false",
            )  # fmt: skip
            await connection.exec_driver_sql(filled)
    return engine


async def tidy_database(engine: AsyncEngine) -> None:
    """Run the database's maintenance after filling, so that it is not part of a measurement."""
    async with engine.connect() as connection:
        autocommit = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name == "postgresql":
            await autocommit.exec_driver_sql("VACUUM ANALYZE smm_orders")
            await autocommit.exec_driver_sql("CHECKPOINT")
        else:
            await autocommit.exec_driver_sql("ANALYZE")
            await autocommit.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


async def make_all_due(url: str) -> None:
    """Make every open order due again."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        await connection.exec_driver_sql(
            f"UPDATE smm_orders SET due_at = {now} WHERE state = 'accepted'"  # noqa: S608  # a number
        )
    await tidy_database(engine)
    await engine.dispose()


async def count_checks(url: str) -> int:
    """Return the number of checks in the journal: each increases the claim version by two."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        checks = (
            await connection.execute(text("SELECT sum(claim_version / 2) FROM smm_orders"))
        ).scalar()
    await engine.dispose()
    return int(checks or 0)


# --- a worker ------------------------------------------------------------------------------------


class TimedJournal(SQLJournal):
    """A journal that measures how long its claims take."""

    claims_ms: list[float]

    async def claim(
        self, limit: int, *, lease: timedelta, panel: str = DEFAULT_PANEL
    ) -> list[Claim]:
        """Claim and record the duration."""
        start_s = time.perf_counter()
        claims = await super().claim(limit, lease=lease, panel=panel)
        if claims:
            self.claims_ms.append((time.perf_counter() - start_s) * 1000)
        return claims


async def run_worker(url: str, panel_url: str, window_s: float) -> None:
    """Follow for some seconds; print durations and memory as JSON."""
    journal = TimedJournal(url)
    journal.claims_ms = []
    poll = PollPolicy(min_interval_s=FAR_S, max_interval_s=FAR_S)
    async with (
        Client(KEY, base_url=panel_url) as client,
        OrderDesk(client, journal, account=ACCOUNT, poll=poll) as desk,
    ):
        start_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        with suppress(TimeoutError):
            async with asyncio.timeout(window_s):
                await desk.follow()
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {"claims_ms": journal.claims_ms, "peak_mb": peak_mb, "grown_mb": peak_mb - start_mb}
    print(json.dumps(figures), flush=True)


async def measure_following(
    url: str, panel: Panel, workers: int, window_s: float
) -> dict[str, Any]:
    """Follow with several processes; return orders per second and claim durations."""
    before = await count_checks(url)
    command = (str(Path(__file__)), "--worker", url, panel.url(), str(window_s))
    start_s = time.perf_counter()
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, *command, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(workers)
    ]
    outputs = [json.loads((await each.communicate())[0]) for each in processes]
    claims = sorted(ms for each in outputs for ms in each["claims_ms"])
    orders = await count_checks(url) - before
    return {
        "orders": orders,
        "orders_a_second": orders / window_s,
        "claim_p50_ms": claims[len(claims) // 2],
        "claim_p99_ms": claims[min(len(claims) - 1, len(claims) * 99 // 100)],
        "peak_mb": max(each["peak_mb"] for each in outputs),
        "grown_mb": max(each["grown_mb"] for each in outputs),
        "seconds": time.perf_counter() - start_s,
    }


# --- the baseline --------------------------------------------------------------------------------


async def measure_baseline(url: str, panel: Panel, orders: int, window_s: float) -> dict[str, Any]:
    """Follow with the hand-written loop, in chunks, until the window is over or all are checked."""
    is_sqlite = url.startswith("sqlite")
    done = 0
    start_s = time.perf_counter()
    async with open_floor(url) as floor:
        while done < orders and time.perf_counter() - start_s < window_s:
            chunk = min(BASELINE_CHUNK, orders - done)
            done += await follow_by_hand(
                floor, panel.url(), chunk, is_sqlite=is_sqlite, has_events=False
            )
    return {"orders": done, "orders_a_second": done / (time.perf_counter() - start_s)}


# --- placing -------------------------------------------------------------------------------------


async def measure_placing(url: str, panel: Panel, count: int, rounds: int) -> Spread:
    """Place orders one after the other; return orders per second."""
    rates: list[float] = []
    async with (
        Client(KEY, base_url=panel.url()) as client,
        OrderDesk(client, SQLJournal(url), account="placing", record_balance=False) as desk,
    ):
        await client.services()
        for number in range(rounds):
            start_s = time.perf_counter()
            for each in range(count):
                link = f"https://example.com/{number}/{each}"
                order = DefaultOrder(service=5, link=link, quantity=1000)
                entry = await desk.place(order, ref=f"{number}/{each}")
                entry.order_id()
            rates.append(count / (time.perf_counter() - start_s))
    return spread(rates)


# --- all together -------------------------------------------------------------------------------


async def measure(
    fresh: Callable[[], Awaitable[str]], panel: Panel, size: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure one database; `fresh` returns the URL of an empty one."""
    rows: list[dict[str, Any]] = []
    for workers in (1, 4):
        address = await fresh()
        start_s = time.perf_counter()
        await fill_journal(address, size.orders)
        log_progress(f"filled with {size.orders:,} orders", start_s)
        for phase in ("first check", "later check"):
            if phase == "later check":
                await make_all_due(address)
            figures = await measure_following(address, panel, workers, size.window_s)
            rows.append({"what": phase, "workers": workers, **figures})
            log_progress(f"{phase}, {workers} workers", start_s)
    start_s = time.perf_counter()
    address = await fresh()
    await fill_journal(address, size.orders)
    bare = await measure_baseline(address, panel, size.orders, size.window_s)
    rows.append({"what": "by hand, claimed and fenced", "workers": 1, **bare})
    log_progress("baseline", start_s)
    placed = await measure_placing(await fresh(), panel, size.adds, size.add_rounds)
    rows.append({"what": "place(), durably", "workers": 1, "orders_a_second": placed.median,
                 "low": placed.low, "high": placed.high})  # fmt: skip
    return rows


def log_progress(step: str, start_s: float) -> None:
    """Print a finished step and its duration to the error stream."""
    print(f"  {step}: {time.perf_counter() - start_s:.0f} s", file=sys.stderr, flush=True)


async def measure_databases(size: argparse.Namespace) -> dict[str, Any]:
    """Measure both databases."""
    # The server of the tests; workers do not need it.
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.postgres import shared_server  # noqa: PLC0415

    results: dict[str, Any] = {"orders": size.orders, "window_s": size.window_s}
    # Four processes and a PostgreSQL server use all available cores.
    async with run_panel(is_pinned=False) as panel:
        with tempfile.TemporaryDirectory() as folder:
            names = (f"sqlite+aiosqlite:///{folder}/{number}.db" for number in range(10))

            async def next_file() -> str:
                return next(names)

            sqlite = await measure(next_file, panel, size)
        postgres = await measure(shared_server(is_durable=True).fresh, panel, size)
    return results | {"SQLite": sqlite, "PostgreSQL": postgres}


def print_results(results: dict[str, Any]) -> None:
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
    print(format_table(lines))


CLAIM_KEYS = ("claim_p50_ms", "claim_p99_ms")


def format_workers(row: dict[str, Any]) -> str:
    """Format the number of processes."""
    return f"{row['workers']} process{'es' if row['workers'] > 1 else ''}"


def label_row(row: dict[str, Any]) -> str:
    """Return what a bar of the chart is."""
    if "claim_p50_ms" not in row:
        return "by hand: bare driver, no events"
    changed = "all changed" if row["what"] == "first check" else "few changed"
    return f"follow(), {format_workers(row)}, {changed}"


LEGEND = (
    "Orders checked per second. Green: OrderDesk.follow() in 1 or 4 processes, when every order's",
    "status has changed since its last check, and when few have. Grey: a hand-written loop in one",
    "process with two transactions for each call: claim, ask, write what is still claimed.",
)


def write_chart(results: dict[str, Any]) -> None:
    """Write the chart."""
    parts: list[str] = []
    y = 4.0
    for database in ("SQLite", "PostgreSQL"):
        rows = [
            (
                label_row(row),
                row["orders_a_second"],
                f"{row['orders_a_second']:,.0f} orders/s",
                "claim_p50_ms" in row,
            )
            for row in results[database]
            if "claim_p50_ms" in row or "by hand" in row["what"]
        ]
        title = f"Orders followed per second, {results['orders']:,} open, {database}"
        bars, y = draw_bars(y, title, rows)
        parts += bars
    for line in LEGEND:
        y += 16
        parts.append(draw_text(0, y, line, kind="small"))
    picture = build_svg(y + 14, "Orders followed per second on SQLite and PostgreSQL", parts)
    (HERE / "following.svg").write_text(picture, encoding="utf-8")
    print("wrote following.svg")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = create_parser(__doc__)
    parser.add_argument("--charts", action="store_true", help="draw following.svg")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.orders = QUICK_ORDERS if options.quick else ORDERS
    options.window_s = QUICK_WINDOW_S if options.quick else WINDOW_S
    options.adds = QUICK_ADDS if options.quick else ADDS
    options.add_rounds = QUICK_ADD_ROUNDS if options.quick else ADD_ROUNDS
    return options


def main() -> None:
    """Measure, show, store and draw."""
    options = parse_arguments()
    if options.worker:
        url, panel_url, window_s = options.worker
        asyncio.run(run_worker(url, panel_url, float(window_s)))
        return
    if options.stored:
        results = json.loads(options.stored.read_text(encoding="utf-8"))
    else:
        results = asyncio.run(measure_databases(options)) | {"cores": os.cpu_count()}
    print_results(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if options.charts:
        write_chart(results)


if __name__ == "__main__":
    main()
