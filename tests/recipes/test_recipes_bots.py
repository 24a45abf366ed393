"""The recipes for bots: a button that is tapped twice orders once, and every tap is answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NoReturn

import aiogram
import pytest
import pytest_asyncio
import telegram
import with_aiogram
import with_discord
import with_telegram_bot
from aiogram.client.session.base import BaseSession
from attrs import define, field
from conftest import API_KEY, FOLLOW_S, is_followed
from telegram.ext import ApplicationBuilder
from telegram.request import BaseRequest

from smmfanfast_async import AuthenticationError, JournalError
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault, Sandbox

TOKEN = "42:TEST"
USER = {"id": 7, "is_bot": False, "first_name": "Example"}
CHAT = {"id": 7, "type": "private", "first_name": "Example"}
OTHER_USER = {"id": 8, "is_bot": False, "first_name": "Other"}
OTHER_CHAT = {"id": 8, "type": "private", "first_name": "Other"}
BUTTON = "buy:1000:example"
LINK = "https://instagram.com/example"


@define
class Chat:
    """A chat with the bot: a person's actions, and the bot's replies."""

    feed: Callable[[dict[str, Any]], Any]
    replies: list[str] = field(factory=list)
    conflict: str = "Another order was placed with this message already."

    async def tap(self, number: int, data: str = BUTTON, message: int = 1) -> str:
        """Tap a button below a message, and return the bot's reply."""
        query = {"id": str(number), "from": USER, "chat_instance": "1", "data": data}
        query["message"] = {"message_id": message, "date": now(), "chat": CHAT, "text": "Offer"}
        await self.feed({"update_id": number, "callback_query": query})
        return self.replies[-1]

    async def ask(self, number: object, *, is_other: bool = False) -> str:
        """Ask for the status of an order, also as another person, and return the bot's reply."""
        text = f"/status {number}"
        command = {"type": "bot_command", "offset": 0, "length": len("/status")}
        user, chat = (OTHER_USER, OTHER_CHAT) if is_other else (USER, CHAT)
        message = {"message_id": 2, "date": now(), "chat": chat, "from": user, "text": text}
        await self.feed({"update_id": 9, "message": {**message, "entities": [command]}})
        return self.replies[-1]


def now() -> int:
    return int(datetime.now(UTC).timestamp())


