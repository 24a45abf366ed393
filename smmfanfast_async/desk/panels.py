"""The panels of a desk: the client of each, what its currency is worth, and who sells what."""

import logging
from collections.abc import Collection, Mapping
from decimal import Decimal

from attrs import define, frozen

from .._engine.limiter import Clock
from .._text import format_value
from ..client import Client
from ..errors import InvalidOrderError, InvalidSettingsError, PanelError
from ..journal import DEFAULT_PANEL, Journal
from ..orders import parse_id
from .balances import read_balance
from .circuit import CircuitPolicy
from .circuit_breaker import CircuitBreaker
from .pricing import Pricing
from .rate_limit import AccountRateLimit

__all__ = [
    "DeskPanel",
    "PanelSetup",
    "Products",
    "create_panels",
    "find_missing",
    "parse_panels",
    "warn_of_missing",
]

_LOG = logging.getLogger("smmfanfast_async")

MAX_PANEL_CHARACTERS = 64
"""The longest name of a panel, in characters: what a journal's rows hold."""

MAX_PANELS = 100
"""The most panels of a desk: shops use a handful, and each has tasks of its own."""

BALANCE_TIMEOUT_S = 10.0
"""Seconds for the `balance` call that shows a panel's currency."""

Products = Mapping[str, Mapping[str, str]]
"""The id of each product's service, by panel; the panels in the order of the caller."""


@define(kw_only=True)
class DeskPanel:
    """One panel of a desk."""

    name: str
    client: Client
    rate_limit: AccountRateLimit
    pricing: Pricing
    breaker: CircuitBreaker
    has_rate: bool
    """Whether the caller said what a unit of its currency is worth."""
    slots: int
    """Attempts at it that may be in flight at once, on all machines together."""
    currency: str | None = None
    """The currency of its balance, as last read; None if it was not read or not stated."""
    is_currency_read: bool = False

    def see_currency(self, currency: str | None) -> None:
        """Note the currency of a balance."""
        self.currency, self.is_currency_read = currency, True

    async def read_currency(self) -> bool:
        """Read the currency if it is not known yet; return False if the panel does not answer."""
        if self.is_currency_read or "balance" not in self.client.profile.actions:
            return True
        try:
            balance = await read_balance(
                self.client, self.rate_limit,
                timeout_s=BALANCE_TIMEOUT_S, max_wait_s=BALANCE_TIMEOUT_S,
            )  # fmt: skip
        except PanelError:
            return False
        if balance is not None:
            self.see_currency(balance.currency)
        return balance is not None


@frozen(kw_only=True)
class PanelSetup:
    """What the caller said about the panels of a desk, checked."""

    clients: Mapping[str, Client]
    """The client of each panel, in the caller's order: one, or several."""
    products: Products
    """Empty for a desk whose orders name the services of its only panel."""
    exchange_rates: Mapping[str, Decimal]
    account: str
    """The name under which the orders are kept."""
    is_account_given: bool

    @property
    def is_routed(self) -> bool:
        """Whether orders name products instead of services."""
        return bool(self.products)

    @property
    def first(self) -> Client:
        """The client of the first panel."""
        return next(iter(self.clients.values()))


def parse_panels(
    client: Client | Mapping[str, Client],
    account: str | None,
    products: Mapping[str, Mapping[str, int | str]] | None,
    exchange_rates: Mapping[str, Decimal] | None,
) -> PanelSetup:
    """Return the panels of a desk; raise `InvalidSettingsError` for what no desk can work with."""
    if isinstance(client, Client):
        clients: dict[str, Client] = {DEFAULT_PANEL: client}
    else:
        clients = dict(client)
        _check_clients(clients, account)
    sold = _parse_products(products or {}, clients)
    if len(clients) > 1 and not sold:
        reason = "is required with several panels: say which services are equal"
        raise InvalidSettingsError("products", reason)
    if not sold and list(clients) != [DEFAULT_PANEL]:
        reason = f"is required for a panel with another name than {DEFAULT_PANEL!r}"
        raise InvalidSettingsError("products", reason)
    rates = dict(exchange_rates or {})
    for panel, rate in rates.items():
        _check_panel("exchange_rates", panel, clients)
        if not isinstance(rate, Decimal) or not rate.is_finite() or rate <= 0:
            reason = f"of {panel!r} must be a finite Decimal above 0, not {format_value(rate)}"
            raise InvalidSettingsError("exchange_rates", reason)
    first = next(iter(clients.values()))
    return PanelSetup(
        clients=clients, products=sold, exchange_rates=rates, account=account or first.account,
        is_account_given=account is not None or first.is_account_given,
    )  # fmt: skip


