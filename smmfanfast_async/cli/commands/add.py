"""`add`: an order, checked and priced before it is placed."""

import asyncio
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from ...catalogue import total_quantity
from ...client import Client
from ...journal import EntryState
from ...orders import Order
from ...results import Service
from .. import _output as output
from .._codes import OK, USAGE
from .._confirm import agrees
from .._entries import placed
from .._errors import handle_errors, print_line
from .._input import order_of, parse_expiry, parse_extra, parse_lines
from .._options import Flag, JournalOptions, Many, OrderType, amount_of

__all__ = ["add"]

_HERE = JournalOptions()

T = TypeVar("T")


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
    old_posts: int | None = None
    """Subscription: how many posts that are there already."""
    keywords: Many = None
    """A keyword; again for each, or @FILE."""
    groups: Many = None
    """A group; again for each, or @FILE."""
    answer_number: int | None = None
    """Poll: which answer."""
    country: str | None = None
    """Web traffic: where visitors come from."""
    device: int | None = None
    """Web traffic: 1 desktop, 2 Android, 3 iOS, 4 mobile mixed, 5 mobile and desktop."""
    type_of_traffic: int | None = None
    """Web traffic: 1 by a Google keyword, 2 by an address of one's own, 3 by none."""
    google_keyword: str | None = None
    """Web traffic of type 1: what they searched for."""
    referring_url: str | None = None
    """Web traffic of type 2: the address they come from."""
    extra: Many = None
    """More form fields, each as name=value."""

    def order(self, order_type: str) -> Order:
        """Make the order."""
        options: dict[str, Any] = vars(self) | {
            "comments": parse_lines(self.comments),
            "usernames": parse_lines(self.usernames),
            "hashtags": parse_lines(self.hashtags),
            "keywords": parse_lines(self.keywords),
            "groups": parse_lines(self.groups),
            "expiry": parse_expiry(self.expiry),
            "extra": parse_extra(self.extra),
        }
        return order_of(order_type, options)


@handle_errors
async def add(
    order_type: OrderType | str,
    /,
    *,
    fields: Fields,
    ref: str | None = None,
    max_charge: str | None = None,
    yes: Flag = False,
    panel: JournalOptions = _HERE,
) -> int:
    """Place an order. It is checked against the catalogue, and its price is shown, before.

    With --ref it is written down in the journal first, and the same ref is never ordered twice.
    Exit code 3 says that the outcome is unknown: an order may exist, so look before trying again.

    Parameters
    ----------
    order_type
        What kind of order: default, package, custom_comments, …; the last six for API v2 panels.
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
        added = await _to_the_end(client.add(order, max_charge=most))
    try:
        if panel.json:
            output.print_json(Console(), {"order": added.order, "price": price})
        else:
            Console().print(output.cell(f"order {added.order} placed", "bold green"))
        sys.stdout.flush()
    except OSError:
        # The order is there: its id must not be lost with the output.
        print_line(f"order {added.order} placed", "bold green")
        raise
    return OK


async def _add_once(
    order: Order, ref: str, most: Decimal | None, panel: JournalOptions, *, agreed: bool
) -> int:
    """Place an order by its ref; what is known by it already is shown, and costs nothing."""
    async with panel.desk(makes=True) as (client, desk, _):
        known = await desk.find(ref)
        if known is None or known.state is EntryState.PREPARED:
            agreed, _ = await _agreed(client, order, agreed=agreed)
            if not agreed:
                return USAGE
        entry = await _to_the_end(desk.place(order, ref=ref, max_charge=most))
    return placed(entry, panel)


async def _to_the_end(placing: Coroutine[Any, Any, T]) -> T:
    """Await what places an order, through a first Ctrl-C too: its outcome must be told."""
    task = asyncio.ensure_future(placing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        print_line(
            "the order is on its way and can't be taken back; its outcome comes in a moment",
            "yellow",
            hint="a second Ctrl-C leaves without it: then an order may exist",
        )
        return await task


async def _agreed(client: Client, order: Order, *, agreed: bool) -> tuple[bool, Decimal | None]:
    """Check an order and show its price; say whether it may be placed."""
    catalogue = await client.services()
    chosen = catalogue.check(order)
    price = catalogue.quote(order)
    Console(stderr=True).print(quote_view(order, chosen, price))
    return agreed or agrees("Place it?", "--yes"), price


def quote_view(order: Order, service: Service, price: Decimal | None) -> Table:
    """Show what is to be ordered, within which limits, and what it costs."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    target = getattr(order, "link", None) or getattr(order, "username", None)
    total = total_quantity(order)
    facts = {
        "service": f"{service.service}, {service.name.strip()}",
        "takes": f"{service.type or 'orders'} from {_shown(service.min)} to {_shown(service.max)}, "
        f"at a rate of {_shown(service.rate)}",
        "order": f"{'' if total is None else f'{total} '}for {_shown(target)}",
    }
    for name, said in facts.items():
        shown.add_row(name, output.cell(said))
    cost = output.money(price) or "not known before: charged post by post, or without a rate"
    shown.add_row("price", output.cell(cost, "bold"))
    return shown


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
