"""`services`: what is on offer, and what has changed since a catalogue was saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from ...catalogue import Catalogue
from ...results import Service
from .. import _output as output
from .._codes import OK, REFUSED
from .._differences import difference_objects, differences_table, narrowed
from .._ending import handle_errors, print_line
from .._panel import CommonOptions, Flag, OrderType, amount_of
from .._saved import Saved, load, save, saved

__all__ = ["services"]

MAX_SERVICES_SHOWN = 1000
"""Rows of a table of services; `--json` gives all."""

_HERE = CommonOptions()


@handle_errors
async def services(
    *,
    search: str = "",
    order_type: Annotated[OrderType | str | None, Parameter(name="--type")] = None,
    max_rate: str | None = None,
    save_as: Annotated[Path | None, Parameter(name="--save")] = None,
    older: Annotated[Path | None, Parameter(name="--diff")] = None,
    exit_code: Flag = False,
    panel: CommonOptions = _HERE,
) -> int:
    """Show what is on offer.

    With --save all of it is written to a file, and with --diff only what has changed since is
    shown: what is new, gone, dearer or cheaper (in percent), or has other limits. Both together
    compare with the older file first. The exit code is 0 either way; with --exit-code it is 1 if
    something differs.

    Parameters
    ----------
    search
        Words that the name or the category must hold.
    order_type
        Only services of an order type, such as custom_comments.
    max_rate
        Only services up to this rate.
    save_as
        Write the whole catalogue to this file, as JSON.
    older
        Show what has changed since this file was saved.
    exit_code
        With --diff: exit with 1 if something differs.
    """
    most = amount_of("max_rate", max_rate)
    before = None if older is None else load(older)
    async with panel.client() as client:
        catalogue = await client.services()
        now = saved(catalogue, client.base_url)

    def wanted(some: Catalogue) -> list[Service]:
        return some.search(search, type=order_type, max_rate=most)

    differs = before is not None and _show_differences(before, now, wanted, panel)
    if save_as is not None:
        save(save_as, catalogue, now.base_url)
        print_line(f"{len(catalogue)} services saved as {save_as}", "green")
    elif before is None:
        _show(wanted(catalogue), len(catalogue), panel)
    return REFUSED if differs and exit_code else OK


def _show(found: list[Service], total: int, panel: CommonOptions) -> None:
    if panel.json:
        output.print_json(Console(), found)
        return
    title = f"{len(found)} of {total} services"
    output.show(output.services_table(found[:MAX_SERVICES_SHOWN], title))


def _show_differences(
    before: Saved, now: Saved, wanted: Callable[[Catalogue], list[Service]], panel: CommonOptions
) -> bool:
    """Show what differs among the services that are wanted; say whether anything does."""
    if before.base_url != now.base_url:
        # The panels may be one under two names; if not, equal ids mean nothing.
        print_line(f"the file is from {before.base_url}", "yellow", head="warning")
    ids = {each.service for some in (before, now) for each in wanted(some.catalogue)}
    diff = narrowed(now.catalogue.diff(before.catalogue), lambda each: each.service in ids)
    number = len(diff.added) + len(diff.removed) + len(diff.changed)
    if panel.json:
        output.print_json(Console(), difference_objects(diff))
    else:
        since = f"since {before.catalogue.fetched_at:%Y-%m-%d %H:%M} UTC"
        title = (
            f"{number} difference{'s'[: number > 1]} {since}"
            if number
            else f"nothing differs {since}"
        )
        output.show(differences_table(diff, title) if number else output.cell(title, "green"))
    return number > 0
