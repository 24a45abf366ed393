"""Draw the terminal pictures that the README shows.

Run `python benchmarks/pictures.py` from the root of the project: it plays `smmfanfast demo` and
`smmfanfast services` on a sandbox and writes what a terminal would show as SVG beside this file.
"""

import asyncio
import io
import re
from pathlib import Path

from rich.console import Console

from smmfanfast_async import Client
from smmfanfast_async.cli import _demo, _output
from smmfanfast_async.sandbox import Sandbox

HERE = Path(__file__).parent
WIDTH = 104
"""Columns of the pictures: wide enough for the tables, narrow enough for a page."""


def recorder() -> Console:
    """Make a console that keeps what it draws; as no terminal, it draws a progress bar once."""
    return Console(record=True, file=io.StringIO(), width=WIDTH, color_system="truecolor")


def save(console: Console, name: str, title: str) -> None:
    """Write what a console has drawn; a port number, new each time, becomes a fixed one."""
    svg = console.export_svg(title=title, unique_id=name)
    svg = re.sub(r"(127\.0\.0\.1:)\d+", r"\g<1>8080", svg)
    # The fonts would come from another host; whoever looks has a font of fixed width.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    path = HERE / f"{name}.svg"
    path.write_text(svg, encoding="utf-8")
    print(f"wrote {path.name}, {path.stat().st_size // 1024} KB")


async def demo() -> None:
    """Play the demo."""
    console = recorder()
    await _demo.run(console)
    save(console, "demo", "smmfanfast demo")


async def services() -> None:
    """Search the catalogue."""
    console = recorder()
    async with Sandbox() as panel, Client(panel.api_key, base_url=panel.url) as client:
        catalogue = await client.services()
        found = catalogue.search("instagram followers")
        title = f"{len(found)} of {len(catalogue)} services"
        console.print(_output.services_table(found, title))
    save(console, "services", 'smmfanfast services --search "instagram followers"')


async def main() -> None:
    """Draw all of them."""
    await demo()
    await services()


if __name__ == "__main__":
    asyncio.run(main())
