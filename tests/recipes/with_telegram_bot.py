"""python-telegram-bot: `post_init` opens, `post_shutdown` closes; a button orders once.

With `concurrent_updates`, two taps are two concurrent calls of `buy`, and a slow panel delays
no other chat. The message with the button names the order: chat and message are the `ref`, so a
chat sees no order but its own.
SMMFANFAST_API_KEY and BOT_TOKEN come from the environment; errors, which are logged, never
contain the API key. A client cannot be pickled: exclude `bot_data` from a persistence.
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
MESSAGES = {"accepted": "Ordered", "finished": "Ordered and done", "refused": "Not possible"}
PENDING = "the outcome is being checked, tapping again orders nothing more"


async def buy(update: Update, context: Any) -> None:
    query, match = update.callback_query, context.matches[0]
    if query is None or query.message is None:  # the button is not in a message of this bot
        return
    ref = f"{query.message.chat.id}:{query.message.message_id}"
    try:
        link = f"https://instagram.com/{match[2]}"
        order = DefaultOrder(service=5, link=link, quantity=int(match[1]))
        # A button's data can be forged: max_charge limits it. Telegram waits only seconds.
        desk = context.bot_data["desk"]
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


async def status(update: Update, context: Any) -> None:
    message = update.effective_message
    if message is None:
        return
    try:
        ref = f"{message.chat.id}:{' '.join(context.args)}"  # no other chat's
        entry = await context.bot_data["desk"].find(ref)
        if entry is None:
            text = "This order does not exist."
        elif entry.raw_status is not None:
            text = f"{entry.raw_status}, {entry.remains} remaining"
        else:
            text = f"{MESSAGES.get(entry.state, PENDING)}."
    except PanelError as error:
        LOG.warning("status: %s", error)
        text = "Please try again later."
    await message.reply_text(text)


async def follow(desk: OrderDesk) -> None:
    try:
        await desk.follow()
    except PanelError:  # such as a key that the panel rejects
        LOG.exception("orders are no longer followed")


async def open_resources(application: App) -> None:
    client = application.bot_data["client"] = Client.from_env()
    desk = OrderDesk(client, SQLJournal("sqlite+aiosqlite:///orders.db"))
    await desk.open()
    application.bot_data["desk"] = desk
    application.bot_data["following"] = asyncio.create_task(follow(desk))


async def close_resources(application: App) -> None:
    """Close what was opened; this is also called if opening failed halfway."""
    resources = application.bot_data
    if "following" in resources:
        resources["following"].cancel()
        await asyncio.wait({resources["following"]})
        await resources["desk"].aclose()
    if "client" in resources:
        await resources["client"].aclose()


def build_application(builder: ApplicationBuilder[Any, Any, Any, Any, Any, Any]) -> App:
    builder.concurrent_updates(64)
    application = builder.post_init(open_resources).post_shutdown(close_resources).build()
    button = r"^buy:(\d{1,6}):(\w{1,30})$"
    application.add_handler(CallbackQueryHandler(buy, button))
    application.add_handler(CommandHandler("status", status))
    return application


if __name__ == "__main__":
    # httpx logs every URL at INFO, and Telegram's URLs contain the bot's token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    build_application(Application.builder().token(os.environ["BOT_TOKEN"])).run_polling()
