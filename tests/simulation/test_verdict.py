"""The verdict: each wrong result is reported, and each correct one passes."""

import math

import pytest

from .panel import Ledger, Received
from .run import Call, Close, Report
from .scenario import Op, Scenario
from .verdict import verdict
from .world import link_of


def report_of(
    result: str | None = "placed",
    verb: str = "add",
    stored: int = 1,
    *,
    op: Op | None = None,
    order: str | None = "100",
    ended_s: float | None = 0.5,
    waited_s: float | None = None,
    asked: str = "100",
    bytes_left: int = 0,
) -> Report:
    """Return a run of one call, with `stored` orders for its link."""
    report = Report(Scenario.of(1), ledger=Ledger())
    call = Call("a", verb, 0.0, op, asked=asked, result=result, order=order)
    call.ended_s, call.waited_s = ended_s, waited_s
    report.calls.append(call)
    report.bytes_of["a"] = bytes_left
    report.spans.append((0.0, math.inf))
    for _ in range(stored):
        report.ledger.store(link_of("a"))
    return report


@pytest.mark.parametrize(
    "report",
    [
        report_of("placed"),
        report_of("refused", stored=0),
        report_of("not sent", stored=0),
        report_of("unknown", stored=0),
        report_of("unknown", stored=1),
        report_of("cancelled", stored=1),
        report_of("crashed", stored=1, ended_s=None),
        report_of("read", "status"),
        report_of("not found", "status", asked="999"),
        report_of("no read", "balance"),
    ],
    ids=lambda report: report.calls[0].result,
)
def test_correct_result_passes(report: Report) -> None:
    assert verdict(report) == []


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (report_of("placed", stored=2), "ordered 2 times"),
        (report_of("unknown", stored=2), "ordered 2 times"),
        (report_of("placed", stored=0), "is not an order for"),
        (report_of("placed", order="101"), "is not an order for"),
        (report_of("placed", order=None), "is not an order for"),
        (report_of("refused"), "but the panel has the order"),
        (report_of("not sent"), "but the panel has the order"),
        (report_of("not sent", stored=0, bytes_left=1), "1 bytes left"),
        (report_of("foreign KeyError: 1"), "is not a result of an add"),
        (report_of("foreign KeyError: 1", "status"), "is not a result of a read"),
        (report_of("unknown", "balance"), "is not a result of a read"),
        (report_of("read", "status", stored=0), "there is no order 100"),
        (report_of("not found", "status"), "there is an order 100"),
        (report_of(None, ended_s=None), "never ended"),
        (report_of("read", "balance", ended_s=99.0), "took 99.0 s"),
        (report_of("placed", ended_s=1e6), "took 1000000.0 s"),
        (report_of("placed", op=Op(verb="add", after_s=0.0, wait_s=0.2)), "waited 0.5 s of 0.2"),
        (
            report_of("placed", op=Op(verb="add", after_s=0.0, wait_s=0.2), waited_s=0.3),
            "waited 0.3 s of 0.2",
        ),
    ],
)
def test_wrong_result_is_reported(report: Report, message: str) -> None:
    assert any(message in text for text in verdict(report))


def test_add_sent_twice_is_reported_though_stored_once() -> None:
    report = report_of()
    report.ledger.received = [Received(link_of("a"))] * 2

    assert verdict(report) == ["a (placed): sent 2 times"]


def test_leftovers_are_reported() -> None:
    report = report_of()
    report.left, report.loop_errors = ["task x"], ["never retrieved"]
    report.unexpected_addresses, report.shared = [("127.0.0.1", 1)], ["wire 3 of a"]

    assert len(verdict(report)) == 4


def test_slow_closing_is_reported() -> None:
    report = report_of()
    report.closes = [Close(0, 1.0, 30.0)]

    assert verdict(report) == ["closing took 29.0 s"]


def test_add_that_continues_after_closing_is_reported() -> None:
    report = report_of(ended_s=5.0)
    report.closes = [Close(0, 1.0, 2.0)]

    assert verdict(report) == ["a (placed): continued for 3.0 s after closing"]


def test_closing_of_another_process_does_not_count() -> None:
    report = report_of(ended_s=5.0)
    report.closes = [Close(1, 1.0, 2.0)]

    assert verdict(report) == []


@pytest.mark.parametrize(
    "spans", [[(300.0, 400.0)], [(0.0, 100.0)], [(0.0, 100.0), (50.0, 90.0), (300.0, 400.0)]]
)
def test_long_wait_without_a_connection_is_reported(
    spans: list[tuple[float, float]],
) -> None:
    report = report_of(ended_s=400.0)
    report.spans = spans

    assert any("while nothing was in flight" in text for text in verdict(report))


def test_short_wait_between_two_connections_passes() -> None:
    report = report_of(ended_s=40.0)
    report.spans = [(-9.0, -1.0), (2.0, 10.0), (25.0, 39.0)]

    assert verdict(report) == []
