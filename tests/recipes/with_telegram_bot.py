"""python-telegram-bot: `post_init` opens, `post_shutdown` closes; a button orders once.

With `concurrent_updates`, two taps are two calls of `buy` at the same time, and a slow panel holds
up no other chat. The message with the button names the order: chat and message are the `ref`.
SMMFANFAST_API_KEY and BOT_TOKEN come from the environment; errors, which get into the log, never
hold the API key. A client can't be pickled: with a persistence, leave `bot_data` out of it.
"""

import asyncio
import logging
import os
from decimal import Decimal
from typing import Any

from telegram import Update
from telegram.ext import Application, ApplicationBuilder, CallbackQueryHandler, CommandHandler

from smmfanfast_async import Client, DefaultOrder, PanelError, RefConflictError, errors
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

App = Application[Any, Any, Any, Any, Any, Any]
LOG = logging.getLogger(__name__)
WORDS = {"accepted": "Ordered.", "finished": "Ordered and done.", "refused": "Not possible."}
LATER = "We are looking into it. Tapping again orders nothing more."


async def buy(update: Update, context: Any) -> None:
    query, found = update.callback_query, context.matches[0]
    if query is None or query.message is None:  # the button stands in no message of this bot
        return
    ref = f"{query.message.chat.id}:{query.message.message_id}"
    try:
        link = f"https://instagram.com/{found[2]}"
        order = DefaultOrder(service=5, link=link, quantity=int(found[1]))
        # What a button sends can be forged: the bot's own limit bounds it. Telegram waits seconds.
        desk = context.bot_data["desk"]
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


async def status(update: Update, context: Any) -> None:
    try:
        found = await context.bot_data["client"].status("".join(context.args))
        text = f"{found.raw_status}, {found.remains} to come"
    except (errors.InvalidOrderError, errors.OrderNotFoundError):
        text = "There is no such order."
    except PanelError as error:
        LOG.warning("status: %s", error)
        text = "Please ask again later."
    if update.effective_message is not None:
        await update.effective_message.reply_text(text)


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel refuses
        LOG.exception("orders are not followed any more")


async def opened(application: App) -> None:
    client = application.bot_data["client"] = Client.from_env()
    desk = OrderDesk(client, SQLJournal("sqlite+aiosqlite:///orders.db"))
    await desk.open()
    application.bot_data["desk"] = desk
    application.bot_data["following"] = asyncio.create_task(follow(desk))


async def closed(application: App) -> None:
    """Close what was opened, in turn: it is called as well where opening failed half way."""
    opened = application.bot_data
    if "following" in opened:
        opened["following"].cancel()
        await asyncio.wait({opened["following"]})
        await opened["desk"].aclose()
    if "client" in opened:
        await opened["client"].aclose()


def make(builder: ApplicationBuilder[Any, Any, Any, Any, Any, Any]) -> App:
    builder.concurrent_updates(64)
    application = builder.post_init(opened).post_shutdown(closed).build()
    button = r"^buy:(\d{1,6}):(\w{1,30})$"
    application.add_handler(CallbackQueryHandler(buy, button))
    application.add_handler(CommandHandler("status", status))
    return application


if __name__ == "__main__":
    # httpx tells at INFO every address it calls, and Telegram's hold the bot's token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    make(Application.builder().token(os.environ["BOT_TOKEN"])).run_polling()
