"""Measure how the desk's queries grow with the number of orders in the journal.

Run `python benchmarks/growth.py` from the root of the project, with the extra `dev` installed. For
each database, SQLite in a file and a PostgreSQL server of its own, it fills journals of 10,000,
100,000 and 1,000,000 orders with bulk inserts (about 2 GB of disk, deleted at the end), and times
`summary()`, `unknown()`, pages of `entries()` and of events, and how long a desk takes from its
creation to the first check that it has recorded.

`--quick` is a smoke test; `--json FILE` stores the figures, `--from FILE` shows stored ones, and
`--markdown` prints the table of the README.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from floors import ACCOUNT
from following import fill_tables, make_all_due, tidy_database
from goals import format_table
from measuring import create_parser, spread
from panel import KEY, Panel, run_panel

from smmfanfast_async import Client
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal

HERE = Path(__file__).parent

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000), (1000,)
"""Orders in a journal."""
ROUNDS, QUICK_ROUNDS = 5, 1
"""Measurements of each query; one more is a warm-up."""
MAX_SECONDS = 30.0
"""Seconds after which a query is not measured again."""
PAGE = 500
"""Entries or events that are read."""
START_WAIT_S = 60.0
"""Seconds for which a desk may take until its first check is recorded."""

# Of a hundred orders, ninety are finished and the others accepted; every thousandth is unknown.
ORDERS = """INSERT INTO smm_orders (account, ref, digest, form, link, link_digest, quantity, price,
    budget_day, created_at, state, attempt, due_at, was_unknown, is_pinned, panel, panel_order,
    order_number, status, raw_status, charge, miss_count, claim_version)
{numbers} SELECT '{account}', 'ref-' || i, 'x', '{{}}', 'https://example.com/' || i, 'link-' || i,
    1000, '0.' || (i % 50), '2030-01-01', {now} + i,
    CASE WHEN i % 1000 = 0 THEN 'unknown' WHEN i % 10 = 0 THEN 'accepted' ELSE 'finished' END, 1,
    CASE WHEN i % 10 = 0 AND i % 1000 <> 0 THEN {now} + i END, {false}, {false}, 'default',
    CASE WHEN i % 1000 <> 0 THEN '' || i END, CASE WHEN i % 1000 <> 0 THEN '' || i END,
    CASE WHEN i % 10 = 0 THEN 'in_progress' ELSE 'completed' END, 'Completed', '0.' || (i % 50),
    0, 0 FROM n"""
EVENTS = """INSERT INTO smm_events (account, position, at, ref, kind, attempt, panel, panel_order,
    raw_status, charge, remains)
{numbers} SELECT '{account}', i, {now} + i, 'ref-' || (1 + i / 2), 'changed', 1, 'default',
    '' || (1 + i / 2), 'In progress', '0.5', 10 FROM n"""


async def fill(url: str, orders: int) -> None:
    """Create a journal of orders in several states, with two events for each."""
    engine = await fill_tables(url, 3600.0, (ORDERS, orders), (EVENTS, 2 * orders))
    async with engine.begin() as connection:
        await connection.exec_driver_sql(
            f"UPDATE smm_accounts SET last_event = {2 * orders}"  # noqa: S608  # a number
        )
    if engine.dialect.name == "postgresql":
        async with engine.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await plain.exec_driver_sql("VACUUM ANALYZE smm_events")
    await tidy_database(engine)
    await engine.dispose()


async def read_some(entries: Any) -> None:
    """Read a page of an asynchronous iterator."""
    number = 0
    async for _ in entries:
        number += 1
        if number == PAGE:
            break
    await entries.aclose()


def queries(journal: SQLJournal, orders: int) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return what is timed, by the name that is shown."""
    unknown, accepted = [EntryState.UNKNOWN], [EntryState.ACCEPTED]
    return {
        "summary()": journal.summary,
        "unknown()": journal.unknown,
        "entries(), 500": lambda: read_some(journal.entries()),
        "entries(accepted), 500": lambda: read_some(journal.entries(states=accepted)),
        "entries(unknown), up to 500": lambda: read_some(journal.entries(states=unknown)),
        "events, first 500": lambda: journal.events(0, PAGE),
        "events, last 500": lambda: journal.events(2 * orders - PAGE, PAGE),
        "claim of 100, released": lambda: _claim(journal),
    }


