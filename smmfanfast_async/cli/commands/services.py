"""`balance`; `services`: the catalogue, and its changes since it was saved."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ...catalogue import Catalogue, CatalogueDiff, ServiceChange
from ...errors import InvalidSettingsError
from ...results import Service
from .. import _output as output
from .._catalogue_file import SavedCatalogue, load, save
from .._codes import OK, REFUSED
from .._compare import compare as compare_products
from .._errors import handle_errors, print_line
from .._options import CommonOptions, Flag, OrderType, PanelName, parse_amount
from .._output import cell, plain, plural, table

__all__ = [
    "balance",
    "difference_objects",
    "differences_table",
    "filter_diff",
    "rate_change",
    "services",
]

_HERE = CommonOptions()


@handle_errors
async def balance(*, panel: PanelName = None, options: CommonOptions = _HERE) -> int:
    """Run `smmfanfast balance`."""
    async with options.client(panel) as client:
        account_balance = await client.balance()
    if options.json:
        output.print_json(Console(), account_balance)
    else:
        text = f"{account_balance.balance} {account_balance.currency or ''}".strip()
        Console().print(output.cell(text, "bold"))
    return OK


# --- differences ---------------------------------------------------------------------------------

OTHER_FIELDS = ("name", "category", "type", "dripfeed", "refill", "cancel", "desc", "extra")
"""Fields that may differ, other than rate and limits."""


def filter_diff(diff: CatalogueDiff, matches: Callable[[Service], bool]) -> CatalogueDiff:
    """Return the differences among the services that match before or after."""
    return CatalogueDiff(
        added=tuple(filter(matches, diff.added)),
        removed=tuple(filter(matches, diff.removed)),
        changed=tuple(each for each in diff.changed if matches(each.before) or matches(each.after)),
    )


def rate_change(change: ServiceChange) -> Decimal | None:
    """Return the increase of the rate in percent of the older, to two digits.

    None if one of the two has no rate or the older is 0; 0 if the rate did not change.
    """
    old, new = change.before.rate, change.after.rate
    if old is None or new is None or not old:
        return None
    return ((new - old) / old * 100).quantize(Decimal("0.01"))


# --- for people ----------------------------------------------------------------------------------


def differences_table(diff: CatalogueDiff, title: str) -> Table:
    """Return a table of the services added, removed and changed."""
    columns = ("change", "id", "name", "rate", "percent", "limits", "other")
    rows = [_whole_row("added", "green", each) for each in diff.added]
    rows += [_whole_row("removed", "red", each) for each in diff.removed]
    rows += [list(_row(each)) for each in diff.changed]
    return table(title, *columns, right=("percent",), rows=rows)


def _whole_row(word: str, style: str, each: Service) -> list[Text]:
    others = (each.service, each.name, each.rate, "", _limits(each), "")
    return [cell(word, style), *map(cell, others)]


def _row(change: ServiceChange) -> Iterator[Text]:
    older, newer = change.before, change.after
    word, style = _word(change)
    yield cell(word, style)
    yield cell(newer.service)
    yield cell(newer.name)
    yield cell(_both(older.rate, newer.rate))
    percent = rate_change(change) if older.rate != newer.rate else None
    yield cell("" if percent is None else f"{percent:+.1f} %", style)
    yield cell(_both(_limits(older), _limits(newer)))
    yield cell(", ".join(_others(change)))


def _word(change: ServiceChange) -> tuple[str, str]:
    if change.price_increased:
        return "raised", "red"
    if change.price_decreased:
        return "lowered", "green"
    return ("limits", "yellow") if change.limits_changed else ("changed", "yellow")


def _both(old: object, new: object) -> object:
    """Return both values, or one if they are equal."""
    return new if old == new else f"{_shown(old)} → {_shown(new)}"


def _shown(value: object) -> str:
    return "–" if value is None else str(value)


def _limits(service: Service) -> str:
    return f"{_shown(service.min)}–{_shown(service.max)}"


def _others(change: ServiceChange) -> Iterable[str]:
    for name in OTHER_FIELDS:
        if getattr(change.before, name) != getattr(change.after, name):
            yield name


# --- for programs --------------------------------------------------------------------------------


def difference_objects(diff: CatalogueDiff) -> dict[str, Any]:
    """Return the differences as a JSON object."""
    return {
        "added": plain(diff.added),
        "removed": plain(diff.removed),
        "changed": [
            {
                "service": change.after.service,
                "price_increased": change.price_increased,
                "price_decreased": change.price_decreased,
                "limits_changed": change.limits_changed,
                "rate_change_percent": plain(rate_change(change)),
                "before": plain(change.before),
                "after": plain(change.after),
            }
            for change in diff.changed
        ],
    }


MAX_SERVICES_SHOWN = 1000
"""Rows of a table of services on a terminal; any other output has all."""


@handle_errors
async def services(
    *,
    search: str = "",
    order_type: Annotated[OrderType | str | None, Parameter(name="--type")] = None,
    max_rate: str | None = None,
    save_as: Annotated[Path | None, Parameter(name="--save")] = None,
    older: Annotated[Path | None, Parameter(name="--diff")] = None,
    exit_code: Flag = False,
    compare: Flag = False,
    panel: PanelName = None,
    options: CommonOptions = _HERE,
) -> int:
    """Run `smmfanfast services`.

    Parameters
    ----------
    search
        Words that the name or the category must contain.
    order_type
        Only services of an order type, such as custom_comments.
    max_rate
        Only services with at most this rate.
    save_as
        Write the whole catalogue to this file, as JSON.
    older
        Show the changes since this file was saved.
    exit_code
        With --diff: exit with 1 if something differs.
    compare
        Show the products of the --panels file side by side, with no other option of these.
    """
    if compare:
        return await _compare(options, search, order_type, max_rate, save_as, older, panel)
    limit = parse_amount("max_rate", max_rate)
    before = None if older is None else load(older)
    async with options.client(panel) as client:
        catalogue = await client.services()
        # As a file would contain it: values in `extra` compare equal only after a round trip.
        as_saved = Catalogue.from_json(catalogue.to_json())
        now = SavedCatalogue(client.base_url, as_saved)

    def select(some: Catalogue) -> list[Service]:
        return some.search(search, type=order_type, max_rate=limit)

    differs = before is not None and _show_differences(before, now, select, options)
    if save_as is not None:
        save(save_as, now)
        print_line(f"{plural(len(catalogue), 'service')} saved as {save_as}", "green")
    elif before is None:
        _show(select(catalogue), len(catalogue), options)
    return REFUSED if differs and exit_code else OK


async def _compare(options: CommonOptions, *others: str | Path | None) -> int:
    file = options.panels_file()
    if file is None:
        how = "add --panels FILE or set SMMFANFAST_PANELS"
        raise InvalidSettingsError("panels", f"is missing: {how}")
    if any(others):
        reason = "cannot be combined with options that choose, save or compare services"
        raise InvalidSettingsError("compare", reason)
    return await compare_products(file, options)


def _show(selected: list[Service], total: int, options: CommonOptions) -> None:
    if options.json:
        output.print_json(Console(), selected)
        return
    shown = selected[:MAX_SERVICES_SHOWN] if Console().is_terminal else selected
    more = "" if len(shown) == len(selected) else f", the first {len(shown)} (a pipe gets all)"
    title = f"{len(selected)} of {plural(total, 'service')}{more}"
    output.show(output.services_table(shown, title))


def _show_differences(
    before: SavedCatalogue,
    now: SavedCatalogue,
    select: Callable[[Catalogue], list[Service]],
    options: CommonOptions,
) -> bool:
    """Print the differences among the selected services; return whether there are any."""
    if before.base_url != now.base_url:
        # The addresses may belong to one panel; if not, equal ids mean nothing.
        print_line(f"the file is from another address: {before.base_url}", "yellow", head="warning")
    ids = {each.service for some in (before, now) for each in select(some.catalogue)}
    diff = filter_diff(now.catalogue.diff(before.catalogue), lambda each: each.service in ids)
    number = len(diff.added) + len(diff.removed) + len(diff.changed)
    if options.json:
        output.print_json(Console(), difference_objects(diff))
    else:
        since = f"since {before.catalogue.fetched_at:%Y-%m-%d %H:%M} UTC"
        if number:
            output.show(differences_table(diff, f"{plural(number, 'difference')} {since}"))
        else:
            print_line(f"no differences {since}", "green")
    return number > 0
