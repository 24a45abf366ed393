"""Parse an `add` form: every check that needs only the form and the catalogue.

The fields of each type are those of the document's eleven tables, and those that API v2 panels
document for their own types (seen). Additional fields are accepted and stored. The order of the
checks is assumed: service, fields, link, drip-feed, quantity.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType

from . import messages
from .dialects import STANDARD, Dialect
from .messages import RefusalReply
from .money import EXACT, NO_MONEY, round_charge
from .orders import OrderRequest
from .services import FLAT_RATE_TYPES, SandboxService

__all__ = ["REQUIRED_FIELDS", "calculate_price", "parse_order", "split_items"]

MAX_RUNS = 1000
"""The most runs of a drip-feed (assumed): each run becomes an order that is stored."""

MAX_POSTS = 1000
"""The most posts of a subscription (assumed), for the same reason."""

MAX_WHOLE_NUMBER = 10**15
"""Larger numbers are read as this value: it exceeds the highest `max`, so they are refused."""

_QUANTITY = ("quantity", messages.QUANTITY_REQUIRED)
_COMMENTS = ("comments", messages.COMMENTS_REQUIRED)

REQUIRED_FIELDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "default": (_QUANTITY,),
    "package": (),
    "custom_comments": (_COMMENTS,),
    "mentions_with_hashtags": (
        _QUANTITY,
        ("usernames", messages.PARAMETERS_MISSING),
        ("hashtags", messages.PARAMETERS_MISSING),
    ),
    "mentions_custom_list": (("usernames", messages.PARAMETERS_MISSING),),
    "mentions_hashtag": (_QUANTITY, ("hashtag", messages.PARAMETERS_MISSING)),
    "mentions_user_followers": (_QUANTITY, ("username", messages.PARAMETERS_MISSING)),
    "custom_comments_package": (_COMMENTS,),
    "mentions_media_likers": (),
    "comment_likes": (_QUANTITY, ("username", messages.PARAMETERS_MISSING)),
    "subscriptions": (
        ("username", messages.PARAMETERS_MISSING),
        ("min", messages.PARAMETERS_MISSING),
        ("max", messages.PARAMETERS_MISSING),
        ("delay", messages.PARAMETERS_MISSING),
    ),
    "mentions": (_QUANTITY, ("usernames", messages.PARAMETERS_MISSING)),
    "seo": (_QUANTITY, ("keywords", messages.PARAMETERS_MISSING)),
    "comment_replies": (("username", messages.PARAMETERS_MISSING), _COMMENTS),
    "poll": (_QUANTITY, ("answer_number", messages.PARAMETERS_MISSING)),
    "invites_from_groups": (_QUANTITY, ("groups", messages.PARAMETERS_MISSING)),
    "web_traffic": (
        _QUANTITY,
        ("country", messages.PARAMETERS_MISSING),
        ("device", messages.PARAMETERS_MISSING),
        ("type_of_traffic", messages.PARAMETERS_MISSING),
    ),
}
"""Type -> its required fields and the refusal for each. All types except subscriptions also require
a `link` (document)."""

_DRIP_FED_TYPES = frozenset({"default", "web_traffic"})

_DEVICES = frozenset("12345")
"""Desktop, Android, iOS, mobile mixed, mobile and desktop (seen)."""

_REFERRERS: Mapping[str, str | None] = {"1": "google_keyword", "2": "referring_url", "3": None}
"""Types of traffic and the field that each requires (seen)."""

# Untrusted text: every pattern here is linear in its length. `++` keeps the host from being tried
# again at each of its lengths (a host of 16 000 dots took 6 s without it).
_LINK = re.compile(r"(?:https?://)?([^\s/?#]++)(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)
_EXPIRY = re.compile(r"(0?[1-9]|[12][0-9]|3[01])/(0?[1-9]|1[0-2])/[0-9]{4}")
_WHOLE_NUMBER = re.compile("[0-9]+")


def parse_order(
    form: Mapping[str, str], services: Mapping[str, SandboxService], dialect: Dialect = STANDARD
) -> OrderRequest:
    """Return the order that a form requests.

    Raises:
        RefusalReply: The form is refused, with a text of the document's panel.
    """
    number = form.get("service", "").strip()
    if not number:
        raise RefusalReply(messages.PARAMETERS_MISSING)
    if number not in services:
        raise RefusalReply(messages.SERVICE_UNKNOWN)
    service = services[number]
    fields = MappingProxyType(
        {name: value for name, value in form.items() if name not in ("key", "action")}
    )
    if service.type == "subscriptions":
        _check_required(fields, service)
        return _parse_subscription(fields, service, dialect)
    link = fields.get("link", "").strip()
    if not link:
        raise RefusalReply(messages.PARAMETERS_MISSING)
    _check_required(fields, service)
    if not _is_link(link):
        raise RefusalReply(messages.BAD_LINK)
    _check_type_fields(fields, service)
    runs, interval_s = _parse_drip_feed(fields, service)
    quantity = _QUANTITY_COUNTERS[service.type](fields, service) * (runs or 1)
    if service.type not in FLAT_RATE_TYPES:
        _check_quantity(service.min, service.max, quantity)
    return OrderRequest(
        service=service,
        fields=fields,
        link=link,
        quantity=quantity,
        price=calculate_price(service, quantity),
        runs=runs,
        interval_s=interval_s,
    )


def calculate_price(service: SandboxService, quantity: int) -> Decimal:
    """Return the price of `quantity` pieces with 4 decimals, half a step rounded up.

    Flat-rate types cost the rate, all others rate * quantity / 1000 (seen). The rounding is
    assumed; the document's charges have 4 decimals.
    """
    if service.type in FLAT_RATE_TYPES:
        return round_charge(service.rate)
    return round_charge(EXACT.divide(EXACT.multiply(service.rate, quantity), 1000))


def split_items(text: str) -> list[str]:
    r"""Split a list into its items, ignoring empty lines (document: "by \r\n or \n")."""
    return [item for line in re.split(r"\r\n|\n", text) if (item := line.strip())]


def _is_link(text: str) -> bool:
    """Return whether a text is a host with an inner dot, optionally with a scheme and a path.

    Which links the real panel refuses is assumed.
    """
    found = _LINK.fullmatch(text)
    return found is not None and "." in found[1][1:-1]


def _check_required(fields: Mapping[str, str], service: SandboxService) -> None:
    for name, text in REQUIRED_FIELDS[service.type]:
        if not fields.get(name, "").strip():
            raise RefusalReply(text)


def _check_type_fields(fields: Mapping[str, str], service: SandboxService) -> None:
    """Refuse an undefined number in a poll or web traffic form; the refusal text is assumed."""
    if service.type == "poll" and not _parse_whole_number(fields["answer_number"]):
        raise RefusalReply(messages.REQUEST_INCORRECT)
    if service.type == "web_traffic":
        traffic = fields["type_of_traffic"].strip()
        if fields["device"].strip() not in _DEVICES or traffic not in _REFERRERS:
            raise RefusalReply(messages.REQUEST_INCORRECT)
        needed = _REFERRERS[traffic]
        if needed is not None and not fields.get(needed, "").strip():
            raise RefusalReply(messages.PARAMETERS_MISSING)


def _parse_whole_number(text: str) -> int:
    """Parse a whole number; return 0, which is below every minimum, for any other text."""
    stripped = text.strip()
    if not _WHOLE_NUMBER.fullmatch(stripped):
        return 0
    if len(stripped) >= len(str(MAX_WHOLE_NUMBER)):
        return MAX_WHOLE_NUMBER
    return int(stripped)


def _check_quantity(min_quantity: int, max_quantity: int, quantity: int) -> None:
    if quantity < min_quantity:
        raise RefusalReply(messages.MIN_QUANTITY.format(min_quantity))
    if quantity > max_quantity:
        raise RefusalReply(messages.MAX_QUANTITY.format(max_quantity))


def _parse_drip_feed(
    fields: Mapping[str, str], service: SandboxService
) -> tuple[int | None, float]:
    """Return the runs and the seconds between them; (None, 0) if the order is not drip-fed.

    `runs` and `interval` are given together or not at all (seen). Only the first table of the
    document, and web traffic (seen), have them.
    """
    runs, interval = fields.get("runs", "").strip(), fields.get("interval", "").strip()
    if not runs and not interval:
        return None, 0
    if not service.dripfeed or service.type not in _DRIP_FED_TYPES:
        raise RefusalReply(messages.NO_DRIPFEED)
    if not _parse_whole_number(runs):
        raise RefusalReply(messages.RUNS_REQUIRED)
    if not interval:
        raise RefusalReply(messages.INTERVAL_REQUIRED)
    if not _parse_whole_number(interval):
        raise RefusalReply(messages.INTERVAL_INVALID)
    if _parse_whole_number(runs) > MAX_RUNS:
        raise RefusalReply(messages.TRY_AGAIN)
    return _parse_whole_number(runs), _parse_whole_number(interval) * 60.0


def _parse_subscription(
    fields: Mapping[str, str], service: SandboxService, dialect: Dialect
) -> OrderRequest:
    min_per_post, max_per_post = (
        _parse_whole_number(fields["min"]),
        _parse_whole_number(fields["max"]),
    )
    _check_quantity(service.min, service.max, min_per_post)
    _check_quantity(min_per_post, service.max, max_per_post)
    if not _is_allowed_delay(fields["delay"].strip(), dialect):
        raise RefusalReply(messages.INTERVAL_INVALID)
    expiry = fields.get("expiry", "").strip()
    if expiry and not _EXPIRY.fullmatch(expiry):
        raise RefusalReply(messages.REQUEST_INCORRECT)
    posts = _parse_whole_number(fields.get("posts", ""))
    old_posts = (
        _parse_whole_number(fields.get("old_posts", "")) if dialect.supports_old_posts else 0
    )
    if posts + old_posts > MAX_POSTS:
        raise RefusalReply(messages.TRY_AGAIN)
    return OrderRequest(
        service=service,
        fields=fields,
        link=fields.get("link", "").strip(),
        quantity=0,
        price=NO_MONEY,
        per_post=(min_per_post, max_per_post),
        posts=posts or None,
        old_posts=old_posts,
    )


def _is_allowed_delay(text: str, dialect: Dialect) -> bool:
    if dialect.delays_minutes is None:
        return _WHOLE_NUMBER.fullmatch(text) is not None
    return text in {str(minutes) for minutes in dialect.delays_minutes}


def _count_quantity(fields: Mapping[str, str], _service: SandboxService) -> int:
    return _parse_whole_number(fields["quantity"])


def _count_comments(fields: Mapping[str, str], _service: SandboxService) -> int:
    return len(split_items(fields["comments"]))


def _count_usernames(fields: Mapping[str, str], _service: SandboxService) -> int:
    return len(split_items(fields["usernames"]))


def _count_packages(fields: Mapping[str, str], _service: SandboxService) -> int:
    """Return the optional `quantity`, or 1; the price does not depend on it."""
    return _parse_whole_number(fields.get("quantity", "")) or 1


def _count_likers(fields: Mapping[str, str], service: SandboxService) -> int:
    """Return the optional `quantity` (seen), or the service's minimum (assumed)."""
    if fields.get("quantity", "").strip():
        return _count_quantity(fields, service)
    return service.min


_QUANTITY_COUNTERS: Mapping[str, Callable[[Mapping[str, str], SandboxService], int]] = {
    "default": _count_quantity,
    "package": _count_packages,
    "custom_comments": _count_comments,
    "mentions_with_hashtags": _count_quantity,
    "mentions_custom_list": _count_usernames,
    "mentions_hashtag": _count_quantity,
    "mentions_user_followers": _count_quantity,
    "custom_comments_package": _count_comments,
    "mentions_media_likers": _count_likers,
    "comment_likes": _count_quantity,
    "mentions": _count_quantity,
    "seo": _count_quantity,
    "comment_replies": _count_comments,
    "poll": _count_quantity,
    "invites_from_groups": _count_quantity,
    "web_traffic": _count_quantity,
}
