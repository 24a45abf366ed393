"""The error of an order whose outcome nobody knows."""

import copy
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol, Self

from ..kinds import ErrorKind
from .root import PanelError

__all__ = ["OutcomeUnknownError"]


class _Added(Protocol):
    """An `AddedOrder`, as far as this room knows it."""

    @property
    def order(self) -> str:
        """The panel's id of the order."""
        ...


class OutcomeUnknownError(PanelError):
    """An `add` whose outcome nobody knows: an order may exist.

    It is no `TimeoutError` and no `OSError`, so that a decorator which repeats on those does not
    catch it. Never send the same order again before someone has looked.

    `form` is what was sent, without the key. `sent_at` is the aware UTC time of sending. `excerpt`
    is what came back, cleaned, at most 500 characters; empty if nothing did. `order` is an id that
    stood beside an error, or None. `was_written` tells whether the body was handed over whole to
    the connection; False is no proof that the panel got nothing of it.
    """

    kind = ErrorKind.UNKNOWN

    def __init__(
        self,
        text: str = "",
        form: Mapping[str, str] | None = None,
        sent_at: datetime | None = None,
        excerpt: str = "",
        http_status: int | None = None,
        order: str | None = None,
        was_written: bool = True,  # noqa: FBT001, FBT002  # by position, for copy and pickle
    ) -> None:
        PanelError.__init__(self, text, None, http_status, None, "add", order)
        self.form: dict[str, str] = dict(form or {})
        self.args = (text, self.form, sent_at, excerpt, http_status, order, was_written)
        self.sent_at = sent_at
        self.excerpt = excerpt
        self.raw = excerpt or None
        self.was_written = was_written
        self._settling: Callable[[], Awaitable[_Added]] | None = None

    def still(self, settling: "Callable[[], Awaitable[_Added]]") -> Self:
        """Say that the sending still goes on; `settling` awaits its end."""
        self._settling = settling
        return self

    async def settled(self) -> "_Added":
        """Await the outcome of a sending that still goes on, after `Client.add(wait_s=…)`.

        Gives the `AddedOrder`, or raises what `add` would have raised. Where nothing is on its way
        any more, and in a copy, it raises this error itself.
        """
        if self._settling is None:
            raise self
        try:
            return await self._settling()
        except PanelError as error:
            # Whoever awaits it gets an error object of their own.
            raise copy.copy(error) from error

    def __reduce__(self) -> tuple[type[Self], tuple[object, ...], dict[str, object]]:
        # What is on its way can't be copied.
        state: dict[str, object] = {**vars(self), "_settling": None}
        return type(self), self.args, state

    def __str__(self) -> str:
        beside = f" beside order {self.order}" if self.order else ""
        status = f" (HTTP {self.http_status})" if self.http_status else ""
        return f"add: outcome unknown{beside}: {self.text}{status}; do not send it again unseen"

    @property
    def maybe_placed(self) -> bool:
        """An order may exist."""
        return True

    @property
    def safe_to_repeat(self) -> bool:
        """Sending it again may order twice."""
        return False
