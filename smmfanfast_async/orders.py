"""What we say: the eleven order types, a documented form each.

A class is one of the eleven tables of the panel's document, in their order; a field bears the name
of the form field. The names of the types are the panel script's own words (seen), since the
document's tables have lost their headings. Beside the documented fields a class takes those that
copies of the script also read (seen), and `extra` for what a panel invents.

Converters here never fail: they bring the two or three ways to write a value into one. Validators
refuse, with an `InvalidOrderError` that names class, field and value. `_encode` makes text of it.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Any, ClassVar, NoReturn

import attrs
from attrs import Attribute, field, frozen

from ._text import line_flaw, same_word, text_flaw
from .errors import InvalidOrderError

__all__ = [
    "DELAYS_MIN",
    "ORDER_TYPES",
    "CommentLikesOrder",
    "CustomCommentsOrder",
    "CustomCommentsPackageOrder",
    "DefaultOrder",
    "MentionsCustomListOrder",
    "MentionsHashtagOrder",
    "MentionsMediaLikersOrder",
    "MentionsUserFollowersOrder",
    "MentionsWithHashtagsOrder",
    "Order",
    "PackageOrder",
    "SubscriptionsOrder",
    "are_plain_ids",
    "checked_id",
]

DELAYS_MIN = frozenset({0, 5, 10, 15, 30, 60, 90})
"""Minutes a subscription may wait (document: "Possible values: 0, 5, 10, 15, 30, 60, 90")."""

MAX_WHOLE_NUMBER = 10**12
"""The largest quantity that can be meant (assumed): above it stands a mistake."""

MAX_ID_CHARACTERS = 128
"""The longest id seen is a UUID of 36 signs; above this it is some other text."""

# No number below 1; no comma, blank, control character, invisible sign or half a surrogate pair.
_ID = re.compile(
    r"(?!-[0-9]+\Z|0+\Z)"
    r"[^\s,\x00-\x20\x7f-\xa0\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    rf"\ud800-\udfff]{{1,{MAX_ID_CHARACTERS}}}"
)
_NO_ID = (
    f"is not an id: a whole number above 0, or a text of at most {MAX_ID_CHARACTERS} characters "
    "without commas, blanks and control characters"
)


def checked_id(value: object, where: str = "Client", name: str = "order") -> str:
    """Give an order's or service's id as text, or raise `InvalidOrderError`.

    Ids are opaque: numbers on this panel, other text elsewhere (seen: `ord_01H…`, UUIDs). A comma,
    a blank or a control character would join or split ids on their way, so they are refused; so is
    a number below 1, as int or text.
    """
    text: object = _id(value)  # type: ignore[arg-type]  # what is no number comes back as it is
    if not isinstance(text, str) or not _ID.fullmatch(text):
        raise InvalidOrderError(where, name, value, _NO_ID)
    return text


# Plain numbers, as this panel's ids are; a comma in one of them is counted before.
_PLAIN_IDS = re.compile(r"[1-9][0-9]{0,127}(?:,[1-9][0-9]{0,127})*")


def are_plain_ids(texts: list[str]) -> bool:
    """Say whether some texts are ids for sure, each a plain number: a look at all at once.

    False says nothing; then `checked_id` looks at each.
    """
    joined = ",".join(texts)
    return joined.count(",") == len(texts) - 1 and _PLAIN_IDS.fullmatch(joined) is not None


# --- converters: one spelling for a value, never a refusal --------------------------------------


def _id(value: int | str) -> str:
    is_number = type(value) is int and 0 < value < 10**MAX_ID_CHARACTERS
    return str(value) if is_number else value  # type: ignore[return-value]  # validated


def _text(value: str) -> str:
    return value.strip() if isinstance(value, str) else value


def _optional_text(value: str | None) -> str | None:
    return value.strip() if isinstance(value, str) else value


def _lines(value: str | Iterable[str]) -> tuple[str, ...]:
    """Take one text of many lines, or any iterable of items; strip items, drop the empty ones."""
    if isinstance(value, str):
        value = value.replace("\r\n", "\n").split("\n")
    if not isinstance(value, Iterable):
        return value
    items: Iterable[Any] = value
    stripped = (item.strip(" \t\r\n") if isinstance(item, str) else item for item in items)
    return tuple(item for item in stripped if item != "")


def _copy(value: Mapping[str, str]) -> Mapping[str, str]:
    return dict(value) if isinstance(value, Mapping) else value


# --- validators: refusals, each naming class, field and value ------------------------------------


def _refuse(order: Any, attribute: "Attribute[Any]", value: object, reason: str) -> NoReturn:
    raise InvalidOrderError(type(order).__name__, attribute.name, value, reason)


def _is_id(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    checked_id(value, type(order).__name__, attribute.name)


def _is_text(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, str):
        _refuse(order, attribute, value, "is not a text")
    elif not value:
        _refuse(order, attribute, value, "is missing")
    elif flaw := line_flaw(value):
        _refuse(order, attribute, value, flaw)


def _is_lines(order: Any, attribute: "Attribute[Any]", value: tuple[Any, ...]) -> None:
    if not isinstance(value, tuple):
        _refuse(order, attribute, value, "is neither a text nor a list of texts")
    if not value:
        _refuse(order, attribute, value, "is empty")
    for item in value:
        if not isinstance(item, str):
            _refuse(order, attribute, item, "is not a text")
        elif flaw := line_flaw(item):
            _refuse(order, attribute, item, flaw)


def _is_whole(least: int) -> Any:
    def validate(order: Any, attribute: "Attribute[Any]", value: object) -> None:
        if type(value) is not int:
            _refuse(order, attribute, value, "is not a whole number")
        elif not least <= value <= MAX_WHOLE_NUMBER:
            _refuse(order, attribute, value, f"is not from {least} to {MAX_WHOLE_NUMBER}")

    return validate


def _is_expiry(order: Any, attribute: "Attribute[Any]", value: object) -> None:
    if type(value) is not date:
        _refuse(order, attribute, value, "is not a datetime.date")
    elif value < datetime.now(UTC).date():
        _refuse(order, attribute, value, "lies in the past")


def _is_extra(order: "Order", attribute: "Attribute[Any]", value: Mapping[Any, Any]) -> None:
    if not isinstance(value, Mapping):
        _refuse(order, attribute, value, "is not a mapping of text to text")
    fields: tuple[Attribute[Any], ...] = attrs.fields(type(order))
    taken = {"", "key", "action", *(known.name for known in fields)}
    for name, text in value.items():
        if not isinstance(name, str) or _bare_name(name) in taken or text_flaw(name):
            _refuse(order, attribute, name, "can't be the name of an extra field")
        if not isinstance(text, str):
            _refuse(order, attribute, text, f"is not a text, as the extra field {name!r} must be")
        elif flaw := text_flaw(text):
            _refuse(order, attribute, text, flaw)


def _bare_name(name: str) -> str:
    """Bring a field's name to what a PHP form makes of it: `key[]` and ` key` are `key` there."""
    return name.partition("[")[0].strip().lower()


