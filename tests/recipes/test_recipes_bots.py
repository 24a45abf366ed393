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
import with_telegram_bot
from aiogram.client.session.base import BaseSession
from attrs import define, field
from conftest import API_KEY, is_followed
from telegram.ext import ApplicationBuilder
from telegram.request import BaseRequest

from smmfanfast_async import AuthenticationError
from smmfanfast_async.sandbox import Fault, Sandbox

TOKEN = "42:TEST"
USER = {"id": 7, "is_bot": False, "first_name": "Example"}
CHAT = {"id": 7, "type": "private", "first_name": "Example"}
BUTTON = "buy:1000:example"
LINK = "https://instagram.com/example"


@define
class Chat:
    """What a person does, and what the bot says to it."""

    feed: Callable[[dict[str, Any]], Any]
    said: list[str] = field(factory=list)

    async def tap(self, number: int, data: str = BUTTON, message: int = 1) -> str:
        """Tap a button under a message, and give what the bot answers."""
        query = {"id": str(number), "from": USER, "chat_instance": "1", "data": data}
        query["message"] = {"message_id": message, "date": now(), "chat": CHAT, "text": "Offer"}
        await self.feed({"update_id": number, "callback_query": query})
        return self.said[-1]

    async def write(self, text: str) -> str:
        """Write a command, and give what the bot answers."""
        length = len(text.split(maxsplit=1)[0])
        command = {"type": "bot_command", "offset": 0, "length": length}
        message = {"message_id": 2, "date": now(), "chat": CHAT, "from": USER, "text": text}
        await self.feed({"update_id": 9, "message": {**message, "entities": [command]}})
        return self.said[-1]


def now() -> int:
    return int(datetime.now(UTC).timestamp())


class Session(BaseSession):
    """What aiogram calls Telegram with; nothing leaves it."""

    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self.said = said

    async def make_request(self, bot: Any, method: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109  # aiogram's name
        self.said.append(method.text)
        return True

    def stream_content(self, *arguments: Any, **options: Any) -> NoReturn:
        raise AssertionError("these recipes fetch no files")

    async def close(self) -> None:
        """Close nothing."""


class Request(BaseRequest):
    """What python-telegram-bot calls Telegram with; nothing leaves it."""

    read_timeout = None

    def __init__(self, said: list[str]) -> None:
        self.said = said

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
            self.said.append(request_data.parameters["text"])
        if url.endswith("/sendMessage"):
            answer = {"message_id": 3, "date": now(), "chat": CHAT, "text": "Said"}
        return 200, json.dumps({"ok": True, "result": answer}).encode()


@asynccontextmanager
async def aiogram_bot() -> AsyncIterator[Chat]:
    said: list[str] = []
    bot = aiogram.Bot(TOKEN, session=Session(said))
    async with with_aiogram.opened() as dispatcher:

        async def feed(update: dict[str, Any]) -> None:
            await dispatcher.feed_update(bot, aiogram.types.Update(**update))

        yield Chat(feed, said)


@asynccontextmanager
async def telegram_bot() -> AsyncIterator[Chat]:
    """Do what `run_polling` does, in its order, without polling."""
    said: list[str] = []
    builder = ApplicationBuilder().token(TOKEN).request(Request(said)).updater(None)
    application = with_telegram_bot.make(builder.get_updates_request(Request(said)))
    await application.initialize()
    await with_telegram_bot.opened(application)
    await application.start()

    async def feed(update: dict[str, Any]) -> None:
        await application.process_update(telegram.Update.de_json(update, application.bot))

    yield Chat(feed, said)
    await application.stop()
    await application.shutdown()
    await with_telegram_bot.closed(application)


BOTS = {"aiogram": aiogram_bot, "python-telegram-bot": telegram_bot}


@pytest_asyncio.fixture(params=BOTS)
async def chat(request: pytest.FixtureRequest, panel: Sandbox) -> AsyncIterator[Chat]:
    async with BOTS[request.param]() as made:
        yield made


def placed(panel: Sandbox) -> int:
    return sum(order.link == LINK for order in panel.orders.values())


@pytest.mark.asyncio
async def test_a_double_tap_is_one_order_and_both_taps_are_answered(
    chat: Chat, panel: Sandbox
) -> None:
    await asyncio.gather(chat.tap(1), chat.tap(2))

    assert chat.said == ["Ordered.", "Ordered."]
    assert placed(panel) == 1


@pytest.mark.asyncio
async def test_another_button_of_the_same_message_orders_nothing(
    chat: Chat, panel: Sandbox
) -> None:
    await chat.tap(1)
    said = await chat.tap(2, "buy:2000:example")

    assert said == "Something else was ordered here already."
    assert placed(panel) == 1


@pytest.mark.asyncio
async def test_what_the_panel_refuses_is_told(chat: Chat, panel: Sandbox) -> None:
    await chat.tap(1)
    said = await chat.tap(2, message=5)  # the panel takes no second active order for a link

    assert said == "Not possible."
    assert placed(panel) == 1


@pytest.mark.asyncio
async def test_an_unknown_outcome_is_told_and_a_further_tap_orders_nothing(
    chat: Chat, panel: Sandbox
) -> None:
    panel.fail_next(Fault.DROP_AFTER, action="add")
    said = [await chat.tap(1), await chat.tap(2)]

    assert said == [with_aiogram.LATER] * 2
    assert placed(panel) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("button", "why"),
    [("buy:1:example", "minimum"), ("buy:10000:example", "at once"), ("buy:0:a", "quantity")],
)
async def test_a_forged_button_is_told_why_and_nothing_is_sent(
    chat: Chat, panel: Sandbox, button: str, why: str
) -> None:
    said = await chat.tap(1, button)

    assert why in said
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_a_panel_that_is_away_is_told_and_the_next_tap_orders(
    chat: Chat, panel: Sandbox
) -> None:
    panel.fail_next(Fault.BLOCKED)
    said = [await chat.tap(1), await chat.tap(2)]

    assert said == ["Not ordered: please tap again later.", "Ordered."]
    assert placed(panel) == 1


