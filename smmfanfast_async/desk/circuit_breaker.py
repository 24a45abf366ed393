"""Keeping orders from a panel that fails, over all desks of the account.

How this works. The circuit is a row of the journal that all desks share; `circuit` decides how it
changes. Before each attempt it is read. An order that must wait for the panel stays PREPARED and
becomes due when the panel is probed. The result of an attempt is recorded in the order first and
then in the circuit: what is lost in between is made up for by the next failure. The lease of a
probe is one field of the row, so that one desk probes at a time, and one that is killed holds up
nobody for long.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from attrs import define, field

from .._amounts import EXACT
from ..client import Client
from ..errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    JournalError,
    NotSentError,
    PanelError,
)
from ..journal import DEFAULT_PANEL, Circuit, CircuitState, Entry, Journal
from ..results import Balance
from .balances import read_balance
from .circuit import (
    CircuitPolicy,
    Signal,
    claim_probe,
    covers,
    on_balance,
    on_call,
    on_probe,
    signal_of,
)
from .outcomes import NOT_SENT_RETRY_S
from .rate_limit import AccountRateLimit

__all__ = ["CircuitBreaker", "CircuitOpenError"]

PROBE_RATE_WAIT_S = 15.0
"""Seconds for which a probe waits for the account's rate limit. With the call, of
`balance_timeout_s`, it is over before its lease."""

_WAITS = {
    ErrorKind.FUNDS: "the balance is too low, and orders above it wait until it rises",
    ErrorKind.AUTH: "the panel rejects the API key, and orders wait until it accepts it",
}

_LOG = logging.getLogger("smmfanfast_async")


class CircuitOpenError(Exception):
    """The order was not started: it waits, as PREPARED, for the panel."""


@define(kw_only=True)
class CircuitBreaker:
    """The circuit of one panel, as one desk uses it."""

    policy: CircuitPolicy | None
    """None if orders are always sent."""
    client: Client
    journal: Journal
    rate_limit: AccountRateLimit
    balance_timeout_s: float
    """Seconds for a call that reads the balance."""
    panel: str = DEFAULT_PANEL
    exchange_rate: Decimal = Decimal(1)
    """What a unit of the panel's currency is worth in that of the orders' prices."""
    _known: Circuit = field(factory=Circuit)
    """The circuit when it was last read: a success is recorded only if it ends failures."""
    _balance: Balance | None = None
    """The last balance that was read and is not recorded yet."""

    async def open_until(self) -> datetime | None:
        """Return until when no order is sent to the panel; None if orders are sent, or may be."""
        if self.policy is None:
            return None
        circuit = await self._read()
        is_open = circuit.state(await self.journal.now()) is CircuitState.OPEN
        return circuit.open_until if is_open else None

    async def is_closed(self) -> bool:
        """Return whether the panel's last calls worked, so that orders are sent to it."""
        return self.policy is None or (await self._read()).open_until is None

    async def check(self, entry: Entry, *, is_awaited: bool) -> None:
        """Return if an order may be sent; otherwise make it wait and raise `CircuitOpenError`.

        `is_awaited`: whether a caller waits for it; see `circuit.claim_probe`.
        """
        if self.policy is None:
            return
        circuit = await self._read()
        if circuit.open_until is None or self._covers(circuit, entry):
            return
        now = await self.journal.now()
        circuit, _ = await self._probe(self.policy, circuit, now, is_awaited=is_awaited)
        if circuit.open_until is None or self._covers(circuit, entry):
            return
        # Not before the probe: that may have closed it since, for another order.
        until = _next_look(circuit, await self.journal.now())
        kind = circuit.reason or ErrorKind.NETWORK
        text = _WAITS.get(kind, f"the panel fails ({kind}), and orders wait until it is back")
        await self.journal.postpone(
            entry.ref,
            entry.attempt,
            until=until,
            kind=kind,
            reason=f"{text}; next attempt at {until:%H:%M:%S} UTC",
        )
        if (await self._read()).open_until is None:
            await self.journal.make_due(until)  # it was closed before the order waited
        raise CircuitOpenError(text)

    async def record(self, error: PanelError | None, entry: Entry | None = None) -> None:
        """Record the result of a call, with `entry` that of an attempt to send it.

        An error is logged: what became of the order is recorded already.
        """
        policy, signal = self.policy, signal_of(error)
        if policy is None or signal is Signal.NONE:
            return
        if signal is Signal.SUCCESS and (not self._known.failure_count or self._known.open_until):
            return
        try:
            too_low = await self._too_low(entry) if signal is Signal.FUNDS else None
            await self._change(lambda circuit, now: on_call(circuit, error, policy, now, too_low))
        except (ClosedError, JournalError) as failure:
            _LOG.warning("%s", failure)

    def on_balance(self, balance: Balance) -> None:
        """Remember a balance that was read; `tend` records it."""
        self._balance = balance

    async def tend(self) -> None:
        """Record the balance that was read last, and probe the panel if that is due.

        Raises `AuthenticationError` if the panel rejects the key, `ClosedError` as a call does, and
        `JournalError` if the journal is not available.
        """
        balance, self._balance = self._balance, None
        if balance is not None:
            await self._change(lambda circuit, now: on_balance(circuit, balance, now))
        if self.policy is None:
            return
        circuit = await self._read()
        if circuit.open_until is None:
            return
        # A desk with another key has to find out for itself whether it is accepted.
        is_early = circuit.reason is ErrorKind.AUTH
        now = await self.journal.now()
        _, result = await self._probe(self.policy, circuit, now, is_awaited=is_early)
        if isinstance(result, AuthenticationError):
            raise result

    def _covers(self, circuit: Circuit, entry: Entry) -> bool:
        return covers(circuit, entry, self.exchange_rate)

    async def _read(self) -> Circuit:
        self._known = await self.journal.circuit(self.panel)
        return self._known

    async def _change(
        self, change: Callable[[Circuit, datetime], Circuit]
    ) -> tuple[Circuit, Circuit]:
        """Change the circuit; if that closes it, the orders that waited for it are due."""
        before, after = await self.journal.change_circuit(self.panel, change)
        self._known = after
        if before.open_until is not None and after.open_until is None:
            _LOG.info("the panel works: orders are sent again")
            # Those that came while a desk was probing it waited for the end of that.
            for until in filter(None, (before.open_until, before.probe_until)):
                await self.journal.make_due(until)
        if after.open_until is not None and after.open_until != before.open_until:
            at = f"{after.open_until:%H:%M:%S}"
            _LOG.warning("orders wait for the panel (%s); it is probed at %s UTC", after.reason, at)
        return before, after

    async def _probe(
        self, policy: CircuitPolicy, circuit: Circuit, now: datetime, *, is_awaited: bool
    ) -> tuple[Circuit, Balance | PanelError | None]:
        """Probe the panel if that is due and no other desk does.

        Return the circuit after it, and the result, None without a probe.
        """
        if claim_probe(circuit, now, is_awaited=is_awaited) == circuit:
            return circuit, None
        before, claimed = await self._change(
            lambda circuit, now: claim_probe(circuit, now, is_awaited=is_awaited)
        )
        if claimed == before:
            return claimed, None  # another desk was faster
        result = await self._ask()
        _, after = await self._change(
            lambda circuit, now: on_probe(circuit, result, claimed, policy, now)
        )
        return after, result

    async def _ask(self) -> Balance | PanelError | None:
        """Return the balance, or why it could not be read; None if the panel has no such action."""
        if "balance" not in self.client.profile.actions:
            return None
        try:
            balance = await read_balance(
                self.client, self.rate_limit,
                timeout_s=self.balance_timeout_s, max_wait_s=PROBE_RATE_WAIT_S,
            )  # fmt: skip
        except (ClosedError, JournalError):
            raise
        except PanelError as error:
            return error
        if balance is None:
            return NotSentError("the rate limit left no call free in time", action="balance")
        return balance

    async def _too_low(self, entry: Entry | None) -> Decimal | None:
        """Return the balance that did not cover an order; None if it is not known.

        It is not known either if the panel says that it should have.
        """
        balance = None if entry is None else entry.balance_before
        if balance is None:
            read = await self._ask()
            balance = read.balance if isinstance(read, Balance) else None
        # Read before the refusal, it must not be taken for one that rose since.
        self._balance = None
        price = None if entry is None else entry.price
        if balance is None or price is None:
            return balance
        return balance if EXACT.multiply(balance, self.exchange_rate) < price else None


def _next_look(circuit: Circuit, now: datetime) -> datetime:
    """Return when an order that waits for a panel is to be looked at again."""
    if circuit.is_probed(now) and circuit.probe_until is not None:
        return circuit.probe_until
    if circuit.state(now) is CircuitState.OPEN and circuit.open_until is not None:
        return circuit.open_until
    return now + timedelta(seconds=NOT_SENT_RETRY_S)
