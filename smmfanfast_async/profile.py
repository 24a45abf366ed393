"""What differs between panels, as data.

`SMMFANFAST` is the panel of the document, `API_V2` what the wider family of compatible panels
documents. For another panel, take the nearer one and change what differs::

    mine = attrs.evolve(API_V2, name="mine", base_url="https://panel.example/api/v2")
"""

from functools import lru_cache
from typing import Any

from attrs import Attribute, field, frozen
from attrs.validators import optional

from ._text import bare_words
from .errors import ErrorKind, InvalidSettingsError

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
    """What the panel can do, in its own words."""
    ids_per_call: int = field(default=100, validator=_is_above_0)
    """Ids in one status call. The document sets no limit; the family documents 100."""
    concurrency: int = field(default=10, validator=_is_above_0)
    """Requests under way at once, at most: 8 to 10 full batches are as fast as more (measured)."""
    add_concurrency: int = field(default=1, validator=_is_above_0)
    """Orders under way at once. The panel's script reads the balance and writes it back without a
    transaction (seen): two at once can lose a charge."""
    calls_per_minute: int | None = field(default=None, validator=optional(_is_above_0))
    """Requests a minute, at most; None where the panel documents no pace, as here. The family has
    60 to 120 (seen)."""
    delays_min: frozenset[int] | None = None
    """Delays a subscription may have, in minutes; None for any."""
    decodes_twice: bool = False
    """Escape `%` and `+` in values once more, for panels that decode them twice (seen on this
    one: a `t.me/+…` link arrives with a blank). Off by default: the document does not name it."""
    refusals: tuple[Refusal, ...] = _REFUSALS
    """Texts that mean: decided before an order was made. On `add`, any other error text leaves the
    outcome unknown. Add the texts of a panel in another language here."""

    def refusal_kind(self, text: str) -> ErrorKind | None:
        """Say which no a text is, None if it is not one of `refusals`."""
        words = bare_words(text)
        for begin, kind in _by_bare_words(self.refusals):
            # Whole words: "Bad Link" must not take "Bad Linkage".
            if words == begin or words.startswith(begin + " "):
                return kind
        return None


@lru_cache(maxsize=16)
def _by_bare_words(refusals: tuple[Refusal, ...]) -> tuple[tuple[str, ErrorKind], ...]:
    return tuple((bare_words(refusal.text), refusal.kind) for refusal in refusals)


SMMFANFAST = Profile(
    name="smmfanfast",
    base_url="https://smmfanfast.com/api/v1",
    actions=frozenset({"add", "status", "services", "balance"}),
    delays_min=frozenset({0, 5, 10, 15, 30, 60, 90}),
)
"""The panel of the document: four actions, one address."""

API_V2 = Profile(
    name="api-v2",
    base_url="https://panel.example/api/v2",
    actions=SMMFANFAST.actions | {"refill", "refill_status", "cancel"},
)
"""The family of API v2 panels: refill and cancel too, any delay. It has no address of its own: give
`base_url` to the client, or set it with `attrs.evolve`."""
