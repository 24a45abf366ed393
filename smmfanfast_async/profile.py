"""What differs between panels, as data.

`SMMFANFAST` is the panel of the document, `API_V2` the common features of the API v2 panels. For
another panel, start from the closer one and change what differs::

    mine = attrs.evolve(API_V2, name="mine", base_url="https://panel.example/api/v2")

What a panel does not support is rejected before anything is sent. Responses are parsed leniently,
except for refusals: an error text that is neither in `refusals` nor recognized by the grammar
leaves the outcome of an `add` unknown.
"""

from collections.abc import Iterable, Mapping
from functools import cache, cached_property, lru_cache
from math import isfinite
from typing import Any, Literal, get_args

import attrs
from attrs import Attribute, field, frozen
from attrs.validators import optional

from ._refusals import RefusalTexts, count_variants, find_kind, find_kind_of_read, template_flaw
from ._text import format_value, normalize_word
from .errors import CANNOT_CREATE_ORDER, ErrorKind, InvalidSettingsError
from .orders import API_V2_ORDER_TYPES, ORDER_TYPES
from .orders.form_names import FormNames, find_flaw

__all__ = ["API_V2", "SMMFANFAST", "Profile", "Refusal", "RequestFormat"]


def _validate_template(refusal: Any, attribute: "Attribute[str]", value: object) -> None:
    if (flaw := template_flaw(value)) is not None:
        name = f"{type(refusal).__name__}.{attribute.name}"
        raise InvalidSettingsError(name, f"{format_value(value)} {flaw}")


@frozen
class Refusal:
    """An error text that proves that the panel did nothing, and its kind."""

    text: str = field(validator=_validate_template)
    """The panel's text, compared word by word, ignoring case and punctuation. `{n}` in it is a
    number, `{a|b|}` one of several words or none. A limit after "minimum" or "maximum", an amount
    after missing funds, and a sentence such as "contact the support" may follow it, and nothing
    else. It is shorter than 500 characters and has at most 500 variants."""
    kind: ErrorKind
    """Kind of the refusal; it decides the class of the error."""
    source: Literal["", "document", "seen", "assumed"] = field(default="", eq=False)
    """Where the text is from: the panel's document, its code or a response (seen), or a judgement
    (assumed). "" if that was not noted."""


_REFUSALS = (
    # The English texts of the panel script (seen), each returned before an order is inserted.
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
    Refusal("This services does not support Dripfeed feature", ErrorKind.VALIDATION),
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
    # made before an order exists. Those of refill and cancel never answer an `add`.
    Refusal("Incorrect API key", ErrorKind.AUTH),
    Refusal("Incorrect service ID", ErrorKind.SERVICE),
    Refusal("neworder.error.incorrect_service_id", ErrorKind.SERVICE),
    Refusal("Incorrect link", ErrorKind.VALIDATION),
    Refusal("Incorrect quantity", ErrorKind.VALIDATION),
    Refusal("Quantity less than minimal", ErrorKind.VALIDATION),
    Refusal("Quantity less than minimum", ErrorKind.VALIDATION),
    Refusal("Quantity more than maximum", ErrorKind.VALIDATION),
    # Two panels send this text if the quantity is above the maximum (seen).
    Refusal("Quantity less than maximum", ErrorKind.VALIDATION),
    Refusal("You have active order with this link", ErrorKind.DUPLICATE),
    Refusal("Incorrect refill ID", ErrorKind.NOT_FOUND),
    Refusal("Refill Request Not found", ErrorKind.NOT_FOUND),
    Refusal("Order not eligible for refill", ErrorKind.VALIDATION),
    Refusal("Refill is not available", ErrorKind.VALIDATION),
    Refusal("Refill is not available for this service", ErrorKind.VALIDATION),
)


MAX_IDS_PER_CALL = 10_000
"""The most `ids_per_call`: a hundred times what panels document, in a form of 100 kB."""

