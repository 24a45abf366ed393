"""Money over time: sums, and a bounded number of steps."""

from decimal import Decimal

from smmfanfast_async.sandbox.spending import FIRST_STEP_S, MAX_STEPS, MoneyLog


def test_charges_refunds_and_additions_are_summed_by_time() -> None:
    log = MoneyLog()
    log.record_charge(0, Decimal("-1.50"))
    log.record_charge(59, Decimal("-0.50"))
    log.record_charge(60, Decimal("0.25"))
    log.record_charge(61, Decimal(0))
    log.record_addition(200, Decimal(10))

    assert (log.spent, log.refunded, log.added) == (2, Decimal("0.25"), 10)
    assert [(step.at_s, step.spent, step.refunded, step.added) for step in log.steps] == [
        (0, 2, 0, 0),
        (60, 0, Decimal("0.25"), 0),
        (180, 0, 0, 10),
    ]


def test_steps_are_bounded_and_lose_no_money() -> None:
    log = MoneyLog()
    for number in range(MAX_STEPS * 5):
        log.record_charge(number * FIRST_STEP_S, Decimal(-1))

    assert len(log.steps) <= MAX_STEPS
    assert log.step_s == FIRST_STEP_S * 8
    assert sum(step.spent for step in log.steps) == log.spent == MAX_STEPS * 5


def test_nothing_is_left_after_clearing() -> None:
    log = MoneyLog()
    log.record_charge(0, Decimal(-1))
    log.clear()

    assert (log.spent, log.steps) == (0, ())
