"""`add`: an order, checked and priced before it is sent."""

import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from ..._wire.encode import encode_order
from ...catalogue import is_flat, total_quantity
from ...client import Client
from ...errors import InvalidOrderError, InvalidSettingsError, SpendingLimitError
from ...journal import EntryState
from ...orders import Order
from ...results import Balance, Service
from .. import _output as output
from .._codes import INTERRUPTED, OK, USAGE
from .._errors import handle_errors, print_line
from .._input import build_order, confirm, parse_expiry, parse_extra, parse_lines
from .._options import Flag, JournalOptions, Many, OrderType, PanelName, parse_amount, refuse_panel
from .._placing import finish_adding, finish_placing
from .._routes import confirm_offers

__all__ = ["add"]

_HERE = JournalOptions()


@Parameter(name="*")
@dataclass(frozen=True)
class Fields:
    """The fields of an order; each type uses some of them."""

    service: str
    """Id of the service; the name of a product, if there are several panels."""
    link: str | None = None
    """Link to the page."""
    quantity: int | None = None
    """How many; with --runs, how many each run."""
    runs: int | None = None
    """Drip-feed: how many runs, together with --interval."""
    interval: int | None = None
    """Drip-feed: minutes between runs."""
    comments: Many = None
    """A comment; repeat it for each, or @FILE for a file with one per line."""
    usernames: Many = None
    """A user; repeat it for each, or @FILE."""
    hashtags: Many = None
    """A hashtag; repeat it for each, or @FILE."""
    hashtag: str | None = None
    """The hashtag to find users under."""
    username: str | None = None
    """The user, or the address of the user's page."""
    media: str | None = None
    """Link to what was liked."""
    min: int | None = None
    """Subscription: the minimum per post."""
    max: int | None = None
    """Subscription: the maximum per post."""
    delay: int | None = None
    """Subscription: minutes to wait after a post."""
    expiry: str | None = None
    """Subscription: last day, as 31/12/2030 or 2030-12-31."""
    posts: int | None = None
    """Subscription: how many posts."""
    old_posts: int | None = None
    """Subscription: how many existing posts."""
    keywords: Many = None
    """A keyword; repeat it for each, or @FILE."""
    groups: Many = None
    """A group; repeat it for each, or @FILE."""
    answer_number: int | None = None
    """Poll: which answer."""
    country: str | None = None
    """Web traffic: where visitors come from."""
    device: int | None = None
    """Web traffic: 1 desktop, 2 Android, 3 iOS, 4 mobile mixed, 5 mobile and desktop."""
    type_of_traffic: int | None = None
    """Web traffic: 1 by a Google keyword, 2 from the referring address, 3 direct."""
    google_keyword: str | None = None
    """Web traffic of type 1: what they searched for."""
    referring_url: str | None = None
    """Web traffic of type 2: the address they come from."""
    extra: Many = None
    """More form fields, each as name=value."""

    def order(self, order_type: str) -> Order:
        """Create the order."""
        options: dict[str, Any] = vars(self) | {
            "comments": parse_lines(self.comments),
            "usernames": parse_lines(self.usernames),
            "hashtags": parse_lines(self.hashtags),
            "keywords": parse_lines(self.keywords),
            "groups": parse_lines(self.groups),
            "expiry": parse_expiry(self.expiry),
            "extra": parse_extra(self.extra),
        }
        return build_order(order_type, options)


