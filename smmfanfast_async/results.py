"""The results of API calls as frozen values, named as the panel names them.

The records that arrive by the hundred are `msgspec.Struct`s, since msgspec fills those in C without
a Python call: measured on a batch of 100 statuses it takes 1.2 times what `orjson.loads` takes for
bare dicts, where frozen attrs classes with the same fields take 4.4 times, and it notices fields
that the class does not have. `_wire/decode` creates them; what is missing or unreadable is None.

Ids are text, money is `Decimal`, counts are `int`. A value that cannot be read for its field is
None there and is kept in `extra` as it came.

Each class documents its fields in its docstring: that is what `help()` and pydoc show.
"""

import decimal
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import Meta

from ._serialization import JsonFields, Serializable
from ._text import normalize_word

__all__ = [
    "FINAL_STATUSES",
    "AddedOrder",
    "Balance",
    "CancelResult",
    "OrderStatus",
    "RefillResult",
    "RefillStatus",
    "Response",
    "Service",
    "Status",
]


MAX_COUNT = 10**15
"""The largest count, positive or negative, that is accepted as one: whole numbers up to this bound
survive a conversion to float, and no counter of a platform comes near it."""

Count = Annotated[int, Meta(ge=-MAX_COUNT, le=MAX_COUNT)]
"""A whole number from the panel."""


# Of its own, because the caller's context may round to a few digits, or raise `Inexact`: 40 digits
# of an amount times 15 of a count are exact.
_MONEY = decimal.Context(prec=60, traps=[decimal.InvalidOperation])


class Status(StrEnum):
    """The state of an order, independent of how the panel spells it."""

    PENDING = "pending"
    AWAITING = "awaiting"
    PROCESSING = "processing"
    IN_PROGRESS = "in_progress"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED = "canceled"
    REFUNDED = "refunded"
    EXPIRED = "expired"
    FAILED = "failed"
    ERROR = "error"
    REJECTED = "rejected"
    """The panel does not carry out the refill (documented by API v2 panels)."""
    UNKNOWN = "unknown"
    """The panel's word is not in this list: `OrderStatus.raw_status` has it."""

    @classmethod
    def parse(cls, word: str) -> "Status":
        """Return the status for a word of the panel, `UNKNOWN` if it is not in this list.

        Case, spaces, `_` and `-` are ignored. Nothing is guessed.
        """
        known = _STATUS_BY_WORD.get(word)
        return (
            _STATUS_BY_SPELLING.get(normalize_word(word), cls.UNKNOWN) if known is None else known
        )


_STATUS_BY_SPELLING = {
    normalize_word(status.value): status for status in Status if status is not Status.UNKNOWN
} | {"cancelled": Status.CANCELED, "fail": Status.FAILED}

# The usual words in their usual spellings, found by one lookup without being normalized.
_STATUS_BY_WORD = {
    word: status
    for spelling, status in [
        *((each.value, each) for each in Status),
        ("cancelled", Status.CANCELED),
        ("fail", Status.FAILED),
    ]
    if status is not Status.UNKNOWN
    for spaced in (spelling, spelling.replace("_", " "))
    for cased in (spaced, spaced.capitalize(), spaced.title(), spaced.upper())
    for word in (cased, cased.replace(" ", "-"), cased.replace(" ", ""))
}

_CURRENCIES = (  # noqa: SIM905  # a hundred quotes would hide the content
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTC BTN "
    "BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB ETH EUR "
    "FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD "
    "JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG "
    "QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS "
    "TMT TND TON TOP TRX TRY TTD TWD TZS UAH UGX USD USDC USDT UYU UZS VES VND VUV WST XAF "
    "XCD XOF XPF YER ZAR ZMW ZWG"
).split()
"""The currencies of the world (ISO 4217) and the cryptocurrencies that panels use (assumed)."""

if TYPE_CHECKING:
    _Id: TypeAlias = str
    _StatusWord: TypeAlias = str
    _CurrencyCode: TypeAlias = str
else:
    # The type that msgspec gets for an id, so that it reads numbers in C too; `_wire/decode` turns
    # them into text. A float is not an id, but if it were missing here, msgspec would read
    # 4.99999999999999999999 as the int 5.
    _Id = str | int | float
    # All records share the words that msgspec knows in advance. Otherwise each status kept in
    # memory would be a quarter larger. Any other word takes the lenient path, which accepts it.
    _StatusWord = Literal[tuple(_STATUS_BY_WORD)]
    _CurrencyCode = Literal[tuple(_CURRENCIES)]


