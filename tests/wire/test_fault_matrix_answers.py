"""Rows 39 to 71 of the fault matrix: the request arrived, and the response is faulty."""

import gzip
import tracemalloc
import zlib

import pytest
from support.faults import FIN, FaultPanel, Plan, answer
from support.matrix import Stage, stage

from smmfanfast_async import (
    SMMFANFAST,
    AddedOrder,
    Balance,
    OutcomeUnknownError,
    PanelError,
    RefusedError,
    RetryPolicy,
)

__all__ = ["stage"]

GOOD = '{"status":"success","order":ORDER}'
UNKNOWN, PLACED, REFUSED = OutcomeUnknownError, AddedOrder, RefusedError
GZIP = [("Content-Encoding", "gzip")]
CHUNKED = [("Transfer-Encoding", "chunked")]
PAGE = "<html><head><title>Error</title></head><body>Error</body></html>"
BROTLI = [("Content-Encoding", "br")]


def bomb(mebibytes: int) -> bytes:
    """Return the beginning of a gzip of that many blanks, without the end: nobody reads it."""
    packer, block = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16), b" " * 1024 * 1024
    # After a full flush, blocks do not refer to each other: one can be repeated.
    first, other = (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + other * (mebibytes - 1)


BOMB = bomb(300)

ANSWERS: dict[str, tuple[bytes, type]] = {
    "39 empty 200": (answer(""), UNKNOWN),
    "40 204": (b"HTTP/1.1 204 No Content\r\n\r\n", UNKNOWN),
    "41 HTML 200": (answer(PAGE), UNKNOWN),
    "42 PHP warning before JSON": (answer(f"<br />\n<b>Warning</b>: x in /a.php\n{GOOD}"), PLACED),
    "43 JSON and trailing text": (answer(f"{GOOD} and more"), UNKNOWN),
    "44 BOM": (answer(b"\xef\xbb\xbf" + GOOD.encode()), PLACED),
    "45 wrong charset": (answer(GOOD, headers=[("Content-Type", "text/html; charset=x")]), PLACED),
    "46 short Content-Length": (answer(GOOD, length=200), UNKNOWN),
    "46 too short a Content-Length": (answer(GOOD, length=20), UNKNOWN),
    "47 cut chunk": (answer(b'40\r\n{"order":', headers=CHUNKED), UNKNOWN),
    "48 bad chunk size": (answer(b"zz\r\n{}\r\n0\r\n\r\n", headers=CHUNKED), UNKNOWN),
    "49 bad gzip": (answer("no gzip", headers=GZIP), UNKNOWN),
    "50 cut gzip": (answer(gzip.compress(b'{"order":32}')[:-9], headers=GZIP), UNKNOWN),
    "51 unknown encoding": (
        answer(b"\x8b\x05\x80" + GOOD.encode()[::-1] + b"\x03", headers=BROTLI),
        UNKNOWN,
    ),
    "51 unknown encoding of a plain body": (answer(GOOD, headers=BROTLI), PLACED),
    "121 Retry-After beyond any date": (
        answer(GOOD, headers=[("Retry-After", "Mon, 01 Jan 99999999999 00:00:00 GMT")]),
        PLACED,
    ),
    "122 raw deflate": (
        answer(
            zlib.compress(b'{"order":31001}', wbits=-zlib.MAX_WBITS),
            headers=[("Content-Encoding", "deflate")],
        ),
        PLACED,
    ),
    "52 length and chunked": (
        answer(b'c\r\n{"order":32}\r\n0\r\n\r\n', headers=[*CHUNKED, ("Content-Length", "3")]),
        UNKNOWN,
    ),
    "53 huge header": (answer(GOOD, headers=[("X-Huge", "x" * 70_000)]), UNKNOWN),
    "54 bomb": (answer(BOMB, headers=GZIP), UNKNOWN),
    "55 endless body": (answer(b"x" * 200_000, length=10**12), UNKNOWN),
    "56 deep JSON": (answer("[" * 60_000), UNKNOWN),
    "57 number of 5000 digits": (answer('{"order":' + "1" * 5000 + "}"), UNKNOWN),
    "58 NaN": (answer('{"order":NaN}'), UNKNOWN),
    "58 Infinity": (answer('{"order":Infinity}'), UNKNOWN),
    "58 1e999": (answer('{"order":1e999}'), UNKNOWN),
    "59 duplicate keys": (answer('{"order":ORDER,"order":33}'), UNKNOWN),
    "60 lone surrogate": (answer('{"order":"\\ud800"}'), UNKNOWN),
    "61 order 0": (answer('{"order":0}'), UNKNOWN),
    "61 order -1": (answer('{"order":-1}'), UNKNOWN),
    "61 order null": (answer('{"order":null}'), UNKNOWN),
    "61 order true": (answer('{"order":true}'), UNKNOWN),
    "61 order with blanks": (answer('{"order":"abc def"}'), UNKNOWN),
    "61 two orders": (answer('{"order":"12,13"}'), UNKNOWN),
    "61 Arabic digits": (answer('{"order":"١٢"}'), UNKNOWN),
    "63 error and order": (answer('{"error":"low balance","order":ORDER}'), UNKNOWN),
    "64 unknown error text": (answer('{"error":"try again later"}'), UNKNOWN),
    "66 list": (answer('[{"order":32}]'), UNKNOWN),
    "69 challenge": (answer(PAGE, 403, [("cf-mitigated", "challenge")]), REFUSED),
    "71 101": (answer("", 101, [("Upgrade", "x"), ("Connection", "Upgrade")]), UNKNOWN),
    "71 103 before the answer": (b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(GOOD), PLACED),
    "71 100 before the answer": (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(GOOD), PLACED),
}


@pytest.mark.parametrize("row", sorted(ANSWERS))
def test_faulty_response_to_an_order(stage: Stage, row: str) -> None:
    raw, expected = ANSWERS[row]

    async def play() -> None:
        stores = expected is not REFUSED
        async with FaultPanel(Plan(stores=stores, raw=raw, end=FIN)) as panel:
            assert isinstance(await stage.add(panel), expected)

    stage.play(play)


@pytest.mark.parametrize("row", sorted(each for each in ANSWERS if "71 10" not in each))
def test_faulty_response_to_a_read_is_a_panel_error(stage: Stage, row: str) -> None:
    raw, _ = ANSWERS[row]

    async def play() -> None:
        async with FaultPanel(Plan(raw=raw, end=FIN)) as panel:
            found = await stage.balance(panel)
            assert isinstance(found, PanelError)

    stage.play(play)


def test_row_54_decompression_bomb_is_stopped_at_the_limit(stage: Stage) -> None:
    async def play() -> None:
        async with FaultPanel(Plan(raw=answer(BOMB, headers=GZIP))) as panel:
            tracemalloc.start()
            await stage.add(panel)
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak_bytes < 8 * 1024 * 1024

    stage.play(play)


@pytest.mark.parametrize("text", [each.text for each in SMMFANFAST.refusals])
def test_row_65_every_refusal_of_the_table(stage: Stage, text: str) -> None:
    async def play() -> None:
        for status in (200, 400, 422, 429):
            raw = answer(f'{{"error":"{text}"}}', status, [("Retry-After", "0")])
            async with FaultPanel(Plan(raw=raw)) as panel:
                assert isinstance(await stage.add(panel), RefusedError)

    stage.play(play)


STATUSES = [400, 401, 403, 404, 408, 409, 413, 425, 429, 500, 502, 503, 504, *range(520, 527), 530]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [PAGE, GOOD, '{"error":"unknown"}', '{"error":"Bad Link"}'])
def test_row_67_every_status_with_html_and_json(stage: Stage, status: int, body: str) -> None:
    is_refused = "Bad Link" in body and status < 430 and status not in (408, 409, 425)
    # A limiter answers before the panel's own code does.
    is_refused = is_refused or (status == 429 and body != GOOD)

    async def play() -> None:
        raw = answer(body, status, [("Retry-After", "0")])
        async with FaultPanel(Plan(stores=not is_refused, raw=raw)) as panel:
            found = await stage.add(panel)
            assert isinstance(found, PanelError)
            assert found.maybe_placed is not is_refused
        async with FaultPanel(Plan(raw=raw)) as panel:
            assert isinstance(await stage.balance(panel), PanelError)

    stage.play(play)


