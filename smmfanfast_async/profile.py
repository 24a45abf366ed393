"""What differs between panels, as data.

`SMMFANFAST` is the panel of the document, `API_V2` what the wider family of compatible panels
documents. For another panel, take the nearer one and change what differs::

    mine = attrs.evolve(API_V2, name="mine", base_url="https://panel.example/api/v2")

What a panel can't do is refused before anything is sent. What it says is read leniently, its
refusals excepted: a text that is not in `refusals` leaves the outcome of an `add` unknown.
"""

from functools import lru_cache
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import optional

from ._text import normalize_text, normalize_word
from .errors import ErrorKind, InvalidSettingsError
from .orders import API_V2_ORDER_TYPES, ORDER_TYPES

__all__ = ["API_V2", "SMMFANFAST", "Profile", "Refusal"]


@frozen
class Refusal:
    """A text of the panel that means no, and what kind of no."""

    text: str
    """How the panel's text begins, compared word by word, without case and punctuation."""
    kind: ErrorKind
    """Which no it is; it chooses the class of the error."""


_REFUSALS = (
    # The English texts of the panel script (seen), each decided before an order is inserted.
    Refusal("API is Disable for this user or User Not Found", ErrorKind.AUTH),
    Refusal("Invalid API key", ErrorKind.AUTH),
    Refusal("The account does not exists", ErrorKind.AUTH),
    Refusal("This action is Invalid", ErrorKind.VALIDATION),
    Refusal("Incorrect request", ErrorKind.VALIDATION),
    Refusal("There are missing required parameters", ErrorKind.VALIDATION),
    Refusal("Service ID does not exists", ErrorKind.SERVICE),
    Refusal("error.incorrect_service_id", ErrorKind.SERVICE),
    Refusal("neworder.error.service_not_found", ErrorKind.SERVICE),
    Refusal("Bad Link", ErrorKind.VALIDATION),
    Refusal("neworder.error.invalid_link", ErrorKind.VALIDATION),
    Refusal("neworder.error.link_duplicate", ErrorKind.DUPLICATE),
    Refusal("neworder.error.link", ErrorKind.VALIDATION),
    Refusal("Quantity is required", ErrorKind.VALIDATION),
    Refusal("Comments field is required", ErrorKind.VALIDATION),
    Refusal("Quantity must to be greater than or equal to minimum", ErrorKind.VALIDATION),
    Refusal("Quantity must to be less than or equal to maximum", ErrorKind.VALIDATION),
    Refusal("neworder.error.min_quantity", ErrorKind.VALIDATION),
    Refusal("neworder.error.max_quantity", ErrorKind.VALIDATION),
    Refusal("Not enough funds", ErrorKind.FUNDS),
    Refusal("neworder.error.not_enough_funds", ErrorKind.FUNDS),
    Refusal("This services does not support Dripfeed", ErrorKind.VALIDATION),
    Refusal("Interval time is required", ErrorKind.VALIDATION),
    Refusal("Invalid Interval in minutes", ErrorKind.VALIDATION),
    Refusal("Runs is required", ErrorKind.VALIDATION),
    Refusal("You have an active order with this link", ErrorKind.DUPLICATE),
    Refusal("Order ID is required parameter", ErrorKind.VALIDATION),
    Refusal("Incorrect order ID", ErrorKind.NOT_FOUND),
    Refusal("Refill not found", ErrorKind.NOT_FOUND),
)

_API_V2_REFUSALS = (
    *_REFUSALS,
    # English texts of API v2 panels (seen), each a check of the form, the account or the service,
    # made before there is an order. Those of refill and cancel never come to an `add`.
    Refusal("Incorrect API key", ErrorKind.AUTH),
    Refusal("Incorrect service ID", ErrorKind.SERVICE),
    Refusal("neworder.error.incorrect_service_id", ErrorKind.SERVICE),
    Refusal("Incorrect link", ErrorKind.VALIDATION),
    Refusal("Incorrect quantity", ErrorKind.VALIDATION),
    Refusal("Quantity less than minimal", ErrorKind.VALIDATION),
    Refusal("Quantity less than minimum", ErrorKind.VALIDATION),
    Refusal("Quantity more than maximum", ErrorKind.VALIDATION),
    # So two panels write it where it is more than the maximum.
    Refusal("Quantity less than maximum", ErrorKind.VALIDATION),
    Refusal("You have active order with this link", ErrorKind.DUPLICATE),
    Refusal("Incorrect refill ID", ErrorKind.NOT_FOUND),
    Refusal("Refill Request Not found", ErrorKind.NOT_FOUND),
    Refusal("Order not eligible for refill", ErrorKind.VALIDATION),
    Refusal("Refill is not available", ErrorKind.VALIDATION),
)


