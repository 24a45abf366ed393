"""The panel that commands find in their environment, and their journal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from smmfanfast_async.sandbox import Sandbox


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(speed=0) as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        monkeypatch.setenv("SMMFANFAST_JOURNAL", str(tmp_path / "orders.db"))
        yield sandbox
