"""Requests through proxies: sent once, proved not sent, and where a login is sent."""

import logging
import ssl
import traceback
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp_socks import ProxyConnector, ProxyError
from support.faults import FIN, FaultPanel, Plan, answer, free_port
from support.matrix import KEY, ORDER, chain_of, client_of, frames_of, hides_the_key, outcome_of
from support.proxies import LOGIN, PASSWORD, USER, HttpProxy, SocksProxy
from support.wire import WireServer, reply

from smmfanfast_async import (
    AddedOrder,
    Balance,
    Client,
    InvalidSettingsError,
    NotSentError,
    OutcomeUnknownError,
    PanelError,
    RetryPolicy,
)
from smmfanfast_async._wire import transport as transport_module

ONCE = RetryPolicy(max_attempts=1)
PLACES = Plan(stores=True, raw=answer('{"status":"success","order":ORDER}'))
FUNDS = '{"balance":"1"}'


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the proxies of this machine and use a .netrc of the test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SMMFANFAST_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").touch(mode=0o600)


def assert_login_hidden(error: BaseException, log: str = "") -> None:
    """Check that nothing an error shows contains the user, the password or their encoding."""
    shown = "".join(traceback.format_exception(error)) + log
    for each in chain_of(error):
        shown += f"{each} {each!r} {vars(each)} {list(frames_of(each))!r}"
    for secret in (USER, PASSWORD, LOGIN):
        assert secret not in shown


# --- an explicit proxy ---------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_order_is_sent_once_through_an_authenticated_proxy() -> None:
    async with HttpProxy() as proxy, FaultPanel(PLACES) as panel:
        async with client_of(panel, proxy=proxy.url()) as client:
            added = await client.add(ORDER)
            assert USER not in f"{client!r} {vars(client)} {vars(client._runner.transport)}"

        assert panel.ledger == {added.order: ORDER.link}
        assert len(proxy.heads) == panel.connections == 1


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@asynccontextmanager
async def tls_panel(
    authority: trustme.CA, plan: Plan
) -> AsyncIterator[tuple[FaultPanel, aiohttp.TCPConnector]]:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with FaultPanel(plan, tls=server) as panel:
        connector = aiohttp.TCPConnector(ssl=trusting)
        yield panel, connector
        await connector.close()


@pytest.mark.asyncio
async def test_order_is_sent_once_through_a_tunnel(authority: trustme.CA) -> None:
    async with HttpProxy() as proxy, tls_panel(authority, PLACES) as (panel, connector):
        options: dict[str, Any] = {"proxy": proxy.url(), "connector": connector}
        async with client_of(panel, **options) as client:
            added = await client.add(ORDER)

    assert panel.ledger == {added.order: ORDER.link}
    (head,) = proxy.heads
    assert head.startswith("CONNECT localhost:")
    assert KEY not in head


@pytest.mark.asyncio
@pytest.mark.parametrize("login", ["", f"{USER}:not-{PASSWORD}@"])
async def test_refused_login_is_not_sent_and_never_shown(
    authority: trustme.CA, login: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with HttpProxy() as proxy, tls_panel(authority, PLACES) as (panel, connector):
        options: dict[str, Any] = {"proxy": proxy.url(login), "connector": connector}
        async with client_of(panel, retry=ONCE, **options) as client:
            for call in (client.add(ORDER), client.balance()):
                error = await outcome_of(call)

                assert isinstance(error, NotSentError)
                assert "407" in error.text
                assert_login_hidden(error, caplog.text)
                hides_the_key(error)
    assert panel.connections == 0


@pytest.mark.asyncio
async def test_unreachable_proxy_is_not_sent_and_login_never_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = f"http://{USER}:{PASSWORD}@127.0.0.1:{free_port()}"
    async with FaultPanel(PLACES) as panel, client_of(panel, proxy=proxy, retry=ONCE) as client:
        error = await outcome_of(client.add(ORDER))

    assert isinstance(error, NotSentError)
    assert_login_hidden(error, caplog.text)


@pytest.mark.parametrize(("proxy", "why"), [
    (f"{USER}:{PASSWORD}@panel.example", "an http or https URL with a host"),
    (f"//{USER}:{PASSWORD}@panel.example:99999999", "is not a valid URL"),
    (f"ftp://{USER}:{PASSWORD}@panel.example", "an http or https URL with a host"),
    ("http://", "an http or https URL with a host"),
    (f"socks5://{USER}:{PASSWORD}@127.0.0.1:1", "ProxyConnector of aiohttp-socks"),
    (b"http://127.0.0.1:1", "is not a valid URL"),
])  # fmt: skip
def test_invalid_proxy_is_rejected_without_showing_it(
    proxy: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidSettingsError, match=why) as caught:
        Client(KEY, base_url="http://127.0.0.1:1/", proxy=proxy)

    assert_login_hidden(caught.value)


@pytest.mark.parametrize("options", [{"timeout_s": 0}, {"base_url": "http://panel.example/"}])
def test_no_frame_of_a_settings_error_has_the_proxy_login(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", KEY)
    monkeypatch.setenv("SMMFANFAST_PROXY", f"http://{USER}:{PASSWORD}@127.0.0.1:1")
    with pytest.raises(InvalidSettingsError) as caught:
        Client.from_env(**{"base_url": "http://127.0.0.1:1/"} | options)

    assert_login_hidden(caught.value)


# --- a proxy from the environment ----------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize(("trusts", "bypass", "goes"), [
    (True, "", True), (False, "", False), (True, "127.0.0.1", False),
])  # fmt: skip
async def test_environment_proxy_is_used_only_with_trust_env(
    monkeypatch: pytest.MonkeyPatch, bypass: str, *, trusts: bool, goes: bool
) -> None:
    async with HttpProxy() as proxy, FaultPanel(PLACES) as panel:
        monkeypatch.setenv("http_proxy", proxy.url())
        monkeypatch.setenv("no_proxy", bypass)
        async with client_of(panel, trust_env=trusts) as client:
            added = await client.add(ORDER)

    assert panel.ledger == {added.order: ORDER.link}
    assert proxy.connections == goes


