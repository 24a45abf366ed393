"""When may we speak, and when again. Pure: time and randomness are arguments."""

from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from http import HTTPStatus

from attrs import define, field, frozen

from ..errors import (
    AuthenticationError,
    BlockedError,
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
]

BUDGET_TOKENS = 500
"""Tokens of a client's quota: a hundred retries in a row, then only as many as successes earn."""

RETRY_COST = 5
"""Tokens that a retry costs."""

TIMEOUT_COST = 10
"""Tokens that a retry costs when no answer came: it held a connection for the whole wait."""

DEFAULT_PAUSE_S = 1.0
"""Seconds that all calls pause after a 429 that names no wait (assumed)."""

MAX_PAUSE_S = 900.0
"""The longest pause of all calls: a panel that asks for more is asked again after that, rather than
never, should the number have been a mistake."""

RATE_WINDOW_S = 60.0
"""Seconds that a pace is counted over: panels document calls a minute."""

POLL_JITTER = 0.2
"""How far an interval may be from its middle, as a share of it."""

RECOVERY_FACTOR = Decimal("1.1")
"""How many times a level the balance has to be to count as above it again: the price of one order
must not tell of the same level again and again."""

MAX_DOUBLINGS = 64
"""Doublings of a pause: any cap is reached before, and a float overflows at 1024."""


# Callers of one policy share batches, so it is a key that is looked up once a call.
@frozen(kw_only=True, cache_hash=True)
class RetryPolicy:
    """How often, and after which pause, a call that may be repeated is.

    Only calls that change nothing are repeated, and an `add` of which it is proved that nothing
    was sent. The pause before repeat `i`, counted from 0, is `random × min(2^i × base_delay_s, max_delay_s)`
    (full jitter). All times are seconds.
    """

    max_attempts: int = 3
    """Attempts in all; 1 repeats nothing."""
    base_delay_s: float = 0.5
    """The longest pause before the first repeat."""
    max_delay_s: float = 20.0
    """The longest pause before any repeat that the panel did not ask for."""
    max_retry_after_s: float = 30.0
    """The longest wait a panel may ask for (Retry-After); above it the error is raised at once."""

    def delay_s(self, error: PanelError, repeats: int, random: float) -> float | None:
        """Say how long to wait before the next attempt, None for none.

        `repeats` is how many there were already, `random` a number from 0 up to 1.
        """
        if repeats + 1 >= self.max_attempts or not _may_help(error):
            return None
        if error.retry_after_s is not None:
            return error.retry_after_s if error.retry_after_s <= self.max_retry_after_s else None
        return random * min(
            self.base_delay_s * 2.0 ** min(repeats, MAX_DOUBLINGS), self.max_delay_s
        )


def _may_help(error: PanelError) -> bool:
    """Whether the same call can end in another way: not after a refusal, nor for bad input."""
    if isinstance(error, RefusedError) or not error.safe_to_retry:
        return False
    if isinstance(error, NotSentError | RateLimitError):
        return True
    if isinstance(error, InvalidResponseError):
        # A redirect comes again just so.
        return error.http_status is None or error.http_status == HTTPStatus.OK
    return error.maybe_sent


@define
class RetryBudget:
    """A purse that retries are paid from, shared by all callers of a client.

    While a panel is down, every caller repeating on its own would triple the load; the purse
    empties, and then each call is made once.
    """

    tokens: int = BUDGET_TOKENS

    def spend(self, error: PanelError) -> bool:
        """Pay for a retry after this error; False where the purse does not hold it."""
        cost = TIMEOUT_COST if isinstance(error, NoResponseError) else RETRY_COST
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def deposit(self) -> None:
        """Put a token back, for a call that went well at once."""
        self.tokens = min(self.tokens + 1, BUDGET_TOKENS)


