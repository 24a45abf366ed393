"""Generate the orders that exist when the sandbox starts: seeded forms of various ages. Pure."""

from collections.abc import Sequence
from random import Random

from .forms import REQUIRED_FIELDS
from .lifecycle import MAX_LIFECYCLE_S
from .services import SandboxService

__all__ = ["create_history"]

MAX_PIECES = 5000
"""The most pieces of one existing order; services with a higher minimum are not used (assumed)."""

MAX_EXTRA_LINES = 20
"""The most comments or names above the service's minimum, to keep lists short (assumed)."""

_LIST_TYPES = frozenset(
    {"custom_comments", "custom_comments_package", "mentions_custom_list", "comment_replies"}
)


def create_history(
    seed: int, services: Sequence[SandboxService], count: int
) -> list[tuple[float, dict[str, str]]]:
    """Return `count` pairs of a panel time at or below 0 and an `add` form, the oldest first.

    The ages are spread over `MAX_LIFECYCLE_S`, so the orders are in various states and all become
    final within that time. Subscriptions and drip-feeds are not generated. Raises ValueError if
    `count` is positive and no service is usable.
    """
    eligible = [
        service
        for service in services
        if service.type != "subscriptions" and service.min <= MAX_PIECES
    ]
    if count and not eligible:
        raise ValueError(
            "existing_orders needs a service that is not a subscription and whose min is at most "
            f"{MAX_PIECES}"
        )
    random = Random(f"{seed}/earlier")  # noqa: S311  # no secret
    ages_s = sorted((random.uniform(0, MAX_LIFECYCLE_S) for _ in range(count)), reverse=True)
    return [
        (-age_s, _create_form(random, random.choice(eligible), number))
        for number, age_s in enumerate(ages_s, start=1)
    ]


def _create_form(random: Random, service: SandboxService, number: int) -> dict[str, str]:
    """Return a form with the required fields of the service's type."""
    max_extra = MAX_EXTRA_LINES if service.type in _LIST_TYPES else MAX_PIECES - service.min
    pieces = random.randint(service.min, min(service.max, service.min + max_extra))
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
