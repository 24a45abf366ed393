"""What a sandbox can speak: the panel of the document, or the API v2 family. Data, no decisions."""

from collections.abc import Callable, Mapping
from decimal import Decimal

from attrs import field, frozen

from . import answers, messages
from .answers import Answer
from .orders import StoredOrder
from .services import (
    API_V2_SERVICES,
    API_V2_TYPES,
    DEFAULT_SERVICES,
    SERVICE_TYPES,
    SandboxService,
)

__all__ = ["API_V2", "DELAYS_MINUTES", "DIALECTS", "STANDARD", "Dialect"]

DELAYS_MINUTES = (0, 5, 10, 15, 30, 60, 90)
"""Minutes (document: "Possible values: 0, 5, 10, 15, 30, 60, 90")."""


@frozen(kw_only=True)
class Dialect:
    """One way in which panels speak."""

    name: str
    """What `Sandbox(dialect=…)` calls it."""
    path: str
    """The path that forms are posted to."""
    actions: tuple[str, ...]
    """What can be asked for."""
    services: tuple[SandboxService, ...] = field(repr=False)
    """What is sold when nothing else is asked for."""
    service_types: tuple[str, ...]
    """Types that a service may have."""
    delays_minutes: tuple[int, ...] | None
    """Minutes that a subscription may wait; None for any."""
    supports_old_posts: bool
    """Whether a subscription may begin with posts that are there already."""
    max_ids_per_call: int | None
    """The most ids in one call; None for any number."""
    double_decoding: bool
    """Whether values are decoded a second time and stripped of tags, if nothing else is said."""
    translate_message: Callable[[str], str]
    """The panel's text for a refusal of `messages`."""
    added: Callable[[str], Answer]
    """The answer to an order that was taken, by its id."""
    order: Callable[[StoredOrder, str | None], Answer]
    """An order, with its currency or without."""
    unknown_order: Callable[[], Answer]
    """What stands for an unknown id among others."""
    service: Callable[[SandboxService], Answer]
    """A row of the list of services."""
    no_services: Answer
    """What stands for an empty list of services."""
    balance: Callable[[Decimal, str], Answer]
    """The account's money and its currency."""


STANDARD = Dialect(
    name="standard",
    path="/api/v1",
    actions=("add", "status", "services", "balance"),
    services=DEFAULT_SERVICES,
    service_types=SERVICE_TYPES,
    delays_minutes=DELAYS_MINUTES,
    supports_old_posts=False,
    max_ids_per_call=None,
    double_decoding=True,
    translate_message=str,
    added=answers.standard_added,
    order=answers.standard_order,
    unknown_order=answers.standard_unknown,
    service=answers.standard_service,
    no_services={"status": "success", "data": "Empty Data"},
    balance=answers.standard_balance,
)
"""The panel of the document; what it leaves out is as its script does it (seen)."""

API_V2 = Dialect(
    name="api-v2",
    path="/api/v2",
    actions=(*STANDARD.actions, "refill", "refill_status", "cancel"),
    services=API_V2_SERVICES,
    service_types=API_V2_TYPES,
    delays_minutes=None,
    supports_old_posts=True,
    max_ids_per_call=100,
    double_decoding=False,
    translate_message=messages.to_api_v2,
    added=answers.api_v2_added,
    order=answers.api_v2_order,
    unknown_order=answers.api_v2_unknown,
    service=answers.api_v2_service,
    no_services=[],
    balance=answers.api_v2_balance,
)
"""The family of API v2 panels, as several of them document it (seen)."""

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (STANDARD, API_V2)}
"""By name."""
