"""What is in a sandbox, as JSON values for the control API: in pages, and cut to a readable size.

Pure: it only reads, at the panel's current time. Amounts are texts, times are panel seconds.
"""

from collections.abc import Callable, Mapping
from itertools import islice

from .clock import PanelClock
from .faults import APPLIED, Fault, FaultScript
from .orders import FINAL_STATES, State, parse_state
from .panel import Panel
from .recording import Recorder
from .replay import write_test
from .rows import (
    Json,
    cut,
    fault_row,
    format_amount,
    order_row,
    request_row,
    service_row,
    sort_timeline,
)
from .services import SandboxService
from .traffic import MAX_EXCHANGES, Exchange, format_curl

__all__ = ["MAX_ROWS", "Reading", "ReadingError"]

MAX_ROWS = 200
"""The most rows of one answer: more than a screen shows. The next ones have a higher `offset`."""

MAX_TIMELINE = 500
"""The most requests in the timeline of one order, the last ones."""

MAX_FIELD_CHARACTERS = 16 * 1024
"""The longest field of one order that is shown."""

COUNT_SHARE = 10
"""Counting the states of many open orders takes at most one part in so many of the time."""


class ReadingError(Exception):
    """A filter or page that cannot be read; the text says why."""


class Reading:
    """Read the parts of one sandbox."""

    def __init__(
        self,
        *,
        panel: Panel,
        script: FaultScript,
        clock: PanelClock,
        recorder: Recorder,
        url: Callable[[], str],
        real_clock: Callable[[], float],
    ) -> None:
        """`url` returns the address of the panel, `real_clock` real seconds."""
        self.panel = panel
        self.recorder = recorder
        self._script = script
        self._clock = clock
        self._url = url
        self._counts = StateCounts(panel, recorder, real_clock)

    @property
    def revision(self) -> int:
        """A number that changes with every request and command."""
        return self.recorder.count

    def state(self, _query: Mapping[str, str]) -> Json:
        """Return the clock, the money and the counts."""
        now_s = self._advance()
        ledger = self.panel.ledger
        counts = self._counts.get(now_s)
        return {
            "revision": self.revision,
            "url": self._url(),
            "dialect": self.panel.dialect.name,
            "actions": list(self.panel.dialect.actions),
            "now_s": now_s,
            "speed": self._clock.speed,
            "balance": format_amount(ledger.balance),
            "currency": self.panel.currency,
            "spent": format_amount(ledger.money.spent),
            "refunded": format_amount(ledger.money.refunded),
            "orders": {"total": len(ledger), "by_status": {**counts}},
            "requests": {
                "total": self.recorder.traffic.count,
                "kept": len(self.recorder.traffic),
                "max_kept": MAX_EXCHANGES,
            },
            "faults": {
                "pending": sum(each.times for each in self._script.pending),
                "rates": len(self._script.rates),
            },
            "services": {
                "available": len(self.panel.services),
                "unavailable": len(self.panel.unavailable),
            },
        }

    def orders(self, query: Mapping[str, str]) -> Json:
        """Return a page of the orders, the newest first.

        Filters: `status` (a status, "open" or "final"), `service` and `link` (a part of it).
        """
        now_s = self._advance()
        _check_names(query, "status", "service", "link")
        ids = self.panel.ledger.find(
            now_s,
            states=_parse_states(query.get("status", "")),
            service=query.get("service", "").strip(),
            link=query.get("link", "").strip(),
        )
        offset, limit = _read_window(query)
        rows: list[Json] = [self._row(order, now_s) for order in ids[offset : offset + limit]]
        return {"total": len(ids), "offset": offset, "rows": rows}

    def order(self, order: str) -> Json:
        """Return one order with its form and its timeline; KeyError if it is unknown."""
        now_s = self._advance()
        stored = self.panel.ledger.snapshot(order, now_s)
        refills = [
            refill
            for refill in self.panel.snapshot_refills(now_s).values()
            if refill.order == order
        ]
        ids = frozenset(each.refill for each in refills)
        about = [each for each in self.recorder.traffic if each.is_about(order, ids)]
        states = self.panel.ledger.list_states(order, now_s)
        return self._row(order, now_s) | {
            "link": stored.link[:MAX_FIELD_CHARACTERS],
            "fields": {
                name: cut(value, MAX_FIELD_CHARACTERS) for name, value in stored.fields.items()
            },
            "refills": [
                {"refill": each.refill, "status": each.status.value, "created_s": each.created_s}
                for each in refills
            ],
            "orders": list(stored.orders),
            "timeline": sort_timeline(states, about[-MAX_TIMELINE:], order),
            "earlier_requests": max(len(about) - MAX_TIMELINE, 0),
        }

    def requests(self, query: Mapping[str, str]) -> Json:
        """Return a page of the kept requests, the newest first.

        Filters: `action`, `fault` (a fault, "any" or "none") and `text` (in the form or answer).
        """
        _check_names(query, "action", "fault", "text")
        action, fault = query.get("action", ""), query.get("fault", "")
        text = query.get("text", "").strip().lower()
        found = [
            each
            for each in reversed(self.recorder.traffic)
            if action in ("", each.action) and _meets(each, fault) and _has_text(each, text)
        ]
        offset, limit = _read_window(query)
        return {
            "total": len(found),
            "offset": offset,
            "rows": [request_row(each) for each in found[offset : offset + limit]],
        }

    def request(self, number: str) -> Json:
        """Return one request whole, with a shell command that repeats it; KeyError if unknown."""
        if not (number.isascii() and number.isdecimal() and len(number) < len(str(2**63))):
            raise KeyError(number)
        try:
            exchange = self.recorder.traffic.get(int(number))
        except KeyError:
            raise KeyError(number) from None
        return request_row(exchange) | {
            "fields": dict(exchange.fields),
            "answer": exchange.answer,
            "is_cut": exchange.is_cut,
            "curl": format_curl(exchange, self._url()),
        }

    def services(self, query: Mapping[str, str]) -> Json:
        """Return a page of the services in the order of the list; filter: `text`."""
        _check_names(query, "text")
        words = query.get("text", "").lower().split()
        found = [
            (service, is_available)
            for service, is_available in self.panel.list_services()
            if all(word in _service_text(service) for word in words)
        ]
        offset, limit = _read_window(query)
        rows: list[Json] = [service_row(*each) for each in found[offset : offset + limit]]
        return {"total": len(found), "offset": offset, "rows": rows}

    def faults(self, query: Mapping[str, str]) -> Json:
        """Return a page of the scripted faults, all rates, and the faults there are."""
        _check_names(query)
        offset, limit = _read_window(query)
        pending = self._script.pending
        rates = [
            fault_row(scripted) | {"rate": rate}
            for scripted, rate in islice(self._script.rates, MAX_ROWS)
        ]
        return {
            "total": len(pending),
            "offset": offset,
            "rows": [fault_row(each) for each in pending[offset : offset + limit]],
            "rates": list(rates),
            "known": [{"fault": fault.value, "applied": APPLIED[fault]} for fault in Fault],
        }

    def account(self, _query: Mapping[str, str]) -> Json:
        """Return the balance, and the money that was moved, in steps of panel time."""
        now_s = self._advance()
        ledger = self.panel.ledger
        money = ledger.money
        return {
            "now_s": now_s,
            "balance": format_amount(ledger.balance),
            "currency": self.panel.currency,
            "spent": format_amount(money.spent),
            "refunded": format_amount(money.refunded),
            "added": format_amount(money.added),
            "step_s": money.step_s,
            "steps": [
                {
                    "at_s": each.at_s,
                    "spent": format_amount(each.spent),
                    "refunded": format_amount(each.refunded),
                    "added": format_amount(each.added),
                }
                for each in money.steps
            ],
        }

    def test(self, _query: Mapping[str, str]) -> Json:
        """Return a pytest test that repeats what happened since the sandbox was created."""
        now_s = self._advance()
        orders = list(self.panel.snapshot_orders(now_s).values())
        return {
            "text": write_test(self.recorder, orders, now_s),
            "steps": len(self.recorder.steps),
            "is_complete": self.recorder.is_complete,
        }

    def _row(self, order: str, now_s: float) -> dict[str, Json]:
        ledger = self.panel.ledger
        return order_row(ledger.snapshot(order, now_s), ledger.get_service(order))

    def _advance(self) -> float:
        now_s = self._clock.now_s()
        self.panel.ledger.run_due_events(now_s)
        return now_s


