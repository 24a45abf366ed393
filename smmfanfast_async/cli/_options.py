"""The options that commands share: panel, journal, JSON."""

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, TypeVar

from attrs import define
from cyclopts import Parameter

from .._engine.policy import PollPolicy
from .._text import sanitize
from ..client import Client
from ..desk import OrderDesk, cheapest_first, in_order
from ..errors import InvalidCode, InvalidOrderError, InvalidSettingsError
from ..events import BatchFinished, Event
from ..journal import DEFAULT_PANEL
from . import _settings as settings
from ._errors import print_line
from ._output import plural
from ._panels import PanelsFile, load_panels, named
from ._profiles import OrderType, ProfileName
from ._settings import ResolvedSettings

if TYPE_CHECKING:
    from ..journal.sql import SQLJournal

__all__ = [
    "ROUTERS",
    "CheckCounter",
    "CommonOptions",
    "Flag",
    "JournalOptions",
    "Many",
    "Opened",
    "OrderType",
    "PanelName",
    "journal_at",
    "mention_other_accounts",
    "parse_amount",
    "refuse_panel",
]

T = TypeVar("T", bound="_Opens")

SQLITE = "sqlite+aiosqlite:///"

JOURNAL_LIBRARIES = {"sqlalchemy", "aiosqlite"}
"""What the extra `journal` installs."""

Many = Annotated[list[str] | None, Parameter(negative=())]
"""An option that can be repeated."""

ROUTERS = {"cheapest_first": cheapest_first, "in_order": in_order}
"""The routers that a file can name."""

PanelName = Annotated[str | None, Parameter(help="The panel, by its name in the --panels file.")]
"""An option that is needed if there are several panels."""

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option without a value."""


@Parameter(name="*")
@dataclass(frozen=True)
class CommonOptions:
    """The panel and the output format."""

    base_url: str | None = None
    """Address of the panel, instead of SMMFANFAST_BASE_URL or the profile's."""
    profile: ProfileName | Path | None = None
    """The profile, or a TOML file that describes a panel, instead of SMMFANFAST_PROFILE."""
    key_file: Path | None = None
    """File with the key, instead of SMMFANFAST_API_KEY and SMMFANFAST_API_KEY_FILE."""
    json: Flag = False
    """Print JSON."""
    panels: Path | None = None
    """TOML file that names several panels, instead of one and SMMFANFAST_PANELS."""

    def panels_file(self) -> PanelsFile | None:
        """Return the file with several panels, None for one panel."""
        setting = settings.panels(None if self.panels is None else str(self.panels))
        if setting is None:
            return None
        one = {"base-url": self.base_url, "profile": self.profile, "key-file": self.key_file}
        for name, value in one.items():
            if value is not None:
                # Not ignored: the order would go to another panel than was asked for.
                reason = f"({setting.source}) and --{name} cannot be combined"
                raise InvalidSettingsError("panels", reason)
        return load_panels(setting.value)

    def kind(self) -> settings.Kind:
        """Return the profile and its source."""
        return settings.profile(None if self.profile is None else str(self.profile))

    def settings(self, panel: str | None = None) -> ResolvedSettings:
        """Return the settings of a client: of the panel with this name, if there are several."""
        file = self.panels_file()
        if file is not None:
            return file.choose(panel).resolve()
        if panel is not None:
            reason = "needs a file that names it: --panels or SMMFANFAST_PANELS"
            raise InvalidSettingsError("panel", reason)
        profile = self.kind().profile
        return ResolvedSettings(
            profile=profile,
            base_url=settings.address(self.base_url, profile),
            api_key=settings.api_key(self.key_file),
            proxy=settings.proxy(),
        )

    @asynccontextmanager
    async def client(
        self, panel: str | None = None, **options: Any
    ) -> AsyncGenerator[Client, None]:
        """Open a client on this panel; warn on stderr if other users can read the key file."""
        async with _client(self.settings(panel), **options) as client:
            yield client

    @asynccontextmanager
    async def clients(
        self, file: PanelsFile, **options: Any
    ) -> AsyncGenerator[dict[str, Client], None]:
        """Open a client on each panel of a file."""
        async with AsyncExitStack() as stack:
            opened: dict[str, Client] = {}
            for name, panel in file.panels.items():
                resolved = panel.resolve()
                with named(file.where, f"panels.{name}"):
                    client = _client(resolved, **options)
                    opened[name] = await stack.enter_async_context(client)
            yield opened


