"""`smmfanfast demo`: the main job from end to end, on a panel of this machine.

It looks at the balance and the catalogue, checks and places an order of each of the eleven types,
shows an order that is refused and an answer with an odd row, and follows a thousand orders until
each is final.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ..catalogue import Catalogue
from ..client import Client
from ..errors import InvalidOrderError, RefusedError
from ..orders import (
    ORDER_TYPES,
    CommentLikesOrder,
    CustomCommentsOrder,
    CustomCommentsPackageOrder,
    DefaultOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsMediaLikersOrder,
    MentionsUserFollowersOrder,
    MentionsWithHashtagsOrder,
    Order,
    PackageOrder,
    SubscriptionsOrder,
)
from ..results import OrderStatus, Service, Status
from ..sandbox import Fault, Sandbox
from ._output import STYLES, cell, services_table, status_row, table

__all__ = ["run"]

ORDERS_FOLLOWED = 1000
"""Orders whose status is asked until all are final: ten batches."""

BALANCE = Decimal(500)
"""Money on the demo's account, in USD: enough for an order of each type."""

PANEL_SECONDS_A_ROUND = 1200.0
"""How far the panel's clock is put forward between two rounds: orders take up to six hours."""

MAX_ROUNDS = 40
"""Rounds after which every order is final, and twice as many."""

PAUSE_S = 0.15
"""Between two rounds, so that there is something to see."""

PAGE = "https://instagram.com/example"


async def run(console: Console) -> dict[str, Any]:
    """Run the demo, drawing on `console`; give its summary."""
    earlier = ORDERS_FOLLOWED - len(ORDER_TYPES)
    panel = Sandbox(
        api_key="test-demo", seed=11, balance=BALANCE, speed=0.0, earlier_orders=earlier
    )
    async with panel, Client(panel.api_key, base_url=panel.url) as client:
        console.print(_headline(panel))
        before = (await client.balance()).balance
        catalogue = await client.services()
        _show_catalogue(console, catalogue, before)
        placed = await _place_each_type(console, client, catalogue)
        spent = before - (await client.balance()).balance
        await _show_refusal(console, client, catalogue)
        await _show_odd_row(console, client, panel, list(placed)[:3])
        final = await _follow(console, client, panel, [*panel.orders][:ORDERS_FOLLOWED])
        balance = (await client.balance()).balance
        summary: dict[str, Any] = {
            "orders_placed": len(placed),
            "types_placed": len({type(order) for order in placed.values()}),
            "statuses_checked": len(final),
            "requests": panel.request_count,
            "spent": spent,
            "given_back": balance - (before - spent),
            "balance": balance,
            "final": sum(each.is_final for each in final.values()),
        }
        _show_summary(console, summary, final.values())
        return summary


def _headline(panel: Sandbox) -> Panel:
    text = Text.assemble(
        ("A panel on this machine", "bold"), f" at {panel.url}: no key, no network, no money."
    )
    return Panel(text, border_style="cyan")


def _show_catalogue(console: Console, catalogue: Catalogue, balance: Decimal) -> None:
    firsts = [catalogue.by_type(each)[0] for each in ORDER_TYPES.values()]
    console.print(f"\nBalance [bold]{balance}[/] USD\n")
    console.print(services_table(firsts, f"{len(catalogue)} services; one of each type"))


async def _place_each_type(
    console: Console, client: Client, catalogue: Catalogue
) -> dict[str, Order]:
    """Check, quote and place an order of each type; give the orders by their ids."""
    shown = table("One order of each type", "type", "service", "price", "order", right=("price",))
    placed: dict[str, Order] = {}
    for number, order_type in enumerate(ORDER_TYPES.values(), start=1):
        service = catalogue.by_type(order_type)[0]
        order = _example(order_type, service, f"{PAGE}/{number}")
        catalogue.check(order)
        price = catalogue.quote(order)
        added = await client.add(order)
        placed[added.order] = order
        cost = "post by post" if price is None else f"{price.normalize():f}"
        row = (order_type.panel_type, service.service, cost, added.order)
        shown.add_row(*map(cell, row, ("", "dim", "", "bold green")))
    console.print(shown)
    return placed


