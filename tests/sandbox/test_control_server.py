"""The control API over HTTP: who may use it, its bounds, its streams, and the files of the page."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from smmfanfast_async.sandbox import Sandbox, control_server
from smmfanfast_async.sandbox.control_server import (
    API_PATH,
    HEADERS,
    MAX_CONTROL_BODY_BYTES,
    MAX_KEPT_ERRORS,
    PAGE_FILES,
    PAGE_FOLDER,
)

from .calls import ask

DEADLINE_S = 60.0


@asynccontextmanager
async def controlled(**settings: Any) -> AsyncIterator[tuple[Sandbox, aiohttp.ClientSession]]:
    """A sandbox with a control API, and a session that has its token."""
    async with Sandbox(**{"speed": 0, "control": True, **settings}) as panel:
        headers = {"Authorization": f"Bearer {panel.control_token}"}
        async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(DEADLINE_S):
            yield panel, session


async def status_of(
    session: aiohttp.ClientSession, url: str, method: str = "GET", **arguments: Any
) -> tuple[int, Any]:
    async with session.request(method, url, **arguments) as answer:
        return answer.status, await answer.json()


async def read_state(answer: aiohttp.ClientResponse) -> Any:
    """Return the next state of a stream."""
    while True:
        line = (await answer.content.readline()).decode()
        assert line, "the stream ended"
        if line.startswith("data: "):
            return json.loads(line.removeprefix("data: "))


async def ends(answer: aiohttp.ClientResponse) -> bool:
    """Read a stream to its end, which may be an aborted connection."""
    with suppress(aiohttp.ClientError):
        await answer.read()
    return True


@pytest.mark.asyncio
async def test_commands_and_readings_are_json() -> None:
    async with controlled() as (panel, session):
        status, state = await status_of(
            session, f"{panel.control_url}/advance", "POST", json={"seconds": 90}
        )
        assert (status, state["now_s"], panel.now_s) == (200, 90, 90)

        await ask(panel, "add", service="5", link="https://x.com/a", quantity="1000")
        assert (await status_of(session, f"{panel.control_url}/orders/1"))[1]["status"] == "pending"
        found = await status_of(session, f"{panel.control_url}/orders?status=open&limit=1")
        assert found[1]["total"] == 1
        assert (await status_of(session, panel.control_url))[1]["version"] == 1


@pytest.mark.asyncio
async def test_amounts_of_commands_are_exact() -> None:
    async with controlled() as (panel, session):
        for body in (b'{"service": 5, "rate": 0.1}', b'{"service": 5, "rate": "0.10"}'):
            status, _ = await status_of(
                session, f"{panel.control_url}/change_rate", "POST", data=body,
                headers={"Content-Type": "application/json"},
            )  # fmt: skip
            assert (status, f"{panel.services['5'].rate:.30f}".rstrip("0")) == (200, "0.1")


@pytest.mark.asyncio
async def test_command_without_arguments_needs_no_body() -> None:
    async with controlled() as (panel, session):
        assert (await status_of(session, f"{panel.control_url}/finish_all", "POST"))[0] == 200
        assert panel.now_s == 6 * 3600


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["", "/state", "/events", "/orders/1", "/nothing"])
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {}", "{}", "Bearer {}x", "Bearer x{}"],
)
async def test_without_the_token_nothing_is_answered(
    path: str, authorization: str | None
) -> None:  # fmt: skip
    async with controlled() as (panel, _), aiohttp.ClientSession() as stranger:
        headers = {}
        if authorization is not None:
            headers["Authorization"] = authorization.format(panel.control_token)
        status, answer = await status_of(stranger, panel.control_url + path, headers=headers)
        assert (status, list(answer)) == (401, ["error"])
        assert panel.control_token not in str(answer)

        status, _ = await status_of(
            stranger, f"{panel.control_url}/advance", "POST", json={"seconds": 9}, headers=headers
        )
        assert (status, panel.now_s) == (401, 0)


@pytest.mark.asyncio
async def test_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(sent: bytes, own: bytes) -> bool:
        compared.append((sent, own))
        return sent == own

    monkeypatch.setattr(control_server.hmac, "compare_digest", compare)
    async with controlled() as (panel, session):
        headers = {"Authorization": "Bearer x"}
        assert (await status_of(session, panel.control_url, headers=headers))[0] == 401
        assert compared == [(b"x", panel.control_token.encode())]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "example.com"},
        {"Host": "example.com:{port}"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.example.com:{port}"},
        {"Origin": "http://example.com"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_other_sites_get_nothing_even_with_the_token(headers: dict[str, str]) -> None:
    """A name bound to 127.0.0.1 (DNS rebinding), another site (CSRF), another local server."""
    async with controlled(console=True) as (panel, session):
        port = panel.control_url.split(":")[2].split("/")[0]
        sent = {name: value.format(port=port) for name, value in headers.items()}
        for path in ("/state", "/events", "/orders"):
            assert (await status_of(session, panel.control_url + path, headers=sent))[0] == 403
        page = panel.control_url.removesuffix(API_PATH)
        assert (await status_of(session, f"{page}/app.js", headers=sent))[0] == 403
        status, _ = await status_of(
            session, f"{panel.control_url}/advance", "POST", json={"seconds": 9}, headers=sent
        )
        assert (status, panel.now_s) == (403, 0)


@pytest.mark.asyncio
async def test_names_of_this_machine_are_answered() -> None:
    async with controlled() as (panel, session):
        port = panel.control_url.split(":")[2].split("/")[0]
        for name in ("localhost", "127.0.0.1", "[::1]"):
            headers = {
                "Host": f"{name}:{port}",
                "Origin": f"http://{name}:{port}",
                "Sec-Fetch-Site": "same-origin",
            }
            assert (await status_of(session, panel.control_url, headers=headers))[0] == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"seconds=9", "application/x-www-form-urlencoded", 415),
        (b'{"seconds": 9}', "text/plain", 415),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"null", "application/json", 400),
        (b'{"seconds": NaN}', "application/json", 400),
        (b'{"seconds": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"seconds": 9, "x": "' + b"x" * MAX_CONTROL_BODY_BYTES + b'"}', "application/json", 413),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_bodies_that_are_no_arguments_are_refused(
    body: bytes, content_type: str, status: int
) -> None:
    async with controlled() as (panel, session):
        answered, answer = await status_of(
            session, f"{panel.control_url}/advance", "POST", data=body,
            headers={"Content-Type": content_type},
        )  # fmt: skip
        assert (answered, list(answer), panel.now_s) == (status, ["error"], 0)


@pytest.mark.asyncio
async def test_body_that_does_not_arrive_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "READ_TIMEOUT_S", 0)
    async with controlled() as (panel, session):

        async def never() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

        status, _ = await status_of(
            session, f"{panel.control_url}/advance", "POST", data=never(),
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert status == 408


@pytest.mark.asyncio
async def test_corrupt_body_is_refused() -> None:
    async with controlled() as (panel, _):
        port = int(panel.control_url.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = (
            f"POST {API_PATH}/advance HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {panel.control_token}\r\nContent-Type: application/json\r\n"
            "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n"
        )
        writer.write(head.encode() + b"oops")
        assert b" 400 " in await reader.readline()
        writer.close()
        await writer.wait_closed()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("POST", "/nothing", 404), ("PUT", "/state", 405),
     ("DELETE", "/orders/1", 405), ("GET", "/orders/1/2", 404), ("GET", "/orders/9", 404)],
)  # fmt: skip
async def test_errors_are_json(method: str, path: str, status: int) -> None:
    async with controlled() as (panel, session):
        answered, answer = await status_of(session, panel.control_url + path, method)

        assert (answered, list(answer)) == (status, ["error"])


@pytest.mark.asyncio
async def test_stream_sends_the_state_when_it_changes() -> None:
    async with (
        controlled() as (panel, session),
        session.get(f"{panel.control_url}/events") as answer,
    ):
        assert answer.content_type == "text/event-stream"
        assert (await read_state(answer))["requests"]["total"] == 0
        await ask(panel, "balance")
        assert (await read_state(answer))["requests"]["total"] == 1
        panel.advance(5)
        assert (await read_state(answer))["now_s"] == 5


@pytest.mark.asyncio
async def test_state_that_did_not_change_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "EVENT_INTERVAL_S", 0.001)
    async with controlled() as (panel, session):
        server = panel._control
        assert server is not None
        read, looks = server._control.read, 0

        def count(*arguments: Any) -> Any:
            nonlocal looks
            looks += 1
            if looks == 5:
                panel.advance(5)
            return read(*arguments)

        monkeypatch.setattr(server._control, "read", count)
        async with session.get(f"{panel.control_url}/events") as answer:
            assert [(await read_state(answer))["now_s"] for _ in range(2)] == [0, 5]


@pytest.mark.asyncio
async def test_ten_pages_at_once_get_every_state() -> None:
    async with controlled() as (panel, session), AsyncExitStack() as stack:
        pages = [
            await stack.enter_async_context(session.get(f"{panel.control_url}/events"))
            for _ in range(10)
        ]
        for number in range(1, 4):
            panel.advance(1)
            for page in pages:
                while (await read_state(page))["revision"] < number:
                    pass


@pytest.mark.asyncio
async def test_streams_are_bounded_and_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "MAX_STREAMS", 1)
    monkeypatch.setattr(control_server, "EVENT_INTERVAL_S", 0.01)
    async with controlled(speed=1000) as (panel, session):
        async with session.get(f"{panel.control_url}/events") as answer:
            await read_state(answer)
            assert (await status_of(session, f"{panel.control_url}/events"))[0] == 503
            answer.close()
        status = 503
        while status == 503:
            async with session.get(f"{panel.control_url}/events") as answer:
                status = answer.status
                answer.close()


@pytest.mark.asyncio
async def test_page_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "WRITE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(control_server, "EVENT_INTERVAL_S", 0)
    monkeypatch.setattr(control_server, "MAX_BUFFERED_BYTES", 1)
    async with controlled(speed=1000) as (panel, _):
        server = panel._control
        assert server is not None
        port = int(panel.control_url.split(":")[2].split("/")[0])
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.transport.pause_reading()
        writer.write(
            f"GET {API_PATH}/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {panel.control_token}\r\n\r\n".encode()
        )
        for is_open in (True, False):
            while bool(server._streams) is not is_open:  # noqa: ASYNC110  # a counter
                await asyncio.sleep(0.01)
        writer.transport.abort()


@pytest.mark.asyncio
async def test_close_ends_streams_and_a_new_start_keeps_address_and_token() -> None:
    panel = Sandbox(speed=0, control=True)
    with pytest.raises(RuntimeError, match="no URL before"):
        _ = panel.control_url
    async with panel:
        url, headers = panel.control_url, {"Authorization": f"Bearer {panel.control_token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{url}/events") as answer,
            asyncio.timeout(DEADLINE_S),
        ):
            await read_state(answer)
            await panel.close()
            await panel.close()
            assert await ends(answer)
        await panel.start()
        await panel.start()
        async with aiohttp.ClientSession(headers=headers) as session:
            assert panel.control_url == url
            assert (await status_of(session, url))[0] == 200


@pytest.mark.asyncio
async def test_port_in_use_stops_the_panel_again() -> None:
    async with controlled() as (panel, _):
        port = int(panel.control_url.split(":")[2].split("/")[0])
        other = Sandbox(control=True, control_port=port)
        with pytest.raises(OSError, match="address"):
            await other.start()
        assert "closed" in repr(other)


@pytest.mark.asyncio
async def test_sandbox_without_control_says_how_to_get_it() -> None:
    async with Sandbox() as panel:
        for name in ("control_url", "control_token", "console_url"):
            with pytest.raises(RuntimeError, match="create it with console=True"):
                getattr(panel, name)
        await ask(panel, "balance")
        assert panel.traffic == ()
    async with Sandbox(control=True) as panel:
        with pytest.raises(RuntimeError, match="console=True"):
            _ = panel.console_url
        await ask(panel, "balance")
        assert [each.action for each in panel.traffic] == ["balance"]


@pytest.mark.asyncio
async def test_errors_of_the_sandbox_itself_are_raised_at_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_arguments: object) -> None:
        raise LookupError("a bug")

    panel = Sandbox(speed=0, control=True)
    await panel.start()
    server = panel._control
    assert server is not None
    monkeypatch.setattr(server._control, "read", fail)
    headers = {"Authorization": f"Bearer {panel.control_token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for _ in range(MAX_KEPT_ERRORS + 1):
            async with session.get(f"{panel.control_url}/state") as answer:
                assert answer.status == 500
    with pytest.raises(ExceptionGroup, match="control API") as caught:
        await panel.close()

    assert len(caught.value.exceptions) == MAX_KEPT_ERRORS


@pytest.mark.asyncio
async def test_console_is_served_with_strict_headers(capsys: pytest.CaptureFixture[str]) -> None:
    async with controlled(console=True) as (panel, _), aiohttp.ClientSession() as browser:
        assert capsys.readouterr().out == f"Console of the sandbox: {panel.console_url}\n"
        address, _, token = panel.console_url.partition("#token=")
        assert token == panel.control_token
        for name, content_type in PAGE_FILES.items():
            path = "" if name == "index.html" else name
            async with browser.get(address + path) as answer:
                assert (answer.status, answer.content_type) == (200, content_type)
                assert await answer.read() == (PAGE_FOLDER / name).read_bytes()
                assert {key: answer.headers[key] for key in HEADERS} == dict(HEADERS)
        policy = HEADERS["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/page/app.js", "/../server.py", "/%2e%2e/server.py", "/x.js"])
async def test_no_other_file_is_served(path: str) -> None:
    async with controlled(console=True) as (panel, session):
        url = panel.control_url.removesuffix(API_PATH) + path
        assert (await status_of(session, url))[0] == 404


@pytest.mark.asyncio
async def test_control_without_console_serves_no_page() -> None:
    async with controlled() as (panel, session):
        url = panel.control_url.removesuffix(API_PATH)
        assert (await status_of(session, f"{url}/"))[0] == 404


def test_every_file_of_the_page_is_served() -> None:
    assert {each.name for each in PAGE_FOLDER.iterdir()} == set(PAGE_FILES)
    assert Path(control_server.__file__).parent in PAGE_FOLDER.parents
