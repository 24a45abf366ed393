"""`add`: an order, checked and priced before it is placed."""

import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cyclopts import Parameter
from rich.console import Console
from rich.prompt import Confirm

from ...client import Client
from ...journal import EntryState
from ...orders import Order
from .. import _output as output
from .._ending import OK, USAGE, guarded
from .._orders import order_of, parse_expiry, parse_extra, parse_lines
from .._panel import DeskPanel, Flag, Many, amount_of
from .._placed import placed

__all__ = ["add"]

_HERE = DeskPanel()


@Parameter(name="*")
@dataclass(frozen=True)
class Fields:
    """The fields of an order; each type takes some of them."""

    service: str
    """Id of the service."""
    link: str | None = None
    """Link to the page."""
    quantity: int | None = None
    """How many; with --runs, how many each run."""
    runs: int | None = None
    """Drip-feed: how many runs, together with --interval."""
    interval: int | None = None
    """Drip-feed: minutes between runs."""
    comments: Many = None
    """A comment; give it again for each, or @FILE for a file with one a line."""
    usernames: Many = None
    """A user; again for each, or @FILE."""
    hashtags: Many = None
    """A hashtag; again for each, or @FILE."""
    hashtag: str | None = None
    """The hashtag to find users under."""
    username: str | None = None
    """The user, or the address of the user's page."""
    media: str | None = None
    """Link to what was liked."""
    min: int | None = None
    """Subscription: the least for a post."""
    max: int | None = None
    """Subscription: the most for a post."""
    delay: int | None = None
    """Subscription: minutes to wait after a post."""
    expiry: str | None = None
    """Subscription: last day, as 31/12/2030 or 2030-12-31."""
    posts: int | None = None
    """Subscription: how many posts."""
    extra: Many = None
    """More form fields, each as name=value."""

    def order(self, order_type: str) -> Order:
        """Make the order."""
        options: dict[str, Any] = vars(self) | {
            "comments": parse_lines(self.comments),
            "usernames": parse_lines(self.usernames),
            "hashtags": parse_lines(self.hashtags),
            "expiry": parse_expiry(self.expiry),
            "extra": parse_extra(self.extra),
        }
        return order_of(order_type, options)


@guarded
async def add(
    order_type: str,
    /,
    *,
    fields: Fields,
    ref: str | None = None,
    max_charge: str | None = None,
    yes: Flag = False,
    panel: DeskPanel = _HERE,
) -> int:
    """Place an order. It is checked against the catalogue, and its price is shown, before.

    With --ref it is written down in the journal first, and the same ref is never ordered twice.
    Exit code 3 says that the outcome is unknown: an order may exist, so look before trying again.

    Parameters
    ----------
    order_type
        One of the eleven types: default, package, custom_comments, …
    ref
        A name of yours for the order, such as the number of an invoice; needs a journal.
    max_charge
        The most it may cost; nothing is sent above that.
    yes
        Do not ask before spending.
    """
    order = fields.order(order_type)
    most = amount_of("max_charge", max_charge)
    if ref is not None:
        return await _add_once(order, ref, most, panel, agreed=yes)
    async with panel.client() as client:
        agreed, price = await _agreed(client, order, agreed=yes)
        if not agreed:
            return USAGE
        added = await client.add(order, max_charge=most)
    if panel.json:
        output.print_json(Console(), {"order": added.order, "price": price})
    else:
        Console().print(output.cell(f"order {added.order} placed", "bold green"))
    return OK


async def _add_once(
    order: Order, ref: str, most: Decimal | None, panel: DeskPanel, *, agreed: bool
) -> int:
    """Place an order by its ref; what is known by it already is shown, and costs nothing."""
    async with panel.desk(makes=True) as (client, desk, _):
        known = await desk.find(ref)
        if known is None or known.state is EntryState.PREPARED:
            agreed, _ = await _agreed(client, order, agreed=agreed)
            if not agreed:
                return USAGE
        entry = await desk.place(order, ref=ref, max_charge=most)
    return placed(entry, panel)


async def _agreed(client: Client, order: Order, *, agreed: bool) -> tuple[bool, Decimal | None]:
    """Check an order and show its price; say whether it may be placed."""
    catalogue = await client.services()
    chosen = catalogue.check(order)
    price = catalogue.quote(order)
    return _may_spend(chosen.name, price, agreed=agreed), price


def _may_spend(name: str, price: Decimal | None, *, agreed: bool) -> bool:
    """Show the price, and ask unless that is agreed; without a terminal, say how to go on."""
    console = Console(stderr=True)
    cost = "a price that shows post by post" if price is None else output.money(price)
    console.print(output.cell(f"{name.strip()}: {cost}"))
    if agreed:
        return True
    if not sys.stdin.isatty():
        console.print("nothing was sent: there is no terminal to ask at; add --yes", style="red")
        return False
    return Confirm.ask("Place it?", console=console, default=False)
