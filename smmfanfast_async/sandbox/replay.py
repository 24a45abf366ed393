"""Write down what happened in a sandbox as a pytest test that repeats it. Pure.

A sandbox with the same settings and steps is in the same state: ids, lifecycles and random faults
depend on the seed, and the clock stands still in the test and is advanced by the time that passed.
"""

from collections.abc import Mapping, Sequence

from .lifecycle import MAX_LIFECYCLE_S
from .orders import StoredOrder
from .recording import CommandStep, Recorder
from .traffic import ANOTHER_KEY, MASKED, Exchange

__all__ = ["write_test"]

MAX_COMPARED_ORDERS = 200
"""The most orders whose status a test compares."""

_KEYS = {MASKED: "smm_sandbox.api_key", ANOTHER_KEY: "'another-key'"}

_HELPER = """\
async def send(panel, fields):
    # In place of your bot: a scripted fault may lose the response.
    async with aiohttp.ClientSession() as session:
        with suppress(aiohttp.ClientError):
            await session.post(panel.url, data=fields, allow_redirects=False)
"""


def write_test(recorder: Recorder, orders: Sequence[StoredOrder], now_s: float) -> str:
    """Return a test that repeats the recorded steps and expects these orders at the end.

    An incomplete recording leads to another state, so then the test expects nothing.
    """
    # The clock of a test stands still, whatever speed it had.
    steps = [each for each in recorder.steps if _name_of(each) != "set_speed"]
    leading = _count_leading_faults(steps)
    body = _write_steps(steps[leading:], now_s if recorder.is_complete else None)
    body += [""] if body else []
    body += _write_expectation(recorder, orders)
    lines = ["@pytest.mark.asyncio", *_write_marker(recorder.settings, steps[:leading])]
    lines.append("async def test_recorded_in_the_console(smm_sandbox):")
    lines += [f"    {line}" if line else "" for line in body]
    test = "\n".join(lines) + "\n"
    parts = [test]
    if any(isinstance(each, Exchange) for each in steps):
        parts.insert(0, _HELPER)
    return "\n\n".join([_write_imports("\n".join(parts)), *parts])


def _name_of(step: CommandStep | Exchange) -> str:
    return step.name if isinstance(step, CommandStep) else ""


def _count_leading_faults(steps: Sequence[CommandStep | Exchange]) -> int:
    """Return how many of the first steps only script faults: they belong in the marker."""
    names = [_name_of(each) for each in steps]
    return next((at for at, name in enumerate(names) if name != "fail_next"), len(names))


def _write_marker(
    settings: Mapping[str, object], faults: Sequence[CommandStep | Exchange]
) -> list[str]:
    """Return the lines of the marker; none if the sandbox has only default settings."""
    lines = [f"    {name}={_write_value(value)}," for name, value in settings.items()]
    scripted = [each.arguments for each in faults if isinstance(each, CommandStep)]
    if scripted:
        lines.append("    faults=[")
        lines += [f"        dict({_write_arguments(each)})," for each in scripted]
        lines.append("    ],")
    return ["@pytest.mark.smm_sandbox(", *lines, ")"] if lines else []


def _write_steps(steps: Sequence[CommandStep | Exchange], end_s: float | None) -> list[str]:
    lines: list[str] = []
    clock_s = 0.0
    for step in steps:
        lines += _write_wait(step.at_s - clock_s)
        clock_s = max(step.at_s, clock_s)
        if isinstance(step, Exchange):
            lines.append(_write_request(step))
        else:
            lines.append(f"smm_sandbox.{step.name}({_write_arguments(step.arguments)})")
            clock_s += _measure_advance(step)
    return lines if end_s is None else [*lines, *_write_wait(end_s - clock_s)]


def _write_wait(seconds: float) -> list[str]:
    return [f"smm_sandbox.advance({seconds!r})"] if seconds > 0 else []


def _measure_advance(step: CommandStep) -> float:
    if step.name == "finish_all":
        return MAX_LIFECYCLE_S
    seconds = step.arguments["seconds"] if step.name == "advance" else 0
    return float(seconds) if isinstance(seconds, float | int) else 0.0


def _write_request(exchange: Exchange) -> str:
    fields = ", ".join(
        f"{name!r}: {_KEYS.get(value) or repr(value)}" for name, value in exchange.fields.items()
    )
    return f"await send(smm_sandbox, {{{fields}}})"


def _write_arguments(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={_write_value(value)}" for name, value in arguments.items())


def _write_value(value: object) -> str:
    # A Fault is written as its text.
    return repr(str(value)) if isinstance(value, str) else repr(value)


def _write_expectation(recorder: Recorder, orders: Sequence[StoredOrder]) -> list[str]:
    if not recorder.is_complete:
        kept = len(recorder.steps)
        return [f"# Only the first {kept} of {recorder.count} steps can be repeated."]
    if len(orders) > MAX_COMPARED_ORDERS:
        return [f"assert len(smm_sandbox.orders) == {len(orders)}"]
    if not orders:
        return ["assert not smm_sandbox.orders"]
    expected = [f"    {each.order!r}: {each.status.value!r}," for each in orders]
    return [
        "statuses = {order.order: order.status for order in smm_sandbox.orders.values()}",
        "assert statuses == {",
        *expected,
        "}",
    ]


def _write_imports(text: str) -> str:
    """Return the import statements of the names that a text uses."""
    standard = [
        line
        for name, line in (
            ("suppress(", "from contextlib import suppress"),
            ("Decimal(", "from decimal import Decimal"),
        )
        if name in text
    ]
    third = ["import aiohttp"] if "aiohttp." in text else []
    own = (
        ["", "from smmfanfast_async.sandbox import SandboxService"]
        if "SandboxService(" in text
        else []
    )
    return "\n".join([*standard, *([""] if standard else []), *third, "import pytest", *own, ""])
