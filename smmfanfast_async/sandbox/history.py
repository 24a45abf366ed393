"""Orders that the account had before the sandbox began: seeded forms, of assorted ages. Pure."""

from collections.abc import Sequence
from random import Random

from .forms import REQUIRED_FIELDS
from .lifecycle import MAX_LIFECYCLE_S
from .services import SandboxService

__all__ = ["create_history"]

MAX_PIECES = 5000
"""The most pieces of one earlier order; services that want more are not drawn (assumed)."""

MAX_MORE_LINES = 20
"""The most comments or names above the service's minimum: short lists will do (assumed)."""

_LIST_TYPES = frozenset(
    {"custom_comments", "custom_comments_package", "mentions_custom_list", "comment_replies"}
)


def create_history(
    seed: int, services: Sequence[SandboxService], count: int
) -> list[tuple[float, dict[str, str]]]:
    """Give `count` pairs of a panel time at or below 0 and an `add` form, the oldest first.

    The ages spread over `MAX_LIFE_S`, so the orders stand in assorted states and are all final
    within it. Subscriptions are not drawn, none is drip-fed. ValueError if orders are asked for
    and no service is left.
    """
    offered = [
        service
        for service in services
        if service.type != "subscriptions" and service.min <= MAX_PIECES
    ]
    if count and not offered:
        raise ValueError("earlier orders need a service that is no subscription")
    random = Random(f"{seed}/earlier")  # noqa: S311  # no secret
    ages_s = sorted((random.uniform(0, MAX_LIFECYCLE_S) for _ in range(count)), reverse=True)
    return [
        (-age_s, _create_form(random, random.choice(offered), place))
        for place, age_s in enumerate(ages_s, start=1)
    ]


def _create_form(random: Random, service: SandboxService, number: int) -> dict[str, str]:
    """Fill in what the type of the service cannot do without."""
    more = MAX_MORE_LINES if service.type in _LIST_TYPES else MAX_PIECES - service.min
    pieces = random.randint(service.min, min(service.max, service.min + more))
    names = [f"example{number}" for number in range(pieces if service.type in _LIST_TYPES else 2)]
    values = {
        "quantity": str(pieces),
        "comments": "\n".join(f"Well done, {name}!" for name in names),
        "usernames": "\n".join(names),
        "hashtags": "#example\n#sample",
        "hashtag": "#example",
        "username": "example",
        "keywords": "example\nsample",
        "answer_number": "1",
        "groups": "https://t.me/example\nhttps://t.me/sample",
        "country": "US",
        "device": "1",
        "type_of_traffic": "3",
    }
    form = {"service": service.service, "link": f"https://instagram.com/example/{number}"}
    return form | {name: values[name] for name, _ in REQUIRED_FIELDS[service.type]}