@pytest.mark.asyncio
async def test_many_who_ask_at_a_time_share_calls(chat: Chat, panel: Sandbox) -> None:
    await asyncio.gather(*(chat.write(f"/status {order}") for order in panel.orders))

    assert len(chat.said) == 200
    assert all(text.endswith(" to come") for text in chat.said)
    assert panel.requests["status"] == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("command", ["/status 99999999", "/status", "/status none"])
async def test_an_order_that_is_none_is_told(chat: Chat, command: str) -> None:
    said = await chat.write(command)

    assert said == "There is no such order."


@pytest.mark.asyncio
async def test_a_status_that_cannot_be_had_is_told(chat: Chat, panel: Sandbox) -> None:
    panel.fail_next(Fault.BLOCKED, action="status")
    said = await chat.write("/status 1")

    assert said == "Please ask again later."


@pytest.mark.asyncio
@pytest.mark.parametrize("name", BOTS)
async def test_a_restart_knows_the_message_and_leaves_nothing_running(
    name: str, panel: Sandbox
) -> None:
    async with BOTS[name]() as chat:
        await chat.tap(1)
        assert is_followed()
    assert not is_followed()
    async with BOTS[name]() as chat:
        said = await chat.tap(2)

    assert said == "Ordered."
    assert placed(panel) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("name", BOTS)
async def test_a_wrong_key_is_never_told(
    name: str, panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", f"{API_KEY}-of-another-account")
    async with BOTS[name]() as chat:
        said = await chat.tap(1)

    assert said == "Not ordered: please tap again later."
    assert panel.requests["add"] == 0


@pytest.mark.asyncio
async def test_a_bot_whose_journal_cannot_be_opened_closes_its_client(
    panel: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(with_telegram_bot, "SQLJournal", lambda _url: 1 / 0)
    application = with_telegram_bot.make(ApplicationBuilder().token(TOKEN).updater(None))
    with pytest.raises(ZeroDivisionError):
        await with_telegram_bot.opened(application)
    await with_telegram_bot.closed(application)

    assert repr(application.bot_data["client"]).endswith(" closed>")


class RefusedDesk:
    async def follow(self) -> None:
        raise AuthenticationError("Incorrect request")


@pytest.mark.asyncio
@pytest.mark.parametrize("recipe", [with_aiogram, with_telegram_bot])
async def test_an_end_of_following_is_told_in_the_log(
    recipe: Any, caplog: pytest.LogCaptureFixture
) -> None:
    await recipe.follow(RefusedDesk())

    assert "orders are not followed any more" in caplog.text
