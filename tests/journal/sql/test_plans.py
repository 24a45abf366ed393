"""Statements that run periodically find their rows by an index, however many rows there are."""

import re
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import event as sql_event
from support.journals import ACCOUNT, DAY, LEASE, START, Journals, new_entry
from support.postgres import PostgresServer

from smmfanfast_async.journal import Entry, EntryState
from smmfanfast_async.journal.sql import SQLJournal

FILL = """
INSERT INTO smm_orders (account, ref, digest, form, link, link_digest, budget_day, created_at,
    state, attempt, due_at, was_unknown, is_pinned, miss_count, claim_version, panel_order,
    lease_until, slot, panel)
SELECT '{account}', 'r' || n, 'd', '{{}}', 'l' || n, 'l' || n, '{day}', 0,
    CASE WHEN n > 20 THEN 'finished' ELSE {states} END, 1,
    CASE WHEN n <= 20 OR n % 300 = 0 THEN n END, {false}, {false}, 0, 0, 'p' || n,
    CASE WHEN n % 5 = 3 AND n <= 20 THEN 0 END, CASE WHEN n % 5 = 3 AND n <= 20 THEN n END,
    'default'
FROM {numbers}
"""
FILL_CHANGES = """
INSERT INTO smm_budget_changes (account, day, amount)
SELECT '{account}', CASE WHEN n > 9 THEN 'day' || (n % 300) ELSE '{day}' END, '0.01'
FROM {numbers}
"""
FILL_REQUESTS = """
INSERT INTO smm_requests (account, ref, kind, number, panel, created_at, changed_at, attempt,
    claim_version, state, due_at, lease_until, reason)
SELECT '{account}', 'r' || n, 'cancel', 1, 'default', n, n, 1, 0,
    CASE WHEN n > 20 THEN 'finished' ELSE {states} END,
    CASE WHEN n <= 20 THEN n END, CASE WHEN n % 5 = 3 AND n <= 20 THEN n END,
    CASE WHEN n % 300 = 0 THEN 'no' END
FROM {numbers}
"""
FILL_EVENTS = """
INSERT INTO smm_events (account, position, at, ref, kind, attempt)
SELECT '{account}', n, n, 'r' || n, 'changed', 1 FROM {numbers}
"""
STATES = (
    "CASE n % 5 WHEN 0 THEN 'accepted' WHEN 1 THEN 'prepared' WHEN 2 THEN 'held'"
    " WHEN 3 THEN 'sending' ELSE 'unknown' END"
)
NUMBERS = {
    "sqlite": "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 3000)"
    " SELECT n FROM c)",
    "postgresql": "generate_series(1, 3000) AS s(n)",
}

USES = {
    "claim": {"smm_orders_followed", "smm_orders_rechecked"},
    "due_to_send": {"smm_orders_prepared", "smm_orders_held"},
    "reschedule_far_future": {"smm_orders_followed", "smm_orders_prepared", "smm_orders_held"},
    "expire_leases": {"smm_orders_sending"},
    "next_due": {
        "smm_orders_followed",
        "smm_orders_prepared",
        "smm_orders_held",
        "smm_orders_rechecked",
    },
    "unknown": {"smm_orders_unknown"},
    "activity": {"smm_orders_unknown"},
    "has_unchecked": {"smm_orders_followed"},
    "same_link": {"smm_orders_link"},
    "due_requests": {"smm_requests_due"},
    "ordered_services": {
        "smm_orders_followed",
        "smm_orders_prepared",
        "smm_orders_held",
        "smm_orders_sending",
        "smm_orders_unknown",
    },
    "claim_refills": set(),  # that of the open ones is as good
    "expire_requests": {"smm_requests_sending", "smm_requests_open"},
    "overdue": {"smm_orders_followed", "smm_orders_prepared"},
    "health": {
        "smm_orders_followed",
        "smm_orders_prepared",
        "smm_orders_held",
        "smm_orders_sending",
        "smm_orders_unknown",
        "smm_requests_open",
        "smm_budget_changes_day",
    },
    "make_due": {"smm_orders_prepared"},
    "entries": set(),  # in the order of their ids
    "entries_unknown": {"smm_orders_unknown"},
    "events": set(),  # by their positions, the primary key
    "create": set(),
    "create_within_budget": {"smm_budget_changes_day"},
}
"""The indexes that each method needs."""


SOME_ENTRY = Entry(ref="r1", state=EntryState.SENDING, link="l1", created_at=START)

CALLS: dict[str, Callable[[SQLJournal], Awaitable[object]]] = {
    "claim": lambda journal: journal.claim(9, lease=LEASE),
    "due_to_send": lambda journal: journal.due_to_send(1),
    "reschedule_far_future": lambda journal: journal.reschedule_far_future(3, ahead=LEASE),
    "activity": lambda journal: journal.activity(9),
    "has_unchecked": lambda journal: journal.has_unchecked(START),
    "same_link": lambda journal: journal.same_link(SOME_ENTRY, since=START, limit=9),
    "due_requests": lambda journal: journal.due_requests(9, ahead=LEASE),
    "claim_refills": lambda journal: journal.claim_refills("default", 9, lease=LEASE, ahead=LEASE),
    "overdue": lambda journal: journal.overdue(START),
    "health": lambda journal: journal.health(budget=Decimal(9)),
    "make_due": lambda journal: journal.make_due(START),
    "entries": lambda journal: read_first(journal, ()),
    "entries_unknown": lambda journal: read_first(journal, (EntryState.UNKNOWN,)),
    "events": lambda journal: journal.events(1500, 9),
    "create": lambda journal: journal.create(new_entry("new"), is_only_account=True),
    "create_within_budget": lambda journal: journal.create(new_entry("new"), budget=Decimal(9999)),
}
"""How the methods with arguments are called."""


