"""The order types that API v2 panels have beyond the document's eleven, one class each.

Names, fields and which of them are optional are those that several such panels document (seen); the
panel of the document has none of these types. A field has the name of the form field.
"""

from typing import ClassVar

from attrs import field, frozen

from ..errors import InvalidCode, InvalidOrderError
from .fields import (
    check_runs_and_interval,
    integer_validator,
    optional,
    split_items,
    strip,
    strip_optional,
    validate_lines,
    validate_text,
)
from .order import Order

__all__ = [
    "CommentRepliesOrder",
    "InvitesFromGroupsOrder",
    "MentionsOrder",
    "PollOrder",
    "SeoOrder",
    "WebTrafficOrder",
]

MAX_DEVICE = 5
"""The highest device number (seen): 1 desktop, 2 Android, 3 iOS, 4 mobile mixed, 5 mobile and
desktop."""

GOOGLE_KEYWORD = 1
"""Type of traffic: visitors come from a Google search for a keyword (seen)."""

CUSTOM_REFERRER = 2
"""Type of traffic: visitors come from a given URL (seen)."""

BLANK_REFERRER = 3
"""Type of traffic: visitors come without a referrer; the highest number (seen)."""


@frozen(kw_only=True)
class MentionsOrder(Order):
    """`mentions`: a quantity of mentions among these users.

    Attributes:
        link: Link to the page.
        quantity: How many mentions; this is what is charged, not the number of users (seen).
        usernames: User names; an iterable of texts, or one text with a name per line.
    """

    panel_type: ClassVar[str] = "mentions"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int = field(validator=integer_validator(1))
    """How many mentions; this is what is charged, not the number of users (seen)."""
    usernames: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """User names; an iterable of texts, or one text with a name per line."""


@frozen(kw_only=True)
class SeoOrder(Order):
    """`seo`: a quantity for a page under these keywords.

    Attributes:
        link: Link to the page.
        quantity: How many.
        keywords: Keywords; an iterable of texts, or one text with a keyword per line.
    """

    panel_type: ClassVar[str] = "seo"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int = field(validator=integer_validator(1))
    """How many."""
    keywords: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """Keywords; an iterable of texts, or one text with a keyword per line."""


@frozen(kw_only=True)
class CommentRepliesOrder(Order):
    """`comment_replies`: these replies, posted under a user's comment.

    Attributes:
        link: Link to the page.
        username: User whose comment is replied to.
        comments: The replies; their number is the quantity (seen). An iterable of texts, or one
            text with a reply per line.
        quantity: Not documented by any of these panels; for those that require it for every type
            (seen). None leaves it out.
    """

    panel_type: ClassVar[str] = "comment_replies"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    username: str = field(converter=strip, validator=validate_text)
    """User whose comment is replied to."""
    comments: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """The replies; their number is the quantity (seen). An iterable of texts, or one text with a
    reply per line."""
    quantity: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Not documented by any of these panels; for those that require it for every type (seen). None
    leaves it out."""


@frozen(kw_only=True)
class PollOrder(Order):
    """`poll`: votes for one answer of a poll.

    Attributes:
        link: Link to the page.
        quantity: How many votes.
        answer_number: Number of the answer, at least 1: that the first answer is 1 is **assumed**.
    """

    panel_type: ClassVar[str] = "poll"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page."""
    quantity: int = field(validator=integer_validator(1))
    """How many votes."""
    answer_number: int = field(validator=integer_validator(1))
    """Number of the answer, at least 1: that the first answer is 1 is **assumed**."""


@frozen(kw_only=True)
class InvitesFromGroupsOrder(Order):
    """`invites_from_groups`: invitations sent to the members of these groups.

    Attributes:
        link: Link to the page or group they are invited to.
        quantity: How many.
        groups: Groups; an iterable of texts, or one text with a group per line.
    """

    panel_type: ClassVar[str] = "invites_from_groups"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page or group they are invited to."""
    quantity: int = field(validator=integer_validator(1))
    """How many."""
    groups: tuple[str, ...] = field(converter=split_items, validator=validate_lines)
    """Groups; an iterable of texts, or one text with a group per line."""


@frozen(kw_only=True)
class WebTrafficOrder(Order):
    """`web_traffic`: visits to a website, delivered at once or in runs (drip-feed).

    Attributes:
        link: Link to the visited page.
        quantity: How many visits; with `runs`, how many per run, as for `DefaultOrder`
            (**assumed**).
        country: Country of the visitors: a code or a name, such as "US" or "United States" (seen).
        device: Device: 1 desktop, 2 Android, 3 iOS, 4 mobile mixed, 5 mobile and desktop (seen).
        type_of_traffic: Source: 1 a Google keyword, 2 a referring URL, 3 no referrer (seen).
        google_keyword: The search keyword; required if `type_of_traffic` is 1 (seen). None leaves
            it out.
        referring_url: The referring URL; required if `type_of_traffic` is 2 (seen). None leaves it
            out.
        runs: Number of runs; None means no drip-feed. Requires `interval`.
        interval: Minutes between runs; None means no drip-feed. Requires `runs`.
    """

    panel_type: ClassVar[str] = "web_traffic"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the visited page."""
    quantity: int = field(validator=integer_validator(1))
    """How many visits; with `runs`, how many per run, as for `DefaultOrder` (**assumed**)."""
    country: str = field(converter=strip, validator=validate_text)
    """Country of the visitors: a code or a name, such as "US" or "United States" (seen)."""
    device: int = field(validator=integer_validator(1, MAX_DEVICE))
    """Device: 1 desktop, 2 Android, 3 iOS, 4 mobile mixed, 5 mobile and desktop (seen)."""
    type_of_traffic: int = field(validator=integer_validator(1, BLANK_REFERRER))
    """Source: 1 a Google keyword, 2 a referring URL, 3 no referrer (seen)."""
    google_keyword: str | None = field(
        default=None, converter=strip_optional, validator=optional(validate_text)
    )
    """The search keyword; required if `type_of_traffic` is 1 (seen). None leaves it out."""
    referring_url: str | None = field(
        default=None, converter=strip_optional, validator=optional(validate_text)
    )
    """The referring URL; required if `type_of_traffic` is 2 (seen). None leaves it out."""
    runs: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Number of runs; None means no drip-feed. Requires `interval`."""
    interval: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Minutes between runs; None means no drip-feed. Requires `runs`."""

    def __attrs_post_init__(self) -> None:
        """Check `runs` and `interval`, and the field that the type of traffic requires."""
        check_runs_and_interval(self)
        required_fields = {GOOGLE_KEYWORD: "google_keyword", CUSTOM_REFERRER: "referring_url"}
        missing = required_fields.get(self.type_of_traffic)
        if missing is not None and getattr(self, missing) is None:
            raise InvalidOrderError(
                type(self).__name__,
                "type_of_traffic",
                self.type_of_traffic,
                f"requires {missing}",
                code=InvalidCode.INCOMPLETE,
            )
