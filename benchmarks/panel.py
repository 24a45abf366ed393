"""A stand-in panel: it answers immediately, or after the latency given in its path.

`async with run_panel() as panel:` runs it in a process of its own, on the last core, and
`panel.url(…)` returns a URL. It implements only as much HTTP as clients need, on a raw asyncio
protocol, so that it is several times faster than the clients that are measured; it stores nothing
but counts.

Its behaviour is encoded in the path, so that the alternatives of one round can request different
behaviour: `/ms50/rows10000/lost/api/v1` answers after 50 ms, has 10,000 services, and disconnects
on an order after counting it. `/real15` answers status batches as panels do: it refuses two ids in
each hundred, spells statuses in several ways, and 15 records in a thousand are irregular.
`/bad100` fails every batch with an id that is a multiple of 100. `GET /counts` returns the counts
since the last call.
"""

import argparse
import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path

__all__ = [
    "KEY",
    "Panel",
    "is_refused",
    "real_status_body",
    "run_panel",
    "services_body",
    "status_body",
]

KEY = "test-benchmark"
LIFETIME_S = 1800
"""Seconds after which the panel exits on its own if it was not stopped."""
ROWS = 100
"""Number of services if the path does not set one."""

STATUSES = ("In progress", "Completed", "Processing", "Pending", "Partial")
TAILS = tuple(
    b'"status":"%b","charge":"%d.%04d","start_count":"%d","remains":"%d","currency":"USD"}'
    % (STATUSES[i % len(STATUSES)].encode(), i % 9, i * 157 % 10_000, i * 3571, i * 41 % 1000)
    for i in range(64)
)
"""The part of a status after its id."""
ORDER_IDS = count(32)
"""The document's sample is order 32."""
MALFORMED_TAILS = (
    b'"status":"Completed","charge":"1,234.50","start_count":"120","remains":"0"}',
    b'"status":"Pending","charge":"0.1200","start_count":"N/A","remains":"+5"}',
)
REAL_TAILS = tuple(
    b'"status":"%b",%b' % (word.encode(), TAILS[i].partition(b",")[2])
    for i, word in enumerate(
        [
            *("In progress", "Completed", "Processing", "Pending", "Partial", "Canceled"),
            *("In progress", "Completed", "in_progress", "completed", "Cancelled", "Inprogress"),
        ]
        * 5
    )
)
"""The part of a status after its id, in the spellings of several panels."""
NUMBER_TAILS = tuple(re.sub(rb':"([0-9.]+)"', rb":\1", tail) for tail in REAL_TAILS)
"""The same with JSON numbers."""
REFUSED_EVERY, REFUSED_AT = 50, 7
"""An id is refused if it leaves this remainder: two of a hundred consecutive ids."""
IRREGULAR_EVERY = 200
IRREGULAR_AT = {0: (), 15: (33, 133, 171)}
"""Records in a thousand that are irregular: the remainders of their ids."""
REFUSAL = b'"Incorrect order ID"'
REFUSAL_OBJECT = b'{"error":"Incorrect order ID"}'
BAD_BATCH = b'{"error":"Something went wrong"}'
"""The answer to a batch with a bad id."""
DESCRIPTION = (
    "Start: 0-1 hour\\nSpeed: up to 20k\\/day\\nQuality: real looking accounts with pictures\\n"
    "Guarantee: 30 days of refill\\nLink: https:\\/\\/example.com\\/username\\nPlease do not order "
    "the same link again initial_cores the first order is completed. \\u2705"
)


def status_body(ids: list[bytes], malformed: int = 0) -> bytes:
    """Return the answer for some orders; `malformed` of them, evenly spread, are malformed."""
    rows = [b'"%b":{"order":"%b",%b' % (each, each, TAILS[int(each) % 64]) for each in ids]
    for number in range(malformed):
        index = (number + 1) * len(ids) // (malformed + 1)
        each = ids[index]
        rows[index] = b'"%b":{"order":"%b",%b' % (each, each, MALFORMED_TAILS[number % 2])
    return b"{%b}" % b",".join(rows)


def is_refused(order: int) -> bool:
    """Return whether the panel refuses an id when it answers as real ones do."""
    return order % REFUSED_EVERY == REFUSED_AT


def real_status_body(
    ids: list[bytes], irregular: int = 0, *, refusal: bytes = REFUSAL, has_numbers: bool = False
) -> bytes:
    """Return the answer for some orders as panels give it, `irregular` records in a thousand.

    `has_numbers` writes charges and counts as JSON numbers, as some panels do.
    """
    tails = NUMBER_TAILS if has_numbers else REAL_TAILS
    rows = []
    for each in ids:
        order = int(each)
        if is_refused(order):
            rows.append(b'"%b":%b' % (each, refusal))
            continue
        tail = tails[order % len(tails)]
        if order % IRREGULAR_EVERY in IRREGULAR_AT[irregular]:
            tail = MALFORMED_TAILS[order % 2]
        rows.append(b'"%b":{"order":"%b",%b' % (each, each, tail))
    return b"{%b}" % b",".join(rows)


@lru_cache
def services_body(rows: int) -> bytes:
    """Return a catalogue as such panels print it, about 400 bytes per service."""
    return b"[%b]" % b",".join(
        (
            f'{{"service":"{i}","name":"Instagram Followers [{i % 50}K] - No refill - {i % 90}k'
            f'\\/Day","category":"Instagram - Followers [Guaranteed\\/Refill] {i % 80} \\u2b50",'
            f'"rate":"{i % 40}.{i % 100:02}","min":"{10 + i % 90}","max":"{(1 + i % 90) * 1000}",'
            f'"type":"default","desc":"{DESCRIPTION} {i}","dripfeed":1}}'
        ).encode()
        for i in range(1, rows + 1)
    )


