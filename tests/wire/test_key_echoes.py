"""A panel that echoes the key: it is masked wherever a response is shown or stored."""

import asyncio
import gzip
import json
import logging
import pickle
from typing import Any

import pytest
from support.faults import FIN, FaultPanel, Plan, answer
from support.matrix import KEY, MARKER, ORDER, client_of, hides_the_key, outcome_of
from support.wire import Answer, Request, WireServer, reply

from smmfanfast_async import (
    API_V2,
    Client,
    InvalidResponseError,
    NoResponseError,
    OrderStatus,
    OutcomeUnknownError,
    PanelError,
    RetryPolicy,
)

ONCE = RetryPolicy(max_attempts=1)
NOTICE = f"<br />\n<b>Notice</b>: Undefined index in key={KEY}&amp;action=x on line 7<br />\n"
GZIP = [("Content-Encoding", "gzip")]

SHAPES: dict[str, bytes] = {
    "refused": answer(f'{{"error":"Invalid API key: {KEY}"}}'),
    "refused in an envelope": answer(
        f'{{"status":"fail","data":{{"message":"no {KEY}","key":"{KEY}"}}}}'
    ),
    "a bare text": answer(f'"Invalid API key {KEY}"'),
    "refused under 403": answer(f'{{"error":"key {KEY} is blocked"}}', 403),
    "too often": answer(f'{{"message":"{KEY} asks too often"}}', 429),
    "down": answer(f"<html>POST key={KEY}</html>", 502),
    "down, in JSON": answer(f'{{"error":"{KEY}"}}', 500),
    "challenged": answer(f"<html>{KEY}</html>", 403, [("cf-mitigated", "challenge")]),
    "moved": answer("", 302, [("Location", f"https://example.com/?key={KEY}&action=add")]),
    "no text": answer(f"<html>{KEY}</html>", 404),
    "not JSON": answer(f"{KEY} is not a key"),
    "a notice and nothing": answer(NOTICE),
    "a notice and an error": answer(f'{NOTICE}{{"error":"Bad Link {KEY}"}}'),
    "cut JSON": answer(f'{{"key":"{KEY}","order":'),
    "packed": answer(gzip.compress(f'{{"error":"{KEY}"}}'.encode()), headers=GZIP),
    "bad pack": answer(f"no gzip {KEY}", headers=GZIP),
    "too short": answer(f'{{"error":"{KEY}"}}', length=1000),
    "too long": answer(json.dumps({"key": KEY, "x": "x" * 100_000})),
    "all of it the key": answer(KEY * 10_000),
    "in a header": answer("", 404, [("X-Debug", KEY), ("Set-Cookie", f"key={KEY}")]),
    "in a header, cut": answer("", 200, [("X-Debug", KEY)], length=1000),
    "no status line": f"HTTP/1.1 {KEY} Bad\r\n\r\n".encode(),
    "no HTTP": f"key={KEY}&action=add\r\n\r\n".encode(),
    "no header": f"HTTP/1.1 200 OK\r\n{KEY} bad header\r\n\r\n".encode(),
    "bad chunk": answer(f"{KEY}\r\n", headers=[("Transfer-Encoding", "chunked")]),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("verb", ["add", "balance", "status", "statuses", "services", "call"])
async def test_no_error_log_or_frame_contains_an_echoed_key(
    shape: str, verb: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    plan = Plan(raw=SHAPES[shape], end=FIN)
    async with FaultPanel(plan) as panel, client_of(panel, retry=ONCE) as client:
        calls: dict[str, Any] = {
            "add": lambda: client.add(ORDER),
            "balance": client.balance,
            "status": lambda: client.status(7),
            "statuses": lambda: client.statuses([7, 8]),
            "services": client.services,
            "call": lambda: client.call("other"),
        }
        found = await outcome_of(calls[verb]())

    errors = list(found.values()) if isinstance(found, dict) else [found]
    for error in errors:
        assert isinstance(error, PanelError)
        hides_the_key(error)
        assert MARKER not in f"{error.raw} {error.text} {getattr(error, 'excerpt', '')}"
    assert MARKER not in caplog.text


@pytest.mark.asyncio
async def test_mask_shows_where_the_key_was() -> None:
    plan = Plan(raw=SHAPES["refused"], end=FIN)
    async with FaultPanel(plan) as panel, client_of(panel) as client:
        refused = await outcome_of(client.balance())

    assert isinstance(refused, PanelError)
    assert refused.text == "Invalid API key: ***"
    assert refused.raw == '{"error":"Invalid API key: ***"}'


@pytest.mark.asyncio
async def test_key_split_across_chunks_is_masked() -> None:
    whole = SHAPES["refused"]
    plan = Plan(raw=whole, drips=True, end=FIN)
    async with FaultPanel(plan) as panel, client_of(panel, timeout_s=30.0) as client:
        refused = await outcome_of(client.balance())

    assert isinstance(refused, PanelError)
    assert refused.text == "Invalid API key: ***"


@pytest.mark.asyncio
async def test_cancelled_call_has_no_echo_in_its_frames() -> None:
    """The frames that read the response contain what has arrived so far."""
    plan = Plan(raw=answer(f"{KEY}", length=1000), end="hang")
    async with FaultPanel(plan) as panel, client_of(panel, timeout_s=30.0) as client:
        reading = asyncio.create_task(client.balance())
        await panel.has_read()
        for _ in range(20):
            await asyncio.sleep(0.005)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await reading

    hides_the_key(caught.value)


class EchoingPanel(WireServer):
    """Returns valid responses that contain the key."""

    def __init__(self) -> None:
        super().__init__(reply(""))

    def answer_to(self, request: Request) -> Answer:
        key = request.fields["key"]
        status = {"status": "Pending", "charge": "1", "note": key}
        bodies: dict[str, Any] = {
            "add": {"order": 32, "key": key},
            "balance": {"balance": "1", "currency": "USD", "key": key},
            "services": [{"service": 1, "name": f"of {key}", "key": key}, {"name": key}],
            "status": {
                "7": f"not of {key}",
                "8": {"charge": key},
                "9": {"order": "9", **status},
            },
            "cancel": [{"order": 7, "cancel": 1, "key": key}, {"order": 8, "cancel": key}],
            "other": {"key": key},
        }
        return reply(json.dumps(bodies[request.fields["action"]]))


@pytest.mark.asyncio
async def test_no_result_contains_an_echoed_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        EchoingPanel() as server,
        Client(KEY, base_url=server.url, retry=ONCE, profile=API_V2) as client,
    ):
        added = await client.add(ORDER)
        balance = await client.balance()
        catalogue = await client.services()
        statuses = await client.with_options(keep_raw=True).statuses([7, 8, 9, 10])
        cancels = await client.cancel([7, 8])
        other = await client.call("other")

    assert added.raw == '{"order": 32, "key": "***"}'
    assert isinstance(statuses["9"], OrderStatus)
    assert statuses["9"].extra == {"note": "***"}
    assert isinstance(statuses["8"], InvalidResponseError)
    assert other == {"key": "***"}
    assert len(catalogue.unreadable) == 1
    kept = [added, balance, list(catalogue.values()), catalogue.unreadable, statuses, cancels]
    for each in kept:
        assert MARKER not in repr(each)
    raws = [each.raw for each in (added, balance, *statuses.values(), *cancels.values())]
    assert MARKER not in repr(raws)
    assert MARKER.encode() not in pickle.dumps((raws, kept))
    assert MARKER not in caplog.text


@pytest.mark.asyncio
async def test_short_key_is_not_masked() -> None:
    """Masking the key "1" would change the order id in the response."""
    async with (
        WireServer(reply('{"order":1112}'), reply('{"error":"no key 1"}')) as server,
        Client("1", base_url=server.url, retry=ONCE) as client,
    ):
        assert (await client.add(ORDER)).order == "1112"
        refused = await outcome_of(client.balance())

    assert isinstance(refused, PanelError)
    assert refused.text == "no key 1"


@pytest.mark.asyncio
async def test_unknown_outcome_keeps_its_evidence_without_the_key() -> None:
    plan = Plan(raw=answer(f'{{"error":"try again later, {KEY}","x":1}}'), end=FIN)
    async with FaultPanel(plan) as panel, client_of(panel) as client:
        unknown = await outcome_of(client.add(ORDER))

    assert isinstance(unknown, OutcomeUnknownError)
    assert unknown.raw == unknown.excerpt == '{"error":"try again later, ***","x":1}'


@pytest.mark.asyncio
async def test_cause_is_kept_only_if_it_has_no_key() -> None:
    """The parser of aiohttp quotes data that it cannot parse."""
    for raw, has_cause in ((SHAPES["no status line"], False), (b"", True)):
        async with FaultPanel(Plan(raw=raw, end=FIN)) as panel, client_of(panel) as client:
            error = await outcome_of(client.with_options(retry=ONCE).balance())

        assert isinstance(error, NoResponseError)
        assert (error.__cause__ is not None) == has_cause
        assert error.__context__ is error.__cause__ is None or has_cause


@pytest.mark.asyncio
@pytest.mark.parametrize("said", ["test-a/key-of-ten+4", r"test-a\/key-of-ten+4"])
async def test_key_is_masked_in_quoted_bytes(said: str) -> None:
    """The parser of aiohttp doubles each backslash, including those of PHP's JSON."""
    raw = f"HTTP/1.1 200 OK\r\nBad header {said}\r\n\r\n".encode()
    async with (
        FaultPanel(Plan(raw=raw, end=FIN)) as panel,
        Client("test-a/key-of-ten+4", base_url=panel.url, retry=ONCE) as client,
    ):
        error = await outcome_of(client.balance())

    assert isinstance(error, NoResponseError)
    assert "Bad header ***" in error.text
    assert error.__cause__ is error.__context__ is None