@handle_errors
async def add(
    order_type: OrderType | str,
    /,
    *,
    fields: Fields,
    ref: str | None = None,
    max_charge: str | None = None,
    yes: Flag = False,
    panel: PanelName = None,
    options: JournalOptions = _HERE,
) -> int:
    """Run `smmfanfast add`.

    Parameters
    ----------
    order_type
        The type, such as default, package, custom_comments, …; the last six for API v2 panels.
    ref
        Your name of the order (its idempotency key), such as an invoice number; needs a journal.
    max_charge
        The highest acceptable price; nothing is sent above that.
    yes
        Do not ask before ordering.
    """
    order = fields.order(order_type)
    limit = parse_amount("max_charge", max_charge)
    if ref is not None:
        refuse_panel(panel)
        return await _add_once(order, ref, limit, options, agreed=yes)
    file = options.panels_file()
    if panel is None and file is not None:
        reason = "is missing: add --ref for the panels together, or --panel NAME for one of them"
        raise InvalidSettingsError("ref", reason)
    async with options.client(panel) as client:
        form = encode_order(order, client.profile)
        agreed, price = await _check_and_confirm(client, order, limit, agreed=yes)
        if not agreed:
            return USAGE
        added = await finish_adding(client, form)
    if added is None:
        return INTERRUPTED
    try:
        if options.json:
            output.print_json(Console(), {"order": added.order, "price": price})
        else:
            Console().print(output.cell(f"order {added.order} placed", "bold green"))
        sys.stdout.flush()
    except OSError:
        # The order exists: its id must not be lost with the output.
        print_line(f"order {added.order} placed", "bold green")
        raise
    return OK


async def _add_once(
    order: Order, ref: str, limit: Decimal | None, options: JournalOptions, *, agreed: bool
) -> int:
    """Place an order by its ref; if the ref was ordered already, only print its state."""
    async with options.desk(may_create=True) as opened:
        desk = opened.desk
        known = await desk.find(ref)
        was_waiting = known is not None and known.state is EntryState.PREPARED
        if known is None or was_waiting:
            if opened.file is not None:
                agreed = await confirm_offers(opened, order, agreed=agreed)
            else:
                agreed, _ = await _check_and_confirm(opened.client, order, None, agreed=agreed)
            if not agreed:
                return USAGE
        placing = desk.place(order, ref=ref, max_charge=limit)
        return await finish_placing(desk, ref, placing, options, was_waiting=was_waiting)


async def _check_and_confirm(
    client: Client, order: Order, limit: Decimal | None, *, agreed: bool
) -> tuple[bool, Decimal | None]:
    """Check an order and print its price; return whether it may be placed, and the price.

    Raises if the price is above `limit`, or if that is not certain.
    """
    catalogue = await client.services()
    chosen = catalogue.check(order)
    price = catalogue.quote(order)
    balance = None if agreed else await client.balance()
    Console(stderr=True).print(quote_view(order, chosen, price))
    if limit is not None:
        _check_limit(order, price, limit)
    if balance is None:
        return True, price
    return confirm(confirmation_question(order, chosen, price, balance), "--yes"), price


def _check_limit(order: Order, price: Decimal | None, limit: Decimal) -> None:
    if price is None:
        reason = f"cannot be enforced: the price of service {order.service} is not known in advance"
        raise InvalidOrderError(type(order).__name__, "max_charge", limit, reason)
    if price > limit:
        raise SpendingLimitError("max_charge", price, limit)


def confirmation_question(
    order: Order, service: Service, price: Decimal | None, balance: Balance
) -> str:
    """Return the question before an order is placed: what it costs, and what there is."""

    def amount(value: Decimal) -> str:
        return f"{value:f} {balance.currency or ''}".rstrip()

    cost = "" if price is None else f" for {output.money(price)} {balance.currency or ''}".rstrip()
    if service.rate is not None and not is_flat(type(order)):
        rate = f"{amount(service.rate)} per 1000"
        cost += f" at {rate}" if price is None else f" ({rate})"
    return f"Place this order{cost}? Balance: {amount(balance.balance)}"


def quote_view(order: Order, service: Service, price: Decimal | None) -> Table:
    """Return the service, its limits, the order and its price."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    target = getattr(order, "link", None) or getattr(order, "username", None)
    total = total_quantity(order)
    facts = {
        "service": f"{service.service}, {service.name.strip()}",
        "accepts": f"{service.type or 'orders'} from {_shown(service.min)} to "
        f"{_shown(service.max)}, at a rate of {_shown(service.rate)}",
        "order": f"{'' if total is None else f'{total} '}for {_shown(target)}",
    }
    for name, text in facts.items():
        shown.add_row(name, output.cell(text))
    cost = output.money(price) or "not known in advance: charged post by post, or no rate"
    shown.add_row("price", output.cell(cost, "bold"))
    return shown


def _shown(value: object) -> str:
    return "–" if value is None else str(value)
