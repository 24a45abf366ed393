"""Orders that a panel repeats: an equal one gets the id of the earlier one for a while. Pure."""

from collections.abc import Mapping

__all__ = ["Replays"]

MAX_ORDERS = 10_000
"""The most orders remembered, the oldest are forgotten first."""


class Replays:
    """The orders of the last seconds by all of their fields."""

    def __init__(self, window_s: float | None) -> None:
        """`window_s` is in panel seconds; None remembers nothing."""
        self._window_s = window_s
        self._orders: dict[tuple[tuple[str, str], ...], tuple[float, str]] = {}

    def find(self, fields: Mapping[str, str], now_s: float) -> str | None:
        """Return the id of an equal order within the window; None if there is none."""
        if self._window_s is None:
            return None
        created_s, order = self._orders.get(_key(fields), (None, ""))
        return order if created_s is not None and now_s - created_s < self._window_s else None

    def add(self, fields: Mapping[str, str], order: str, now_s: float) -> None:
        """Remember an order that was created."""
        if self._window_s is None:
            return
        if len(self._orders) == MAX_ORDERS:
            del self._orders[next(iter(self._orders))]
        # Also moved to the end if it is there already.
        self._orders.pop(_key(fields), None)
        self._orders[_key(fields)] = (now_s, order)


def _key(fields: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(fields.items()))
