"""The part of `OrderDesk` that reads its journal, and deletes what is old in it."""

from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime, timedelta

from ..journal import Entry, EntryState, Journal, Summary
from .arguments import check_filters

__all__ = ["QueryCalls"]


class QueryCalls:
    """What a desk can say of its orders. The desk sets the attributes."""

    _journal: Journal
    _check_open: Callable[[], None]

    async def find(self, ref: str, *, connection: object | None = None) -> Entry | None:
        """Return the entry of a ref, None if there is none. Raises as `unknown` does.

        With `connection`, as for `enqueue`, the caller's own transaction is read.
        """
        self._check_open()
        return await self._journal.find(ref, connection=connection)

    def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        panels: Collection[str] = (),
        ref_prefix: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Iterate over entries, the oldest first, in bounded memory. Omitted filters match all.

        `statuses` are values of `Status`; `since`, `until`: time of creation. Raises
        `InvalidSettingsError` for a state that there is not, or one text in place of several, and
        otherwise as `unknown`.
        """
        self._check_open()
        check_filters(states=states, statuses=statuses, panels=panels)
        return self._journal.entries(
            states=states, statuses=statuses, panels=panels, ref_prefix=ref_prefix, since=since,
            until=until,
        )  # fmt: skip

    async def summary(self) -> Summary:
        """Count the account's orders and money. Raises as `unknown` does."""
        self._check_open()
        return await self._journal.summary()

    async def purge(self, older_than: timedelta) -> int:
        """Delete links, forms and panel texts of ended orders older than that; return how many.

        Refs, ids, states and money stay, and a ref stays taken. Raises as `unknown` does.
        """
        self._check_open()
        return await self._journal.purge(await self._journal.now() - older_than)
