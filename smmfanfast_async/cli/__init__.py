"""The command line, `smmfanfast`: what the client can do, for people and for scripts.

Tables are for people, `--json` is for programs. Exit codes: 0 done; 1 the panel refused or failed;
2 wrong input or settings, nothing sent; 3 an order's outcome is unknown; 4 the panel was not
reached or gave no answer; 5 some of the ids have errors.
"""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Annotated, Any, ParamSpec

from cyclopts import App, Parameter
from rich.console import Console
from rich.prompt import Confirm

from .. import __version__
from ..client import Client
from ..errors import (
    ErrorKind,
    InvalidSettingsError,
    NoReplyError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    UnsupportedActionError,
)
from ..profile import API_V2, SMMFANFAST
from ..sandbox import Sandbox
from . import _demo, _doctor
from . import _output as output
from ._input import ids_from
from ._orders import order_of, parse_expiry, parse_extra, parse_lines

__all__ = ["app", "main"]

OK, REFUSED, USAGE, UNKNOWN, NETWORK, PARTLY = range(6)

PROFILES = {profile.name: profile for profile in (SMMFANFAST, API_V2)}
MAX_SERVICES_SHOWN = 1000
"""Rows of a table of services; `--json` gives all."""

P = ParamSpec("P")
Many = Annotated[list[str] | None, Parameter(negative=())]
"""An option that may be given again and again."""

app = App(
    name="smmfanfast",
    version=__version__,
    help=(
        "An SMM panel from the command line. The key comes from SMMFANFAST_API_KEY, or from the "
        "file named by SMMFANFAST_API_KEY_FILE; `smmfanfast demo` needs none."
    ),
)


@Parameter(name="*")
@dataclass(frozen=True)
class Panel:
    """Which panel, and how to answer."""

    base_url: str | None = None
    """Address of the panel, instead of the profile's or SMMFANFAST_BASE_URL."""
    profile: str = SMMFANFAST.name
    """What kind of panel: smmfanfast or api-v2."""
    json: Annotated[bool, Parameter(negative=())] = False
    """Answer in JSON."""

    def options(self) -> dict[str, Any]:
        """Give what a client is made with."""
        if self.profile not in PROFILES:
            known = ", ".join(PROFILES)
            raise InvalidSettingsError("profile", f"{self.profile!r} is none of {known}")
        options: dict[str, Any] = {"profile": PROFILES[self.profile]}
        return options | ({"base_url": self.base_url} if self.base_url else {})

    @asynccontextmanager
    async def client(self) -> AsyncGenerator[Client, None]:
        """Open a client on this panel, with the key of the environment."""
        async with Client.from_env(**self.options()) as client:
            yield client


_HERE = Panel()


def _exit_code(error: PanelError) -> int:
    if isinstance(error, OutcomeUnknownError):
        return UNKNOWN
    if isinstance(error, NotSentError | NoReplyError):
        return NETWORK
    is_usage = error.kind is ErrorKind.INVALID or isinstance(error, UnsupportedActionError)
    return USAGE if is_usage else REFUSED


