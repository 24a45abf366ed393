"""One order over several panels: choose one, make an attempt there, and go on if it said no.

How this works. The panel is chosen in the very commit that gives the right to send it
(`Journal.start_attempt`), so that an order is in flight at one panel at most. What a panel refused,
with a text that proves that there is no order, and what was proved not sent goes to the next panel
at once; everything else stays where it is. Each panel refuses an order once, and gets it once in a
round: what no panel took is left to a running desk.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import frozen

from ..errors import ErrorKind, PanelError, SpendingLimitError
from ..journal import Entry, EntryState, Journal
from .circuit_breaker import CircuitOpenError
from .outcomes import LIMIT_RETRY_S, NOT_SENT_RETRY_S
from .quoting import Quoting, describe
from .routing import LASTING_REASONS, RouteQuote, RouteReason, routes_of
from .sending import NotStartedError, Sender

__all__ = ["RoutedSender"]

_S = EntryState
_R = RouteReason


@frozen(kw_only=True)
class RoutedSender:
    """Sends the orders of one account to its panels."""

    journal: Journal
    quoting: Quoting
    senders: Mapping[str, Sender]
    """The sender of each panel, in the order of the caller."""

    @property
    def _first(self) -> Sender:
        """The sender of the first panel, for what concerns no panel."""
        return next(iter(self.senders.values()))

    async def send(self, entry: Entry, *, is_awaited: bool) -> Entry:
        """Send an entry as `Sender.send` does, to the panels that can take it, one by one."""
        first = self._first
        tried: set[str] = set()
        while True:
            if entry.state is _S.SENDING:
                entry = await first.wait_for_other_desk(entry.ref)
            if entry.state is not _S.PREPARED:
                return entry
            quotes = await self.quoting.of_entry(entry)
            takeable = [each for each in quotes if each.reason is None]
            panel = next(
                (each.panel for each in self.quoting.router(takeable) if each.panel not in tried),
                None,
            )
            if panel is None:
                return await (first.reload(entry.ref) if tried else self._put_off(entry, quotes))
            try:
                entry, error = await self.senders[panel].take_turn(entry, is_awaited=is_awaited)
            except NotStartedError:
                return await first.reload(entry.ref)
            except CircuitOpenError:
                tried.add(panel)
                continue
            if error is not None and panel not in entry.refused_by:
                tried.add(panel)

    async def _put_off(self, entry: Entry, quotes: Sequence[RouteQuote]) -> Entry:
        """Leave an order for later that no panel can take now, or refuse it if none ever can."""
        reasons = {each.reason for each in quotes}
        routes = routes_of(entry, self._first.panel)
        text = f"no panel can take the order: {describe(quotes) or 'none of them is here'}"
        if reasons <= LASTING_REASONS and set(routes) <= set(self.senders):
            kind = next(reversed([*entry.refused_by.values()]), ErrorKind.SERVICE)
            reason = f"{entry.reason or kind}; {text}" if entry.refused_by else text
            await self.journal.refuse(entry.ref, entry.attempt, kind=kind, reason=reason)
            return await self._first.reload(entry.ref)
        is_limited = bool(reasons & {_R.TOO_EXPENSIVE, _R.NO_PRICE})
        now = await self.journal.now()
        ends = [each.until for each in quotes if each.until is not None]
        until = now + timedelta(seconds=LIMIT_RETRY_S if is_limited else NOT_SENT_RETRY_S)
        await self.journal.postpone(
            entry.ref, entry.attempt, until=min([until, *ends]),
            kind=ErrorKind.BUDGET if is_limited else ErrorKind.UNSUPPORTED, reason=text,
        )  # fmt: skip
        error = self._limit_error(entry, quotes)
        if error is not None:
            raise error
        return await self._first.reload(entry.ref)

    def _limit_error(self, entry: Entry, quotes: Sequence[RouteQuote]) -> PanelError | None:
        """Return the error of an order that is too expensive everywhere; None for other reasons."""
        prices = [each.price for each in quotes if each.reason is _R.TOO_EXPENSIVE]
        known = [each for each in prices if each is not None]
        is_limit = {each.reason for each in quotes} <= LASTING_REASONS | {_R.TOO_EXPENSIVE}
        if not known or entry.max_charge is None or not is_limit:
            return None
        return SpendingLimitError("max_charge", min(known), entry.max_charge)