_optional = attrs.validators.optional


# --- the forms -----------------------------------------------------------------------------------


@frozen(kw_only=True)
class Order:
    """What every order type has: the service, and room for what a panel invents."""

    panel_type: ClassVar[str] = ""
    """The panel's word for the type, as in `Service.type`."""

    service: str = field(converter=_id, validator=_is_id)
    """Id of the service (document: "Service ID"), int or text; kept as text."""

    extra: Mapping[str, str] = field(
        factory=dict, converter=_copy, validator=_is_extra, metadata={"form": False}, hash=False
    )
    """More form fields by name, sent as they are: for panels that ask for what no table lists."""


@frozen(kw_only=True)
class DefaultOrder(Order):
    """`default`: so many of something for a link, at once or in runs (drip-feed)."""

    panel_type: ClassVar[str] = "default"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page (document: "Link to page")."""
    quantity: int = field(validator=_is_whole(1))
    """How many; with `runs` it is how many each run (seen), the total is `runs × quantity`."""
    runs: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Runs to deliver (document: optional); None is no drip-feed. Only with `interval`."""
    interval: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Minutes between runs (document: optional). Only with `runs`."""

    def __attrs_post_init__(self) -> None:
        """Hold runs and interval together: the panel takes both or neither (seen)."""
        if (self.runs is None) != (self.interval is None):
            lone, missing = ("runs", "interval") if self.interval is None else ("interval", "runs")
            raise InvalidOrderError(
                type(self).__name__, lone, getattr(self, lone), f"needs {missing} beside it"
            )


@frozen(kw_only=True)
class PackageOrder(Order):
    """`package`: one package of fixed size and flat price for a link."""

    panel_type: ClassVar[str] = "package"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    quantity: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class CustomCommentsOrder(Order):
    """`custom_comments`: the comments that are to be written under a link."""

    panel_type: ClassVar[str] = "custom_comments"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    comments: tuple[str, ...] = field(converter=_lines, validator=_is_lines)
    """The comments; their number is the quantity. An iterable of texts, or one text with a
    comment a line (document: "Comments list separated by \\r\\n or \\n")."""
    quantity: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsWithHashtagsOrder(Order):
    """`mentions_with_hashtags`: mentions of these users, with these hashtags."""

    panel_type: ClassVar[str] = "mentions_with_hashtags"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    quantity: int = field(validator=_is_whole(1))
    """How many (document: "Needed quantity")."""
    usernames: tuple[str, ...] = field(converter=_lines, validator=_is_lines)
    """Users, an iterable or one text with a user a line."""
    hashtags: tuple[str, ...] = field(converter=_lines, validator=_is_lines)
    """Hashtags, an iterable or one text with a hashtag a line."""


@frozen(kw_only=True)
class MentionsCustomListOrder(Order):
    """`mentions_custom_list`: mentions of just these users; their number is the quantity."""

    panel_type: ClassVar[str] = "mentions_custom_list"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    usernames: tuple[str, ...] = field(converter=_lines, validator=_is_lines)
    """Users, an iterable or one text with a user a line."""
    quantity: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsHashtagOrder(Order):
    """`mentions_hashtag`: mentions of users who are found under a hashtag."""

    panel_type: ClassVar[str] = "mentions_hashtag"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    quantity: int = field(validator=_is_whole(1))
    """How many (document: "Needed quantity")."""
    hashtag: str = field(converter=_text, validator=_is_text)
    """One hashtag (document: "Hashtag to scrape usernames from")."""


@frozen(kw_only=True)
class MentionsUserFollowersOrder(Order):
    """`mentions_user_followers`: mentions of the followers of a user."""

    panel_type: ClassVar[str] = "mentions_user_followers"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    quantity: int = field(validator=_is_whole(1))
    """How many (document: "Needed quantity")."""
    username: str = field(converter=_text, validator=_is_text)
    """Address of the user's page (document: "URL to scrape followers from")."""