def _is_above_0(profile: Any, attribute: "Attribute[int]", value: object) -> None:
    if type(value) is not int or value < 1:
        name = f"{type(profile).__name__}.{attribute.name}"
        raise InvalidSettingsError(name, f"{value!r} is not a whole number above 0")


@frozen(kw_only=True)
class Profile:
    """One panel, or one family of panels."""

    name: str
    """For people and log lines."""
    base_url: str
    """The one address that every call is posted to."""
    actions: frozenset[str]
    """What the panel can do, in its own words; another action raises `UnsupportedActionError`."""
    order_types: frozenset[str] = field(default=frozenset(ORDER_TYPES), repr=False)
    """Types of orders that the panel takes, in its own words and any spelling: `panel_type` of the
    order classes. An order of another type is an `InvalidOrderError` and not sent."""
    ignored_fields: frozenset[str] = frozenset()
    """Fields of the order classes that the panel does not read. An order with a value in one is an
    `InvalidOrderError` and not sent: the panel would take it, and do without in silence."""
    ids_per_call: int = field(default=100, validator=_is_above_0)
    """Ids in one call, be it status, refill, refill_status or cancel. The document sets no limit;
    the family documents 100 for each."""
    concurrency: int = field(default=10, validator=_is_above_0)
    """Requests under way at once, at most: 8 to 10 full batches are as fast as more (measured)."""
    add_concurrency: int = field(default=1, validator=_is_above_0)
    """Orders under way at once. The panel's script reads the balance and writes it back without a
    transaction (seen): two at once can lose a charge."""
    calls_per_minute: int | None = field(default=None, validator=optional(_is_above_0))
    """Requests a minute, at most, all actions together; None where the panel documents no pace, as
    that of the document. The family has 60 to 120 a key (seen)."""
    delays_minutes: frozenset[int] | None = None
    """Delays a subscription may have, in minutes; None for any."""
    final_statuses: frozenset[str] = frozenset()
    """Words of the panel, in any spelling, after which nothing more happens to an order, beside
    `FINAL_STATUSES`: some end orders as "Fail". `wait`, `watch` and the desk end with them."""
    double_decodes: bool = False
    """Escape `%` and `+` in values once more, for panels that decode them twice (seen on this
    one: a `t.me/+…` link arrives with a blank). Off by default: the document does not name it."""
    # A repr stands in the signature of `Client`, and so on its page of help.
    refusals: tuple[Refusal, ...] = field(default=_REFUSALS, repr=False)
    """Texts that mean: decided before an order was made. On `add`, any other error text leaves the
    outcome unknown. Add the texts of a panel in another language here."""

    def supports_order_type(self, order_type: str) -> bool:
        """Say whether the panel takes orders of a type; case, blanks, `_` and `-` don't matter."""
        return normalize_word(order_type) in _by_spelling(self.order_types)

    def is_final_status(self, word: str) -> bool:
        """Say whether the panel's word for the state of an order is one of `final_statuses`."""
        return bool(self.final_statuses) and normalize_word(word) in _by_spelling(
            self.final_statuses
        )

    def refusal_kind(self, text: str) -> ErrorKind | None:
        """Say which no a text is, None if it is not one of `refusals`."""
        words = normalize_text(text)
        for begin, kind in _by_bare_words(self.refusals):
            # Whole words: "Bad Link" must not take "Bad Linkage".
            if words == begin or words.startswith(begin + " "):
                return kind
        return None


@lru_cache(maxsize=16)
def _by_bare_words(refusals: tuple[Refusal, ...]) -> tuple[tuple[str, ErrorKind], ...]:
    return tuple((normalize_text(refusal.text), refusal.kind) for refusal in refusals)


@lru_cache(maxsize=16)
def _by_spelling(words: frozenset[str]) -> frozenset[str]:
    return frozenset(normalize_word(word) for word in words)


SMMFANFAST = Profile(
    name="smmfanfast",
    base_url="https://smmfanfast.com/api/v1",
    actions=frozenset({"add", "status", "services", "balance"}),
    ignored_fields=frozenset({"old_posts"}),
    delays_minutes=frozenset({0, 5, 10, 15, 30, 60, 90}),
)
"""The panel of the document: four actions, eleven order types, one address."""

API_V2 = Profile(
    name="api-v2",
    base_url="https://panel.example/api/v2",
    actions=SMMFANFAST.actions | {"refill", "refill_status", "cancel"},
    order_types=frozenset(API_V2_ORDER_TYPES),
    calls_per_minute=60,
    refusals=_API_V2_REFUSALS,
)
"""The family of API v2 panels: refill and cancel too, seventeen order types, any delay (some
document the document's seven, others up to 600 minutes), 60 requests a minute, which is the
slowest pace seen. It has no address of its own: give `base_url` to the client, or set it with
`attrs.evolve`."""
