"""Faults that a test can switch on: which there are, and which request meets one.

Pure: the rate's randomness comes from a seed. How a fault looks on the wire stands in `replies.py`.
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
"""The most entries that wait in a script, and the most rates: more is a loop gone wild."""


class Fault(StrEnum):
    """What can go wrong. Each tells whether the action is carried out all the same."""

    DELAY = "delay"
    """The right answer, `delay_s` real seconds late. Carried out, before the wait."""
    HTTP_500 = "http_500"
    """A bare server error. Not carried out, unless `applied=True`."""
    HTTP_502 = "http_502"
    """A proxy without a panel behind it. Not carried out, unless `applied=True`."""
    HTTP_503 = "http_503"
    """Out of service. Not carried out, unless `applied=True`."""
    RATE_LIMIT = "rate_limit"
    """429 with `Retry-After: retry_after_s`. Not carried out, unless `applied=True`."""
    HTML_PAGE = "html_page"
    """200 with a page for people. Not carried out, unless `applied=True`."""
    PHP_NOTICE = "php_notice"
    """A PHP notice before the right answer. Carried out."""
    TRUNCATED_BODY = "cut_body"
    """The first half of the right answer, its Content-Length true to the half. Carried out."""
    EMPTY = "empty"
    """200 without a body. Carried out, unless `applied=False`."""
    DROP_BEFORE = "drop_before"
    """The connection is cut without an answer. Not carried out."""
    DROP_AFTER = "drop_after"
    """The connection is cut without an answer. Carried out."""
    REDIRECT = "redirect"
    """307 to `location`. Not carried out, unless `applied=True`; a client that follows to the
    default location sends its form again, and that one is carried out."""
    MALFORMED_ROW = "odd_row"
    """A list of services, refills or cancels, or a status, in which the first row is odd: numbers
    such as "N/A" and "1,234.5", an unknown word. Carried out; answers without rows are right."""
    BLOCKED = "blocked"
    """403 with a page and `cf-mitigated: challenge`. Not carried out, unless
    `applied=True`."""


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
"""Whether a request that meets the fault is carried out, if nothing else is said."""

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
        raise ValueError(f"applied cannot be chosen for {instance.fault}")


@frozen(kw_only=True)
class ScriptedFault:
    """A fault that waits for a request."""

    fault: Fault = field(converter=Fault)
    """Which; its value as text will do."""
    times: int = field(default=1, validator=ge(1))
    """Requests it will still meet."""
    action: str | None = None
    """The action it waits for; None for any request, "" for one without an action."""
    delay_s: float = field(default=0.05, validator=ge(0))
    """Real seconds that `DELAY` waits."""
    retry_after_s: int = field(default=1, validator=ge(0))
    """What `RATE_LIMIT` says in `Retry-After`."""
    location: str | None = None
    """Where `REDIRECT` points; None is a second path of the sandbox itself."""
    applied: bool | None = field(default=None, validator=optional(_check_applied))
    """Whether the action is carried out; None is the fault's own habit (`APPLIED`). Only for
    faults whose answer does not depend on it."""

    @property
    def is_applied(self) -> bool:
        """Whether a request that meets it is carried out."""
        return APPLIED[self.fault] if self.applied is None else self.applied


class FaultScript:
    """Which request meets which fault: the script first, in its order, then the rates."""

    def __init__(self, seed: int) -> None:
        """Start empty; one seed, script and row of requests always gives the same faults."""
        self._seed = seed
        self._script: deque[ScriptedFault] = deque()
        self._rates: list[tuple[ScriptedFault, float, Random]] = []

    @property
    def pending(self) -> tuple[ScriptedFault, ...]:
        """What is scripted and not used yet, the next first; rates are not in it."""
        return tuple(self._script)

    def add_next(self, scripted: ScriptedFault) -> None:
        """Let the next `scripted.times` requests that fit meet this fault."""
        if len(self._script) >= MAX_SCRIPTED:
            raise ValueError(f"there are {MAX_SCRIPTED} faults scripted already")
        self._script.append(scripted)

    def add_rate(self, scripted: ScriptedFault, rate: float) -> None:
        """Let each request that fits meet this fault with probability `rate`, 0 to 1."""
        if not 0 <= rate <= 1:
            raise ValueError(f"rate {rate} is not between 0 and 1")
        if len(self._rates) >= MAX_SCRIPTED:
            raise ValueError(f"there are {MAX_SCRIPTED} rates already")
        # A generator for each rate: one more rate does not change what the others draw.
        random = Random(f"{self._seed}/rate/{len(self._rates)}")  # noqa: S311  # no secret
        self._rates.append((scripted, rate, random))

    def clear(self) -> None:
        """Forget everything."""
        self._script.clear()
        self._rates.clear()

    def pop_fault(self, action: str) -> ScriptedFault | None:
        """Give the fault that a request with this action meets, used up once; None for none."""
        for place, scripted in enumerate(self._script):
            if scripted.action in (None, action):
                if scripted.times > 1:
                    self._script[place] = attrs.evolve(scripted, times=scripted.times - 1)
                else:
                    del self._script[place]
                return scripted
        for scripted, rate, random in self._rates:
            if scripted.action in (None, action) and random.random() < rate:
                return scripted
        return None
