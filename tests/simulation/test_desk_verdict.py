"""The verdict on desks: each wrong journal is reported, and each correct one passes."""

from datetime import timedelta

import pytest
from attrs import evolve

from smmfanfast_async.journal import Entry, EntryState, EventKind, JournalEvent

from .desk_run import EPOCH, DeskReport, Placed
from .desk_scenario import DeskScenario, Placing
from .desk_verdict import desk_verdict
from .panel import Ledger, Received
from .world import link_of

S = EntryState
REF = "ref-0"
PLACING = Placing(ref=REF, process=0, at_s=0.0, wait_s=None, cancel_after_s=None)


def entry_of(
    state: EntryState = S.ACCEPTED, panel: str | None = "alpha", **changes: object
) -> Entry:
    entry = Entry(
        ref=REF, state=state, created_at=EPOCH, panel=panel, link=link_of(REF),
        order="100" if state in (S.ACCEPTED, S.FINISHED) else None,
        routes={"alpha": "5", "beta": "6"},
    )  # fmt: skip
    return evolve(entry, **changes)


def report_of(
    entry: Entry | None = None,
    stored: str = "",
    received: str = "",
    *,
    result: str | None = "returned",
    unknown_s: float | None = None,
) -> DeskReport:
    """Return the report of one ref.

    `stored` names the panels that have an order for it, `received` the panels that got a request
    and their answers, one each 10 seconds.
    """
    report = DeskReport(DeskScenario.of(0), ledgers={"alpha": Ledger(), "beta": Ledger()})
    report.placed.append(Placed(PLACING, result))
    if entry is not None:
        report.entries[REF] = entry
    for panel in stored.split():
        report.ledgers[panel].store(link_of(REF))
    for wire, each in enumerate(filter(None, received.split("; "))):
        panel, _, kind = each.partition(": ")
        report.ledgers[panel].received.append(Received(link_of(REF), wire, kind))
        report.opened_s[wire] = 10.0 * wire
    if unknown_s is not None:
        at = EPOCH + timedelta(seconds=unknown_s)
        report.events.append(
            JournalEvent(position=1, at=at, ref=REF, kind=EventKind.UNKNOWN, attempt=1)
        )
    return report


@pytest.mark.parametrize(
    "report",
    [
        report_of(result="raised NotSentError"),
        report_of(entry_of(), "alpha", "alpha: placed"),
        report_of(entry_of(S.FINISHED), "alpha", "alpha: placed", result="crashed"),
        report_of(entry_of(panel="beta"), "beta", "alpha: refused; beta: placed"),
        report_of(entry_of(panel="beta"), "beta", "beta: limited; alpha: refused; beta: placed"),
        report_of(entry_of(S.REFUSED), "", "alpha: refused; beta: no service"),
        report_of(entry_of(S.REFUSED), "", "alpha: active"),
        report_of(entry_of(S.REFUSED, is_pinned=True), "", "alpha: refused", unknown_s=5.0),
        report_of(entry_of(S.UNKNOWN), "", "alpha: silent", unknown_s=5.0),
        report_of(entry_of(S.UNKNOWN), "alpha", "alpha: silent", unknown_s=5.0),
        report_of(entry_of(S.HELD), "", "alpha: active"),
        report_of(entry_of(), "alpha", "alpha: active; alpha: placed"),
        report_of(entry_of(S.WITHDRAWN)),
    ],
)
def test_correct_journal_passes(report: DeskReport) -> None:
    assert desk_verdict(report) == []


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (report_of(stored="alpha"), "that the journal does not know"),
        (report_of(entry_of(), "alpha beta"), "ordered 2 times"),
        (report_of(entry_of(), "alpha alpha"), "ordered 2 times"),
        (report_of(entry_of(), ""), "is 100 at alpha, and the panels have []"),
        (report_of(entry_of(), "beta"), "is 100 at alpha, and the panels have"),
        (report_of(entry_of(order="101"), "alpha"), "is 101 at alpha, and the panels have"),
        (report_of(entry_of(S.UNKNOWN), "beta"), "is unknown at alpha, and the panels have"),
        (report_of(entry_of(S.REFUSED), "alpha"), "but the panels have"),
        (report_of(entry_of(S.HELD), "alpha"), "but the panels have"),
        (report_of(entry_of(S.WITHDRAWN), "alpha"), "but the panels have"),
        (report_of(entry_of(S.SENDING)), "is not settled in the end"),
        (report_of(entry_of(S.PREPARED)), "is not settled in the end"),
        (report_of(entry_of(S.REFUSED), "", "alpha: refused"), "but beta was not asked"),
        (
            report_of(entry_of(panel="beta"), "beta", "alpha: silent; beta: placed"),
            "sent to beta after alpha had answered it: silent",
        ),
        (
            report_of(entry_of(panel="beta"), "beta", "alpha: active; beta: placed"),
            "sent to beta after alpha had answered it: active",
        ),
        (
            report_of(entry_of(), "alpha", "alpha: refused; alpha: placed", unknown_s=5.0),
            "sent to alpha after its outcome was unknown",
        ),
        (
            report_of(entry_of(S.REFUSED), "", "alpha: refused; beta: refused; alpha: refused"),
            "sent to alpha again, which had refused it",
        ),
        (report_of(result="foreign KeyError: 1"), "placing it foreign KeyError"),
        (report_of(result=None), "placing it never ended"),
    ],
)
def test_wrong_journal_is_reported(report: DeskReport, message: str) -> None:
    assert any(message in text for text in desk_verdict(report))


def test_result_that_is_no_order_is_reported() -> None:
    report = report_of(entry_of(S.UNKNOWN))
    report.placed[0].entry = entry_of()

    assert any("which is not its order" in text for text in desk_verdict(report))


@pytest.mark.parametrize(("panel", "errors"), [("alpha", 0), ("beta", 1)])
def test_order_that_was_unknown_stays_at_its_panel_after_a_decision(
    panel: str, errors: int
) -> None:
    received = f"alpha: silent; {panel}: placed"
    report = report_of(entry_of(panel=panel), panel, received, unknown_s=5.0)
    report.decided[REF] = (7.0, "alpha")

    assert len(desk_verdict(report)) == errors


def test_leftovers_are_reported() -> None:
    report = report_of(entry_of(), "alpha", "alpha: placed")
    report.left, report.loop_errors = ["task x"], ["never retrieved"]
    report.unexpected_addresses, report.shared = [("127.0.0.1", 1)], ["wire 3 of a"]

    assert len(desk_verdict(report)) == 4