def _guarded(command: Callable[P, Awaitable[int]]) -> Callable[P, Awaitable[int]]:
    """Turn an error of ours into a line on stderr and an exit code."""

    @wraps(command)
    async def run(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            return await command(*args, **kwargs)
        except PanelError as error:
            output.print_error(Console(stderr=True), error)
            return _exit_code(error)

    return run


@app.command
@_guarded
async def demo(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Show everything at work on a panel of this machine. No key, no network, under 20 seconds.

    Parameters
    ----------
    json
        Print the summary alone, as one JSON object.
    """
    console = Console(quiet=json)
    summary = await _demo.run(console)
    if json:
        output.print_json(Console(), summary)
    return OK


@app.command
@_guarded
async def sandbox(
    *, port: int = 8080, seed: int = 0, balance: str = "1000", speed: float = 60.0
) -> int:
    """Run a panel on this machine to try things against, until Ctrl-C.

    Parameters
    ----------
    port
        Port on 127.0.0.1; 0 takes a free one.
    seed
        The same seed gives the same services, ids and outcomes.
    balance
        Money on the account at the start.
    speed
        Seconds on the panel in a second here; 0 stands still.
    """
    try:
        money = Decimal(balance)
    except InvalidOperation as error:
        raise InvalidSettingsError("balance", f"{balance!r} is no number") from error
    console = Console()
    panel = Sandbox(api_key="test-key", port=port, seed=seed, balance=money, speed=speed)
    try:
        async with panel:
            console.print(f"A panel answers at [bold]{panel.url}[/], with the key {panel.api_key}.")
            console.print("In another shell:", style="dim")
            console.print(f"  export SMMFANFAST_BASE_URL={panel.url}", soft_wrap=True)
            console.print(f"  export SMMFANFAST_API_KEY={panel.api_key}", soft_wrap=True)
            console.print("  smmfanfast services --search telegram")
            with suppress(asyncio.CancelledError):  # Ctrl-C is how it is meant to end
                await asyncio.Event().wait()
            console.print(f"\nClosed: {len(panel.orders)} orders, {panel.request_count} requests.")
    except OSError as error:
        raise InvalidSettingsError("port", f"{port} can't be used: {error.strerror}") from error
    return OK


@app.command
@_guarded
async def balance(*, panel: Panel = _HERE) -> int:
    """Show what is left on the account."""
    async with panel.client() as client:
        found = await client.balance()
    if panel.json:
        output.print_json(Console(), found)
    else:
        Console().print(output.cell(f"{found.balance} {found.currency or ''}".strip(), "bold"))
    return OK


@app.command
@_guarded
async def services(
    *,
    search: str = "",
    order_type: Annotated[str | None, Parameter(name="--type")] = None,
    max_rate: str | None = None,
    panel: Panel = _HERE,
) -> int:
    """Show what is on offer.

    Parameters
    ----------
    search
        Words that the name or the category must hold.
    order_type
        Only services of an order type, such as custom_comments.
    max_rate
        Only services up to this rate.
    """
    try:
        most = None if max_rate is None else Decimal(max_rate)
    except InvalidOperation as error:
        raise InvalidSettingsError("max_rate", f"{max_rate!r} is no number") from error
    async with panel.client() as client:
        catalogue = await client.services()
    found = catalogue.search(search, type=order_type, max_rate=most)
    if panel.json:
        output.print_json(Console(), found)
        return OK
    title = f"{len(found)} of {len(catalogue)} services"
    Console().print(output.services_table(found[:MAX_SERVICES_SHOWN], title))
    return OK


@app.command
@_guarded
async def add(
    order_type: str,
    /,
    *,
    service: str,
    link: str | None = None,
    quantity: int | None = None,
    runs: int | None = None,
    interval: int | None = None,
    comments: Many = None,
    usernames: Many = None,
    hashtags: Many = None,
    hashtag: str | None = None,
    username: str | None = None,
    media: str | None = None,
    minimum: Annotated[int | None, Parameter(name="--min")] = None,
    maximum: Annotated[int | None, Parameter(name="--max")] = None,
    delay: int | None = None,
    expiry: str | None = None,
    posts: int | None = None,
    extra: Many = None,
    yes: Annotated[bool, Parameter(negative=())] = False,
    panel: Panel = _HERE,
) -> int:
    """Place an order. It is checked against the catalogue, and its price is shown, before.

    Exit code 3 says that the outcome is unknown: an order may exist, so look before trying again.

    Parameters
    ----------
    order_type
        One of the eleven types: default, package, custom_comments, …
    service
        Id of the service.
    link
        Link to the page.
    quantity
        How many; with --runs, how many each run.
    runs
        Drip-feed: how many runs, together with --interval.
    interval
        Drip-feed: minutes between runs.
    comments
        A comment; give it again for each, or @FILE for a file with one a line.
    usernames
        A user; again for each, or @FILE.
    hashtags
        A hashtag; again for each, or @FILE.
    hashtag
        The hashtag to find users under.
    username
        The user, or the address of the user's page.
    media
        Link to what was liked.
    minimum
        Subscription: the least for a post.
    maximum
        Subscription: the most for a post.
    delay
        Subscription: minutes to wait after a post.
    expiry
        Subscription: last day, as 31/12/2030 or 2030-12-31.
    posts
        Subscription: how many posts.
    extra
        More form fields, each as name=value.
    yes
        Do not ask before spending.
    """
    options = {
        "service": service, "link": link, "quantity": quantity, "runs": runs, "interval": interval,
        "comments": parse_lines(comments), "usernames": parse_lines(usernames),
        "hashtags": parse_lines(hashtags), "hashtag": hashtag, "username": username,
        "media": media, "min": minimum, "max": maximum, "delay": delay,
        "expiry": parse_expiry(expiry), "posts": posts, "extra": parse_extra(extra),
    }  # fmt: skip
    order = order_of(order_type, options)
    async with panel.client() as client:
        catalogue = await client.services()
        chosen = catalogue.check(order)
        price = catalogue.quote(order)
        if not _may_spend(chosen.name, price, agreed=yes):
            return USAGE
        added = await client.add(order)
    if panel.json:
        output.print_json(Console(), {"order": added.order, "price": price})
    else:
        Console().print(output.cell(f"order {added.order} placed", "bold green"))
    return OK


def _may_spend(name: str, price: Decimal | None, *, agreed: bool) -> bool:
    """Show the price, and ask unless that is agreed; without a terminal, say how to go on."""
    console = Console(stderr=True)
    cost = "a price that shows post by post" if price is None else str(price.normalize())
    console.print(output.cell(f"{name.strip()}: {cost}"))
    if agreed:
        return True
    if not sys.stdin.isatty():
        console.print("nothing was sent: there is no terminal to ask at; add --yes", style="red")
        return False
    return Confirm.ask("Place it?", console=console, default=False)


@app.command
@_guarded
async def status(
    *ids: Annotated[str, Parameter(allow_leading_hyphen=True)], panel: Panel = _HERE
) -> int:
    """Show how orders stand, any number of them; exit code 5 if some ids have errors.

    With --json each order is a JSON object on a line of its own, printed as it comes.

    Parameters
    ----------
    ids
        Ids of orders; a lone - reads them from standard input, between blanks, commas or lines,
        and prints each order as its batch lands.
    """
    if ids == ("-",):
        return await _status_stream(panel)
    if not ids:
        raise InvalidSettingsError("ids", "are missing: give some, or - to read standard input")
    async with panel.client() as client:
        found = await client.statuses(ids)
    for order, result in found.items() if panel.json else ():
        output.print_json(Console(), {"order": order} | output.plain(result))
    if not panel.json:
        Console().print(output.statuses_table(f"{len(found)} orders", found.items()))
    return PARTLY if any(isinstance(each, PanelError) for each in found.values()) else OK


async def _status_stream(panel: Panel) -> int:
    """Show the orders named on standard input as they land, under a bar that counts them."""
    console = Console()
    failed = 0
    async with panel.client() as client:
        with output.counting(Console(stderr=True), "orders") as counted:
            async for order, result in client.iter_statuses(ids_from(sys.stdin)):
                failed += isinstance(result, PanelError)
                if panel.json:
                    output.print_json(console, {"order": order} | output.plain(result))
                else:
                    output.print_line(console, output.status_row(order, result))
                counted()
    return PARTLY if failed else OK


@app.command
@_guarded
async def doctor(*, panel: Panel = _HERE) -> int:
    """Look whether key, address, connection and balance are in order."""
    findings = await _doctor.examine(panel.options())
    if panel.json:
        output.print_json(
            Console(),
            [{"name": each.name, "said": each.said, "level": each.level} for each in findings],
        )
    else:
        marks = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "error": ("✗", "red")}
        shown = output.table("smmfanfast doctor", "", "what", "found")
        for each in findings:
            sign, style = marks[each.level]
            shown.add_row(*map(output.cell, (sign, each.name, each.said), (style, "", "")))
        Console().print(shown)
    return REFUSED if any(each.level == "error" for each in findings) else OK


def main() -> None:
    """Run the command line."""
    logging.captureWarnings(capture=True)
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read has enough, as `head` has; what Python writes at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
