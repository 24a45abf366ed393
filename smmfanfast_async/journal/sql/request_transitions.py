"""The transitions of a refill or a cancellation, each a part of a transaction.

A part may run twice, as those of `transitions`. Rows are locked in the same order everywhere: the
order, then its requests, then the account's row, under which events are numbered.
"""

import random
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import attrs
from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from ...errors import ErrorKind
from .. import (
    OPEN_REQUEST_STATES,
    REQUEST_TRANSITIONS,
    EntryState,
    OrderRequest,
    Outcome,
    RefillObservation,
    RequestKind,
    RequestOutcome,
    RequestState,
    may_request,
)
from . import statements
from .request_rows import (
    apply_refill_observation,
    has_changed,
    new_request_row,
    refill_row,
    request_event_row,
    request_from_row,
    request_outcome_values,
)
from .rows import entry_from_row
from .schema import requests
from .transitions import Transitions

__all__ = ["RequestTransitions", "end_cancels"]

_R = RequestState


class RequestTransitions:
    """Parts of transactions on the requests of one account."""

    def __init__(self, account: str, transitions: Transitions, *, is_sqlite: bool) -> None:
        self._account = account
        self._transitions = transitions
        self._is_sqlite = is_sqlite

    async def create(
        self,
        connection: AsyncConnection,
        ref: str,
        kind: RequestKind,
        now: datetime,
        *,
        decided_by: str,
        due_at: datetime,
    ) -> OrderRequest | None:
        """Insert a request, or return the open one; None if the order's state forbids it."""
        order = await self._transitions.find_row(connection, statements.BY_REF_LOCKED, ref)
        if order is None:
            return None
        last = await self._find(connection, statements.LAST_REQUEST, ref=ref, kind=kind.value)
        if last is not None and last["state"] in OPEN_REQUEST_STATES:
            return request_from_row(last)
        entry = entry_from_row(order)
        if not may_request(kind, entry):
            return None
        number = 1 if last is None else last["number"] + 1
        values = new_request_row(order, kind, number, decided_by=decided_by, due_at=due_at, now=now)
        is_unsent = entry.state in (EntryState.PREPARED, EntryState.HELD)
        if is_unsent:
            withdrawn = RequestOutcome(state=_R.FINISHED, reason="withdrawn before it was sent")
            values |= request_outcome_values(withdrawn, now)
        inserted = await connection.execute(requests.insert().values(values).returning(requests))
        row = inserted.mappings().one()
        if is_unsent:
            outcome = Outcome(state=EntryState.WITHDRAWN, reason="canceled", decided_by=decided_by)
            await self._transitions.apply_transition(
                connection, order, outcome, now, settled_at=order["settled_at"]
            )
            await self._append(connection, [request_event_row(row, now, text=row["reason"])])
        return attrs.evolve(request_from_row(row), is_new=True)

    async def start(
        self,
        connection: AsyncConnection,
        request: OrderRequest,
        *,
        owner: str,
        lease_until: datetime,
        max_in_flight: int,
        now: datetime,
    ) -> OrderRequest | None:
        """Move PREPARED to SENDING for an owner; return None if that is not possible."""
        order = await self._transitions.find_row(connection, statements.BY_REF_LOCKED, request.ref)
        row = await self._require(connection, request)
        if row["owner"] == owner:
            # Already started: the answer to the commit was lost. The lease may have expired since.
            return request_from_row(row) if row["state"] == _R.SENDING else None
        if row["state"] != _R.PREPARED or row["attempt"] != request.attempt:
            return None
        if order is None or not may_request(request.kind, entry_from_row(order)):
            return None  # the order has ended, and the request is about to
        params = {"p_account": self._account, "p_panel": request.panel}
        taken = set((await connection.execute(statements.TAKEN_REQUEST_SLOTS, params)).scalars())
        if len(taken) >= max_in_flight:
            return None
        # A random one: two machines that start at the same time rarely choose the same.
        slot = random.choice(sorted(set(range(max_in_flight)) - taken))  # noqa: S311  # no secret
        started = await connection.execute(statements.START_REQUEST, {
            "p_id": row["id"], "p_attempt": request.attempt, "p_slot": slot, "p_owner": owner,
            "p_until": lease_until, "p_now": now,
        })  # fmt: skip
        return request_from_row(started.mappings().one())  # it is locked since it was read

    async def record_outcome(
        self,
        connection: AsyncConnection,
        request: OrderRequest,
        outcome: RequestOutcome,
        now: datetime,
    ) -> OrderRequest:
        """Apply the outcome of an attempt; record an event if it is too late for a transition."""
        await self._hasten_order(connection, request.ref, outcome)
        row = await self._require(connection, request)
        if _may_record(row, request.attempt, outcome.state):
            return await self._apply(connection, row, outcome, now)
        if outcome.refill not in (None, row["refill"]):
            # It cannot change the request, and must not be lost.
            text = f"a late answer: accepted as refill {outcome.refill}"
            await self._append(connection, [request_event_row(row, now, text=text)])
        return request_from_row(row)

    async def apply_decision(
        self,
        connection: AsyncConnection,
        ref: str,
        kind: RequestKind,
        from_states: Collection[RequestState],
        outcome: RequestOutcome,
        now: datetime,
    ) -> OrderRequest | None:
        """Apply a person's decision; return None if no request is in one of `from_states`."""
        await self._hasten_order(connection, ref, outcome)
        last = await self._find(connection, statements.LAST_REQUEST, ref=ref, kind=kind.value)
        if last is None:
            return None
        row = await self._require(connection, request_from_row(last))
        if row["state"] not in from_states:
            return None
        return await self._apply(connection, row, outcome, now)

    async def expire(
        self, connection: AsyncConnection, now: datetime, far: datetime
    ) -> list[OrderRequest]:
        """Move expired attempts to UNKNOWN, and end cancellations of finished orders."""
        expired = await connection.execute(statements.EXPIRE_REQUESTS, {
            "p_account": self._account, "p_now": now, "p_far": far,
            "p_error_kind": ErrorKind.TIMEOUT.value,
            "p_reason": "no outcome was recorded before the lease of the attempt expired",
        })  # fmt: skip
        rows = expired.mappings().all()
        events = [request_event_row(row, now, text=row["reason"]) for row in rows]
        ended = await end_cancels(connection, self._account, now)
        events += [request_event_row(row, now) for row in ended]
        await self._append(connection, events)
        return [request_from_row(row) for row in (*rows, *ended)]

    async def record_refills(
        self,
        connection: AsyncConnection,
        observations: Sequence[RefillObservation],
        now: datetime,
    ) -> list[OrderRequest]:
        """Record the checks whose claim is still valid, and return the requests that changed."""
        checked = {each.claim.key: apply_refill_observation(each, now) for each in observations}
        changed = {
            each.claim.key for each in observations
            if has_changed(each.claim.request, checked[each.claim.key])
        }  # fmt: skip
        rows = statements.encode_rows(
            statements.CHECKED_REFILL_COLUMNS,
            (refill_row(each, checked[each.claim.key]) for each in observations),
        )
        statement = statements.record_refills(is_sqlite=self._is_sqlite)
        updated = await connection.execute(statement, {"p_rows": rows, "p_now": now})
        told = [row for row in updated.mappings() if row["id"] in changed]
        await self._append(
            connection, [request_event_row(row, now, text=row["reason"]) for row in told]
        )
        return [request_from_row(row) for row in told]

    # --- their parts -----------------------------------------------------------------------------

    async def _find(
        self, connection: AsyncConnection, statement: Any, **params: Any
    ) -> RowMapping | None:
        named = {f"p_{name}": value for name, value in params.items()}
        rows = await connection.execute(statement, {"p_account": self._account} | named)
        return rows.mappings().one_or_none()

    async def _require(self, connection: AsyncConnection, request: OrderRequest) -> RowMapping:
        """Return the row of a request, locked until the end of the transaction."""
        row = await self._find(
            connection, statements.REQUEST,
            ref=request.ref, kind=request.kind.value, number=request.number,
        )  # fmt: skip
        assert row is not None, "a request is never deleted"  # noqa: S101
        return row

    async def _hasten_order(
        self, connection: AsyncConnection, ref: str, outcome: RequestOutcome
    ) -> None:
        """Make the order due sooner, before its request is locked."""
        if outcome.order_due_at is not None:
            await connection.execute(statements.HASTEN_ORDER, {
                "p_account": self._account, "p_ref": ref, "p_until": outcome.order_due_at,
            })  # fmt: skip

    async def _apply(
        self, connection: AsyncConnection, row: RowMapping, outcome: RequestOutcome, now: datetime
    ) -> OrderRequest:
        """Update a row that this transaction has locked, and add the event."""
        statement = statements.request_transition(request_outcome_values(outcome, now))
        params = {"p_id": row["id"], "p_state": row["state"], "p_attempt": row["attempt"]}
        updated = (await connection.execute(statement, params)).mappings().one()
        if outcome.state is not _R.PREPARED:
            parts = [f"by {outcome.decided_by}"] if outcome.decided_by else []
            text = ": ".join([*parts, *filter(None, [outcome.reason])])
            await self._append(connection, [request_event_row(updated, now, text=text)])
        return request_from_row(updated)

    async def _append(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        await self._transitions.append_events(connection, rows)


async def end_cancels(
    connection: AsyncConnection, account: str, now: datetime
) -> Sequence[RowMapping]:
    """End the cancellations of an account's finished orders, and return their rows."""
    params = {"p_account": account, "p_now": now}
    ended = await connection.execute(statements.END_CANCELS, params)
    rows: Sequence[RowMapping] = ended.mappings().all()
    return rows


def _may_record(row: RowMapping, attempt: int, to: RequestState) -> bool:
    """Return whether the outcome of an attempt may still change the request.

    From UNKNOWN only an answer of the panel leads on; the attempt was given up.
    """
    state, is_last = _R(row["state"]), attempt == row["attempt"]
    return is_last and state in (_R.SENDING, _R.UNKNOWN) and to in REQUEST_TRANSITIONS[state]
