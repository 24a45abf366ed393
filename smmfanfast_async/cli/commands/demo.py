"""`demo`: every part of the package, played against two sandboxes."""

import asyncio
import os
from collections.abc import Generator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve, frozen
from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from ..._engine.policy import PollPolicy
from ...catalogue import Catalogue
from ...client import Client
from ...desk import CircuitPolicy, OrderDesk
from ...errors import InvalidOrderError, WaitTimeoutError
from ...journal import SPENDING_STATES, Entry, EntryState, Journal, Summary
from ...orders import (
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
from ...results import Service
from ...sandbox import Fault, Sandbox
from .. import _output as output
from .._codes import OK
from .._entries import IN_FLIGHT, evidence, summary_view
from .._errors import handle_errors
from .._options import CheckCounter, Flag, journal_at
from .._output import STATE_STYLES, cell, money, table

__all__ = ["PAGE", "demo", "example", "many", "play"]

ORDERS_FOLLOWED = 1000
"""Number of orders that are placed and followed until all are final."""

BALANCES = {"alpha": Decimal("0.60"), "beta": Decimal(2000)}
"""Initial balance at each panel in USD: alpha's pays for one order, beta's for all others."""

BOTH = "likes"
"""The product that both panels sell; every other one is a service of beta, under its own id."""

PANEL_SECONDS_PER_STEP = 3000.0
"""Seconds by which the panel's clock is advanced per step: orders take up to six hours."""

STEP_S = 0.25
"""Seconds between two steps, and between two counts of the orders."""

CIRCUIT_OPEN_S = 0.5
"""Seconds for which no order is sent after one without a response, before the panel is probed."""

POLL_S = 1.0
"""Seconds between two status checks of an order: short, as the panel's clock runs fast."""

TIMEOUT_S = 300.0
"""Seconds after which the demo fails if some orders are not final: it takes about five."""

CALLERS = 50
"""Concurrent callers that place orders: each waits for its turn in the journal, which on a slow
machine would take a thousand callers longer than a transaction may wait."""

MEMORY = Path("/dev/shm")  # noqa: S108  # only the parent of a temporary folder
"""Folder in which Linux keeps files in memory."""


@frozen(kw_only=True)
class _Stage:
    """The objects that each step of the demo uses."""

    console: Console
    panels: Mapping[str, Sandbox]
    client: Client
    """The client of beta."""
    desk: OrderDesk
    catalogue: Catalogue
    """The catalogue of beta."""

    @property
    def order_count(self) -> int:
        """The number of orders that the panels have."""
        return sum(len(each.orders) for each in self.panels.values())


async def play(console: Console) -> dict[str, Any]:
    """Run the demo with its output on `console` and return its summary."""
    counter = CheckCounter()
    with TemporaryDirectory(prefix="smmfanfast-demo-", dir=_memory_folder()) as folder:
        journal = journal_at(str(Path(folder) / "orders.db"), may_create=True)
        async with AsyncExitStack() as stack:
            panels: dict[str, Sandbox] = {}
            clients: dict[str, Client] = {}
            for name, balance in BALANCES.items():
                made = Sandbox(api_key=f"test-{name}", seed=11, balance=balance, speed=0.0)
                panels[name] = panel = await stack.enter_async_context(made)
                client = Client(panel.api_key, base_url=panel.url, on_event=counter)
                clients[name] = await stack.enter_async_context(client)
            console.print(_headline(panels))
            catalogue = await clients["beta"].services()
            desk = _desk(clients, journal, catalogue)
            stage = _Stage(
                console=console, panels=panels, client=clients["beta"], desk=desk,
                catalogue=catalogue,
            )  # fmt: skip
            async with desk:
                result = await _play_all(stage)
                balances = {
                    name: (await client.balance()).balance for name, client in clients.items()
                }
                return result | {
                    "checks": counter.checks,
                    "status_calls": _status_calls(stage),
                    "requests": sum(each.request_count for each in panels.values()),
                    "balances": balances,
                }


def _desk(clients: Mapping[str, Client], journal: Journal, catalogue: Catalogue) -> OrderDesk:
    """Create a desk that sells the services of beta, and one product of both panels."""
    products = {each: {"beta": each} for each in catalogue}
    same = catalogue.by_type(DefaultOrder)[0].service
    products[BOTH] = dict.fromkeys(clients, same)
    return OrderDesk(
        clients, journal, account="demo", products=products,
        poll=PollPolicy(min_interval_s=POLL_S, max_interval_s=POLL_S),
        circuit=CircuitPolicy(open_s=CIRCUIT_OPEN_S),
    )  # fmt: skip


def _status_calls(stage: _Stage) -> int:
    return sum(each.requests["status"] for each in stage.panels.values())


def _memory_folder() -> str | None:
    """Return a folder in memory if there is one, or None for the default temporary folder.

    The journal waits for the disk at each step of an order. On a slow disk the demo would take
    long, although nothing of it has to survive a power failure.
    """
    return str(MEMORY) if os.access(MEMORY, os.W_OK) else None


async def _play_all(stage: _Stage) -> dict[str, Any]:
    await _show_catalogue(stage)
    placed = await _place_each_type(stage)
    twice = await _tap_twice(stage)
    await _show_refusal(stage)
    await _lose_response(stage)
    moved = await _fail_over(stage)
    await _place_the_rest(stage)
    summary = await _follow(stage)
    finished = summary.by_state.get(EntryState.FINISHED, 0)
    _show_summary(stage, summary)
    return {
        "orders_placed": sum(summary.by_state.get(each, 0) for each in SPENDING_STATES),
        "types_placed": len({entry.form["service"] for entry in placed}),
        "double_tap_orders": len({entry.order for entry in twice}),
        "moved_to": moved.panel,
        "finished": finished,
        "unknown": summary.by_state.get(EntryState.UNKNOWN, 0),
        "spent": summary.spent,
        "refunded": summary.refunded,
    }


def _headline(panels: Mapping[str, Sandbox]) -> Panel:
    lines = [f"{name} at {panel.url}" for name, panel in panels.items()]
    text = Text.assemble(
        ("Two panels", "bold"), ", without key, network or money:\n", "\n".join(lines)
    )
    return Panel(text, border_style="cyan")


def _heading(stage: _Stage, number: int, text: str) -> None:
    stage.console.print(Text.assemble((f"\n{number}  ", "bold cyan"), (text, "bold")))


async def _show_catalogue(stage: _Stage) -> None:
    balance = await stage.client.balance()
    catalogue = stage.catalogue
    funds = f"{balance.balance} {balance.currency}"
    _heading(stage, 1, f"Panel beta: {funds} on the account, and the service catalogue")
    firsts = [catalogue.by_type(each)[0] for each in ORDER_TYPES.values()]
    rows = (map(cell, (each.service, each.name, each.type, each.rate)) for each in firsts)
    title = f"{len(catalogue)} services; one of each type"
    stage.console.print(table(title, "id", "name", "type", "rate", right=("rate",), rows=rows))


async def _place_each_type(stage: _Stage) -> list[Entry]:
    """Check, price and place one order of each type, each with its own ref."""
    _heading(stage, 2, "One order of each type, stored under a ref before it is sent")
    shown = table("", "type", "ref", "price", "order", "state", right=("price",))
    placed: list[Entry] = []
    for order_type in ORDER_TYPES.values():
        service = stage.catalogue.by_type(order_type)[0]
        type_name = order_type.panel_type.lower().replace(" ", "-").replace("_", "-")
        order = example(order_type, service, f"{PAGE}/{type_name}")
        entry = await stage.desk.place(order, ref=type_name)
        placed.append(entry)
        shown.add_row(
            cell(order_type.panel_type),
            cell(entry.ref, "dim"),
            cell(money(entry.price) or "post by post"),
            cell(entry.order, "bold"),
            cell(entry.state.value, STATE_STYLES.get(entry.state, "")),
        )
    stage.console.print(shown)
    return placed


def _default(stage: _Stage, page: str, product: str | None = None) -> DefaultOrder:
    service = stage.catalogue.by_type(DefaultOrder)[0]
    order = example(DefaultOrder, service, f"{PAGE}/{page}")
    # `example` returns an order of the requested type.
    assert isinstance(order, DefaultOrder)  # noqa: S101
    return order if product is None else evolve(order, service=product)


async def _tap_twice(stage: _Stage) -> tuple[Entry, Entry]:
    """Place an order twice at the same moment with one ref: the panel gets one order."""
    _heading(stage, 3, "A double tap: the same ref, twice at the same moment")
    before = stage.order_count
    order = _default(stage, "double-tap")
    first, second = await asyncio.gather(
        stage.desk.place(order, ref="double-tap"), stage.desk.place(order, ref="double-tap")
    )
    added = stage.order_count - before
    more = output.plural(added, "more order")
    line = f"   both calls return order {first.order}; the panel has {more}"
    stage.console.print(Text(line, style="green"))
    return first, second


async def _show_refusal(stage: _Stage) -> None:
    """Show an order that is rejected before it is sent, and one that the panel refuses."""
    _heading(stage, 4, "Orders that are rejected")
    service = stage.catalogue.by_type(DefaultOrder)[0]
    below = DefaultOrder(service=service.service, link=f"{PAGE}/few", quantity=1)
    shown = Table.grid(padding=(0, 1))
    try:
        await stage.desk.place(below, ref="too-few")
    except InvalidOrderError as error:
        shown.add_row(Text("   before sending:", "yellow"), str(error))
    again = await stage.desk.place(_default(stage, "double-tap"), ref="same-link")
    shown.add_row(Text("   by the panel:", "yellow"), cell(again.reason))
    stage.console.print(shown)


async def _lose_response(stage: _Stage) -> None:
    """Lose the response to an order, show the evidence, resolve it without ordering twice."""
    _heading(stage, 5, "A lost response: panel alpha is cut off after the order was sent")
    alpha = stage.panels["alpha"]
    order = _default(stage, "lost", BOTH)
    alpha.fail_next(Fault.DROP_AFTER, action="add")
    elsewhere = len(stage.panels["beta"].orders)
    entry = await stage.desk.place(order, ref="lost-response")
    unknown = [each for each in await stage.desk.unknown() if each.entry.ref == entry.ref]
    stage.console.print(*map(evidence, unknown))
    at_beta = len(stage.panels["beta"].orders) - elsewhere
    # A person would check the panel's list of orders; here it is the sandbox's.
    matching = [each for each in alpha.orders.values() if each.link == order.link]
    resolved = await stage.desk.resolve(entry.ref, order=matching[0].order, decided_by="demo")
    again = await stage.desk.place(order, ref="lost-response")
    count = sum(each.link == order.link for each in alpha.orders.values())
    lines = (
        f"   it stayed {entry.state.value} at {entry.panel}, where it may exist;\n"
        f"   beta sells the same and got {output.plural(at_beta, 'order')} for it\n"
        f"   resolved by hand: alpha's list has order {resolved.order} for this link\n"
        f"   placed again, same ref: order {again.order}; alpha has "
        f"{output.plural(count, 'order')} for it"
    )
    stage.console.print(Text(lines, style="green"))


async def _fail_over(stage: _Stage) -> Entry:
    """Place an order that the first panel cannot pay for, so that the second gets it."""
    _heading(stage, 6, f"Out of funds: panel alpha has {stage.panels['alpha'].balance} USD left")
    # Until alpha has answered a probe, it gets no orders.
    await asyncio.sleep(CIRCUIT_OPEN_S)
    entry = await stage.desk.place(_default(stage, "moved", BOTH), ref="fail-over")
    refused = dict(entry.refused_by)
    shown = Table.grid(padding=(0, 1))
    shown.add_row(Text("   refused by:", "yellow"), cell(", ".join(refused)))
    shown.add_row(Text("   placed at:", "yellow"), cell(f"{entry.panel}, order {entry.order}"))
    stage.console.print(shown)
    lines = (
        "   safe: the refusal proves that alpha has ordered nothing, so the order at\n"
        "   beta is the only one"
    )
    stage.console.print(Text(lines, style="green"))
    return entry


async def _place_the_rest(stage: _Stage) -> None:
    """Place the remaining orders concurrently, as independent callers would."""
    rest = ORDERS_FOLLOWED - stage.order_count
    _heading(stage, 7, f"{rest} more orders, each placed once")
    callers = asyncio.Semaphore(CALLERS)
    with _bar(stage.console, "placed", rest) as (progress, task):

        async def place(number: int, order: Order) -> None:
            async with callers:
                await stage.desk.place(order, ref=f"order-{number:04}")
            progress.advance(task)

        orders = enumerate(many(stage.catalogue, rest), start=1)
        await asyncio.gather(*(place(number, order) for number, order in orders))


async def _follow(stage: _Stage) -> Summary:
    """Follow all orders until each is final."""
    _heading(
        stage,
        8,
        f"{ORDERS_FOLLOWED} orders followed until they are final, a hundred per status call",
    )
    following = asyncio.ensure_future(stage.desk.follow())
    try:
        with _bar(stage.console, "final", ORDERS_FOLLOWED) as (progress, task):
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    summary = await stage.desk.summary()
                    finished = summary.by_state.get(EntryState.FINISHED, 0)
                    calls = f"{_status_calls(stage)} status calls"
                    progress.update(task, completed=finished, note=calls)
                    if not any(summary.by_state.get(state) for state in IN_FLIGHT):
                        return summary
                    for panel in stage.panels.values():
                        panel.advance(PANEL_SECONDS_PER_STEP)
                    await asyncio.sleep(STEP_S)
    except TimeoutError as error:
        raise WaitTimeoutError(f"orders are still open after {TIMEOUT_S:.0f} s") from error
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@contextmanager
def _bar(
    console: Console, description: str, total: int
) -> Generator[tuple[Progress, TaskID], None, None]:
    columns = (
        TextColumn("   [bold]{task.description:<6}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield progress, progress.add_task(description, total=total, note="")


def _show_summary(stage: _Stage, summary: Summary) -> None:
    left = {name: panel.balance for name, panel in stage.panels.items()}
    parts = [f"left {amount} ({name})" for name, amount in left.items()]
    total = summary.spent + sum(left.values())
    sum_ = f"{' + '.join([f'spent {summary.spent}', *parts])} = {total} USD"
    balance = Text(sum_, style="bold")
    panel = Panel(Group(summary_view(summary), balance), title="Summary", border_style="green")
    stage.console.print(panel)


PAGE = "https://instagram.com/example"


def example(order_type: type[Order], service: Service, link: str) -> Order:
    """Create an order of a type, with the smallest quantity that the service accepts."""
    quantity_min = service.min or 1
    names = [f"example{number}" for number in range(quantity_min)]
    common: dict[str, Any] = {"service": service.service, "link": link}
    quantity: dict[str, Any] = {"quantity": quantity_min}
    forms: dict[type[Order], dict[str, Any]] = {
        DefaultOrder: common | quantity,
        PackageOrder: common,
        CustomCommentsOrder: common | {"comments": [f"Nice one, {each}!" for each in names]},
        MentionsWithHashtagsOrder: common
        | quantity
        | {"usernames": ["example"], "hashtags": ["example"]},
        MentionsCustomListOrder: common | {"usernames": names},
        MentionsHashtagOrder: common | quantity | {"hashtag": "example"},
        MentionsUserFollowersOrder: common | quantity | {"username": PAGE},
        CustomCommentsPackageOrder: common | {"comments": [f"Great, {each}!" for each in names]},
        MentionsMediaLikersOrder: common | quantity,
        CommentLikesOrder: common | quantity | {"username": "example"},
        SubscriptionsOrder: {
            "service": service.service,
            "username": "example",
            "min": quantity_min,
            "max": quantity_min,
            "delay": 5,
            "posts": 2,
            "expiry": datetime.now(UTC).date() + timedelta(days=30),
        },
    }
    return order_type(**forms[order_type])


def many(catalogue: Catalogue, count: int) -> Iterator[Order]:
    """Yield `count` small orders, in turn for all services with a quantity."""
    services = cycle(catalogue.by_type(DefaultOrder))
    for number, service in zip(range(count), services, strict=False):
        yield example(DefaultOrder, service, f"{PAGE}.{number}")


@handle_errors
async def demo(*, json: Flag = False) -> int:
    """Run `smmfanfast demo`.

    Parameters
    ----------
    json
        Print only the summary, as one JSON object.
    """
    summary = await play(Console(quiet=json))
    if json:
        output.print_json(Console(), summary)
    return OK