@define
class BatchSize:
    """How many ids a batch may hold, learned from what a panel takes.

    A batch that fails whole is asked again in halves. Where both halves then succeed it was too
    large, and the next ones are no larger than those; each full batch after that adds one again,
    so that a panel that was slow for a while is asked in large ones in the end.
    """

    max_size: int
    """Ids in a batch, at most: the profile's."""
    current: int = field(init=False)
    """Ids in a batch, as it stands."""

    def __attrs_post_init__(self) -> None:
        """Begin with all that is allowed."""
        self.current = self.max_size

    def split(self, ids: list[str]) -> list[list[str]]:
        """Cut ids into as few batches as hold them: full ones, and one with what is left."""
        if 0 < len(ids) <= self.current:
            return [ids]
        return [ids[start : start + self.current] for start in range(0, len(ids), self.current)]

    def bisect(self, ids: list[str], error: PanelError) -> list[list[str]]:
        """Give what to ask instead of ids that failed with an error; nothing if it can't help."""
        if len(ids) == 1 or not _may_be_of_the_batch(error):
            return []
        middle = (len(ids) + 1) // 2
        return [ids[:middle], ids[middle:]]

    def on_oversize(self, size: int) -> None:
        """Take note that a batch failed whose halves did not."""
        self.current = max(min(self.current, (size + 1) // 2), 1)

    def on_success(self, size: int) -> None:
        """Take note of a batch that was answered."""
        if size >= self.current:
            self.current = min(self.current + 1, self.max_size)


def _may_be_of_the_batch(error: PanelError) -> bool:
    """Whether fewer ids might fare better: it is too large, too slow, or one id spoils it.

    Not where the panel was not reached, nor where it says no to this caller whatever is asked.
    """
    if isinstance(error, NotSentError | RateLimitError | AuthenticationError | BlockedError):
        return False
    return isinstance(error, NoResponseError | ServerError | RefusedError | InvalidResponseError)


@frozen(kw_only=True)
class PollPolicy:
    """How often an order is looked at that somebody waits for.

    The interval is `min_interval_s` and a share of the time for which nothing about the order changed:
    what stood still for a day will hardly move in the next minute. It is at most `max_interval_s`, times a
    random number from 0.8 to 1.2, so that orders placed together are not asked for together for
    ever. All times are seconds.
    """

    min_interval_s: float = 5.0
    """The shortest interval: panels renew their numbers once in some minutes (assumed)."""
    max_interval_s: float = 600.0
    """The longest interval."""
    active_factor: float = 0.05
    """Of the time without change, for an order that is being worked on."""
    idle_factor: float = 0.1
    """The same for one that waits or stands still: pending, awaiting, paused, a word not known."""

    def interval_s(self, still_s: float, random: float, *, is_moving: bool) -> float:
        """Say when to look again; `random` is a number from 0 up to 1."""
        share = self.active_factor if is_moving else self.idle_factor
        spread = 1 + POLL_JITTER * (2 * random - 1)
        return min(self.min_interval_s + share * max(still_s, 0.0), self.max_interval_s) * spread


@define
class RateLimiter:
    """How many requests may be under way, and when the next may leave, on one account.

    A panel that says "too often" pauses every call of the account and halves what may be under
    way; each success after that lets one more through, up to `most`.
    """

    max_concurrency: int
    """Requests under way at once, at most."""
    per_minute: int | None = None
    """Requests a minute, at most; None for no pace."""
    concurrency: int = field(init=False)
    """Requests that may be under way now."""
    paused_until_s: float = 0.0
    """Nothing leaves before this moment of the clock."""
    _left_at_s: deque[float] = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with all that is allowed."""
        self.concurrency = self.max_concurrency
        # The latest alone: the oldest of them has to be a window ago before another leaves.
        self._left_at_s = deque(maxlen=self.per_minute)

    def pause_s(self, now_s: float) -> float:
        """Say how long the pause still is that the panel asked for; 0 if there is none."""
        return max(self.paused_until_s - now_s, 0.0)

    def wait_s(self, now_s: float) -> float:
        """Say how long the next request has to wait; 0 if it may leave."""
        wait_s = self.pause_s(now_s)
        if self.per_minute is None or len(self._left_at_s) < self.per_minute:
            return wait_s
        return max(wait_s, self._left_at_s[0] + RATE_WINDOW_S - now_s)

    def on_request(self, now_s: float) -> None:
        """Take note of a request that leaves."""
        if self.per_minute is not None:
            self._left_at_s.append(now_s)

    def on_rate_limited(self, now_s: float, asked_s: float | None) -> None:
        """Pause after a 429 or a "wait N seconds"; `asked_s` is the wait it named."""
        wait_s = DEFAULT_PAUSE_S if asked_s is None else min(asked_s, MAX_PAUSE_S)
        self.paused_until_s = max(self.paused_until_s, now_s + wait_s)
        self.concurrency = max(self.concurrency // 2, 1)

    def on_success(self) -> None:
        """Let one more through, up to what was allowed at first."""
        self.concurrency = min(self.concurrency + 1, self.max_concurrency)


@define
class BalanceThresholds:
    """Which levels the balance is below, so that each is told once.

    A level is fallen below under itself, and risen above at `RISE` times itself; in between
    nothing is told.
    """

    thresholds: tuple[Decimal, ...]
    """The levels, the highest first."""
    crossed_count: int = 0
    """How many of them the balance is below, from the highest on; no lower one without those."""

    @classmethod
    def create(cls, thresholds: Iterable[Decimal]) -> "BalanceThresholds":
        """Take levels in any order; raises `InvalidSettingsError` for what is no amount above 0."""
        taken: set[Decimal] = set()
        for level in thresholds:
            # A float says another number than was meant, and nothing is below one that is none.
            if type(level) not in (Decimal, int) or not Decimal(level).is_finite() or level <= 0:
                raise InvalidSettingsError("balance_thresholds", f"{level!r} is no Decimal above 0")
            taken.add(Decimal(level))
        return cls(tuple(sorted(taken, reverse=True)))

    def on_decrease(self, balance: Decimal) -> Decimal | None:
        """Take note of a balance, and give the lowest level that it fell below; None for none."""
        below = sum(balance < level for level in self.thresholds)
        if below <= self.crossed_count:
            return None
        self.crossed_count = below
        return self.thresholds[below - 1]

    def on_recovery(self, balance: Decimal) -> Decimal | None:
        """Take note of a balance, and give the highest level that it rose above; None for none."""
        still = sum(balance < level * RECOVERY_FACTOR for level in self.thresholds)
        if still >= self.crossed_count:
            return None
        self.crossed_count = still
        return self.thresholds[still]