@asynccontextmanager
async def _client(resolved: ResolvedSettings, **options: Any) -> AsyncGenerator[Client, None]:
    if resolved.api_key.warning:
        print_line(resolved.api_key.warning, "yellow", head="warning")
    async with resolved.client(**options) as client:
        yield client


@Parameter(name="*")
@dataclass(frozen=True)
class JournalOptions(CommonOptions):
    """The panel, the journal and the output format."""

    # `str` first: as a path, a URL would lose a slash. `Path` makes shells complete files.
    journal: str | Path | None = None
    """File or database of the orders, instead of SMMFANFAST_JOURNAL (better for passwords)."""
    account: str | None = None
    """The account name of the orders, if your program passes one to its desk."""

    @property
    def address(self) -> str | None:
        """The address of the journal, None if none is set."""
        setting = settings.journal(None if self.journal is None else str(self.journal))
        return None if setting is None else setting.value

    @asynccontextmanager
    async def desk(
        self,
        *,
        may_create: bool = False,
        every_s: float | None = None,
        settle_by_balance: bool = False,
    ) -> AsyncGenerator["Opened", None]:
        """Open a desk on this panel and journal; only `may_create` allows a missing file.

        `every_s` is the shortest time between two status checks of an order.
        """
        journal = journal_at(self.address, may_create=may_create)
        poll = None if every_s is None else PollPolicy(min_interval_s=every_s)
        counter = CheckCounter()
        file = self.panels_file()
        if file is not None:
            async with self.clients(file, on_event=counter) as clients:
                with named(file.where, "table"):
                    desk = OrderDesk(
                        clients, journal, account=self.account or file.account,
                        products=file.products, exchange_rates=file.exchange_rates,
                        router=ROUTERS[file.router], poll=poll,
                        settle_by_balance=settle_by_balance,
                    )  # fmt: skip
                async with _opened(desk):
                    yield Opened(clients, desk, journal, counter, file)
            return
        async with self.client(on_event=counter) as client:
            desk = OrderDesk(
                client, journal, account=self.account, poll=poll,
                settle_by_balance=settle_by_balance,
            )  # fmt: skip
            async with _opened(desk):
                yield Opened({DEFAULT_PANEL: client}, desk, journal, counter, None)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator["SQLJournal", None]:
        """Open the journal for queries, without calls to the panel.

        Without a key, the account is `--account`, or the only one that the journal has.
        """
        file = self.panels_file()
        account = self.account or (None if file is None else file.account)
        if account is None and settings.has_key(self.key_file):
            async with self.client() as client:
                account = client.account
        async with _opened(journal_at(self.address, may_create=False)) as journal:
            account = account or _only_account(await journal.accounts())
            bound = journal.for_account(account)
            await (bound.open() if file is None else bound.open(file.panels))
            try:
                await bound.expire_leases()
                await bound.expire_requests()
                yield bound
            finally:
                await bound.aclose()


class Opened(NamedTuple):
    """An open desk with its clients, its journal and the number of its status checks."""

    clients: Mapping[str, Client]
    desk: OrderDesk
    journal: "SQLJournal"
    counter: "CheckCounter"
    file: PanelsFile | None
    """The file of a desk over several panels."""

    @property
    def client(self) -> Client:
        """The client of the only panel, or of the first."""
        return next(iter(self.clients.values()))

    @property
    def place(self) -> str:
        """Where it orders: the address of the only panel, or the names of all."""
        return self.client.base_url if self.file is None else ", ".join(self.clients)

    async def require(self, ref: str) -> None:
        """Raise `InvalidOrderError`, which names the accounts that have this ref, if it is new."""
        if await self.desk.find(ref) is None:
            found = list_accounts(await self.journal.accounts(ref))
            where = f"; another account has it: {found}; {ACCOUNT_HINT}" if found else ""
            reason = f"is not in the journal{where}"
            raise InvalidOrderError("OrderDesk", "ref", ref, reason, code=InvalidCode.UNKNOWN_REF)