def create_panels(
    setup: PanelSetup,
    journal: Journal,
    clock: Clock,
    budget: Decimal | None,
    calls_per_minute: int | None,
    circuit: CircuitPolicy | None,
    balance_timeout_s: float,
) -> dict[str, DeskPanel]:
    """Return the panels of a desk, each with a rate limit, a circuit and prices of its own."""
    panels: dict[str, DeskPanel] = {}
    for name, client in setup.clients.items():
        rate_limit = AccountRateLimit(
            journal, calls_per_minute or client.profile.calls_per_minute, clock, name
        )
        rate = setup.exchange_rates.get(name, Decimal(1))
        pricing = Pricing(client=client, budget=budget, panel=name, exchange_rate=rate)
        breaker = CircuitBreaker(
            policy=circuit, client=client, journal=journal, rate_limit=rate_limit, panel=name,
            balance_timeout_s=balance_timeout_s, exchange_rate=rate,
        )  # fmt: skip
        panels[name] = DeskPanel(
            name=name, client=client, rate_limit=rate_limit, pricing=pricing, breaker=breaker,
            has_rate=name in setup.exchange_rates, slots=client.profile.add_concurrency,
        )  # fmt: skip
    return panels


async def warn_of_missing(journal: Journal, panels: Collection[str]) -> None:
    """Log the panels without a client where orders are open: nothing checks them, or moves them."""
    for panel in await find_missing(journal, panels):
        _LOG.warning("orders are open at the panel %r, which this desk has no client for", panel)


async def find_missing(journal: Journal, panels: Collection[str]) -> list[str]:
    """Return the panels where orders are open and that are not among those given."""
    return [panel for panel in await journal.open_panels() if panel not in panels]


def _check_clients(clients: Mapping[str, Client], account: str | None) -> None:
    if not 0 < len(clients) <= MAX_PANELS:
        raise InvalidSettingsError("clients", f"must be 1 to {MAX_PANELS}, not {len(clients)}")
    if account is None:
        reason = "is required with panels by name: the orders of all of them are kept under it"
        raise InvalidSettingsError("account", reason)
    names: dict[tuple[str, str], str] = {}
    for panel, client in clients.items():
        if not (
            isinstance(panel, str)
            and panel.strip() == panel
            and panel.isprintable()
            and 0 < len(panel) <= MAX_PANEL_CHARACTERS
        ):
            reason = (
                f"{format_value(panel)} is not a name of 1 to {MAX_PANEL_CHARACTERS} printable"
                " characters"
            )
            raise InvalidSettingsError("clients", reason)
        if not isinstance(client, Client):
            raise InvalidSettingsError("clients", f"of {panel!r} must be a Client")
        other = names.setdefault(_identity(client), panel)
        if other != panel:
            reason = f"of {other!r} and {panel!r} are the same account of the same panel"
            raise InvalidSettingsError("clients", reason)


def _identity(client: Client) -> tuple[str, str]:
    """Return what two clients of one account of a panel have in common."""
    try:
        return client.base_url, client.account
    except InvalidSettingsError:  # a key that changes
        return client.base_url, str(id(client))


def _parse_products(
    products: Mapping[str, Mapping[str, int | str]], clients: Mapping[str, Client]
) -> dict[str, dict[str, str]]:
    parsed: dict[str, dict[str, str]] = {}
    for product, services in products.items():
        _parse_name(product, "the name of a product")
        if not isinstance(services, Mapping) or not services:
            reason = f"of {product!r} must name a service at one panel or more"
            raise InvalidSettingsError("products", reason)
        for panel in services:
            _check_panel(f"products[{product!r}]", panel, clients)
        parsed[product] = {
            panel: _parse_name(service, f"a service ({product!r} at {panel!r})")
            for panel, service in services.items()
        }
    return parsed


def _parse_name(value: object, what: str) -> str:
    try:
        return parse_id(value, "OrderDesk", "products")
    except InvalidOrderError as error:
        reason = f"{format_value(value)} cannot be {what}: it {error.reason}"
        raise InvalidSettingsError("products", reason) from error


def _check_panel(name: str, panel: object, clients: Mapping[str, Client]) -> None:
    if panel not in clients:
        known = ", ".join(map(repr, clients))
        reason = f"names the panel {format_value(panel)}; the panels are {known}"
        raise InvalidSettingsError(name, reason)
