"""An event loop whose time passes only while nothing can be done, and then at once."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

__all__ = ["StuckError", "VirtualLoop"]


class StuckError(RuntimeError):
    """Nothing is ready and no timer is set: what is awaited can't come any more."""


class Socket(Protocol):
    """What the loop asks of a socket that is none."""

    async def connect(self, address: tuple[str, int]) -> None:
        """Return when the other side has accepted."""
        ...

    def open(self, protocol: asyncio.Protocol) -> asyncio.Transport:
        """Give the transport of the connection."""
        ...


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop without a selector: connections are in memory, time is a number."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Jump(self.pass_s)
        self._now_s = 0.0
        self.complaints: list[str] = []
        self.set_exception_handler(self._complain)

    def time(self) -> float:
        """Give the seconds since the loop was made."""
        return self._now_s

    def pass_s(self, span_s: float) -> None:
        """Let time pass."""
        self._now_s += span_s

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a socket that is none."""
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
        """Do nothing: nothing sleeps that had to be woken."""

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context['message']} {context.get('exception')!r}")


class _Jump(selectors.SelectSelector):
    """Stands where the loop waits for sockets: the wait is skipped, its span is added up."""

    def __init__(self, pass_s: Callable[[float], None]) -> None:
        super().__init__()
        self._pass_s = pass_s

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StuckError("nothing is ready and no timer is set")
        self._pass_s(timeout)
        return []


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
