"""The eleven order types of the panel's document, a documented form each.

A class is one of the document's eleven tables, in their order; a field bears the name of the form
field. The names of the types are the panel script's own words (seen), since the document's tables
have lost their headings. Beside the documented fields a class takes those that copies of the script
also read (seen), and `extra` for what a panel invents.
"""

from collections.abc import Collection, Mapping
from datetime import date
from typing import ClassVar

from attrs import field, frozen

from ..errors import InvalidOrderError
from .fields import (
    check_runs_and_interval,
    copied,
    id_as_text,
    is_expiry,
    is_extra,
    is_id,
    is_lines,
    is_text,
    is_whole,
    items_of,
    optional,
    stripped,
    stripped_or_none,
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
"""Minutes a subscription may wait (document: "Possible values: 0, 5, 10, 15, 30, 60, 90")."""


@frozen(kw_only=True)
class Order:
    """What every order type has: the service, and room for what a panel invents."""

    panel_type: ClassVar[str] = ""
    """The panel's word for the type, as in `Service.type`."""

    service: str = field(converter=id_as_text, validator=is_id)
    """Id of the service (document: "Service ID"), int or text; kept as text."""

    extra: Mapping[str, str] = field(
        factory=dict, converter=copied, validator=is_extra, metadata={"form": False}, hash=False
    )
    """More form fields by name, sent as they are: for panels that ask for what no table lists."""


@frozen(kw_only=True)
class DefaultOrder(Order):
    """`default`: so many of something for a link, at once or in runs (drip-feed)."""

    panel_type: ClassVar[str] = "default"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page (document: "Link to page")."""
    quantity: int = field(validator=is_whole(1))
    """How many; with `runs` it is how many each run (seen), the total is `runs × quantity`."""
    runs: int | None = field(default=None, validator=optional(is_whole(1)))
    """Runs to deliver (document: optional); None is no drip-feed. Only with `interval`."""
    interval: int | None = field(default=None, validator=optional(is_whole(1)))
    """Minutes between runs (document: optional). Only with `runs`."""

    def __attrs_post_init__(self) -> None:
        """Hold runs and interval together."""
        check_runs_and_interval(self)


@frozen(kw_only=True)
class PackageOrder(Order):
    """`package`: one package of fixed size and flat price for a link."""

    panel_type: ClassVar[str] = "package"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int | None = field(default=None, validator=optional(is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class CustomCommentsOrder(Order):
    """`custom_comments`: the comments that are to be written under a link."""

    panel_type: ClassVar[str] = "custom_comments"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    comments: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """The comments; their number is the quantity. An iterable of texts, or one text with a
    comment a line (document: "Comments list separated by \\r\\n or \\n")."""
    quantity: int | None = field(default=None, validator=optional(is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsWithHashtagsOrder(Order):
    """`mentions_with_hashtags`: mentions of these users, with these hashtags."""

    panel_type: ClassVar[str] = "mentions_with_hashtags"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int = field(validator=is_whole(1))
    """How many (document: "Needed quantity")."""
    usernames: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """Users, an iterable or one text with a user a line."""
    hashtags: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """Hashtags, an iterable or one text with a hashtag a line."""


@frozen(kw_only=True)
class MentionsCustomListOrder(Order):
    """`mentions_custom_list`: mentions of just these users; their number is the quantity."""

    panel_type: ClassVar[str] = "mentions_custom_list"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    usernames: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """Users, an iterable or one text with a user a line."""
    quantity: int | None = field(default=None, validator=optional(is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsHashtagOrder(Order):
    """`mentions_hashtag`: mentions of users who are found under a hashtag."""

    panel_type: ClassVar[str] = "mentions_hashtag"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int = field(validator=is_whole(1))
    """How many (document: "Needed quantity")."""
    hashtag: str = field(converter=stripped, validator=is_text)
    """One hashtag (document: "Hashtag to scrape usernames from")."""


@frozen(kw_only=True)
class MentionsUserFollowersOrder(Order):
    """`mentions_user_followers`: mentions of the followers of a user."""

    panel_type: ClassVar[str] = "mentions_user_followers"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int = field(validator=is_whole(1))
    """How many (document: "Needed quantity")."""
    username: str = field(converter=stripped, validator=is_text)
    """Address of the user's page (document: "URL to scrape followers from")."""


@frozen(kw_only=True)
class CustomCommentsPackageOrder(Order):
    """`custom_comments_package`: comments of one's own at a flat price."""

    panel_type: ClassVar[str] = "custom_comments_package"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    comments: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """The comments, an iterable or one text with a comment a line."""
    quantity: int | None = field(default=None, validator=optional(is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""


@frozen(kw_only=True)
class MentionsMediaLikersOrder(Order):
    """`mentions_media_likers`: mentions of those who liked something."""

    panel_type: ClassVar[str] = "mentions_media_likers"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int | None = field(default=None, validator=optional(is_whole(1)))
    """Not in the document; some copies of the panel demand it (seen). None leaves it out."""
    media: str | None = field(default=None, converter=stripped_or_none, validator=optional(is_text))
    """Link to what was liked. Not in the document (seen); None leaves it out."""


@frozen(kw_only=True)
class CommentLikesOrder(Order):
    """`comment_likes`: likes for a user's comment."""

    panel_type: ClassVar[str] = "comment_likes"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int = field(validator=is_whole(1))
    """How many (document: "Needed quantity")."""
    username: str = field(converter=stripped, validator=is_text)
    """Whose comment it is (document: "Username of the comment owner")."""


@frozen(kw_only=True)
class SubscriptionsOrder(Order):
    """`subscriptions`: something for each post that a user will make."""

    panel_type: ClassVar[str] = "subscriptions"

    username: str = field(converter=stripped, validator=is_text)
    """Whose posts (document: "Username")."""
    min: int = field(validator=is_whole(1))
    """The least for a post (document: "Quantity min")."""
    max: int = field(validator=is_whole(1))
    """The most for a post, not below `min` (document: "Quantity max")."""
    delay: int = field(validator=is_whole(0))
    """Minutes to wait after a post; one of `allowed_delays_minutes`."""
    expiry: date | None = field(default=None, validator=optional(is_expiry))
    """The last day (document: optional, sent as d/m/Y); None is no end. Not before today, UTC."""
    posts: int | None = field(default=None, validator=optional(is_whole(1)))
    """How many posts. Not in the document (seen); None leaves it out."""
    old_posts: int | None = field(default=None, validator=optional(is_whole(1)))
    """How many posts that are there already. API v2 panels alone have it (seen), elsewhere it is
    refused before it is sent (`Profile.ignored_fields`); None leaves it out."""
    link: str | None = field(default=None, converter=stripped_or_none, validator=optional(is_text))
    """Not in the document (seen); None leaves it out."""
    quantity: int | None = field(default=None, validator=optional(is_whole(1)))
    """Not in the document (seen); None leaves it out."""
    allowed_delays_minutes: Collection[int] | None = field(
        default=DELAYS_MINUTES, metadata={"form": False}, eq=False, repr=False
    )
    """Which delays the panel takes: the document's by default, `profile.delays_minutes` for another
    panel, None for any. It is never sent."""

    def __attrs_post_init__(self) -> None:
        """Hold min to max, and the delay to the legal ones."""
        where = type(self).__name__
        if self.min > self.max:
            raise InvalidOrderError(where, "min", self.min, f"is above max, {self.max}")
        legal = self.allowed_delays_minutes
        if legal is not None and self.delay not in legal:
            raise InvalidOrderError(where, "delay", self.delay, f"is none of {sorted(legal)}")
