"""The actions of the panel: answer a form at a given panel time.

Pure: no clock, no network. The dialect decides the format of the answers (`answers`).
"""

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs

from . import messages
from .answers import Answer, encode_id
from .dialects import STANDARD, Dialect
from .fields import decode_percent
from .forms import parse_order
from .ledger import MAX_ORDERS, Ledger
from .messages import RefusalReply
from .orders import State, StoredOrder
from .refills import RefillBook, StoredRefill
from .replays import Replays
from .services import SandboxService

__all__ = ["Answer", "Panel"]

# Like PHP's strip_tags: a `<` that is not followed by whitespace starts a tag, and an unclosed tag
# extends to the end of the text.
_TAG = re.compile(r"<(?!\s)[^>]*(>|$)")

MAX_IDS_PER_CALL = 20_000
"""The most ids in one call, for dialects without a limit: about half a second of work."""

MAX_CHILD_IDS = 200_000
"""The most ids of created orders in one answer, for the same reason: an order may have created a
thousand, and can be asked for in thousands of spellings."""

_DELIVERED = frozenset({State.COMPLETED, State.PARTIAL})


class Panel:
    """One panel with one account. Methods take the panel time, which must not go back."""

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
        replay_window_s: float | None = None,
    ) -> None:
        """Create a panel; see `Sandbox` for the arguments. ValueError for an unsupported type."""
        self.ledger = Ledger(seed=seed, balance=balance, max_orders=max_orders)
        self.refills = RefillBook(seed=seed, max_refills=max_orders)
        self.services: dict[str, SandboxService] = {}
        self.unavailable: dict[str, SandboxService] = {}
        self._positions: dict[str, int] = {}  # a service that comes back takes its old place
        self.dialect = dialect
        for service in services:
            self.add_service(service)
        self._api_key = api_key
        self.currency = currency
        self._double_decoding = (
            dialect.double_decoding if double_decoding is None else double_decoding
        )
        self._with_currency = with_currency
        self._replays = Replays(replay_window_s)
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
        """Execute a form, whose values are decoded once, and return the panel's answer."""
        self.ledger.run_due_events(now_s)
        # Constant time, as a panel should do; bytes because text would have to be ASCII.
        if not hmac.compare_digest(_encode(form.get("key", "")), _encode(self._api_key)):
            return self._error(messages.USER_UNKNOWN)
        # The key is dropped here, so that nothing below can store or show it.
        fields = {name: self._decode_value(form[name]) for name in form if name != "key"}
        action = self._actions.get(fields.get("action", ""))
        if action is None:
            return self._error(messages.ACTION_INVALID)
        try:
            return action(fields, now_s)
        except RefusalReply as refusal:
            return self._error(refusal.text)

    def add_service(self, service: SandboxService) -> None:
        """Add or replace a service; ValueError for a type that the dialect does not have."""
        if service.type not in self.dialect.service_types:
            raise ValueError(
                f"service {service.service} has type {service.type!r}, which the dialect "
                f"{self.dialect.name!r} does not have"
            )
        self._positions.setdefault(service.service, len(self._positions))
        self.unavailable.pop(service.service, None)
        self.services[service.service] = service

    def remove_service(self, service: str) -> None:
        """Remove a service, available or not; KeyError for an unknown service."""
        del self._shelf_of(service)[service]

    def change_service(self, service: str, **changes: Any) -> None:
        """Change fields of a service; KeyError for an unknown one, ValueError for a bad value."""
        shelf = self._shelf_of(service)
        shelf[service] = attrs.evolve(shelf[service], **changes)

    def set_available(self, service: str, *, available: bool) -> None:
        """Offer a service, or stop offering it; KeyError for an unknown service."""
        found = self._shelf_of(service).pop(service)
        shelf = self.services if available else self.unavailable
        shelf[service] = found
        ordered = sorted(shelf.items(), key=lambda item: self._positions[item[0]])
        shelf.clear()
        shelf.update(ordered)

    def list_services(self) -> list[tuple[SandboxService, bool]]:
        """Return all services in the order of the list, and whether each is available."""
        both = [
            *((service, True) for service in self.services.values()),
            *((service, False) for service in self.unavailable.values()),
        ]
        return sorted(both, key=lambda item: self._positions[item[0].service])

    def _shelf_of(self, service: str) -> dict[str, SandboxService]:
        return self.unavailable if service in self.unavailable else self.services

    def snapshot_orders(self, now_s: float) -> dict[str, StoredOrder]:
        """Return every order at the given time, by id, the oldest first."""
        self.ledger.run_due_events(now_s)
        return {order: self.ledger.snapshot(order, now_s) for order in self.ledger}

    def snapshot_refills(self, now_s: float) -> dict[str, StoredRefill]:
        """Return every refill at the given time, by id, the oldest first."""
        return {refill: self.refills.snapshot(refill, now_s) for refill in self.refills}

    def _error(self, text: str) -> Answer:
        return {"error": self.dialect.translate_message(text)}

    def _decode_value(self, value: str) -> str:
        """Return a value as the panel stores it: decoded once more, without tags (seen)."""
        if not self._double_decoding:
            return value
        return _TAG.sub("", decode_percent(_encode(value)))

    def _add(self, fields: Mapping[str, str], now_s: float) -> Answer:
        repeated = self._replays.find(fields, now_s)
        if repeated is not None:
            return self.dialect.added(repeated)
        request = parse_order(fields, self.services, self.dialect)
        if request.link and self.ledger.has_active_order(request.service.service, request.link):
            raise RefusalReply(messages.ACTIVE_LINK)
        if request.price > self.ledger.balance:
            raise RefusalReply(messages.NOT_ENOUGH_FUNDS)
        order = self.ledger.insert(request, now_s)
        if order is None:
            raise RefusalReply(messages.TRY_AGAIN)
        self._replays.add(fields, order, now_s)
        return self.dialect.added(order)

    def _status(self, fields: Mapping[str, str], now_s: float) -> Answer:
        if "order" in fields:
            order = fields["order"].strip()
            if order not in self.ledger:
                raise RefusalReply(messages.ORDER_UNKNOWN)
            return self._order_answer(order, now_s)
        rows: dict[str, Answer] = {}
        free_child_ids = MAX_CHILD_IDS
        for key in self._parse_ids(fields, "orders", messages.ORDER_REQUIRED):
            # Spaces around an id stay in the key, such as `" 13"` (seen).
            order = key.strip()
            if order not in self.ledger:
                rows[key] = self.dialect.unknown_order()
                continue
            free_child_ids -= self.ledger.count_children(order)
            if free_child_ids < 0:
                raise RefusalReply(messages.TOO_MANY_IDS)
            rows[key] = self._order_answer(order, now_s)
        return rows

    def _parse_ids(self, fields: Mapping[str, str], name: str, missing: str) -> list[str]:
        """Split ids at the commas and drop empty ones."""
        if name not in fields:
            raise RefusalReply(missing)
        ids = [each for each in fields[name].split(",") if each.strip()]
        if len(ids) > (self.dialect.max_ids_per_call or MAX_IDS_PER_CALL):
            raise RefusalReply(messages.TOO_MANY_IDS)
        return ids

    def _order_answer(self, order: str, now_s: float) -> Answer:
        stored = self.ledger.snapshot(order, now_s)
        return self.dialect.order(stored, self.currency if self._with_currency else None)

    def _services(self, _fields: Mapping[str, str], _now_s: float) -> Answer:
        if not self.services:
            return self.dialect.no_services
        return [self.dialect.service(service) for service in self.services.values()]

    def _balance(self, _fields: Mapping[str, str], _now_s: float) -> Answer:
        return self.dialect.balance(self.ledger.balance, self.currency)

    # --- only API v2 ----------------------------------------------------------------------------

    def _refill(self, fields: Mapping[str, str], now_s: float) -> Answer:
        def create_refill(order: str) -> int:
            self._require_order(order)
            service = self.ledger.get_service(order)
            status = self.ledger.snapshot(order, now_s).status
            if not service.refill or status not in _DELIVERED:
                raise RefusalReply(messages.REFILL_REFUSED)
            if self.refills.has_open(order, now_s):
                raise RefusalReply(messages.REFILL_REFUSED)
            refill = self.refills.insert(order, now_s)
            if refill is None:
                raise RefusalReply(messages.TRY_AGAIN)
            return int(refill)

        return self._apply_to_ids(fields, "order", "refill", create_refill, messages.ORDER_REQUIRED)

    def _refill_status(self, fields: Mapping[str, str], now_s: float) -> Answer:
        def get_status(refill: str) -> str:
            if refill not in self.refills:
                raise RefusalReply(messages.REFILL_UNKNOWN)
            return self.refills.snapshot(refill, now_s).status.value

        return self._apply_to_ids(fields, "refill", "status", get_status, messages.REFILL_REQUIRED)

    def _cancel(self, fields: Mapping[str, str], now_s: float) -> Answer:
        def cancel_order(order: str) -> int:
            self._require_order(order)
            may_cancel = self.ledger.get_service(order).cancel
            if not (may_cancel and self.ledger.cancel(order, now_s)):
                raise RefusalReply(messages.CANCEL_REFUSED)
            return 1

        return self._apply_to_ids(fields, "order", "cancel", cancel_order, messages.ORDER_REQUIRED)

    def _require_order(self, order: str) -> None:
        if order not in self.ledger:
            raise RefusalReply(messages.ORDER_UNKNOWN)

    def _apply_to_ids(
        self,
        fields: Mapping[str, str],
        name: str,
        result_field: str,
        apply: Callable[[str], int | str],
        missing: str,
    ) -> Answer:
        """Apply an action to the id in field `name`, or to each id in its plural field (seen).

        A single id is answered by `{result_field: "1"}`, a number as text, or refused as a whole.
        Several ids are answered by a list of `{name: 1, result_field: 1}`, in which `{"error": …}`
        replaces the result of a refused id.
        """
        if name in fields:
            return {result_field: str(apply(fields[name].strip()))}
        rows: list[Answer] = []
        for each in self._parse_ids(fields, f"{name}s", missing):
            try:
                result: Answer = apply(each.strip())
            except RefusalReply as refusal:
                result = self._error(refusal.text)
            rows.append({name: encode_id(each.strip()), result_field: result})
        return rows


def _encode(text: str) -> bytes:
    """Encode any text; lone surrogates, which no encoding has, become question marks."""
    return text.encode(errors="replace")
