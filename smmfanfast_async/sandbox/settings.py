"""Check the settings of a sandbox, and find its dialect. Pure."""

from decimal import Decimal

from .dialects import API_V2, DIALECTS, STANDARD, Dialect
from .form_names import FORMATS, PanelProfile
from .ledger import MAX_ORDERS
from .money import MAX_AMOUNT, MAX_DECIMALS, is_amount

__all__ = ["check_settings"]


def check_settings(
    api_key: str,
    balance: Decimal,
    existing_orders: int,
    profile: PanelProfile | None,
    dialect: str | None,
) -> Dialect:
    """Return the dialect of a sandbox; ValueError that names the setting if one is invalid."""
    if not api_key.startswith("test-"):
        # The message does not contain the key, because it may be a real one.
        raise ValueError('the api_key of a sandbox must start with "test-"')
    if not is_amount(balance):
        raise ValueError(
            f"balance must be a number from -{MAX_AMOUNT:.0e} to {MAX_AMOUNT:.0e} with at most "
            f"{MAX_DECIMALS} decimals, not {balance}"
        )
    if not 0 <= existing_orders <= MAX_ORDERS:
        raise ValueError(f"existing_orders must be from 0 to {MAX_ORDERS}, not {existing_orders}")
    if profile is not None and profile.request_format not in FORMATS:
        raise ValueError(
            f"request_format must be one of {', '.join(FORMATS)}, not {profile.request_format!r}"
        )
    if dialect is None:
        dialect = _dialect_of(profile)
    if dialect not in DIALECTS:
        raise ValueError(f"dialect must be one of {', '.join(DIALECTS)}, not {dialect!r}")
    return DIALECTS[dialect]


def _dialect_of(profile: PanelProfile | None) -> str:
    has_refills = profile is not None and bool({"refill", "cancel"} & set(profile.actions))
    return API_V2.name if has_refills else STANDARD.name
