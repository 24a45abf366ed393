"""Compare the journal of desks with what all panels stored; return contradictions as sentences."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from smmfanfast_async.journal import Entry, EntryState, EventKind

from .desk_run import EPOCH, DeskReport
from .panel import Received
from .world import link_of

__all__ = ["desk_verdict", "orders_of"]

_S = EntryState

ROUNDING_S = 1e-6
"""Seconds to which the journal rounds its times; where nothing takes time, an order is sent and
unknown at the same moment."""

FAILOVER_ANSWERS = {"refused", "refused with 400", "no service", "challenged"}
"""Answers that each panel gives to a ref once: the order goes on to the next panel."""

_RESULTS = {
    "returned", "cancelled", "crashed", "raised NotSentError", "raised JournalError",
    "raised ClosedError", "raised PausedError", "raised RefusedError", "raised BlockedError",
    "raised RateLimitError",
}  # fmt: skip
"""How `place` may end here; what it raises says that nothing was sent."""


def desk_verdict(report: DeskReport) -> list[str]:
    """Return every error of a run as a sentence; an empty list means a correct run."""
    wrong = [f"left behind: {each}" for each in report.left]
    wrong += [f"the loop reported: {each}" for each in report.loop_errors]
    wrong += [f"an order had no connection of its own: {each}" for each in report.shared]
    wrong += [f"connected to an unexpected address: {each}" for each in report.unexpected_addresses]
    refs = {each.placing.ref for each in report.placed}
    for panel, ledger in report.ledgers.items():
        strays = set(ledger.orders.values()) - {link_of(ref) for ref in report.entries}
        wrong += [f"{panel} has an order that the journal does not know: {each}" for each in strays]
    for ref in sorted(refs | report.entries.keys()):
        wrong += [f"{ref}: {text}" for text in _result_errors(report, ref)]
        entry = report.entries.get(ref)
        if entry is not None:
            wrong += [f"{ref} ({entry.state}): {text}" for text in _entry_errors(report, entry)]
    return wrong


def orders_of(report: DeskReport, ref: str) -> list[tuple[str, str]]:
    """Return the orders of a ref over all panels, each as panel and id."""
    return [
        (panel, str(order))
        for panel, ledger in report.ledgers.items()
        for order, link in ledger.orders.items()
        if link == link_of(ref)
    ]


def received_of(report: DeskReport, ref: str) -> list[tuple[str, Received]]:
    """Return the requests to order for a ref over all panels, in the order of their connections."""
    received = [
        (panel, each)
        for panel, ledger in report.ledgers.items()
        for each in ledger.received_for(link_of(ref))
    ]
    return sorted(received, key=lambda each: each[1].wire)


def _result_errors(report: DeskReport, ref: str) -> Iterator[str]:
    for each in report.placed:
        if each.placing.ref != ref:
            continue
        if each.result not in _RESULTS:
            yield f"placing it {each.result or 'never ended'}"
        entry = each.entry
        if entry is None or entry.state not in (_S.ACCEPTED, _S.FINISHED):
            continue
        if (entry.panel, entry.order) not in orders_of(report, ref):
            yield f"placing it returned {entry.order} at {entry.panel}, which is not its order"


def _entry_errors(report: DeskReport, entry: Entry) -> Iterator[str]:
    orders = orders_of(report, entry.ref)
    if len(orders) > 1:
        yield f"ordered {len(orders)} times, {orders}"
    match entry.state:
        case _S.PREPARED | _S.SENDING:
            yield "is not settled in the end"
        case _S.ACCEPTED | _S.FINISHED:
            if orders != [(entry.panel, entry.order)]:
                yield f"is {entry.order} at {entry.panel}, and the panels have {orders}"
        case _S.UNKNOWN:
            if {panel for panel, _ in orders} - {entry.panel}:
                yield f"is unknown at {entry.panel}, and the panels have {orders}"
        case _:
            if orders:
                yield f"but the panels have {orders}"
    yield from _sending_errors(report, entry)
    yield from _refusal_errors(report, entry)


def _sending_errors(report: DeskReport, entry: Entry) -> Iterator[str]:
    """Yield what was sent though that was not allowed, before and after a person's decision."""
    decided_s, pinned = report.decided.get(entry.ref, (math.inf, None))
    received = received_of(report, entry.ref)
    before = [each for each in received if report.opened_s[each[1].wire] < decided_s]
    yield from _answer_errors(before)
    unknown_s = min(
        ((each.at - EPOCH).total_seconds() for each in report.events
         if each.ref == entry.ref and each.kind is EventKind.UNKNOWN),
        default=math.inf,
    )  # fmt: skip
    for panel, each in before:
        if report.opened_s[each.wire] > unknown_s + ROUNDING_S:
            yield f"sent to {panel} after its outcome was unknown"
    for panel, _ in received[len(before) :]:
        if panel != pinned:
            yield f"sent to {panel}, though it was unknown at {pinned}"


def _answer_errors(received: list[tuple[str, Received]]) -> Iterator[str]:
    """Yield what was sent though the answer before it did not allow that."""
    for (panel, each), (next_panel, _) in pairwise(received):
        # An order for this link that is active may be that of the ref: no other panel may get it.
        is_duplicate = each.kind == "active" and next_panel != panel
        if not each.is_refused or is_duplicate:
            yield f"sent to {next_panel} after {panel} had answered it: {each.kind}"
    refusals = Counter(panel for panel, each in received if each.kind in FAILOVER_ANSWERS)
    for panel, count in refusals.items():
        if count > 1:
            yield f"sent to {panel} again, which had refused it"


def _refusal_errors(report: DeskReport, entry: Entry) -> Iterator[str]:
    """Yield the panels that a refused order should have gone to."""
    received = received_of(report, entry.ref)
    is_duplicate = any(each.kind == "active" for _, each in received)
    if entry.state is not _S.REFUSED or entry.is_pinned or is_duplicate:
        return
    for panel in entry.routes.keys() - {panel for panel, each in received if each.is_refused}:
        yield f"but {panel} was not asked"
