"""Policies for retries, rates, batch sizes, polling and balance thresholds.

Pure: time and randomness are arguments.
"""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from http import HTTPStatus

from attrs import Attribute, field, frozen

from .._settings import require_counts, require_seconds
from ..errors import (
    AuthenticationError,
    BlockedError,
    InvalidOrderError,
    InvalidResponseError,
    InvalidSettingsError,
    NoResponseError,
    NotSentError,
    PanelError,
    RateLimitError,
    RefusedError,
    ServerError,
)

__all__ = [
    "BalanceThresholds",
    "BatchSize",
    "PollPolicy",
    "RateLimiter",
    "RetryBudget",
    "RetryPolicy",
    "may_depend_on_ids",
]

BUDGET_TOKENS = 500
"""Tokens in a full retry budget: a hundred retries in a row, then as many as successes pay for."""

RETRY_COST = 5
"""Tokens that a retry costs."""

TIMEOUT_COST = 10
"""Tokens that a retry costs after a missing answer: it held a connection for the whole wait."""

DEFAULT_PAUSE_S = 1.0
"""Seconds that all calls pause after a 429 without Retry-After (assumed)."""

MAX_PAUSE_S = 900.0
"""The longest pause of all calls, in seconds. A panel that asks for more is called again after
that: its number may be a mistake."""

RATE_WINDOW_S = 60.0
"""Seconds over which requests are counted: panels document calls per minute."""

POLL_JITTER = 0.2
"""The largest deviation of an interval from its middle, as a share of it."""

RECOVERY_FACTOR = Decimal("1.1")
"""The balance has recovered at this multiple of a threshold: the price of one order must not report
the same threshold again and again."""

SINGLES_BEFORE_BATCH = 100
"""Single ids that a panel answers before two in one request are tried again, after they failed."""

MAX_DOUBLINGS = 64
"""The most doublings of a delay: any cap is reached before, and a float overflows at 1024."""


MAX_ATTEMPTS = 10_000
"""The most `max_attempts`: days of retries at the default delays."""


def _check_attempts(_policy: object, attribute: "Attribute[int]", value: object) -> None:
    require_counts(MAX_ATTEMPTS, **{f"RetryPolicy.{attribute.name}": value})


def _check_number(policy: object, attribute: "Attribute[float]", value: object) -> None:
    name = f"{type(policy).__name__}.{attribute.name}"
    require_seconds(may_be_zero=True, **{name: value})


# Callers with equal policies share batches, so the policy is hashed once for each call.
@frozen(kw_only=True, cache_hash=True)
class RetryPolicy:
    """How often, and after which delay, a failed call is retried.

    Only calls that change nothing are retried, and an `add` of which it is proved that nothing was
    sent. The delay before retry `i`, counted from 0, is
    `random × min(2^i × base_delay_s, max_delay_s)` (full jitter). All times are seconds.
    """

    max_attempts: int = field(default=3, validator=_check_attempts)
    """Attempts in total; 1 never retries."""
    base_delay_s: float = field(default=0.5, validator=_check_number)
    """The longest delay before the first retry."""
    max_delay_s: float = field(default=20.0, validator=_check_number)
    """The longest delay before any retry, unless the panel asked for a longer one."""
    max_retry_after_s: float = field(default=30.0, validator=_check_number)
    """The longest wait that a panel may ask for (Retry-After); above it the error is raised at
    once."""

    def delay_s(self, error: PanelError, retries: int, random: float) -> float | None:
        """Return the seconds to wait before the next attempt, or None if there is none.

        `retries` is the number of retries so far, `random` a number from 0 up to 1.
        """
        if retries + 1 >= self.max_attempts or not _is_retryable(error):
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= self.max_retry_after_s else None
        return random * min(
            self.base_delay_s * 2.0 ** min(retries, MAX_DOUBLINGS), self.max_delay_s
        )


def _is_retryable(error: PanelError) -> bool:
    """Return whether the same call may succeed: not after a refusal, and not for invalid input."""
    if isinstance(error, RefusedError) or not error.safe_to_retry:
        return False
    if isinstance(error, NotSentError | RateLimitError):
        return True
    if isinstance(error, InvalidResponseError):
        # A redirect would be answered again in the same way.
        return error.http_status is None or error.http_status == HTTPStatus.OK
    return error.maybe_sent


