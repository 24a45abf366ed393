"""`health`: what needs a person, and whether the orders are followed, for a healthcheck.

Only the journal is asked, never the panel.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import frozen
from rich.console import Console
from rich.text import Text

from ..._text import sanitize
from ...desk.panels import find_missing
from ...journal import CircuitState, DeskHealth
from .. import _output as output
from .._codes import OK, REFUSED
from .._entries import format_time
from .._errors import handle_errors
from .._live import describe_lag, lagging
from .._options import JournalOptions, mention_other_accounts

__all__ = ["health"]

OVERDUE_AFTER = timedelta(minutes=15)
"""How late an order is sent or checked if nothing follows it: a running desk keeps it claimed for
two minutes at most, and pauses for at most 15 while the panel asks for it."""

_HERE = JournalOptions()


@frozen(kw_only=True)
class Finding:
    """The state of a journal, and whether its orders are followed."""

    health: DeskHealth
    lost_panels: Sequence[str]
    """The panels where orders are open and that the --panels file does not have."""
    overdue: int
    checked_at: datetime | None
    """When the panel last answered a check of an order that is in progress."""

    @property
    def is_followed(self) -> bool:
        """Whether no order is overdue, or one has been checked lately."""
        before = self.health.at - OVERDUE_AFTER
        return not self.overdue or (self.checked_at is not None and self.checked_at >= before)

    def __str__(self) -> str:
        """Return the state on one line, what is wrong first."""
        health = self.health
        to_send = health.prepared + health.held + health.sending
        facts = [f"{self.overdue} overdue"] if self.overdue else []
        if health.unknown:
            facts.append(f"{health.unknown} unknown (see `smmfanfast unknown`)")
        facts += [
            f"waiting for panel {sanitize(panel.panel)} ({panel.reason})"
            for panel in health.panels.values()
            if panel.circuit is not CircuitState.CLOSED
        ]
        facts += [
            f"panel {sanitize(panel.panel)} asked for a pause until "
            f"{format_time(panel.paused_until)} UTC"
            for panel in health.panels.values()
            if panel.paused_until is not None and panel.paused_until > health.at
        ]
        facts += [
            f"orders are open at {sanitize(name)}, which is not in the --panels file"
            for name in self.lost_panels
        ]
        facts += map(describe_lag, lagging(health))
        line = ", ".join([*facts, f"{to_send} to send"])
        if self.is_followed:
            return f"ok: {line}"
        last = f"since {format_time(self.checked_at)} UTC" if self.checked_at else "yet"
        return (
            f"not followed: {line}; no check was answered {last}: is `smmfanfast follow` running?"
        )


@handle_errors
async def health(*, options: JournalOptions = _HERE) -> int:
    """Run `smmfanfast health`."""
    file = options.panels_file()
    async with options.reading() as journal:
        state = await journal.health()
        lost = [] if file is None else await find_missing(journal, file.panels)
        late = await journal.overdue(state.at - OVERDUE_AFTER)
        async for _ in journal.entries():
            break
        else:
            await mention_other_accounts(journal)
    finding = Finding(
        health=state,
        lost_panels=lost,
        overdue=late.orders,
        checked_at=late.checked_at,
    )
    if options.json:
        fields = {
            "overdue": finding.overdue,
            "checked_at": finding.checked_at,
            "is_followed": finding.is_followed,
            "lost_panels": finding.lost_panels,
        }
        output.print_json(Console(), state.to_dict() | fields)
    else:
        style = "green" if finding.is_followed else "bold red"
        Console().print(Text(str(finding), style=style), soft_wrap=True)
    return OK if finding.is_followed else REFUSED
