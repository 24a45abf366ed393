"""A shop's wallet: debit, order and refund happen exactly once each.

The wallet is in the database of the orders, SQLite or PostgreSQL, and each step is one transaction
of the shop's own:

- `buy` writes the order down and debits, or does neither. Nothing is sent before the commit.
- `give_back` takes the events of the orders one after the other, and refunds and acknowledges
  together. Any number of workers may run it: one at a time reads.

An order whose outcome is unknown is not refunded: it may exist. After a refund the ref is spent;
the buyer orders again under a new one. Money is in whole cents.
"""

from decimal import ROUND_DOWN, Decimal

from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from smmfanfast_async import Order, StaleEventError
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal import Entry, EntryState, EventKind, JournalEvent

metadata = MetaData()
wallets = Table(
    "wallets",
    metadata,
    Column("user", String(100), primary_key=True),
    Column("cents", Integer, nullable=False),
)
ledger = Table(
    "ledger",
    metadata,
    Column("ref", String(200), primary_key=True),
    # 0 for the debit; refunds have the position of their event.
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("user", String(100), nullable=False),
    Column("cents", Integer, nullable=False),
)
reviews = Table(
    "reviews",  # what a person should look at
    metadata,
    Column("ref", String(200), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
)

NOTHING_DELIVERED = {EventKind.REFUSED, EventKind.WITHDRAWN}
MAYBE_REFUNDED = {EventKind.FINISHED, EventKind.CHANGED}
PLACED_AFTER_ALL = {EventKind.ACCEPTED, EventKind.LATE}


class NotEnoughCreditError(Exception):
    """The wallet does not cover the price; nothing was debited or ordered."""


class Wallet:
    """The wallets of a shop's users."""

    def __init__(self, engine: AsyncEngine, desk: OrderDesk) -> None:
        self._engine = engine
        self._desk = desk

    async def buy(
        self, user: str, order: Order, *, ref: str, cents: int, max_charge: Decimal | None = None
    ) -> Entry:
        """Debit and order together; a double tap returns the first order and debits nothing."""
        async with self._engine.begin() as connection:
            entry = await self._desk.enqueue(
                order, ref=ref, max_charge=max_charge, connection=connection
            )
            if not entry.is_new:
                return entry
            debited = await connection.execute(
                update(wallets)
                .where(wallets.c.user == user, wallets.c.cents >= cents)
                .values(cents=wallets.c.cents - cents)
                .returning(wallets.c.cents)
            )
            if debited.one_or_none() is None:
                raise NotEnoughCreditError(user)  # the order is rolled back too
            await connection.execute(
                insert(ledger).values(ref=ref, position=0, user=user, cents=-cents)
            )
            return entry

    async def give_back(self, *, wait: bool = True) -> None:
        """Refund what was not delivered, until cancelled, or with `wait=False` up to now."""
        async with self._desk.events("wallet", wait=wait, acknowledge="manual") as events:
            async for event in events:
                try:
                    async with self._engine.begin() as connection:
                        await self._apply(event, connection)
                        await events.acknowledge(event, connection=connection)
                except StaleEventError:
                    continue  # another worker has taken over: its transaction counts

    async def _apply(self, event: JournalEvent, connection: AsyncConnection) -> None:
        entry = await self._desk.find(event.ref, connection=connection)
        rows = await connection.execute(
            select(
                func.min(ledger.c.user), func.min(ledger.c.cents), func.sum(ledger.c.cents)
            ).where(ledger.c.ref == event.ref)
        )
        user, debit, total = rows.one()
        if entry is None or user is None:
            return  # not bought through a wallet
        price, refunded = -debit, total - debit
        if event.kind in PLACED_AFTER_ALL and refunded:
            values = {"ref": event.ref, "position": event.position}
            await connection.execute(insert(reviews).values(values))
            return
        due = refund_due(event, entry, price)
        if due > refunded:
            await self._refund(event, user, due - refunded, connection)

    async def _refund(
        self, event: JournalEvent, user: str, cents: int, connection: AsyncConnection
    ) -> None:
        await connection.execute(
            insert(ledger).values(ref=event.ref, position=event.position, user=user, cents=cents)
        )
        await connection.execute(
            update(wallets).where(wallets.c.user == user).values(cents=wallets.c.cents + cents)
        )


def refund_due(event: JournalEvent, entry: Entry, price: int) -> int:
    """Return how many cents the buyer should have back in all, as far as the event tells."""
    if event.kind in NOTHING_DELIVERED and entry.state in (
        EntryState.REFUSED,
        EntryState.WITHDRAWN,
    ):
        return price  # and was not sent again since
    if event.kind in MAYBE_REFUNDED and entry.refund_share is not None:
        return int((price * entry.refund_share).to_integral_value(ROUND_DOWN))
    return 0
