"""discord.py: slash commands; `setup_hook` opens the client and the desk, `close` closes them.

Discord may deliver an interaction again after a lost connection: its id is in the `ref`, so it
orders once. The user's id is in it too, so a user sees no order but their own. SMMFANFAST_API_KEY
and BOT_TOKEN come from the environment; errors, which are logged, never contain the API key.
"""

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack, suppress
from decimal import Decimal
from typing import Any

import discord
from discord import app_commands

from smmfanfast_async import Client, DefaultOrder, PanelError, RefConflictError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
MESSAGES = {"accepted": "Ordered", "finished": "Ordered and done", "refused": "Not possible"}
PENDING = "the outcome is being checked, nothing more is ordered meanwhile"
Name = app_commands.Range[str, 1, 30]
Quantity = app_commands.Range[int, 1, 999_999]


class Shop(discord.Client):
    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True))
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(buy)
        self.tree.add_command(status)
        self.resources = AsyncExitStack()

    async def setup_hook(self) -> None:
        journal = SQLJournal("sqlite+aiosqlite:///orders.db")
        client = await self.resources.enter_async_context(Client.from_env())
        self.desk = await self.resources.enter_async_context(OrderDesk(client, journal))
        following = asyncio.create_task(follow(self.desk))
        self.resources.push_async_callback(stop, following)
        await self.tree.sync()

    async def close(self) -> None:
        await super().close()
        await self.resources.aclose()


Interaction = discord.Interaction[Shop]


@app_commands.command(description="Order followers")
async def buy(interaction: Interaction, name: Name, quantity: Quantity) -> None:
    # Discord waits 3 seconds for an answer, and 15 minutes after this one. Only the user sees it.
    await interaction.response.defer(ephemeral=True)
    ref = f"{interaction.user.id}:{interaction.id}"
    try:
        order = DefaultOrder(service=5, link=f"https://instagram.com/{name}", quantity=quantity)
        desk = interaction.client.desk
        entry = await desk.place(order, ref=ref, max_charge=Decimal(5), wait_s=60)
        text = f"Number {interaction.id}: {MESSAGES.get(entry.state, PENDING)}."
    except RefConflictError:
        text = "Another order has this number already."
    except errors.InvalidOrderError as error:  # such as a quantity that is too low
        text = str(error)
    except errors.SpendingLimitError:  # its text reveals what the bot pays
        text = "This exceeds the limit for one order."
    except PanelError as error:  # not the buyer's fault: nothing was sent
        LOG.warning("order %s: %s", ref, error)
        text = "Not ordered: please try again later."
    await interaction.edit_original_response(content=text[:2000])  # Discord's limit


@app_commands.command(description="Show one of your orders")
async def status(interaction: Interaction, number: str) -> None:
    await interaction.response.defer(ephemeral=True)
    try:
        entry = await interaction.client.desk.find(
            f"{interaction.user.id}:{number}"
        )  # no other user's
        if entry is None:
            text = "This order does not exist."
        elif entry.raw_status is not None:
            text = f"{entry.raw_status}, {entry.remains} remaining"
        else:
            text = f"{MESSAGES.get(entry.state, PENDING)}."
    except PanelError as error:
        LOG.warning("status: %s", error)
        text = "Please try again later."
    await interaction.edit_original_response(content=text[:2000])


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel rejects
        LOG.exception("orders are no longer followed")


async def stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})


async def main() -> None:
    task = asyncio.current_task()
    assert task is not None
    # Docker and systemd stop a program with SIGTERM, which discord.py does not handle.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with Shop() as shop:
        with suppress(asyncio.CancelledError):
            await shop.start(os.environ["BOT_TOKEN"])


if __name__ == "__main__":
    discord.utils.setup_logging(level=logging.WARNING)
    asyncio.run(main())
