"""Statuses as they land, in a table that is drawn over."""

from rich.console import Console, ConsoleOptions, RenderResult

from ..errors import PanelError
from ..results import OrderStatus
from ._output import statuses_table

__all__ = ["StatusBoard"]

FRAME_LINES = 6
"""Lines of a terminal that a board needs beside its rows."""


class StatusBoard:
    """The orders that landed last, as many as the terminal is high, and how many there are."""

    def __init__(self, total: int, *, counts_final: bool = False) -> None:
        self._total = total
        self._counts_final = counts_final
        self._ended: set[str] = set()
        self.rows: dict[str, OrderStatus | PanelError] = {}
        """All of them, the latest at the end."""

    def land(self, order: str, result: OrderStatus | PanelError, *, is_final: bool = False) -> None:
        """Show how an order stands; which words are final is the profile's, so it is told."""
        if is_final:
            self._ended.add(order)
        self.rows.pop(order, None)
        self.rows[order] = result

    @property
    def title(self) -> str:
        """Say how far it is."""
        if not self._counts_final:
            return f"{len(self.rows)} of {self._total} orders"
        return f"{len(self._ended)} of {self._total} orders are final"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        most = max(console.size.height - FRAME_LINES, 1)
        yield statuses_table(self.title, list(self.rows.items())[-most:])