def _example(order_type: type[Order], service: Service, link: str) -> Order:
    """Build an order of a type that the service takes."""
    least = service.min or 1
    many = [f"example{number}" for number in range(least)]
    common: dict[str, Any] = {"service": service.service, "link": link}
    quantity: dict[str, Any] = {"quantity": least}
    forms: dict[type[Order], dict[str, Any]] = {
        DefaultOrder: common | quantity,
        PackageOrder: common,
        CustomCommentsOrder: common | {"comments": [f"Nice one, {each}!" for each in many]},
        MentionsWithHashtagsOrder: common
        | quantity
        | {"usernames": ["example"], "hashtags": ["example"]},
        MentionsCustomListOrder: common | {"usernames": many},
        MentionsHashtagOrder: common | quantity | {"hashtag": "example"},
        MentionsUserFollowersOrder: common | quantity | {"username": PAGE},
        CustomCommentsPackageOrder: common | {"comments": [f"Great, {each}!" for each in many]},
        MentionsMediaLikersOrder: common | quantity,
        CommentLikesOrder: common | quantity | {"username": "example"},
        SubscriptionsOrder: {
            "service": service.service,
            "username": "example",
            "min": least,
            "max": least,
            "delay": 5,
            "expiry": datetime.now(UTC).date() + timedelta(days=30),
        },
    }
    return order_type(**forms[order_type])


async def _show_refusal(console: Console, client: Client, catalogue: Catalogue) -> None:
    """Show an order that the library refuses before sending, and one that the panel refuses."""
    service = catalogue.by_type(DefaultOrder)[0]
    below = (service.min or 2) - 1
    order = DefaultOrder(service=service.service, link=f"{PAGE}/new", quantity=below)
    try:
        catalogue.check(order)
    except InvalidOrderError as error:
        console.print(Text.assemble(("Refused before sending: ", "bold yellow"), str(error)))
    try:
        await client.add(order)
    except RefusedError as error:
        console.print(Text.assemble(("Refused by the panel:   ", "bold yellow"), str(error)))


async def _show_odd_row(
    console: Console, client: Client, panel: Sandbox, orders: list[str]
) -> None:
    """Show an answer in which one row is odd, and notices of PHP before it: no row is lost."""
    panel.fail_next(Fault.ODD_ROW, action="status")
    found = await client.statuses([*orders, "999999999"])
    shown = table(
        "\nA batch with an odd row and an id that is none of ours: each has its own answer",
        *("order", "status", "charge", "start", "remains", "note"),
    )
    for order, result in found.items():
        row = status_row(order, result)
        if isinstance(result, OrderStatus) and result.status is Status.UNKNOWN:
            row[-1] = cell("a word nobody knows, kept as it came", "yellow")
        shown.add_row(*row)
    console.print(shown)


async def _follow(
    console: Console, client: Client, panel: Sandbox, orders: list[str]
) -> dict[str, OrderStatus]:
    """Ask for all open orders, round by round, until each is final."""
    found: dict[str, OrderStatus] = {}
    open_orders = orders
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Orders final", total=len(orders), note="")
        for _ in range(MAX_ROUNDS):
            found |= {
                order: result
                async for order, result in client.iter_statuses(open_orders)
                if isinstance(result, OrderStatus)
            }
            open_orders = [each for each in orders if each not in found or not found[each].is_final]
            note = f"{panel.requests.get('status', 0)} status calls"
            progress.update(task, completed=len(orders) - len(open_orders), note=note)
            if not open_orders:
                break
            panel.advance(PANEL_SECONDS_A_ROUND)
            await asyncio.sleep(PAUSE_S)
    return found


def _show_summary(console: Console, summary: dict[str, Any], final: Iterable[OrderStatus]) -> None:
    by_status = Counter(each.status for each in final)
    counts = Text("  ").join(
        Text(f"{status.value} {number}", style=STYLES.get(status, ""))
        for status, number in sorted(by_status.items(), key=lambda item: -item[1])
    )
    facts = Text(
        f"{summary['orders_placed']} orders of {summary['types_placed']} types placed, "
        f"{summary['statuses_checked']} followed to the end\n"
        f"{summary['requests']} requests in all\n"
        f"{summary['spent']} USD spent on them; {summary['given_back']} USD came back from "
        f"orders that were partial or canceled\n"
        f"{summary['balance']} USD left"
    )
    console.print(Panel(Group(counts, facts), title="Summary", border_style="green"))
