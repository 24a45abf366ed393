"""The journal of the command line; it counts the recorded status checks."""

from collections.abc import Sequence
from pathlib import Path

from attrs import define

from ..journal import Entry, Observation
from ..journal.sql import SQLJournal

__all__ = ["CountingJournal"]


@define
class _Count:
    """A number that a journal and its copies for an account share."""

    checks: int = 0


class CountingJournal(SQLJournal):
    """A `SQLJournal` that counts the status checks of orders it recorded."""

    def __init__(self, url: str | Path) -> None:
        super().__init__(url)
        self._count = _Count()

    @property
    def checks(self) -> int:
        """Recorded status checks, of this journal and its copies for an account."""
        return self._count.checks

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        """Record statuses and count them."""
        changed = await super().record_statuses(observations)
        self._count.checks += len(observations)
        return changed
