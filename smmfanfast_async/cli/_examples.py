"""Orders for the demo: one of each type, and many."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

from ..catalogue import Catalogue
from ..orders import (
    CommentLikesOrder,
    CustomCommentsOrder,
    CustomCommentsPackageOrder,
    DefaultOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsMediaLikersOrder,
    MentionsUserFollowersOrder,
    MentionsWithHashtagsOrder,
    Order,
    PackageOrder,
    SubscriptionsOrder,
)
from ..results import Service

__all__ = ["PAGE", "example", "many"]

PAGE = "https://instagram.com/example"


def example(order_type: type[Order], service: Service, link: str) -> Order:
    """Build an order of a type that the service takes."""
    least = service.min or 1
    names = [f"example{number}" for number in range(least)]
    common: dict[str, Any] = {"service": service.service, "link": link}
    quantity: dict[str, Any] = {"quantity": least}
    forms: dict[type[Order], dict[str, Any]] = {
        DefaultOrder: common | quantity,
        PackageOrder: common,
        CustomCommentsOrder: common | {"comments": [f"Nice one, {each}!" for each in names]},
        MentionsWithHashtagsOrder: common
        | quantity
        | {"usernames": ["example"], "hashtags": ["example"]},
        MentionsCustomListOrder: common | {"usernames": names},
        MentionsHashtagOrder: common | quantity | {"hashtag": "example"},
        MentionsUserFollowersOrder: common | quantity | {"username": PAGE},
        CustomCommentsPackageOrder: common | {"comments": [f"Great, {each}!" for each in names]},
        MentionsMediaLikersOrder: common | quantity,
        CommentLikesOrder: common | quantity | {"username": "example"},
        SubscriptionsOrder: {
            "service": service.service,
            "username": "example",
            "min": least,
            "max": least,
            "delay": 5,
            "posts": 2,
            "expiry": datetime.now(UTC).date() + timedelta(days=30),
        },
    }
    return order_type(**forms[order_type])


def many(catalogue: Catalogue, count: int) -> Iterator[Order]:
    """Build many small orders, of all services that sell by quantity in turn."""
    services = cycle(catalogue.by_type(DefaultOrder))
    for number, service in zip(range(count), services, strict=False):
        yield example(DefaultOrder, service, f"{PAGE}.{number}")
