"""Which process and which event loop opened a desk: no other may use its tasks and connections."""

import asyncio
import os

from attrs import define

from ..errors import ClosedError

__all__ = ["Ownership"]


@define
class Ownership:
    """The process and the event loop in which a desk was opened; None before that."""

    _loop: asyncio.AbstractEventLoop | None = None
    _pid: int | None = None

    def take(self) -> None:
        """Remember this process and the running event loop."""
        self._loop, self._pid = asyncio.get_running_loop(), os.getpid()

    @property
    def is_of_parent(self) -> bool:
        """Whether this process was forked from the one that opened the desk."""
        return self._pid is not None and self._pid != os.getpid()

    def check(self) -> None:
        """Raise `ClosedError` in another process or event loop."""
        if self.is_of_parent:
            raise ClosedError(
                "the desk was opened before this process was forked: open one after the fork"
            )
        if asyncio.get_running_loop() is not self._loop:
            raise ClosedError("the desk is used from another event loop than it was opened in")