class RetryBudget:
    """A budget for retries, shared by all callers of a client.

    While a panel is down, retries by every caller would triple the load; the budget runs out, and
    then each call is made once.
    """

    def __init__(self, tokens: int = BUDGET_TOKENS) -> None:
        self.tokens = tokens
        """What is left to spend."""

    def spend(self, error: PanelError) -> bool:
        """Spend budget for one retry after this error. Return False if the budget is exhausted."""
        cost = _cost(error)
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def refund(self, error: PanelError) -> None:
        """Return what a retry after this error cost: the panel is not down."""
        self.tokens = min(self.tokens + _cost(error), BUDGET_TOKENS)

    def deposit(self) -> None:
        """Return one token to the budget, for a call that succeeded at the first attempt."""
        self.tokens = min(self.tokens + 1, BUDGET_TOKENS)


def _cost(error: PanelError) -> int:
    return TIMEOUT_COST if isinstance(error, NoResponseError) else RETRY_COST


class BatchSize:
    """How many ids a batch may hold, learned from what the panel accepts.

    A batch that fails as a whole is bisected (`failed_batches`). If both halves succeed, it was too
    large, and the next batches are no larger than a half; each full batch after that adds one id
    again, so that a panel that was slow for a while gets large batches in the end.
    """

    def __init__(self, max_size: int) -> None:
        self.max_size = max_size
        """The most ids in a batch, from the profile."""
        self.current = max_size
        """The most ids in a batch as learned so far."""
        # Single ids answered since batches of two failed.
        self._singles = 0

    def split(self, ids: list[str]) -> list[list[str]]:
        """Split ids into full batches and one with the rest."""
        if 0 < len(ids) <= self.current:
            return [ids]
        return [ids[start : start + self.current] for start in range(0, len(ids), self.current)]

    def on_oversize(self, size: int) -> None:
        """Record that a batch failed whose halves succeeded."""
        self.current = max(min(self.current, (size + 1) // 2), 1)

    def on_success(self, size: int) -> None:
        """Record a batch that was answered."""
        if size < self.current:
            return
        if self.current == 1:
            # Where every batch fails, trying two ids costs several requests.
            self._singles += 1
            if self._singles < SINGLES_BEFORE_BATCH:
                return
            self._singles = 0
        self.current = min(self.current + 1, self.max_size)


def may_depend_on_ids(error: PanelError) -> bool:
    """Return whether other ids may succeed: the batch is too large, too slow, or has a bad id.

    False if the panel was not reached, or rejects this caller whatever it asks for.
    """
    if isinstance(error, AuthenticationError):
        return error.is_about_order
    if isinstance(error, NotSentError | RateLimitError | BlockedError):
        return False
    if isinstance(error, InvalidOrderError):
        return True  # the query of a GET request would be too long
    return isinstance(error, NoResponseError | ServerError | RefusedError | InvalidResponseError)


@frozen(kw_only=True)
class PollPolicy:
    """How often an order that is waited for or watched is polled.

    The interval is `min_interval_s` plus a share of the time since the order last changed: an order
    that did not change for a day will hardly change in the next minute. It is at most
    `max_interval_s`, and then multiplied by a random number from 0.8 to 1.2, so that orders placed
    together are not polled together for ever. All times are seconds.
    """

    min_interval_s: float = field(default=5.0, validator=_check_number)
    """The shortest interval: panels update their numbers every few minutes (assumed)."""
    max_interval_s: float = field(default=600.0, validator=_check_number)
    """The longest interval."""
    active_factor: float = field(default=0.05, validator=_check_number)
    """Share of the time without change, for an order that is being processed."""
    idle_factor: float = field(default=0.1, validator=_check_number)
    """The same for an order that is not being processed: pending, awaiting, paused, or a status
    that is not known."""

    def interval_s(self, still_s: float, random: float, *, is_moving: bool) -> float:
        """Return the seconds until the next poll.

        `still_s` is the time without change, `random` a number from 0 up to 1.
        """
        share = self.active_factor if is_moving else self.idle_factor
        spread = 1 + POLL_JITTER * (2 * random - 1)
        return min(self.min_interval_s + share * max(still_s, 0.0), self.max_interval_s) * spread


class RateLimiter:
    """How many requests of an account may be in flight, and when the next may start.

    When the panel reports too many requests, all calls of the account pause and the concurrency is
    halved; each success after that raises it by one, up to `max_concurrency`.
    """

    def __init__(self, max_concurrency: int, per_minute: int | None = None) -> None:
        self.max_concurrency = max_concurrency
        """The most requests in flight at once."""
        self.per_minute = per_minute
        """The most requests per minute; None for no limit."""
        self.concurrency = max_concurrency
        """Requests that may be in flight at present."""
        self.paused_until_s = 0.0
        """No request starts before this moment of the clock."""
        # Only the latest: the oldest of them must be outside the window before another may start.
        self._started_at_s: deque[float] = deque(maxlen=per_minute)

    def pause_s(self, now_s: float) -> float:
        """Return how many seconds the pause still lasts; 0 if there is none."""
        return max(self.paused_until_s - now_s, 0.0)

    def wait_s(self, now_s: float) -> float:
        """Return how many seconds the next request has to wait; 0 if it may start."""
        wait_s = self.pause_s(now_s)
        if self.per_minute is None or len(self._started_at_s) < self.per_minute:
            return wait_s
        return max(wait_s, self._started_at_s[0] + RATE_WINDOW_S - now_s)

    def on_request(self, now_s: float) -> None:
        """Record the start of a request."""
        if self.per_minute is not None:
            self._started_at_s.append(now_s)

    def on_not_sent(self, started_s: float) -> None:
        """Forget a request that started at `started_s`: nothing of it was sent."""
        # It is missing if a minute has passed; then it counts no longer.
        if started_s in self._started_at_s:
            self._started_at_s.remove(started_s)

    def on_rate_limited(self, now_s: float, asked_s: float | None) -> None:
        """Pause after a 429 or a "wait N seconds"; `asked_s` is the wait it named, or None."""
        wait_s = DEFAULT_PAUSE_S if asked_s is None else min(asked_s, MAX_PAUSE_S)
        self.paused_until_s = max(self.paused_until_s, now_s + wait_s)
        self.concurrency = max(self.concurrency // 2, 1)

    def on_success(self) -> None:
        """Raise the concurrency by one, up to `max_concurrency`."""
        self.concurrency = min(self.concurrency + 1, self.max_concurrency)


class BalanceThresholds:
    """Which thresholds the balance is below, so that each crossing is reported once.

    A balance below a threshold has crossed it; it has recovered at `RECOVERY_FACTOR` times the
    threshold. In between nothing is reported.
    """

    def __init__(self, thresholds: tuple[Decimal, ...]) -> None:
        self.thresholds = thresholds
        """The thresholds, the highest first."""
        self.crossed_count = 0
        """How many of them the balance is below, counted from the highest."""

    @classmethod
    def create(cls, thresholds: Iterable[Decimal]) -> "BalanceThresholds":
        """Create from amounts in any order. Raises `InvalidSettingsError` for one not above 0."""
        amounts: set[Decimal] = set()
        for each in thresholds:
            # A float is not exactly the amount that was meant, and no balance is below a NaN.
            if type(each) not in (Decimal, int) or not Decimal(each).is_finite() or each <= 0:
                raise InvalidSettingsError(
                    "balance_thresholds", f"{each!r} must be a Decimal above 0"
                )
            amounts.add(Decimal(each))
        return cls(tuple(sorted(amounts, reverse=True)))

    def on_decrease(self, balance: Decimal) -> Decimal | None:
        """Record a balance. Return the lowest threshold that it fell below, or None."""
        below = sum(balance < each for each in self.thresholds)
        if below <= self.crossed_count:
            return None
        self.crossed_count = below
        return self.thresholds[below - 1]

    def on_recovery(self, balance: Decimal) -> Decimal | None:
        """Record a balance. Return the highest threshold that it recovered from, or None."""
        below = sum(balance < each * RECOVERY_FACTOR for each in self.thresholds)
        if below >= self.crossed_count:
            return None
        self.crossed_count = below
        return self.thresholds[below]
