"""A process that buys, or gives back, and is killed before a statement of its own transaction."""

import asyncio
import os
from typing import Any

from recipes.with_wallet import Wallet
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine

from smmfanfast_async import Client, DefaultOrder
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

KILLED = 9
"""The exit code of a process that has ended at once, without any cleaning up."""


async def main(task: dict[str, Any]) -> None:
    """Do what the JSON object describes."""
    engine = create_async_engine(task["journal"])
    left = task["statements"]

    def count(*_: object) -> None:
        nonlocal left
        if left == 0:
            os._exit(KILLED)
        left -= 1

    event.listen(engine.sync_engine, "before_cursor_execute", count)
    event.listen(engine.sync_engine, "commit", count)
    async with (
        Client(task["key"], base_url=task["panel"]) as client,
        OrderDesk(client, SQLJournal(task["journal"]), account="shop") as desk,
    ):
        wallet = Wallet(engine, desk)
        if task["ref"] is not None:
            await client.services()
            order = DefaultOrder(service=1, link=f"https://x.test/{task['ref']}", quantity=1000)
            await wallet.buy("ann", order, ref=task["ref"], cents=150)
        else:
            await wallet.give_back(wait=False)
    await engine.dispose()


def run(task: dict[str, Any]) -> None:
    """Do it in this process, which was started for it."""
    asyncio.run(main(task))
