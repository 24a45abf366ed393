"""The part of the `Journal` protocol about watched services."""

from collections.abc import Collection
from datetime import timedelta
from typing import Protocol

from .services import Comparison, ServiceEvent, WatchClaim

__all__ = ["ServiceJournal"]


class ServiceJournal(Protocol):
    """What a desk needs of a journal to watch services; errors as in `Journal`."""

    async def ordered_services(self) -> list[str]:
        """Return the ids of the services that orders name which are not over.

        Orders that name a product are left out: the others are at the only panel of a desk. Of very
        many orders, some are looked at.
        """
        ...

    async def claim_watch(
        self, panel: str, services: Collection[str], *, interval: timedelta, lease: timedelta
    ) -> WatchClaim | None:
        """Claim the watching of a panel until the lease is over, if one of the services is due.

        A service is due if it was never compared with an answer, or last an `interval` ago. Return
        None, changing nothing, if none is, or another claim's lease is not over. What is further
        ahead than either can be was written before the clock was set back, and does not count.
        """
        ...

    async def record_services(self, claim: WatchClaim, count: int, compare: Comparison) -> bool:
        """Compare a complete answer of `count` services with what is kept, and record the result.

        Rows and events are written in one transaction, which ends the lease. Return False, changing
        nothing, if the claim is not the latest of its panel.
        """
        ...

    async def record_watch_failure(self, claim: WatchClaim, reason: str) -> None:
        """Record why an answer was not compared, if the claim is the latest of its panel.

        At most 500 characters are kept. The lease goes on, so that no desk asks again at once.
        """
        ...

    async def service_events(self, after: int, limit: int) -> list[ServiceEvent]:
        """Return up to `limit` events about services after a position, as `events` does."""
        ...
