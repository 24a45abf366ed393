"""Addresses of databases as hosters and people write them."""

import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from support.journals import accept, open_journals
from support.postgres import PASSWORD, USER, PostgresServer

from smmfanfast_async import InvalidSettingsError, JournalError
from smmfanfast_async.journal import EntryState
from smmfanfast_async.journal.sql import SQLJournal
from smmfanfast_async.journal.sql.address import Address, parse_address

HOSTED = "postgres://me:hidden@db.test/orders"


def parsed(text: str) -> Address:
    address = parse_address(text)
    assert isinstance(address, Address), address
    return address


@pytest.mark.parametrize(("address", "reason"), [
    ("orders.db", "not the address"),
    ("sqlite+aiosqlite://", "needs a file"),
    ("sqlite+aiosqlite:///:memory:", "needs a file"),
    ("sqlite+aiosqlite:///file::memory:", "file: address"),
    ("sqlite+aiosqlite:///why?.db", "SQLite has no options; pass a file of such a name as"),
    ("sqlite+pysqlite:///orders.db", "has driver 'sqlite"),
    ("mysql+aiomysql://me:hidden@host/orders", "has driver 'mysql"),
    ("postgresql+asyncpg://me:hidden@host:port/orders", "not the address"),
    (None, "not the address"),
    (f"{HOSTED}?sslmode=hidden", "option sslmode, which must be one of disable, "),
    (f"{HOSTED}?sslmode=require&sslmode=hidden", "option sslmode more than once"),
    (f"{HOSTED}?sslrootcert=system", "option sslrootcert, but no sslmode"),
    (f"{HOSTED}?connect_timeout=0", "option connect_timeout, which must be 1 to 60 whole seconds"),
    (f"{HOSTED}?connect_timeout=61", "option connect_timeout"),
    (f"{HOSTED}?connect_timeout=hidden", "option connect_timeout"),
    (f"{HOSTED}?application_name={'x' * 64}", "option application_name, which must be 1 to 63"),
    (f"{HOSTED}?target_session_attrs=standby", "option target_session_attrs, .* is written"),
    (f"{HOSTED}?channel_binding=require", "option channel_binding: .* remove it and use sslmode"),
    (f"{HOSTED}?statement_cache_size=100", "option statement_cache_size: .* remove it"),
    (f"{HOSTED}?options=-c%20hidden", "option options: set such defaults for the role"),
    (f"{HOSTED}?pgbouncer=true", "option pgbouncer: .* remove it"),
    (f"{HOSTED}?password=hidden", "option password: it is not supported; remove it"),
])  # fmt: skip
def test_unsupported_address_is_refused_without_its_password(address: Any, reason: str) -> None:
    with pytest.raises(InvalidSettingsError, match=reason) as caught:
        SQLJournal(address)

    trace = caught.value.__traceback__
    assert trace is not None
    trace = trace.tb_next  # the test's own frame knows the address
    while trace is not None:
        assert "hidden" not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    assert "hidden" not in repr(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_address_of_a_hoster_is_taken_as_it_is(scheme: str) -> None:
    address = parsed(
        f"{scheme}://me:hidden@db.test:6543/orders?sslmode=require&channel_binding=prefer"
        "&connect_timeout=5&application_name=shop&target_session_attrs=primary"
        "&statement_cache_size=0"
    )

    assert address.url.render_as_string() == "postgresql+asyncpg://me:***@db.test:6543/orders"
    assert address.connect_args() == {
        "timeout": 5.0,
        "server_settings": {"application_name": "shop"},
        "ssl": "require",
        "target_session_attrs": "primary",
    }


def test_several_servers_stay_in_the_address() -> None:
    address = parsed("postgresql:///orders?host=a.test:1&host=b.test:2")

    assert address.url.query == {"host": ("a.test:1", "b.test:2")}
    assert address.options == {}


@pytest.mark.parametrize(("mode", "checks_name"), [("verify-ca", False), ("verify-full", True)])
def test_certificates_of_the_system_are_trusted_on_demand(mode: str, *, checks_name: bool) -> None:
    context = parsed(f"{HOSTED}?ssl={mode}&sslrootcert=system").connect_args()["ssl"]

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is checks_name


def test_certificate_that_is_not_verified_is_not_read() -> None:
    address = parsed(f"{HOSTED}?sslmode=require&sslrootcert=/nowhere")

    assert address.connect_args()["ssl"] == "require"


@pytest.mark.parametrize("size", [2, 101, "10", None, 5.0])
def test_pool_size_has_bounds(size: Any) -> None:
    with pytest.raises(InvalidSettingsError, match=r"pool_size .* is not a whole number from 3"):
        SQLJournal("sqlite+aiosqlite:///orders.db", pool_size=size)


@pytest.mark.asyncio
async def test_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "what? 100 %25 #1.db"

    async with open_journals(path) as journals:
        await accept(await journals())

    assert path.stat().st_size > 0


def test_plain_scheme_of_sqlite_is_taken() -> None:
    assert parsed("sqlite:///orders.db").url.drivername == "sqlite+aiosqlite"


# --- on a server ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_smallest_pool_orders(postgres: PostgresServer) -> None:
    url = await postgres.fresh()
    journal = SQLJournal(url, pool_size=3).for_account("a")
    await journal.open()

    entry = await accept(journal)

    assert entry.state is EntryState.ACCEPTED
    await journal.aclose()


async def opening_fails(url: str) -> JournalError:
    """Return the error of opening a journal, which is final: it is not tried again until the end.

    A second try would come after more than 0.01 s.
    """
    journal = SQLJournal(url).for_account("a")
    with pytest.raises(JournalError) as caught:
        await journal.open()
    trace = caught.value.__traceback__
    assert trace is not None
    while (trace := trace.tb_next) is not None:
        assert PASSWORD not in repr(trace.tb_frame.f_locals)
    return caught.value


@pytest.fixture
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: float) -> None:
        raise AssertionError("it was tried again")

    monkeypatch.setattr("smmfanfast_async.journal.sql.database.asyncio.sleep", fail)


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_second_try")
async def test_server_without_tls_is_refused_at_once(postgres: PostgresServer) -> None:
    error = await opening_fails(f"{postgres.url}?sslmode=require")

    assert "rejected SSL upgrade" in error.text


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_second_try")
async def test_certificate_file_that_is_missing_is_named(postgres: PostgresServer) -> None:
    journal = SQLJournal(f"{postgres.url}?sslmode=verify-full&sslrootcert=/nowhere.pem")

    with pytest.raises(InvalidSettingsError, match="sslrootcert: the file cannot be read"):
        await journal.for_account("a").open()


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[PostgresServer, Path]]:
    """A server with a certificate for `localhost`, and the file of its authority."""
    authority = trustme.CA()
    server = PostgresServer(authority.issue_cert("localhost"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.start()
    yield server, tmp_path / "ca.pem"
    server.remove()


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_second_try")
async def test_certificate_and_name_of_the_server_are_verified(
    tls: tuple[PostgresServer, Path],
) -> None:
    server, authority = tls
    options = f"orders?sslmode=verify-full&sslrootcert={authority}"
    host = f"postgres://{USER}:{PASSWORD}@"

    async with open_journals(f"{host}localhost:{server.port}/{options}") as journals:
        assert (await accept(await journals())).state is EntryState.ACCEPTED
    error = await opening_fails(f"{host}127.0.0.1:{server.port}/{options}")

    assert "IP address mismatch" in error.text


@pytest.mark.asyncio
@pytest.mark.parametrize(("address", "library", "extra"), [
    ("postgres://ann:hunter2@127.0.0.1:1/orders", "asyncpg", "postgres"),
    ("sqlite+aiosqlite:///orders.db", "aiosqlite", "journal"),
])  # fmt: skip
async def test_missing_driver_names_the_extra_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, library: str, extra: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    journal = SQLJournal(address).for_account("a")
    with pytest.raises(InvalidSettingsError) as caught:
        await journal.open()

    assert f"needs {library}, which is not installed: pip install" in str(caught.value)
    assert f"[{extra}]" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [TypeError("unexpected argument"), ValueError("bad")])
@pytest.mark.usefixtures("no_second_try")
async def test_whatever_connecting_raises_is_an_error_of_the_journal(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("asyncpg.connect", fail)
    found = await opening_fails(postgres.url)

    assert found.text == f"the database cannot be connected to: {type(error).__name__}"


@pytest.mark.asyncio
async def test_timeout_says_what_was_waited_for(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("asyncpg.connect", fail)
    monkeypatch.setattr("smmfanfast_async.journal.sql.database.DEADLINE_S", 0.0)
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    found = await opening_fails(postgres.url)

    assert "accepted no connection in time" in found.text