async def read_first(journal: SQLJournal, states: Collection[EntryState]) -> Entry:
    return await anext(aiter(journal.entries(states=states)))


async def run(journal: SQLJournal, name: str) -> object:
    call = CALLS.get(name)
    return await (getattr(journal, name)() if call is None else call(journal))


async def fill(journals: Journals, backend: str) -> SQLJournal:
    journal = await journals()
    sql = FILL.format(
        account=ACCOUNT, day=DAY, states=STATES, numbers=NUMBERS[backend],
        false="false" if backend == "postgresql" else "0",
    )  # fmt: skip
    engine = journal._database._engine
    assert engine is not None
    async with engine.begin() as connection:
        await connection.exec_driver_sql(sql)
        changes = FILL_CHANGES.format(account=ACCOUNT, day=DAY, numbers=NUMBERS[backend])
        await connection.exec_driver_sql(changes)
        requests = FILL_REQUESTS.format(
            account=ACCOUNT, states=STATES.replace("held", "refused"), numbers=NUMBERS[backend]
        )
        await connection.exec_driver_sql(requests)
        events = FILL_EVENTS.format(account=ACCOUNT, numbers=NUMBERS[backend])
        await connection.exec_driver_sql(events)
        last = "UPDATE smm_accounts SET last_event = 3000"
        await connection.exec_driver_sql(last)
        await connection.exec_driver_sql("ANALYZE")
    return journal


async def statements_of(journal: SQLJournal, name: str) -> list[tuple[str, tuple[Any, ...]]]:
    """Return the statements that a method runs on large tables, with their parameters."""
    executed: list[tuple[str, tuple[Any, ...]]] = []
    for engine in (journal._database._engine, journal._database._reader):
        if engine is not None:
            sql_event.listen(
                engine.sync_engine, "before_cursor_execute",
                lambda connection, cursor, sql, values, *rest: executed.append((sql, values)),
            )  # fmt: skip
    await run(journal, name)
    return [
        each for each in executed
        if re.search(
            r"smm_(orders|budget_changes|requests|events)", each[0].partition("RETURNING")[0]
        )
        and not re.match("INSERT INTO smm_(budget_changes|events)", each[0])
    ]  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("backend", ["sqlite"])
@pytest.mark.parametrize("name", sorted(USES))
async def test_sqlite_uses_partial_indexes(journals: Journals, backend: str, name: str) -> None:
    journal = await fill(journals, backend)
    engine = journal._database._engine
    assert engine is not None

    plan = ""
    for sql, values in await statements_of(journal, name):
        async with engine.connect() as connection:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
            plan += "\n".join(str(row.detail) for row in rows) + "\n"

    assert {each for each in USES[name] if each in plan} == USES[name], plan
    assert "SCAN smm_" not in plan, plan


@pytest.mark.asyncio
@pytest.mark.parametrize("backend", ["postgresql"])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", sorted(USES))
async def test_postgres_uses_partial_indexes_with_either_plan_cache_mode(
    journals: Journals, backend: str, postgres: PostgresServer, name: str, mode: str
) -> None:
    journal = await fill(journals, backend)
    executed = await statements_of(journal, name)
    other = await postgres.connect()

    # After five runs, PostgreSQL may use one generic plan for all values of a prepared statement.
    plan = ""
    try:
        await other.execute(f"SET plan_cache_mode = {mode}")
        for number, (sql, values) in enumerate(executed):
            literals = ", ".join(literal(each) for each in values)
            await other.execute(f"PREPARE p{number} AS {sql}")
            rows = await other.fetch(f"EXPLAIN EXECUTE p{number}({literals})")
            plan += "\n".join(row[0] for row in rows) + "\n"
    finally:
        await other.close()

    assert {each for each in USES[name] if each in plan} == USES[name], plan
    # Of accounts, panels and consumers there are a few.
    assert not re.search(r"Seq Scan on smm_(?!accounts|panels|consumers)", plan), plan


def literal(value: object) -> str:
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    return "'" + str(value).replace("'", "''") + "'"


@pytest.mark.asyncio
async def test_claim_skips_closed_orders_of_the_past(journals: Journals, backend: str) -> None:
    journal = await fill(journals, backend)
    journals.clock.time = START + timedelta(days=1)

    claims = await journal.claim(10_000, lease=LEASE)

    assert len(claims) == 4 + 10  # the others of those that are finished are never checked again


UNKNOWN = """
INSERT INTO smm_orders (account, ref, digest, form, link, link_digest, budget_day, created_at,
    state, attempt, was_unknown, is_pinned, miss_count, claim_version)
SELECT '{account}', 'r' || n, 'd', '{{}}', {link}, {link},
    '{day}', 0, 'unknown', 1, {false}, {false}, 0, 0
FROM {numbers}
"""


@pytest.mark.asyncio
async def test_unknown_orders_have_no_limit(journals: Journals, backend: str) -> None:
    """PostgreSQL takes 32,767 parameters; and no order is compared with every other one."""
    count = 33_000
    journal = await journals()
    sql = UNKNOWN.format(
        account=ACCOUNT, day=DAY, link="CASE WHEN n % 2 = 0 THEN 'same' ELSE 'l' || n END",
        false="false" if backend == "postgresql" else "0",
        numbers=NUMBERS[backend].replace("3000", str(count)),
    )  # fmt: skip
    engine = journal._database._engine
    assert engine is not None
    async with engine.begin() as connection:
        await connection.exec_driver_sql(sql)

    unknown = await journal.unknown()

    assert len(unknown) == count
    assert {len(each.other_refs) for each in unknown} == {0, 20}
    assert all(each.entry.ref not in each.other_refs for each in unknown)
