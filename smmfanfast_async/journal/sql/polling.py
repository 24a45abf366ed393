"""Finding what is due: parts of transactions that send, claim, record checks and release."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import Claim, Entry, EntryState, EventKind, Observation
from . import statements
from .checks import apply_observation, release_row
from .request_rows import request_event_row
from .request_transitions import end_cancels
from .rows import entry_from_row, event_row
from .transitions import Transitions

__all__ = ["Polling"]

_S = EntryState

HELD_INTERVAL = timedelta(minutes=10)
"""After which the next order that is held for a link may be tried, if the one before it has not
ended meanwhile: the order that they wait for may not be one of this journal."""

_RESCHEDULE = tuple(
    statements.reschedule_far_future(state) for state in (_S.ACCEPTED, _S.PREPARED, _S.HELD)
)


class Polling:
    """Parts of transactions on the followed orders of one account."""

    def __init__(self, account: str, *, is_sqlite: bool) -> None:
        self._account = account
        self._record_statuses = statements.record_statuses(is_sqlite=is_sqlite)
        self._release = statements.release(is_sqlite=is_sqlite)
        self._claims = tuple(
            statements.claim(state, is_sqlite=is_sqlite) for state in (_S.ACCEPTED, _S.FINISHED)
        )

    async def due_to_send(
        self, transitions: Transitions, connection: AsyncConnection, limit: int, now: datetime
    ) -> list[Entry]:
        """Release the oldest HELD order of each link if its wait is over; return what is due."""
        params = {"p_account": self._account, "p_now": now}
        released = (await connection.execute(statements.RELEASE_HELD, params)).mappings().all()
        later = params | {"p_later": now + HELD_INTERVAL}
        await connection.execute(statements.POSTPONE_HELD, later)
        await transitions.append_events(
            connection, [event_row(row, EventKind.RELEASED, now) for row in released]
        )
        due = await connection.execute(statements.DUE_TO_SEND, params | {"p_limit": limit})
        return [entry_from_row(row) for row in due.mappings()]

    async def claim(
        self, connection: AsyncConnection, limit: int, now: datetime, until: datetime, panel: str
    ) -> list[Claim]:
        """Claim accepted orders at a panel that are due, and finished ones up to the limit."""
        claims: list[Claim] = []
        params = {
            "p_account": self._account, "p_now": now, "p_until": until, "p_panel": panel,
        }  # fmt: skip
        for statement in self._claims:
            rows = await connection.execute(statement, params | {"p_limit": limit - len(claims)})
            claims += [
                Claim(key=row["id"], version=row["claim_version"], entry=entry_from_row(row))
                for row in rows.mappings()
            ]
            if len(claims) == limit:
                break
        return claims

    async def record_statuses(
        self,
        transitions: Transitions,
        connection: AsyncConnection,
        observations: Sequence[Observation],
        now: datetime,
    ) -> list[Entry]:
        """Record the checks whose claim is still valid, and return the entries that changed."""
        checked = [apply_observation(each) for each in observations]
        rows = statements.encode_rows(
            statements.CHECKED_COLUMNS, (each.row(now) for each in checked)
        )
        updated = await connection.execute(self._record_statuses, {"p_rows": rows})
        updated_keys = set(updated.scalars())
        changes = [
            (each.entry(now), kind)
            for each in checked
            if (kind := each.event_kind) and each.observation.claim.key in updated_keys
        ]
        links = [
            (entry.panel, entry.link)
            for entry, kind in changes
            if kind is EventKind.FINISHED and entry.link
        ]
        await transitions.make_held_due(connection, links, now)
        events = [transitions.entry_event_row(entry, kind, now) for entry, kind in changes]
        if any(kind is EventKind.FINISHED for _, kind in changes):
            ended = await end_cancels(connection, self._account, now)
            events += [request_event_row(row, now) for row in ended]
        await transitions.append_events(connection, events)
        return [entry for entry, _ in changes]

    async def release(
        self, connection: AsyncConnection, claims: Sequence[tuple[Claim, datetime | None]]
    ) -> None:
        """Make claimed orders due again if their claim is still valid."""
        rows = statements.encode_rows(
            statements.RELEASED_COLUMNS, (release_row(claim, due_at) for claim, due_at in claims)
        )
        await connection.execute(self._release, {"p_rows": rows})

    async def reschedule_far_future(
        self, connection: AsyncConnection, limit: int, now: datetime, far: datetime, panel: str
    ) -> int:
        """Make due what is due later than `far`, and return how many."""
        count = 0
        for statement in _RESCHEDULE:
            params = {
                "p_account": self._account, "p_now": now, "p_far": far, "p_limit": limit - count,
                "p_panel": panel,
            }  # fmt: skip
            count += len((await connection.execute(statement, params)).all())
        return count
