"""When a call is retried, after which delay, and how the retry budget is charged."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async._engine.policy import (
    BUDGET_TOKENS,
    DEFAULT_PAUSE_S,
    POLL_JITTER,
    RATE_WINDOW_S,
    RECOVERY_FACTOR,
    RETRY_COST,
    SINGLES_BEFORE_BATCH,
    TIMEOUT_COST,
    BalanceThresholds,
    BatchSize,
    PollPolicy,
    RateLimiter,
    RetryBudget,
    RetryPolicy,
    may_depend_on_ids,
)
from smmfanfast_async.errors import (
    AuthenticationError,
    BlockedError,
    ClosedError,
    InsufficientFundsError,
    InvalidOrderError,
    InvalidResponseError,
    InvalidSettingsError,
    NoResponseError,
    NotSentError,
    OrderNotFoundError,
    OutcomeUnknownError,
    PanelError,
    PausedError,
    RateLimitError,
    RefConflictError,
    RefusedError,
    ServerError,
    UnsupportedActionError,
)

POLICY = RetryPolicy(max_attempts=4, base_delay_s=1.0, max_delay_s=3.0, max_retry_after_s=30.0)


REPEATED = [
    NotSentError("refused by the host", action="status"),
    NotSentError("refused by the host", action="add"),
    NoResponseError("cut", action="status"),
    NoResponseError("cut", action="services"),
    ServerError("bad gateway", http_status=502, action="balance"),
    ServerError("bad gateway", http_status=502, action="refill_status"),
    RateLimitError("slower", http_status=429, action="status"),
    InvalidResponseError("cut JSON", excerpt='{"ord', http_status=200, action="status"),
    InvalidResponseError("cut JSON", excerpt='{"ord', action="status"),
]
NEVER_REPEATED = [
    NoResponseError("cut", action="add"),
    NoResponseError("cut", action="cancel"),
    NoResponseError("cut"),
    ServerError("bad gateway", http_status=502, action="refill"),
    ServerError("bad gateway", http_status=502, action="add"),
    InvalidResponseError("moved", http_status=302, action="status"),
    InvalidResponseError("not JSON", http_status=404, action="status"),
    InvalidResponseError("cut JSON", excerpt='{"ord', http_status=200, action="add"),
    OutcomeUnknownError("no answer"),
    RefusedError("Bad Link", action="status"),
    AuthenticationError("Invalid API key", action="status"),
    InsufficientFundsError("Not enough funds", action="add"),
    OrderNotFoundError("Incorrect order ID", action="status"),
    BlockedError("challenged", http_status=403, action="status"),
    ClosedError("closed", action="status"),
    UnsupportedActionError("no such verb", action="refill_status"),
    RefConflictError("another order", action="add"),
    InvalidOrderError("DefaultOrder", "link", "", "is missing"),
    InvalidSettingsError("api_key", "is missing"),
]


@pytest.mark.parametrize("error", REPEATED, ids=repr)
def test_errors_that_may_pass_are_retried(error: PanelError) -> None:
    assert POLICY.delay_s(error, 0, 0.5) == 0.5


@pytest.mark.parametrize("error", NEVER_REPEATED, ids=repr)
def test_errors_that_must_not_be_retried_are_raised(error: PanelError) -> None:
    assert POLICY.delay_s(error, 0, 0.5) is None


@pytest.mark.parametrize("error", NEVER_REPEATED, ids=repr)
def test_retry_after_alone_makes_nothing_retryable(error: PanelError) -> None:
    error = error.for_order("32")
    error.retry_after_s = 1.0

    assert POLICY.delay_s(error, 0, 0.5) is None


@pytest.mark.parametrize(("repeats", "random", "pause_s"), [
    (0, 0.0, 0.0),
    (0, 0.5, 0.5),
    (1, 0.5, 1.0),
    (2, 0.5, 1.5),
])  # fmt: skip
def test_delay_is_full_jitter_of_a_doubling_span(
    repeats: int, random: float, pause_s: float
) -> None:
    assert POLICY.delay_s(ServerError(action="status"), repeats, random) == pause_s


@pytest.mark.parametrize(("attempts", "repeats", "again"), [
    (1, 0, False),
    (2, 0, True),
    (2, 1, False),
    (3, 1, True),
    (3, 2, False),
])  # fmt: skip
def test_max_attempts_includes_the_first(attempts: int, repeats: int, *, again: bool) -> None:
    policy = RetryPolicy(max_attempts=attempts)

    assert (policy.delay_s(ServerError(action="status"), repeats, 0.5) is not None) is again


@pytest.mark.parametrize(("asked_s", "pause_s"), [
    (0.0, 0.0),
    (3.5, 3.5),
    (29.9, 29.9),
    (30.0, 30.0),
    (30.1, None),
    (1e9, None),
    (math.inf, None),
    (math.nan, None),
])  # fmt: skip
def test_retry_after_is_kept_or_raised_at_once(asked_s: float, pause_s: float | None) -> None:
    error = RateLimitError("slower", http_status=429, retry_after_s=asked_s, action="status")

    assert POLICY.delay_s(error, 0, 0.5) == pause_s


@pytest.mark.parametrize(("left_s", "pause_s"), [(30.0, 30.0), (30.1, None)])
def test_unsent_call_waits_no_longer_than_any_other(left_s: float, pause_s: float | None) -> None:
    error = PausedError("all calls wait", retry_after_s=left_s, action="add")

    assert POLICY.delay_s(error, 0, 0.5) == pause_s


def test_server_error_may_have_retry_after() -> None:
    error = ServerError("maintenance", http_status=503, retry_after_s=7.0, action="status")

    assert POLICY.delay_s(error, 0, 0.5) == 7.0


@given(
    st.integers(0, 5000),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
)
def test_no_delay_is_negative_or_above_the_cap(
    repeats: int, random: float, base_delay_s: float, max_delay_s: float
) -> None:
    policy = RetryPolicy(
        max_attempts=repeats + 2, base_delay_s=base_delay_s, max_delay_s=max_delay_s
    )

    pause_s = policy.delay_s(ServerError(action="status"), repeats, random)

    assert pause_s is not None
    assert 0 <= pause_s <= max_delay_s


NO_ANSWER = NoResponseError("cut", action="status")
ANSWERED = ServerError("bad gateway", http_status=502, action="status")


@pytest.mark.parametrize(("error", "cost"), [(NO_ANSWER, TIMEOUT_COST), (ANSWERED, RETRY_COST)])
def test_retry_after_a_missing_answer_costs_more(error: PanelError, cost: int) -> None:
    quota = RetryBudget()

    assert quota.spend(error)
    assert quota.tokens == BUDGET_TOKENS - cost


@pytest.mark.parametrize(("error", "cost"), [(NO_ANSWER, TIMEOUT_COST), (ANSWERED, RETRY_COST)])
def test_retry_is_paid_in_full_or_not_made(error: PanelError, cost: int) -> None:
    enough, short = RetryBudget(cost), RetryBudget(cost - 1)

    assert enough.spend(error)
    assert not short.spend(error)
    assert (enough.tokens, short.tokens) == (0, cost - 1)


@pytest.mark.parametrize(("before", "after"), [
    (0, 1), (BUDGET_TOKENS - 1, BUDGET_TOKENS), (BUDGET_TOKENS, BUDGET_TOKENS),
])  # fmt: skip
def test_success_deposits_one_token_up_to_the_full_budget(before: int, after: int) -> None:
    quota = RetryBudget(before)

    quota.deposit()

    assert quota.tokens == after


def test_outage_leads_to_one_attempt_per_call() -> None:
    quota = RetryBudget()

    retries = sum(quota.spend(ANSWERED) for _ in range(1000))

    assert retries == BUDGET_TOKENS // RETRY_COST


@pytest.mark.parametrize("error", [NO_ANSWER, ANSWERED])
def test_refund_returns_what_a_retry_cost(error: PanelError) -> None:
    quota = RetryBudget()

    assert quota.spend(error)
    quota.refund(error)

    assert quota.tokens == BUDGET_TOKENS


@given(
    st.lists(st.sampled_from(["deposit", "spend", "refund"])),
    st.sampled_from([NO_ANSWER, ANSWERED]),
)
def test_retry_budget_stays_within_its_bounds(events: list[str], error: PanelError) -> None:
    quota = RetryBudget()

    for event in events:
        if event == "deposit":
            quota.deposit()
        else:
            getattr(quota, event)(error)

        assert 0 <= quota.tokens <= BUDGET_TOKENS


# --- the rate limiter ----------------------------------------------------------------------------


def test_nothing_waits_without_rate_limit_and_pause() -> None:
    limiter = RateLimiter(10)

    for _ in range(1000):
        limiter.on_request(5.0)

    assert limiter.wait_s(5.0) == 0
    assert limiter.concurrency == 10


@pytest.mark.parametrize(("asked_s", "pause_s"), [(None, DEFAULT_PAUSE_S), (0.0, 0.0), (7.5, 7.5)])
def test_rate_limit_response_pauses_every_call(asked_s: float | None, pause_s: float) -> None:
    limiter = RateLimiter(10)

    limiter.on_rate_limited(100.0, asked_s)

    assert limiter.wait_s(100.0) == pause_s
    assert limiter.wait_s(100.0 + pause_s / 2) == pause_s / 2
    assert limiter.wait_s(100.0 + pause_s) == 0
    assert limiter.wait_s(200.0) == 0


def test_shorter_pause_does_not_end_a_longer_one() -> None:
    limiter = RateLimiter(10)

    limiter.on_rate_limited(100.0, 20.0)
    limiter.on_rate_limited(101.0, 1.0)

    assert limiter.wait_s(101.0) == 19.0


@pytest.mark.parametrize(("maximum", "then"), [(10, [5, 2, 1, 1]), (3, [1, 1]), (1, [1])])
def test_rate_limit_response_halves_concurrency_down_to_one(maximum: int, then: list[int]) -> None:
    limiter = RateLimiter(maximum)

    for allowed in then:
        limiter.on_rate_limited(0.0, None)

        assert limiter.concurrency == allowed


def test_success_raises_concurrency_by_one_up_to_the_maximum() -> None:
    limiter = RateLimiter(4)
    limiter.on_rate_limited(0.0, None)

    update = []
    for _ in range(4):
        limiter.on_success()
        update.append(limiter.concurrency)

    assert update == [3, 4, 4, 4]


def test_per_minute_limits_requests_in_any_minute() -> None:
    limiter = RateLimiter(10, per_minute=2)
    limiter.on_request(0.0)
    limiter.on_request(10.0)

    assert limiter.wait_s(10.0) == RATE_WINDOW_S - 10.0
    assert limiter.wait_s(59.0) == 1.0
    assert limiter.wait_s(60.0) == 0
    limiter.on_request(60.0)
    assert limiter.wait_s(60.0) == 10.0


def test_longer_of_rate_wait_and_pause_counts() -> None:
    limiter = RateLimiter(10, per_minute=1)
    limiter.on_request(0.0)

    limiter.on_rate_limited(0.0, 70.0)
    assert limiter.wait_s(0.0) == 70.0
    assert limiter.wait_s(60.0) == 10.0

    limiter.on_request(60.0)
    assert limiter.wait_s(60.0) == 60.0


@given(st.integers(1, 5), st.lists(st.floats(0, 30), max_size=40))
def test_no_minute_exceeds_the_rate(per_minute: int, gaps_s: list[float]) -> None:
    limiter = RateLimiter(10, per_minute=per_minute)
    now_s = 0.0
    left_at_s: list[float] = []

    for gap_s in gaps_s:
        now_s += gap_s
        now_s += limiter.wait_s(now_s)
        limiter.on_request(now_s)
        left_at_s.append(now_s)

    for first, beyond in zip(left_at_s, left_at_s[per_minute:], strict=False):
        assert beyond - first >= RATE_WINDOW_S - 1e-6


@given(st.integers(1, 5), st.lists(st.tuples(st.floats(0, 30), st.floats(0, 90)), max_size=40))
def test_requests_not_sent_use_up_nothing_and_free_nothing_else(
    per_minute: int, requests: list[tuple[float, float]]
) -> None:
    """Every second request turns out not to have been sent, some time after it started."""
    limiter = RateLimiter(10, per_minute=per_minute)
    now_s = 0.0
    sent_at_s: list[float] = []
    failing: list[tuple[float, float]] = []

    for number, (gap_s, fails_after_s) in enumerate(requests):
        now_s += gap_s
        for failure in [each for each in failing if each[0] <= now_s]:
            failing.remove(failure)
            limiter.on_not_sent(failure[1])
        now_s += limiter.wait_s(now_s)
        limiter.on_request(now_s)
        if number % 2:
            sent_at_s.append(now_s)
        else:
            failing.append((now_s + fails_after_s, now_s))
    for _, started_s in failing:
        limiter.on_not_sent(started_s)

    for first, beyond in zip(sent_at_s, sent_at_s[per_minute:], strict=False):
        assert beyond - first >= RATE_WINDOW_S - 1e-6
    in_window = [each for each in sent_at_s if each > now_s - RATE_WINDOW_S]
    assert limiter.wait_s(now_s) == 0 or len(in_window) >= per_minute


# --- the size of a batch -------------------------------------------------------------------------


IDS = [str(number) for number in range(1, 101)]
OF_THE_BATCH = [
    NoResponseError("timed out", action="status"),
    ServerError("bad gateway", http_status=502, action="status"),
    RefusedError("Too many orders", action="status"),
    InvalidResponseError("cut JSON", excerpt='{"ord', http_status=200, action="status"),
]
NOT_OF_THE_BATCH = [
    NotSentError("refused by the host", action="status"),
    PausedError("all calls wait", retry_after_s=9.0, action="status"),
    RateLimitError("slower", http_status=429, action="status"),
    AuthenticationError("Invalid API key", action="status"),
    BlockedError("challenged", http_status=403, action="status"),
    ClosedError("closed", action="status"),
]


def test_batch_starts_with_the_size_of_the_profile() -> None:
    assert BatchSize(100).split(IDS) == [IDS]


@pytest.mark.parametrize("error", OF_THE_BATCH, ids=repr)
def test_failure_may_depend_on_the_ids(error: PanelError) -> None:
    assert may_depend_on_ids(error)


@pytest.mark.parametrize("error", NOT_OF_THE_BATCH, ids=repr)
def test_failure_does_not_depend_on_the_ids(error: PanelError) -> None:
    assert not may_depend_on_ids(error)


def test_rejection_depends_on_the_ids_if_the_key_works() -> None:
    error = AuthenticationError("The account does not exists", action="status")
    error.is_about_order = True

    assert may_depend_on_ids(error)


def test_two_ids_are_tried_again_after_many_single_ones() -> None:
    size = BatchSize(100)
    size.on_oversize(2)

    for _ in range(SINGLES_BEFORE_BATCH):
        assert size.current == 1
        size.on_success(1)

    assert size.current == 2
    size.on_success(1)
    assert size.current == 2


@pytest.mark.parametrize(("failed", "then"), [(100, 50), (7, 4), (2, 1), (1, 1)])
def test_oversized_batch_bounds_the_next_ones(failed: int, then: int) -> None:
    size = BatchSize(100)

    size.on_oversize(failed)

    assert size.current == then
    assert len(size.split(IDS)[0]) == then


def test_larger_oversized_batch_does_not_raise_the_bound() -> None:
    size = BatchSize(100)
    size.on_oversize(10)

    size.on_oversize(100)

    assert size.current == 5


def test_only_a_full_answered_batch_raises_the_size() -> None:
    size = BatchSize(100)
    size.on_oversize(100)

    size.on_success(49)
    assert size.current == 50
    size.on_success(50)
    assert size.current == 51
    size.on_success(100)
    assert size.current == 52


def test_batch_size_grows_back_to_the_maximum() -> None:
    """The first piece is full, so that each round adds one; equal halves would never grow."""
    size = BatchSize(100)
    size.on_oversize(100)

    rounds = 0
    while size.current < 100:
        rounds += 1
        assert rounds <= 50
        for piece in size.split(IDS):
            size.on_success(len(piece))

    size.on_success(100)
    assert size.current == 100


@given(st.integers(1, 100), st.integers(0, 100))
def test_pieces_hold_every_id_in_order_within_the_size(maximum: int, count: int) -> None:
    pieces = BatchSize(maximum).split(IDS[:count])

    assert [each for piece in pieces for each in piece] == IDS[:count]
    assert all(len(piece) == maximum for piece in pieces[:-1])
    assert all(0 < len(piece) <= maximum for piece in pieces)


# --- poll intervals ------------------------------------------------------------------------------


@pytest.mark.parametrize(("unchanged_s", "is_moving", "interval_s"), [
    (0.0, True, 5.0),
    (100.0, True, 10.0),
    (100.0, False, 15.0),
    (-3.0, False, 5.0),
    (1e9, True, 600.0),
    (1e9, False, 600.0),
])  # fmt: skip
def test_interval_grows_with_the_time_without_change(
    unchanged_s: float, interval_s: float, *, is_moving: bool
) -> None:
    assert PollPolicy().interval_s(unchanged_s, 0.5, is_moving=is_moving) == interval_s


@pytest.mark.parametrize(("random", "interval_s"), [(0.0, 4.0), (0.25, 4.5), (0.75, 5.5)])
def test_interval_has_jitter_of_a_fifth(random: float, interval_s: float) -> None:
    assert PollPolicy().interval_s(0.0, random, is_moving=True) == pytest.approx(interval_s)


@given(st.floats(0, 1e12), st.floats(0, 1, exclude_max=True), st.booleans())
def test_interval_stays_within_its_bounds(
    unchanged_s: float,
    random: float,
    is_moving: bool,  # noqa: FBT001
) -> None:
    policy = PollPolicy(min_interval_s=2, max_interval_s=60)

    interval_s = policy.interval_s(unchanged_s, random, is_moving=is_moving)

    assert 2 * (1 - POLL_JITTER) - 1e-9 <= interval_s <= 60 * (1 + POLL_JITTER) + 1e-9


# --- balance thresholds --------------------------------------------------------------------------

AMOUNTS = st.decimals(min_value=0, max_value=1000, places=2)
THRESHOLDS = st.lists(st.decimals(min_value="0.01", max_value=1000, places=2), max_size=4)


def update(
    thresholds: BalanceThresholds, balance: Decimal
) -> tuple[Decimal | None, Decimal | None]:
    """Return the threshold crossed and the one recovered, in the order the client checks."""
    fell = thresholds.on_decrease(balance)
    return fell, thresholds.on_recovery(balance) if fell is None else None


def test_lowest_crossed_threshold_is_reported() -> None:
    thresholds = BalanceThresholds.create([Decimal(10), Decimal(50)])

    assert thresholds.on_decrease(Decimal("9.99")) == 10
    assert thresholds.on_decrease(Decimal("9.99")) is None


def test_balance_at_a_threshold_is_not_below_it() -> None:
    thresholds = BalanceThresholds.create([Decimal(10)])

    assert thresholds.on_decrease(Decimal(10)) is None
    assert thresholds.on_decrease(Decimal("9.99")) == 10


def test_recovery_needs_a_clear_rise() -> None:
    thresholds = BalanceThresholds.create([Decimal(10), Decimal(50)])
    thresholds.on_decrease(Decimal(1))

    assert thresholds.on_recovery(Decimal("10.99")) is None
    assert thresholds.on_recovery(Decimal(11)) == 10
    assert thresholds.on_recovery(Decimal("54.99")) is None
    assert thresholds.on_recovery(Decimal(55)) == 50
    assert thresholds.on_recovery(Decimal(1000)) is None


def test_highest_recovered_threshold_is_reported() -> None:
    thresholds = BalanceThresholds.create([Decimal(10), Decimal(50)])
    thresholds.on_decrease(Decimal(1))

    assert thresholds.on_recovery(Decimal(100)) == 50
    assert thresholds.on_recovery(Decimal(100)) is None


@given(amounts=THRESHOLDS, balances=st.lists(AMOUNTS, max_size=30))
def test_thresholds_are_crossed_and_recovered_alternately(
    amounts: list[Decimal], balances: list[Decimal]
) -> None:
    thresholds = BalanceThresholds.create(amounts)
    lowest: Decimal | None = None
    for balance in balances:
        below = {level for level in amounts if balance < level}
        fell, rose = update(thresholds, balance)

        if fell is not None:
            assert fell == min(below)
            assert lowest is None or fell < lowest
            lowest = fell
        elif rose is not None:
            assert lowest is not None
            assert rose >= lowest
            assert balance >= rose * RECOVERY_FACTOR
            lowest = min((level for level in amounts if level > rose), default=None)
        else:
            # Nothing is reported: no threshold is newly crossed or clearly recovered.
            assert lowest is None or balance < lowest * RECOVERY_FACTOR
            assert not below or (lowest is not None and lowest <= min(below))


@given(amounts=THRESHOLDS, balances=st.lists(AMOUNTS, max_size=30))
def test_unchanged_balance_is_reported_once(
    amounts: list[Decimal], balances: list[Decimal]
) -> None:
    thresholds = BalanceThresholds.create(amounts)
    for balance in balances:
        update(thresholds, balance)

        assert update(thresholds, balance) == (None, None)


@given(
    level=st.decimals(min_value=1, max_value=1000, places=2),
    swings=st.lists(st.decimals(min_value="0.91", max_value="1.09", places=2), max_size=30),
)
def test_swings_around_a_threshold_report_it_once(level: Decimal, swings: list[Decimal]) -> None:
    thresholds = BalanceThresholds.create([level])
    reports = [
        each for swing in swings if (each := update(thresholds, level * swing)) != (None, None)
    ]

    assert reports in ([], [(level, None)])


def test_thresholds_are_sorted_and_deduplicated() -> None:
    assert BalanceThresholds.create([Decimal(10), 50, Decimal("10.0")]).thresholds == (50, 10)
    assert BalanceThresholds.create([]).on_decrease(Decimal(-1)) is None


@pytest.mark.parametrize(
    "level", [Decimal(0), Decimal(-1), 10.5, "50", True, None, Decimal("NaN"), Decimal("Infinity")]
)
def test_threshold_that_is_not_an_amount_is_rejected(level: Any) -> None:
    with pytest.raises(InvalidSettingsError, match="balance_thresholds"):
        BalanceThresholds.create([level])