@pytest.mark.parametrize(("wait", "asked_s", "requests"), [
    ("0", 0.0, 2),
    ("-5", None, 2),
    ("soon", None, 2),
    ("1000000000", 1e9, 1),
    ("Wed, 01 Jan 2120 00:00:00 GMT", 1e9, 1),
])  # fmt: skip
def test_row_68_retry_after(
    stage: Stage, wait: str, asked_s: float | None, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smmfanfast_async._engine.policy.DEFAULT_PAUSE_S", 0.01)

    async def play() -> None:
        async with FaultPanel(Plan(raw=answer("", 429, [("Retry-After", wait)]))) as panel:
            found = await stage.balance(panel)
            assert isinstance(found, PanelError)
            assert (found.retry_after_s is None) is (asked_s is None)
            assert (found.retry_after_s or 0.0) >= (asked_s or 0.0)
            assert len(panel.bodies) == requests

    stage.play(play)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["same host", "other host", "https to http"])
def test_row_70_redirect_is_not_followed(stage: Stage, status: int, target: str) -> None:
    async def play() -> None:
        async with FaultPanel(Plan(stores=True, raw=answer(GOOD))) as other:
            moved = {"same host": "/moved", "other host": other.url, "https to http": other.url}
            raw = answer("", status, [("Location", moved[target])])
            async with FaultPanel(Plan(raw=raw)) as panel:
                assert isinstance(await stage.add(panel), OutcomeUnknownError)
            async with FaultPanel(Plan(raw=raw)) as panel:
                found = await stage.balance(panel, retry=RetryPolicy(max_attempts=1))
                assert isinstance(found, PanelError)
                assert len(panel.bodies) == 1
            assert (other.connections, other.bytes_seen) == (0, 0)

    stage.play(play)


def test_valid_response_passes_all_checks(stage: Stage) -> None:
    async def play() -> None:
        async with FaultPanel(Plan(stores=True, raw=answer(GOOD))) as panel:
            assert isinstance(await stage.add(panel), AddedOrder)
        async with FaultPanel(Plan(raw=answer('{"balance":"1"}'))) as panel:
            assert isinstance(await stage.balance(panel), Balance)

    stage.play(play)
