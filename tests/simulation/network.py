"""Bytes between the client's transports and panels: in order, but the scenario chooses when.

Each panel has a port of its own, with partitions of its own. A connection has two pipes. Bytes put
into a pipe arrive in pieces, each at its own time, unless a partition delays it (until it heals, as
TCP retransmits) or forever. A cut ends both directions after a number of bytes, as a middlebox
does.
"""

import asyncio
import math
from collections.abc import Callable
from contextvars import ContextVar
from itertools import pairwise
from random import Random
from typing import Any, Literal, Protocol

from attrs import define, field, frozen

from .process import Process
from .virtual_loop import VirtualLoop

__all__ = ["CALL", "PORT", "Cut", "End", "Host", "Link", "Network", "Panel", "Partition", "Wire"]

CALL: ContextVar[str] = ContextVar("CALL", default="no call")
"""Which call is running; a connection is named after the call that made it."""

PORT = 8080
"""The port of the first panel; ports without a panel accept no connections."""

TICK_S = 1e-6
"""Seconds between two pieces at least: timers due at the same time run in no defined order."""

Direction = Literal["up", "down"]
End = Literal["fin", "rst"]


@frozen
class Partition:
    """A time in which nothing arrives in one direction."""

    direction: Direction
    start_s: float
    end_s: float
    """`math.inf` for one that never heals."""


@frozen
class Cut:
    """An end to both directions, after so many bytes of one."""

    direction: Direction
    after_bytes: int
    how: End


@frozen(kw_only=True)
class Link:
    """What one connection is like."""

    fate: Literal["accept", "refuse", "hang"] = "accept"
    latency_s: float = 0.01
    jitter_s: float = 0.0
    """How much longer than `latency_s` a piece can take, at most."""
    pieces: int = 1
    """In how many pieces a write arrives, at most."""
    cut: Cut | None = None
    seed: str = ""
    """Chooses the ends of the pieces and their delays."""


class Panel(Protocol):
    """The panel, as far as the network knows it."""

    @property
    def state(self) -> Literal["up", "down", "dark"]:
        """Up, process gone (connections are refused), or host gone (no reply of any kind)."""
        ...

    def accept(self, wire: "Wire") -> None:
        """Accept a connection."""
        ...

    def receive(self, wire: "Wire", data: bytes) -> None:
        """Receive bytes."""
        ...

    def peer_closed(self, wire: "Wire") -> None:
        """Handle the end of the client's side."""
        ...


@define(eq=False)
class Host:
    """What listens at one port, and the way to it."""

    network: "Network"
    choose_link: Callable[[str, int], Link]
    """The link of a connection, by its call and number."""
    partitions: list[Partition] = field(factory=list)
    panel: Panel = field(init=False)
    delayed: int = 0
    """How many pieces, and attempts to connect, a partition has delayed or swallowed."""

    def arrival_s(self, direction: Direction, span_s: float) -> float | None:
        """Return when data sent now arrives after `span_s`; None for never."""
        sent_s = arrival_s = self.network.loop.time() + span_s
        for each in sorted(self.partitions, key=lambda each: each.start_s):
            if each.direction == direction and each.start_s <= arrival_s < each.end_s:
                arrival_s = each.end_s + span_s
        self.delayed += arrival_s != sent_s
        return None if math.isinf(arrival_s) else arrival_s


@define(eq=False)
class Network:
    """All connections there are and were."""

    loop: VirtualLoop
    hosts: dict[int, Host] = field(factory=dict)
    """By port."""
    wires: list["Wire"] = field(factory=list)
    trace: list[tuple[float, str]] = field(factory=list)
    unexpected_addresses: list[tuple[str, int]] = field(factory=list)
    """Addresses other than a panel's that a client tried to reach."""
    spans: dict[int, tuple[float, float]] = field(factory=dict)
    """Start and end of each connection by number, from the first attempt to its release."""
    _count: int = 0

    def add_host(self, port: int, choose_link: Callable[[str, int], Link]) -> Host:
        """Return a new host; the caller sets its panel."""
        self.hosts[port] = Host(self, choose_link)
        return self.hosts[port]

    def note(self, text: str) -> None:
        """Write a line into the trace."""
        self.trace.append((round(self.loop.time(), 9), text))

    def socket(self, process: Process, _: object) -> Any:
        """Create a simulated socket of a process."""
        return _Socket(self, process)

    def new_number(self) -> int:
        """Count a connection attempt."""
        self._count += 1
        self.spans[self._count] = (self.loop.time(), math.inf)
        return self._count

    def release(self, number: int) -> None:
        """Record the end of a connection."""
        started_s, ended_s = self.spans[number]
        self.spans[number] = (started_s, min(ended_s, self.loop.time()))

    def open_wires(self, process: Process) -> list["Wire"]:
        """Return the connections that a process has not released."""
        return [each for each in self.wires if each.process is process and not each.is_released]

    def bytes_of(self, call: str) -> int:
        """Count the bytes that left on the connections of a call."""
        return sum(each.up.sent_bytes for each in self.wires if each.call == call)

    def crash(self, process: Process, how: End | None) -> None:
        """End a process; `how` is what its kernel sends, None for nothing."""
        for wire in self.open_wires(process):
            wire.die(how)
        process.end()


