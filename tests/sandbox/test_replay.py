"""A recording written as a pytest test, which runs as it is pasted."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal

import aiohttp
import attrs
import pytest

from smmfanfast_async.profile import API_V2
from smmfanfast_async.sandbox import Sandbox, SandboxService
from smmfanfast_async.sandbox.recording import MAX_REPLAY_STEPS
from smmfanfast_async.sandbox.replay import MAX_COMPARED_ORDERS

SERVICE = SandboxService(service=7, name='It\'s "new" 🌙', category="x\n", rate="0.5", max=5000)


async def send(panel: Sandbox, **fields: str) -> None:
    form = {"key": panel.api_key, "service": "5", "quantity": "1000", **fields}
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(panel.url, data=form, allow_redirects=False) as answer:
                await answer.read()
        except aiohttp.ClientError:
            return


async def read_test(panel: Sandbox) -> str:
    headers = {"Authorization": f"Bearer {panel.control_token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{panel.control_url}/test") as answer,
    ):
        text: str = (await answer.json())["text"]
        return text


async def do_nothing(panel: Sandbox) -> None:
    """Leave the sandbox as it is."""


async def use_everything(panel: Sandbox) -> None:
    panel.fail_next("drop_after", action="add")
    panel.fail_next("rate_limit", times=2, retry_after_s=0)
    await send(panel, action="add", link="https://x.com/'\"\\\n{x}")
    await send(panel, action="balance")
    panel.advance(600.5)
    await send(panel, action="add", link="https://x.com/b")
    await send(panel, action="add", link="https://x.com/c", key="another")
    panel.fail_at_rate("http_500", rate=0.5, action="add")
    for number in range(8):
        await send(panel, action="add", link=f"https://x.com/{number}")
    panel.clear_faults()
    panel.add_service(SERVICE)
    panel.change_rate(7, Decimal("0.75"))
    panel.change_limits("5", min=1, max=9)
    panel.set_available(9, available=False)
    panel.set_status(1, "partial", remains=10)
    panel.set_speed(0)
    panel.top_up(Decimal(-3))
    panel.remove_service(10)
    panel.finish_all()
    await send(panel, action="add", link="https://x.com/d", service="7")
    panel.advance(300)


async def do_too_much(panel: Sandbox) -> None:
    await send(panel, action="add", link="https://x.com/a")
    for _ in range(MAX_REPLAY_STEPS):
        panel.advance(1)


async def place_many(panel: Sandbox) -> None:
    panel.advance(7)


async def use_other_names(panel: Sandbox) -> None:
    await send(panel, action="add", link="https://x.com/a", token=panel.api_key)
    await send(panel, action="cancel", orders="1", token=panel.api_key)


SCENES: dict[str, tuple[dict[str, object], Callable[[Sandbox], Awaitable[None]], str]] = {
    "nothing": ({}, do_nothing, "assert not smm_sandbox.orders"),
    "everything": ({"seed": 3, "balance": Decimal("50.5")}, use_everything, "'1': 'partial'"),
    "own services": ({"services": [SERVICE]}, do_nothing, "SandboxService(service='7'"),
    "profile": (
        {"profile": attrs.evolve(API_V2, field_names={"key": "token"})}, use_other_names,
        "dialect='api-v2',",
    ),
    "too much": ({}, do_too_much, f"# Only the first {MAX_REPLAY_STEPS} of"),
    "many orders": (
        {"existing_orders": MAX_COMPARED_ORDERS + 1}, place_many, "assert len(smm_sandbox.orders)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("scene", SCENES)
def test_recorded_test_passes_as_it_is_pasted(scene: str, pytester: pytest.Pytester) -> None:
    settings, use, expected = SCENES[scene]

    async def record() -> str:
        async with Sandbox(speed=0, control=True, **settings) as panel:  # type: ignore[arg-type]
            await use(panel)
            return await read_test(panel)

    text = asyncio.run(record())
    pytester.makepyfile(text)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")

    result.assert_outcomes(passed=1)
    assert expected in text
    assert "test-key" not in text


def test_recording_with_a_running_clock_repeats_its_times(pytester: pytest.Pytester) -> None:
    real_s = [0.0]

    async def record() -> str:
        async with Sandbox(speed=60, control=True, clock=lambda: real_s[0]) as panel:
            await send(panel, action="add", link="https://x.com/a")
            real_s[0] = 10.0
            panel.set_speed(600)
            real_s[0] = 13.0
            return await read_test(panel)

    text = asyncio.run(record())
    pytester.makepyfile(text)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")

    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert "smm_sandbox.advance(2400.0)" in text
    assert "set_speed" not in text


def test_faults_before_everything_else_are_in_the_marker() -> None:
    async def record() -> str:
        async with Sandbox(speed=0, control=True) as panel:
            panel.fail_next("drop_after", action="add")
            return await read_test(panel)

    assert (
        "@pytest.mark.smm_sandbox(\n"
        "    faults=[\n"
        "        dict(fault='drop_after', action='add'),\n"
        "    ],\n"
        ")\n"
    ) in asyncio.run(record())
