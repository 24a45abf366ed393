"""The methods of `SQLJournal` about refills and cancellations, each one transaction."""

import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection

from ..._text import sanitize
from ...errors import ErrorKind
from .. import (
    MAX_REASON_CHARACTERS,
    OrderRequest,
    RefillClaim,
    RefillObservation,
    RequestKind,
    RequestOutcome,
    RequestState,
)
from . import statements
from .panel_rows import MAX_AHEAD
from .queries import PAGE_ROWS, AccountQueries, read_pages
from .request_rows import claim_from_row, request_from_row
from .request_transitions import RequestTransitions
from .schema import requests
from .transaction import (
    deciding_transaction,
    eventful_transaction,
    timed_transaction,
    transaction,
)
from .transitions import Transitions

__all__ = ["AccountRequests"]


class AccountRequests(AccountQueries):
    """The refills and cancellations of one account."""

    def _request_transitions(self, transitions: Transitions) -> RequestTransitions:
        return RequestTransitions(self._account, transitions, is_sqlite=self._database.is_sqlite)

    @deciding_transaction
    async def create_request(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        ref: str,
        kind: RequestKind,
        *,
        decided_by: str,
        grace: timedelta,
    ) -> OrderRequest | None:
        """Lock the order's row, then insert the request, or withdraw an order that is not sent."""
        return await self._request_transitions(transitions).create(
            connection, ref, kind, now, decided_by=decided_by, due_at=now + grace
        )

    async def start_request(
        self, request: OrderRequest, *, lease: timedelta, max_in_flight: int
    ) -> OrderRequest | None:
        """Mark the row with a random owner, by which a second try recognises its own commit."""
        return await self._start_request(request, secrets.token_hex(16), lease, max_in_flight)

    @eventful_transaction
    async def _start_request(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        _now: datetime,
        request: OrderRequest,
        owner: str,
        lease: timedelta,
        max_in_flight: int,
    ) -> OrderRequest | None:
        # A lease that starts too early would end under an attempt that is in flight.
        now = await self._database.exact_now(connection)
        return await self._request_transitions(transitions).start(
            connection, request, owner=owner, lease_until=now + lease,
            max_in_flight=max_in_flight, now=now,
        )  # fmt: skip

    @transaction(reads=True)
    async def count_requests(self, connection: AsyncConnection, panel: str) -> int:
        """Count the slots in use."""
        params = self._params(panel=panel)
        return len((await connection.execute(statements.TAKEN_REQUEST_SLOTS, params)).all())

    @transaction()
    async def postpone_request(
        self,
        connection: AsyncConnection,
        request: OrderRequest,
        *,
        until: datetime,
        error_kind: ErrorKind,
        reason: str,
    ) -> None:
        """Update the row if it still is in that attempt."""
        await connection.execute(statements.POSTPONE_REQUEST, self._params(
            ref=request.ref, kind=request.kind.value, number=request.number,
            attempt=request.attempt, until=until, error_kind=error_kind.value,
            reason=sanitize(reason, MAX_REASON_CHARACTERS),
        ))  # fmt: skip

    @eventful_transaction
    async def record_request(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        request: OrderRequest,
        outcome: RequestOutcome,
    ) -> OrderRequest:
        """Lock the row, then apply the transition, or record a late event."""
        return await self._request_transitions(transitions).record_outcome(
            connection, request, outcome, now
        )

    @eventful_transaction
    async def decide_request(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        ref: str,
        kind: RequestKind,
        from_states: Collection[RequestState],
        outcome: RequestOutcome,
    ) -> OrderRequest | None:
        """Lock the last request of the kind, then apply the transition."""
        return await self._request_transitions(transitions).apply_decision(
            connection, ref, kind, from_states, outcome, now
        )

    @eventful_transaction
    async def expire_requests(
        self, transitions: Transitions, connection: AsyncConnection, _now: datetime
    ) -> list[OrderRequest]:
        """Update all of them with two statements, by a time that is read just before."""
        now = await self._database.exact_now(connection)
        return await self._request_transitions(transitions).expire(connection, now, now + MAX_AHEAD)

    # --- following -------------------------------------------------------------------------------

    async def due_requests(self, limit: int, *, ahead: timedelta) -> list[OrderRequest]:
        """Read the index on due times."""
        return await self._due_requests(await self.now(), limit, ahead)

    @transaction(reads=True)
    async def _due_requests(
        self, connection: AsyncConnection, now: datetime, limit: int, ahead: timedelta
    ) -> list[OrderRequest]:
        params = self._params(now=now, far=now + ahead, limit=limit)
        rows = await connection.execute(statements.DUE_REQUESTS, params)
        return [request_from_row(row) for row in rows.mappings()]

    @timed_transaction
    async def claim_refills(
        self,
        connection: AsyncConnection,
        now: datetime,
        panel: str,
        limit: int,
        *,
        lease: timedelta,
        ahead: timedelta,
    ) -> list[RefillClaim]:
        """Increase the claim version of each row, skipping rows that are locked."""
        rows = await connection.execute(
            statements.claim_refills(is_sqlite=self._database.is_sqlite),
            self._params(panel=panel, now=now, far=now + ahead, limit=limit, until=now + lease),
        )
        return [claim_from_row(row) for row in rows.mappings()]

    @eventful_transaction
    async def record_refills(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        now: datetime,
        observations: Sequence[RefillObservation],
    ) -> list[OrderRequest]:
        """Update all rows with one statement."""
        return await self._request_transitions(transitions).record_refills(
            connection, observations, now
        )

    # --- queries ---------------------------------------------------------------------------------

    async def requests(
        self,
        *,
        ref: str | None = None,
        kinds: Collection[RequestKind] = (),
        states: Collection[RequestState] = (),
    ) -> AsyncIterator[OrderRequest]:
        """Read pages of 500 rows by id, each in a transaction of its own."""
        c = requests.c
        conditions: list[ColumnElement[bool]] = []
        if ref is not None:
            conditions.append(c.ref == ref)
        if kinds:
            conditions.append(c.kind.in_(kinds))
        if states:
            conditions.append(c.state.in_(states))
        pages = read_pages(lambda after: self._requests_page(conditions, after), PAGE_ROWS)
        async for request in pages:
            yield request

    @transaction(reads=True)
    async def _requests_page(
        self, connection: AsyncConnection, conditions: list[ColumnElement[bool]], after: int
    ) -> list[tuple[int, OrderRequest]]:
        statement = statements.requests_page(conditions, PAGE_ROWS)
        rows = (await connection.execute(statement, self._params(after=after))).mappings()
        return [(row["id"], request_from_row(row)) for row in rows]
