"""Long hostile texts: the time to read a form grows with its length, not with its square.

The times of two lengths are compared in one process, so that the speed of the machine has no
influence. Four times the text takes four times as long if reading is linear and sixteen times if it
is quadratic; texts are long enough that a quadratic reading takes seconds.
"""

import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from smmfanfast_async.sandbox.fields import read_fields
from smmfanfast_async.sandbox.panel import Panel
from smmfanfast_async.sandbox.services import DEFAULT_SERVICES

from .samples import form_of

SHORT = 2_000
FACTOR = 4
MAX_RATIO = 10.0
"""Between the ratio of a linear reading (4) and of a quadratic one (16)."""

NEGLIGIBLE_S = 0.02
"""CPU seconds that the long text may take without being compared: too short to measure a ratio.
A quadratic reading takes more than ten times as long (links: 1.5 s)."""

ATTEMPTS = 5
"""The least of several measurements counts: other work on the machine only adds time."""

UNITS = [
    ".",
    "a.",
    "/",
    "<",
    "<a",
    "< ",
    "%",
    "%25",
    "+",
    " ",
    "\n",
    "\r\n",
    "\r",
    "#",
    "9",
    ",",
    "٣",
]


def cpu_s(action: Callable[[], object]) -> float:
    def measure() -> float:
        started_s = time.process_time()
        action()
        return time.process_time() - started_s

    return min(measure() for _ in range(ATTEMPTS))


def read(fields: dict[str, str]) -> Callable[[], object]:
    """Return a function that sends the form to a panel of its own, so that nothing accumulates."""

    def send() -> None:
        panel = Panel(
            api_key="test-key",
            seed=0,
            balance=Decimal(1000),
            currency="USD",
            services=DEFAULT_SERVICES,
        )
        panel.answer({"key": "test-key", **fields}, 0)

    return send


def assert_linear(create: Callable[[int], Callable[[], object]]) -> None:
    """Compare the times of what `create` returns for a short and for a long text."""
    long_s = cpu_s(create(SHORT * FACTOR))

    assert long_s < NEGLIGIBLE_S or long_s < MAX_RATIO * cpu_s(create(SHORT))


def assert_linear_reading(content_type: str, create: Callable[[int], bytes]) -> None:
    def read_body(length: int) -> Callable[[], object]:
        body = create(length)
        return lambda: read_fields(
            query=body.decode(), content_type=content_type, body=body, reads_json=True
        )

    assert_linear(read_body)


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
@pytest.mark.parametrize("prefix", ["", "https://", "a.b/"])
def test_link_is_read_in_linear_time(unit: str, prefix: str) -> None:
    assert_linear(
        lambda length: read(
            {"action": "add", **form_of("default", link=prefix + unit * length + " x")}
        )
    )


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
@pytest.mark.parametrize(
    ("order_type", "field"),
    [
        ("default", "service"),
        ("default", "quantity"),
        ("default", "runs"),
        ("custom_comments", "comments"),
        ("mentions_custom_list", "usernames"),
        ("subscriptions", "delay"),
        ("subscriptions", "expiry"),
        ("subscriptions", "posts"),
    ],
)
def test_field_is_read_in_linear_time(order_type: str, field: str, unit: str) -> None:
    def create(length: int) -> Callable[[], object]:
        fields = form_of(order_type, **{field: unit * length + "x"})
        return read({"action": "add", **fields})

    assert_linear(create)


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
@pytest.mark.parametrize("field", ["action", "key", "order", "orders"])
def test_other_actions_are_read_in_linear_time(unit: str, field: str) -> None:
    assert_linear(lambda length: read({"action": "status", field: unit * length}))


@pytest.mark.parametrize("unit", [*UNITS, "&", "=", "a=1&", ";", "%00", "%%"], ids=ascii)
@pytest.mark.parametrize(
    "content_type", ["", "application/x-www-form-urlencoded", "application/json"]
)
def test_body_is_read_in_linear_time(content_type: str, unit: str) -> None:
    assert_linear_reading(content_type, lambda length: ("a=" + unit * length).encode())


@pytest.mark.parametrize(
    "unit", ["[", "[],", "{", '{"a":', '"', "9", "\\", '"\\ud800",'], ids=ascii
)
@pytest.mark.parametrize("prefix", ["", "[", '{"a":', '"'])
def test_json_is_read_in_linear_time(prefix: str, unit: str) -> None:
    assert_linear_reading("application/json", lambda length: (prefix + unit * length).encode())


@pytest.mark.parametrize(
    "unit",
    [
        "--x",
        "--x\r\n",
        "\r\n--x",
        "\r\n",
        "-",
        ";",
        '; name="',
        ";name=",
        "; ",
        '"',
        "filename",
        " ",
    ],
    ids=ascii,
)
@pytest.mark.parametrize("boundary", ["x", "-", "--x" * 1000, "\r\n"], ids=range(4))
def test_multipart_form_is_read_in_linear_time(boundary: str, unit: str) -> None:
    head = f"--{boundary}\r\nContent-Disposition: form-data"

    assert_linear_reading(
        f"multipart/form-data; boundary={boundary}",
        lambda length: (head + unit * length).encode(),
    )
    assert_linear_reading(
        f"multipart/form-data; boundary={boundary}",
        lambda length: (unit * length + "\r\n\r\n" + unit * length).encode(),
    )


@pytest.mark.parametrize("unit", [";", "; ", ';boundary="', "; boundary=", " ", "multipart/", '"'])
def test_content_type_is_read_in_linear_time(unit: str) -> None:
    def read_header(length: int) -> Callable[[], object]:
        header = "multipart/form-data" + unit * length
        return lambda: read_fields(query="", content_type=header, body=b"")

    assert_linear(read_header)