@pytest.mark.asyncio
async def test_explicit_proxy_overrides_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with HttpProxy() as proxy, HttpProxy() as other, FaultPanel(PLACES) as panel:
        monkeypatch.setenv("http_proxy", other.url())
        async with client_of(panel, trust_env=True, proxy=proxy.url()) as client:
            await client.add(ORDER)

    assert (proxy.connections, other.connections) == (1, 0)


@pytest.mark.asyncio
async def test_refused_login_of_environment_proxy_is_never_shown(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with HttpProxy() as proxy, tls_panel(authority, PLACES) as (panel, connector):
        options: dict[str, Any] = {"trust_env": True, "connector": connector, "retry": ONCE}
        async with client_of(panel, **options) as client:
            for url in (
                proxy.url(f"{USER}:not-{PASSWORD}@"),
                f"http://{USER}:{PASSWORD}@127.0.0.1:1",
            ):
                monkeypatch.setenv("https_proxy", url)
                error = await outcome_of(client.add(ORDER))

                assert isinstance(error, NotSentError)
                assert_login_hidden(error, caplog.text)


NETRC = f"machine 127.0.0.1 login {USER} password {PASSWORD}\n"


async def head_at(server: WireServer, client: Client) -> str:
    """Return the request heads of a read and of an order."""
    await client.balance()
    await client.add(ORDER)
    return "".join(request.head for request in server.requests)


@asynccontextmanager
async def reading_panel() -> AsyncIterator[WireServer]:
    async with WireServer(reply(FUNDS), reply('{"order":1}')) as server:
        yield server


@pytest.mark.asyncio
async def test_aiohttp_itself_sends_a_netrc_login(tmp_path: Path) -> None:
    """If this fails, the middleware that removes the login is not needed any more."""
    (tmp_path / "netrc").write_text(NETRC)
    async with (
        reading_panel() as server,
        aiohttp.ClientSession(trust_env=True) as session,
        session.post(server.url, data=b"x"),
    ):
        pass

    assert f"Authorization: Basic {LOGIN}" in server.requests[0].head


@pytest.mark.asyncio
@pytest.mark.parametrize("given", ["nothing", "a session", "a session wrapper"])
async def test_netrc_login_is_not_sent_to_the_panel(tmp_path: Path, given: str) -> None:
    (tmp_path / "netrc").write_text(NETRC)
    async with reading_panel() as server, aiohttp.ClientSession(trust_env=True) as session:
        around: Any = SessionWrapper(session)
        options: dict[str, Any] = {
            "nothing": {"trust_env": True},
            "a session": {"session": session},
            "a session wrapper": {"session": around},
        }[given]
        async with Client(KEY, base_url=server.url, retry=ONCE, **options) as client:
            assert "Authorization" not in await head_at(server, client)
    assert len(server.requests) == 2


class SessionWrapper:
    """An object that is used like a session but is not one."""

    closed = False

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.post = session.post


def session_with_a_login(way: str) -> aiohttp.ClientSession:
    if way == "headers":
        return aiohttp.ClientSession(trust_env=True, headers={"Authorization": "mine"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of aiohttp 3.14, for aiohttp 4
        return aiohttp.ClientSession(trust_env=True, auth=aiohttp.BasicAuth("mine", "own"))


@pytest.mark.asyncio
@pytest.mark.parametrize("way", ["headers", "auth"])
async def test_login_of_a_given_session_is_kept(way: str) -> None:
    """A panel under development may be protected by one."""
    async with (
        reading_panel() as server,
        session_with_a_login(way) as session,
        Client(KEY, base_url=server.url, retry=ONCE, session=session) as client,
    ):
        assert (await head_at(server, client)).count("\r\nAuthorization: ") == 2


@pytest.mark.asyncio
async def test_netrc_login_is_used_for_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text(NETRC.replace("127.0.0.1", "localhost"))
    async with HttpProxy() as proxy, reading_panel() as server:
        monkeypatch.setenv("http_proxy", proxy.url("", "localhost"))
        async with Client(KEY, base_url=server.url, retry=ONCE, trust_env=True) as client:
            await head_at(server, client)

    assert all(f"Proxy-Authorization: Basic {LOGIN}" in head for head in proxy.heads)


@pytest.mark.asyncio
async def test_trust_env_is_rejected_with_a_given_session() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(InvalidSettingsError, match="trust_env applies to the client's own"):
            Client(KEY, base_url="http://127.0.0.1:1/", session=session, trust_env=True)


# --- SOCKS ---------------------------------------------------------------------------------------


@asynccontextmanager
async def through(url: str, panel: FaultPanel) -> AsyncIterator[Client]:
    connector = ProxyConnector.from_url(url)
    async with client_of(panel, connector=connector, retry=ONCE) as client:
        yield client
    await connector.close()


@pytest.mark.asyncio
async def test_order_is_sent_once_through_a_socks_proxy() -> None:
    async with SocksProxy() as proxy, FaultPanel(PLACES) as panel:
        async with through(proxy.url(), panel) as client:
            first, second = await client.add(ORDER), await client.add(ORDER)

        assert list(panel.ledger) == [first.order, second.order]
        assert proxy.targets == [("127.0.0.1", panel.port)] * 2
        assert proxy.connections == 2  # each order has a connection of its own


@pytest.mark.asyncio
async def test_reads_share_a_connection_through_a_socks_proxy() -> None:
    async with SocksProxy() as proxy, FaultPanel(Plan(raw=answer(FUNDS))) as panel:
        async with through(proxy.url(), panel) as client:
            assert isinstance(await client.balance(), Balance)
            assert isinstance(await client.balance(), Balance)

        assert proxy.connections == 1


REFUSALS: dict[str, Callable[[], tuple[SocksProxy, str]]] = {
    "not allowed": lambda: (SocksProxy(says=2), f"{USER}:{PASSWORD}@"),
    "unreachable": lambda: (SocksProxy(says=5), f"{USER}:{PASSWORD}@"),
    "wrong login": lambda: (SocksProxy(), f"{USER}:not-{PASSWORD}@"),
    "no login": lambda: (SocksProxy(), ""),
    "hangs up at hello": lambda: (SocksProxy(hangs_up="hello"), f"{USER}:{PASSWORD}@"),
    "hangs up at connect": lambda: (SocksProxy(hangs_up="connect"), f"{USER}:{PASSWORD}@"),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("witnesses", [1, 2])
async def test_refusal_by_a_socks_proxy_is_proved_not_sent(
    refusal: str,
    witnesses: int,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    if witnesses == 1:
        monkeypatch.setattr(transport_module, "_UPLOAD_TRACKER", None)
    socks, login = REFUSALS[refusal]()
    async with socks as proxy, FaultPanel(PLACES) as panel:
        async with through(proxy.url(login), panel) as client:
            for call in (client.add(ORDER), client.balance()):
                error = await outcome_of(call)

                assert isinstance(error, NotSentError)
                assert_login_hidden(error, caplog.text)
                hides_the_key(error)
        assert (panel.bodies, panel.bytes_seen) == ([], 0)


@pytest.mark.asyncio
async def test_unreachable_socks_proxy_is_proved_not_sent() -> None:
    async with FaultPanel(PLACES) as panel:
        url = f"socks5://{USER}:{PASSWORD}@127.0.0.1:{free_port()}"
        async with through(url, panel) as client:
            error = await outcome_of(client.add(ORDER))

    assert isinstance(error, NotSentError)
    assert_login_hidden(error)


@pytest.mark.asyncio
@pytest.mark.parametrize("cut", ["by the proxy", "by the panel"])
async def test_disconnect_after_the_body_leaves_outcome_unknown(cut: str) -> None:
    ends = cut == "by the panel"
    plan = Plan(stores=True, end=FIN) if ends else PLACES
    socks = SocksProxy() if ends else SocksProxy(hangs_up="request")
    async with socks as proxy, FaultPanel(plan) as panel:
        async with through(proxy.url(), panel) as client:
            unknown = await outcome_of(client.add(ORDER))

        assert len(panel.ledger) == len(panel.bodies) == 1
    assert isinstance(unknown, OutcomeUnknownError)
    assert_login_hidden(unknown)


@pytest.mark.asyncio
async def test_socks_error_after_the_body_proves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The witnesses decide, not the class."""

    async def broken(*args: object) -> bytes:
        raise ProxyError("unexpected")

    monkeypatch.setattr(transport_module, "read_body", broken)
    async with FaultPanel(PLACES) as panel, client_of(panel, retry=ONCE) as client:
        found: AddedOrder | PanelError = await outcome_of(client.add(ORDER))

    assert isinstance(found, OutcomeUnknownError)
    assert len(panel.ledger) == 1
