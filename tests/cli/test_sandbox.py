"""`smmfanfast sandbox`: its dialect, and how another shell reaches it."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from smmfanfast_async.cli.commands.sandbox import sandbox


@pytest.mark.asyncio
@pytest.mark.parametrize(("dialect", "path", "command", "answer"), [
    ("standard", "/api/v1", "smmfanfast services --search telegram", '"status": "success"'),
    ("api-v2", "/api/v2", "smmfanfast services --profile api-v2 --search telegram", '{\n    "bal'),
])  # fmt: skip
async def test_sandbox_answers_in_the_chosen_dialect(
    capsys: pytest.CaptureFixture[str], dialect: str, path: str, command: str, answer: str
) -> None:
    shown = ""
    running = asyncio.create_task(sandbox(port=0, dialect=dialect))
    while "--search" not in shown:
        await asyncio.sleep(0.001)
        shown += capsys.readouterr().out
    url = shown.split("SMMFANFAST_BASE_URL=")[1].split()[0]
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data={"key": "test-key", "action": "balance"}) as reply,
    ):
        text = await reply.text()
    running.cancel()

    assert await running == 0
    assert url.endswith(path)
    assert command in shown
    assert answer in text


@pytest.mark.asyncio
async def test_sandbox_has_the_form_of_a_profile(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "my panel.toml"
    path.write_text('like = "api-v2"\nrequest_format = "json"\n[field_names]\nkey = "token"')
    shown = ""
    running = asyncio.create_task(sandbox(port=0, profile=path))
    while "--search" not in shown:
        await asyncio.sleep(0.001)
        shown += capsys.readouterr().out
    url = shown.split("SMMFANFAST_BASE_URL=")[1].split()[0]
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"token": "test-key", "action": "balance"}) as reply,
    ):
        text = await reply.text()
    running.cancel()

    assert await running == 0
    assert url.endswith("/api/v2")
    assert f"smmfanfast services --profile '{path}' --search telegram" in shown
    assert '"balance"' in text
