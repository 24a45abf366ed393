"""Measure the order desk beside hand-written loops that make the same calls.

Run `python benchmarks/desk.py` from the root of the project, with the extra `dev` installed. It
measures, on SQLite in a file and on a PostgreSQL server of its own, in alternating rounds:

- `follow`, beside a loop that claims a batch, asks, and writes each result while its claim is
  valid, without and with an event for each result;
- `place` by several accounts at once, and over four panels, beside three transactions and the
  client's `add`;
- events that are acknowledged in the caller's own transaction, beside a loop that reads the next
  event and moves its position in one transaction;
- `quote` over four panels of 10,000 services.

`--quick` is a smoke test; `--json FILE` stores the figures, `--from FILE` shows stored ones.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from floors import ACCOUNT, follow_by_hand, open_floor, place_by_hand
from following import FAR_S, fill_journal
from goals import Goal, format_spread, format_table
from measuring import Contestant, Rounds, Spread, create_parser, ratio, spread, take_turns
from panel import KEY, Panel, run_panel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from smmfanfast_async import Client, DefaultOrder, PollPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry, Observation
from smmfanfast_async.journal.sql import SQLJournal

HERE = Path(__file__).parent

ROUNDS, QUICK_ROUNDS = 5, 1
"""Measured rounds; one more is a warm-up."""
FOLLOWED, QUICK_FOLLOWED = 5000, 300
"""Orders that each contestant checks in a round."""
PLACED, QUICK_PLACED = 100, 20
"""Orders that each contestant places in a round."""
READ, QUICK_READ = 300, 20
"""Events that each contestant reads in a round."""
QUOTES, QUICK_QUOTES = 200, 10
"""Quotes in a round."""
ACCOUNTS, TASKS = 4, 10
"""Accounts that place orders, and tasks of each."""
PANELS = ("alpha", "beta", "gamma", "delta")
SERVICES = 10_000
IN_FLIGHT = 1000
"""Orders that a desk has claimed beyond those of a round when the round ends."""

Figures = dict[str, Spread]

GOALS = (
    Goal("SQLite, follow / by hand", "follow, SQLite", 0.3, is_minimum=True),
    Goal("PostgreSQL, follow / by hand", "follow, PostgreSQL", 0.6, is_minimum=True),
)


def timed(work: Callable[[], Awaitable[int]]) -> Contestant:
    """Return a contestant that is timed as a whole."""

    async def run() -> tuple[int, float]:
        start_s = time.perf_counter()
        return await work(), time.perf_counter() - start_s

    return run


def compare(database: str, what: str, times: Rounds) -> Figures:
    """Return the rates, and that of the desk in relation to each other one."""
    figures = {
        f"{database}, {what}, {name}, a second": spread([1 / each for each in values])
        for name, values in times.items()
    }
    others = [name for name in times if name != "desk"]
    return figures | {f"{database}, {what} / {name}": ratio(times, name, "desk") for name in others}


# --- following -----------------------------------------------------------------------------------


class CountingJournal(SQLJournal):
    """A journal that says when so many orders are recorded."""

    wanted: int = 0
    recorded: int = 0
    done_at_s: float = 0.0
    is_done: asyncio.Event

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        """Record and count."""
        changed = await super().record_statuses(observations)
        if not self.is_done.is_set():
            self.recorded += len(observations)
            if self.recorded >= self.wanted:
                self.done_at_s = time.perf_counter()
                self.is_done.set()
        return changed


async def measure_following(
    database: str, url: str, panel: Panel, size: argparse.Namespace
) -> Figures:
    """Follow orders of which each is checked once."""
    is_sqlite = database == "SQLite"
    await fill_journal(url, (size.rounds + 1) * (3 * size.followed + IN_FLIGHT) + 3 * IN_FLIGHT)
    poll = PollPolicy(min_interval_s=FAR_S, max_interval_s=FAR_S)

    async with open_floor(url) as floor, Client(KEY, base_url=panel.url()) as client:

        async def follow() -> tuple[int, float]:
            journal = CountingJournal(url).for_account(ACCOUNT)
            journal.wanted, journal.is_done = size.followed, asyncio.Event()
            async with OrderDesk(client, journal, account=ACCOUNT, poll=poll) as desk:
                counting: Any = desk._journal  # noqa: SLF001  # the desk's own copy counts
                start_s = time.perf_counter()
                task = asyncio.create_task(desk.follow())
                await counting.is_done.wait()
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
                return counting.recorded, counting.done_at_s - start_s

        def by_hand(*, has_events: bool) -> Contestant:
            return timed(
                lambda: follow_by_hand(
                    floor, panel.url(), size.followed, is_sqlite=is_sqlite, has_events=has_events
                )
            )

        times = await take_turns(
            {
                "desk": follow,
                "by hand": by_hand(has_events=False),
                "by hand, with events": by_hand(has_events=True),
            },
            size.rounds,
        )
    return compare(database, "follow", times)


# --- placing -------------------------------------------------------------------------------------


async def in_tasks(work: Callable[[int], Awaitable[object]], orders: int, tasks: int) -> int:
    """Do some work for each order, in so many tasks at once."""
    numbers = iter(range(orders))

    async def loop() -> None:
        for number in numbers:
            await work(number)

    await asyncio.gather(*(loop() for _ in range(tasks)))
    return orders


async def measure_accounts(
    database: str, url: str, panel: Panel, size: argparse.Namespace
) -> Figures:
    """Place orders by several accounts on one database, each in several tasks."""
    is_sqlite = database == "SQLite"
    names = [f"account-{number}" for number in range(ACCOUNTS)]
    journal = SQLJournal(url)
    refs = count()
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(Client(KEY, base_url=panel.url())) for _ in names
        ]
        desks = [
            await stack.enter_async_context(
                OrderDesk(client, journal, account=name, record_balance=False)
            )
            for client, name in zip(clients, names, strict=True)
        ]
        floor = await stack.enter_async_context(open_floor(url))
        for client in clients:
            await client.services()

        async def place(number: int) -> None:
            ref = f"desk-{next(refs)}"
            entry = await desks[number % ACCOUNTS].place(make_order(ref), ref=ref)
            entry.order_id()

        async def by_hand(number: int) -> None:
            ref, client = f"hand-{next(refs)}", clients[number % ACCOUNTS]

            async def add() -> tuple[str, str]:
                return "default", str((await client.add(make_order(ref))).order)

            name = names[number % ACCOUNTS]
            await place_by_hand(floor, name, ref, add, is_sqlite=is_sqlite)

        return compare(database, f"place, {ACCOUNTS} accounts", await take_turns({
            "desk": timed(lambda: in_tasks(place, size.placed, ACCOUNTS * TASKS)),
            "by hand": timed(lambda: in_tasks(by_hand, size.placed, ACCOUNTS * TASKS)),
        }, size.rounds))  # fmt: skip


def make_order(ref: str, service: int | str = 5) -> DefaultOrder:
    """Return an order with a link of its own."""
    return DefaultOrder(service=service, link=f"https://example.com/{ref}", quantity=1000)


async def open_panels(stack: AsyncExitStack, panel: Panel, rows: int) -> dict[str, Client]:
    """Return clients of four panels, which are four paths of the one that runs."""
    return {
        name: await stack.enter_async_context(
            Client(KEY, base_url=panel.url(rows=rows, more=f"/{name}"))
        )
        for name in PANELS
    }


def create_routed_desk(clients: dict[str, Client], url: str) -> OrderDesk:
    """Return a desk over four panels."""
    products = {"likes": dict.fromkeys(PANELS, 5)}
    return OrderDesk(
        clients, SQLJournal(url), account=ACCOUNT, products=products, record_balance=False
    )


async def measure_routing(
    database: str, url: str, panel: Panel, size: argparse.Namespace
) -> Figures:
    """Place orders at the cheapest of four panels."""
    is_sqlite = database == "SQLite"
    refs = count()
    async with AsyncExitStack() as stack:
        clients = await open_panels(stack, panel, 100)
        desk = await stack.enter_async_context(create_routed_desk(clients, url))
        floor = await stack.enter_async_context(open_floor(url))
        for client in clients.values():
            await client.services()

        async def place(_number: int) -> None:
            ref = f"desk-{next(refs)}"
            entry = await desk.place(make_order(ref, "likes"), ref=ref)
            entry.order_id()

        async def by_hand(_number: int) -> None:
            ref = f"hand-{next(refs)}"

            async def add() -> tuple[str, str]:
                prices: dict[str, Decimal] = {}
                for name, client in clients.items():
                    price = (await client.services()).quote(make_order(ref))
                    if price is not None:
                        prices[name] = price
                cheapest = min(prices, key=lambda name: prices[name])
                return cheapest, str((await clients[cheapest].add(make_order(ref))).order)

            await place_by_hand(floor, ACCOUNT, ref, add, is_sqlite=is_sqlite)

        return compare(database, "place, 4 panels", await take_turns({
            "desk": timed(lambda: in_tasks(place, size.placed, TASKS)),
            "by hand": timed(lambda: in_tasks(by_hand, size.placed, TASKS)),
        }, size.rounds))  # fmt: skip


# --- events --------------------------------------------------------------------------------------

FILL_EVENTS = """INSERT INTO smm_events (account, position, at, ref, kind, attempt, panel,
    panel_order, raw_status, charge, remains)
