"""aiogram 3: the client and the desk are handler arguments; a button orders once, however tapped.

Handlers run at the same time, so two taps are two calls of `buy`. The message with the button names
the order: chat and message are the `ref`. SMMFANFAST_API_KEY and BOT_TOKEN come from the
environment; what goes into the log are errors, which never hold the API key.
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
WORDS = {"accepted": "Ordered.", "finished": "Ordered and done.", "refused": "Not possible."}
LATER = "We are looking into it. Tapping again orders nothing more."
BUTTON = F.data.regexp(re.compile(r"buy:(\d{1,6}):(\w{1,30})")).as_("button")


async def buy(query: CallbackQuery, button: re.Match[str], desk: OrderDesk) -> None:
    assert query.message is not None  # the filter asks for it
    ref = f"{query.message.chat.id}:{query.message.message_id}"
    try:
        link = f"https://instagram.com/{button[2]}"
        order = DefaultOrder(service=5, link=link, quantity=int(button[1]))
        # What a button sends can be forged: the bot's own limit bounds it. Telegram waits seconds.
        entry = await desk.place(order, ref=ref, max_charge=Decimal(5), wait_s=8)
        text = WORDS.get(entry.state, LATER)
    except RefConflictError:
        text = "Something else was ordered here already."
    except errors.InvalidOrderError as error:  # such as a quantity that is too low
        text = str(error)
    except errors.SpendingLimitError:  # its text tells what the bot pays
        text = "That is more than can be bought at once."
    except PanelError as error:  # ours, not the buyer's: nothing was sent
        LOG.warning("order %s: %s", ref, error)
        text = "Not ordered: please tap again later."
    await query.answer(text[:200])  # what Telegram shows at most


async def status(message: Message, command: CommandObject, client: Client) -> None:
    try:
        found = await client.status(command.args or "")  # all who ask at a time share a call
        text = f"{found.raw_status}, {found.remains} to come"
    except (errors.InvalidOrderError, errors.OrderNotFoundError):
        text = "There is no such order."
    except PanelError as error:
        LOG.warning("status: %s", error)
        text = "Please ask again later."
    await message.answer(text)


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel refuses
        LOG.exception("orders are not followed any more")


@asynccontextmanager
async def opened() -> AsyncIterator[Dispatcher]:
    journal = SQLJournal("sqlite+aiosqlite:///orders.db")
    async with Client.from_env() as client, OrderDesk(client, journal) as desk:
        dispatcher = Dispatcher(client=client, desk=desk)
        dispatcher.callback_query.register(buy, F.message, BUTTON)
        dispatcher.message.register(status, Command("status"))
        following = asyncio.create_task(follow(desk))
        try:
            yield dispatcher
        finally:
            following.cancel()
            await asyncio.wait({following})


async def main() -> None:
    async with opened() as dispatcher, Bot(os.environ["BOT_TOKEN"]) as bot:
        await dispatcher.start_polling(bot)


if __name__ == "__main__":
    asyncio.run(main())
