"""What each panel of a desk offers for an order: rows, JSON, and the question before it is sent."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..client import Client
from ..desk import RouteQuote
from ..orders import Order
from ..results import Balance
from . import _output as output
from ._entries import format_time
from ._input import confirm
from ._options import ROUTERS, Opened
from ._output import cell, money, plain

__all__ = ["Offer", "confirm_offers", "offers", "offers_table", "question"]

COLUMNS = ("rank", "panel", "service", "price there", "price", "left out")


@frozen(kw_only=True)
class Offer:
    """The quote of a panel, and its rank among those that can take the order."""

    quote: RouteQuote
    rank: int | None
    """1 for the panel that gets the order first; None if it cannot take it."""
    price_there: Decimal | None
    """The price in the panel's own currency; None if it is not known."""

    def to_object(self) -> dict[str, Any]:
        """Return the offer as a JSON object."""
        fields: dict[str, Any] = plain(self.quote)
        reason = None if self.quote.reason is None else self.quote.reason.value
        own = {"rank": self.rank, "price_there": plain(self.price_there), "reason": reason}
        return fields | own


async def offers(opened: Opened, order: Order) -> list[Offer]:
    """Return what each panel offers, in the order in which they are tried, then the others."""
    assert opened.file is not None  # noqa: S101  # callers have checked it
    quotes = await opened.desk.quote(order)
    ranked = ROUTERS[opened.file.router]([each for each in quotes if each.reason is None])
    ranks = {each.panel: rank for rank, each in enumerate(ranked, start=1)}
    found = [
        Offer(
            quote=each,
            rank=ranks.get(each.panel),
            price_there=await _price_there(opened.clients, order, each),
        )
        for each in quotes
    ]
    return sorted(found, key=lambda each: (each.rank is None, each.rank or 0))


async def _price_there(
    clients: Mapping[str, Client], order: Order, quote: RouteQuote
) -> Decimal | None:
    if quote.price is None:
        return None
    # The client has the catalogue in memory: the price is from it.
    catalogue = await clients[quote.panel].services()
    return catalogue.quote(evolve(order, service=quote.service))


def offers_table(found: Iterable[Offer]) -> Table:
    """Return a table of offers."""
    rows = map(_row, found)
    return output.table("", *COLUMNS, right=("rank", "price there", "price"), rows=rows)


def _row(offer: Offer) -> list[Text]:
    quote = offer.quote
    style = "dim" if offer.rank is None else ""
    until = f" until {format_time(quote.until)} UTC" if quote.until else ""
    why = "" if quote.reason is None else f"{quote.reason.value}{until}"
    return [
        cell(offer.rank),
        cell(quote.panel, style),
        cell(quote.service, style),
        cell(money(offer.price_there), style),
        cell(money(quote.price), style),
        cell(why, "yellow"),
    ]


NO_PANEL = "No panel can take this order now. Store it, to be sent when one can?"
"""The question before an order that no panel can take."""


def question(able: Sequence[Offer], balance: Balance) -> str:
    """Return the question before an order is placed: where it goes first, and what it may cost.

    `able` are the offers of the panels that can take it, in order; `balance` is that of the first.
    """
    first = able[0]
    price = money(first.quote.price)
    cost = "" if price is None else f" for {price}"
    others = [each.quote.price for each in able[1:] if each.quote.price is not None]
    more = f", or for up to {money(max(others))} at another one that takes it" if others else ""
    has = f" Balance: {balance.balance:f} {balance.currency or ''}".rstrip()
    return f"Place this order at {first.quote.panel}{cost}{more}?{has}"


async def confirm_offers(opened: Opened, order: Order, *, agreed: bool) -> bool:
    """Print what each panel offers; return whether the order may be placed."""
    found = await offers(opened, order)
    Console(stderr=True).print(offers_table(found))
    if agreed:
        return True
    able = [each for each in found if each.rank is not None]
    if not able:
        return confirm(NO_PANEL, "--yes")
    balance = await opened.clients[able[0].quote.panel].balance()
    return confirm(question(able, balance), "--yes")