FINAL_STATUSES = frozenset(
    {Status.COMPLETED, Status.PARTIAL, Status.CANCELED, Status.REFUNDED, Status.EXPIRED}
)
"""Statuses after which nothing more happens to an order, on any panel (seen; expired is assumed).
`failed` and `error` are not among them: the staff of some panels restart such orders."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP response as it was received, before it is decoded.

    Attributes:
        status: The HTTP status.
        body: The body, decompressed, not longer than the limit of its action.
        retry_after_s: Seconds to wait, from Retry-After (seconds or a date) or X-RateLimit-Reset;
            None if neither was sent.
        location: The `Location` header of a redirect. It is shown, never followed. None if absent.
        is_challenge: Whether the header `cf-mitigated: challenge` was sent: the request was stopped
            before it reached the panel.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None
    location: str | None = None
    is_challenge: bool = False


class _SingleResult(Serializable, msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the results of one order, refill or account have in common: `raw`.

    Equality, hash and repr ignore `raw`: two responses may have the same content in a different
    format.
    """

    _json: ClassVar[JsonFields] = JsonFields(raw=frozenset({"raw"}))

    raw: str | None = None

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _SingleResult)
            and type(other) is type(self)
            and self._content == other._content
        )

    def __ne__(self, other: object) -> bool:
        # msgspec brings its own, which would compare all fields.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._content)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._content)
        return f"{type(self).__name__}({fields})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return list(self._content)

    @property
    def _content(self) -> tuple[tuple[str, object], ...]:
        fields = (name for name in self.__struct_fields__ if name != "raw")
        return tuple((name, getattr(self, name)) for name in fields)


class AddedOrder(_SingleResult, frozen=True, kw_only=True):
    """An order that the panel accepted.

    Attributes:
        order: The panel's id of the order (document: "order": 32), as text.
        raw: The panel's response, cleaned, its first 2,000 characters; None if the result does not
            come from a panel.
    """

    order: str


