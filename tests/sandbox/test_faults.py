"""Scripted faults and rates: order, matching, seeds, bounds."""

from collections.abc import Iterable
from typing import Any

import pytest

from smmfanfast_async.sandbox import faults
from smmfanfast_async.sandbox.faults import APPLIED, Fault, FaultScript, ScriptedFault


def take_faults(script: FaultScript, actions: Iterable[str]) -> list[str | None]:
    return [fault and fault.fault.value for fault in map(script.pop_fault, actions)]


def test_each_fault_defines_whether_the_action_is_applied() -> None:
    assert set(APPLIED) == set(Fault)
    assert {fault.value for fault, applied in APPLIED.items() if applied} == {
        "delay",
        "php_notice",
        "truncated_body",
        "empty",
        "drop_after",
        "malformed_row",
    }


@pytest.mark.parametrize("fault", Fault)
def test_applied_can_be_set_only_if_the_answer_does_not_depend_on_it(
    fault: Fault,
) -> None:
    default = APPLIED[fault]
    assert ScriptedFault(fault=fault).is_applied is default
    fixed = {"delay", "php_notice", "truncated_body", "malformed_row", "drop_before", "drop_after"}

    if fault.value in fixed:
        with pytest.raises(ValueError, match=f"applied cannot be set for the fault {fault.value}"):
            ScriptedFault(fault=fault, applied=not default)
    else:
        assert ScriptedFault(fault=fault, applied=not default).is_applied is not default


def test_scripted_faults_are_used_in_order() -> None:
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY, times=2))
    script.add_next(ScriptedFault(fault="http_503"))

    assert take_faults(script, ["add"] * 4) == ["empty", "empty", "http_503", None]


def test_fault_applies_only_to_its_action() -> None:
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY, action="add"))
    script.add_next(ScriptedFault(fault=Fault.HTTP_500, action=""))
    script.add_next(ScriptedFault(fault=Fault.HTTP_502))

    assert take_faults(script, ["status", "add", "status", ""]) == [
        "http_502",
        "empty",
        None,
        "http_500",
    ]


def test_pending_faults_are_listed_and_can_be_cleared() -> None:
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY, times=3))
    script.add_rate(ScriptedFault(fault=Fault.DELAY), 1)
    script.pop_fault("add")
    assert script.pending == (ScriptedFault(fault=Fault.EMPTY, times=2),)

    script.clear()

    assert script.pending == ()
    assert script.pop_fault("add") is None


def test_rates_are_seeded_and_independent_of_each_other() -> None:
    def fault_names(seed: int, *, with_second_rate: bool) -> list[str | None]:
        script = FaultScript(seed)
        script.add_rate(ScriptedFault(fault=Fault.EMPTY, action="add"), 0.3)
        if with_second_rate:
            script.add_rate(ScriptedFault(fault=Fault.DELAY), 1)
        return take_faults(script, ["add"] * 1000)

    assert (
        fault_names(1, with_second_rate=False)
        == fault_names(1, with_second_rate=False)
        != fault_names(2, with_second_rate=False)
    )
    assert [name or "delay" for name in fault_names(1, with_second_rate=False)] == fault_names(
        1, with_second_rate=True
    )
    assert 250 < fault_names(1, with_second_rate=False).count("empty") < 350


def test_rates_apply_to_their_action_after_the_script() -> None:
    script = FaultScript(0)
    script.add_rate(ScriptedFault(fault=Fault.EMPTY, action="add"), 1)
    script.add_rate(ScriptedFault(fault=Fault.DELAY), 0)
    script.add_next(ScriptedFault(fault=Fault.BLOCKED))

    assert take_faults(script, ["add", "add", "status"]) == ["blocked", "empty", None]


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_rate_outside_0_to_1_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="must be from 0 to 1"):
        FaultScript(0).add_rate(ScriptedFault(fault=Fault.EMPTY), rate)


@pytest.mark.parametrize(
    "arguments",
    [{"fault": "thunder"}, {"times": 0}, {"delay_s": -1}, {"retry_after_s": -1}],
)
def test_invalid_fault_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"thunder|times|delay_s|retry_after_s"):
        ScriptedFault(**({"fault": Fault.DELAY} | arguments))


def test_number_of_scripted_faults_and_rates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "MAX_SCRIPTED", 1)
    script = FaultScript(0)
    script.add_next(ScriptedFault(fault=Fault.EMPTY))
    script.add_rate(ScriptedFault(fault=Fault.EMPTY), 0.5)

    with pytest.raises(ValueError, match="1 faults are scripted already"):
        script.add_next(ScriptedFault(fault=Fault.EMPTY))
    with pytest.raises(ValueError, match="1 fault rates are set already"):
        script.add_rate(ScriptedFault(fault=Fault.EMPTY), 0.5)


def test_rates_are_shown_in_the_order_of_asking() -> None:
    script = FaultScript(0)
    first, second = ScriptedFault(fault=Fault.EMPTY), ScriptedFault(fault=Fault.DELAY, action="add")
    script.add_rate(first, 0.5)
    script.add_rate(second, 1)

    assert script.rates == ((first, 0.5), (second, 1))
