"""The dialects of a sandbox: the panel of the document ("standard") and API v2. Data only."""

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
    """The paths, actions, limits and answer formats of one kind of panel."""

    name: str
    """Its name in `Sandbox(dialect=…)`."""
    path: str
    """The path that forms are posted to."""
    actions: tuple[str, ...]
    """The supported actions."""
    services: tuple[SandboxService, ...] = field(repr=False)
    """The services offered by default."""
    service_types: tuple[str, ...]
    """The types that a service may have."""
    delays_minutes: tuple[int, ...] | None
    """Allowed delays of a subscription in minutes; None for any."""
    supports_old_posts: bool
    """Whether a subscription may include posts that exist already (`old_posts`)."""
    max_ids_per_call: int | None
    """The most ids in one call; None for no limit of the panel."""
    double_decoding: bool
    """Whether values are decoded a second time and stripped of tags by default."""
    translate_message: Callable[[str], str]
    """Return the panel's text for one of the refusals in `messages`."""
    added: Callable[[str], Answer]
    """Return the answer to an accepted order, from its id."""
    order: Callable[[StoredOrder, str | None], Answer]
    """Return the answer for one order; the currency is left out if it is None."""
    unknown_order: Callable[[], Answer]
    """Return the value for an unknown id in a batch."""
    service: Callable[[SandboxService], Answer]
    """Return one entry of the list of services."""
    no_services: Answer
    """The answer if there are no services."""
    balance: Callable[[Decimal, str], Answer]
    """Return the answer with the account's balance and currency."""


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
"""The panel of the document; what the document leaves out follows the panel's script (seen)."""

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
"""API v2 panels, as several of them document their API (seen)."""

DIALECTS: Mapping[str, Dialect] = {dialect.name: dialect for dialect in (STANDARD, API_V2)}
"""Dialects by name."""
