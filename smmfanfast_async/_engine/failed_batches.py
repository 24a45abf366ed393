"""What to ask after a batch of ids failed as a whole. Pure: time and randomness are arguments.

How this works. Bisecting finds the bad ids of a batch in about `2k·log2(n/k)` requests, at most
`2n`; what must be bounded is an outage, in which nothing is answered. So `FailedBatch` first asks
one id alone, and a second one if that fails; these two are paid from the retry budget, which gets
back the cost of one that is answered. Only if the panel answers one of them is the batch bisected,
without paying: then each further request finds something. `FailedIds` remembers the bad ids, so
that they break no other batch.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from .policy import MAX_DOUBLINGS, BatchSize

__all__ = ["FailedBatch", "FailedIds", "alone_interval_s"]

MAX_PROBES = 2
"""Ids that are asked alone after a batch failed: if none is answered, it is an outage. More would
add to the load of a panel that is down; so each one more takes the place of a retry."""

RECHECK_AFTER = 10
"""Requests of a bisection that may fail in a row. One bad id among a hundred fails 8 of them; after
more, an id that was answered is asked again, so that an outage that begins meanwhile is noticed."""

MAX_UNPROVED = 1
"""Ids that count as bad although nothing was answered after they had failed alone. More may be an
outage that began at the end of a bisection; so an id that was answered is asked again, too."""

PATIENCE_FACTOR = 4
"""A request of a bisection waits this many times as long as the slowest that was answered in it."""

MIN_PATIENCE_S = 1.0
"""Seconds that it waits at least, if there is time: more ids may take longer than one."""

REMEMBER_S = 600.0
"""Seconds for which an id that failed alone is asked alone; doubles each time it fails again."""

MAX_REMEMBER_S = 86_400.0
"""The longest such time in seconds, a day: the panel may have been repaired."""

MAX_FAILED_IDS = 10_000
"""Ids that are remembered, about 2 MB; the oldest are forgotten first."""

ALONE_INTERVAL_S = 60.0
"""Seconds until an id that failed alone is polled again; doubles with each further failure."""

MAX_ALONE_INTERVAL_S = 3600.0
"""The longest such interval, in seconds."""


class _Split:
    """A set of ids that failed, and how many of its parts are not answered yet."""

    __slots__ = ("parts", "size")

    def __init__(self, size: int, parts: int) -> None:
        self.size = size
        self.parts = parts


class FailedBatch:
    """Decides what to ask after a batch failed as a whole, because of bad ids or in an outage.

    First one id is asked alone; if that fails, another one, which is an id that the panel has
    answered before if there is one. If none is answered it is an outage, and nothing more is
    asked. If one is, the panel is up, and the batch is bisected down to its bad ids. Ask for `ask`
    until it is empty, and report each outcome. A single id that failed has been asked alone.
    """

    def __init__(
        self,
        ids: list[str],
        size: BatchSize,
        rng: Callable[[], float],
        known_id: str | None = None,
        *,
        is_up: bool = False,
        max_probes: int = MAX_PROBES,
    ) -> None:
        """Decide what to ask first.

        `rng` returns random numbers from 0 up to 1. `known_id` is an id that the panel has answered
        before, in this batch or not.
        """
        self.ids = ids
        self.size = size
        self.rng = rng
        self.known_id = known_id
        self.is_up = is_up
        """Whether the panel is known to answer. Until then each request is paid like a retry."""
        self.max_probes = max_probes
        """How many ids are asked alone until one is answered."""
        self.ask: list[str] = []
        """The ids to ask for next, in one request; empty at the end."""
        self._bad: list[str] = []
        self._probed: list[str] = []
        # What is left to ask, the next one last.
        self._pieces: list[tuple[list[str], _Split | None]] = []
        self._answered_id = ""
        self._is_recheck = False
        # Consecutive requests that failed.
        self._failures = 0
        # How many of `_bad` failed before something was answered.
        self._proved = 0
        self._slowest_s = 0.0
        if len(self.ids) > 1:
            self._probe(None)
        else:
            self._probed, self._bad = self.ids[:], self.ids[:]
            if not self.is_up:
                self._probe(self.known_id)

    @property
    def bad(self) -> list[str]:
        """The ids that failed alone, or that it does not know, while the panel answered others."""
        return self._bad if self.is_up else self._bad[: self._proved]

    def wait_s(self, left_s: float) -> float:
        """Return how many of the seconds left the next request may take.

        One bad id may cost a time-out at each level, so each request gets a part of the time.
        """
        levels = len(self.ask if self.is_up else self.ids).bit_length()
        share_s = left_s / (max(len(self._pieces), 1) + levels)
        if not self._slowest_s:
            return share_s
        return min(share_s, max(PATIENCE_FACTOR * self._slowest_s, MIN_PATIENCE_S))

    def on_answer(self, took_s: float, *, is_bad: bool = False) -> None:
        """Record that the panel answered; `is_bad` if it does not know the one id asked for."""
        self._slowest_s = max(self._slowest_s, took_s)
        self._answered_id, self._failures = self.ask[0], 0
        if is_bad and not self._is_recheck:
            self._add_bad()
        self._proved = len(self._bad)
        if not self.is_up:
            self._start_bisecting()
        elif not self._is_recheck:
            _, split = self._pieces.pop()
            if split is not None and not is_bad:
                split.parts -= 1
                if not split.parts:
                    self.size.on_oversize(split.size)
        self._is_recheck = False
        self._advance()

    def on_failure(self) -> None:
        """Record that the request failed."""
        if not self.is_up:
            self._add_bad()
            self._probe(self.known_id)
        elif self._is_recheck:
            self.is_up, self.ask = False, []
        else:
            self._failures += 1
            ids, _ = self._pieces.pop()
            if len(ids) == 1:
                self._add_bad()
            else:
                self._push_halves(ids, len(ids))
            self._advance()

    def _add_bad(self) -> None:
        # The known id need not be one of the batch.
        if self.ask[0] in self.ids:
            self._bad.append(self.ask[0])

    def _probe(self, known_id: str | None) -> None:
        """Ask one more id alone, or stop after the last."""
        left = [each for each in self.ids if each not in self._probed]
        if known_id is not None and known_id not in self._probed:
            left = [known_id]
        if len(self._probed) >= self.max_probes or not left:
            self.ask = []
            return
        self.ask = [left[min(int(self.rng() * len(left)), len(left) - 1)]]
        self._probed += self.ask

    def _start_bisecting(self) -> None:
        self.is_up = True
        left = [each for each in self.ids if each not in self._probed]
        if not self._bad:
            self._push_halves(left, len(self.ids))
        elif left:
            # The bad id that was found may be the only one.
            self._pieces.append((left, None))

    def _push_halves(self, ids: list[str], failed_size: int) -> None:
        middle = (len(ids) + 1) // 2
        halves = [half for half in (ids[middle:], ids[:middle]) if half]
        split = _Split(failed_size, len(halves))
        self._pieces += [(half, split) for half in halves]

    def _advance(self) -> None:
        """Decide what to ask next while the panel is up."""
        unproved = 0 if self._pieces else len(self._bad) - self._proved
        if (self._pieces and self._failures >= RECHECK_AFTER) or unproved > MAX_UNPROVED:
            self._is_recheck, self.ask = True, [self._answered_id]
            return
        if self._pieces and len(self._pieces[-1][0]) > self.size.current:
            # Learned meanwhile: the panel accepts fewer.
            too_large, _ = self._pieces.pop()
            self._pieces += [(each, None) for each in reversed(self.size.split(too_large))]
        self.ask = self._pieces[-1][0] if self._pieces else []


class _FailedId(NamedTuple):
    failures: int
    due_s: float
    """When it is polled again."""
    until_s: float
    """Until when it is asked alone."""


class FailedIds:
    """The ids that failed alone while the panel answered others.

    Each is asked alone for a while, and polled ever more seldom, so that it breaks no other batch.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, _FailedId] = {}
        """The ids, the oldest first."""

    def __len__(self) -> int:
        return len(self.by_id)

    def on_failure(self, order: str, now_s: float) -> None:
        """Record that an id failed alone; asking sooner than it is due changes nothing."""
        known = self.by_id.get(order)
        if known is not None and now_s < known.due_s:
            return
        failures = 1 if known is None else known.failures + 1
        remember_s = min(REMEMBER_S * 2.0 ** min(failures - 1, MAX_DOUBLINGS), MAX_REMEMBER_S)
        due_s = now_s + alone_interval_s(failures)
        self.by_id[order] = _FailedId(failures, due_s, now_s + remember_s)
        if len(self.by_id) > MAX_FAILED_IDS:
            del self.by_id[next(iter(self.by_id))]

    def on_success(self, ids: Iterable[str]) -> None:
        """Forget ids that were answered."""
        if self.by_id:
            for order in self.by_id.keys() & ids:
                del self.by_id[order]

    def asked_alone(self, ids: Iterable[str], now_s: float) -> list[str]:
        """Return those of some ids that are to be asked alone."""
        if not self.by_id:
            return []
        known = self.by_id
        return [each for each in ids if each in known and now_s < known[each].until_s]

    def interval_s(self, order: str) -> float:
        """Return the seconds between polls of an id; 0 if it has not failed alone."""
        known = self.by_id.get(order)
        return 0.0 if known is None else alone_interval_s(known.failures)


def alone_interval_s(failures: int) -> float:
    """Return the seconds until an id that failed alone this many times is polled again."""
    if not failures:
        return 0.0
    return min(ALONE_INTERVAL_S * 2.0 ** min(failures - 1, MAX_DOUBLINGS), MAX_ALONE_INTERVAL_S)
