from collections.abc import Iterable
from typing import Any

import pytest

from smmfanfast_async.sandbox import faults
from smmfanfast_async.sandbox.faults import APPLIED, Fault, FaultScript, ScriptedFault


def names(script: FaultScript, actions: Iterable[str]) -> list[str | None]:
    return [taken and taken.fault.value for taken in map(script.pop_fault, actions)]


def test_each_fault_says_whether_the_action_is_carried_out() -> None:
    assert set(APPLIED) == set(Fault)
    assert {fault.value for fault, applied in APPLIED.items() if applied} == {
        "delay",
        "php_notice",
        "cut_body",
        "empty",
        "drop_after",
        "odd_row",
    }


@pytest.mark.parametrize("fault", Fault)
def test_the_habit_of_a_fault_is_overridden_only_where_the_answer_does_not_depend_on_it(
    fault: Fault,
) -> None:
    habit = APPLIED[fault]
    assert ScriptedFault(fault=fault).is_applied is habit
    fixed = {"delay", "php_notice", "cut_body", "odd_row", "drop_before", "drop_after"}

    if fault.value in fixed:
        with pytest.raises(ValueError, match=f"applied cannot be chosen for {fault.value}"):
            ScriptedFault(fault=fault, applied=not habit)
    else:
        assert ScriptedFault(fault=fault, applied=not habit).is_applied is not habit


def test_the_script_is_used_up_in_its_order() -> None:
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY, times=2))
    script.add_next(ScriptedFault(fault="http_503"))

    assert names(script, ["add"] * 4) == ["empty", "empty", "http_503", None]


def test_a_fault_waits_for_its_action_and_lets_others_pass() -> None:
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY, action="add"))
    script.add_next(ScriptedFault(fault=Fault.HTTP_500, action=""))
    script.add_next(ScriptedFault(fault=Fault.HTTP_502))

    assert names(script, ["status", "add", "status", ""]) == ["http_502", "empty", None, "http_500"]


def test_what_is_pending_is_told_and_can_be_forgotten() -> None:
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY, times=3))
    script.add_rate(ScriptedFault(fault=Fault.DELAY), 1)
    script.pop_fault("add")
    assert script.pending == (ScriptedFault(fault=Fault.EMPTY, times=2),)

    script.clear()

    assert script.pending == ()
    assert script.pop_fault("add") is None


def test_a_rate_is_seeded_and_each_rate_draws_for_itself() -> None:
    def drawn(seed: int, *, two: bool) -> list[str | None]:
        script = FaultScript(seed)
        script.add_rate(ScriptedFault(fault=Fault.EMPTY, action="add"), 0.3)
        if two:
            script.add_rate(ScriptedFault(fault=Fault.DELAY), 1)
        return names(script, ["add"] * 1000)

    assert drawn(1, two=False) == drawn(1, two=False) != drawn(2, two=False)
    assert [name or "delay" for name in drawn(1, two=False)] == drawn(1, two=True)
    assert 250 < drawn(1, two=False).count("empty") < 350


def test_rates_hold_for_their_action_and_come_after_the_script() -> None:
    script = FaultScript(0)
    script.add_rate(ScriptedFault(fault=Fault.EMPTY, action="add"), 1)
    script.add_rate(ScriptedFault(fault=Fault.DELAY), 0)
    script.add_next(ScriptedFault(fault=Fault.BLOCKED))

    assert names(script, ["add", "add", "status"]) == ["blocked", "empty", None]


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_a_rate_is_a_probability(rate: float) -> None:
    with pytest.raises(ValueError, match="is not between 0 and 1"):
        FaultScript(0).add_rate(ScriptedFault(fault=Fault.EMPTY), rate)


@pytest.mark.parametrize(
    "arguments",
    [{"fault": "thunder"}, {"times": 0}, {"delay_s": -1}, {"retry_after_s": -1}],
)
def test_what_cannot_happen_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"thunder|times|delay_s|retry_after_s"):
        ScriptedFault(**({"fault": Fault.DELAY} | arguments))


def test_the_script_and_the_rates_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "MAX_SCRIPTED", 1)
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY))
    script.add_rate(ScriptedFault(fault=Fault.EMPTY), 0.5)

    with pytest.raises(ValueError, match="1 faults scripted already"):
        script.add_next(ScriptedFault(fault=Fault.EMPTY))
    with pytest.raises(ValueError, match="1 rates already"):
        script.add_rate(ScriptedFault(fault=Fault.EMPTY), 0.5)