@define
class CheckCounter:
    """A hook of a client that counts status checks."""

    checks: int = 0
    """The orders whose status was requested, each time it was."""

    def __call__(self, event: Event) -> None:
        """Count the orders of a batch."""
        if isinstance(event, BatchFinished):
            self.checks += event.id_count


# --- accounts ------------------------------------------------------------------------------------

ACCOUNT_HINT = "use the key and address it was ordered with, or --account"

MAX_ACCOUNTS_SHOWN = 5
"""Accounts that a message names: a shop has a few."""


def list_accounts(counts: Mapping[str, int]) -> str:
    """Return accounts of a journal, each with the number of its orders; empty for none."""
    shown = [f"{sanitize(name)} ({plural(number, 'order')})" for name, number in counts.items()]
    more = len(shown) - MAX_ACCOUNTS_SHOWN
    return ", ".join(shown[:MAX_ACCOUNTS_SHOWN] + ([f"and {more} more"] if more > 0 else []))


async def mention_other_accounts(journal: "SQLJournal") -> None:
    """Print on stderr which accounts a journal has, for one without orders of this account."""
    if found := list_accounts(await journal.accounts()):
        print_line(
            "the journal has no orders of this account",
            "yellow",
            hint=f"it has those of another key, address or name: {found}; see --account",
        )


def _only_account(counts: Mapping[str, int]) -> str:
    if len(counts) > 1:
        how = "add --account NAME, or the key and address that they were ordered with"
        reason = f"is missing: the journal has orders of {list_accounts(counts)}; {how}"
        raise InvalidSettingsError("account", reason)
    return next(iter(counts), "")


# --- opening -------------------------------------------------------------------------------------


class _Opens(Protocol):
    async def open(self) -> None: ...

    async def aclose(self) -> None: ...


@asynccontextmanager
async def _opened(each: T) -> AsyncGenerator[T, None]:
    """Open a desk or a journal, and close it."""
    await each.open()
    try:
        yield each
    finally:
        await each.aclose()


def journal_at(address: str | None, *, may_create: bool) -> "SQLJournal":
    """Create a journal object for a file or a URL; nothing is opened yet.

    There is no default in the current folder: from another folder the same ref would be ordered a
    second time.
    """
    if address is None:
        how = "use --journal or set SMMFANFAST_JOURNAL to a file such as $HOME/orders.db"
        raise InvalidSettingsError("journal", f"is missing: {how}")
    is_file = "://" not in address or address.startswith(SQLITE)
    path = Path(address.removeprefix(SQLITE))
    # Not by pathlib, which raises for a name that is too long.
    is_there = os.path.exists(path)  # noqa: PTH110
    if is_file and not may_create and not is_there:
        # A mistyped name must not look like a journal without orders.
        raise InvalidSettingsError("journal", f"does not exist: no file {str(path)!r}")
    try:
        create = import_module("...journal.sql", __name__).SQLJournal
        journal: SQLJournal = create(path if is_file else address)
    except ModuleNotFoundError as error:
        raise _without_extra(error) from error
    return journal


def _without_extra(error: ModuleNotFoundError) -> Exception:
    """Return an error that names the extra to install, or the error itself if there is none."""
    if (error.name or "").partition(".")[0] not in JOURNAL_LIBRARIES:
        return error
    how = "pip install 'smmfanfast_async[journal]'"
    return InvalidSettingsError("journal", f"needs {error.name}, which is not installed: {how}")


def refuse_panel(panel: str | None) -> None:
    """Raise `InvalidSettingsError` if a panel was named for an order that has a ref."""
    if panel is not None:
        reason = "and --ref cannot be combined: the desk knows the panel of a ref, or chooses it"
        raise InvalidSettingsError("panel", reason)


def parse_amount(name: str, text: str | None) -> Decimal | None:
    """Parse an option that is an amount; None if it was not given."""
    if text is None:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise InvalidSettingsError(name, f"{text!r} is not a number")
    return amount
