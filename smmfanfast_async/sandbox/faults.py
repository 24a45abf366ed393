"""Faults that a test can enable, and which request meets which fault.

Pure: the randomness of rates comes from a seed. `replies.py` builds the HTTP reply of each fault.
"""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from random import Random

import attrs
from attrs import field, frozen
from attrs.validators import ge, optional

__all__ = ["APPLIED", "Fault", "FaultScript", "ScriptedFault"]

MAX_SCRIPTED = 10_000
"""The most scripted faults, and the most rates: a larger number is a runaway loop."""


class Fault(StrEnum):
    """The possible faults. Each documents whether the action is applied anyway."""

    DELAY = "delay"
    """The correct answer, `delay_s` real seconds late. The action is applied before the delay."""
    HTTP_500 = "http_500"
    """A server error without a body. Not applied, unless `applied=True`."""
    HTTP_502 = "http_502"
    """A proxy that cannot reach the panel. Not applied, unless `applied=True`."""
    HTTP_503 = "http_503"
    """Service unavailable. Not applied, unless `applied=True`."""
    RATE_LIMIT = "rate_limit"
    """429 with `Retry-After: retry_after_s`. Not applied, unless `applied=True`."""
    HTML_PAGE = "html_page"
    """200 with an HTML page. Not applied, unless `applied=True`."""
    PHP_NOTICE = "php_notice"
    """A PHP notice before the correct answer. Applied."""
    TRUNCATED_BODY = "truncated_body"
    """The first half of the correct answer, with the Content-Length of that half. Applied."""
    EMPTY = "empty"
    """200 without a body. Applied, unless `applied=False`."""
    DROP_BEFORE = "drop_before"
    """The connection is aborted without an answer. Not applied."""
    DROP_AFTER = "drop_after"
    """The connection is aborted without an answer. Applied."""
    REDIRECT = "redirect"
    """307 to `location`. Not applied, unless `applied=True`; a client that follows to the default
    location sends its form again, and that second request is applied."""
    MALFORMED_ROW = "malformed_row"
    """A malformed first row in a list of services, refills or cancels, or in a status: numbers such
    as "N/A" and "1,234.5", an unknown status. Applied; answers without rows stay correct."""
    BLOCKED = "blocked"
    """403 with a page and `cf-mitigated: challenge`. Not applied, unless `applied=True`."""


APPLIED: Mapping[Fault, bool] = {
    Fault.DELAY: True,
    Fault.HTTP_500: False,
    Fault.HTTP_502: False,
    Fault.HTTP_503: False,
    Fault.RATE_LIMIT: False,
    Fault.HTML_PAGE: False,
    Fault.PHP_NOTICE: True,
    Fault.TRUNCATED_BODY: True,
    Fault.EMPTY: True,
    Fault.DROP_BEFORE: False,
    Fault.DROP_AFTER: True,
    Fault.REDIRECT: False,
    Fault.MALFORMED_ROW: True,
    Fault.BLOCKED: False,
}
"""Whether a request that meets the fault is applied by default."""

_FIXED_EFFECT = frozenset(
    {
        Fault.DELAY,
        Fault.PHP_NOTICE,
        Fault.TRUNCATED_BODY,
        Fault.MALFORMED_ROW,
        Fault.DROP_BEFORE,
        Fault.DROP_AFTER,
    }
)


def _check_applied(instance: "ScriptedFault", _attribute: object, value: bool | None) -> None:  # noqa: FBT001
    if value is not None and instance.fault in _FIXED_EFFECT:
        raise ValueError(f"applied cannot be set for the fault {instance.fault}")


@frozen(kw_only=True)
class ScriptedFault:
    """A fault that is scripted for a request."""

    fault: Fault = field(converter=Fault)
    """The fault, or its value as text."""
    times: int = field(default=1, validator=ge(1))
    """How many more requests meet it."""
    action: str | None = None
    """The action it applies to; None for any request, "" for a request without an action."""
    delay_s: float = field(default=0.05, validator=ge(0))
    """Delay of `DELAY` in real seconds."""
    retry_after_s: int = field(default=1, validator=ge(0))
    """The value of `Retry-After` for `RATE_LIMIT`, in seconds."""
    location: str | None = None
    """The target of `REDIRECT`; None is a second path of the sandbox itself."""
    applied: bool | None = field(default=None, validator=optional(_check_applied))
    """Whether the action is applied; None is the default of the fault (`APPLIED`). Can be set only
    for faults whose answer does not depend on it."""

    @property
    def is_applied(self) -> bool:
        """Whether a request that meets it is applied."""
        return APPLIED[self.fault] if self.applied is None else self.applied


class FaultScript:
    """Decide which request meets which fault: scripted faults in order, then rates."""

    def __init__(self, seed: int) -> None:
        """Start empty. Equal seeds, scripts and sequences of requests yield equal faults."""
        self._seed = seed
        self._script: deque[ScriptedFault] = deque()
        self._rates: list[tuple[ScriptedFault, float, Random]] = []

    @property
    def pending(self) -> tuple[ScriptedFault, ...]:
        """The scripted faults that no request has met yet, the next first; without rates."""
        return tuple(self._script)

    @property
    def rates(self) -> tuple[tuple[ScriptedFault, float], ...]:
        """The faults that requests meet at random, with their rates, in the order of asking."""
        return tuple((scripted, rate) for scripted, rate, _ in self._rates)

    def add_next(self, scripted: ScriptedFault) -> None:
        """Make the next `scripted.times` matching requests meet this fault."""
        if len(self._script) >= MAX_SCRIPTED:
            raise ValueError(
                f"{MAX_SCRIPTED} faults are scripted already; call clear_faults() first"
            )
        self._script.append(scripted)

    def add_rate(self, scripted: ScriptedFault, rate: float) -> None:
        """Make each matching request meet this fault with probability `rate`, 0 to 1."""
        if not 0 <= rate <= 1:
            raise ValueError(f"rate must be from 0 to 1, not {rate}")
        if len(self._rates) >= MAX_SCRIPTED:
            raise ValueError(
                f"{MAX_SCRIPTED} fault rates are set already; call clear_faults() first"
            )
        # Each rate has its own generator, so another rate does not change the values of the first.
        random = Random(f"{self._seed}/rate/{len(self._rates)}")  # noqa: S311  # no secret
        self._rates.append((scripted, rate, random))

    def clear(self) -> None:
        """Remove all scripted faults and rates."""
        self._script.clear()
        self._rates.clear()

    def pop_fault(self, action: str) -> ScriptedFault | None:
        """Return the fault for a request with this action and count it as used; None for none."""
        for index, scripted in enumerate(self._script):
            if scripted.action in (None, action):
                if scripted.times > 1:
                    self._script[index] = attrs.evolve(scripted, times=scripted.times - 1)
                else:
                    del self._script[index]
                return scripted
        for scripted, rate, random in self._rates:
            if scripted.action in (None, action) and random.random() < rate:
                return scripted
        return None