@dataclass
class Counts:
    """The requests since the counts were last fetched."""

    requests: int = 0
    orders: int = 0
    max_ids: int = 0


@dataclass
class PathOptions:
    """The behaviour that a path requests."""

    latency_s: float = 0.0
    rows: int = ROWS
    is_lost: bool = False
    irregular: int | None = None
    """Irregular records in a thousand of a panel that answers as real ones do; None for batches
    without a refused id."""
    bad_every: int = 0


@lru_cache
def parse_path(path: bytes) -> PathOptions:
    """Parse a path."""
    options = PathOptions()
    for part in path.decode().split("/"):
        if part.startswith("ms"):
            options.latency_s = int(part[2:]) / 1000
        elif part.startswith("rows"):
            options.rows = int(part[4:])
        elif part.startswith("real"):
            options.irregular = int(part[4:])
        elif part.startswith("bad"):
            options.bad_every = int(part[3:])
        elif part == "lost":
            options.is_lost = True
    return options


def answer_batch(ids: list[bytes], options: PathOptions) -> bytes:
    """Return the answer to a batch of ids."""
    if options.bad_every and any(int(each) % options.bad_every == 0 for each in ids):
        return BAD_BATCH
    if options.irregular is not None:
        return real_status_body(ids, options.irregular)
    return status_body(ids)


class Connection(asyncio.Protocol):
    """One connection; its requests are sequential."""

    def __init__(self, counts: list[Counts]) -> None:
        self.counts = counts
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # it is TCP
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every complete request."""
        self.buffer += data
        while self.buffer:
            head, end, rest = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return
            _, named, length = head.lower().partition(b"content-length: ")
            size = int(length.split(b"\r\n", 1)[0]) if named else 0
            if len(rest) < size:
                return
            self.buffer = rest[size:]
            self.handle_request(head.split(b" ", 2)[1], rest[:size])

    def handle_request(self, path: bytes, body: bytes) -> None:
        """Answer one request, immediately or after its latency."""
        if path == b"/counts":
            self.write(json.dumps(vars(self.counts[0])).encode())
            self.counts[0] = Counts()
            return
        options = parse_path(path)
        counts = self.counts[0]
        counts.requests += 1
        form = dict(pair.split(b"=", 1) for pair in body.split(b"&"))
        answer = self.answer(form, options, counts)
        if answer is None:
            self.transport.close()
        elif options.latency_s:
            asyncio.get_running_loop().call_later(options.latency_s, self.write, answer)
        else:
            self.write(answer)

    @staticmethod
    def answer(form: dict[bytes, bytes], options: PathOptions, counts: Counts) -> bytes | None:
        """Return the answer to a form; None disconnects."""
        match form[b"action"]:
            case b"status" if b"orders" in form:
                ids = form[b"orders"].replace(b"%2C", b",").split(b",")
                counts.max_ids = max(counts.max_ids, len(ids))
                return answer_batch(ids, options)
            case b"status":
                each = form[b"order"]
                return b'{"order":"%b",%b' % (each, TAILS[int(each) % 64])
            case b"services":
                return services_body(options.rows)
            case b"add":
                counts.orders += 1
                if options.is_lost:
                    return None
                return b'{"status":"success","order":%d}' % next(ORDER_IDS)
            case _:
                return b'{"status":"success","balance":"0.03","currency":"USD"}'

    def write(self, answer: bytes) -> None:
        """Send an answer with the headers that such panels send."""
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(answer), answer)
        )


class Panel:
    """A running panel."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(
        self, latency_ms: int = 0, *, rows: int = ROWS, is_lost: bool = False, more: str = ""
    ) -> str:
        """Return the URL with this behaviour; `more` is further parts of the path."""
        lost = "/lost" if is_lost else ""
        return f"http://127.0.0.1:{self.port}/ms{latency_ms}/rows{rows}{lost}{more}/api/v1"

    async def fetch_counts(self) -> Counts:
        """Return the counts since the last call."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"GET /counts HTTP/1.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        body = await reader.readexactly(size)
        writer.close()
        await writer.wait_closed()
        return Counts(**json.loads(body))


def available_cores() -> list[int]:
    """Return the cores that this process may use; an empty list if the system cannot tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@asynccontextmanager
async def run_panel(*, is_pinned: bool = True) -> AsyncGenerator[Panel, None]:
    """Run a panel, pinned to the last core; this process and its children use the others."""
    initial_cores = available_cores() if is_pinned else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__)), stdout=asyncio.subprocess.PIPE
    )
    try:
        port = int(await process.stdout.readline()) if process.stdout else 0
        if len(initial_cores) > 1:
            os.sched_setaffinity(process.pid, initial_cores[-1:])
            os.sched_setaffinity(0, initial_cores[:-1])
        yield Panel(port)
    finally:
        if len(initial_cores) > 1:
            os.sched_setaffinity(0, initial_cores)
        process.kill()
        await process.wait()


async def main() -> None:
    """Print the port, then serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lifetime-s", type=float, default=LIFETIME_S)
    lifetime_s = parser.parse_args().lifetime_s
    counts = [Counts()]
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(counts), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.sleep(lifetime_s)


if __name__ == "__main__":
    asyncio.run(main())
