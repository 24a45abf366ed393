"""The catalogue of the sandbox: the service class, and about sixty services as data.

The entries copy the style of the document's sample, whose three services (5, 9, 10) come first with
the document's figures. Every order type occurs several times, some names are Arabic, categories
contain emoji and slashes. Prices are in the account's currency.
"""

from decimal import Decimal
from typing import Any

import attrs
from attrs import Attribute, field, frozen

__all__ = [
    "API_V2_SERVICES",
    "API_V2_TYPES",
    "DEFAULT_SERVICES",
    "FLAT_RATE_TYPES",
    "SERVICE_TYPES",
    "SandboxService",
]

SERVICE_TYPES = (
    "default",
    "package",
    "custom_comments",
    "mentions_with_hashtags",
    "mentions_custom_list",
    "mentions_hashtag",
    "mentions_user_followers",
    "custom_comments_package",
    "mentions_media_likers",
    "comment_likes",
    "subscriptions",
)
"""The panel's names of its order types, in the order of the document's eleven tables (seen)."""

API_V2_TYPES = (
    *SERVICE_TYPES,
    "mentions",
    "seo",
    "comment_replies",
    "poll",
    "invites_from_groups",
    "web_traffic",
)
"""The order types of API v2 panels (seen), in the sandbox's own spelling."""

FLAT_RATE_TYPES = frozenset({"package", "custom_comments_package"})
"""Types whose orders cost the rate itself, whatever the quantity (seen)."""

MAX_RATE = Decimal(10**6)
"""The highest price of 1000 pieces: keeps every sum within 28 exact digits."""

MAX_QUANTITY = 10**12
"""The highest `max` of a service, in pieces, for the same reason."""


def _to_text(value: int | str) -> str:
    return str(value)


def _to_decimal(value: Decimal | int | str) -> Decimal:
    return Decimal(value)


def _check_rate(_instance: object, _attribute: "Attribute[Any]", value: Decimal) -> None:
    if not (value.is_finite() and 0 <= value <= MAX_RATE):
        raise ValueError(f"rate must be from 0 to {MAX_RATE}, not {value}")


def _check_max(instance: "SandboxService", _attribute: "Attribute[Any]", value: int) -> None:
    if not instance.min <= value <= MAX_QUANTITY:
        raise ValueError(f"max must be from min ({instance.min}) to {MAX_QUANTITY}, not {value}")


@frozen(kw_only=True)
class SandboxService:
    """One service of the sandbox. The fields have the names of the `services` answer."""

    service: str = field(converter=_to_text)
    """The id, as text."""
    name: str
    """The display name; printed with PHP's escapes."""
    category: str
    """The heading under which the service is listed."""
    rate: Decimal = field(converter=_to_decimal, validator=_check_rate)
    """The price of 1000 pieces, or of one order if the type is in `FLAT_RATE_TYPES`."""
    min: int = field(default=1, validator=attrs.validators.ge(1))
    """The minimum pieces of an order, at least 1."""
    max: int = field(default=1000, validator=_check_max)
    """The maximum pieces of an order, at least `min`."""
    type: str = field(default="default", validator=attrs.validators.in_(API_V2_TYPES))
    """One of `API_V2_TYPES`: determines the fields of an order. A sandbox with the dialect
    "standard" accepts only `SERVICE_TYPES`."""
    desc: str | None = None
    """Free text for customers; None is printed as null (seen)."""
    dripfeed: bool = False
    """Whether an order may be split into `runs`. Printed as 1 or 0 (document: `"dripfeed": 1`)."""
    refill: bool = False
    """Whether a delivered order may be refilled. Only API v2 prints it and has the action."""
    cancel: bool = False
    """Whether an open order may be canceled. Only API v2 prints it and has the action."""


_Row = tuple[int, str, str, str, int, int, str, bool, str | None]

_GUARANTEED = "Instagram - Followers [Guaranteed/Refill] - Less Drops ⭐"
_INSTAGRAM_LIKES = "Instagram - Likes / Views ❤️"
_INSTAGRAM_COMMENTS = "Instagram - Comments [Custom/Random] 💬"
_INSTAGRAM_MENTIONS = "Instagram - Mentions / Tags 📣"
_INSTAGRAM_AUTO = "Instagram - Auto Likes/Views [Subscriptions] 🔁"
_TIKTOK = "TikTok - Followers / Likes / Views 🎵"
_YOUTUBE = "YouTube - Views / Subscribers ▶️"
_YOUTUBE_COMMENTS = "YouTube - Comments / Comment Likes 💬"
_TELEGRAM = "Telegram - Members / Post Views ✈️"
_X = "X (Twitter) - Followers / Retweets 🐦"
_FACEBOOK = "Facebook - Page Likes / Followers 👍"
_TWITCH = "Twitch - Followers / Live Viewers 🎮"
_SPOTIFY = "Spotify - Plays / Saves 🎧"
_ARABIC = "خدمات عربية - متابعين / لايكات 🌙"
_PACKAGES = "Packages - Ready/Mixed 📦"

