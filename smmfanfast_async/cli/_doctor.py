"""`smmfanfast doctor`: is everything in place, and what is not."""

import os
import platform
import time
from importlib.metadata import version
from typing import Any

from attrs import frozen

from ..client import Client
from ..errors import PanelError

__all__ = ["Finding", "examine"]


@frozen
class Finding:
    """One thing that was looked at."""

    name: str
    said: str
    level: str = "ok"
    """`ok`, `warning` or `error`."""


def key_source() -> Finding:
    """Tell where the key comes from, never the key."""
    if os.environ.get("SMMFANFAST_API_KEY"):
        return Finding("key", "from SMMFANFAST_API_KEY")
    if path := os.environ.get("SMMFANFAST_API_KEY_FILE"):
        return Finding("key", f"from the file {path} (SMMFANFAST_API_KEY_FILE)")
    text = "none: set SMMFANFAST_API_KEY, or SMMFANFAST_API_KEY_FILE to the path of a file"
    return Finding("key", text, "error")


def test_environment() -> Finding | None:
    """Warn where a real key lies in the environment of a test run, which might spend with it."""
    key = os.environ.get("SMMFANFAST_API_KEY", "")
    in_test = [name for name in ("CI", "PYTEST_CURRENT_TEST", "TOX_ENV_NAME") if name in os.environ]
    if not key or key.startswith("test-") or not in_test:
        return None
    text = f"{in_test[0]} is set and so is a key that is none of a sandbox: tests might spend"
    return Finding("environment", text, "warning")


async def examine(options: dict[str, Any]) -> list[Finding]:
    """Look at the versions, the key, the address, and ask for the balance once."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "msgspec", "cattrs"))
    findings = [
        Finding("python", f"{platform.python_version()} with {libraries}"),
        key_source(),
    ]
    if (warning := test_environment()) is not None:
        findings.append(warning)
    try:
        client = Client.from_env(**options)
    except PanelError as error:
        return [*findings, Finding("settings", str(error), "error")]
    secured = "TLS" if client.base_url.startswith("https:") else "no TLS: this machine only"
    findings.append(Finding("address", f"{client.base_url} ({secured})"))
    async with client:
        findings += await _ask(client)
    return findings


async def _ask(client: Client) -> list[Finding]:
    begin_s = time.perf_counter()
    try:
        balance = await client.balance()
    except PanelError as error:
        return [Finding("panel", str(error), "error")]
    taken_ms = (time.perf_counter() - begin_s) * 1000
    said = f"{balance.balance} {balance.currency or ''}".strip()
    level = "ok" if balance.balance > 0 else "warning"
    return [Finding("panel", f"answered in {taken_ms:.0f} ms"), Finding("balance", said, level)]
