"""The four actions of the panel: a form and a moment in, an answer out.

Pure: no clock, no network. An answer is what PHP would encode: dicts, lists, texts, numbers.
Field names and shapes are written here from the document and not taken from the client. That
repetition is wanted: shared code would be wrong on both sides, and every test green.
"""

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from urllib.parse import unquote_plus

import attrs

from . import texts
from .forms import read_order
from .ledger import MAX_ORDERS, Ledger
from .orders import StoredOrder
from .services import SandboxService
from .texts import Refusal

__all__ = ["ACTIONS", "Answer", "Panel"]

Answer = dict[str, "Answer"] | list["Answer"] | str | int | bool | None
"""What an answer is made of."""

ACTIONS = ("add", "status", "services", "balance")
"""The document's four."""

_BALANCE_STEP = Decimal("0.01")

# As PHP's strip_tags: a `<` before anything but a blank begins a tag, and a tag without an end
# takes the rest of the text.
_TAG = re.compile(r"<(?!\s)[^>]*(>|$)")


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
        double_decoding: bool = True,
        with_currency: bool = True,
        max_orders: int = MAX_ORDERS,
    ) -> None:
        """See `Sandbox` for the meaning of each."""
        self.ledger = Ledger(seed=seed, balance=balance, max_orders=max_orders)
        self.services = {service.service: service for service in services}
        self._api_key = api_key
        self._currency = currency
        self._double_decoding = double_decoding
        self._with_currency = with_currency
        self._actions: dict[str, Callable[[Mapping[str, str], float], Answer]] = {
            "add": self._add,
            "status": self._status,
            "services": self._services,
            "balance": self._balance,
        }

    def answer(self, form: Mapping[str, str], now_s: float) -> Answer:
        """Carry out a form, its values decoded once, and give what the panel says to it."""
        self.ledger.settle(now_s)
        # Equal time for right and wrong, as a panel should; bytes, since text must be ASCII here.
        if not hmac.compare_digest(form.get("key", "").encode(), self._api_key.encode()):
            return {"error": texts.USER_UNKNOWN}
        # The key leaves here: nothing below can store or show it.
        fields = {name: self._understood(form[name]) for name in form if name != "key"}
        action = self._actions.get(fields.get("action", ""))
        if action is None:
            return {"error": texts.ACTION_INVALID}
        try:
            return action(fields, now_s)
        except Refusal as refusal:
            return {"error": refusal.text}

    def change_rate(self, service: str, rate: Decimal) -> None:
        """Give a service another price; KeyError for an unknown service."""
        self.services[service] = attrs.evolve(self.services[service], rate=rate)

    def stored(self, now_s: float) -> dict[str, StoredOrder]:
        """Give every order as it stands, by id, the oldest first."""
        self.ledger.settle(now_s)
        return {order: self.ledger.stored(order, now_s) for order in self.ledger}

    def _understood(self, value: str) -> str:
        """Give a value as the panel stores it: decoded once more, without tags (seen)."""
        if not self._double_decoding:
            return value
        return _TAG.sub("", unquote_plus(value))

    def _add(self, fields: Mapping[str, str], now_s: float) -> Answer:
        wanted = read_order(fields, self.services)
        if wanted.link and self.ledger.has_active(wanted.service.service, wanted.link):
            raise Refusal(texts.ACTIVE_LINK)
        if wanted.price > self.ledger.balance:
            raise Refusal(texts.NOT_ENOUGH_FUNDS)
        order = self.ledger.insert(wanted, now_s)
        if order is None:
            raise Refusal(texts.TRY_AGAIN)
        return {"status": "success", "order": int(order)}

    def _status(self, fields: Mapping[str, str], now_s: float) -> Answer:
        if "order" in fields:
            order = fields["order"].strip()
            if order not in self.ledger:
                raise Refusal(texts.ORDER_UNKNOWN)
            return self._row(order, now_s)
        if "orders" not in fields:
            raise Refusal(texts.ORDER_REQUIRED)
        rows: dict[str, Answer] = {}
        for key in fields["orders"].split(","):
            # A blank around an id stays in the key, as `" 13"` (seen); nothing at all is no id.
            order = key.strip()
            if order:
                known = order in self.ledger
                rows[key] = self._row(order, now_s) if known else texts.ORDER_UNKNOWN
        return rows

    def _row(self, order: str, now_s: float) -> Answer:
        """Give one order in the shape of its kind, numbers as text (document; seen)."""
        stored = self.ledger.stored(order, now_s)
        children: list[Answer] = list(stored.orders)
        if stored.posts is not None:
            return {
                "status": stored.status.value,
                "expiry": stored.status == "expired",
                "posts": str(stored.posts),
                "orders": children,
            }
        if stored.runs is not None:
            return {"status": stored.status.value, "runs": str(stored.runs), "orders": children}
        row: dict[str, Answer] = {
            "order": order,
            "status": stored.status.value,
            "charge": f"{stored.charge:.4f}",
        }
        if self._with_currency:
            row["currency"] = self._currency
        return row | {"start_count": str(stored.start_count), "remains": str(stored.remains)}

    def _services(self, _fields: Mapping[str, str], _now_s: float) -> Answer:
        if not self.services:
            return {"status": "success", "data": "Empty Data"}
        return [_service_row(service) for service in self.services.values()]

    def _balance(self, _fields: Mapping[str, str], _now_s: float) -> Answer:
        return {
            "status": "success",
            "balance": _balance_text(self.ledger.balance),
            "currency": self._currency,
        }


def _service_row(service: SandboxService) -> Answer:
    """Give a service in the document's form: numbers as text, `dripfeed` as a number."""
    return {
        "service": service.service,
        "name": service.name,
        "category": service.category,
        "rate": f"{service.rate:f}",
        "min": str(service.min),
        "max": str(service.max),
        "type": service.type,
        "desc": service.desc,
        "dripfeed": int(service.dripfeed),
    }


def _balance_text(balance: Decimal) -> str:
    """Write the exact balance with two decimals (document: "0.03") or as many as it has."""
    short = balance.quantize(_BALANCE_STEP)
    return f"{short if short == balance else balance.normalize():f}"