# service, category, name, rate, min, max, type, dripfeed, desc
_ROWS: tuple[_Row, ...] = (
    # The three services of the document's sample.
    (5, _GUARANTEED, "Instagram Followers [15K] ", "1.02", 500, 10_000, "default", True,
     "usernames"),
    (9, _GUARANTEED, "Instagram Followers - Max 300k - No refill - 30-40k/Day", "0.04", 500,
     300_000, "default", True, "usernames"),
    (10, _GUARANTEED,
     "Instagram Followers ( 30 days auto refill ) ( Max 350K ) (Indian Majority )", "1.2", 100,
     350_000, "default", True, "usernames"),
    # Invented, in the same style.
    (12, _GUARANTEED, "Instagram Followers [Real/Active] - 365 days ♻️", "2.35", 50, 100_000,
     "default", True, "Start: 0-1 hour"),
    (13, _GUARANTEED, "Instagram Followers [Cheapest] - No refill", "0.31", 10, 1_000_000,
     "default", False, None),
    (20, _INSTAGRAM_LIKES, "Instagram Likes [Instant] - 20k/Day", "0.08", 10, 50_000, "default",
     True, "Link of the post"),
    (21, _INSTAGRAM_LIKES, "Instagram Likes - Power Accounts [Max 5K]", "1.75", 20, 5_000,
     "default", False, "Link of the post"),
    (22, _INSTAGRAM_LIKES, "Instagram Reel Views - 1M/Day", "0.006", 100, 10_000_000, "default",
     True, None),
    (23, _INSTAGRAM_LIKES, "Instagram Story Views - All Stories", "0.05", 50, 30_000, "default",
     False, "Link of the profile"),
    (24, _INSTAGRAM_LIKES, "Instagram Saves + Impressions", "0.12", 10, 100_000, "default", True,
     None),
    (30, _INSTAGRAM_COMMENTS, "Instagram Comments - Custom [Slow]", "9.5", 5, 1_000,
     "custom_comments", False, "One comment a line"),
    (31, _INSTAGRAM_COMMENTS, "Instagram Comments - Custom - Verified ☑️", "120", 1, 50,
     "custom_comments", False, "One comment a line"),
    (32, _INSTAGRAM_COMMENTS, "Instagram Comments Package - 10 Custom", "0.9", 1, 10,
     "custom_comments_package", False, "Ten comments at most"),
    (33, _INSTAGRAM_COMMENTS, "Instagram Comments Package - 50 Custom [Arab]", "3.8", 1, 50,
     "custom_comments_package", False, None),
    (34, _INSTAGRAM_COMMENTS, "Instagram Comment Likes - Instant", "0.6", 10, 10_000,
     "comment_likes", False, "Username of the comment owner"),
    (35, _INSTAGRAM_COMMENTS, "Instagram Comment Likes - Real/Mixed", "1.4", 20, 2_000,
     "comment_likes", False, None),
    (40, _INSTAGRAM_MENTIONS, "Instagram Mentions - Usernames + Hashtags", "2.2", 100, 20_000,
     "mentions_with_hashtags", False, None),
    (41, _INSTAGRAM_MENTIONS, "Instagram Mentions - Usernames + Hashtags [Fast]", "3.1", 50,
     50_000, "mentions_with_hashtags", False, "usernames and hashtags"),
    (42, _INSTAGRAM_MENTIONS, "Instagram Mentions - Custom List", "2.8", 10, 10_000,
     "mentions_custom_list", False, "One username a line"),
    (43, _INSTAGRAM_MENTIONS, "Instagram Mentions - Custom List [HQ]", "4.5", 5, 5_000,
     "mentions_custom_list", False, "One username a line"),
    (44, _INSTAGRAM_MENTIONS, "Instagram Mentions - From a Hashtag", "1.9", 100, 30_000,
     "mentions_hashtag", False, None),
    (45, _INSTAGRAM_MENTIONS, "Instagram Mentions - From a Hashtag [USA/UK]", "3.6", 100, 10_000,
     "mentions_hashtag", False, None),
    (46, _INSTAGRAM_MENTIONS, "Instagram Mentions - Followers of a User", "1.7", 100, 50_000,
     "mentions_user_followers", False, "URL to scrape followers from"),
    (47, _INSTAGRAM_MENTIONS, "Instagram Mentions - Followers of a User [Max 200K]", "2.4", 1_000,
     200_000, "mentions_user_followers", False, None),
    (48, _INSTAGRAM_MENTIONS, "Instagram Mentions - Media Likers", "2.0", 100, 20_000,
     "mentions_media_likers", False, "Link of the media"),
    (49, _INSTAGRAM_MENTIONS, "Instagram Mentions - Media Likers [Slow/Safe]", "1.5", 50, 5_000,
     "mentions_media_likers", False, None),
    (50, _INSTAGRAM_AUTO, "Instagram Auto Likes - New Posts", "0.15", 20, 10_000,
     "subscriptions", False, "Username, not a link"),
    (51, _INSTAGRAM_AUTO, "Instagram Auto Views - New Reels", "0.02", 100, 1_000_000,
     "subscriptions", False, "Username, not a link"),
    (52, _INSTAGRAM_AUTO, "Instagram Auto Saves - New Posts [Real]", "0.4", 10, 2_000,
     "subscriptions", False, None),
    (60, _TIKTOK, "TikTok Followers - 30 days ♻️ - 10k/Day", "1.85", 10, 500_000, "default",
     True, None),
    (61, _TIKTOK, "TikTok Likes - Instant [No Drop]", "0.22", 10, 200_000, "default", True, None),
    (62, _TIKTOK, "TikTok Views - 10M/Day", "0.003", 100, 100_000_000, "default", True,
     "Link of the video"),
    (63, _TIKTOK, "TikTok Comments - Custom", "6.4", 10, 500, "custom_comments", False, None),
    (64, _TIKTOK, "TikTok Comment Likes", "0.35", 20, 50_000, "comment_likes", False, None),
    (65, _TIKTOK, "TikTok Mentions - Followers of a User", "2.1", 500, 100_000,
     "mentions_user_followers", False, None),
    (66, _TIKTOK, "TikTok Auto Views - New Videos", "0.01", 500, 5_000_000, "subscriptions",
     False, "Username, not a link"),
    (70, _YOUTUBE, "YouTube Views - High Retention - 50k/Day", "1.3", 500, 1_000_000, "default",
     True, "No private videos"),
    (71, _YOUTUBE, "YouTube Subscribers - 30 days refill", "14.5", 50, 20_000, "default", False,
     None),
    (72, _YOUTUBE, "YouTube Watch Time - 4000 Hours Package", "32", 1, 1, "package", False,
     "Video of an hour or longer"),
    (73, _YOUTUBE, "YouTube Shorts Likes", "0.9", 50, 100_000, "default", True, None),
    (74, _YOUTUBE_COMMENTS, "YouTube Comments - Custom [English/Arabic]", "11", 5, 500,
     "custom_comments", False, "One comment a line"),
    (75, _YOUTUBE_COMMENTS, "YouTube Comment Likes - Up/Down", "0.7", 10, 20_000,
     "comment_likes", False, None),
    (76, _YOUTUBE_COMMENTS, "YouTube Comments Package - 20 Custom", "1.6", 1, 20,
     "custom_comments_package", False, None),
    (80, _TELEGRAM, "Telegram Channel Members - 0% Drop", "0.95", 100, 200_000, "default", True,
     "Public link"),
    (81, _TELEGRAM, "Telegram Post Views - Last 5 Posts", "0.02", 50, 500_000, "default", False,
     None),
    (82, _TELEGRAM, "Telegram Reactions 👍❤️🔥", "0.11", 10, 100_000, "default", False, None),
    (83, _TELEGRAM, "Telegram Auto Post Views - 30 days", "0.05", 100, 50_000, "subscriptions",
     False, "Username of the channel"),
    (84, _X, "X Followers - NFT/Crypto Profiles", "6.2", 20, 50_000, "default", False, None),
    (85, _X, "X Retweets - USA", "4.1", 10, 10_000, "default", True, None),
    (86, _X, "X Mentions - From a Hashtag", "2.6", 100, 20_000, "mentions_hashtag", False, None),
    (87, _X, "X Mentions - Usernames + Hashtags", "2.9", 100, 10_000, "mentions_with_hashtags",
     False, None),
    (88, _X, "X Mentions - Custom List", "3.3", 10, 2_000, "mentions_custom_list", False, None),
    (90, _FACEBOOK, "Facebook Page Likes + Followers", "2.75", 100, 100_000, "default", True,
     None),
    (91, _FACEBOOK, "Facebook Live Viewers - 60 Minutes", "7.5", 50, 5_000, "default", False,
     None),
    (92, _FACEBOOK, "Facebook Mentions - Media Likers", "2.3", 100, 10_000,
     "mentions_media_likers", False, None),
    (95, _TWITCH, "Twitch Followers - Instant", "0.55", 10, 50_000, "default", False, None),
    (96, _TWITCH, "Twitch Live Viewers - 30 Days Package", "45", 1, 1, "package", False, None),
    (100, _SPOTIFY, "Spotify Plays - Worldwide - 100k/Day", "0.38", 1_000, 10_000_000, "default",
     True, None),
    (101, _SPOTIFY, "Spotify Playlist Package [Plays/Saves/Followers]", "18", 1, 1, "package",
     False, None),
    (110, _ARABIC, "متابعين انستقرام عرب - ضمان 30 يوم ♻️", "3.4", 50, 20_000, "default", True,
     "رابط الحساب"),
    (111, _ARABIC, "لايكات انستقرام خليجية / سريعة", "1.1", 20, 5_000, "default", False, None),
    (112, _ARABIC, "تعليقات يوتيوب مخصصة - عربي", "13.5", 5, 200, "custom_comments", False,
     "تعليق في كل سطر"),
    (113, _ARABIC, "مشاهدات تيك توك - فورية", "0.004", 100, 50_000_000, "default", True, None),
    (120, _PACKAGES, "Starter Package - 1K Followers + 500 Likes", "1.5", 1, 1, "package", False,
     "Delivered as a whole"),
    (121, _PACKAGES, "باقة النجوم - متابعين / لايكات / مشاهدات", "9.99", 1, 1, "package", False,
     None),
)  # fmt: skip

