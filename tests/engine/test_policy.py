"""When a call is made again, after which pause, and who pays for it."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async._engine.policy import (
    PACE_WINDOW_S,
    PAUSE_S,
    POLL_SPREAD,
    QUOTA_TOKENS,
    RETRY_COST,
    RISE,
    TIMEOUT_COST,
    BalanceLevels,
    BatchSize,
    Pacer,
    PollPolicy,
    RetryPolicy,
    RetryQuota,
)
from smmfanfast_async.errors import (
    AuthError,
    BlockedError,
    ClosedError,
    FundsError,
    InvalidOrderError,
    InvalidSettingsError,
    NoReplyError,
    NotSentError,
    OrderNotFoundError,
    OutcomeUnknownError,
    PanelError,
    PausedError,
    RateLimitedError,
    RefConflictError,
    RefusedError,
    ServerError,
    UnreadableReplyError,
    UnsupportedActionError,
)

POLICY = RetryPolicy(attempts=4, base_s=1.0, cap_s=3.0, max_wait_s=30.0)


REPEATED = [
    NotSentError("refused by the host", action="status"),
    NotSentError("refused by the host", action="add"),
    NoReplyError("cut", action="status"),
    NoReplyError("cut", action="services"),
    ServerError("bad gateway", http_status=502, action="balance"),
    ServerError("bad gateway", http_status=502, action="refill_status"),
    RateLimitedError("slower", http_status=429, action="status"),
    UnreadableReplyError("cut JSON", excerpt='{"ord', http_status=200, action="status"),
    UnreadableReplyError("cut JSON", excerpt='{"ord', action="status"),
]
NEVER_REPEATED = [
    NoReplyError("cut", action="add"),
    NoReplyError("cut", action="cancel"),
    NoReplyError("cut"),
    ServerError("bad gateway", http_status=502, action="refill"),
    ServerError("bad gateway", http_status=502, action="add"),
    UnreadableReplyError("moved", http_status=302, action="status"),
    UnreadableReplyError("not JSON", http_status=404, action="status"),
    UnreadableReplyError("cut JSON", excerpt='{"ord', http_status=200, action="add"),
    OutcomeUnknownError("no answer"),
    RefusedError("Bad Link", action="status"),
    AuthError("Invalid API key", action="status"),
    FundsError("Not enough funds", action="add"),
    OrderNotFoundError("Incorrect order ID", action="status"),
    BlockedError("challenged", http_status=403, action="status"),
    ClosedError("closed", action="status"),
    UnsupportedActionError("no such verb", action="refill_status"),
    RefConflictError("another order", action="add"),
    InvalidOrderError("DefaultOrder", "link", "", "is missing"),
    InvalidSettingsError("api_key", "is missing"),
]


@pytest.mark.parametrize("error", REPEATED, ids=repr)
def test_what_can_end_in_another_way_is_repeated(error: PanelError) -> None:
    assert POLICY.pause_s(error, 0, 0.5) == 0.5


@pytest.mark.parametrize("error", NEVER_REPEATED, ids=repr)
def test_what_can_not_or_must_not_is_raised_at_once(error: PanelError) -> None:
    assert POLICY.pause_s(error, 0, 0.5) is None


@pytest.mark.parametrize("error", NEVER_REPEATED, ids=repr)
def test_a_wait_the_panel_asks_for_makes_nothing_repeatable(error: PanelError) -> None:
    error = error.about("32")
    error.retry_after_s = 1.0

    assert POLICY.pause_s(error, 0, 0.5) is None


@pytest.mark.parametrize(("repeats", "random", "pause_s"), [
    (0, 0.0, 0.0),
    (0, 0.5, 0.5),
    (1, 0.5, 1.0),
    (2, 0.5, 1.5),
])  # fmt: skip
def test_the_pause_is_a_random_part_of_a_doubling_span_up_to_the_cap(
    repeats: int, random: float, pause_s: float
) -> None:
    assert POLICY.pause_s(ServerError(action="status"), repeats, random) == pause_s


@pytest.mark.parametrize(("attempts", "repeats", "again"), [
    (0, 0, False),
    (1, 0, False),
    (2, 0, True),
    (2, 1, False),
    (3, 1, True),
    (3, 2, False),
])  # fmt: skip
def test_attempts_count_the_first_one(attempts: int, repeats: int, *, again: bool) -> None:
    policy = RetryPolicy(attempts=attempts)

    assert (policy.pause_s(ServerError(action="status"), repeats, 0.5) is not None) is again


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
def test_a_wait_the_panel_asks_for_is_kept_whole_or_raised_at_once(
    asked_s: float, pause_s: float | None
) -> None:
    error = RateLimitedError("slower", http_status=429, retry_after_s=asked_s, action="status")

    assert POLICY.pause_s(error, 0, 0.5) == pause_s


@pytest.mark.parametrize(("left_s", "pause_s"), [(30.0, 30.0), (30.1, None)])
def test_a_call_that_was_held_back_waits_no_longer_than_any_other(
    left_s: float, pause_s: float | None
) -> None:
    error = PausedError("all calls wait", retry_after_s=left_s, action="add")

    assert POLICY.pause_s(error, 0, 0.5) == pause_s


def test_a_server_error_may_ask_for_a_wait_too() -> None:
    error = ServerError("maintenance", http_status=503, retry_after_s=7.0, action="status")

    assert POLICY.pause_s(error, 0, 0.5) == 7.0


@given(
    st.integers(0, 5000),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1e6),
    st.floats(0, 1e6),
)
def test_no_pause_is_negative_or_above_the_cap(
    repeats: int, random: float, base_s: float, cap_s: float
) -> None:
    policy = RetryPolicy(attempts=repeats + 2, base_s=base_s, cap_s=cap_s)

    pause_s = policy.pause_s(ServerError(action="status"), repeats, random)

    assert pause_s is not None
    assert 0 <= pause_s <= cap_s


NO_ANSWER = NoReplyError("cut", action="status")
ANSWERED = ServerError("bad gateway", http_status=502, action="status")


@pytest.mark.parametrize(("error", "cost"), [(NO_ANSWER, TIMEOUT_COST), (ANSWERED, RETRY_COST)])
def test_a_retry_without_an_answer_costs_more(error: PanelError, cost: int) -> None:
    quota = RetryQuota()

    assert quota.take(error)
    assert quota.tokens == QUOTA_TOKENS - cost


@pytest.mark.parametrize(("error", "cost"), [(NO_ANSWER, TIMEOUT_COST), (ANSWERED, RETRY_COST)])
def test_a_retry_is_paid_whole_or_not_made(error: PanelError, cost: int) -> None:
    enough, short = RetryQuota(cost), RetryQuota(cost - 1)

    assert enough.take(error)
    assert not short.take(error)
    assert (enough.tokens, short.tokens) == (0, cost - 1)


@pytest.mark.parametrize(("before", "after"), [
    (0, 1), (QUOTA_TOKENS - 1, QUOTA_TOKENS), (QUOTA_TOKENS, QUOTA_TOKENS),
])  # fmt: skip
def test_a_success_earns_one_token_up_to_the_full_purse(before: int, after: int) -> None:
    quota = RetryQuota(before)

    quota.earn()

    assert quota.tokens == after


def test_an_outage_ends_in_one_attempt_a_call() -> None:
    quota = RetryQuota()

    retries = sum(quota.take(ANSWERED) for _ in range(1000))

    assert retries == QUOTA_TOKENS // RETRY_COST


@given(st.lists(st.sampled_from([NO_ANSWER, ANSWERED, None])))
def test_the_purse_stays_within_its_bounds(events: list[PanelError | None]) -> None:
    quota = RetryQuota()

    for error in events:
        if error is None:
            quota.earn()
        else:
            quota.take(error)

        assert 0 <= quota.tokens <= QUOTA_TOKENS


# --- the pace of an account ----------------------------------------------------------------------


def test_without_a_pace_and_a_pause_nothing_waits() -> None:
    pacer = Pacer(10)

    for _ in range(1000):
        pacer.left(5.0)

    assert pacer.wait_s(5.0) == 0
    assert pacer.allowed == 10


@pytest.mark.parametrize(("asked_s", "pause_s"), [(None, PAUSE_S), (0.0, 0.0), (7.5, 7.5)])
def test_a_panel_that_says_too_often_pauses_every_call(
    asked_s: float | None, pause_s: float
) -> None:
    pacer = Pacer(10)

    pacer.limited(100.0, asked_s)

    assert pacer.wait_s(100.0) == pause_s
    assert pacer.wait_s(100.0 + pause_s / 2) == pause_s / 2
    assert pacer.wait_s(100.0 + pause_s) == 0
    assert pacer.wait_s(200.0) == 0


def test_a_shorter_wait_does_not_end_a_longer_one() -> None:
    pacer = Pacer(10)

    pacer.limited(100.0, 20.0)
    pacer.limited(101.0, 1.0)

    assert pacer.wait_s(101.0) == 19.0


@pytest.mark.parametrize(("most", "then"), [(10, [5, 2, 1, 1]), (3, [1, 1]), (1, [1])])
def test_each_too_often_halves_what_may_be_under_way_down_to_one(
    most: int, then: list[int]
) -> None:
    pacer = Pacer(most)

    for allowed in then:
        pacer.limited(0.0, None)

        assert pacer.allowed == allowed


def test_each_success_lets_one_more_through_up_to_the_most() -> None:
    pacer = Pacer(4)
    pacer.limited(0.0, None)

    seen = []
    for _ in range(4):
        pacer.succeeded()
        seen.append(pacer.allowed)

    assert seen == [3, 4, 4, 4]


def test_a_pace_lets_so_many_leave_in_any_minute() -> None:
    pacer = Pacer(10, per_minute=2)
    pacer.left(0.0)
    pacer.left(10.0)

    assert pacer.wait_s(10.0) == PACE_WINDOW_S - 10.0
    assert pacer.wait_s(59.0) == 1.0
    assert pacer.wait_s(60.0) == 0
    pacer.left(60.0)
    assert pacer.wait_s(60.0) == 10.0


def test_of_a_pace_and_a_pause_the_longer_counts() -> None:
    pacer = Pacer(10, per_minute=1)
    pacer.left(0.0)

    pacer.limited(0.0, 70.0)
    assert pacer.wait_s(0.0) == 70.0
    assert pacer.wait_s(60.0) == 10.0

    pacer.left(60.0)
    assert pacer.wait_s(60.0) == 60.0


@given(st.integers(1, 5), st.lists(st.floats(0, 30), max_size=40))
def test_no_minute_ever_holds_more_than_the_pace(per_minute: int, gaps_s: list[float]) -> None:
    pacer = Pacer(10, per_minute=per_minute)
    now_s = 0.0
    left_at_s: list[float] = []

    for gap_s in gaps_s:
        now_s += gap_s
        now_s += pacer.wait_s(now_s)
        pacer.left(now_s)
        left_at_s.append(now_s)

    for first, beyond in zip(left_at_s, left_at_s[per_minute:], strict=False):
        assert beyond - first >= PACE_WINDOW_S - 1e-6


# --- the size of a batch -------------------------------------------------------------------------


IDS = [str(number) for number in range(1, 101)]
OF_THE_BATCH = [
    NoReplyError("timed out", action="status"),
    ServerError("bad gateway", http_status=502, action="status"),
    RefusedError("Too many orders", action="status"),
    UnreadableReplyError("cut JSON", excerpt='{"ord', http_status=200, action="status"),
]
NOT_OF_THE_BATCH = [
    NotSentError("refused by the host", action="status"),
    PausedError("all calls wait", retry_after_s=9.0, action="status"),
    RateLimitedError("slower", http_status=429, action="status"),
    AuthError("Invalid API key", action="status"),
    BlockedError("challenged", http_status=403, action="status"),
    ClosedError("closed", action="status"),
]


def test_a_batch_holds_all_that_the_profile_allows_at_first() -> None:
    assert BatchSize(100).pieces(IDS) == [IDS]


@pytest.mark.parametrize("error", OF_THE_BATCH, ids=repr)
def test_a_batch_that_may_be_too_much_is_halved_down_to_one(error: PanelError) -> None:
    size = BatchSize(100)

    assert size.halves(IDS[:5], error) == [["1", "2", "3"], ["4", "5"]]
    assert size.halves(["1", "2"], error) == [["1"], ["2"]]
    assert size.halves(["1"], error) == []


@pytest.mark.parametrize("error", NOT_OF_THE_BATCH, ids=repr)
def test_what_fewer_ids_can_not_help_is_not_halved(error: PanelError) -> None:
    assert BatchSize(100).halves(IDS, error) == []


@pytest.mark.parametrize(("failed", "then"), [(100, 50), (7, 4), (2, 1), (1, 1)])
def test_a_batch_that_was_too_large_bounds_the_next_ones(failed: int, then: int) -> None:
    size = BatchSize(100)

    size.too_large(failed)

    assert size.now == then
    assert len(size.pieces(IDS)[0]) == then


def test_a_larger_batch_that_was_too_large_does_not_widen_the_bound() -> None:
    size = BatchSize(100)
    size.too_large(10)

    size.too_large(100)

    assert size.now == 5


def test_a_full_batch_that_was_answered_adds_one_and_a_smaller_one_nothing() -> None:
    size = BatchSize(100)
    size.too_large(100)

    size.fine(49)
    assert size.now == 50
    size.fine(50)
    assert size.now == 51
    size.fine(100)
    assert size.now == 52


def test_what_is_asked_in_pieces_comes_back_to_the_largest_size() -> None:
    """The first piece is full, so that each round adds one; even halves would stay for ever."""
    size = BatchSize(100)
    size.too_large(100)

    rounds = 0
    while size.now < 100:
        rounds += 1
        assert rounds <= 50
        for piece in size.pieces(IDS):
            size.fine(len(piece))

    size.fine(100)
    assert size.now == 100


@given(st.integers(1, 100), st.integers(0, 100))
def test_pieces_hold_every_id_in_order_and_no_more_than_allowed(most: int, count: int) -> None:
    pieces = BatchSize(most).pieces(IDS[:count])

    assert [each for piece in pieces for each in piece] == IDS[:count]
    assert all(len(piece) == most for piece in pieces[:-1])
    assert all(0 < len(piece) <= most for piece in pieces)


# --- how often an order is looked at -------------------------------------------------------------


@pytest.mark.parametrize(("still_s", "is_moving", "interval_s"), [
    (0.0, True, 5.0),
    (100.0, True, 10.0),
    (100.0, False, 15.0),
    (-3.0, False, 5.0),
    (1e9, True, 600.0),
    (1e9, False, 600.0),
])  # fmt: skip
def test_an_interval_is_the_shortest_and_a_share_of_the_time_without_change(
    still_s: float, interval_s: float, *, is_moving: bool
) -> None:
    assert PollPolicy().interval_s(still_s, 0.5, is_moving=is_moving) == interval_s


@pytest.mark.parametrize(("random", "interval_s"), [(0.0, 4.0), (0.25, 4.5), (0.75, 5.5)])
def test_an_interval_is_spread_a_fifth_to_either_side(random: float, interval_s: float) -> None:
    assert PollPolicy().interval_s(0.0, random, is_moving=True) == pytest.approx(interval_s)


@given(st.floats(0, 1e12), st.floats(0, 1, exclude_max=True), st.booleans())
def test_no_interval_is_out_of_its_bounds(still_s: float, random: float, is_moving: bool) -> None:  # noqa: FBT001
    policy = PollPolicy(least_s=2, most_s=60)

    interval_s = policy.interval_s(still_s, random, is_moving=is_moving)

    assert 2 * (1 - POLL_SPREAD) - 1e-9 <= interval_s <= 60 * (1 + POLL_SPREAD) + 1e-9


# --- levels of the balance -----------------------------------------------------------------------

AMOUNTS = st.decimals(min_value=0, max_value=1000, places=2)
LEVELS = st.lists(st.decimals(min_value="0.01", max_value=1000, places=2), max_size=4)


def seen(watched: BalanceLevels, balance: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """Give what a balance makes told of, as the client asks."""
    fell = watched.fell(balance)
    return fell, watched.rose(balance) if fell is None else None


def test_a_balance_below_several_levels_is_told_of_the_lowest() -> None:
    watched = BalanceLevels.of([Decimal(10), Decimal(50)])

    assert watched.fell(Decimal("9.99")) == 10
    assert watched.fell(Decimal("9.99")) is None


def test_a_balance_at_a_level_is_not_below_it() -> None:
    watched = BalanceLevels.of([Decimal(10)])

    assert watched.fell(Decimal(10)) is None
    assert watched.fell(Decimal("9.99")) == 10


def test_a_balance_has_to_rise_clearly_before_it_is_above() -> None:
    watched = BalanceLevels.of([Decimal(10), Decimal(50)])
    watched.fell(Decimal(1))

    assert watched.rose(Decimal("10.99")) is None
    assert watched.rose(Decimal(11)) == 10
    assert watched.rose(Decimal("54.99")) is None
    assert watched.rose(Decimal(55)) == 50
    assert watched.rose(Decimal(1000)) is None


def test_a_balance_that_rises_above_several_levels_is_told_of_the_highest() -> None:
    watched = BalanceLevels.of([Decimal(10), Decimal(50)])
    watched.fell(Decimal(1))

    assert watched.rose(Decimal(100)) == 50
    assert watched.rose(Decimal(100)) is None


@given(levels=LEVELS, balances=st.lists(AMOUNTS, max_size=30))
def test_each_level_is_told_in_turns_and_only_where_the_balance_is(
    levels: list[Decimal], balances: list[Decimal]
) -> None:
    watched = BalanceLevels.of(levels)
    lowest: Decimal | None = None
    for balance in balances:
        below = {level for level in levels if balance < level}
        fell, rose = seen(watched, balance)

        if fell is not None:
            assert fell == min(below)
            assert lowest is None or fell < lowest
            lowest = fell
        elif rose is not None:
            assert lowest is not None
            assert rose >= lowest
            assert balance >= rose * RISE
            lowest = min((level for level in levels if level > rose), default=None)
        else:
            # Nothing is told: no level is newly below, and the lowest is not clearly above.
            assert lowest is None or balance < lowest * RISE
            assert not below or (lowest is not None and lowest <= min(below))


@given(levels=LEVELS, balances=st.lists(AMOUNTS, max_size=30))
def test_a_balance_that_stands_still_is_told_once(
    levels: list[Decimal], balances: list[Decimal]
) -> None:
    watched = BalanceLevels.of(levels)
    for balance in balances:
        seen(watched, balance)

        assert seen(watched, balance) == (None, None)


@given(
    level=st.decimals(min_value=1, max_value=1000, places=2),
    swings=st.lists(st.decimals(min_value="0.91", max_value="1.09", places=2), max_size=30),
)
def test_swings_around_a_level_tell_of_it_once(level: Decimal, swings: list[Decimal]) -> None:
    watched = BalanceLevels.of([level])
    told = [each for swing in swings if (each := seen(watched, level * swing)) != (None, None)]

    assert told in ([], [(level, None)])


def test_levels_are_taken_in_any_order_and_once() -> None:
    assert BalanceLevels.of([Decimal(10), 50, Decimal("10.0")]).levels == (50, 10)
    assert BalanceLevels.of([]).fell(Decimal(-1)) is None


@pytest.mark.parametrize(
    "level", [Decimal(0), Decimal(-1), 10.5, "50", True, None, Decimal("NaN"), Decimal("Infinity")]
)
def test_a_level_that_is_no_amount_is_refused(level: Any) -> None:
    with pytest.raises(InvalidSettingsError, match="balance_levels"):
        BalanceLevels.of([level])
