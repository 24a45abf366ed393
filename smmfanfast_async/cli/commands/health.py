"""`doctor --health`: whether the orders in the journal are followed, for a container's healthcheck.

Only the journal is asked, never the panel.
"""

from datetime import timedelta
from typing import Any

from attrs import frozen
from rich.console import Console
from rich.text import Text

from ...journal import OPEN_STATES, EntryState
from .. import _output as output
from .._codes import OK, REFUSED
from .._entries import format_time
from .._options import JournalOptions, mention_other_accounts
from .._output import plural

__all__ = ["check_health"]

OVERDUE_AFTER = timedelta(minutes=15)
"""How late an order is sent or checked if nothing follows it: a running desk keeps it claimed for
two minutes at most, and pauses for at most 15 while the panel asks for it."""


@frozen(kw_only=True)
class Health:
    """The state of a journal, in numbers."""

    orders: int
    in_progress: int
    unknown: int
    overdue: int
    checked_at: str | None
    """When the panel last answered a check of an order that is in progress, in UTC."""
    is_followed: bool
    """Whether no order is overdue, or one has been checked lately."""

    def __str__(self) -> str:
        """Return the state on one line, what is wrong first."""
        facts = [f"{plural(self.orders, 'order')}, {self.in_progress} in progress"]
        if self.overdue:
            facts.append(f"{self.overdue} overdue")
        if self.unknown:
            facts.append(f"{self.unknown} unknown (see `smmfanfast unknown`)")
        line = ", ".join(facts)
        if self.is_followed:
            return f"ok: {line}"
        last = f"since {self.checked_at} UTC" if self.checked_at else "yet"
        return (
            f"not followed: {line}; no check was answered {last}: is `smmfanfast follow` running?"
        )


async def check_health(options: JournalOptions) -> int:
    """Print the state of the journal on one line; return the exit code."""
    async with options.reading() as journal:
        before = await journal.now() - OVERDUE_AFTER
        summary, late = await journal.summary(), await journal.overdue(before)
        if not summary.by_state:
            await mention_other_accounts(journal)
    counts = summary.by_state
    has_looked = late.checked_at is not None and late.checked_at >= before
    health = Health(
        orders=sum(counts.values()),
        in_progress=sum(counts.get(state, 0) for state in OPEN_STATES - {EntryState.UNKNOWN}),
        unknown=counts.get(EntryState.UNKNOWN, 0),
        overdue=late.orders,
        checked_at=format_time(late.checked_at),
        is_followed=has_looked or not late.orders,
    )
    if options.json:
        fields: dict[str, Any] = output.plain(health)
        output.print_json(Console(), fields | {"checked_at": late.checked_at})
    else:
        style = "green" if health.is_followed else "bold red"
        Console().print(Text(str(health), style=style), soft_wrap=True)
    return OK if health.is_followed else REFUSED