class Session(BaseSession):
    """Replaces aiogram's connection to Telegram; nothing is sent."""

    def __init__(self, replies: list[str]) -> None:
        super().__init__()
        self.replies = replies

    async def make_request(self, bot: Any, method: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109  # aiogram's name
        self.replies.append(method.text)
        return True

    def stream_content(self, *arguments: Any, **options: Any) -> NoReturn:
        raise AssertionError("these recipes do not fetch files")

    async def close(self) -> None:
        """Close nothing."""


class Request(BaseRequest):
    """Replaces python-telegram-bot's connection to Telegram; nothing is sent."""

    read_timeout = None

    def __init__(self, replies: list[str]) -> None:
        self.replies = replies

    async def initialize(self) -> None:
        """Open nothing."""

    async def shutdown(self) -> None:
        """Close nothing."""

    async def do_request(
        self, url: str, method: str, request_data: Any = None, *arguments: Any, **options: Any
    ) -> tuple[int, bytes]:
        answer: Any = True
        if url.endswith("/getMe"):
            answer = {**USER, "is_bot": True, "username": "example_bot"}
        else:
            self.replies.append(request_data.parameters["text"])
        if url.endswith("/sendMessage"):
            answer = {"message_id": 3, "date": now(), "chat": CHAT, "text": "Sent"}
        return 200, json.dumps({"ok": True, "result": answer}).encode()


@asynccontextmanager
async def aiogram_bot() -> AsyncIterator[Chat]:
    replies: list[str] = []
    bot = aiogram.Bot(TOKEN, session=Session(replies))
    async with with_aiogram.open_dispatcher() as dispatcher:

        async def feed(update: dict[str, Any]) -> None:
            await dispatcher.feed_update(bot, aiogram.types.Update(**update))

        yield Chat(feed, replies)


@asynccontextmanager
async def telegram_bot() -> AsyncIterator[Chat]:
    """Do what `run_polling` does, in the same order, without polling."""
    replies: list[str] = []
    builder = ApplicationBuilder().token(TOKEN).request(Request(replies)).updater(None)
    application = with_telegram_bot.build_application(builder.get_updates_request(Request(replies)))
    await application.initialize()
    await with_telegram_bot.open_resources(application)
    await application.start()

    async def feed(update: dict[str, Any]) -> None:
        await application.process_update(telegram.Update.de_json(update, application.bot))

    yield Chat(feed, replies)
    await application.stop()
    await application.shutdown()
    await with_telegram_bot.close_resources(application)


class Commands(Chat):
    """The slash commands of a bot on Discord; a button is a command, a message its interaction."""

    async def tap(self, number: int, data: str = BUTTON, message: int = 1) -> str:
        _, quantity, name = data.split(":")
        options = [
            {"name": "name", "type": 3, "value": name},
            {"name": "quantity", "type": 4, "value": int(quantity)},
        ]
        await self.feed(interaction("buy", options, message, USER))
        return self.replies[-1]

    async def ask(self, number: object, *, is_other: bool = False) -> str:
        options = [{"name": "number", "type": 3, "value": str(number)}]
        user = OTHER_USER if is_other else USER
        await self.feed(interaction("status", options, 10**6, user))
        return self.replies[-1]


def interaction(
    command: str, options: list[dict[str, Any]], number: int, user: dict[str, Any]
) -> dict[str, Any]:
    """Return what Discord sends for a slash command."""
    return {
        "id": str(number), "application_id": "42", "type": 2, "token": "T", "version": 1,
        "channel": {"id": "7", "type": 1}, "user": discord_user(user), "entitlements": [],
        "data": {"id": "3", "name": command, "type": 1, "options": options},
        "attachment_size_limit": 0, "authorizing_integration_owners": {}, "context": 1,
    }  # fmt: skip


def discord_user(user: dict[str, Any]) -> dict[str, Any]:
    names = {"username": user["first_name"], "discriminator": "0", "avatar": None}
    return {"id": str(user["id"]), **names}


APPLICATION = {
    "id": "42", "name": "shop", "description": "", "icon": None, "bot_public": False,
    "bot_require_code_grant": False, "owner": discord_user(USER), "verify_key": "", "flags": 0,
}  # fmt: skip


@asynccontextmanager
async def discord_bot() -> AsyncIterator[Chat]:
    """Do what `start` does, without a connection: both ways to Discord are replaced."""
    replies: list[str] = []

    async def request(self: Any, route: Any, **options: Any) -> Any:
        if route.path == "/users/@me":
            return discord_user(USER)
        return [] if route.method == "PUT" else APPLICATION

    async def answer(self: Any, route: Any, session: Any, **options: Any) -> Any:
        if route.method != "PATCH":
            return {"interaction": {"id": "1", "type": 2}}
        replies.append(options["payload"]["content"])
        return {
            "id": "9", "channel_id": "7", "type": 0, "content": replies[-1], "embeds": [],
            "attachments": [], "author": discord_user(USER), "edited_timestamp": None,
            "mention_everyone": False, "mention_roles": [], "mentions": [], "pinned": False,
            "timestamp": datetime.now(UTC).isoformat(), "tts": False,
        }  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("discord.http.HTTPClient.request", request)
        patch.setattr("discord.webhook.async_.AsyncWebhookAdapter.request", answer)
        async with with_discord.Shop() as shop:
            await shop.login(TOKEN)

            async def feed(data: dict[str, Any]) -> None:
                received = with_discord.Interaction(data=data, state=shop._connection)
                await shop.tree._call(received)

            conflict = "Another order has this number already."
            yield Commands(feed, replies, conflict)


BOTS = {"aiogram": aiogram_bot, "discord.py": discord_bot, "python-telegram-bot": telegram_bot}
RECIPES = [with_aiogram, with_discord, with_telegram_bot]
PENDING_REPLIES = {f"Number 1: {recipe.PENDING}." for recipe in RECIPES}


@pytest_asyncio.fixture(params=BOTS)
async def chat(request: pytest.FixtureRequest, panel: Sandbox) -> AsyncIterator[Chat]:
    async with BOTS[request.param]() as opened:
        yield opened


def count_placed(panel: Sandbox) -> int:
    return sum(order.link == LINK for order in panel.orders.values())


@pytest.mark.asyncio
async def test_double_tap_places_one_order_and_answers_both_taps(
    chat: Chat, panel: Sandbox
) -> None:
    await asyncio.gather(chat.tap(1), chat.tap(2))

    assert chat.replies == ["Number 1: Ordered."] * 2
    assert count_placed(panel) == 1


@pytest.mark.asyncio
async def test_another_button_of_the_same_message_orders_nothing(
    chat: Chat, panel: Sandbox
) -> None:
    await chat.tap(1)
    reply = await chat.tap(2, "buy:2000:example")

    assert reply == chat.conflict
    assert count_placed(panel) == 1


@pytest.mark.asyncio
async def test_refusal_is_reported(chat: Chat, panel: Sandbox) -> None:
    await chat.tap(1)
    reply = await chat.tap(2, message=5)  # the panel refuses a second active order for a link

    assert reply == "Number 5: Not possible."
    assert await chat.ask(5) == "Not possible."
    assert count_placed(panel) == 1


@pytest.mark.asyncio
async def test_unknown_outcome_is_reported_and_not_ordered_again(
    chat: Chat, panel: Sandbox
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")
    replies = [await chat.tap(1), await chat.tap(2)]

    assert replies[0] == replies[1]
    assert replies[0] in PENDING_REPLIES
    assert await chat.ask(1) == replies[0].removeprefix("Number 1: ")
    assert count_placed(panel) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("button", "why"),
    [("buy:1:example", "minimum"), ("buy:10000:example", "limit for one"), ("buy:0:a", "quantity")],
)
async def test_forged_button_gets_the_reason_and_sends_nothing(
    chat: Chat, panel: Sandbox, button: str, why: str
) -> None:
    reply = await chat.tap(1, button)

    assert why in reply
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_tap_after_an_outage_places_the_order(chat: Chat, panel: Sandbox) -> None:
    panel.fail_next(Fault.BLOCKED)
    replies = [await chat.tap(1), await chat.tap(2)]

    assert replies[0].startswith("Not ordered: please t")
    assert replies[1] == "Number 1: Ordered."
    assert count_placed(panel) == 1


@pytest.mark.asyncio
async def test_status_is_what_the_desk_has_followed(
    polls_at_once: None, chat: Chat, panel: Sandbox
) -> None:
    await chat.tap(1)
    assert (await chat.ask(1)).endswith(("Ordered.", " remaining"))
    (placed,) = [order for order, each in panel.orders.items() if each.link == LINK]
    panel.set_status(placed, "canceled")
    reply = ""
    async with asyncio.timeout(FOLLOW_S):
        while not reply.lower().startswith("cancel"):
            reply = await chat.ask(1)


@pytest.mark.asyncio
@pytest.mark.parametrize("number", ["99999999", "", "none", "1:1"])
async def test_missing_order_is_reported(chat: Chat, number: str) -> None:
    assert await chat.ask(number) == "This order does not exist."


@pytest.mark.asyncio
async def test_order_is_shown_to_its_buyer_alone(chat: Chat) -> None:
    await chat.tap(1)

    assert await chat.ask(1) == "Ordered."
    assert await chat.ask(1, is_other=True) == "This order does not exist."
    assert await chat.ask("7:1", is_other=True) == "This order does not exist."


@pytest.mark.asyncio
@pytest.mark.parametrize("name", BOTS)
async def test_status_failure_is_reported(
    name: str, panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def find(self: SQLJournal, ref: str, **options: Any) -> NoReturn:
        raise JournalError("the disk is full")

    async with BOTS[name]() as chat:
        monkeypatch.setattr(SQLJournal, "find", find)
        reply = await chat.ask(1)

    assert reply == "Please try again later."


@pytest.mark.asyncio
@pytest.mark.parametrize("name", BOTS)
async def test_restart_knows_the_message_and_leaves_no_task(name: str, panel: Sandbox) -> None:
    async with BOTS[name]() as chat:
        await chat.tap(1)
        assert is_followed()
    assert not is_followed()
    async with BOTS[name]() as chat:
        reply = await chat.tap(2)

    assert reply == "Number 1: Ordered."
    assert count_placed(panel) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("name", BOTS)
async def test_wrong_key_is_never_shown(
    name: str, panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", f"{API_KEY}-of-another-account")
    async with BOTS[name]() as chat:
        reply = await chat.tap(1)

    assert reply.startswith("Not ordered: please t")
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_bot_that_cannot_open_its_journal_closes_its_client(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_telegram_bot, "SQLJournal", lambda _url: 1 / 0)
    application = with_telegram_bot.build_application(
        ApplicationBuilder().token(TOKEN).updater(None)
    )
    with pytest.raises(ZeroDivisionError):
        await with_telegram_bot.open_resources(application)
    await with_telegram_bot.close_resources(application)

    assert repr(application.bot_data["client"]).endswith(" closed>")


class RefusedDesk:
    async def follow(self) -> None:
        raise AuthenticationError("Incorrect request")


@pytest.mark.asyncio
@pytest.mark.parametrize("recipe", RECIPES)
async def test_end_of_following_is_logged(recipe: Any, caplog: pytest.LogCaptureFixture) -> None:
    await recipe.follow(RefusedDesk())

    assert "orders are no longer followed" in caplog.text