MAX_CONCURRENCY = 1000
"""The most `concurrency` and `add_concurrency`: more sockets than a process may usually open."""

MAX_CALLS_PER_MINUTE = 1_000_000
"""The most `calls_per_minute`, ten thousand times the limits seen."""

MAX_REPLAY_WINDOW_S = 3600.0
"""The longest `replay_window_s`: 60 and 120 were seen."""

RequestFormat = Literal["form", "json", "get"]
"""How a request is sent; see `Profile.request_format`."""

SINGLE_ID_ACTIONS = frozenset({"refill", "refill_status", "cancel"})
"""The actions that may be in `single_id_actions`."""

_Pairs = tuple[tuple[str, str], ...]


def _to_pairs(names: Mapping[str, str] | Iterable[tuple[str, str]]) -> _Pairs:
    """Return names as sorted pairs, which can be compared, hashed and pickled."""
    try:
        return tuple(sorted(dict(names).items(), key=lambda pair: str(pair[0])))
    except (TypeError, ValueError):
        reason = f"{format_value(names)} must be a mapping of names"
        raise InvalidSettingsError("Profile", reason) from None


def _to_set(names: Iterable[str]) -> frozenset[str]:
    return frozenset(names)


def _check_names(profile: Any, _attribute: "Attribute[Any]", _value: object) -> None:
    if not profile.action_names and not profile.field_names:
        return
    flaw = find_flaw(dict(profile.action_names), dict(profile.field_names), _find_order_fields())
    if flaw is not None:
        raise InvalidSettingsError(f"{type(profile).__name__}.{flaw[0]}", flaw[1])


@cache
def _find_order_fields() -> frozenset[str]:
    """Return the form fields of all order types."""
    return frozenset(
        each.name
        for order_type in API_V2_ORDER_TYPES.values()
        for each in attrs.fields(order_type)
        if each.metadata.get("form", True)
    )


def _check_format(profile: Any, attribute: "Attribute[Any]", value: object) -> None:
    if value not in get_args(RequestFormat):
        reason = f"{format_value(value)} must be one of {', '.join(get_args(RequestFormat))}"
        raise InvalidSettingsError(f"{type(profile).__name__}.{attribute.name}", reason)


def _check_single_id_actions(profile: Any, attribute: "Attribute[Any]", value: Any) -> None:
    for action in sorted(value, key=str):
        if action not in SINGLE_ID_ACTIONS:
            reason = f"{format_value(action)} must be one of {', '.join(sorted(SINGLE_ID_ACTIONS))}"
            if action == "status":
                reason += "; for single statuses set ids_per_call to 1"
            raise InvalidSettingsError(f"{type(profile).__name__}.{attribute.name}", reason)


def _check_replay_window(profile: Any, attribute: "Attribute[Any]", value: Any) -> None:
    is_number = type(value) in (int, float) and isfinite(value)
    if not (is_number and 0 < value <= MAX_REPLAY_WINDOW_S):
        reason = (
            f"{format_value(value)} must be a number of seconds above 0, "
            f"at most {MAX_REPLAY_WINDOW_S:g}"
        )
        raise InvalidSettingsError(f"{type(profile).__name__}.{attribute.name}", reason)


MAX_REFUSAL_VARIANTS = 50_000
"""The most variants of all `refusals` together: all languages of `refusal_texts` have 3,200, and
a variant takes about 200 bytes."""


def _validate_refusals(
    profile: Any, attribute: "Attribute[tuple[Refusal, ...]]", value: tuple[Refusal, ...]
) -> None:
    count = sum(count_variants(each.text) for each in value)
    if count > MAX_REFUSAL_VARIANTS:
        name = f"{type(profile).__name__}.{attribute.name}"
        reason = f"must have at most {MAX_REFUSAL_VARIANTS} variants, not {count}"
        raise InvalidSettingsError(name, reason)


