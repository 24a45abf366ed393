"""`sandbox`: a panel on this machine."""

import asyncio
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from shlex import quote
from typing import Literal

from rich.console import Console

from ...errors import InvalidSettingsError
from ...sandbox import Sandbox
from .._codes import OK
from .._errors import handle_errors
from .._options import parse_amount
from .._output import plural
from .._profiles import ProfileName, load_profile

__all__ = ["sandbox"]


@handle_errors
async def sandbox(
    *,
    port: int = 8080,
    seed: int = 0,
    balance: str = "1000",
    speed: float = 60.0,
    dialect: Literal["standard", "api-v2"] | None = None,
    profile: ProfileName | Path | None = None,
    console: bool = True,
    control: bool = False,
    control_port: int = 0,
) -> int:
    """Run `smmfanfast sandbox`.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 chooses a free one.
    seed
        The same seed produces the same services, ids and outcomes.
    balance
        Money on the account at the start.
    speed
        Seconds on the panel per second; 0 stops its clock.
    dialect
        The dialect of the document, or that of API v2 panels, with refills and cancels; that of
        the profile by default, "standard" without one.
    profile
        A profile, or a TOML file, whose names of actions and fields and whose format of requests
        the panel has.
    console
        Serve a page for browsers that shows what your bot sent, and print its address.
    control
        Print the address and the token of the control API, for programs in any language.
    control_port
        Port of the page and the control API on 127.0.0.1; 0 chooses a free one.
    """
    money = parse_amount("balance", balance) or Decimal(0)
    output = Console()
    try:
        panel = Sandbox(
            api_key="test-key",
            port=port,
            seed=seed,
            balance=money,
            speed=speed,
            dialect=dialect,
            profile=None if profile is None else load_profile(str(profile)),
            console=console,
            control=control,
            control_port=control_port,
        )
    except ValueError as error:
        raise InvalidSettingsError("sandbox", f"cannot be created: {error}") from error
    name = "api-v2" if profile is None and dialect == "api-v2" else profile
    option = "" if name is None else f" --profile {quote(str(name))}"
    try:
        async with panel:
            _print_settings(output, panel, option, control=control)
            with suppress(asyncio.CancelledError):  # Ctrl-C is the normal end
                await asyncio.Event().wait()
            orders, requests = len(panel.orders), panel.request_count
            output.print(f"\nClosed: {plural(orders, 'order')}, {plural(requests, 'request')}.")
    except OSError as error:
        ports = f"{port} or the control port {control_port}" if control_port else str(port)
        raise InvalidSettingsError("port", f"{ports} cannot be used: {error.strerror}") from error
    return OK


def _print_settings(output: Console, panel: Sandbox, option: str, *, control: bool) -> None:
    """Print how another shell reaches the panel, with an option for its profile."""
    output.print(f"A panel answers at [bold]{panel.url}[/], with the key {panel.api_key}.")
    output.print("In another shell:", style="dim")
    output.print(f"  export SMMFANFAST_BASE_URL={panel.url}", soft_wrap=True)
    output.print(f"  export SMMFANFAST_API_KEY={panel.api_key}", soft_wrap=True)
    if control:
        output.print(f"  export SMMFANFAST_CONTROL_URL={panel.control_url}", soft_wrap=True)
        token = panel.control_token
        output.print(f"  export SMMFANFAST_CONTROL_TOKEN={token}", soft_wrap=True)
    output.print(f"  smmfanfast services{option} --search telegram", soft_wrap=True)
