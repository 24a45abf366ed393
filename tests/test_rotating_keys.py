"""Rotating keys: called once per request, never kept, and what happens without a key."""

import asyncio
import gc
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.matrix import frames_of
from support.wire import Answer, Request, WireServer, reply

from smmfanfast_async import (
    AddedOrder,
    AuthenticationError,
    Client,
    DefaultOrder,
    InvalidSettingsError,
    OrderStatus,
    PanelError,
    RetryPolicy,
)
from smmfanfast_async._secrets import RotatingKey, Secret, wrap_key

ORDER = DefaultOrder(service=5, link="https://example.com/p", quantity=10)
ONCE = RetryPolicy(max_attempts=1)
FIRST, SECOND = "test-first-of-two-keys", "test-second-of-two-keys"


class TwoKeyPanel(WireServer):
    """Accepts the keys in `valid`, answers calls, and runs `on_order` after each order."""

    def __init__(self, *valid: str) -> None:
        super().__init__(reply(""))
        self.valid = set(valid)
        self.orders: list[str] = []
        self.on_order: Callable[[int], None] = lambda _: None

    def answer_to(self, request: Request) -> Answer:
        fields = request.fields
        if fields["key"] not in self.valid:
            return reply('{"error":"Invalid API key"}')
        if fields["action"] == "add":
            self.orders.append(fields["link"])
            self.on_order(len(self.orders))
            return reply(f'{{"order":{len(self.orders)}}}')
        if fields["action"] == "balance":
            return reply('{"balance":"1"}')
        ids = (fields.get("orders") or fields["order"]).split(",")
        results = {each: {"order": each, "status": "Pending"} for each in ids}
        return reply(json.dumps(results if "orders" in fields else results[ids[0]]))

    def keys(self) -> list[str]:
        return [request.fields["key"] for request in self.requests]


def create_client(server: WireServer, key: Callable[[], str], **options: Any) -> Client:
    return Client(key, base_url=server.url, **{"retry": ONCE} | options)


@pytest.mark.asyncio
async def test_key_function_is_called_once_per_request() -> None:
    keys: Iterator[str] = iter([FIRST, SECOND, FIRST])
    asked: list[str] = []

    def key() -> str:
        asked.append(next(keys))
        return asked[-1]

    async with TwoKeyPanel(FIRST, SECOND) as server, create_client(server, key) as client:
        assert asked == []
        await client.balance()
        await client.add(ORDER)
        results = await client.statuses(range(1, 101))

        assert asked == server.keys() == [FIRST, SECOND, FIRST]
    assert all(isinstance(each, OrderStatus) for each in results.values())


@pytest.mark.asyncio
async def test_key_function_is_called_again_for_a_retry() -> None:
    keys = iter([FIRST, SECOND])
    again = RetryPolicy(max_attempts=2, base_delay_s=0.0)
    async with (
        WireServer(reply("", 503), reply('{"balance":"1"}')) as server,
        create_client(server, lambda: next(keys), retry=again) as client,
    ):
        await client.balance()

    assert [request.fields["key"] for request in server.requests] == [FIRST, SECOND]


@pytest.mark.asyncio
async def test_key_rotation_in_a_burst_loses_and_doubles_no_order() -> None:
    """The panel accepts both for a while, then only the new one, as panels do (assumed)."""
    now = [FIRST]
    async with TwoKeyPanel(FIRST) as server:

        def rotate(orders: int) -> None:
            if orders == 5:
                server.valid.add(SECOND)
                now.append(SECOND)
            if orders == 10:
                server.valid.remove(FIRST)

        server.on_order = rotate
        async with create_client(server, lambda: now[-1], account="main") as client:
            orders = (DefaultOrder(service=5, link=f"https://x.test/{n}", quantity=10)
                      for n in range(20))  # fmt: skip
            work = asyncio.gather(
                *(client.add(order) for order in orders),
                *(client.status(n) for n in range(1, 301)),
                return_exceptions=True,
            )
            results = await work
            assert client.account == "main"

    assert all(isinstance(each, AddedOrder) for each in results[:20])
    assert all(isinstance(each, OrderStatus) for each in results[20:])
    assert len(server.orders) == len(set(server.orders)) == 20
    assert set(server.keys()) == {FIRST, SECOND}


@pytest.mark.asyncio
async def test_rejected_rotating_key_is_an_authentication_error() -> None:
    async with TwoKeyPanel(FIRST) as server, create_client(server, lambda: SECOND) as client:
        with pytest.raises(AuthenticationError):
            await client.balance()


def failing_key() -> str:
    raise LookupError("the vault has " + FIRST)