class _Socket:
    """Replaces the socket of aiohttp's connector."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process
        self._is_closed = False
        self._wire: Wire | None = None

    def setblocking(self, _: bool) -> None:  # noqa: FBT001  # as in the standard library
        """Do nothing: nothing here blocks."""

    def close(self) -> None:
        """Close the connection before it has a transport."""
        self._is_closed = True
        if self._wire is not None:
            self._wire.release("fin")

    async def connect(self, address: tuple[str, int]) -> None:
        """Connect, be refused, or wait forever."""
        network, call = self._network, CALL.get()
        number = network.new_number()
        network.note(f"wire {number}: {call} connects to {address[1]}")
        try:
            await self._connect(number, call, address)
        except BaseException:
            network.release(number)
            raise

    async def _connect(self, number: int, call: str, address: tuple[str, int]) -> None:
        network = self._network
        host = network.hosts.get(address[1])
        if host is None:
            network.unexpected_addresses.append(address)
            raise ConnectionRefusedError(111, "no panel at this port")
        link = host.choose_link(call, number)
        answer: asyncio.Future[None] = network.loop.create_future()
        arrival_s = host.arrival_s("up", link.latency_s)
        if arrival_s is not None and link.fate != "hang" and self._process.is_alive:
            network.loop.call_at(arrival_s, self._receive_connect, host, number, call, link, answer)
        await answer

    def _receive_connect(
        self, host: Host, number: int, call: str, link: Link, answer: asyncio.Future[None]
    ) -> None:
        if host.panel.state == "dark" or self._is_closed or not self._process.is_alive:
            return
        accepts = link.fate == "accept" and host.panel.state == "up"
        if accepts:
            self._wire = Wire(host, self._process, number, call, link)
            host.panel.accept(self._wire)
        arrival_s = host.arrival_s("down", link.latency_s)
        if arrival_s is not None:
            self._network.loop.call_at(arrival_s, _answer_connect, answer, accepts)

    def open(self, protocol: asyncio.Protocol) -> "_ClientTransport":
        """Put a transport on the connection."""
        assert self._wire is not None, "opened before it was connected"
        return self._wire.open(protocol)


def _answer_connect(answer: asyncio.Future[None], accepts: bool) -> None:  # noqa: FBT001
    if answer.done():
        return
    if accepts:
        answer.set_result(None)
    else:
        answer.set_exception(ConnectionRefusedError(111, "Connect call failed"))


class Wire:
    """One connection, from the handshake on."""

    def __init__(self, host: Host, process: Process, number: int, call: str, link: Link) -> None:
        self.network = host.network
        self.host = host
        self.process = process
        self.number = number
        self.call = call
        self.link = link
        rng = Random(link.seed)
        self.up = _Pipe(self, "up", rng, self._reach_panel)
        self.down = _Pipe(self, "down", rng, self._reach_client)
        self.is_released = False
        self._transport: _ClientTransport | None = None
        self._waiting: list[bytes | End] = []
        self.network.wires.append(self)

    def note(self, text: str) -> None:
        """Write a line about this connection into the trace."""
        self.network.note(f"wire {self.number}: {text}")

    def open(self, protocol: asyncio.Protocol) -> "_ClientTransport":
        """Return the client's transport; earlier bytes are delivered in the next turn."""
        self._transport = _ClientTransport(self, protocol)
        self.network.loop.call_soon(self._hand_on)
        return self._transport

    def release(self, how: End) -> None:
        """End it from the client's side."""
        if not self.is_released:
            self.is_released = True
            self.network.release(self.number)
            self.note(f"client: {how}")
            self.up.put(how)

    def die(self, how: End | None) -> None:
        """End it because the client's process has ended."""
        self.down.is_dead = True
        if how is not None:
            self.up.put(how)
        self.up.is_closed = True
        self.is_released = True
        self.network.release(self.number)

    def cut(self, how: End) -> None:
        """End both directions at once."""
        self.note(f"cut: {how}")
        self.up.is_dead = self.down.is_dead = True
        self._reach_panel(how)
        self._reach_client(how)

    def _reach_panel(self, item: bytes | End) -> None:
        if isinstance(item, bytes):
            self.host.panel.receive(self, item)
        else:
            self.host.panel.peer_closed(self)

    def _reach_client(self, item: bytes | End) -> None:
        self._waiting.append(item)
        if self._transport is not None:
            self._hand_on()

    def _hand_on(self) -> None:
        while self._waiting and self._transport is not None and not self._transport.is_paused:
            self._transport.take(self._waiting.pop(0))