class StateCounts:
    """Count orders by state, and seldom enough that many open orders cost little time."""

    def __init__(self, panel: Panel, recorder: Recorder, real_clock: Callable[[], float]) -> None:
        """`real_clock` returns real seconds."""
        self._panel = panel
        self._recorder = recorder
        self._real_clock = real_clock
        self._counts: Mapping[str, int] = {}
        self._valid_until_s = -1.0
        self._at: tuple[int, float] | None = None

    def get(self, now_s: float) -> Mapping[str, int]:
        """Return the number of orders by state, of which none is 0."""
        started_s = self._real_clock()
        at = (self._recorder.count, now_s)
        if at != self._at and started_s >= self._valid_until_s:
            counts = self._panel.ledger.count_states(now_s)
            self._counts = {state.value: counts[state] for state in State if counts[state]}
            ended_s = self._real_clock()
            self._valid_until_s = ended_s + (ended_s - started_s) * COUNT_SHARE
            self._at = at
        return self._counts


def _parse_states(word: str) -> frozenset[State] | None:
    if word == "open":
        return frozenset(State) - FINAL_STATES
    if word == "final":
        return FINAL_STATES
    try:
        return frozenset({parse_state(word)}) if word else None
    except ValueError as error:
        raise ReadingError(str(error)) from None


def _check_names(query: Mapping[str, str], *filters: str) -> None:
    for name in query:
        if name not in (*filters, "offset", "limit"):
            known = ", ".join((*filters, "offset", "limit"))
            raise ReadingError(f"there is no filter {name!r}; use one of {known}")


def _read_window(query: Mapping[str, str]) -> tuple[int, int]:
    """Return offset and limit of a page."""
    limit = _read_number(query, "limit", default=50, least=1, most=MAX_ROWS)
    return _read_number(query, "offset", default=0, least=0, most=10**9), limit


def _read_number(
    query: Mapping[str, str], name: str, *, default: int, least: int, most: int
) -> int:
    text = query.get(name, str(default))
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not (is_number and least <= int(text) <= most):
        raise ReadingError(
            f"{name} must be a whole number from {least} to {most}, not {text[:40]!r}"
        )
    return int(text)


def _meets(exchange: Exchange, fault: str) -> bool:
    if fault in ("any", "none"):
        return (exchange.fault is None) is (fault == "none")
    return fault in ("", exchange.fault)


def _has_text(exchange: Exchange, text: str) -> bool:
    return (
        not text
        or text in exchange.answer.lower()
        or any(
            text in name.lower() or text in value.lower() for name, value in exchange.fields.items()
        )
    )


def _service_text(service: SandboxService) -> str:
    return f"{service.service} {service.name} {service.category} {service.type}".lower()
