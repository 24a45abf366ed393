"""What a sandbox records: its settings, commands and requests."""

import inspect
from decimal import Decimal

import pytest

from smmfanfast_async.sandbox import Fault, Sandbox
from smmfanfast_async.sandbox.faults import ScriptedFault
from smmfanfast_async.sandbox.recording import (
    MAX_REPLAY_STEPS,
    CommandStep,
    Recorder,
    collect_settings,
    recorded,
)
from smmfanfast_async.sandbox.replies import HttpReply
from smmfanfast_async.sandbox.traffic import MAX_TEXT_CHARACTERS, Exchange


class Machine:
    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self.now_s = 5.0

    @recorded
    def turn(self, by: int, *, again: bool = False) -> None:
        if by < 0:
            raise ValueError(by)
        self.now_s += by


def test_calls_are_recorded_with_the_given_arguments_and_their_time() -> None:
    recorder = Recorder("test-key", {})
    machine = Machine(recorder)
    machine.turn(3)
    machine.turn(by=4, again=True)

    assert recorder.steps == [
        CommandStep(5.0, "turn", {"by": 3}),
        CommandStep(8.0, "turn", {"by": 4, "again": True}),
    ]
    assert (recorder.count, recorder.is_complete) == (2, True)


def test_calls_that_fail_are_not_recorded() -> None:
    recorder = Recorder("test-key", {})
    with pytest.raises(ValueError, match="-1"):
        Machine(recorder).turn(-1)

    assert recorder.count == 0


def test_nothing_is_recorded_without_a_recorder() -> None:
    machine = Machine(None)
    machine.turn(1)

    assert machine.now_s == 6


def test_first_steps_are_kept_and_the_rest_is_counted() -> None:
    recorder = Recorder("test-key", {})
    machine = Machine(recorder)
    for _ in range(MAX_REPLAY_STEPS + 2):
        machine.turn(1)

    assert len(recorder.steps) == MAX_REPLAY_STEPS
    assert recorder.count == MAX_REPLAY_STEPS + 2
    assert not recorder.is_complete


def test_steps_end_at_a_request_that_was_cut() -> None:
    recorder = Recorder("test-key", {})
    machine = Machine(recorder)
    machine.turn(1)
    recorder.add_request(0, {"x": "x" * (MAX_TEXT_CHARACTERS + 1)}, None, [], HttpReply(), 0)
    machine.turn(1)

    assert len(recorder.steps) == 1
    assert (recorder.count, recorder.is_complete) == (3, False)


def test_requests_are_recorded_as_they_were_answered() -> None:
    recorder = Recorder("test-key", {})
    scripted = ScriptedFault(fault=Fault.DELAY)
    reply = HttpReply(body=b"\xff", wait_s=0.5)
    recorder.add_request(2, {"action": "add"}, scripted, [{"order": 7}], reply, 0.25)
    recorder.add_request(3, {"action": "add"}, None, [], HttpReply(is_dropped=True), 0)
    recorder.add_request(3, {"action": "status"}, None, [{"order": "7"}], HttpReply(), 0)
    recorder.add_request(3, {"action": "add"}, None, [{"error": "no"}], HttpReply(), 0)

    first, second, third, fourth = recorder.traffic
    assert recorder.steps == [first, second, third, fourth]
    assert isinstance(first, Exchange)
    assert (first.at_s, first.order, first.fault, first.answer) == (2, "7", "delay", "\ufffd")
    assert (first.duration_ms, first.http_status, first.is_applied) == (750, 200, True)
    assert (second.http_status, second.is_applied, second.order) == (None, False, None)
    assert (third.order, fourth.order) == (None, None)


def test_settings_are_those_that_a_test_has_to_repeat() -> None:
    given = {"seed": 7, "balance": Decimal("5.50"), "speed": 60.0, "api_key": "test-x", "port": 1}
    defaults = {
        name: parameter.default for name, parameter in inspect.signature(Sandbox).parameters.items()
    }

    assert collect_settings(Sandbox, defaults | given) == {"seed": 7, "balance": "5.50"}
