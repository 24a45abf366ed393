"""Watching the services that a desk sells, by any number of desks.

How this works. One desk at a time has the lease of a panel, fetches its catalogue, and records what
changed in one transaction, which checks that the lease was not given to another desk meanwhile. A
desk that is killed before that commit has told nothing, and the next look tells it; afterwards it
is told, once. `watching_rules` has the rules.
"""

import logging
from collections.abc import Callable, Collection, Coroutine, Mapping
from datetime import timedelta
from typing import Any

from attrs import define

from .._engine.limiter import Clock
from .._engine.policy import RetryPolicy
from .._settings import require_number
from ..catalogue import Catalogue
from ..errors import InvalidSettingsError, JournalError, PanelError, RateLimitError
from ..journal import Journal, WatchClaim
from .panels import DeskPanel, Products
from .rate_limit import wait_after
from .timing import Timing
from .watching_rules import compare, find_fault, pick

__all__ = ["Watch", "create_watch"]

MIN_WATCH_S, MAX_WATCH_S = 60.0, 86_400.0
"""Bounds of `watch_services_every_s`, in seconds: a catalogue of megabytes every minute is as often
as any panel changes its prices, and what is seen later than a day is no longer news."""

SETTING = "watch_services_every_s"
"""The name of the interval among the arguments of a desk."""

FETCH_TIMEOUT_S = 30.0
"""Seconds for fetching the catalogue: one of 10,000 services takes a few. Together with the wait
for its turn, below the lease."""

_LOG = logging.getLogger("smmfanfast_async")


class _NotComparableError(Exception):
    """There is no complete answer; the text says why."""


@define(kw_only=True)
class Watch:
    """Watches the services of one account at its panels."""

    panels: Mapping[str, DeskPanel]
    products: Products
    journal: Journal
    interval: timedelta
    on_events: Callable[[], None]
    """Called when there may be new events."""
    timing: Timing
    clock: Clock

    async def run(self, panel: str) -> None:
        """Watch the services of a panel until cancelled; errors are logged."""
        while True:
            try:
                await self.step(panel)
            except JournalError as error:
                _LOG.warning("%s", error)
            await self.clock.sleep(self.timing.watch_poll_s)

    async def step(self, panel: str) -> None:
        """Look at the services of a panel if they are due and no other desk does."""
        services = await self._services(panel)
        if not services:
            return
        lease = timedelta(seconds=self.timing.watch_lease_s)
        claim = await self.journal.claim_watch(panel, services, interval=self.interval, lease=lease)
        if claim is None:
            return
        try:
            catalogue = await self._fetch(self.panels[panel], claim)
        except _NotComparableError as error:
            _LOG.warning("the services of panel %r are not compared: %s", panel, error)
            await self.journal.record_watch_failure(claim, str(error))
            return
        listed = pick(catalogue, services)
        if await self.journal.record_services(
            claim, len(catalogue.values()),
            lambda before, now: compare(services, listed, before, now, self.interval),
        ):  # fmt: skip
            self.on_events()

    async def _services(self, panel: str) -> Collection[str]:
        if not self.products:
            return await self.journal.ordered_services()
        sold = {each[panel]: None for each in self.products.values() if panel in each}
        return list(sold)

    async def _fetch(self, panel: DeskPanel, claim: WatchClaim) -> Catalogue:
        """Return a complete answer, or raise `_NotComparableError`."""
        once = panel.client.with_options(
            timeout_s=FETCH_TIMEOUT_S, retry=RetryPolicy(max_attempts=1), keep_raw=False
        )
        try:
            async with panel.rate_limit.turn(self.timing.rate_limit_wait_s) as turn:
                if turn.wait_s:
                    text = f"the rate limit leaves no call for {turn.wait_s:.0f} s"
                    raise _NotComparableError(text)
                catalogue = await once.services(max_age_s=0)
        except JournalError:
            raise
        except PanelError as error:
            if isinstance(error, RateLimitError):
                await panel.rate_limit.pause(wait_after(error, self.timing.min_backoff_s))
            raise _NotComparableError(str(error)) from error
        fault = find_fault(catalogue, claim, self.interval)
        if fault is not None:
            raise _NotComparableError(fault)
        return catalogue


def create_watch(
    panels: Mapping[str, DeskPanel],
    products: Products,
    journal: Journal,
    every_s: float | None,
    **options: Any,
) -> Callable[[str], Coroutine[Any, Any, None]] | None:
    """Return what watches the services of a panel; None if `every_s` is.

    Raises `InvalidSettingsError` for an interval out of bounds, or a panel without `services`.
    """
    if every_s is None:
        return None
    require_number(SETTING, every_s, MAX_WATCH_S)
    if every_s < MIN_WATCH_S:
        raise InvalidSettingsError(SETTING, f"{every_s!r} must be at least {MIN_WATCH_S:g}")
    for name, panel in panels.items():
        if "services" not in panel.client.profile.actions:
            reason = f"needs the action 'services', which the panel {name!r} does not have"
            raise InvalidSettingsError(SETTING, reason)
    watch = Watch(
        panels=panels, products=products, journal=journal, interval=timedelta(seconds=every_s),
        **options,
    )  # fmt: skip
    return watch.run
