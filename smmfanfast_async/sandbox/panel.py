"""The actions of the panel: a form and a moment in, an answer out.

Pure: no clock, no network. How an answer is worded stands in `answers`, by the panel's dialect.
"""

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from urllib.parse import unquote_plus

import attrs

from . import messages
from .answers import Answer, number_of
from .dialects import STANDARD, Dialect
from .forms import read_order
from .ledger import MAX_ORDERS, Ledger
from .messages import RefusalReply
from .orders import State, StoredOrder
from .refills import RefillBook, StoredRefill
from .services import SandboxService

__all__ = ["Answer", "Panel"]

# As PHP's strip_tags: a `<` before anything but a blank begins a tag, and a tag without an end
# takes the rest of the text.
_TAG = re.compile(r"<(?!\s)[^>]*(>|$)")

_DELIVERED = frozenset({State.COMPLETED, State.PARTIAL})


class Panel:
    """One panel with one account. Every method takes the panel's time, which never goes back."""

    def __init__(
        self,
        *,
        api_key: str,
        seed: int,
        balance: Decimal,
        currency: str,
        services: Iterable[SandboxService],
        dialect: Dialect = STANDARD,
        double_decoding: bool | None = None,
        with_currency: bool = True,
        max_orders: int = MAX_ORDERS,
    ) -> None:
        """See `Sandbox` for the meaning of each; ValueError for a type that nobody asks for."""
        self.ledger = Ledger(seed=seed, balance=balance, max_orders=max_orders)
        self.refills = RefillBook(seed=seed, most=max_orders)
        self.services: dict[str, SandboxService] = {}
        self._dialect = dialect
        for service in services:
            self.sell(service)
        self._api_key = api_key
        self._currency = currency
        self._double_decoding = (
            dialect.double_decoding if double_decoding is None else double_decoding
        )
        self._with_currency = with_currency
        actions: dict[str, Callable[[Mapping[str, str], float], Answer]] = {
            "add": self._add,
            "status": self._status,
            "services": self._services,
            "balance": self._balance,
            "refill": self._refill,
            "refill_status": self._refill_status,
            "cancel": self._cancel,
        }
        self._actions = {name: actions[name] for name in dialect.actions}

    def answer(self, form: Mapping[str, str], now_s: float) -> Answer:
        """Carry out a form, its values decoded once, and give what the panel says to it."""
        self.ledger.settle(now_s)
        # Equal time for right and wrong, as a panel should; bytes, since text must be ASCII here.
        if not hmac.compare_digest(form.get("key", "").encode(), self._api_key.encode()):
            return self._refused(messages.USER_UNKNOWN)
        # The key leaves here: nothing below can store or show it.
        fields = {name: self._understood(form[name]) for name in form if name != "key"}
        action = self._actions.get(fields.get("action", ""))
        if action is None:
            return self._refused(messages.ACTION_INVALID)
        try:
            return action(fields, now_s)
        except RefusalReply as refusal:
            return self._refused(refusal.text)

    def sell(self, service: SandboxService) -> None:
        """Sell a service; ValueError for a type that a panel of this dialect does not have."""
        if service.type not in self._dialect.service_types:
            raise ValueError(
                f"service {service.service} is of type {service.type}, which a panel that speaks "
                f"{self._dialect.name!r} does not have"
            )
        self.services[service.service] = service

    def change_rate(self, service: str, rate: Decimal) -> None:
        """Give a service another price; KeyError for an unknown service."""
        self.services[service] = attrs.evolve(self.services[service], rate=rate)

    def stored(self, now_s: float) -> dict[str, StoredOrder]:
        """Give every order as it stands, by id, the oldest first."""
        self.ledger.settle(now_s)
        return {order: self.ledger.stored(order, now_s) for order in self.ledger}

    def stored_refills(self, now_s: float) -> dict[str, StoredRefill]:
        """Give every refill as it stands, by id, the oldest first."""
        return {refill: self.refills.stored(refill, now_s) for refill in self.refills}

    def _refused(self, text: str) -> Answer:
        return {"error": self._dialect.messages(text)}

    def _understood(self, value: str) -> str:
        """Give a value as the panel stores it: decoded once more, without tags (seen)."""
        if not self._double_decoding:
            return value
        return _TAG.sub("", unquote_plus(value))

    def _add(self, fields: Mapping[str, str], now_s: float) -> Answer:
        wanted = read_order(fields, self.services, self._dialect)
        if wanted.link and self.ledger.has_active(wanted.service.service, wanted.link):
            raise RefusalReply(messages.ACTIVE_LINK)
        if wanted.price > self.ledger.balance:
            raise RefusalReply(messages.NOT_ENOUGH_FUNDS)
        order = self.ledger.insert(wanted, now_s)
        if order is None:
            raise RefusalReply(messages.TRY_AGAIN)
        return self._dialect.added(order)

    def _status(self, fields: Mapping[str, str], now_s: float) -> Answer:
        if "order" in fields:
            order = fields["order"].strip()
            if order not in self.ledger:
                raise RefusalReply(messages.ORDER_UNKNOWN)
            return self._row(order, now_s)
        rows: dict[str, Answer] = {}
        for key in self._ids(fields, "orders", messages.ORDER_REQUIRED):
            # A blank around an id stays in the key, as `" 13"` (seen).
            order = key.strip()
            known = order in self.ledger
            rows[key] = self._row(order, now_s) if known else self._dialect.unknown()
        return rows

    def _ids(self, fields: Mapping[str, str], name: str, missing: str) -> list[str]:
        """Split ids at their commas; nothing between two of them is no id."""
        if name not in fields:
            raise RefusalReply(missing)
        ids = [each for each in fields[name].split(",") if each.strip()]
        most = self._dialect.ids_per_call
        if most is not None and len(ids) > most:
            raise RefusalReply(messages.TOO_MANY_IDS)
        return ids

    def _row(self, order: str, now_s: float) -> Answer:
        stored = self.ledger.stored(order, now_s)
        return self._dialect.order(stored, self._currency if self._with_currency else None)

    def _services(self, _fields: Mapping[str, str], _now_s: float) -> Answer:
        if not self.services:
            return self._dialect.no_services
        return [self._dialect.service(service) for service in self.services.values()]

    def _balance(self, _fields: Mapping[str, str], _now_s: float) -> Answer:
        return self._dialect.balance(self.ledger.balance, self._currency)

    # --- API v2 alone ----------------------------------------------------------------------------

    def _refill(self, fields: Mapping[str, str], now_s: float) -> Answer:
        def refilled(order: str) -> int:
            self._check_known(order)
            service, status = self.ledger.service_of(order), self.ledger.stored(order, now_s).status
            if not service.refill or status not in _DELIVERED:
                raise RefusalReply(messages.REFILL_REFUSED)
            if self.refills.has_open(order, now_s):
                raise RefusalReply(messages.REFILL_REFUSED)
            refill = self.refills.insert(order, now_s)
            if refill is None:
                raise RefusalReply(messages.TRY_AGAIN)
            return int(refill)

        return self._each(fields, "order", "refill", refilled, messages.ORDER_REQUIRED)

    def _refill_status(self, fields: Mapping[str, str], now_s: float) -> Answer:
        def standing(refill: str) -> str:
            if refill not in self.refills:
                raise RefusalReply(messages.REFILL_UNKNOWN)
            return self.refills.stored(refill, now_s).status.value

        return self._each(fields, "refill", "status", standing, messages.REFILL_REQUIRED)

    def _cancel(self, fields: Mapping[str, str], now_s: float) -> Answer:
        def canceled(order: str) -> int:
            self._check_known(order)
            may_be = self.ledger.service_of(order).cancel
            if not (may_be and self.ledger.cancel(order, now_s)):
                raise RefusalReply(messages.CANCEL_REFUSED)
            return 1

        return self._each(fields, "order", "cancel", canceled, messages.ORDER_REQUIRED)

    def _check_known(self, order: str) -> None:
        if order not in self.ledger:
            raise RefusalReply(messages.ORDER_UNKNOWN)

    def _each(
        self,
        fields: Mapping[str, str],
        name: str,
        word: str,
        act: Callable[[str], int | str],
        missing: str,
    ) -> Answer:
        """Act on the one id under `name`, or on each of those under its plural (seen).

        One is answered by `{word: "1"}`, a number as text, or refused as a whole; many by a list of
        `{name: 1, word: 1}`, where `{"error": …}` stands for what was refused.
        """
        if name in fields:
            return {word: str(act(fields[name].strip()))}
        rows: list[Answer] = []
        for each in self._ids(fields, f"{name}s", missing):
            try:
                done: Answer = act(each.strip())
            except RefusalReply as refusal:
                done = self._refused(refusal.text)
            rows.append({name: number_of(each.strip()), word: done})
        return rows
