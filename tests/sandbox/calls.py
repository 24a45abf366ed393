"""Requests to a sandbox over HTTP."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from smmfanfast_async.sandbox import Sandbox


async def post(panel: Sandbox, action: str, **fields: str) -> tuple[int, str]:
    """Return HTTP status and text of an answer; redirects are not followed."""
    form = {"key": panel.api_key, "action": action, **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(panel.url, data=form, allow_redirects=False) as answer,
    ):
        return answer.status, await answer.text()


async def ask(panel: Sandbox, action: str, **fields: str) -> Any:
    status, text = await post(panel, action, **fields)
    assert status == 200
    return json.loads(text)


@asynccontextmanager
async def stopped_sandbox(**arguments: Any) -> AsyncIterator[Sandbox]:
    async with Sandbox(speed=0, **arguments) as panel:
        yield panel
