"""`smmfanfast sandbox`: its dialect, its page, and how another shell reaches it."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.debian import require_program

from smmfanfast_async import sandbox as sandbox_package
from smmfanfast_async.cli._codes import USAGE
from smmfanfast_async.cli.commands.sandbox import sandbox
from smmfanfast_async.sandbox import Sandbox


async def ask_sandbox(
    capsys: pytest.CaptureFixture[str], body: dict[str, Any], **options: Any
) -> tuple[str, str, str]:
    """Run the command, send it one request, and return its output, its address and the answer."""
    shown = ""
    running = asyncio.create_task(sandbox(port=0, **options))
    while "--search" not in shown:
        await asyncio.sleep(0.001)
        shown += capsys.readouterr().out
    url = shown.split("SMMFANFAST_BASE_URL=")[1].split()[0]
    async with aiohttp.ClientSession() as session, session.post(url, **body) as reply:
        text = await reply.text()
    running.cancel()
    assert await running == 0
    return shown, url, text


@pytest.mark.asyncio
@pytest.mark.parametrize(("dialect", "path", "command", "answer"), [
    ("standard", "/api/v1", "smmfanfast services --search telegram", '"status": "success"'),
    ("api-v2", "/api/v2", "smmfanfast services --profile api-v2 --search telegram", '{\n    "bal'),
])  # fmt: skip
async def test_sandbox_answers_in_the_chosen_dialect(
    capsys: pytest.CaptureFixture[str], dialect: str, path: str, command: str, answer: str
) -> None:
    form = {"key": "test-key", "action": "balance"}
    shown, url, text = await ask_sandbox(capsys, {"data": form}, dialect=dialect)

    assert url.endswith(path)
    assert command in shown
    assert answer in text


async def shown_by(capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    """Return what a sandbox prints until it is ready."""
    shown = ""
    running = asyncio.create_task(sandbox(port=0, **options))
    while "--search" not in shown:
        await asyncio.sleep(0.001)
        shown += capsys.readouterr().out
    running.cancel()
    assert await running == 0
    return shown


@pytest.mark.asyncio
async def test_console_is_printed_unless_switched_off(capsys: pytest.CaptureFixture[str]) -> None:
    shown = await shown_by(capsys)
    assert shown.startswith("Console of the sandbox: http://127.0.0.1:")
    assert "SMMFANFAST_CONTROL" not in shown

    assert "Console" not in await shown_by(capsys, console=False)


@pytest.mark.asyncio
async def test_control_prints_its_address_and_token(capsys: pytest.CaptureFixture[str]) -> None:
    shown = await shown_by(capsys, console=False, control=True)

    assert "export SMMFANFAST_CONTROL_URL=http://127.0.0.1:" in shown
    assert len(shown.split("export SMMFANFAST_CONTROL_TOKEN=")[1].split()[0]) >= 40


@pytest.mark.asyncio
async def test_used_control_port_is_a_usage_error() -> None:
    async with Sandbox(control=True) as panel:
        port = int(panel.control_url.split(":")[2].split("/")[0])
        assert await sandbox(port=0, control_port=port) == USAGE


def test_guide_scripts_the_sandbox_with_curl(tmp_path: Path) -> None:
    """The block of the guide, run by bash: another language controls the sandbox."""
    require_program("curl", "curl")
    guide = (Path(sandbox_package.__file__).parent / "README.md").read_text(encoding="utf-8")
    (script,) = [
        block
        for block in re.findall(r"^```sh\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
        if "control()" in block
    ]
    # In a trap, because a test should not leave a process behind if a step fails.
    script = script.replace("\nkill %1", "")
    result = subprocess.run(  # noqa: S603  # the guide's own text
        ["bash", "-c", f"set -euo pipefail\ntrap 'kill -9 $(jobs -p)' EXIT\n{script}"],  # noqa: S607
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "the response is lost" in result.stdout
    order = json.loads(result.stdout.splitlines()[-1])
    assert (order["order"], order["price"]) == ("1", "0.9000")
    assert order["timeline"][0]["fault"] == "drop_after"


@pytest.mark.asyncio
async def test_sandbox_has_the_form_of_a_profile(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "my panel.toml"
    path.write_text('like = "api-v2"\nrequest_format = "json"\n[field_names]\nkey = "token"')
    form = {"token": "test-key", "action": "balance"}
    shown, url, text = await ask_sandbox(capsys, {"json": form}, profile=path)

    assert url.endswith("/api/v2")
    assert f"smmfanfast services --profile '{path}' --search telegram" in shown
    assert '"balance"' in text
