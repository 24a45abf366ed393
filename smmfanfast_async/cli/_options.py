"""The options that commands share: which panel, which journal, how to answer."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from attrs import frozen
from cyclopts import Parameter

from .._engine.policy import PollPolicy
from ..client import Client
from ..desk import OrderDesk
from ..errors import InvalidSettingsError
from ..profile import Profile
from . import _settings as settings
from ._errors import print_line
from ._profiles import OrderType, ProfileName

if TYPE_CHECKING:
    from ._journal import CountingJournal

__all__ = [
    "CommonOptions",
    "Flag",
    "JournalOptions",
    "Many",
    "Opened",
    "OrderType",
    "amount_of",
    "journal_at",
]

SQLITE = "sqlite+aiosqlite:///"

EXTRAS = {"sqlalchemy": "journal", "aiosqlite": "journal", "asyncpg": "postgres"}
"""Which extra brings a library that a journal needs."""

Many = Annotated[list[str] | None, Parameter(negative=())]
"""An option that may be given again and again."""

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option without a value."""


@Parameter(name="*")
@dataclass(frozen=True)
class CommonOptions:
    """Which panel, and how to answer."""

    base_url: str | None = None
    """Address of the panel, instead of SMMFANFAST_BASE_URL or the profile's."""
    profile: ProfileName | Path | None = None
    """The kind of panel, or a TOML file that describes one, instead of SMMFANFAST_PROFILE."""
    key_file: Path | None = None
    """File with the key, instead of SMMFANFAST_API_KEY and SMMFANFAST_API_KEY_FILE."""
    json: Flag = False
    """Answer in JSON."""

    def kind(self) -> settings.Kind:
        """Give the profile, and who named it."""
        return settings.profile(None if self.profile is None else str(self.profile))

    def settings(self) -> "ResolvedSettings":
        """Find out what a client is to be made with."""
        profile = self.kind().profile
        return ResolvedSettings(
            profile=profile,
            base_url=settings.address(self.base_url, profile),
            api_key=settings.api_key(self.key_file),
            proxy=settings.proxy(),
        )

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncGenerator[Client, None]:
        """Open a client on this panel; on stderr it is said if others can read the key."""
        found = self.settings()
        if found.api_key.warning:
            print_line(found.api_key.warning, "yellow", head="warning")
        async with found.client(**options) as client:
            yield client


@frozen(kw_only=True)
class ResolvedSettings:
    """What a client is made with."""

    profile: Profile
    base_url: settings.Setting
    api_key: settings.Setting
    proxy: settings.Setting | None

    def client(self, **options: Any) -> Client:
        """Make a client."""
        proxy = None if self.proxy is None else self.proxy.value
        base_url = self.base_url.value
        return Client(
            self.api_key.value, profile=self.profile, base_url=base_url, proxy=proxy, **options
        )


@Parameter(name="*")
@dataclass(frozen=True)
class JournalOptions(CommonOptions):
    """Which panel and which journal, and how to answer."""

    # A text first: as a path, an address would lose a slash. The path is for shells' completion.
    journal: str | Path | None = None
    """File or database of the orders, instead of SMMFANFAST_JOURNAL (the place for a password)."""
    account: str | None = None
    """The name that the orders are kept under, where your program gives its desk one."""

    @property
    def address(self) -> str | None:
        """Where the journal is, None where nobody says."""
        found = settings.journal(None if self.journal is None else str(self.journal))
        return None if found is None else found.value

    @asynccontextmanager
    async def desk(
        self, *, makes: bool = False, every_s: float | None = None
    ) -> AsyncGenerator["Opened", None]:
        """Open a desk on this panel and journal; only where it `makes` one may a file be missing.

        `every_s` is the shortest time between two looks at an order.
        """
        journal = journal_at(self.address, makes=makes)
        poll = None if every_s is None else PollPolicy(min_interval_s=every_s)
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
    # Not by pathlib, which raises for a name that is too long.
    is_there = os.path.exists(path)  # noqa: PTH110
    if url.startswith(SQLITE) and not makes and not is_there:
        # A name that is mistyped must not look like a journal without orders.
        raise InvalidSettingsError("journal", f"is not there: no file {str(path)!r}")
    try:
        found: CountingJournal = import_module("._journal", __package__).CountingJournal(url)
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