@frozen(kw_only=True)
class CustomCommentsPackageOrder(Order):
    """`custom_comments_package`: comments of one's own at a flat price."""

    panel_type: ClassVar[str] = "custom_comments_package"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    comments: tuple[str, ...] = field(converter=_lines, validator=_is_lines)
    """The comments, an iterable or one text with a comment a line."""
    quantity: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsMediaLikersOrder(Order):
    """`mentions_media_likers`: mentions of those who liked something."""

    panel_type: ClassVar[str] = "mentions_media_likers"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    quantity: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""
    media: str | None = field(default=None, converter=_optional_text, validator=_optional(_is_text))
    """Link to what was liked. Not in the document (seen); None leaves it out."""


@frozen(kw_only=True)
class CommentLikesOrder(Order):
    """`comment_likes`: likes for a user's comment."""

    panel_type: ClassVar[str] = "comment_likes"

    link: str = field(converter=_text, validator=_is_text)
    """Link to the page."""
    quantity: int = field(validator=_is_whole(1))
    """How many (document: "Needed quantity")."""
    username: str = field(converter=_text, validator=_is_text)
    """Whose comment it is (document: "Username of the comment owner")."""


@frozen(kw_only=True)
class SubscriptionsOrder(Order):
    """`subscriptions`: something for each post that a user will make."""

    panel_type: ClassVar[str] = "subscriptions"

    username: str = field(converter=_text, validator=_is_text)
    """Whose posts (document: "Username")."""
    min: int = field(validator=_is_whole(1))
    """The least for a post (document: "Quantity min")."""
    max: int = field(validator=_is_whole(1))
    """The most for a post, not below `min` (document: "Quantity max")."""
    delay: int = field(validator=_is_whole(0))
    """Minutes to wait after a post; one of `legal_delays_min`."""
    expiry: date | None = field(default=None, validator=_optional(_is_expiry))
    """The last day (document: optional, sent as d/m/Y); None is no end. Not before today, UTC."""
    posts: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """How many posts. Not in the document (seen); None leaves it out."""
    link: str | None = field(default=None, converter=_optional_text, validator=_optional(_is_text))
    """Not in the document (seen); None leaves it out."""
    quantity: int | None = field(default=None, validator=_optional(_is_whole(1)))
    """Not in the document (seen); None leaves it out."""
    legal_delays_min: Collection[int] | None = field(
        default=DELAYS_MIN, metadata={"form": False}, eq=False, repr=False
    )
    """Which delays the panel takes: the document's by default, `profile.delays_min` for another
    panel, None for any. It is never sent."""

    def __attrs_post_init__(self) -> None:
        """Hold min to max, and the delay to the legal ones."""
        where = type(self).__name__
        if self.min > self.max:
            raise InvalidOrderError(where, "min", self.min, f"is above max, {self.max}")
        legal = self.legal_delays_min
        if legal is not None and self.delay not in legal:
            raise InvalidOrderError(where, "delay", self.delay, f"is none of {sorted(legal)}")


class _OrderTypes(Mapping[str, type[Order]]):
    """Order classes by the panel's word, in any spelling."""

    def __init__(self, *classes: type[Order]) -> None:
        self._by_word = {each.panel_type: each for each in classes}
        self._by_spelling = {same_word(word): each for word, each in self._by_word.items()}

    def __getitem__(self, word: str) -> type[Order]:
        found = self._by_spelling.get(same_word(word)) if isinstance(word, str) else None
        if found is None:
            raise KeyError(word)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_word)

    def __len__(self) -> int:
        return len(self._by_word)

    def __repr__(self) -> str:
        return f"ORDER_TYPES({', '.join(self._by_word)})"


ORDER_TYPES: Mapping[str, type[Order]] = _OrderTypes(
    DefaultOrder,
    PackageOrder,
    CustomCommentsOrder,
    MentionsWithHashtagsOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsUserFollowersOrder,
    CustomCommentsPackageOrder,
    MentionsMediaLikersOrder,
    CommentLikesOrder,
    SubscriptionsOrder,
)
"""The panel's word for a type → its class, in the document's order. Look-ups mind neither case nor
blanks, `_` and `-`: `ORDER_TYPES["Custom Comments"]`."""