_MENTIONS_BY_LIST = "Instagram - Mentions [Users] 📣"
_TRAFFIC = "Website - Traffic / SEO 🌐"
_VOTES = "Telegram/VK - Votes / Invites 🗳️"

# Additional services of API v2 panels; invented.
_API_V2_ROWS: tuple[_Row, ...] = (
    (130, _MENTIONS_BY_LIST, "Instagram Mentions - Among Users", "2.1", 50, 20_000, "mentions",
     False, None),
    (131, _MENTIONS_BY_LIST, "Instagram Mentions - Among Users [HQ]", "3.9", 20, 5_000,
     "mentions", False, None),
    (132, _TRAFFIC, "Backlinks by Keyword", "5.5", 10, 2_000, "seo", False, None),
    (133, _TRAFFIC, "Search Impressions by Keyword [Slow]", "0.8", 100, 50_000, "seo", False,
     None),
    (134, _INSTAGRAM_COMMENTS, "Instagram Comment Replies - Custom", "14", 1, 100,
     "comment_replies", False, None),
    (135, _YOUTUBE_COMMENTS, "YouTube Comment Replies - Custom [Arab]", "16", 2, 50,
     "comment_replies", False, None),
    (136, _VOTES, "Telegram Poll Votes - Instant", "0.45", 10, 50_000, "poll", False, None),
    (137, _VOTES, "VK Poll Votes", "1.1", 50, 10_000, "poll", False, None),
    (138, _VOTES, "Telegram Invites from Groups", "7.2", 50, 5_000, "invites_from_groups", False,
     None),
    (139, _VOTES, "VK Invites from Groups [Slow/Safe]", "6.4", 100, 2_000,
     "invites_from_groups", False, None),
    (140, _TRAFFIC, "Web Traffic - Worldwide", "0.25", 500, 1_000_000, "web_traffic", True, None),
    (141, _TRAFFIC, "Web Traffic - Desktop Only", "0.6", 100, 100_000, "web_traffic", False,
     None),
)  # fmt: skip

_WITH_REFILL = frozenset({5, 10, 12, 20, 60, 61, 70, 71, 80, 90, 110, 130})
_WITH_CANCEL = frozenset({5, 9, 12, 13, 20, 22, 30, 50, 60, 62, 70, 80, 84, 110, 132, 136, 140})


def _service(row: _Row) -> SandboxService:
    service, category, name, rate, min_quantity, max_quantity, order_type, dripfeed, desc = row
    return SandboxService(
        service=service,
        name=name,
        category=category,
        rate=rate,
        min=min_quantity,
        max=max_quantity,
        type=order_type,
        desc=desc,
        dripfeed=dripfeed,
        refill=service in _WITH_REFILL,
        cancel=service in _WITH_CANCEL,
    )


DEFAULT_SERVICES = tuple(_service(row) for row in _ROWS)
"""The default services of a sandbox, in the order of the list."""

API_V2_SERVICES = (*DEFAULT_SERVICES, *(_service(row) for row in _API_V2_ROWS))
"""The default services of the dialect "api-v2", its own types last."""
