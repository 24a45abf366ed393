"""The order types that API v2 panels have beyond the document's eleven, a form each.

Names, fields and which of them are optional are those that several such panels document (seen); the
panel of the document has none of these types. A field bears the name of the form field.
"""

from typing import ClassVar

from attrs import field, frozen

from ..errors import InvalidOrderError
from .fields import (
    check_runs_and_interval,
    is_lines,
    is_text,
    is_whole,
    items_of,
    optional,
    stripped,
    stripped_or_none,
)
from .standard import Order

__all__ = [
    "CommentRepliesOrder",
    "InvitesFromGroupsOrder",
    "MentionsOrder",
    "PollOrder",
    "SeoOrder",
    "WebTrafficOrder",
]

MAX_DEVICE = 5
"""The last device (seen): 1 desktop, 2 Android, 3 iOS, 4 mobile mixed, 5 mobile and desktop."""

GOOGLE_KEYWORD = 1
"""Web traffic that comes from a search for a keyword (seen)."""

CUSTOM_REFERRER = 2
"""Web traffic that comes from an address of one's own (seen)."""

BLANK_REFERRER = 3
"""Web traffic that comes from nowhere, the last type (seen)."""


@frozen(kw_only=True)
class MentionsOrder(Order):
    """`mentions`: so many mentions, among these users."""

    panel_type: ClassVar[str] = "mentions"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int = field(validator=is_whole(1))
    """How many; it is what is charged, not the number of users (seen)."""
    usernames: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """Users, an iterable or one text with a user a line."""


@frozen(kw_only=True)
class SeoOrder(Order):
    """`seo`: so many of something for a page under these keywords."""

    panel_type: ClassVar[str] = "seo"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int = field(validator=is_whole(1))
    """How many."""
    keywords: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """Keywords, an iterable or one text with a keyword a line."""


@frozen(kw_only=True)
class CommentRepliesOrder(Order):
    """`comment_replies`: replies of one's own under a user's comment."""

    panel_type: ClassVar[str] = "comment_replies"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    username: str = field(converter=stripped, validator=is_text)
    """Whose comment is replied to."""
    comments: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """The replies, an iterable or one text with one a line; their number is the quantity (seen)."""
    quantity: int | None = field(default=None, validator=optional(is_whole(1)))
    """Documented by none of these panels; for those that demand it of every type (seen). None
    leaves it out."""


@frozen(kw_only=True)
class PollOrder(Order):
    """`poll`: votes for one answer of a poll."""

    panel_type: ClassVar[str] = "poll"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page."""
    quantity: int = field(validator=is_whole(1))
    """How many votes."""
    answer_number: int = field(validator=is_whole(1))
    """Which answer. That the first one is 1 is assumed, so 0 is refused."""


@frozen(kw_only=True)
class InvitesFromGroupsOrder(Order):
    """`invites_from_groups`: invitations of the members of these groups."""

    panel_type: ClassVar[str] = "invites_from_groups"

    link: str = field(converter=stripped, validator=is_text)
    """Link to what they are invited to."""
    quantity: int = field(validator=is_whole(1))
    """How many."""
    groups: tuple[str, ...] = field(converter=items_of, validator=is_lines)
    """Groups, an iterable or one text with a group a line."""


@frozen(kw_only=True)
class WebTrafficOrder(Order):
    """`web_traffic`: visits of a website, at once or in runs (drip-feed)."""

    panel_type: ClassVar[str] = "web_traffic"

    link: str = field(converter=stripped, validator=is_text)
    """Link to the page that is visited."""
    quantity: int = field(validator=is_whole(1))
    """How many; with `runs` it is how many each run, as for `DefaultOrder` (assumed)."""
    country: str = field(converter=stripped, validator=is_text)
    """Where visitors come from: a code or a name, such as "US" or "United States" (seen)."""
    device: int = field(validator=is_whole(1, MAX_DEVICE))
    """What they use: 1 desktop, 2 Android, 3 iOS, 4 mobile mixed, 5 mobile and desktop (seen)."""
    type_of_traffic: int = field(validator=is_whole(1, BLANK_REFERRER))
    """How they come: 1 by a Google keyword, 2 by an address of one's own, 3 by none (seen)."""
    google_keyword: str | None = field(
        default=None, converter=stripped_or_none, validator=optional(is_text)
    )
    """What they searched for; needed where `type_of_traffic` is 1 (seen)."""
    referring_url: str | None = field(
        default=None, converter=stripped_or_none, validator=optional(is_text)
    )
    """The address they come from; needed where `type_of_traffic` is 2 (seen)."""
    runs: int | None = field(default=None, validator=optional(is_whole(1)))
    """Runs to deliver; None is no drip-feed. Only with `interval`."""
    interval: int | None = field(default=None, validator=optional(is_whole(1)))
    """Minutes between runs. Only with `runs`."""

    def __attrs_post_init__(self) -> None:
        """Hold runs and interval together, and the type of traffic to what it needs."""
        check_runs_and_interval(self)
        needed = {GOOGLE_KEYWORD: "google_keyword", CUSTOM_REFERRER: "referring_url"}
        missing = needed.get(self.type_of_traffic)
        if missing is not None and getattr(self, missing) is None:
            raise InvalidOrderError(
                type(self).__name__,
                "type_of_traffic",
                self.type_of_traffic,
                f"needs {missing} beside it",
            )
