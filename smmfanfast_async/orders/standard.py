"""The eleven order types of the panel's document, one class each.

A class is one of the document's eleven tables, in their order; a field has the name of the form
field. The names of the types are the panel script's own words (seen), since the document's tables
have lost their headings. Besides the documented fields, a class accepts those that copies of the
script also read (seen), and `extra` for fields that only one panel has.
"""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, ClassVar, Self, cast

from attrs import field, frozen

from .._serialization import JsonFields, Serializable
from ..errors import InvalidCode, InvalidOrderError
from .fields import (
    check_runs_and_interval,
    copy_mapping,
    id_to_text,
    integer_validator,
    optional,
    split_items,
    strip,
    strip_optional,
    validate_expiry,
    validate_extra,
    validate_id,
    validate_lines,
    validate_text,
)
from .parsing import (
    TYPE_FIELD,
    check_type,
    find_type,
    load_object,
    parse_fields,
    require_object,
)

__all__ = [
    "DELAYS_MINUTES",
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
]

DELAYS_MINUTES = frozenset({0, 5, 10, 15, 30, 60, 90})
"""Allowed delays of a subscription, in minutes (document: "Possible values: 0, 5, 10, 15, 30, 60,
90")."""


@frozen(kw_only=True)
class Order(Serializable):
    """Base class of all order types: the service, and extra fields that only some panels have.

    Attributes:
        service: Id of the service (document: "Service ID"); int or text, stored as text.
        extra: More form fields by name, sent unchanged, for panels that require undocumented ones.
    """

    panel_type: ClassVar[str] = ""
    """The panel's word for the type, as in `Service.type`; if empty, it is not checked."""

    _json: ClassVar[JsonFields] = JsonFields(
        computed={"type": "panel_type"},
        hidden=frozenset({"allowed_delays_minutes"}),
        accepted={"service": str | int},
    )
    _types: ClassVar[Mapping[str, type["Order"]]] = {}
    """All order types by the panel's word; set by the package, which knows them all."""

    service: str = field(converter=id_to_text, validator=validate_id)
    """Id of the service (document: "Service ID"); int or text, stored as text."""

    extra: Mapping[str, str] = field(
        factory=dict,
        converter=copy_mapping,
        validator=validate_extra,
        metadata={"form": False},
        hash=False,
    )
    """More form fields by name, sent unchanged, for panels that require undocumented ones."""

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        allow_extra: bool = False,
        allowed_delays_minutes: Collection[int] | None = DELAYS_MINUTES,
    ) -> Self:
        """Parse an order from JSON types: what `to_dict` returned, or what a buyer sent.

        `Order.from_dict` chooses the class by the field `type`, in any spelling of `ORDER_TYPES`; a
        subclass accepts its own type only, and needs none. Every other field has the name that it
        has in the class. Nothing is guessed: a number in a text, a float or an unknown name is an
        error. Which services and prices a buyer may choose is for you to check.

        Args:
            data: The parsed JSON object.
            allow_extra: Accept `extra`, fields that are sent unchanged. Not from a buyer.
            allowed_delays_minutes: For subscriptions: the delays that the panel accepts; None for
                any.

        Raises:
            InvalidOrderError: `field` and `reason` say what is wrong.
        """
        checked = require_object(data, cls.__name__)
        if cls is Order:
            has_no_type = allow_extra and checked.get(TYPE_FIELD) == cls.panel_type
            order_type = cls if has_no_type else find_type(checked, cls._types)
        else:
            order_type = cls
            check_type(checked, cls.__name__, cls.panel_type)
        values = parse_fields(
            order_type,
            checked,
            allow_extra=allow_extra,
            allowed_delays_minutes=allowed_delays_minutes,
        )
        return cast("Self", order_type(**values))

    @classmethod
    def from_json(
        cls,
        text: str | bytes,
        *,
        allow_extra: bool = False,
        allowed_delays_minutes: Collection[int] | None = DELAYS_MINUTES,
    ) -> Self:
        """Parse an order from JSON, such as the body of a request; otherwise as `from_dict`.

        The caller bounds the size of `text`.

        Raises:
            InvalidOrderError: The text is not JSON, or as `from_dict`.
        """
        return cls.from_dict(
            load_object(text, cls.__name__),
            allow_extra=allow_extra,
            allowed_delays_minutes=allowed_delays_minutes,
        )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # Only pydantic calls this, so the package works without it.
        from .._serialization.pydantic_schema import input_schema  # noqa: PLC0415

        variants = tuple(cls._types.values()) if cls is Order else (cls,)
        return input_schema(variants, cls._parse_json, handler)

    @classmethod
    def _parse_json(cls, value: Any) -> "Order":
        return value if isinstance(value, cls) else cls.from_dict(value)


