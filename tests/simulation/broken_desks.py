"""Desks over several panels with one fault each, to check that the simulation finds it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import attrs
from attrs import frozen
from sqlalchemy import Update, update
from sqlalchemy.ext.asyncio import AsyncConnection

from smmfanfast_async import NoResponseError, OutcomeUnknownError
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.desk.sending import Sender
from smmfanfast_async.journal import Entry, EntryState, Outcome
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.schema import orders
from smmfanfast_async.journal.sql.transaction import transaction

from .broken import CredulousClient

__all__ = ["BROKEN_DESKS"]

_S = EntryState


# --- a desk that goes on to the next panel although an order may exist ---------------------------


@frozen(kw_only=True)
class EagerSender(Sender):
    """Treats some unknown outcomes as refusals."""

    applies_to: ClassVar[Callable[[OutcomeUnknownError], bool]]

    async def _outcome_of_error(self, error: Any, attempt: Any, form: Any) -> Any:
        outcome, last_error = await super()._outcome_of_error(error, attempt, form)
        is_unknown = isinstance(error, OutcomeUnknownError) and outcome.state is _S.UNKNOWN
        if is_unknown and len(attempt.entry.routes) > 1 and type(self).applies_to(error):
            now = attempt.now(self.clock.now_s())
            outcome = Outcome(state=_S.PREPARED, kind=error.kind, due_at=now, is_rerouted=True)
        return outcome, last_error


class EagerDesk(OrderDesk):
    """Sends by `sender_class`."""

    sender_class: ClassVar[type[Sender]]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        senders = self._sends.send.__self__.senders  # type: ignore[attr-defined]
        for panel, sender in senders.items():
            values = {each.name: getattr(sender, each.name) for each in attrs.fields(Sender)}
            senders[panel] = self.sender_class(**values)


def _eager(applies_to: Callable[[OutcomeUnknownError], bool]) -> type[OrderDesk]:
    sender_class = type("Eager", (EagerSender,), {"applies_to": staticmethod(applies_to)})
    return type("Eager", (EagerDesk,), {"sender_class": sender_class})


def _is_timeout(error: OutcomeUnknownError) -> bool:
    cause = error.__cause__
    return isinstance(cause, NoResponseError) and isinstance(cause.__cause__, TimeoutError)


def _is_drop(error: OutcomeUnknownError) -> bool:
    return isinstance(error.__cause__, NoResponseError) and not _is_timeout(error)


def _is_answer(error: OutcomeUnknownError) -> bool:
    return not isinstance(error.__cause__, NoResponseError)


# --- journals that let go of what was unknown, or in flight --------------------------------------


def _of_ref(journal: SQLJournal, ref: str) -> Update:
    return update(orders).where(orders.c.account == journal._account, orders.c.ref == ref)


class ForgettingJournal(SQLJournal):
    """Can forget at which panel an order was."""

    @transaction()
    async def forget(self, connection: AsyncConnection, ref: str) -> None:
        await connection.execute(
            _of_ref(self, ref).values(
                state=_S.PREPARED.value,
                panel=None,
                is_pinned=False,
                was_unknown=False,
                due_at=await self.now(),
            )
        )


class UnpinningJournal(ForgettingJournal):
    """Lets an order that was unknown go to any panel when a person has it sent again."""

    async def apply_decision(self, ref: str, *arguments: Any, **options: Any) -> Entry | None:
        entry = await super().apply_decision(ref, *arguments, **options)
        if entry is not None and entry.state is _S.PREPARED:
            await self.forget(ref)
        return await self.find(ref)


class LeasingJournal(ForgettingJournal):
    """Sends an order again once the lease of its attempt is over."""

    async def expire_leases(self) -> list[Entry]:
        expired = await super().expire_leases()
        for entry in expired:
            await self.forget(entry.ref)
        return expired


class SplitJournal(SQLJournal):
    """Chooses the panel in another transaction than the one that gives the right to send."""

    async def start_attempt(
        self, ref: str, attempt: int, *, lease: timedelta, panel: str = "", **options: Any
    ) -> Entry | None:
        entry = await self.find(ref)
        if entry is None or entry.state is not _S.PREPARED or entry.attempt != attempt:
            return None
        await self._start(ref, attempt, panel, lease)
        return await self.find(ref)

    @transaction()
    async def _start(
        self, connection: AsyncConnection, ref: str, attempt: int, panel: str, lease: timedelta
    ) -> None:
        now = await self.now()
        await connection.execute(
            _of_ref(self, ref).values(
                state=_S.SENDING.value,
                attempt=attempt + 1,
                panel=panel,
                sent_at=now,
                lease_until=now + lease,
                owner=panel,
            )
        )


TWICE = "ordered 2 times"

BROKEN_DESKS: dict[str, tuple[dict[str, Any], str]] = {
    "fails over after a time-out": ({"desk_class": _eager(_is_timeout)}, TWICE),
    "fails over after a drop": ({"desk_class": _eager(_is_drop)}, TWICE),
    "fails over after an answer without meaning": ({"desk_class": _eager(_is_answer)}, TWICE),
    "fails over after a text that is not a refusal": ({"client_class": CredulousClient}, TWICE),
    "sends again when a lease is over": ({"journal_class": LeasingJournal}, TWICE),
    "chooses the panel outside of the commit": ({"journal_class": SplitJournal}, TWICE),
    "does not pin what was unknown": (
        {"journal_class": UnpinningJournal},
        "though it was unknown at",
    ),
}
"""The classes of each desk, and a part of the sentence that reports its fault."""
