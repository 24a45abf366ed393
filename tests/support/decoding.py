"""Shared by the tests of decoding: samples as responses, and errors as comparable tuples."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from smmfanfast_async.errors import ErrorKind, InvalidResponseError, OrderNotFoundError, PanelError
from smmfanfast_async.results import OrderStatus, Response

__all__ = [
    "ABSENT",
    "FORM",
    "SAMPLES",
    "SENT_AT",
    "comparable_entries",
    "error_tuple",
    "invalid",
    "not_found",
    "outcome",
    "sample",
    "status_of",
]

SAMPLES = Path(__file__).parent.parent / "samples"
SENT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FORM = {"action": "add", "service": "5", "link": "https://example.com/p/1", "quantity": "100"}


def sample(name: str, status: int = 200) -> Response:
    return Response(status=status, body=(SAMPLES / name).read_bytes())


def error_tuple(error: PanelError) -> tuple[type[PanelError], ErrorKind, str, str | None]:
    return type(error), error.kind, error.text, error.order


def outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except PanelError as error:
        return error_tuple(error)


def comparable_entries(entries: dict[str, object]) -> dict[str, object]:
    return {
        key: error_tuple(each) if isinstance(each, PanelError) else each
        for key, each in entries.items()
    }


def invalid(text: str, order: str | None = None) -> tuple[object, ...]:
    return InvalidResponseError, ErrorKind.MALFORMED, text, order


def not_found(order: str | None = None, text: str = "Incorrect order ID") -> tuple[object, ...]:
    return OrderNotFoundError, ErrorKind.NOT_FOUND, text, order


ABSENT = "the response does not mention this order"
status_of = partial(OrderStatus, raw_status="Pending")
