"""What the panel says: its answers as frozen values, in the panel's own words.

The records that come by the hundred are `msgspec.Struct`s, since msgspec fills those in C without a
Python call: measured on a batch of 100 statuses it takes 1.2 times what `orjson.loads` takes for
bare dicts, where frozen attrs classes with the same fields take 4.4 times, and it notices fields
that we have no name for. They are made by `_decode`; what is missing or unreadable is None.

Ids are text, money is `Decimal`, counts are `int`. A value that can't be read for its field is None
there and stands in `extra`, as it came.
"""

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

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
"""The largest count, either sign, that is taken for one: whole numbers up to here survive a float,
and no counter of a platform comes near."""

Count = Annotated[int, Meta(ge=-MAX_COUNT, le=MAX_COUNT)]
"""A whole number from the panel."""


class Status(StrEnum):
    """A word for the state of an order, whatever the spelling of the panel."""

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
    UNKNOWN = "unknown"
    """A word that we do not know: `OrderStatus.raw_status` has it."""

    @classmethod
    def parse(cls, word: str) -> "Status":
        """Read the panel's word: case, blanks, `_` and `-` do not matter, nothing is guessed."""
        known = _STATUS_BY_WORD.get(word)
        return (
            _STATUS_BY_SPELLING.get(normalize_word(word), cls.UNKNOWN) if known is None else known
        )


_STATUS_BY_SPELLING = {
    normalize_word(status.value): status for status in Status if status is not Status.UNKNOWN
} | {"cancelled": Status.CANCELED, "fail": Status.FAILED}

# The usual words as they are written, to be found without a look at their signs.
_STATUS_BY_WORD = {
    word: status
    for spelling, status in [
        *((each.value, each) for each in Status),
        ("cancelled", Status.CANCELED),
    ]
    if status is not Status.UNKNOWN
    for spaced in (spelling, spelling.replace("_", " "))
    for word in (spaced, spaced.capitalize(), spaced.title())
}

_CURRENCIES = (  # noqa: SIM905  # a hundred quotes would hide what is in it
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTC BTN "
    "BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB ETH EUR "
    "FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD "
    "JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT "
    "MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG "
    "QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS "
    "TMT TND TON TOP TRX TRY TTD TWD TZS UAH UGX USD USDC USDT UYU UZS VES VND VUV WST XAF "
    "XCD XOF XPF YER ZAR ZMW ZWG"
).split()
"""The currencies of the world (ISO 4217) and the coins that panels count in (assumed)."""

if TYPE_CHECKING:
    _Id: TypeAlias = str
    _Word: TypeAlias = str
    _Currency: TypeAlias = str
else:
    # What msgspec is told of an id, so that it may read numbers too in C; `_decode` makes text of
    # them. A float is no id, but were it not named here, 4.99999999999999999999 would come as 5.
    _Id = str | int | float
    # Words that msgspec knows are shared by all records: a quarter of what a status kept would take
    # otherwise. Any other text goes the lenient road and is taken there.
    _Word = Literal[tuple(_STATUS_BY_WORD)]
    _Currency = Literal[tuple(_CURRENCIES)]


FINAL_STATUSES = frozenset(
    {Status.COMPLETED, Status.PARTIAL, Status.CANCELED, Status.REFUNDED, Status.EXPIRED}
)
"""Words after which nothing more happens to an order, on any panel (seen; expired is assumed).
`failed` and `error` are not among them: staff of some panels start such orders again."""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as it came over the wire, before anyone has read it."""

    status: int
    """The HTTP status."""
    body: bytes
    """The body, decompressed, under the cap of its action."""
    retry_after_s: float | None = None
    """Seconds to wait by Retry-After (seconds or a date) or X-RateLimit-Reset; None without."""
    location: str | None = None
    """The header Location of a redirect; it is shown, never followed."""
    is_challenge: bool = False
    """Whether the header `cf-mitigated: challenge` was there: stopped before the panel."""


class _Told(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the results to a single question have in common: the answer they were read from.

    Equality, hash and repr are about what was read: two answers may say the same in other words.
    """

    raw: str | None = None
    """The panel's answer, cleaned, its first 2,000 characters; of an answer about many, the piece
    about this one. None where no panel made it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Told) and type(other) is type(self) and self._read == other._read

    def __ne__(self, other: object) -> bool:
        # msgspec has one of its own, which would go by all fields.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._read)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={each!r}" for name, each in self._read)
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        return list(self._read)

    @property
    def _read(self) -> tuple[tuple[str, object], ...]:
        fields = (name for name in self.__struct_fields__ if name != "raw")
        return tuple((name, getattr(self, name)) for name in fields)


class AddedOrder(_Told, frozen=True, kw_only=True):
    """An order that the panel took."""

    order: str
    """The panel's id of the order (document: "order": 32), as text."""


