"""Following accepted orders: pieces of transactions that claim, observe and give back."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from .. import Claim, Entry, EntryState, Observation
from . import statements
from .rows import back_row, entry_of, observed, seen_row, told_of_observation
from .transitions import Transitions

__all__ = ["Polling"]

_S = EntryState

_HASTENED = tuple(
    statements.reschedule_far_future(state) for state in (_S.ACCEPTED, _S.PREPARED, _S.HELD)
)


class Polling:
    """Pieces of transactions about the orders of one account that are followed."""

    def __init__(self, account: str, *, is_sqlite: bool) -> None:
        self._account = account
        self._observe = statements.record_statuses(is_sqlite=is_sqlite)
        self._give_back = statements.release(is_sqlite=is_sqlite)

    async def claim(
        self, connection: AsyncConnection, limit: int, now: datetime, until: datetime
    ) -> list[Claim]:
        """Take accepted orders that are due."""
        about = {"of_account": self._account, "now": now, "most": limit, "until": until}
        rows = (await connection.execute(statements.CLAIM, about)).mappings().all()
        return [
            Claim(key=row["id"], number=row["claim_version"], entry=entry_of(row)) for row in rows
        ]

    async def record_statuses(
        self,
        moves: Transitions,
        connection: AsyncConnection,
        observations: Sequence[Observation],
        now: datetime,
    ) -> list[Entry]:
        """Write what looks gave, where the claim still holds; give the entries that changed."""
        seen = [(each, observed(each, now)) for each in observations]
        rows = json.dumps([seen_row(each, entry) for each, entry in seen])
        written = set((await connection.execute(self._observe, {"rows": rows})).scalars())
        told = [
            (entry, kind)
            for each, entry in seen
            if each.claim.key in written and (kind := told_of_observation(each, entry))
        ]
        ended = [entry.link for entry, _ in told if entry.state is _S.FINISHED and entry.link]
        await moves.release_held(connection, ended, now)
        rows_told = [moves.event_of_entry(entry, kind, now) for entry, kind in told]
        await moves.append_events(connection, rows_told)
        return [entry for entry, _ in told]

    async def release(
        self, connection: AsyncConnection, claims: Sequence[tuple[Claim, datetime]]
    ) -> None:
        """Let claimed orders be due again, where the claim still holds."""
        rows = json.dumps([back_row(claim, due_at) for claim, due_at in claims])
        await connection.execute(self._give_back, {"rows": rows})

    async def reschedule_far_future(
        self, connection: AsyncConnection, limit: int, now: datetime, far: datetime
    ) -> int:
        """Let be due what is due later than `far`; give how many were."""
        done = 0
        for statement in _HASTENED:
            about = {"of_account": self._account, "now": now, "far": far, "most": limit - done}
            done += len((await connection.execute(statement, about)).all())
        return done
