"""The transitions of an order, each a part of a transaction: find the row, update it, add an event.

A part may run twice, if the answer to a commit was lost or another machine was faster; it checks
first, and does not repeat what is done. Rows are locked in the same order everywhere, so that no
two transactions wait for each other: the day's budget, then orders, then the account's row, under
which events are numbered.
"""

import random
from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs
from sqlalchemy import Executable, RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import ErrorKind, JournalError, RefConflictError, SpendingLimitError
from .. import (
    DEFAULT_PANEL,
    TRANSITIONS,
    Entry,
    EntryState,
    EventKind,
    NewEntry,
    Outcome,
    Settlement,
)
from . import statements
from .day_budget import DayBudget
from .rows import (
    entry_from_row,
    event_of_transition,
    event_row,
    form_digest,
    late_event_row,
    new_order_row,
    order_number,
    outcome_values,
    panel_values,
    refusals_of,
    stored_event,
)
from .schema import orders

__all__ = ["Transitions"]

_S = EntryState


class Transitions:
    """Parts of transactions on the orders of one account."""

    def __init__(self, account: str, *, is_sqlite: bool) -> None:
        self._account = account
        self._is_sqlite = is_sqlite
        self._day_budget = DayBudget(account, is_sqlite=is_sqlite)
        self._last_event: dict[str, Any] | None = None

    # --- transitions -----------------------------------------------------------------------------

    async def create(
        self,
        connection: AsyncConnection,
        new: NewEntry,
        budget: Decimal | None,
        now: datetime,
        *,
        is_only_account: bool,
    ) -> Entry:
        """Insert an order, or return the existing entry of its ref."""
        is_new = False
        row = await self.find_row(connection, statements.BY_REF, new.ref)
        if row is None and is_only_account:
            await self.require_only_account(connection, new)
        if row is None and budget is not None and new.price is not None:
            await self._day_budget.lock(connection, new.budget_day)
            # Read again: the transaction that held the lock may have created this very ref.
            row = await self.find_row(connection, statements.BY_REF, new.ref)
            if row is None:
                await self._day_budget.check(connection, new.price, new.budget_day, budget)
        if row is None:
            insert = statements.insert_or_ignore(orders, is_sqlite=self._is_sqlite)
            values = new_order_row(self._account, new, budget, now)
            inserted = await connection.execute(insert.values(values).returning(orders))
            row = inserted.mappings().one_or_none()
            if row is not None:
                is_new = True
                await self._day_budget.record(connection, None, row)
        if row is None:  # another transaction was faster
            row = await self.require_row(connection, new.ref)
        if row["digest"] != form_digest(new.form):
            text = f"ref {new.ref!r} already names an order with another form; use another ref"
            raise RefConflictError(text, action="add", order=row["panel_order"])
        if new.max_charge is not None and new.max_charge != row["max_charge"]:
            params = {"p_id": row["id"], "p_max_charge": new.max_charge}
            limited = (
                (await connection.execute(statements.SET_MAX_CHARGE, params))
                .mappings()
                .one_or_none()
            )
            row = row if limited is None else limited
        return attrs.evolve(entry_from_row(row), is_new=is_new)

    async def start_attempt(
        self,
        connection: AsyncConnection,
        ref: str,
        attempt: int,
        *,
        owner: str,
        lease_until: datetime,
        max_in_flight: int,
        balance: Decimal | None,
        price: Decimal | None,
        budget: Decimal | None,
        now: datetime,
        panel: str,
        service: str | None,
        exchange_rate: Decimal,
    ) -> Entry | None:
        """Move PREPARED to SENDING for an owner; return None if that is not possible."""
        day = now.date().isoformat()
        row = await self.find_row(connection, statements.BY_REF, ref)
        if row is not None and row["owner"] == owner:
            # Already started: the answer to the commit was lost. The lease may have expired since.
            return entry_from_row(row) if row["state"] == _S.SENDING else None
        if row is not None and not _is_within_checked_budget(row, price, budget, day):
            # Before the order's own row: every transaction locks the two in this order.
            await self._day_budget.lock(connection, day)
        row = await self.find_row(connection, statements.BY_REF_LOCKED, ref)
        if row is None or row["state"] != _S.PREPARED or row["attempt"] != attempt:
            return None
        if row["max_charge"] is not None and price is None:
            return None  # it was limited after the caller had read it without a limit
        if row["panel"] not in (None, panel) or panel in refusals_of(row):
            return None
        at_panel = {"p_account": self._account, "p_panel": panel}
        taken = await connection.execute(statements.TAKEN_SLOTS, at_panel)
        taken_slots = set(taken.scalars())
        if len(taken_slots) >= max_in_flight:
            return None
        # A random one: two machines that start at the same time rarely choose the same.
        slot = random.choice(sorted(set(range(max_in_flight)) - taken_slots))  # noqa: S311  # no secret
        values = await self.check_limits(connection, row, price, budget, day)
        started = await connection.execute(statements.START_ATTEMPT.values(values), {
            "p_account": self._account, "p_ref": ref, "p_attempt": attempt, "p_now": now,
            "p_slot": slot, "p_owner": owner, "p_until": lease_until, "p_balance": balance,
            "p_panel": panel, "p_service": service, "p_exchange_rate": exchange_rate,
        })  # fmt: skip
        started_row = started.mappings().one()  # it is locked since it was read
        await self._day_budget.record(connection, row, started_row)
        return entry_from_row(started_row)

    async def record_outcome(
        self,
        connection: AsyncConnection,
        ref: str,
        attempt: int,
        outcome: Outcome,
        now: datetime,
        started: Entry | None,
    ) -> Entry:
        """Apply the outcome of an attempt; record an event if it is too late for a transition."""
        row = await self.require_row(connection, ref, lock=True)
        state = _S(row["state"])
        panel = row["panel"] or DEFAULT_PANEL if started is None else started.panel
        recorded_orders = (None, row["panel_order"], row["suspected_order"])
        is_elsewhere = panel != row["panel"] and outcome.order is not None
        if _may_record(row, attempt, outcome.state):
            if outcome.is_rerouted and row["is_pinned"]:
                outcome = attrs.evolve(outcome, state=_S.REFUSED, is_rerouted=False, due_at=None)
            outcome = await self.unknown_if_assigned(connection, ref, panel, outcome)
            is_new_evidence = state is _S.UNKNOWN and outcome.order not in recorded_orders
            if outcome.state in TRANSITIONS[state] or is_new_evidence:
                # An order of an earlier attempt is at the panel of that attempt.
                values = panel_values(row, outcome)
                if is_elsewhere:
                    values |= {"panel": panel} if started is None else _attempt_values(started)
                return await self.apply_transition(connection, row, outcome, now, **values)
        if outcome.order not in recorded_orders or is_elsewhere:
            # It cannot change the entry, and must not be lost.
            late = late_event_row(row, attempt, panel, outcome, now)
            await self.append_events(connection, [late])
        return entry_from_row(row)

    async def refuse(
        self,
        connection: AsyncConnection,
        ref: str,
        attempt: int,
        now: datetime,
        kind: ErrorKind,
        reason: str,
    ) -> Entry | None:
        """Move PREPARED to REFUSED; return None if the entry does not match."""
        row = await self.find_row(connection, statements.BY_REF_LOCKED, ref)
        if row is None or row["state"] != _S.PREPARED or row["attempt"] != attempt:
            return None
        outcome = Outcome(state=_S.REFUSED, kind=kind, reason=reason)
        return await self.apply_transition(connection, row, outcome, now)

    async def apply_decision(
        self,
        connection: AsyncConnection,
        ref: str,
        from_states: Collection[EntryState],
        outcome: Outcome,
        now: datetime,
        *,
        budget_day: str | None,
        budget: Decimal | None,
        price: Decimal | None,
        max_charge: Decimal | None,
        panel: str | None,
    ) -> Entry | None:
        """Apply a person's decision; return None if the entry is in none of `from_states`."""
        if budget is not None and budget_day is not None:
            # Before the order's own row: every transaction locks the two in this order.
            await self._day_budget.lock(connection, budget_day)
        row = await self.find_row(connection, statements.BY_REF_LOCKED, ref)
        if row is None or row["state"] not in from_states:
            return None
        _check_decision(row, outcome)
        await self.require_unassigned(connection, ref, row["panel"], outcome.order)
        values: dict[str, Any] = {"settled_at": row["settled_at"]}
        if price is not None:
            values["price"] = price
        if max_charge is not None:
            values["max_charge"] = max_charge
        if budget_day is not None:
            price = row["price"] if price is None else price
            await self._day_budget.check(connection, price, budget_day, budget, row=row)
            values |= {"budget_day": budget_day, "budget": budget}
        if row["state"] == _S.UNKNOWN and outcome.state is _S.WITHDRAWN:
            values["was_unknown"] = True
        if outcome.state is _S.PREPARED:
            values["refused_by"] = None
            is_pinned = panel is not None or row["is_pinned"]
            values |= {"panel": (panel or row["panel"]) if is_pinned else None}
            values["is_pinned"] = is_pinned
        return await self.apply_transition(connection, row, outcome, now, **values)

    async def settle(
        self, connection: AsyncConnection, settlements: Sequence[Settlement], now: datetime
    ) -> list[Entry]:
        """Move UNKNOWN rows with an error answer to REFUSED; change nothing if one is another."""
        rows: list[tuple[RowMapping, Outcome]] = []
        for each in sorted(settlements, key=lambda each: each.ref):
            row = await self.require_row(connection, each.ref, lock=True)
            if not _may_settle(row, each.attempt):
                return []
            kind = ErrorKind(row["kind"]) if row["kind"] else None
            rows.append((row, Outcome(state=_S.REFUSED, kind=kind, reason=each.reason)))
        updated: list[RowMapping] = []
        for row, outcome in rows:
            # A refusal as a duplicate afterwards would mean that there is an order after all.
            values = panel_values(row, outcome)
            values |= {"was_unknown": True, "settled_at": row["settled_at"]}
            statement = statements.transition(_S.UNKNOWN, outcome_values(outcome, now) | values)
            params = {"p_id": row["id"], "p_attempt": row["attempt"]}
            updated.append((await connection.execute(statement, params)).mappings().one())
            await self._day_budget.record(connection, row, updated[-1])
        links = [(row["panel"], row["link"]) for row in updated if row["link"]]
        await self.make_held_due(connection, links, now)
        await self.append_events(
            connection, [event_row(row, EventKind.REFUSED, now) for row in updated]
        )
        return [entry_from_row(row) for row in updated]

    # --- their parts -----------------------------------------------------------------------------

    async def find_row(
        self, connection: AsyncConnection, statement: Executable, ref: str
    ) -> RowMapping | None:
        """Return the row of a ref by `BY_REF` or `BY_REF_LOCKED`, None if there is none."""
        rows = await connection.execute(statement, {"p_account": self._account, "p_ref": ref})
        return rows.mappings().one_or_none()

    async def require_row(
        self, connection: AsyncConnection, ref: str, *, lock: bool = False
    ) -> RowMapping:
        """Return the row of a ref or raise `JournalError`; `lock` locks it until the end."""
        statement = statements.BY_REF_LOCKED if lock else statements.BY_REF
        row = await self.find_row(connection, statement, ref)
        if row is None:
            raise JournalError(f"ref {ref!r} has no entry")
        return row

    async def check_limits(
        self,
        connection: AsyncConnection,
        row: RowMapping,
        price: Decimal | None,
        budget: Decimal | None,
        day: str,
    ) -> dict[str, Any]:
        """Check a PREPARED order's price of today; return the columns that change with it.

        Raises `SpendingLimitError` if it exceeds the order's own limit or the day's budget.
        """
        if price is None:
            return {}
        if row["max_charge"] is not None and price > row["max_charge"]:
            raise SpendingLimitError("max_charge", price, row["max_charge"])
        if budget is None:
            return {"price": price}
        if not _is_within_checked_budget(row, price, budget, day):
            await self._day_budget.check(connection, price, day, budget, row=row)
        return {"price": price, "budget": budget, "budget_day": day}

    async def require_unassigned(
        self, connection: AsyncConnection, ref: str, panel: str | None, order: str | None
    ) -> None:
        """Raise `RefConflictError` if an order of a panel belongs to another ref."""
        params = {"p_account": self._account, "p_panel": panel, "p_order": order_number(order)}
        owner = (await connection.execute(statements.BY_PANEL_ORDER, params)).scalar()
        if order is not None and owner not in (None, ref):
            text = f"order {order} already belongs to ref {owner!r}"
            raise RefConflictError(text, action="add", order=order)

    async def require_only_account(self, connection: AsyncConnection, new: NewEntry) -> None:
        """Raise `RefConflictError` if another account holds a ref for the same order."""
        params = {
            "p_account": self._account, "p_ref": new.ref, "p_digest": form_digest(new.form),
        }  # fmt: skip
        row = (await connection.execute(statements.BY_REF_ELSEWHERE, params)).mappings().first()
        if row is not None:
            account = row["account"]
            text = (
                f"ref {new.ref!r} already names this order in account {account!r} of the journal;"
                f" if that is this account under another key or address, pass account={account!r};"
                " if not, pass account= with a name of your own"
            )
            raise RefConflictError(text, action="add", order=row["panel_order"])

    async def unknown_if_assigned(
        self, connection: AsyncConnection, ref: str, panel: str | None, outcome: Outcome
    ) -> Outcome:
        """Return the outcome; it becomes UNKNOWN if its order belongs to another ref."""
        try:
            if outcome.state is _S.ACCEPTED:
                await self.require_unassigned(connection, ref, panel, outcome.order)
        except RefConflictError as error:
            return attrs.evolve(
                outcome, state=_S.UNKNOWN, kind=ErrorKind.CONFLICT, reason=error.text, due_at=None
            )
        return outcome

    async def apply_transition(
        self,
        connection: AsyncConnection,
        row: RowMapping,
        outcome: Outcome,
        now: datetime,
        **values: Any,
    ) -> Entry:
        """Update a row that this transaction has locked, and add the event."""
        statement = statements.transition(_S(row["state"]), outcome_values(outcome, now) | values)
        params = {"p_id": row["id"], "p_attempt": row["attempt"]}
        updated = (await connection.execute(statement, params)).mappings().one()
        await self._day_budget.record(connection, row, updated)
        if outcome.state in (_S.WITHDRAWN, _S.REFUSED) and row["link"]:
            await self.make_held_due(connection, [(row["panel"], row["link"])], now)
        kind, text = event_of_transition(outcome)
        event = event_row(updated, kind, now) | {"text": text}
        if outcome.is_rerouted:
            event["panel"] = row["panel"]  # the one that refused
        await self.append_events(connection, [event])
        return entry_from_row(updated)

    async def make_held_due(
        self,
        connection: AsyncConnection,
        links: Collection[tuple[str | None, str]],
        now: datetime,
    ) -> None:
        """Make the oldest order due that is held for each of these links at a panel, or at any."""
        if links:
            rows = statements.encode_rows(
                statements.ENDED_COLUMNS,
                ({"panel": panel, "link": link} for panel, link in dict.fromkeys(links)),
            )
            params = {"p_account": self._account, "p_rows": rows, "p_now": now}
            await connection.execute(statements.make_held_due(is_sqlite=self._is_sqlite), params)

    async def append_events(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        """Append events; the account's row is the last that a transaction locks."""
        if not rows:
            return
        params = {"p_account": self._account, "p_count": len(rows)}
        last = (await connection.execute(statements.RESERVE_POSITIONS, params)).scalar_one()
        for position, row in enumerate(rows, last - len(rows) + 1):
            row["position"] = position
        insert = statements.insert_events(is_sqlite=self._is_sqlite)
        encoded = statements.encode_rows(statements.EVENT_COLUMNS, map(stored_event, rows))
        await connection.execute(insert, {"p_account": self._account, "p_rows": encoded})
        self._last_event = rows[-1]

    async def already_committed(self, connection: AsyncConnection) -> bool:
        """Return whether the last appended event exists: only the commit's answer was lost."""
        event = self._last_event
        if event is None:
            return False
        params = {"p_account": self._account, "p_position": event["position"]}
        stored = (await connection.execute(statements.EVENT_AT, params)).one_or_none()
        # Another transaction may have used the position of an event that was rolled back.
        return stored is not None and tuple(stored) == (event["at"], event["ref"], event["kind"])

    def entry_event_row(self, entry: Entry, kind: EventKind, now: datetime) -> dict[str, Any]:
        """Return the row of an event about an order that is followed."""
        return event_row({
            "account": self._account, "ref": entry.ref, "attempt": entry.attempt,
            "panel": entry.panel, "panel_order": entry.order, "raw_status": entry.raw_status,
            "charge": entry.charge, "remains": entry.remains, "reason": None,
        }, kind, now)  # fmt: skip


def _attempt_values(started: Entry) -> dict[str, Any]:
    """Return the columns of the attempt that has made an order, if it was not the last one."""
    names = ("panel", "service", "exchange_rate", "price")
    return {name: getattr(started, name) for name in names}


def _may_record(row: RowMapping, attempt: int, to: EntryState) -> bool:
    """Return whether the outcome of an attempt may still change the entry."""
    from_state, is_last = _S(row["state"]), attempt == row["attempt"]
    if from_state is _S.SENDING:
        return is_last and to in TRANSITIONS[from_state]
    # After an attempt was given up, only an answer of the panel changes the entry.
    late = {_S.UNKNOWN: {_S.ACCEPTED, _S.REFUSED}, _S.WITHDRAWN: {_S.ACCEPTED}}
    if is_last and to in late.get(from_state, set()):
        return True
    # Nothing is in flight, and the panel has an order for this ref: sending again would be a second
    # one. The last attempt of a HELD or REFUSED entry has had its answer.
    idle = (_S.PREPARED, _S.HELD, _S.REFUSED, _S.WITHDRAWN)
    last = row["attempt"] if from_state is _S.PREPARED else row["attempt"] - 1
    return to is _S.ACCEPTED and from_state in idle and 1 <= attempt <= last


def _may_settle(row: RowMapping, attempt: int) -> bool:
    """Return whether the balance may settle an attempt, as far as its row says."""
    return (
        row["state"] == _S.UNKNOWN
        and row["attempt"] == attempt
        and row["is_error_answer"]
        and row["suspected_order"] is None
        and not row["was_unknown"]
    )


def _is_within_checked_budget(
    row: RowMapping, price: Decimal | None, budget: Decimal | None, day: str
) -> bool:
    """Return whether a price needs no check: one as strict has counted as much already."""
    if budget is None or price is None:
        return True
    checked, counted = row["budget"], row["price"]
    return (
        row["budget_day"] == day
        and checked is not None
        and checked <= budget
        and counted is not None
        and price <= counted
    )


def _check_decision(row: RowMapping, outcome: Outcome) -> None:
    """Raise `JournalError` for an illegal transition, or one that is not a person's to decide."""
    state = _S(row["state"])
    is_of_panels = state is _S.PREPARED and outcome.state is _S.REFUSED
    if outcome.state not in TRANSITIONS[state] - {_S.SENDING, _S.FINISHED} or is_of_panels:
        raise JournalError(
            f"ref {row['ref']!r} is {state}; a person cannot change that to {outcome.state}"
        )
    if outcome.state is _S.ACCEPTED and row["panel"] is None:
        raise JournalError(f"ref {row['ref']!r} was not sent to any panel")
    if outcome.state is _S.PREPARED and row["form"] is None:
        raise JournalError(f"the form of ref {row['ref']!r} was purged; it cannot be sent again")
