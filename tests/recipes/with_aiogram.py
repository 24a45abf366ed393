"""aiogram 3: the desk is an argument of the handlers; a button orders once per message.

Handlers run concurrently, so two taps are two calls of `buy`. The message with the button names
the order: chat and message are the `ref`, so a chat sees no order but its own. SMMFANFAST_API_KEY
and BOT_TOKEN come from the environment; only errors are logged, and they never contain the API key.
"""

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from aiogram import Bot, Dispatcher, F
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, Message

from smmfanfast_async import Client, DefaultOrder, PanelError, RefConflictError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

LOG = logging.getLogger(__name__)
MESSAGES = {"accepted": "Ordered", "finished": "Ordered and done", "refused": "Not possible"}
PENDING = "the outcome is being checked, tapping again orders nothing more"
BUTTON = F.data.regexp(re.compile(r"buy:(\d{1,6}):(\w{1,30})")).as_("button")


async def buy(query: CallbackQuery, button: re.Match[str], desk: OrderDesk) -> None:
    assert query.message is not None  # the filter requires it
    ref = f"{query.message.chat.id}:{query.message.message_id}"
    try:
        link = f"https://instagram.com/{button[2]}"
        order = DefaultOrder(service=5, link=link, quantity=int(button[1]))
        # A button's data can be forged: max_charge limits it. Telegram waits only seconds.
        entry = await desk.place(order, ref=ref, max_charge=Decimal(5), wait_s=8)
        text = f"Number {query.message.message_id}: {MESSAGES.get(entry.state, PENDING)}."
    except RefConflictError:
        text = "Another order was placed with this message already."
    except errors.InvalidOrderError as error:  # such as a quantity that is too low
        text = str(error)
    except errors.SpendingLimitError:  # its text reveals what the bot pays
        text = "This exceeds the limit for one order."
    except PanelError as error:  # not the buyer's fault: nothing was sent
        LOG.warning("order %s: %s", ref, error)
        text = "Not ordered: please tap again later."
    await query.answer(text[:200])  # Telegram's limit


async def status(message: Message, command: CommandObject, desk: OrderDesk) -> None:
    try:
        entry = await desk.find(f"{message.chat.id}:{command.args}")  # no other chat's
        if entry is None:
            text = "This order does not exist."
        elif entry.raw_status is not None:
            text = f"{entry.raw_status}, {entry.remains} remaining"
        else:
            text = f"{MESSAGES.get(entry.state, PENDING)}."
    except PanelError as error:
        LOG.warning("status: %s", error)
        text = "Please try again later."
    await message.answer(text)


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel rejects
        LOG.exception("orders are no longer followed")


@asynccontextmanager
async def open_dispatcher() -> AsyncIterator[Dispatcher]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        dispatcher = Dispatcher(desk=desk)
        dispatcher.callback_query.register(buy, F.message, BUTTON)
        dispatcher.message.register(status, Command("status"))
        following = asyncio.create_task(follow(desk))
        try:
            yield dispatcher
        finally:
            following.cancel()
            await asyncio.wait({following})


async def main() -> None:
    async with open_dispatcher() as dispatcher, Bot(os.environ["BOT_TOKEN"]) as bot:
        await dispatcher.start_polling(bot)


if __name__ == "__main__":
    asyncio.run(main())