INVALID_KEYS: dict[str, tuple[Callable[[], Any], str]] = {
    "it failing_key": (failing_key, "is not available: the callable raised LookupError"),
    "nothing": (lambda: None, "must be a non-empty text"),
    "an empty text": (lambda: "", "must be a non-empty text"),
    "a line end": (lambda: FIRST + "\n", "must not contain spaces, line breaks"),
    "bytes": (FIRST.encode, "must be a non-empty text"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("case", INVALID_KEYS)
@pytest.mark.parametrize("verb", ["add", "balance", "status", "statuses"])
async def test_invalid_key_sends_nothing_and_is_not_shown(
    case: str, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key, reason = INVALID_KEYS[case]
    async with TwoKeyPanel(FIRST) as server, create_client(server, key) as client:
        calls: dict[str, Callable[[], Any]] = {
            "add": lambda: client.add(ORDER),
            "balance": client.balance,
            "status": lambda: client.status(7),
            "statuses": lambda: client.statuses([7, 8]),
        }
        try:
            results = await calls[verb]()
        except PanelError as error:
            results = {"": error}

        assert server.connections == 0
    for error in results.values():
        assert isinstance(error, InvalidSettingsError)
        assert reason in str(error)
        assert not error.maybe_sent
        assert not error.maybe_placed
        shown = "".join(traceback.format_exception(error)) + repr(list(frames_of(error)))
        assert FIRST not in shown.replace('"the vault has " + FIRST', "")
        assert error.__cause__ is error.__context__ is None or verb == "status"
    assert FIRST not in caplog.text


@pytest.mark.asyncio
async def test_late_sandbox_key_is_not_sent_to_a_real_host() -> None:
    async with Client(lambda: FIRST, base_url="https://panel.example/api/v1", retry=ONCE) as client:
        with pytest.raises(InvalidSettingsError, match="is a sandbox key"):
            await client.balance()


@pytest.mark.asyncio
async def test_cancellation_inside_the_key_function_propagates() -> None:
    def cancelled_key() -> str:
        raise asyncio.CancelledError

    async with TwoKeyPanel(FIRST) as server, create_client(server, cancelled_key) as client:
        with pytest.raises(asyncio.CancelledError):
            await client.balance()


def count_kept_keys() -> int:
    """Return the number of living secrets that contain the first key."""
    gc.collect()
    return sum(type(each) is Secret and each.reveal() == FIRST for each in gc.get_objects())


@pytest.mark.asyncio
async def test_key_is_not_kept_after_its_request() -> None:
    during_order: list[int] = []
    async with TwoKeyPanel(FIRST) as server, create_client(server, lambda: FIRST) as client:
        server.on_order = lambda _: during_order.append(count_kept_keys())
        await client.balance()
        await client.add(ORDER)

        assert (during_order, count_kept_keys()) == ([1], 0)


def test_key_function_is_never_shown() -> None:
    key = wrap_key(lambda: FIRST)

    assert isinstance(key, RotatingKey)
    assert repr(key) == "RotatingKey(***)"
    assert FIRST not in f"{key}"


# --- the name of the account ---------------------------------------------------------------------

HERE = "http://127.0.0.1:1/"


def test_fixed_key_names_its_account_unless_one_is_given() -> None:
    account = Client(FIRST, base_url=HERE).account

    assert account == Client(FIRST, base_url=HERE).account
    assert account != Client(SECOND, base_url=HERE).account
    assert account != Client(FIRST, base_url="http://127.0.0.1:2/").account
    assert len(account) == 16
    assert FIRST not in account
    assert Client(FIRST, base_url=HERE, account="main").account == "main"


@pytest.mark.parametrize(("spelled", "usual"), [
    ("http://localhost:1", "http://127.0.0.1:1/"),
    ("http://127.0.0.2:1/", "http://127.0.0.1:1/"),
    ("http://[::1]:1//", "http://127.0.0.1:1/"),
    ("http://127.0.0.1:80/api/", "http://localhost/api"),
    ("https://Panel.Example/api/v2/", "https://panel.example/api/v2"),
    ("HTTPS://panel.example.:443/api/v2", "https://panel.example/api/v2"),
    ("https://[2001:DB8:0::1]/api", "https://[2001:db8::1]/api"),
])  # fmt: skip
def test_each_spelling_of_an_address_is_the_same_account(spelled: str, usual: str) -> None:
    key = "0123456789abcdef"

    assert Client(key, base_url=spelled).account == Client(key, base_url=usual).account


@pytest.mark.parametrize("other", [
    "https://panel.example/api", "https://panel.example:8443/api/v2", "https://other.example/api/v2",
    "https://panel.example/API/v2", "https://192.0.2.1/api/v2",
])  # fmt: skip
def test_another_panel_is_another_account(other: str) -> None:
    key = "0123456789abcdef"
    usual = Client(key, base_url="https://panel.example/api/v2")

    assert Client(key, base_url=other).account != usual.account


def test_client_knows_whether_its_account_was_given() -> None:
    assert not Client(FIRST, base_url=HERE).is_account_given
    assert Client(FIRST, base_url=HERE, account="main").with_options().is_account_given


def test_rotating_key_has_only_a_given_account_name() -> None:
    unnamed = Client(lambda: FIRST, base_url=HERE)

    assert Client(lambda: FIRST, base_url=HERE, account="main").account == "main"
    assert unnamed.with_options(timeout_s=1.0).base_url == HERE
    with pytest.raises(InvalidSettingsError, match="account is required with a rotating key"):
        assert unnamed.account


@pytest.mark.parametrize("name", ["a", "a" * 64, "Main.account_2-b", "0"])
def test_valid_account_names(name: str) -> None:
    assert Client(FIRST, base_url=HERE, account=name).account == name


@pytest.mark.parametrize("name", ["", "a" * 65, "a b", "a/b", "a\n", "é", "a:b", 5, b"a"])
def test_invalid_account_names(name: Any) -> None:
    with pytest.raises(InvalidSettingsError, match="1 to 64 characters"):
        Client(FIRST, base_url=HERE, account=name)