@frozen(kw_only=True)
class DefaultOrder(Order):
    """`default`: a quantity for a link, delivered at once or in runs (drip-feed).

    Attributes:
        link: Link to the page (document: "Link to page").
        quantity: How many; with `runs`, how many per run (seen): the total is `runs × quantity`.
        runs: Number of runs (document: optional); None means no drip-feed. Requires `interval`.
        interval: Minutes between runs (document: optional); None means no drip-feed. Requires
            `runs`.
    """

    panel_type: ClassVar[str] = "default"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page (document: "Link to page")."""
    quantity: int = field(validator=integer_validator(1))
    """How many; with `runs`, how many per run (seen): the total is `runs × quantity`."""
    runs: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Number of runs (document: optional); None means no drip-feed. Requires `interval`."""
    interval: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Minutes between runs (document: optional); None means no drip-feed. Requires `runs`."""

    def __attrs_post_init__(self) -> None:
        """Check that `runs` and `interval` are both set or both None."""
        check_runs_and_interval(self)


@frozen(kw_only=True)
class PackageOrder(Order):
    """`package`: one package of fixed size and fixed price for a link.

    Attributes:
        link: Link to the page.
        quantity: Not in the document; some copies of the panel require it (seen). None leaves it
            out.
    """

    panel_type: ClassVar[str] = "package"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Not in the document; some copies of the panel require it (seen). None leaves it out."""


@frozen(kw_only=True)
class CustomCommentsOrder(Order):
    r"""`custom_comments`: these comments, posted under a link.

    Attributes:
        link: Link to the page.
        comments: The comments; their number is the quantity. An iterable of texts, or one text
            with a comment per line (document: "Comments list separated by \r\n or \n").
        quantity: Not in the document; some copies of the panel require it (seen). None leaves it
            out.
    """

    panel_type: ClassVar[str] = "custom_comments"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    comments: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """The comments; their number is the quantity. An iterable of texts, or one text with a comment
    per line (document: "Comments list separated by \\r\\n or \\n")."""
    quantity: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Not in the document; some copies of the panel require it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsWithHashtagsOrder(Order):
    """`mentions_with_hashtags`: mentions of these users, with these hashtags.

    Attributes:
        link: Link to the page.
        quantity: How many (document: "Needed quantity").
        usernames: User names; an iterable of texts, or one text with a name per line.
        hashtags: Hashtags; an iterable of texts, or one text with a hashtag per line.
    """

    panel_type: ClassVar[str] = "mentions_with_hashtags"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int = field(validator=integer_validator(1))
    """How many (document: "Needed quantity")."""
    usernames: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """User names; an iterable of texts, or one text with a name per line."""
    hashtags: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """Hashtags; an iterable of texts, or one text with a hashtag per line."""


@frozen(kw_only=True)
class MentionsCustomListOrder(Order):
    """`mentions_custom_list`: mentions of exactly these users; their number is the quantity.

    Attributes:
        link: Link to the page.
        usernames: User names; an iterable of texts, or one text with a name per line.
        quantity: Not in the document; some copies of the panel require it (seen). None leaves it
            out.
    """

    panel_type: ClassVar[str] = "mentions_custom_list"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    usernames: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """User names; an iterable of texts, or one text with a name per line."""
    quantity: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Not in the document; some copies of the panel require it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsHashtagOrder(Order):
    """`mentions_hashtag`: mentions of users found under a hashtag.

    Attributes:
        link: Link to the page.
        quantity: How many (document: "Needed quantity").
        hashtag: One hashtag (document: "Hashtag to scrape usernames from").
    """

    panel_type: ClassVar[str] = "mentions_hashtag"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int = field(validator=integer_validator(1))
    """How many (document: "Needed quantity")."""
    hashtag: str = field(converter=strip, validator=validate_text)
    """One hashtag (document: "Hashtag to scrape usernames from")."""


@frozen(kw_only=True)
class MentionsUserFollowersOrder(Order):
    """`mentions_user_followers`: mentions of the followers of a user.

    Attributes:
        link: Link to the page.
        quantity: How many (document: "Needed quantity").
        username: URL of the user's page (document: "URL to scrape followers from").
    """

    panel_type: ClassVar[str] = "mentions_user_followers"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int = field(validator=integer_validator(1))
    """How many (document: "Needed quantity")."""
    username: str = field(converter=strip, validator=validate_text)
    """URL of the user's page (document: "URL to scrape followers from")."""


