"""Rows of the control API: orders, requests, services and faults as JSON objects. Pure."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from typing import cast

from .faults import ScriptedFault
from .orders import State, StoredOrder
from .services import SandboxService
from .traffic import Exchange

__all__ = [
    "MAX_SHOWN_CHARACTERS",
    "Json",
    "cut",
    "fault_row",
    "format_amount",
    "order_row",
    "request_row",
    "service_row",
    "sort_timeline",
]

MAX_SHOWN_CHARACTERS = 500
"""The longest text in a row of a list; its own reading has it whole."""

MAX_SHOWN_FIELDS = 20
"""The most fields of a request in a list."""

Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None


def order_row(stored: StoredOrder, service: SandboxService) -> dict[str, Json]:
    """Return one order of a list; `service` as it was when the order was created."""
    return {
        "order": stored.order,
        "service": stored.service,
        "service_name": cut(service.name, MAX_SHOWN_CHARACTERS),
        "type": stored.type,
        "status": stored.status.value,
        "is_final": stored.is_final,
        "progress": _measure_progress(stored),
        "link": cut(stored.link, MAX_SHOWN_CHARACTERS),
        "quantity": stored.quantity,
        "remains": stored.remains,
        "start_count": stored.start_count,
        "price": format_amount(stored.price),
        "charge": format_amount(stored.charge),
        "created_s": stored.created_s,
        "parent": stored.parent,
        "runs": stored.runs,
        "posts": stored.posts,
    }


def format_amount(amount: Decimal) -> str:
    """Return an exact amount as text, without an exponent."""
    return f"{amount:f}"


def cut(text: str, most: int) -> str:
    """Return a text, or the first `most` characters of a longer one."""
    return text if len(text) <= most else text[:most] + "…"


def _measure_progress(stored: StoredOrder) -> float:
    """Return the share of an order that is delivered, 0 to 1."""
    if stored.status is State.COMPLETED:
        return 1.0
    if stored.status in (State.IN_PROGRESS, State.PARTIAL) and stored.quantity:
        return (stored.quantity - stored.remains) / stored.quantity
    return 0.0


def request_row(exchange: Exchange) -> dict[str, Json]:
    """Return one request of a list, its long texts cut."""
    fields: dict[str, Json] = {
        cut(name, MAX_SHOWN_CHARACTERS): cut(value, MAX_SHOWN_CHARACTERS)
        for name, value in islice(exchange.fields.items(), MAX_SHOWN_FIELDS)
    }
    return {
        "number": exchange.number,
        "at_s": exchange.at_s,
        "action": cut(exchange.action, MAX_SHOWN_CHARACTERS),
        "fields": fields,
        "http_status": exchange.http_status,
        "answer": cut(exchange.answer, MAX_SHOWN_CHARACTERS),
        "duration_ms": round(exchange.duration_ms, 2),
        "fault": exchange.fault,
        "is_applied": exchange.is_applied,
        "order": exchange.order,
    }


def _timeline_row(exchange: Exchange, order: str) -> dict[str, Json]:
    """Return a request as an entry in the timeline of an order."""
    return {
        "at_s": exchange.at_s,
        "kind": "request",
        "number": exchange.number,
        "action": cut(exchange.action, MAX_SHOWN_CHARACTERS),
        "http_status": exchange.http_status,
        "fault": exchange.fault,
        "is_applied": exchange.is_applied,
        "answer": cut(_find_row(exchange.answer, order), MAX_SHOWN_CHARACTERS),
    }


def sort_timeline(
    states: Sequence[tuple[float, State]], requests: Sequence[Exchange], order: str
) -> list[Json]:
    """Return states and requests as entries by time.

    At the same time the request that created the order comes first, then its first state; later
    requests come before the states that they may have led to.
    """
    entries: list[tuple[float, int, Json]] = [
        (at_s, 3 if number else 1, {"at_s": at_s, "kind": "state", "status": state.value})
        for number, (at_s, state) in enumerate(states)
    ]
    entries += [
        (each.at_s, 0 if each.order == order else 2, _timeline_row(each, order))
        for each in requests
    ]
    return [row for *_, row in sorted(entries, key=lambda entry: entry[:2])]


def _find_row(answer: str, order: str) -> str:
    """Return what an answer says about one order; all of it if it is about no other."""
    try:
        decoded: object = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    if not isinstance(decoded, dict):
        return answer
    rows = cast("dict[str, object]", decoded)
    found = next((row for key, row in rows.items() if key.strip() == order), rows)
    return json.dumps(found, ensure_ascii=False)


def service_row(service: SandboxService, is_available: bool) -> dict[str, Json]:  # noqa: FBT001
    """Return one service, and whether it is available."""
    return {
        "service": service.service,
        "name": cut(service.name, MAX_SHOWN_CHARACTERS),
        "category": cut(service.category, MAX_SHOWN_CHARACTERS),
        "type": service.type,
        "rate": format_amount(service.rate),
        "min": service.min,
        "max": service.max,
        "dripfeed": service.dripfeed,
        "refill": service.refill,
        "cancel": service.cancel,
        "available": is_available,
    }


def fault_row(scripted: ScriptedFault) -> dict[str, Json]:
    """Return one scripted fault."""
    return {
        "fault": scripted.fault.value,
        "times": scripted.times,
        "action": scripted.action,
        "delay_s": scripted.delay_s,
        "retry_after_s": scripted.retry_after_s,
        "location": scripted.location,
        "applied": scripted.is_applied,
    }
