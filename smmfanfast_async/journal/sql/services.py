"""The watched services of an account's panels, and the events about them."""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from ..._text import sanitize
from ...catalogue import Catalogue
from ...errors import InvalidSettingsError, JournalError
from ...results import Service
from .. import (
    MAX_REASON_CHARACTERS,
    Comparison,
    NewServiceEvent,
    ServiceEvent,
    ServiceEventKind,
    WatchClaim,
    WatchedService,
)
from . import statements
from .panel_rows import PanelRows
from .schema import from_microseconds
from .transaction import transaction

__all__ = ["WatchedServices"]

MAX_ORDERS_READ = 10_000
"""Of how many open orders in each state the services are read: some ten milliseconds. A shop with
more of them names the same services again and again."""

_UNDATED = from_microseconds(0)
"""When a service was listed is not part of what is kept of it; a catalogue has a time."""


class WatchedServices(PanelRows):
    """What `SQLJournal` keeps of services."""

    @transaction(reads=True)
    async def ordered_services(self, connection: AsyncConnection) -> list[str]:
        """Read the services of open orders, and the forms of those that were never sent."""
        params = self._params(limit=MAX_ORDERS_READ)
        sent = (await connection.execute(statements.SENT_SERVICES, params)).scalars()
        forms = (await connection.execute(statements.PREPARED_FORMS, params)).scalars()
        named = {each for each in sent if each is not None}
        named |= {service for each in forms if (service := json.loads(each).get("service"))}
        return sorted(named)

    @transaction()
    async def claim_watch(
        self,
        connection: AsyncConnection,
        panel: str,
        services: Collection[str],
        *,
        interval: timedelta,
        lease: timedelta,
    ) -> WatchClaim | None:
        """Lock the row of the panel, inserting it if there is none, and update it.

        If the answer to its commit is lost, a second try finds the lease of the first one, and the
        claim is lost with it: another one is possible when that lease is over.
        """
        params = self._params(panel=panel)
        await self._insert_panel(connection, panel)
        locked = await connection.execute(statements.CIRCUIT.with_for_update(), params)
        row = locked.mappings().one()
        # Read with the row locked, since it is compared with times that other machines have set.
        now = await self._database.exact_now(connection)
        until = row["watch_until"]
        if until is not None and now < until <= now + lease:
            return None
        known = await self._read_services(connection, panel)
        if not any(_is_due(known.get(each), now, interval) for each in services):
            return None
        version = row["watch_version"] + 1
        values = {"watch_until": now + lease, "watch_version": version}
        await connection.execute(statements.UPDATE_PANEL.values(values), params)
        return WatchClaim(
            panel=panel, version=version, at=now, count=row["services_count"],
            watched_at=row["services_at"],
        )  # fmt: skip

    @transaction()
    async def record_services(
        self, connection: AsyncConnection, claim: WatchClaim, count: int, compare: Comparison
    ) -> bool:
        """Lock the row of the panel by an update under the claim, then write rows and events.

        If the answer to its commit is lost, a second try compares with what is recorded already.
        """
        panel = claim.panel
        now = await self._database.exact_now(connection)
        params = self._params(panel=panel, version=claim.version)
        seen = statements.UPDATE_WATCH.values(
            services_at=now, services_count=count, services_reason=None, watch_until=None
        )
        if not (await connection.execute(seen, params)).rowcount:
            return False
        before = await self._read_services(connection, panel)
        found = compare(before, now)
        new = [
            {"account": self._account, "panel": panel} | _service_values(each)
            for each in found.rows if each.service not in before
        ]  # fmt: skip
        known = [
            self._params(panel=panel, **_service_values(each))
            for each in found.rows if each.service in before
        ]  # fmt: skip
        if new:
            await connection.execute(statements.INSERT_SERVICE, new)
        if known:
            await connection.execute(statements.UPDATE_SERVICE, known)
        if found.events:
            await self._append_service_events(connection, panel, now, found.events)
        return True

    async def _append_service_events(
        self,
        connection: AsyncConnection,
        panel: str,
        now: datetime,
        events: Collection[NewServiceEvent],
    ) -> None:
        params = self._params(count=len(events))
        reserved = await connection.execute(statements.RESERVE_SERVICE_POSITIONS, params)
        first = reserved.scalar_one() - len(events) + 1
        await connection.execute(statements.INSERT_SERVICE_EVENT, [
            {
                "account": self._account, "position": position, "at": now, "panel": panel,
                "service": each.service, "kind": each.kind.value,
                "before": _to_json(each.before), "after": _to_json(each.after),
            }
            for position, each in enumerate(events, first)
        ])  # fmt: skip

    @transaction()
    async def record_watch_failure(
        self, connection: AsyncConnection, claim: WatchClaim, reason: str
    ) -> None:
        """Update the row of the panel, if the claim is its latest."""
        failed = statements.UPDATE_WATCH.values(
            services_reason=sanitize(reason, MAX_REASON_CHARACTERS)
        )
        params = self._params(panel=claim.panel, version=claim.version)
        await connection.execute(failed, params)

    @transaction(reads=True)
    async def service_events(
        self, connection: AsyncConnection, after: int, limit: int
    ) -> list[ServiceEvent]:
        """Read a page of events."""
        params = self._params(after=after, limit=limit)
        rows = (await connection.execute(statements.SERVICE_EVENTS_AFTER, params)).mappings()
        return [
            ServiceEvent(
                position=row["position"], at=row["at"], panel=row["panel"], service=row["service"],
                kind=ServiceEventKind(row["kind"]), before=_from_json(row["before"]),
                after=_from_json(row["after"]),
            )
            for row in rows
        ]  # fmt: skip

    async def _read_services(
        self, connection: AsyncConnection, panel: str
    ) -> dict[str, WatchedService]:
        found = await connection.execute(statements.SERVICES, self._params(panel=panel))
        return {
            row["service"]: WatchedService(
                service=row["service"], row=_from_json(row["row"]), checked_at=row["checked_at"],
                missing_since=row["missing_since"], is_removed=row["is_removed"],
            )
            for row in found.mappings()
        }  # fmt: skip


def _is_due(known: WatchedService | None, now: datetime, interval: timedelta) -> bool:
    # One that was checked later than now was so before the clock was set back.
    return known is None or not now - interval < known.checked_at <= now


def _service_values(service: WatchedService) -> dict[str, Any]:
    return {
        "service": service.service, "row": _to_json(service.row),
        "checked_at": service.checked_at, "missing_since": service.missing_since,
        "is_removed": service.is_removed,
    }  # fmt: skip


def _to_json(service: Service | None) -> str | None:
    """Return a service as a catalogue of its own, whose JSON has a format that is read strictly."""
    return None if service is None else Catalogue.from_services([service], _UNDATED).to_json()


def _from_json(text: str | None) -> Service | None:
    if text is None:
        return None
    try:
        (service,) = Catalogue.from_json(text).values()
    except (InvalidSettingsError, ValueError) as error:
        raise JournalError(f"a watched service cannot be read: {error}") from error
    return service
