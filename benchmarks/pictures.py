"""Draw the terminal pictures that the README shows.

Run `python benchmarks/pictures.py` from the root of the project: it runs `smmfanfast demo`,
`services`, `add`, `watch`, `orders`, `unknown` and `follow` on a sandbox and writes what a terminal
would show to SVG files in the folder of this script.
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
from smmfanfast_async.cli._input import CHOICES
from smmfanfast_async.cli._live import Board, StatusBoard
from smmfanfast_async.cli._options import CheckCounter
from smmfanfast_async.cli.commands.add import confirmation_question, quote_view
from smmfanfast_async.cli.commands.demo import play
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.sandbox import Fault, Sandbox

HERE = Path(__file__).parent
WIDTH = 84
"""Columns of the pictures: a little more than those of most terminals, for the longest rows."""

ORDERS = 120
"""Number of orders in the pictures of a journal."""

WATCHED = 12
"""Number of orders in the picture of `watch`."""

REF_PREFIX = "invoice-106"
"""Prefix of the refs of the listed orders."""

POLL_S = 0.2
"""Seconds between two status checks of an order: short, so that the script ends soon."""

STEP_S = 900.0
"""Seconds by which the panel's clock is advanced per step."""

FINISHED_IN_PICTURE = 80
"""Finished orders at which `follow` is drawn, so that both finished and open ones are shown."""


CHARACTER_WIDTH = 12.2
"""Width of a character in the SVG of rich."""

LEADING_BLANKS = re.compile(
    r' x="(?P<x>[\d.]+)" y="(?P<y>[\d.]+)" textLength="(?P<length>[\d.]+)" '
    r'clip-path="(?P<clip>[^"]+)">(?P<blanks>(?:&#160;)+)'
)
"""Spaces at the start of a text: some programs that draw SVG omit them."""


def skip_leading_blanks(text: re.Match[str]) -> str:
    """Move the start of a text to its first visible character."""
    width = CHARACTER_WIDTH * text["blanks"].count(";")
    x, length = float(text["x"]) + width, float(text["length"]) - width
    position = f' x="{x:g}" y="{text["y"]}" textLength="{length:g}"'
    return f'{position} clip-path="{text["clip"]}">'


def recorder() -> Console:
    """Create a console that records; it is not a terminal, so a progress bar is drawn once."""
    return Console(record=True, file=io.StringIO(), width=WIDTH, color_system="truecolor")


def save(console: Console, name: str, title: str) -> None:
    """Write a recorded console as SVG; the port, new in each run, is replaced by a fixed one."""
    svg = console.export_svg(title=title, unique_id=name)
    svg = re.sub(r"(127\.0\.0\.1:)\d+", r"\g<1>8080", svg)
    # The fonts would be loaded from another host; every viewer has a fixed-width font.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = LEADING_BLANKS.sub(skip_leading_blanks, svg)
    path = HERE / f"{name}.svg"
    path.write_text(svg, encoding="utf-8")
    print(f"wrote {path.name}, {path.stat().st_size // 1024} KB")


async def demo() -> None:
    """Draw `smmfanfast demo`."""
    console = recorder()
    await play(console)
    save(console, "demo", "smmfanfast demo")


async def services() -> None:
    """Draw a search in the catalogue."""
    console = recorder()
    async with Sandbox() as panel, Client(panel.api_key, base_url=panel.url) as client:
        catalogue = await client.services()
        matching = catalogue.search("telegram", max_rate=Decimal(2))
        title = f"{len(matching)} of {len(catalogue)} services"
        console.print(_output.services_table(matching, title))
    save(console, "services", "smmfanfast services --search telegram --max-rate 2")


async def add() -> None:
    """Draw an order: its price, the question and the answer."""
    console = recorder()
    async with Sandbox() as panel, Client(panel.api_key, base_url=panel.url) as client:
        catalogue = await client.services()
        order = DefaultOrder(service=5, link="https://instagram.com/example", quantity=1000)
        price, balance = catalogue.quote(order), await client.balance()
        service = catalogue.check(order)
        console.print(quote_view(order, service, price))
        question = confirmation_question(order, service, price, balance)
        console.print(Text.assemble(question, CHOICES, ": y"))
        added = await client.add(order)
        console.print(_output.cell(f"order {added.order} placed", "bold green"))
    save(console, "add", "smmfanfast add default --service 5 --quantity 1000 --link …/example")


async def watch() -> None:
    """Draw `watch` for orders that have become final."""
    console = recorder()
    poll = PollPolicy(min_interval_s=POLL_S, max_interval_s=POLL_S)
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
            result = change.error or change.after
            if result is not None:
                is_final = change.kind is ChangeKind.FINISHED
                board.update(change.order, result, is_final=is_final)
            panel.advance(STEP_S)
        console.print(board)
    save(console, "watch", f"smmfanfast watch {' '.join(ids)}")


@asynccontextmanager
async def shop() -> AsyncIterator[tuple[Sandbox, OrderDesk, CheckCounter]]:
    """Open a desk with placed orders, the response to one of them lost."""
    with TemporaryDirectory() as folder:
        journal = SQLJournal(f"sqlite+aiosqlite:///{folder}/orders.db")
        counter = CheckCounter()
        poll = PollPolicy(min_interval_s=POLL_S, max_interval_s=POLL_S)
        async with (
            Sandbox(seed=4, speed=0, balance=Decimal(500)) as panel,
            Client(panel.api_key, base_url=panel.url, on_event=counter) as client,
            OrderDesk(client, journal, poll=poll) as desk,
        ):
            for number in range(1, ORDERS + 1):
                if number == ORDERS // 2:
                    panel.fail_next(Fault.DROP_AFTER, action="add")
                link = f"https://instagram.com/example.{number}"
                order = DefaultOrder(service=5, link=link, quantity=500 + 10 * number)
                await desk.place(order, ref=f"invoice-{1000 + number}")
            yield panel, desk, counter


async def journal() -> None:
    """Draw `follow` in progress, and the `orders` and `unknown` commands."""
    async with shop() as (panel, desk, counter):
        board = Board()
        following = asyncio.ensure_future(desk.follow())
        while True:
            panel.advance(STEP_S)
            await asyncio.sleep(POLL_S)
            summary = await desk.summary()
            if summary.by_state.get("finished", 0) >= FINISHED_IN_PICTURE:
                break
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        async for event in desk.events("pictures", wait=False):
            board.event(event)
        unknown = await desk.unknown()
        board.count(summary, counter.checks, unknown)
        drawn = recorder()
        drawn.print(board)
        save(drawn, "follow", "smmfanfast follow")
        listed = recorder()
        entries = [entry async for entry in desk.entries(ref_prefix=REF_PREFIX)]
        listed.print(_entries.entries_table(entries, f"{len(entries)} orders"))
        listed.print(Text("\n$ smmfanfast unknown", style="bold"))
        for each in unknown:
            listed.print(_entries.evidence(each))
        save(listed, "orders", f"smmfanfast orders --ref {REF_PREFIX}")


async def main() -> None:
    """Draw all pictures."""
    await services()
    await add()
    await watch()
    await journal()
    await demo()


if __name__ == "__main__":
    asyncio.run(main())
