"""What a desk needs of a journal, whatever it is written in."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from .entry import Claim, Entry, JournalEvent, NewEntry, Observation, Outcome, Summary, UnknownOrder
from .states import EntryState

__all__ = ["Journal"]


class Journal(Protocol):
    """What a desk needs of a journal. Every method that writes has written when it returns.

    All raise `JournalError` where the database can't be reached, written or understood.
    """

    def for_account(self, account: str) -> "Journal":
        """Give this journal for one account; they share connections."""
        ...

    async def open(self) -> None:
        """Connect, and see that the schema is this version's, migrating an older one."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...

    async def now(self) -> datetime:
        """Give the time by the clock that all users of this journal share."""
        ...

    async def create(
        self,
        new: NewEntry,
        *,
        budget: Decimal | None = None,
        connection: object | None = None,
    ) -> Entry:
        """Write an order down as PREPARED, or give the entry that has its ref already.

        Raises `RefConflictError` where that has another form, `SpendingLimitError` where the day's
        budget does not hold the price. `connection` is a transaction of the caller's own on the
        same database: what is written is there once the caller commits.
        """
        ...

    async def find(self, ref: str) -> Entry | None:
        """Give an entry, None where there is none."""
        ...

    def entries(
        self,
        *,
        states: Collection[EntryState] = (),
        statuses: Collection[str] = (),
        ref_prefix: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> AsyncIterator[Entry]:
        """Give entries, the oldest first, page by page, in bounded memory.

        Empty collections and None leave a filter out. `statuses` are words of `Status`, `ref_prefix`
        is how the ref begins, `since` and `until` bound `created_at`.
        """
        ...

    async def start_attempt(
        self,
        ref: str,
        attempt: int,
        *,
        lease: timedelta,
        max_in_flight: int,
        balance_before: Decimal | None = None,
    ) -> Entry | None:
        """Move PREPARED to SENDING and count the attempt, durably; None where it can't be done now.

        It can't where the entry is not as it was (other state or attempt), or where `places`
        attempts of the account are on their way already, on any machine.
        """
        ...

    async def count_in_flight(self) -> int:
        """Count the account's attempts that are on their way, on any machine."""
        ...

    async def record_outcome(self, ref: str, attempt: int, outcome: Outcome) -> Entry:
        """Write what became of an attempt, and give the entry as it stands then.

        Where the attempt was given up meanwhile (UNKNOWN by its lease, or WITHDRAWN by a person) an
        ACCEPTED, or for UNKNOWN a REFUSED, still lifts it. What can't be a move any more is kept as
        an event where it tells of an order, and else changes nothing.
        """
        ...

    async def apply_decision(
        self,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        *,
        budget_day: str | None = None,
        budget: Decimal | None = None,
    ) -> Entry | None:
        """Carry out a person's move; None where the entry is in none of the states `since`.

        `budget_day` and `budget` are for one that is to be sent again; `SpendingLimitError` as in
        `create`. Raises `RefConflictError` where the order is another ref's already.
        """
        ...

    async def expire_leases(self) -> list[Entry]:
        """Move every SENDING whose lease is past to UNKNOWN, and give those entries."""
        ...

    async def due_to_send(self, limit: int) -> list[Entry]:
        """Give PREPARED entries that are due, and HELD ones once they are PREPARED again."""
        ...

    async def claim(self, limit: int, *, lease: timedelta) -> list[Claim]:
        """Take accepted orders that are due, the longest due first, out of everybody else's way."""
        ...

    async def record_statuses(self, observations: Sequence[Observation]) -> list[Entry]:
        """Write what looks gave, where the claim still holds; give the entries that changed."""
        ...

    async def release(self, claims: Sequence[tuple[Claim, datetime]]) -> None:
        """Let claimed orders be due again, each at its moment, where its claim still holds.

        Nothing else of them changes, and nothing is told: nothing was learned.
        """
        ...

    async def reschedule_far_future(self, limit: int, *, ahead: timedelta) -> int:
        """Let be due what is due further ahead than that; give how many were, `limit` at most.

        The clock was set back after their time was set. Orders that are followed, and those that
        are to be sent.
        """
        ...

    async def next_due(self) -> datetime | None:
        """Give the moment at which the next order is due to be sent or looked at; None for none."""
        ...

    async def reserve_call(self, interval: timedelta) -> timedelta:
        """Take a place in the account's pace, `interval` after the last one taken on any machine.

        Gives how long to wait for it. A pause by `pause` comes before all places.
        """
        ...

    async def pause(self, until: datetime) -> None:
        """Let no call of the account out before that moment, on any machine."""
        ...

    async def unknown(self) -> list[UnknownOrder]:
        """Give the orders whose outcome nobody knows, the oldest first, with their evidence."""
        ...

    async def summary(self) -> Summary:
        """Count the account's orders and money."""
        ...

    async def events(self, after: int, limit: int) -> list[JournalEvent]:
        """Give the events after a position, in order; all before the last are there."""
        ...

    async def position(self, consumer: str) -> int:
        """Give the position that a consumer has acknowledged; 0 for none."""
        ...

    async def acknowledge(self, consumer: str, position: int) -> None:
        """Write that a consumer is done with the events up to a position; never backwards."""
        ...

    async def purge(self, older_than: datetime) -> int:
        """Forget form, link and the panel's words of entries that are over; give how many.

        Ref, id, state and money stay; so does the digest that a later `create` is held to.
        """
        ...
