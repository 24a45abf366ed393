"""The parts of a client that its `with_options` clients share."""

from contextlib import AsyncExitStack
from functools import partial
from typing import NamedTuple

from ..profile import Profile
from ..results import OrderStatus
from .catalogue_cache import CatalogueCache
from .policy import PollPolicy
from .polling import Poller
from .runner import Runner, Settings
from .statuses import Statuses

__all__ = ["ClientCore"]


class ClientCore(NamedTuple):
    """What a client and its `with_options` clients share."""

    runner: Runner
    base_url: str
    account: str | None
    is_account_given: bool
    settings: Settings
    """Options of the calls that are made for all of them: polling and the catalogue."""
    concurrency: int
    statuses: Statuses
    poller: Poller
    catalogue_cache: CatalogueCache

    @classmethod
    def create(
        cls,
        runner: Runner,
        *,
        base_url: str,
        account: str | None,
        is_account_given: bool = False,
        settings: Settings,
        concurrency: int,
        poll: PollPolicy,
        services_ttl_s: float,
    ) -> "ClientCore":
        """Create what a runner needs around it."""
        statuses = Statuses(runner, concurrency=concurrency)
        fetch = partial(statuses.stream, settings=settings, concurrency=concurrency, ordered=False)
        is_final = partial(_is_final, runner.profile)
        return cls(
            runner,
            base_url,
            account,
            is_account_given,
            settings,
            concurrency,
            statuses,
            Poller(fetch, poll, runner.rng, runner.instrumentation, is_final),
            CatalogueCache(runner, settings, ttl_s=services_ttl_s),
        )

    async def close(self) -> None:
        """Close all parts, the poller first, even if one of them raises."""
        async with AsyncExitStack() as stack:
            for part in (self.catalogue_cache, self.runner, self.statuses, self.poller):
                stack.push_async_callback(part.close)


def _is_final(profile: Profile, status: OrderStatus) -> bool:
    return status.is_final or profile.is_final_status(status.raw_status)
