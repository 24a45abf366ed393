"""Recognize answers by which a panel repeats an earlier order instead of creating one. Pure.

Some panels answer an order that equals an earlier one, for a minute or two, with the id of that one
(seen). Two equal orders that were both meant would then look as if both were placed.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime

from ..errors import ErrorKind, OutcomeUnknownError, RefusedError
from ..results import AddedOrder

__all__ = ["Replays"]

MAX_ORDERS = 10_000
"""The most orders kept: more than a panel takes in an hour, in about a megabyte."""

ANSWER_S = 150.0
"""Seconds that an answer may take in addition to the window: more than an order may take."""


class Replays:
    """The orders that a panel created within its replay window."""

    def __init__(self, window_s: float | None) -> None:
        """`window_s` is `Profile.replay_window_s`; None keeps and checks nothing."""
        self._window_s = window_s
        self._orders: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def check(
        self, added: AddedOrder, form: Mapping[str, str], sent_at: datetime, now_s: float
    ) -> AddedOrder:
        """Return an order that is new, and remember it.

        Raises:
            RefusedError: The id is that of an equal order before: nothing was created.
            OutcomeUnknownError: The id is that of another order before, which cannot be.
        """
        if self._window_s is None:
            return added
        while self._orders and self._oldest_s() < now_s - self._window_s - ANSWER_S:
            self._orders.popitem(last=False)
        digest = hashlib.sha256(repr(sorted(form.items())).encode(errors="replace")).digest()
        known = self._orders.get(added.order)
        if known is None:
            if len(self._orders) == MAX_ORDERS:
                self._orders.popitem(last=False)
            self._orders[added.order] = (now_s, digest)
            return added
        if known[1] == digest:
            text = (
                f"the panel returned order {added.order} again, which an equal order created "
                f"before: it creates no other one for {self._window_s:g} s"
            )
            refused = RefusedError(text, kind=ErrorKind.DUPLICATE, action="add", order=added.order)
            raise refused.with_raw(added.raw)
        text = f"the panel returned order {added.order} again, which another order created"
        unknown = OutcomeUnknownError(text, form=form, sent_at=sent_at, order=added.order)
        raise unknown.with_raw(added.raw)

    def _oldest_s(self) -> float:
        return next(iter(self._orders.values()))[0]
