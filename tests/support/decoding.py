"""What tests of decoding share: samples as replies, and errors as values that compare."""

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
    "entries",
    "not_found",
    "outcome",
    "sample",
    "status_of",
    "told",
    "unreadable",
]

SAMPLES = Path(__file__).parent.parent / "samples"
SENT_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FORM = {"action": "add", "service": "5", "link": "https://example.com/p/1", "quantity": "100"}


def sample(name: str, status: int = 200) -> Response:
    return Response(status=status, body=(SAMPLES / name).read_bytes())


def told(error: PanelError) -> tuple[type[PanelError], ErrorKind, str, str | None]:
    return type(error), error.kind, error.text, error.order


def outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except PanelError as error:
        return told(error)


def entries(found: dict[str, object]) -> dict[str, object]:
    return {
        key: told(each) if isinstance(each, PanelError) else each for key, each in found.items()
    }


def unreadable(text: str, order: str | None = None) -> tuple[object, ...]:
    return InvalidResponseError, ErrorKind.MALFORMED, text, order


def not_found(order: str | None = None, text: str = "Incorrect order ID") -> tuple[object, ...]:
    return OrderNotFoundError, ErrorKind.NOT_FOUND, text, order


ABSENT = "the response does not mention this order"
status_of = partial(OrderStatus, raw_status="Pending")