async def _claim(journal: SQLJournal) -> None:
    claims = await journal.claim(100, lease=timedelta(minutes=2))
    await journal.release([(each, each.entry.created_at) for each in claims])


async def time_ms(query: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Return the median duration of a query in milliseconds."""
    times: list[float] = []
    for number in range(rounds + 1):
        start_s = time.perf_counter()
        await query()
        elapsed_s = time.perf_counter() - start_s
        if number or elapsed_s > MAX_SECONDS:
            times.append(elapsed_s * 1000)
        if elapsed_s > MAX_SECONDS:
            break
    return spread(times).median


class FirstCheckJournal(SQLJournal):
    """A journal that says when a check is recorded."""

    has_checked: asyncio.Event

    async def record_statuses(self, observations: Any) -> Any:
        """Record, and say so."""
        changed = await super().record_statuses(observations)
        self.has_checked.set()
        return changed


async def start_desk(url: str, panel: Panel) -> float:
    """Create a desk and follow; return the seconds until its first check was recorded."""
    start_s = time.perf_counter()
    journal = FirstCheckJournal(url)
    journal.has_checked = asyncio.Event()
    async with (
        Client(KEY, base_url=panel.url()) as client,
        OrderDesk(client, journal, account=ACCOUNT) as desk,
    ):
        task = asyncio.create_task(desk.follow())
        async with asyncio.timeout(START_WAIT_S):
            await journal.has_checked.wait()
        elapsed_s = time.perf_counter() - start_s
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return elapsed_s


async def measure_size(url: str, orders: int, panel: Panel, rounds: int) -> dict[str, float]:
    """Return the milliseconds of each query in a journal of so many orders."""
    await fill(url, orders)
    journal = SQLJournal(url).for_account(ACCOUNT)
    await journal.open()
    figures = {
        name: await time_ms(query, rounds) for name, query in queries(journal, orders).items()
    }
    await journal.aclose()
    starts: list[float] = []
    for _ in range(rounds):
        await make_all_due(url)
        starts.append(await start_desk(url, panel))
    return figures | {"a desk, to its first check": spread(starts).median * 1000}


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all sizes on both databases."""
    # The server of the tests.
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.postgres import shared_server  # noqa: PLC0415

    results: dict[str, Any] = {"SQLite": {}, "PostgreSQL": {}}
    server = shared_server(is_durable=True)
    async with run_panel(is_pinned=False) as panel:
        for orders in options.sizes:
            for database, sizes in results.items():
                start_s = time.perf_counter()
                with tempfile.TemporaryDirectory() as folder:
                    url = f"sqlite+aiosqlite:///{folder}/journal.db"
                    if database == "PostgreSQL":
                        url = await server.fresh()
                    sizes[str(orders)] = await measure_size(url, orders, panel, options.rounds)
                elapsed_s = time.perf_counter() - start_s
                print(f"  {database}, {orders:,}: {elapsed_s:.0f} s", file=sys.stderr, flush=True)
    return results


def build_rows(results: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the table: a line for each query, a column for each database and size."""
    columns = [
        (database, size) for database in ("SQLite", "PostgreSQL") for size in results[database]
    ]
    heads = ("ms", *(f"{database}, {int(size):,}" for database, size in columns))
    names = list(next(iter(results["SQLite"].values())))
    return [heads] + [
        (name, *(f"{results[database][size][name]:,.3g}" for database, size in columns))
        for name in names
    ]


def main() -> None:
    """Measure, show and store."""
    parser = create_parser(__doc__)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    options = parser.parse_args()
    options.sizes = QUICK_SIZES if options.quick else SIZES
    options.rounds = QUICK_ROUNDS if options.quick else ROUNDS
    if options.stored:
        results = json.loads(options.stored.read_text(encoding="utf-8"))
    else:
        results = asyncio.run(measure(options)) | {"cores": os.cpu_count()}
    rows = build_rows(results)
    if options.markdown:
        rows.insert(1, ("---", *("---:" for _ in rows[0][1:])))
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    else:
        print(format_table(rows))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
