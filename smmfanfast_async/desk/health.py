"""The state of a desk in numbers: on request, and for a hook while orders are followed."""

import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal
from inspect import iscoroutinefunction
from typing import TypeAlias

import attrs
from attrs import frozen

from .._engine.limiter import Clock
from ..errors import InvalidSettingsError, JournalError
from ..journal import CircuitState, DeskHealth, Journal, PanelHealth
from .circuit_breaker import CircuitBreaker

__all__ = ["HealthCalls", "HealthHook", "HealthReports", "check_hook"]

HealthHook: TypeAlias = Callable[[DeskHealth], None]
"""What `follow` passes the health of a desk to."""

_LOG = logging.getLogger("smmfanfast_async")


class HealthCalls:
    """The part of `OrderDesk` about its health, which sets the attributes."""

    _journal: Journal
    _breaker: CircuitBreaker
    _budget: Decimal | None
    _check_open: Callable[[], None]

    async def health(self) -> DeskHealth:
        """Return the state of the account in numbers, from the journal alone.

        It takes some milliseconds, however many orders are final: ask as often as you like.

        Raises:
            ClosedError: The desk is not open.
            JournalError: The journal is not available. Call again.
        """
        self._check_open()
        return await self._read_health()

    async def _read_health(self) -> DeskHealth:
        health = await self._journal.health(budget=self._budget)
        own = self._breaker.panel
        panels = {own: PanelHealth(panel=own, circuit=CircuitState.CLOSED)}
        others = health.panels.keys() - panels.keys()
        # A panel of former times is left out if nothing is open there.
        missing = others & set(await self._journal.open_panels()) if others else set[str]()
        for name, panel in health.panels.items():
            if name == own:
                panels[name] = panel
            elif name in missing:
                panels[name] = attrs.evolve(panel, state="missing")
        return attrs.evolve(health, panels=panels)


@frozen(kw_only=True)
class HealthReports:
    """Looks after the panel of a desk that follows orders, and reports the health to a hook."""

    breaker: CircuitBreaker
    read: Callable[[], Awaitable[DeskHealth]]
    hook: HealthHook | None
    interval_s: float
    """Seconds between two reports."""
    clock: Clock

    async def run(self) -> None:
        """Report at once, so that gauges are right after a restart, and then at each interval.

        Raises `AuthenticationError` if orders wait for a key that the panel rejects, and
        `ClosedError` if the client is closed. What the hook raises is logged.
        """
        while True:
            try:
                await self.breaker.tend()
                if self.hook is not None:
                    _call(self.hook, await self.read())
            except JournalError as error:
                _LOG.warning("%s", error)
            await self.clock.sleep(self.interval_s)


def _call(hook: HealthHook, health: DeskHealth) -> None:
    try:
        hook(health)
    except Exception:  # noqa: BLE001  # it is the caller's, and no order depends on it
        _LOG.exception("on_health failed; orders are followed all the same")


def check_hook(hook: object) -> None:
    """Raise `InvalidSettingsError` unless a hook is None or a function that is not awaited."""
    if hook is None:
        return
    if not callable(hook):
        raise InvalidSettingsError("on_health", "must be callable")
    if iscoroutinefunction(hook) or iscoroutinefunction(type(hook).__call__):
        raise InvalidSettingsError("on_health", "must be a plain function: it is not awaited")