VALUES (:account, :position, 1, :ref, 'changed', 1, 'default', '7', 'In progress', '0.5', 10)"""
POSITION = "SELECT position FROM hand_positions WHERE name = 'hand'"
NEXT_EVENT = """SELECT * FROM smm_events WHERE account = :account AND position > :after
ORDER BY position LIMIT 1"""
MOVE = "UPDATE hand_positions SET position = :position WHERE name = 'hand'"
EFFECT = "INSERT INTO hand_effects (reader, position) VALUES (:reader, :position)"


async def measure_events(
    database: str, url: str, panel: Panel, size: argparse.Namespace
) -> Figures:
    """Read events, each acknowledged in the transaction that stores its effect."""
    events = (size.rounds + 1) * size.read
    lock = "" if database == "SQLite" else " FOR UPDATE"
    engine = create_async_engine(url)
    async with (
        Client(KEY, base_url=panel.url()) as client,
        OrderDesk(client, SQLJournal(url), account=ACCOUNT) as desk,
    ):
        async with engine.begin() as connection:
            await connection.execute(text(
                "CREATE TABLE hand_positions (name VARCHAR(9) PRIMARY KEY, position BIGINT)"
            ))  # fmt: skip
            await connection.execute(text(
                "CREATE TABLE hand_effects (reader VARCHAR(9), position BIGINT)"
            ))  # fmt: skip
            await connection.execute(text("INSERT INTO hand_positions VALUES ('hand', 0)"))
            rows = [
                {"account": ACCOUNT, "position": number, "ref": f"r{number}"}
                for number in range(1, events + 1)
            ]
            await connection.execute(text(FILL_EVENTS), rows)

        async def read() -> int:
            async with desk.events("reader", acknowledge="manual", wait=False) as stream:
                done = 0
                async for event in stream:
                    async with engine.begin() as connection:
                        effect = {"reader": "desk", "position": event.position}
                        await connection.execute(text(EFFECT), effect)
                        await stream.acknowledge(event, connection=connection)
                    done += 1
                    if done == size.read:
                        break
            return done

        async def by_hand() -> int:
            for _ in range(size.read):
                async with engine.begin() as connection:
                    after = (await connection.execute(text(POSITION + lock))).scalar_one()
                    params = {"account": ACCOUNT, "after": after}
                    event = (await connection.execute(text(NEXT_EVENT), params)).one()
                    moved = {"position": event.position}
                    await connection.execute(text(EFFECT), {"reader": "hand", **moved})
                    await connection.execute(text(MOVE), moved)
            return int(size.read)

        times = await take_turns({"desk": timed(read), "by hand": timed(by_hand)}, size.rounds)
    await engine.dispose()
    return compare(database, "events", times)


# --- quotes --------------------------------------------------------------------------------------


async def measure_quotes(
    database: str, url: str, panel: Panel, size: argparse.Namespace
) -> Figures:
    """Quote an order over four panels: the first time, and with cached catalogues."""
    addresses = [panel.url(rows=SERVICES, more=f"/{name}") for name in PANELS]
    order = make_order("quoted", "likes")

    async def first() -> tuple[int, float]:
        async with AsyncExitStack() as stack:
            clients = await open_panels(stack, panel, SERVICES)
            desk = await stack.enter_async_context(create_routed_desk(clients, url))
            start_s = time.perf_counter()
            await desk.quote(order)
            return 1, time.perf_counter() - start_s

    async def fetch(session: aiohttp.ClientSession, address: str) -> object:
        form = {"key": KEY, "action": "services"}
        async with session.post(address, data=form) as response:
            return orjson.loads(await response.read())

    async def fetch_all() -> int:
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(fetch(session, each) for each in addresses))
        return 1

    firsts = await take_turns({"desk": first, "by hand": timed(fetch_all)}, size.rounds)
    async with AsyncExitStack() as stack:
        clients = await open_panels(stack, panel, SERVICES)
        desk = await stack.enter_async_context(create_routed_desk(clients, url))

        async def quote() -> int:
            for _ in range(size.quotes):
                quotes = await desk.quote(order)
                assert len(quotes) == len(PANELS)  # noqa: S101  # a benchmark's own check
            return int(size.quotes)

        await desk.quote(order)
        cached = await take_turns({"quote": timed(quote)}, size.rounds)
    return {
        f"{database}, first quote, ms": spread([each * 1e3 for each in firsts["desk"]]),
        f"{database}, first quote / four catalogues by aiohttp and orjson": ratio(
            firsts, "desk", "by hand"
        ),
        f"{database}, quote, µs": spread([each * 1e6 for each in cached["quote"]]),
    }


# --- all together --------------------------------------------------------------------------------

PARTS = (measure_following, measure_accounts, measure_routing, measure_events, measure_quotes)


async def measure(size: argparse.Namespace) -> Figures:
    """Measure everything on both databases."""
    # The server of the tests.
    sys.path.insert(0, str(HERE.parent / "tests"))
    from support.postgres import shared_server  # noqa: PLC0415

    figures: Figures = {}
    async with run_panel(is_pinned=False) as panel:
        with tempfile.TemporaryDirectory() as folder:
            for number, part in enumerate(PARTS):
                url = f"sqlite+aiosqlite:///{folder}/{number}.db"
                figures |= await timed_part("SQLite", part, url, panel, size)
        server = shared_server(is_durable=True)
        for part in PARTS:
            url = await server.fresh()
            figures |= await timed_part("PostgreSQL", part, url, panel, size)
    return figures


async def timed_part(
    database: str,
    part: Callable[[str, str, Panel, argparse.Namespace], Awaitable[Figures]],
    url: str,
    panel: Panel,
    size: argparse.Namespace,
) -> Figures:
    """Measure a part and say how long it took, on the error stream."""
    start_s = time.perf_counter()
    figures = await part(database, url, panel, size)
    name = part.__name__.removeprefix("measure_")
    print(f"  {database}, {name}: {time.perf_counter() - start_s:.0f} s", file=sys.stderr)
    return figures


def print_figures(figures: Figures) -> None:
    """Print all figures, and whether the goals are met."""
    goals = {goal.figure: goal for goal in GOALS}
    rows = [("figure", "measured (spread)", "required", "met?")]
    for name, value in figures.items():
        goal = goals.get(name)
        bound = goal.format_bound(goal.required) if goal else ""
        rows.append((name, format_spread(value), bound, goal.verdict(value.median) if goal else ""))
    print(format_table(rows))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = create_parser(__doc__)
    options = parser.parse_args()
    quick = options.quick
    options.rounds = QUICK_ROUNDS if quick else ROUNDS
    options.followed = QUICK_FOLLOWED if quick else FOLLOWED
    options.placed = QUICK_PLACED if quick else PLACED
    options.read = QUICK_READ if quick else READ
    options.quotes = QUICK_QUOTES if quick else QUOTES
    return options


def main() -> None:
    """Measure, show and store."""
    options = parse_arguments()
    if options.stored:
        stored = json.loads(options.stored.read_text(encoding="utf-8"))["figures"]
        figures = {name: Spread(**value) for name, value in stored.items()}
    else:
        figures = asyncio.run(measure(options))
    print_figures(figures)
    if options.json:
        values = {name: asdict(value) for name, value in figures.items()}
        results = {"cores": os.cpu_count(), "figures": values}
        text_ = json.dumps(results, indent=1, ensure_ascii=False)
        options.json.write_text(text_ + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