class _Pipe:
    """One direction of a connection."""

    def __init__(
        self,
        wire: Wire,
        direction: Direction,
        rng: Random,
        deliver: Callable[[bytes | End], None],
    ) -> None:
        self._wire = wire
        self._direction: Direction = direction
        self._rng = rng
        self._deliver = deliver
        self._last_s = 0.0
        self._delivered = 0
        self._is_blocked = False
        self.sent_bytes = 0
        self.is_closed = False
        """Nothing more is accepted; what is in flight arrives."""
        self.is_dead = False
        """Nothing more is delivered."""
        cut = wire.link.cut
        self._cut = cut if cut is not None and cut.direction == direction else None

    def put(self, item: bytes | End) -> None:
        """Send bytes, or the end of the stream."""
        if self.is_closed:
            return
        if isinstance(item, bytes):
            self.sent_bytes += len(item)
            for piece in self._pieces(item):
                self._send(piece)
        else:
            self._send(item)
            self.is_closed = True

    def _pieces(self, data: bytes) -> list[bytes]:
        count = min(self._wire.link.pieces, len(data))
        ends = sorted(self._rng.sample(range(1, len(data)), count - 1)) if count > 1 else []
        return [data[begin:end] for begin, end in pairwise([0, *ends, len(data)])]

    def _send(self, item: bytes | End) -> None:
        link, host = self._wire.link, self._wire.host
        span_s = link.latency_s + self._rng.random() * link.jitter_s
        arrival_s = host.arrival_s(self._direction, span_s)
        if arrival_s is None or self._is_blocked:
            # What follows a lost piece never arrives either: bytes keep their order.
            self._is_blocked = True
            return
        self._last_s = max(arrival_s, self._last_s + TICK_S)
        host.network.loop.call_at(self._last_s, self._arrive, item)

    def _arrive(self, item: bytes | End) -> None:
        if self.is_dead:
            return
        if not isinstance(item, bytes):
            self._wire.note(f"{self._direction}: {item}")
            self._deliver(item)
            return
        cut = self._cut
        rest = len(item) if cut is None else cut.after_bytes - self._delivered
        self._delivered += len(item)
        self._wire.note(f"{self._direction}: {min(rest, len(item))} bytes")
        if rest > 0:
            self._deliver(item[:rest])
        if cut is not None and rest <= len(item):
            self._wire.cut(cut.how)


class _ClientTransport(asyncio.Transport):
    """The client's end, with the turns of a selector loop's transport."""

    def __init__(self, wire: Wire, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._wire = wire
        self._protocol = protocol
        self._is_closing = False
        self.is_paused = False

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._is_closing:
            self._wire.up.put(bytes(data))

    def close(self) -> None:
        self._close("fin", None)

    def abort(self) -> None:
        self._close("rst", None)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self._wire.network.loop.call_soon(self._wire._hand_on)

    def take(self, item: bytes | End) -> None:
        """Receive what the panel sent."""
        if self._is_closing:
            return
        if isinstance(item, bytes):
            self._protocol.data_received(item)
        elif item == "rst":
            self._close("rst", ConnectionResetError(104, "Connection reset by peer"))
        elif not self._protocol.eof_received():
            self._close("fin", None)

    def _close(self, how: End, error: Exception | None) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._wire.release(how)
        self._wire.network.loop.call_soon(self._protocol.connection_lost, error)
