"""The options that commands share: which panel, which journal, how to answer."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

from .._policy import PollPolicy
from ..client import Client
from ..desk import OrderDesk
from ..errors import InvalidSettingsError
from ..profile import API_V2, SMMFANFAST

if TYPE_CHECKING:
    from ._counting import CountingJournal

__all__ = ["DeskPanel", "Flag", "Many", "Opened", "Panel", "amount_of", "journal_at"]

PROFILES = {profile.name: profile for profile in (SMMFANFAST, API_V2)}

SQLITE = "sqlite+aiosqlite:///"

EXTRAS = {"sqlalchemy": "journal", "aiosqlite": "journal", "asyncpg": "postgres"}
"""Which extra brings a library that a journal needs."""

Many = Annotated[list[str] | None, Parameter(negative=())]
"""An option that may be given again and again."""

Flag = Annotated[bool, Parameter(negative=())]
"""An option without a value."""


@Parameter(name="*")
@dataclass(frozen=True)
class Panel:
    """Which panel, and how to answer."""

    base_url: str | None = None
    """Address of the panel, instead of the profile's or SMMFANFAST_BASE_URL."""
    profile: str = SMMFANFAST.name
    """What kind of panel: smmfanfast or api-v2."""
    json: Flag = False
    """Answer in JSON."""

    def options(self) -> dict[str, Any]:
        """Give what a client is made with."""
        if self.profile not in PROFILES:
            known = ", ".join(PROFILES)
            raise InvalidSettingsError("profile", f"{self.profile!r} is none of {known}")
        options: dict[str, Any] = {"profile": PROFILES[self.profile]}
        return options | ({"base_url": self.base_url} if self.base_url else {})

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[Client, None]:
        """Open a client on this panel, with the key of the environment."""
        async with Client.from_env(**self.options(), **options) as client:
            yield client


@Parameter(name="*")
@dataclass(frozen=True)
class DeskPanel(Panel):
    """Which panel and which journal, and how to answer."""

    journal: str | None = None
    """Where orders are written down: a file, or the URL of a database, instead of
    SMMFANFAST_JOURNAL."""
    account: str | None = None
    """The name that the orders are kept under, where your program gives its desk one."""

    @property
    def address(self) -> str | None:
        """Where the journal is, None where nobody says."""
        return self.journal or os.environ.get("SMMFANFAST_JOURNAL") or None

    @asynccontextmanager
    async def desk(
        self, *, makes: bool = False, every_s: float | None = None
    ) -> AsyncGenerator["Opened", None]:
        """Open a desk on this panel and journal; only where it `makes` one may a file be missing.

        `every_s` is the shortest time between two looks at an order.
        """
        journal = journal_at(self.address, makes=makes)
        poll = None if every_s is None else PollPolicy(least_s=every_s)
        async with self.client() as client:
            desk = OrderDesk(client, journal, account=self.account, poll=poll)
            try:
                await desk.open()
            except ModuleNotFoundError as error:
                raise _without_extra(error) from error
            try:
                yield Opened(client, desk, journal)
            finally:
                await desk.aclose()


class Opened(NamedTuple):
    """A desk that is open, and what it stands on."""

    client: Client
    desk: OrderDesk
    journal: "CountingJournal"


def journal_at(address: str | None, *, makes: bool) -> "CountingJournal":
    """Make a journal at a file or a URL; nothing is opened yet.

    Nobody is given a journal in the folder where the command happens to run: from another folder
    the same ref would be ordered a second time.
    """
    if address is None:
        how = "give --journal, or set SMMFANFAST_JOURNAL to a file such as $HOME/orders.db"
        raise InvalidSettingsError("journal", f"is missing: {how}")
    url = address if "://" in address else SQLITE + address
    path = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not makes and not path.exists():
        # A name that is mistyped must not look like a journal without orders.
        raise InvalidSettingsError("journal", f"is not there: no file {str(path)!r}")
    try:
        found: CountingJournal = import_module("._counting", __package__).CountingJournal(url)
    except ModuleNotFoundError as error:
        raise _without_extra(error) from error
    return found


def _without_extra(error: ModuleNotFoundError) -> Exception:
    """Say which extra brings what is missing; give the error itself where none does."""
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    if extra is None:
        return error
    how = f"pip install 'smmfanfast_async[{extra}]'"
    return InvalidSettingsError("journal", f"needs {error.name}, which is not installed: {how}")


def amount_of(name: str, text: str | None) -> Decimal | None:
    """Read an option that is an amount; None where it was not given."""
    if text is None:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite():
        raise InvalidSettingsError(name, f"{text!r} is no number")
    return found
