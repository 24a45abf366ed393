"""What all errors have in common: the fields, the three answers, copies."""

import copy
from typing import Self

from ..kinds import READS, ErrorKind

__all__ = ["PanelError", "_DoubtfulError", "_NothingSentError", "without_frames"]

# Actions that can't bring an order into being, whatever becomes of the answer.
_PLACES_NOTHING = READS | {"refill", "cancel"}


class PanelError(Exception):
    """Anything that a call of this library raises on purpose."""

    kind: ErrorKind = ErrorKind.UNKNOWN
    """The word for it; a `RefusedError` carries the finer one of the panel's text."""

    def __init__(
        self,
        text: str = "",
        kind: ErrorKind | None = None,
        http_status: int | None = None,
        retry_after_s: float | None = None,
        action: str | None = None,
        order: str | None = None,
    ) -> None:
        # Positional, so that copy and pickle can build the error again.
        super().__init__(text, kind, http_status, retry_after_s, action, order)
        self.text = text
        """The panel's own words, whole; ours where the panel said nothing."""
        self.http_status = http_status
        """The HTTP status of the answer; None where there was none."""
        self.retry_after_s = retry_after_s
        """Seconds the panel asks us to wait; None where it did not say."""
        self.action = action
        """The action that was called, as in the form (`"status"`); None outside a call."""
        self.order = order
        """The order id that this is about; None where it is about none, or about many."""
        self.raw: str | None = None
        """The answer as it came, cleaned, its first 2,000 characters; of a batch, the piece that
        this is about. None where no answer came."""
        if kind is not None:
            self.kind = kind

    def __str__(self) -> str:
        about = f"{self.action or 'call'}" + (f" of order {self.order}" if self.order else "")
        status = f" (HTTP {self.http_status})" if self.http_status else ""
        return f"{about}: {self.text or self.kind.value}{status}"

    def about(self, order: str) -> Self:
        """Give a copy of this error that is about one order: each waiter has its own object."""
        twin = copy.copy(self)
        twin.order = order
        return twin

    def with_raw(self, raw: str | None) -> Self:
        """Put the answer beside the error, and give the error."""
        self.raw = raw
        return self

    @property
    def sent(self) -> bool:
        """Whether a byte of the request may have left; False is a proof."""
        return True

    @property
    def maybe_placed(self) -> bool:
        """Whether an order may exist because of this call."""
        return False

    @property
    def safe_to_repeat(self) -> bool:
        """Whether the same call again can't order twice or otherwise do a thing twice."""
        return True


class _NothingSentError(PanelError):
    """What the errors have in common that arise before the first byte."""

    @property
    def sent(self) -> bool:
        """Nothing was sent."""
        return False


class _DoubtfulError(PanelError):
    """What the errors have in common after which a change may or may not have happened."""

    @property
    def maybe_placed(self) -> bool:
        """An order may exist unless the action can't make one."""
        return self.action not in _PLACES_NOTHING

    @property
    def safe_to_repeat(self) -> bool:
        """Only what changes nothing may be asked again."""
        return self.action in READS


def without_frames(error: BaseException) -> BaseException:
    """Take the frames off a foreign error and its causes: they may hold a key or a password."""
    each: BaseException | None = error
    while each is not None:
        each.__traceback__ = None
        each = each.__cause__ or each.__context__
    return error