def _limit_validator(max_value: int) -> Any:
    """Return a validator for integers from 1 to `max_value`."""

    def validate(profile: Any, attribute: "Attribute[int]", value: object) -> None:
        if type(value) is not int or value < 1:
            reason = f"{format_value(value)} must be a positive integer"
        elif value > max_value:
            reason = f"{format_value(value)} must be at most {max_value}"
        else:
            return
        raise InvalidSettingsError(f"{type(profile).__name__}.{attribute.name}", reason)

    return validate


@frozen(kw_only=True)
class Profile:
    """One panel, or several panels with the same API."""

    name: str
    """Name of the panel in messages and logs."""
    base_url: str
    """The URL that every call is posted to."""
    actions: frozenset[str]
    """Actions of the panel, in the words of the document and of API v2 whatever the panel calls
    them (`action_names`); any other raises `UnsupportedActionError`."""
    order_types: frozenset[str] = field(default=frozenset(ORDER_TYPES), repr=False)
    """Order types that the panel supports, in its own words and any spelling: `panel_type` of the
    order classes. An order of another type raises `InvalidOrderError` and is not sent."""
    ignored_fields: frozenset[str] = frozenset()
    """Fields of the order classes that the panel ignores. An order that sets one raises
    `InvalidOrderError` and is not sent: the panel would accept it and silently ignore the field."""
    ids_per_call: int = field(default=100, validator=_limit_validator(MAX_IDS_PER_CALL))
    """Maximum ids per call of status, refill, refill_status or cancel. The document sets no limit;
    API v2 panels document 100 for each."""
    concurrency: int = field(default=10, validator=_limit_validator(MAX_CONCURRENCY))
    """Maximum concurrent requests: 8 to 10 full batches are as fast as more (measured)."""
    add_concurrency: int = field(default=1, validator=_limit_validator(MAX_CONCURRENCY))
    """Maximum concurrent orders. The panel's script reads the balance and writes it back without a
    transaction (seen): two at once can lose a charge."""
    calls_per_minute: int | None = field(
        default=None, validator=optional(_limit_validator(MAX_CALLS_PER_MINUTE))
    )
    """Maximum requests per minute, all actions together; None if the panel documents no limit, as
    that of the document. API v2 panels allow 60 to 120 per key (seen)."""
    delays_minutes: frozenset[int] | None = None
    """Allowed delays of a subscription, in minutes; None allows any."""
    final_statuses: frozenset[str] = frozenset()
    """Status words of the panel, in any spelling, that are final in addition to `FINAL_STATUSES`:
    some panels end orders as "Fail". `wait`, `watch` and the desk stop at them."""
    final_refill_statuses: frozenset[str] = frozenset()
    """Status words of refills, in any spelling, that are final in addition to those known
    (completed, rejected, error, canceled). The desk stops at them."""
    double_decodes: bool = False
    """Whether to escape `%` and `+` in values once more, for panels that decode them twice (seen on
    this one: a `t.me/+…` link arrives with a space). Off by default: not in the document."""
    # Hidden, because the repr is part of the signature of `Client` on its help page.
    refusals: tuple[Refusal, ...] = field(
        default=_REFUSALS, repr=False, validator=_validate_refusals
    )
    """Error texts that the panel returns before creating an order. Any other error text leaves the
    outcome of an `add` unknown. Add the texts of a panel in another language here."""
    refusal_grammar: bool = False
    """Whether English error texts of an `add` are also recognized by a closed grammar of what
    panels check before they create an order, if every word belongs to it. Off by default: it rests
    on 22 code bases of other panels (seen), not on this one. For calls that cannot create an order
    the grammar is always on, since it only finds the kind of error."""
    request_format: RequestFormat = field(default="form", validator=_check_format)
    """How a request is sent: "form" as a form by POST (document), "json" as a JSON object by POST,
    in which every value is a text, "get" in the query of a URL by GET (both seen). Proxies and
    panels log URLs, and the key with them: use "get" only if a panel accepts nothing else."""
    action_names: _Pairs = field(default=(), converter=_to_pairs, repr=False)
    """The panel's actions where they differ from the document's, by call: the methods of `Client`.
    `{"statuses": "multi_status"}`; a call for several ids has the action of that for one unless it
    is given. A mapping is accepted."""
    field_names: _Pairs = field(default=(), converter=_to_pairs, validator=_check_names, repr=False)
    """The panel's names of fields where they differ, for all calls or for one: `{"key": "token",
    "link": "url", "refill.order": "refill"}`. A mapping is accepted."""
    single_id_actions: frozenset[str] = field(
        default=frozenset[str](), converter=_to_set, validator=_check_single_id_actions
    )
    """Of refill, refill_status and cancel those that take only one id in a call, as `order` or
    `refill` (seen for cancel). Several ids are then sent in as many calls. For status, set
    `ids_per_call` to 1."""
    replay_window_s: float | None = field(default=None, validator=optional(_check_replay_window))
    """Seconds for which the panel answers an order that equals an earlier one with the id of that
    one, and creates nothing: 60 and 120 were seen. `add` then raises `RefusedError` of the kind
    DUPLICATE for an id that it has returned already. None if the panel does not do that, as that of
    the document: there an id that comes twice leaves the outcome unknown in a journal.

    With `OrderDesk(settle_by_replay=True)` an order may be sent twice inside of it: it is then
    counted from the creation of the order, and a value above the panel's own orders twice."""

    def supports_order_type(self, order_type: str) -> bool:
        """Return whether the panel supports an order type, ignoring case, spaces, `_` and `-`."""
        return normalize_word(order_type) in _normalized_words(self.order_types)

    def is_final_status(self, word: str) -> bool:
        """Return whether the panel's status word is one of `final_statuses`."""
        return bool(self.final_statuses) and normalize_word(word) in _normalized_words(
            self.final_statuses
        )

    def is_final_refill_status(self, word: str) -> bool:
        """Return whether the panel's word for a refill is one of `final_refill_statuses`."""
        return bool(self.final_refill_statuses) and normalize_word(word) in _normalized_words(
            self.final_refill_statuses
        )

    @cached_property
    def form_names(self) -> FormNames:
        """The panel's names of actions and fields."""
        return FormNames(self.action_names, self.field_names)

    def ids_in_call(self, action: str) -> int:
        """Return how many ids a call of an action may have."""
        return 1 if action in self.single_id_actions else self.ids_per_call

    def refusal_kind(self, text: str, action: str = "add") -> ErrorKind | None:
        """Return the kind of a refusal text; None if it is not recognized.

        After an `add`, a recognized text proves that there is no order. After a call that cannot
        create one, such as `status`, more texts are recognized.
        """
        if action in CANNOT_CREATE_ORDER:
            return self._texts_of_reads.find_kind(text)
        return self._refusal_texts.find_kind(text)

    @cached_property
    def _refusal_texts(self) -> RefusalTexts:
        texts = ((each.text, each.kind) for each in self.refusals)
        return RefusalTexts(texts, find_kind if self.refusal_grammar else None)

    @cached_property
    def _texts_of_reads(self) -> RefusalTexts:
        return RefusalTexts(((each.text, each.kind) for each in self.refusals), find_kind_of_read)


# attrs writes this function, for the cached property, without a module: with Python 3.13.0, `help`
# of this module would raise `TypeError`.
vars(Profile).get("__getattr__", Profile).__module__ = __name__


@lru_cache(maxsize=16)
def _normalized_words(words: frozenset[str]) -> frozenset[str]:
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
    refusal_grammar=True,
)
"""API v2 panels: also refill and cancel, seventeen order types, any delay (some panels document the
document's seven, others up to 600 minutes), 60 requests per minute, the lowest limit seen. There is
no default address: pass `base_url` to the client, or set it with `attrs.evolve`."""
