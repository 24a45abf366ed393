"""Compare the results of calls with what the panel stored; return contradictions as sentences."""

from collections.abc import Iterator

from .run import Call, Report
from .world import link_of

__all__ = ["verdict"]

ROUNDING_S = 1.1
"""aiohttp rounds time-outs above 5 seconds up to a whole second."""

SEND_LIMIT_S = 140.0
"""Seconds for one attempt to send an order, as documented."""

CLOSE_LIMIT_S = 10.0 + 5.0
"""Seconds that closing may take: orders in flight, then connections."""

RATE_WAIT_S = 60.0
"""Seconds for which a limit of calls per minute delays a call, at most."""

TURN_S = 0.01
"""Seconds between two turns of the loop, at most."""

_ADD_RESULTS = {"placed", "refused", "not sent", "unknown", "cancelled", "crashed"}
_READ_RESULTS = {"read", "no read", "not sent", "not found", "cancelled", "crashed"}


def verdict(report: Report) -> list[str]:
    """Return every error of a run as a sentence; an empty list means a correct run."""
    wrong = [f"left behind: {each}" for each in report.left]
    wrong += [f"the loop reported: {each}" for each in report.loop_errors]
    wrong += [f"an order had no connection of its own: {each}" for each in report.shared]
    wrong += [f"connected to an unexpected address: {each}" for each in report.unexpected_addresses]
    for call in report.calls:
        check = _add_errors if call.verb == "add" else _read_errors
        wrong += [f"{call.name} ({call.result}): {text}" for text in check(report, call)]
        wrong += [f"{call.name} ({call.result}): {text}" for text in _deadline_errors(report, call)]
    wrong += [
        f"closing took {each.ended_s - each.started_s:.1f} s"
        for each in report.closes
        if each.ended_s - each.started_s > CLOSE_LIMIT_S + ROUNDING_S
    ]
    return wrong


def _add_errors(report: Report, call: Call) -> Iterator[str]:
    link, ledger = link_of(call.name), report.ledger
    stored = ledger.count(link)
    if call.result not in _ADD_RESULTS:
        yield "is not a result of an add"
    if stored > 1:
        yield f"ordered {stored} times"
    sent = len(ledger.received_for(link))
    if sent > 1:
        yield f"sent {sent} times"
    if call.result in {"refused", "not sent"} and stored:
        yield "but the panel has the order"
    if call.result == "not sent" and report.bytes_of[call.name]:
        yield f"but {report.bytes_of[call.name]} bytes left"
    if call.result == "placed" and not _is_order_of(report, call.order, link):
        yield f"but {call.order} is not an order for {link}"


def _is_order_of(report: Report, order: str | None, link: str) -> bool:
    return any(str(each) == order for each, held in report.ledger.orders.items() if held == link)


def _read_errors(report: Report, call: Call) -> Iterator[str]:
    if call.result not in _READ_RESULTS:
        yield "is not a result of a read"
    exists = call.asked in map(str, report.ledger.orders)
    if call.verb == "status" and call.result == "read" and not exists:
        yield f"but there is no order {call.asked}"
    if call.verb == "status" and call.result == "not found" and exists:
        yield f"but there is an order {call.asked}"


def _deadline_errors(report: Report, call: Call) -> Iterator[str]:
    """Yield the deadlines that a call missed; a crashed call has none."""
    if call.result == "crashed":
        return
    if call.ended_s is None:
        yield "never ended"
        return
    setup, took_s = report.scenario.setup, call.ended_s - call.started_s
    if call.verb != "add":
        if took_s > setup.timeout_s + ROUNDING_S:
            yield f"took {took_s:.1f} s of {setup.timeout_s:.1f}"
        return
    wait_s = call.op.wait_s if call.op is not None else None
    waited_s = took_s if call.waited_s is None else call.waited_s
    if wait_s is not None and waited_s > wait_s + TURN_S:
        yield f"waited {waited_s:.1f} s of {wait_s:.1f}"
    if took_s > _max_add_s(report):
        yield f"took {took_s:.1f} s, more than {_max_add_s(report):.1f}"
    idle_s = _idle_s(report, call.started_s, call.ended_s)
    if idle_s > _max_pause_s(report) + ROUNDING_S:
        yield f"waited {idle_s:.1f} s while nothing was in flight"
    yield from _close_errors(report, call, call.ended_s)


def _close_errors(report: Report, call: Call, ended_s: float) -> Iterator[str]:
    for close in report.closes:
        late_s = ended_s - close.ended_s
        if call.life == close.life and call.started_s <= close.started_s and late_s > TURN_S:
            yield f"continued for {late_s:.1f} s after closing"


def _idle_s(report: Report, started_s: float, ended_s: float) -> float:
    """Return the longest time in which there was no connection at all."""
    longest_s, busy_until_s = 0.0, started_s
    for span in sorted(report.spans):
        if span[1] > started_s:
            longest_s = max(longest_s, min(span[0], ended_s) - busy_until_s)
            busy_until_s = max(busy_until_s, span[1])
    return max(longest_s, ended_s - busy_until_s)


def _max_pause_s(report: Report) -> float:
    """Return the longest allowed wait without a connection: panel pause, retry, rate limit."""
    setup = report.scenario.setup
    pace_s = 0.0 if setup.calls_per_minute is None else RATE_WAIT_S
    return max(setup.retry.max_retry_after_s, setup.retry.max_delay_s, pace_s)


def _max_add_s(report: Report) -> float:
    """Return the longest allowed `add`: all orders and reads before it, and every pause."""
    setup = report.scenario.setup
    adds = sum(each.verb == "add" for each in report.calls)
    reads = len(report.calls) - adds
    add_s = setup.retry.max_attempts * (SEND_LIMIT_S + ROUNDING_S + _max_pause_s(report))
    read_s = setup.timeout_s + ROUNDING_S + _max_pause_s(report)
    return adds * add_s + reads * read_s