class OrderStatus(
    Serializable,
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    rename={"raw_status": "status", "raw_charge": "charge"},
):
    """The status of an order.

    Panels send three kinds: a normal order has charge, start_count and remains (document); a
    subscription has expiry, posts and orders; a drip-feed order has runs and orders (both seen).

    Attributes:
        order: The id that was requested, as text.
        raw_status: The panel's own word for the status, as it came; `status` interprets it.
        raw_charge: `charge` in the panel's own digits; None if the panel sends none, or something
            that is not an amount.
        start_count: The counter before the order started (followers, likes, …); None if it is not
            known yet, or not a number.
        remains: How many are still to be delivered, negative if more were delivered than ordered;
            None if not known.
        currency: The currency of `charge`, such as "USD"; None if the panel does not send it (as in
            the document's sample).
        runs: Drip-feed: the number of runs done. None for other orders.
        posts: Subscription: the number of posts served. None for other orders.
        expiry: Subscription: whether an end date is set. None for other orders.
        orders: The ids of the orders that a subscription or drip-feed has created so far, as text;
            empty for other orders.
        extra: Fields that this class does not have, or whose value cannot be read, by the panel's
            name and as they came; None if there are none.
        raw: The text it was read from, cleaned, its first 2,000 characters; None unless `keep_raw`
            asked for it.
    """

    _json: ClassVar[JsonFields] = JsonFields(
        computed={"charge": "charge", "status": "status", "is_final": "is_final"},
        hidden=frozenset({"raw_charge"}),
        raw=frozenset({"extra", "raw"}),
        types={"order": str, "raw_status": str, "currency": str | None},
    )

    order: _Id = ""
    raw_status: _StatusWord
    raw_charge: str | None = None
    start_count: Count | None = None
    remains: Count | None = None
    currency: _CurrencyCode | None = None
    runs: Count | None = None
    posts: Count | None = None
    expiry: bool | None = None
    orders: tuple[str, ...] = ()
    extra: dict[str, object] | None = None
    raw: str | None = None

    @property
    def charge(self) -> Decimal | None:
        """The exact amount that was charged, in `currency`.

        Refunds are already deducted: the share of a partial order, the whole of a canceled one
        (seen). None, never 0, if the panel does not send an amount.
        """
        # Computed on access: for 100 statuses it takes a third of the time of decoding them.
        return None if self.raw_charge is None else Decimal(self.raw_charge)

    @property
    def status(self) -> Status:
        """`raw_status` as a `Status`; `Status.UNKNOWN` if the word is not a known one."""
        return Status.parse(self.raw_status)

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the order; see `FINAL_STATUSES`."""
        return self.status in FINAL_STATUSES

    def is_equivalent_to(self, other: "OrderStatus") -> bool:
        """Return whether both have the same content.

        Unlike with `==`, charges of 0.5 and 0.50 are equal, and `raw` is ignored.
        """
        return self == other or (
            self.charge == other.charge
            and self == msgspec.structs.replace(other, raw_charge=self.raw_charge, raw=self.raw)
        )

    def refund_share(self, quantity: int) -> Decimal | None:
        """Return the refunded share of the price, from 0 to 1, of an order over `quantity`.

        0 for a completed order, 1 for a canceled or refunded one, remains / quantity for a partial
        one (seen), rounded to 60 digits. None while the order is open, and if `remains` is not
        known. None too for subscriptions and drip-feed orders: what is refunded depends on the
        orders that they created, so add up `refund` of those (`orders`).
        """
        share = self._refunded_of(quantity)
        return None if share is None else _MONEY.divide(*share)

    def refund(self, price: Decimal, quantity: int) -> Decimal | None:
        """Return the refunded part of `price`, which was charged for an order over `quantity`.

        Not rounded, except to 60 digits; None whenever `refund_share` is None.
        """
        share = self._refunded_of(quantity)
        if share is None:
            return None
        refunded, total = share
        return _MONEY.divide(_MONEY.multiply(price, refunded), total)

    def _refunded_of(self, quantity: int) -> tuple[Decimal, Decimal] | None:
        """Return the refunded and the whole quantity; None if they are not known."""
        status = self.status
        if self.runs is not None or self.posts is not None or self.orders:
            return None
        if status is Status.COMPLETED:
            return Decimal(0), Decimal(1)
        if status in (Status.CANCELED, Status.REFUNDED):
            return Decimal(1), Decimal(1)
        if status is not Status.PARTIAL or self.remains is None or quantity <= 0:
            return None
        return Decimal(min(max(self.remains, 0), quantity)), Decimal(quantity)


class Service(
    Serializable,
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    rename={"raw_rate": "rate"},
):
    """A service of the panel's catalogue.

    Attributes:
        service: The id to order it by, as text.
        name: The display name, in the panel's language, as it came: sanitize it before printing it
            to a terminal. Empty if the panel sends none.
        category: The heading under which the panel lists it. Empty if the panel sends none.
        raw_rate: `rate` in the panel's own digits; None if the panel does not send a number.
        min: The minimum quantity of an order; None if the panel sends none.
        max: The maximum quantity of an order; None if the panel sends none.
        type: The panel's word for the order type, as it came; `ORDER_TYPES[type]` is the class.
            None if the panel sends none.
        desc: The description; None if there is none.
        dripfeed: Whether orders may have runs and interval; None if the panel does not send it.
        refill: Whether orders can be refilled (API v2); None if the panel does not send it.
        cancel: Whether orders can be canceled (API v2); None if the panel does not send it.
        extra: Fields that this class does not have, or whose value cannot be read, by the panel's
            name and as they came; None if there are none.
        raw: The text it was read from, cleaned, its first 2,000 characters; None unless `keep_raw`
            asked for it.
    """

    _json: ClassVar[JsonFields] = JsonFields(
        computed={"rate": "rate"},
        hidden=frozenset({"raw_rate"}),
        raw=frozenset({"extra", "raw"}),
        types={"service": str},
    )

    service: _Id
    name: str = ""
    category: str = ""
    raw_rate: str | None = None
    min: Count | None = None
    max: Count | None = None
    type: str | None = None
    desc: str | None = None
    dripfeed: bool | None = None
    refill: bool | None = None
    cancel: bool | None = None
    extra: dict[str, object] | None = None
    raw: str | None = None

    @property
    def rate(self) -> Decimal | None:
        """The exact price of 1000, or of the whole for package types, in the account's currency.

        None if the panel does not send a number.
        """
        return None if self.raw_rate is None else Decimal(self.raw_rate)

    def is_equivalent_to(self, other: "Service") -> bool:
        """Return whether both have the same content.

        Unlike with `==`, rates of 0.9 and 0.90 are equal, and `raw` is ignored.
        """
        return self == other or (
            self.rate == other.rate
            and self == msgspec.structs.replace(other, raw_rate=self.raw_rate, raw=self.raw)
        )


class Balance(_SingleResult, frozen=True, kw_only=True):
    """The balance of the account.

    Attributes:
        balance: The exact amount, in `currency`.
        currency: The account's currency, such as "USD"; None if the panel does not send it.
        raw: The panel's response, cleaned, its first 2,000 characters; None if the result does not
            come from a panel.
    """

    balance: Decimal
    currency: str | None = None


class RefillResult(_SingleResult, frozen=True, kw_only=True):
    """A refill that the panel accepted (API v2).

    Attributes:
        order: The id of the order that is refilled, as text.
        refill: The id of the refill, for `refill_status`, as text; "" if the panel accepted it in a
            sentence, without an id (seen).
        raw: The panel's response, or its part about this order if several were requested, cleaned,
            its first 2,000 characters; None if the result does not come from a panel.
    """

    order: str
    refill: str


class RefillStatus(_SingleResult, frozen=True, kw_only=True):
    """The status of a refill (API v2).

    Attributes:
        refill: The id of the refill, as text.
        raw_status: The panel's own word: "Completed", "Rejected", "Pending", …; `status` interprets
            it.
        raw: The panel's response, or its part about this refill if several were requested, cleaned,
            its first 2,000 characters; None if the result does not come from a panel.
    """

    _json: ClassVar[JsonFields] = JsonFields(computed={"status": "status"}, raw=frozenset({"raw"}))

    refill: str
    raw_status: str

    @property
    def status(self) -> Status:
        """`raw_status` as a `Status`; `Status.UNKNOWN` if the word is not a known one."""
        return Status.parse(self.raw_status)


class CancelResult(_SingleResult, frozen=True, kw_only=True):
    """A cancellation that the panel accepted (API v2); the order's status shows the outcome.

    Attributes:
        order: The id of the order that is to be canceled, as text.
        raw: The panel's response, or its part about this order if several were requested, cleaned,
            its first 2,000 characters; None if the result does not come from a panel.
    """

    order: str