class OrderStatus(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    rename={"raw_status": "status", "raw_charge": "charge"},
):
    """How an order stands.

    Three shapes come from the panel: a normal order has charge, start_count and remains
    (document); a subscription has expiry, posts and orders; a drip-feed order has runs and
    orders (both seen).
    """

    order: _Id = ""
    """The id that was asked for."""
    raw_status: _Word
    """The panel's own word, as it came; `status` reads it."""
    raw_charge: str | None = None
    """`charge` in the panel's own digits; None where it gives none, or what is no amount."""
    start_count: Count | None = None
    """The counter before the start; None where it is not known yet, or not a number."""
    remains: Count | None = None
    """How many are still to come, negative where more were given; None where not known."""
    currency: _Currency | None = None
    """Of `charge`, such as "USD"; None where the panel does not say (the document's sample)."""
    runs: Count | None = None
    """Drip-feed: runs done. None for other orders."""
    posts: Count | None = None
    """Subscription: posts served. None for other orders."""
    expiry: bool | None = None
    """Subscription: whether an end is set. None for other orders."""
    orders: tuple[str, ...] = ()
    """Ids of the orders that a subscription or drip-feed has made so far."""
    extra: dict[str, object] | None = None
    """What came under names that we do not know, or could not be read; None if nothing did."""
    raw: str | None = None
    """The text it was read from, cleaned, its first 2,000 characters; None unless `keep_raw` asked
    for it."""

    @property
    def charge(self) -> Decimal | None:
        """What was paid, in `currency`, exactly.

        Less what came back: the share of a partial order, all of a canceled one (seen). None where
        the panel gives none, never 0 for that.
        """
        # Made when it is asked for: of 100 statuses that is a third of the time of reading them.
        return None if self.raw_charge is None else Decimal(self.raw_charge)

    @property
    def status(self) -> Status:
        """`raw_status` as one of the known words, `Status.UNKNOWN` if it is none."""
        return Status.parse(self.raw_status)

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen; see `FINAL_STATUSES`."""
        return self.status in FINAL_STATUSES

    def is_equivalent_to(self, other: "OrderStatus") -> bool:
        """Whether both say the same: 0.5 and 0.50 are one charge, and two texts to `==`."""
        return self == other or (
            self.charge == other.charge
            and self == msgspec.structs.replace(other, raw_charge=self.raw_charge, raw=self.raw)
        )

    def refund_share(self, quantity: int) -> Decimal | None:
        """Give the share of the price that came back, from 0 to 1, of an order over `quantity`.

        0 for a completed order, 1 for a canceled or refunded one, remains / quantity for a partial
        one (seen). None while the order is open, and where remains is not known.
        """
        status = self.status
        if status is Status.COMPLETED:
            return Decimal(0)
        if status in (Status.CANCELED, Status.REFUNDED):
            return Decimal(1)
        if status is not Status.PARTIAL or self.remains is None or quantity <= 0:
            return None
        return Decimal(min(max(self.remains, 0), quantity)) / quantity


class Service(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,
    forbid_unknown_fields=True,
    rename={"raw_rate": "rate"},
):
    """A service on offer."""

    service: _Id
    """The id to order it by."""
    name: str = ""
    """Name for people, in the panel's language, as it came: clean it before a terminal sees it."""
    category: str = ""
    """Heading that the panel lists it under."""
    raw_rate: str | None = None
    """`rate` in the panel's own digits; None where it gave no number."""
    min: Count | None = None
    """The least quantity of an order; None where the panel gives none."""
    max: Count | None = None
    """The largest quantity of an order; None where the panel gives none."""
    type: str | None = None
    """The panel's word for the order type, as it came; `ORDER_TYPES[type]` is the class."""
    desc: str | None = None
    """Description; None where there is none."""
    dripfeed: bool | None = None
    """Whether it takes runs and interval; None where the panel does not say."""
    refill: bool | None = None
    """Whether it can be refilled (API v2); None where the panel does not say."""
    cancel: bool | None = None
    """Whether it can be canceled (API v2); None where the panel does not say."""
    extra: dict[str, object] | None = None
    """What came under names that we do not know, or could not be read; None if nothing did."""
    raw: str | None = None
    """The text it was read from, cleaned, its first 2,000 characters; None unless `keep_raw` asked
    for it."""

    @property
    def rate(self) -> Decimal | None:
        """Price of 1000, or of the whole for package types, exactly, in the account's currency.

        None where the panel gave no number.
        """
        return None if self.raw_rate is None else Decimal(self.raw_rate)

    def is_equivalent_to(self, other: "Service") -> bool:
        """Whether both say the same: 0.9 and 0.90 are one rate, and two texts to `==`."""
        return self == other or (
            self.rate == other.rate
            and self == msgspec.structs.replace(other, raw_rate=self.raw_rate, raw=self.raw)
        )


class Balance(_Told, frozen=True, kw_only=True):
    """What is left on the account."""

    balance: Decimal
    """The amount, in `currency`."""
    currency: str | None = None
    """Such as "USD"; None where the panel does not say."""


class RefillResult(_Told, frozen=True, kw_only=True):
    """A refill that was accepted (API v2)."""

    order: str
    """The order that is refilled."""
    refill: str
    """The id of the refill, for `refill_status`."""


class RefillStatus(_Told, frozen=True, kw_only=True):
    """How a refill stands (API v2)."""

    refill: str
    """The id of the refill."""
    raw_status: str
    """The panel's own word: "Completed", "Rejected", "Pending", …"""

    @property
    def status(self) -> Status:
        """`raw_status` as one of the known words, `Status.UNKNOWN` if it is none."""
        return Status.parse(self.raw_status)


class CancelResult(_Told, frozen=True, kw_only=True):
    """A cancellation that was accepted for work (API v2); the order's status tells the end."""

    order: str
    """The order that is to be canceled."""
