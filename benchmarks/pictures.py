"""Draw the terminal pictures that the README shows.

Run `python benchmarks/pictures.py` from the root of the project: it plays `smmfanfast demo`,
`services`, `add`, `watch`, `orders`, `unknown` and `follow` on a sandbox and writes what a terminal
would show as SVG beside this file.
"""

import asyncio
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from smmfanfast_async import ChangeKind, Client, DefaultOrder, PollPolicy
from smmfanfast_async.cli import _entries, _output
from smmfanfast_async.cli._journal import CountingJournal
from smmfanfast_async.cli._live import Board, StatusBoard
from smmfanfast_async.cli.commands.add import quote_view
from smmfanfast_async.cli.commands.demo import play
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.sandbox import Fault, Sandbox

HERE = Path(__file__).parent
WIDTH = 104
"""Columns of the pictures: wide enough for the tables, narrow enough for a page."""

ORDERS = 120
"""Orders of the pictures of a journal."""

WATCHED = 12
"""Orders of the picture of `watch`."""

SHOWN = "invoice-106"
"""How the refs of the orders begin that are listed."""

LOOK_S = 0.2
"""Seconds between two looks at an order: nobody waits for a picture."""

STEP_S = 900.0
"""Seconds by which the panel's clock is put forward at a time."""

PICTURED_AT = 80
"""Finished orders at which `follow` is drawn: with something behind it and something to come."""


SIGN_WIDTH = 12.2
"""Width of a sign in the SVG of rich."""

LEADING_BLANKS = re.compile(
    r' x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" textLength="(?P<length>[\d.]+)" '
    r'clip-path="(?P<clip>[^"]+)">(?P<blanks>(?:&#160;)+)'
)
"""Blanks at the begin of a text: some programs that draw SVG leave them out."""


def moved(text: re.Match[str]) -> str:
    """Let a text begin where its first sign is."""
    width = SIGN_WIDTH * text["blanks"].count(";")
    x, length = float(text["x"]) + width, float(text["length"]) - width
    place = f' x="{x:g}" y="{text["y"]}" textLength="{length:g}"'
    return f'{place} clip-path="{text["clip"]}">'


def recorder() -> Console:
    """Make a console that keeps what it draws; as no terminal, it draws a progress bar once."""
    return Console(record=True, file=io.StringIO(), width=WIDTH, color_system="truecolor")


def save(console: Console, name: str, title: str) -> None:
    """Write what a console has drawn; a port number, new each time, becomes a fixed one."""
    svg = console.export_svg(title=title, unique_id=name)
    svg = re.sub(r"(127\.0\.0\.1:)\d+", r"\g<1>8080", svg)
    # The fonts would come from another host; whoever looks has a font of fixed width.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = LEADING_BLANKS.sub(moved, svg)
    path = HERE / f"{name}.svg"
    path.write_text(svg, encoding="utf-8")
    print(f"wrote {path.name}, {path.stat().st_size // 1024} KB")


async def demo() -> None:
    """Play the demo."""
    console = recorder()
    await play(console)
    save(console, "demo", "smmfanfast demo")


async def services() -> None:
    """Search the catalogue."""
    console = recorder()
    async with Sandbox() as panel, Client(panel.api_key, base_url=panel.url) as client:
        catalogue = await client.services()
        found = catalogue.search("telegram", max_rate=Decimal(2))
        title = f"{len(found)} of {len(catalogue)} services"
        console.print(_output.services_table(found, title))
    save(console, "services", "smmfanfast services --search telegram --max-rate 2")


async def add() -> None:
    """Ask before an order is placed, and place it."""
    console = recorder()
    async with Sandbox() as panel, Client(panel.api_key, base_url=panel.url) as client:
        catalogue = await client.services()
        order = DefaultOrder(service=5, link="https://instagram.com/example", quantity=1000)
        console.print(quote_view(order, catalogue.check(order), catalogue.quote(order)))
        question = Text.assemble("Place it? ", ("[y/n]", "bold magenta"), (" (n)", "bold cyan"))
        console.print(question + Text(": y"))
        added = await client.add(order)
        console.print(_output.cell(f"order {added.order} placed", "bold green"))
    save(console, "add", "smmfanfast add default --service 5 --quantity 1000 --link …/example")


async def watch() -> None:
    """Watch some orders until each is final."""
    console = recorder()
    poll = PollPolicy(min_interval_s=LOOK_S, max_interval_s=LOOK_S)
    async with (
        Sandbox(seed=4, speed=0, balance=Decimal(500)) as panel,
        Client(panel.api_key, base_url=panel.url, poll=poll) as client,
    ):
        ids: list[str] = []
        for number in range(1, WATCHED + 1):
            link = f"https://instagram.com/example.{number}"
            order = DefaultOrder(service=5, link=link, quantity=500 + 10 * number)
            ids.append((await client.add(order)).order)
        board = StatusBoard(len(ids), counts_final=True)
        async for change in client.watch(ids):
            found = change.error or change.after
            if found is not None:
                is_final = change.kind is ChangeKind.FINISHED
                board.update(change.order, found, is_final=is_final)
            panel.advance(STEP_S)
        console.print(board)
    save(console, "watch", f"smmfanfast watch {' '.join(ids)}")


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[Sandbox, OrderDesk, CountingJournal]]:
    """Open a desk that has placed some orders, among them one whose answer was lost."""
    with TemporaryDirectory() as folder:
        journal = CountingJournal(f"sqlite+aiosqlite:///{folder}/orders.db")
        poll = PollPolicy(min_interval_s=LOOK_S, max_interval_s=LOOK_S)
        async with (
            Sandbox(seed=4, speed=0, balance=Decimal(500)) as panel,
            Client(panel.api_key, base_url=panel.url) as client,
            OrderDesk(client, journal, poll=poll) as desk,
        ):
            for number in range(1, ORDERS + 1):
                if number == ORDERS // 2:
                    panel.fail_next(Fault.DROP_AFTER, action="add")
                link = f"https://instagram.com/example.{number}"
                order = DefaultOrder(service=5, link=link, quantity=500 + 10 * number)
                await desk.place(order, ref=f"invoice-{1000 + number}")
            yield panel, desk, journal


async def journal() -> None:
    """Follow orders, and draw how it stands on the way; list them, and show what is unknown."""
    async with shop() as (panel, desk, kept):
        board = Board()
        following = asyncio.ensure_future(desk.follow())
        while True:
            panel.advance(STEP_S)
            await asyncio.sleep(LOOK_S)
            summary = await desk.summary()
            if summary.by_state.get("finished", 0) >= PICTURED_AT:
                break
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        async for event in desk.events("pictures", wait=False):
            board.event(event)
        unknown = await desk.unknown()
        board.count(summary, kept.checks, unknown)
        drawn = recorder()
        drawn.print(board)
        save(drawn, "follow", "smmfanfast follow")
        listed = recorder()
        found = [entry async for entry in desk.entries(ref_prefix=SHOWN)]
        listed.print(_entries.entries_table(found, f"{len(found)} orders"))
        listed.print(Text("\n$ smmfanfast unknown", style="bold"))
        for each in unknown:
            listed.print(_entries.evidence(each))
        save(listed, "orders", f"smmfanfast orders --ref {SHOWN}")


async def main() -> None:
    """Draw all of them."""
    await services()
    await add()
    await watch()
    await journal()
    await demo()


if __name__ == "__main__":
    asyncio.run(main())
