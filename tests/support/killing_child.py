"""A program that places orders by ref until it is killed: `python killing_child.py JSON`.

It says on its output what the one who kills it needs to know, a JSON object a line: `{"at": …}`
where it stands still at a named point, `{"entry": ref, "state": …, "order": …}` for what a place
gave, `{"event": position}` for each event that its consumer has seen.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from smmfanfast_async import Client, DefaultOrder, PanelError, PollPolicy
from smmfanfast_async.desk import OrderDesk, sending
from smmfanfast_async.journal import Entry
from smmfanfast_async.journal.sql import SQLJournal

STILL_S = 600.0
"""Seconds for which it stands still at a point: whoever waits for it kills it long before."""

COMMITS = {"intent": "create", "outcome": "settle", "resolve": "decide"}
"""Points before a commit, and the journal's method whose it is."""


def say(**words: object) -> None:
    """Tell the parent."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def stand_still(point: str) -> None:
    """Say where, and block the whole process until it is killed or told to go on."""
    say(at=point)
    time.sleep(STILL_S)


def watched(name: str, doing: list[str]) -> Callable[..., Any]:
    """Wrap a method of the journal so that `doing` holds its name while it works."""
    method = getattr(SQLJournal, name)

    async def wrapped(self: SQLJournal, *args: Any, **options: Any) -> Any:
        doing.append(name)
        try:
            return await method(self, *args, **options)
        finally:
            doing.pop()

    return wrapped


def stop_before_commit(point: str) -> None:
    """Stand still when the commit of a method is about to be made."""
    wanted = COMMITS[point]
    doing: list[str] = []
    setattr(SQLJournal, wanted, watched(wanted, doing))
    event.listen(Engine, "commit", lambda _: stand_still(point) if doing else None)


def stop_after_begin(still_s: float) -> None:
    """Stand still between the durable intent and the first byte."""
    begin = SQLJournal.start_attempt

    async def begun(self: SQLJournal, *args: Any, **options: Any) -> Entry | None:
        found = await begin(self, *args, **options)
        if found is not None:
            say(at="begun")
            time.sleep(still_s)  # noqa: ASYNC251  # the whole process is to stand still
        return found

    SQLJournal.start_attempt = begun  # type: ignore[method-assign]


async def consume(desk: OrderDesk, consumer: str) -> None:
    async for each in desk.events(consumer):
        say(event=each.position)


async def place(desk: OrderDesk, ref: str) -> None:
    order = DefaultOrder(service=5, link=f"https://example.com/{ref}", quantity=500)
    try:
        entry = await desk.place(order, ref=ref)
    except PanelError as error:
        say(failed=ref, why=str(error))
    else:
        say(entry=ref, state=entry.state.value, order=entry.order)


async def main(asked: dict[str, Any]) -> None:
    """Do what the one line of JSON asks for."""
    # Attempts that were killed are to count as given up within the test's time.
    sending.LEASE_S = asked.get("lease_s", 1.0)
    sending.WRITE_WITHIN_S = asked.get("write_within_s", 0.5)
    point = asked.get("point")
    if point in COMMITS:
        stop_before_commit(point)
    elif point == "begun":
        stop_after_begin(asked.get("still_s", STILL_S))
    off = timedelta(seconds=asked.get("clock_off_s", 0.0))
    clock = (lambda: datetime.now(UTC) + off) if off else None
    poll = PollPolicy(min_interval_s=0.2, max_interval_s=1.0)
    async with (
        Client("test-key", base_url=asked["panel"]) as client,
        OrderDesk(
            client,
            SQLJournal(asked["journal"], clock=clock),
            account="killing",
            poll=poll,
            record_balance=False,
        ) as desk,
        asyncio.TaskGroup() as group,
    ):
        tasks = []
        if asked.get("consumer"):
            tasks.append(group.create_task(consume(desk, asked["consumer"])))
        if asked.get("follow"):
            tasks.append(group.create_task(desk.follow()))
        if "resolve" in asked:
            await desk.resolve(asked["resolve"], placed=False, decided_by="a test")
        for ref in asked.get("refs", ()):
            await place(desk, ref)
        say(done=True)
        await asyncio.sleep(asked.get("stay_s", 0.0))
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
