"""A desk whose client has a rotating key: one account, one order per ref, none lost."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async import Client, InvalidSettingsError, RetryPolicy
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox.replies import HttpReply

from .world import Panel, S, World, in_state, order

NEW_KEY = "test-the-second-key"


class KeyRing(Panel):
    """A panel that accepts several keys, and the key that the caller uses."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.accepted = {self.api_key}
        self.current: str | None = self.api_key

    def key(self) -> str:
        if self.current is None:
            raise LookupError("no key in the vault")
        return self.current

    def rotate(self) -> None:
        self.accepted.add(NEW_KEY)
        self.current = NEW_KEY

    def _respond(self, form: Mapping[str, str]) -> HttpReply:
        return super()._respond(
            {**form, "key": self.api_key if form["key"] in self.accepted else ""}
        )


@pytest_asyncio.fixture
async def ring() -> AsyncIterator[KeyRing]:
    async with KeyRing(balance=Decimal(10**6)) as panel:
        yield panel


@pytest_asyncio.fixture
async def world(ring: KeyRing, tmp_path: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        yield World(ring, f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}", stack)


async def client_of(world: World, key: Callable[[], str], **options: Any) -> Client:
    client = Client(key, base_url=world.panel.url, retry=RetryPolicy(max_attempts=1), **options)
    return await world._stack.enter_async_context(client)


@pytest.mark.asyncio
async def test_desk_with_rotating_key_requires_an_account(world: World, ring: KeyRing) -> None:
    client = await client_of(world, ring.key)

    with pytest.raises(InvalidSettingsError, match=r"account is required .* Client\("):
        OrderDesk(client, SQLJournal(world.url))
    assert OrderDesk(client, SQLJournal(world.url), account="main")


@pytest.mark.asyncio
async def test_account_keeps_its_orders_while_the_key_changes(world: World, ring: KeyRing) -> None:
    keys: set[str] = set()

    def key() -> str:
        keys.add(ring.key())
        return ring.key()

    def rotate(form: Mapping[str, str]) -> None:
        if len(world.panel.calls("add")) == 5:
            ring.rotate()
        if len(world.panel.calls("add")) == 10:
            ring.accepted = {NEW_KEY}

    world.panel.on_request = rotate
    desk = await world.desk(await client_of(world, key, account="main"))

    entries = await asyncio.gather(*(desk.place(order(n), ref=f"r{n}") for n in range(15)))

    assert len(keys) == 2
    assert {each.state for each in entries} == {S.ACCEPTED}
    assert sorted(world.links()) == sorted(f"https://links.test/{n}" for n in range(15))
    # The same ref is the same order for any desk with the account's name and its new key.
    again = await world.desk(await client_of(world, lambda: NEW_KEY, account="main"))
    assert (await again.place(order(3), ref="r3")).order == entries[3].order
    assert (await again.summary()).by_state == {S.ACCEPTED: 15}
    assert len(world.panel.orders) == 15


@pytest.mark.asyncio
async def test_order_waits_until_there_is_a_key(world: World, ring: KeyRing) -> None:
    client = await client_of(world, ring.key, account="main")
    desk = await world.desk(client, record_balance=False)
    await client.services()
    ring.current = None

    entry = await desk.place(order(), ref="a")

    assert entry.state is S.PREPARED
    assert "no key" not in str(entry.reason)
    assert "api_key is not available: the callable raised LookupError" in str(entry.reason)
    assert world.panel.calls("add") == []
    ring.rotate()
    assert (await desk.place(order(), ref="a")).state is S.ACCEPTED
    assert len(world.panel.orders) == 1
    assert (await in_state(desk, "a", S.ACCEPTED)).order in world.panel.orders
