"""The order types of the panel's document beside `DefaultOrder`, one class each.

A class is one of the document's eleven tables, in their order; a field has the name of the form
field. The names of the types are the panel script's own words (seen), since the document's tables
have lost their headings. Besides the documented fields, a class accepts those that copies of the
script also read (seen), and `extra` for fields that only one panel has.
"""

from collections.abc import Collection
from datetime import date
from typing import ClassVar

from attrs import field, frozen

from ..errors import InvalidCode, InvalidOrderError
from .fields import (
    integer_validator,
    optional,
    split_items,
    strip,
    strip_optional,
    validate_expiry,
    validate_lines,
    validate_text,
)
from .order import DELAYS_MINUTES, Order

__all__ = [
    "CommentLikesOrder",
    "CustomCommentsOrder",
    "CustomCommentsPackageOrder",
    "MentionsCustomListOrder",
    "MentionsHashtagOrder",
    "MentionsMediaLikersOrder",
    "MentionsUserFollowersOrder",
    "MentionsWithHashtagsOrder",
    "PackageOrder",
    "SubscriptionsOrder",
]


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