@frozen(kw_only=True)
class CustomCommentsPackageOrder(Order):
    """`custom_comments_package`: these comments, posted under a link at a fixed price.

    Attributes:
        link: Link to the page.
        comments: The comments; an iterable of texts, or one text with a comment per line.
        quantity: Not in the document; some copies of the panel require it (seen). None leaves it
            out.
    """

    panel_type: ClassVar[str] = "custom_comments_package"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    comments: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """The comments; an iterable of texts, or one text with a comment per line."""
    quantity: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Not in the document; some copies of the panel require it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsMediaLikersOrder(Order):
    """`mentions_media_likers`: mentions of the users who liked a post.

    Attributes:
        link: Link to the page.
        quantity: Not in the document; some copies of the panel require it (seen). None leaves it
            out.
        media: Link to the liked post. Not in the document (seen); None leaves it out.
    """

    panel_type: ClassVar[str] = "mentions_media_likers"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Not in the document; some copies of the panel require it (seen). None leaves it out."""
    media: str | None = field(
        default=None, converter=strip_optional, validator=optional(validate_text)
    )
    """Link to the liked post. Not in the document (seen); None leaves it out."""


@frozen(kw_only=True)
class CommentLikesOrder(Order):
    """`comment_likes`: likes for a user's comment.

    Attributes:
        link: Link to the page.
        quantity: How many (document: "Needed quantity").
        username: User who wrote the comment (document: "Username of the comment owner").
    """

    panel_type: ClassVar[str] = "comment_likes"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int = field(validator=integer_validator(1))
    """How many (document: "Needed quantity")."""
    username: str = field(converter=strip, validator=validate_text)
    """User who wrote the comment (document: "Username of the comment owner")."""


@frozen(kw_only=True)
class SubscriptionsOrder(Order):
    """`subscriptions`: a quantity for each future post of a user.

    Attributes:
        username: User whose posts are covered (document: "Username").
        min: Lowest quantity per post (document: "Quantity min").
        max: Highest quantity per post, at least `min` (document: "Quantity max").
        delay: Minutes to wait after a post (document: "Delay in minutes"); one of
            `allowed_delays_minutes`.
        expiry: Last day, not before today in the last time zone, UTC−12 (document: optional, sent
            as d/m/Y); None means no end.
        posts: Number of future posts. Not in the document (seen); None leaves it out.
        old_posts: Number of existing posts to include. Only API v2 panels have this field (seen);
            for other panels the order is rejected before sending (`Profile.ignored_fields`). None
            leaves it out.
        link: Link. Not in the document (seen); None leaves it out.
        quantity: Not in the document (seen); None leaves it out.
        allowed_delays_minutes: Delays that the panel accepts, in minutes: by default those of the
            document; pass `profile.delays_minutes` for another panel, None for any. Never sent.
    """

    panel_type: ClassVar[str] = "subscriptions"

    username: str = field(converter=strip, validator=validate_text)
    """User whose posts are covered (document: "Username")."""
    min: int = field(validator=integer_validator(1))
    """Lowest quantity per post (document: "Quantity min")."""
    max: int = field(validator=integer_validator(1))
    """Highest quantity per post, at least `min` (document: "Quantity max")."""
    delay: int = field(validator=integer_validator(0))
    """Minutes to wait after a post (document: "Delay in minutes"); one of
    `allowed_delays_minutes`."""
    expiry: date | None = field(default=None, validator=optional(validate_expiry))
    """Last day, not before today in the last time zone, UTC−12 (document: optional, sent as d/m/Y);
    None means no end."""
    posts: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Number of future posts. Not in the document (seen); None leaves it out."""
    old_posts: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Number of existing posts to include. Only API v2 panels have this field (seen); for other
    panels the order is rejected before sending (`Profile.ignored_fields`). None leaves it out."""
    link: str | None = field(
        default=None, converter=strip_optional, validator=optional(validate_text)
    )
    """Link. Not in the document (seen); None leaves it out."""
    quantity: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Not in the document (seen); None leaves it out."""
    allowed_delays_minutes: Collection[int] | None = field(
        default=DELAYS_MINUTES, metadata={"form": False}, eq=False, repr=False
    )
    """Delays that the panel accepts, in minutes: by default those of the document; pass
    `profile.delays_minutes` for another panel, None for any. Never sent."""

    def __attrs_post_init__(self) -> None:
        """Check that `min` does not exceed `max`, and that the delay is allowed."""
        owner = type(self).__name__
        if self.min > self.max:
            reason = f"must not exceed max ({self.max})"
            code = InvalidCode.ABOVE_MAX
            raise InvalidOrderError(owner, "min", self.min, reason, code=code, limit=self.max)
        allowed = self.allowed_delays_minutes
        if allowed is not None and self.delay not in allowed:
            reason = f"must be one of {sorted(allowed)}"
            code = InvalidCode.NOT_ALLOWED
            raise InvalidOrderError(owner, "delay", self.delay, reason, code=code)
