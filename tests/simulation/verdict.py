"""Compare what callers were told with what the panel stored: the lies, if any, as sentences."""

from collections.abc import Iterator

from .run import Call, Report, link_of

__all__ = ["verdict"]

ROUNDING_S = 1.1
"""aiohttp rounds time-outs above 5 seconds up to a whole second."""

SENDING_S = 140.0
"""Seconds for one sending of an order, as documented."""

CLOSING_S = 10.0 + 5.0
"""Seconds that closing may take: orders on their way, then connections."""

PACE_S = 60.0
"""Seconds that a pace of so many calls a minute holds a call back, at most."""

TURN_S = 0.01
"""What passes between two turns at most."""

_TRUTHS = {"placed", "refused", "not sent", "unknown", "cancelled", "crashed"}
_READS = {"read", "no read", "not sent", "not found", "cancelled", "crashed"}


def verdict(report: Report) -> list[str]:
    """Give what is wrong; an empty list is a run in which all was true."""
    wrong = [f"left behind: {each}" for each in report.left]
    wrong += [f"the loop complains: {each}" for each in report.complaints]
    wrong += [f"an order had no connection of its own: {each}" for each in report.kept]
    wrong += [f"went to a strange address: {each}" for each in report.strangers]
    for call in report.calls:
        check = _wrong_add if call.verb == "add" else _wrong_read
        wrong += [f"{call.name} ({call.told}): {text}" for text in check(report, call)]
        wrong += [f"{call.name} ({call.told}): {text}" for text in _late(report, call)]
    wrong += [
        f"closing took {each.ended_s - each.begun_s:.1f} s"
        for each in report.closes
        if each.ended_s - each.begun_s > CLOSING_S + ROUNDING_S
    ]
    return wrong


def _wrong_add(report: Report, call: Call) -> Iterator[str]:
    link, ledger = link_of(call.name), report.ledger
    stored = ledger.count(link)
    if call.told not in _TRUTHS:
        yield "no way for an add to end"
    if stored > 1:
        yield f"ordered {stored} times"
    if ledger.seen.count(link) > 1:
        yield f"sent {ledger.seen.count(link)} times"
    if call.told in {"refused", "not sent"} and stored:
        yield "but the panel has the order"
    if call.told == "not sent" and report.bytes_of[call.name]:
        yield f"but {report.bytes_of[call.name]} bytes left"
    if call.told == "placed" and not _is_order_of(report, call.order, link):
        yield f"but {call.order} is no order for {link}"


def _is_order_of(report: Report, order: str | None, link: str) -> bool:
    return any(str(each) == order for each, held in report.ledger.orders.items() if held == link)


def _wrong_read(report: Report, call: Call) -> Iterator[str]:
    if call.told not in _READS:
        yield "no way for a read to end"
    exists = call.asked in map(str, report.ledger.orders)
    if call.verb == "status" and call.told == "read" and not exists:
        yield f"but there is no order {call.asked}"
    if call.verb == "status" and call.told == "not found" and exists:
        yield f"but there is an order {call.asked}"


def _late(report: Report, call: Call) -> Iterator[str]:
    """Say which deadline a call missed; one that was crashed has none."""
    if call.told == "crashed":
        return
    if call.ended_s is None:
        yield "never ended"
        return
    setup, took_s = report.scenario.setup, call.ended_s - call.begun_s
    if call.verb != "add":
        if took_s > setup.timeout_s + ROUNDING_S:
            yield f"took {took_s:.1f} s of {setup.timeout_s:.1f}"
        return
    wait_s = call.op.wait_s if call.op is not None else None
    waited_s = took_s if call.waited_s is None else call.waited_s
    if wait_s is not None and waited_s > wait_s + TURN_S:
        yield f"waited {waited_s:.1f} s of {wait_s:.1f}"
    if took_s > _longest_add_s(report):
        yield f"took {took_s:.1f} s, more than {_longest_add_s(report):.1f}"
    idle_s = _idle_s(report, call.begun_s, call.ended_s)
    if idle_s > _longest_pause_s(report) + ROUNDING_S:
        yield f"waited {idle_s:.1f} s while nothing was under way"
    yield from _after_the_close(report, call, call.ended_s)


def _after_the_close(report: Report, call: Call, ended_s: float) -> Iterator[str]:
    for close in report.closes:
        late_s = ended_s - close.ended_s
        if call.life == close.life and call.begun_s <= close.begun_s and late_s > TURN_S:
            yield f"went on for {late_s:.1f} s after the close"


def _idle_s(report: Report, begun_s: float, ended_s: float) -> float:
    """Give the longest time between two moments in which there was no connection at all."""
    longest_s, busy_until_s = 0.0, begun_s
    for span in sorted(report.spans):
        if span[1] > begun_s:
            longest_s = max(longest_s, min(span[0], ended_s) - busy_until_s)
            busy_until_s = max(busy_until_s, span[1])
    return max(longest_s, ended_s - busy_until_s)


def _longest_pause_s(report: Report) -> float:
    """Bound a wait in which nothing is under way: for the panel, for a repeat, for the pace."""
    setup = report.scenario.setup
    pace_s = 0.0 if setup.calls_per_minute is None else PACE_S
    return max(setup.retry.max_retry_after_s, setup.retry.max_delay_s, pace_s)


def _longest_add_s(report: Report) -> float:
    """Bound an `add` by all that may go before it: each order and read in turn, and each pause."""
    setup = report.scenario.setup
    adds = sum(each.verb == "add" for each in report.calls)
    reads = len(report.calls) - adds
    add_s = setup.retry.max_attempts * (SENDING_S + ROUNDING_S + _longest_pause_s(report))
    read_s = setup.timeout_s + ROUNDING_S + _longest_pause_s(report)
    return adds * add_s + reads * read_s
