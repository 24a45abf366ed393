"""`wait_s` of a caller: a moment that bounds each of its waits, the journal's included."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from attrs import frozen

from .._settings import require_seconds
from ..errors import JournalError

__all__ = ["NO_DEADLINE", "Deadline"]


@frozen
class Deadline:
    """The moment until which a caller waits."""

    wait_s: float | None
    """Seconds from the call until that moment; None waits without a limit."""
    at_s: float | None
    """The moment, in the event loop's time."""

    @classmethod
    def after(cls, wait_s: float | None) -> "Deadline":
        """Return the deadline of a caller that waits for `wait_s` seconds from now.

        Raises `InvalidSettingsError` for what is not a number of seconds.
        """
        require_seconds(wait_s=wait_s, may_be_zero=True)
        return cls(wait_s, None if wait_s is None else asyncio.get_running_loop().time() + wait_s)

    def remaining_s(self) -> float | None:
        """Return the seconds that are left, None without a limit."""
        if self.at_s is None:
            return None
        return max(self.at_s - asyncio.get_running_loop().time(), 0.0)

    @asynccontextmanager
    async def limit_journal(self, what_holds: str) -> AsyncGenerator[None, None]:
        """Raise `JournalError` if the body, calls of the journal, takes longer.

        `what_holds` says what is certain then: a commit that has begun may still succeed.
        """
        try:
            async with asyncio.timeout_at(self.at_s):
                yield
        except TimeoutError as error:
            raise JournalError(f"no answer within {self.wait_s:g} s; {what_holds}") from error


NO_DEADLINE = Deadline(None, None)
"""For a caller that waits without a limit."""
