"""An event loop whose time passes only while nothing can be done, and then at once."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

__all__ = ["StuckError", "VirtualLoop"]


class StuckError(RuntimeError):
    """Nothing is ready and no timer is set: what is awaited can never happen."""


class Socket(Protocol):
    """What the loop needs of a simulated socket."""

    async def connect(self, address: tuple[str, int]) -> None:
        """Return when the other side has accepted."""
        ...

    def open(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Return the transport of the connection."""
        ...


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop without a selector: connections are in memory, time is a number."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Jump(self.advance)
        self._now_s = 0.0
        self.loop_errors: list[str] = []
        self.set_exception_handler(self._on_loop_error)

    def time(self) -> float:
        """Return the seconds since the loop was created."""
        return self._now_s

    def advance(self, span_s: float) -> None:
        """Advance the clock."""
        self._now_s += span_s

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a simulated socket."""
        await sock.connect(address)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.Protocol], *, sock: Socket, **_: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        """Put a protocol on a connected socket, in as many turns as a selector loop takes."""
        protocol = protocol_factory()
        transport = sock.open(protocol)
        waiter = self.create_future()
        self.call_soon(protocol.connection_made, transport)
        self.call_soon(_wake, waiter)
        try:
            await waiter
        except BaseException:
            transport.close()
            raise
        return transport, protocol

    def run_in_executor(self, *_: Any) -> NoReturn:  # type: ignore[override]
        """Refuse: a thread would know no virtual time."""
        raise RuntimeError("no threads in the simulation")

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: there are no sockets that could have events."""

    def _write_to_self(self) -> None:
        """Do nothing: the loop never blocks."""

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.loop_errors.append(f"{context['message']} {context.get('exception')!r}")


class _Jump(selectors.SelectSelector):
    """Replaces the wait for sockets: the wait is skipped, and the clock advanced by it."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing is ready and no timer is set")
        self._advance(timeout)
        return []


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
