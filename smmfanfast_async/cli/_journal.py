"""The journal of the command line: one that counts the looks that are written in it."""

from collections.abc import Sequence

from attrs import define

from ..journal import Entry, Observation
from ..journal.sql import SQLJournal

__all__ = ["CountingJournal"]


@define
class _Count:
    """A number that a journal and its twins for an account share."""

    checks: int = 0


class CountingJournal(SQLJournal):
    """A `SQLJournal` that knows how many looks at orders were written."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._count = _Count()

    @property
    def checks(self) -> int:
        """Looks that were written, on this journal and its twins."""
        return self._count.checks

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        """Write what looks gave, and count them."""
        changed = await super().record_statuses(observations)
        self._count.checks += len(observations)
        return changed
