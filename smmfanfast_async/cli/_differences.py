"""What changed between two catalogues, as a table for people and as JSON."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any

from rich.table import Table
from rich.text import Text

from ..catalogue import CatalogueDiff, ServiceChange
from ..results import Service
from ._output import cell, plain, table

__all__ = ["difference_objects", "differences_table", "narrowed", "rate_change"]

OTHER_FIELDS = ("name", "category", "type", "dripfeed", "refill", "cancel", "desc", "extra")
"""What else may differ, beside rate and limits."""


def narrowed(diff: CatalogueDiff, fits: Callable[[Service], bool]) -> CatalogueDiff:
    """Keep the services that fit as they were or as they are."""
    return CatalogueDiff(
        added=tuple(filter(fits, diff.added)),
        removed=tuple(filter(fits, diff.removed)),
        changed=tuple(each for each in diff.changed if fits(each.before) or fits(each.after)),
    )


def rate_change(change: ServiceChange) -> Decimal | None:
    """Give by how much the rate went up, in percent of the older, to two digits.

    None where one of the two has no rate, and where the older is 0; a rate that did not change is
    0.
    """
    old, new = change.before.rate, change.after.rate
    if old is None or new is None or not old:
        return None
    return ((new - old) / old * 100).quantize(Decimal("0.01"))


# --- for people ----------------------------------------------------------------------------------


def differences_table(diff: CatalogueDiff, title: str) -> Table:
    """Show what is new, gone and changed, a row each."""
    made = table(title, "what", "id", "name", "rate", "change", "limits", "else", right=("change",))
    for word, style, services in (("new", "green", diff.added), ("gone", "red", diff.removed)):
        for each in services:
            row = (word, each.service, each.name, each.rate, "", _limits(each), "")
            made.add_row(*map(cell, row, (style, *[""] * 6)))
    for change in diff.changed:
        made.add_row(*_row(change))
    return made


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
        return "dearer", "red"
    if change.price_decreased:
        return "cheaper", "green"
    return ("limits", "yellow") if change.limits_changed else ("changed", "yellow")


def _both(old: object, new: object) -> object:
    """Write what was and what is, or what it is where that did not change."""
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
    """Give the differences as JSON knows them."""
    return {
        "new": plain(diff.added),
        "gone": plain(diff.removed),
        "changed": [
            {
                "service": change.after.service,
                "price_increased": change.price_increased,
                "price_decreased": change.price_decreased,
                "limits_changed": change.limits_changed,
                "rate_change_percent": plain(rate_change(change)),
                "older": plain(change.before),
                "newer": plain(change.after),
            }
            for change in diff.changed
        ],
    }
