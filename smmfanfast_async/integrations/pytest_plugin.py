"""Pytest fixtures: a simulated panel on loopback to test a bot against, including lost responses.

Pytest loads this module automatically (entry point `pytest11`). Loading it imports only pytest; the
client, sandbox and journal are imported when a test first requests their fixture.

How this works: the three fixtures are plain functions. The objects they return are opened and
closed by hidden async fixtures, one for every event loop in which a test can run: the loop scopes
of pytest-asyncio, and anyio's loop. A fixture inspects its test, determines which plugin runs it
and in which loop, and requests the hidden fixture of that loop. So a client always runs on the loop
of its test, in strict mode and in auto mode, and neither plugin has to be installed for the other.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Generator
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from ..client import Client
    from ..desk import OrderDesk
    from ..profile import Profile
    from ..sandbox import Sandbox

__all__ = [
    "pytest_addoption",
    "pytest_configure",
    "pytest_runtest_call",
    "smm_client",
    "smm_desk",
    "smm_profile",
    "smm_sandbox",
]

LOOP_SCOPES = ("function", "class", "module", "package", "session")
"""The loop scopes of pytest-asyncio."""

ASYNCIO_PLUGINS = ("asyncio", "pytest_asyncio", "pytest_asyncio.plugin")
"""Names under which pytest-asyncio may be registered: automatically, or by `-p`."""

POLL_INTERVAL_S = 0.01
"""Seconds between two polls of `wait`, `watch` and `follow`: a test advances the panel's clock and
should not wait for the client's."""

RETRY_DELAY_S = 0.02
"""The longest delay in seconds before a call is retried, unless the panel requests a longer one."""

MARKER = "smm_sandbox"
INI = "smm_fail_on_unused_faults"
_MARKER_ARGUMENTS = ("faults", "fail_on_unused_faults")

_MARKER_HELP = """\
smm_sandbox(*, faults=[], fail_on_unused_faults=None, **settings): \
configure the panel of smm_sandbox, smm_client and smm_desk. `settings` are the arguments of \
smmfanfast_async.sandbox.Sandbox (balance, seed, speed, services, ...); by default the clock does \
not run (speed=0). `faults` are scripted before the test: each is a fault's name, a dict of the \
arguments of Sandbox.fail_next, or a ScriptedFault. With fail_on_unused_faults=True a test fails \
if it ends before all scripted faults were used (ini: smm_fail_on_unused_faults). On a class or a \
module it applies to every test; each argument comes from the closest marker that sets it. \
Example: \
@pytest.mark.smm_sandbox(balance="5.00", faults=[{"fault": "drop_after", "action": "add"}])"""

_PANEL_KEY: pytest.StashKey["Sandbox"] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini option `smm_fail_on_unused_faults`."""
    parser.addini(
        INI,
        "fail tests that leave faults scripted for smm_sandbox unused",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the hidden fixtures for the installed async plugins."""
    config.addinivalue_line("markers", _MARKER_HELP)
    hidden = ModuleType("smmfanfast_async hidden fixtures")
    asyncio_plugin = _asyncio_plugin(config)
    if asyncio_plugin is not None:
        for scope in LOOP_SCOPES:
            for name, function in _fixture_functions().items():
                fixture = asyncio_plugin.fixture(loop_scope=scope, name=f"_{name}_{scope}")
                setattr(hidden, f"{name}_{scope}", fixture(function))
    for name, function in _fixture_functions().items():
        setattr(hidden, f"{name}_anyio", pytest.fixture(name=f"_{name}_anyio")(function))
    config.pluginmanager.register(hidden, "smmfanfast_hidden")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a passing test that did not use its marker or its scripted faults."""
    result = yield
    panel = item.stash.get(_PANEL_KEY, None)
    if panel is None:
        if any(marker.name == MARKER for marker in item.own_markers):
            _fail(f"the marker {MARKER} has no effect: the test uses no fixture of this plugin")
    elif panel.pending_faults and _requires_all_faults(item):
        unused = ", ".join(
            f"{each.fault} (times={each.times}, action={each.action!r})"
            for each in panel.pending_faults
        )
        _fail(f"the test ended without using these scripted faults: {unused}")
    return result


@pytest.fixture
def smm_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """Return a simulated panel on loopback, for one test: smmfanfast_async.sandbox.Sandbox.

    It stores orders and a balance, and fails as scripted. Its clock does not run:
    `advance(seconds)` and `finish_all()` advance it. `orders` shows the actual orders, whatever the
    client received::

        @pytest.mark.asyncio
        async def test_lost_response_is_not_ordered_again(smm_sandbox):
            smm_sandbox.fail_next("drop_after", action="add")  # accepted, the response is lost

            await my_bot.buy(smm_sandbox.url, smm_sandbox.api_key)

            assert len(smm_sandbox.orders) == 1

    Other controls: `fail_next("rate_limit", times=3, retry_after_s=0)`, `fail_at_rate(...)`,
    `change_rate(5, Decimal("0.90"))` for a price increase, `set_status(order, "canceled")`. The
    marker `smm_sandbox` configures it (`pytest --markers`).
    """
    request.node.stash[_PANEL_KEY] = _create_panel(request.node)
    panel: Sandbox = _open_fixture(request)
    return panel


@pytest.fixture
def smm_profile(request: pytest.FixtureRequest) -> "Profile":
    """Return the profile of smm_client: that of smm_sandbox, without a rate limit.

    Override it with a fixture of the same name to use a profile of your own.
    """
    import attrs  # noqa: PLC0415  # pytest starts without it

    from ..profile import API_V2, SMMFANFAST  # noqa: PLC0415  # and without this package

    arguments = _merge_markers(request.node)
    of_dialect = API_V2 if arguments.get("dialect") == "api-v2" else SMMFANFAST
    profile: Profile = arguments.get("profile", of_dialect)
    return attrs.evolve(profile, calls_per_minute=None)


@pytest.fixture
def smm_client(
    request: pytest.FixtureRequest,
    smm_sandbox: "Sandbox",  # noqa: ARG001  # the hidden fixture uses both
    smm_profile: "Profile",  # noqa: ARG001
) -> "Client":
    """Return a client of the panel smm_sandbox: smmfanfast_async.Client.

    It retries and polls within hundredths of a second; everything else is as in production::

        @pytest.mark.asyncio
        async def test_final_status_is_reported(smm_client, smm_sandbox):
            order = DefaultOrder(service=5, link="https://t.me/example/1", quantity=1000)
            added = await smm_client.add(order)
            smm_sandbox.set_status(added.order, "completed")

            assert (await smm_client.wait(added.order)).is_final
    """
    client: Client = _open_fixture(request)
    return client


@pytest.fixture
def smm_desk(
    request: pytest.FixtureRequest,
    smm_client: "Client",  # noqa: ARG001  # the hidden fixture uses it
) -> "OrderDesk":
    """Return a desk on smm_client that places each order once: smmfanfast_async.desk.OrderDesk.

    Its journal is the SQLite file `tmp_path / "orders.db"` and requires the extra `journal`; a
    second desk on the same file is the bot after a restart::

        @pytest.mark.asyncio
        @pytest.mark.smm_sandbox(faults=[{"fault": "drop_after", "action": "add"}])
        async def test_second_tap_orders_nothing(smm_desk, smm_sandbox):
            order = DefaultOrder(service=5, link="https://t.me/example/1", quantity=1000)
            await smm_desk.place(order, ref="invoice-17")
            await smm_desk.place(order, ref="invoice-17")

            assert len(smm_sandbox.orders) == 1
    """
    for module in ("smmfanfast_async.journal.sql", "aiosqlite"):
        try:
            import_module(module)
        except ImportError as error:
            _fail(
                'smm_desk needs a journal database: pip install "smmfanfast_async[journal]" '
                f"({error})"
            )
    desk: OrderDesk = _open_fixture(request)
    return desk


def _fixture_functions() -> dict[str, Callable[..., AsyncIterator[object]]]:
    """Return the functions behind the hidden fixtures, new ones for each loop."""

    async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator["Sandbox"]:
        async with request.node.stash[_PANEL_KEY] as panel:
            yield panel

    async def client(smm_sandbox: "Sandbox", smm_profile: "Profile") -> AsyncIterator["Client"]:
        from ..client import Client  # noqa: PLC0415  # pytest starts without aiohttp

        key, url = smm_sandbox.api_key, smm_sandbox.url
        async with Client(key, profile=smm_profile, base_url=url, **_short_intervals()) as opened:
            yield opened

    async def desk(smm_client: "Client", tmp_path: Path) -> AsyncIterator["OrderDesk"]:
        from ..desk import OrderDesk  # noqa: PLC0415  # pytest starts without aiohttp
        from ..journal.sql import SQLJournal  # noqa: PLC0415  # and without SQLAlchemy

        journal = SQLJournal(f"sqlite+aiosqlite:///{(tmp_path / 'orders.db').as_posix()}")
        async with OrderDesk(smm_client, journal, **_short_intervals()) as opened:
            yield opened

    return {"smm_sandbox": sandbox, "smm_client": client, "smm_desk": desk}


def _short_intervals() -> dict[str, Any]:
    """Return settings with which a client and a desk retry and poll without noticeable delays."""
    from .._engine.policy import PollPolicy, RetryPolicy  # noqa: PLC0415  # pytest starts without attrs

    return {
        "retry": RetryPolicy(base_delay_s=RETRY_DELAY_S, max_delay_s=RETRY_DELAY_S),
        "poll": PollPolicy(min_interval_s=POLL_INTERVAL_S, max_interval_s=POLL_INTERVAL_S),
    }


def _asyncio_plugin(config: pytest.Config) -> Any:
    """Return pytest-asyncio if it is active, otherwise None."""
    plugins = (config.pluginmanager.get_plugin(name) for name in ASYNCIO_PLUGINS)
    return next((plugin for plugin in plugins if plugin is not None), None)


def _open_fixture(request: pytest.FixtureRequest) -> Any:
    """Return the value of the hidden fixture for this public fixture and the loop of the test."""
    return request.getfixturevalue(f"_{request.fixturename}_{_find_loop(request)}")


def _find_loop(request: pytest.FixtureRequest) -> str:
    """Return the loop in which the test runs: a loop scope of pytest-asyncio, or "anyio"."""
    item, config = request.node, request.config
    if not _is_async(getattr(item, "function", None)):
        _fail(
            f"{request.fixturename} needs the event loop of an async test: "
            "define the test with `async def`"
        )
    marker = None if _asyncio_plugin(config) is None else item.get_closest_marker("asyncio")
    is_anyio = "anyio_backend" in request.fixturenames
    if marker is not None and is_anyio:
        _fail("both pytest-asyncio and anyio would run this test: mark it for only one of them")
    if marker is not None:
        scope: str | None = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
        return scope or str(config.getini("asyncio_default_test_loop_scope"))
    if not is_anyio:
        _fail(
            f"{request.fixturename} needs a test that pytest-asyncio or anyio runs: install one "
            "and mark the test with @pytest.mark.asyncio or @pytest.mark.anyio"
        )
    backend = request.getfixturevalue("anyio_backend_name")
    if backend != "asyncio":
        _fail(f"{request.fixturename} supports only asyncio, but anyio_backend is {backend!r}")
    return "anyio"


def _is_async(function: object) -> bool:
    # Hypothesis wraps the coroutine function that a plugin runs in a plain function.
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    return inspect.iscoroutinefunction(inner)


def _create_panel(item: pytest.Item) -> "Sandbox":
    """Create the panel that the markers of a test describe, with its faults scripted."""
    from ..sandbox import Sandbox  # noqa: PLC0415  # pytest starts without aiohttp

    arguments = _merge_markers(item)
    known = inspect.signature(Sandbox).parameters
    settings: dict[str, Any] = {"speed": 0.0}
    for name, value in arguments.items():
        if name in known:
            settings[name] = value
        elif name not in _MARKER_ARGUMENTS:
            _fail(
                f"{MARKER} has no argument {name!r}; "
                f"use one of {', '.join([*_MARKER_ARGUMENTS, *known])}"
            )
    try:
        if "balance" in settings:
            settings["balance"] = _parse_balance(settings["balance"])
        panel = Sandbox(**settings)
        for fault in _parse_faults(arguments.get("faults", ())):
            panel.fail_next(**fault)
    except (TypeError, ValueError) as error:
        _fail(f"{MARKER}: {error}")
    return panel


def _merge_markers(item: pytest.Item) -> dict[str, Any]:
    """Return the merged arguments of a test's markers; the closest marker takes precedence."""
    arguments: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(MARKER))):
        if marker.args:
            _fail(f"{MARKER} accepts only keyword arguments, not {marker.args!r}")
        arguments |= marker.kwargs
    return arguments


def _requires_all_faults(item: pytest.Item) -> bool:
    setting: bool | None = _merge_markers(item).get("fail_on_unused_faults")
    return bool(item.config.getini(INI) if setting is None else setting)


def _parse_balance(balance: object) -> Decimal:
    """Parse an amount; a float is refused because it is not exactly the value written."""
    try:
        if isinstance(balance, Decimal | str | int):
            return Decimal(balance)
    except InvalidOperation:
        raise ValueError(f"balance {balance!r} is not a number") from None
    raise TypeError(f"balance must be a Decimal, int or str, not {balance!r}")


def _parse_faults(faults: Any) -> list[dict[str, Any]]:
    """Return the arguments of `Sandbox.fail_next` for each fault of a marker."""
    entries: list[Any] = faults
    if not isinstance(entries, list | tuple):
        raise TypeError(f"faults must be a list, not {faults!r}")
    return [_parse_fault(each) for each in entries]


def _parse_fault(fault: Any) -> dict[str, Any]:
    """Return the `fail_next` arguments of a name, dict or ScriptedFault; ValueError for others."""
    from ..sandbox import Fault, Sandbox, ScriptedFault  # noqa: PLC0415  # they load aiohttp

    if isinstance(fault, ScriptedFault):
        names = list(inspect.signature(Sandbox.fail_next).parameters)[1:]
        return {name: getattr(fault, name) for name in names}
    fields: dict[str, Any] = {"fault": fault} if isinstance(fault, str) else fault
    if not (isinstance(fields, dict) and fields.get("fault") in list(Fault)):
        raise ValueError(f"{fault!r} is not a fault; use one of {', '.join(Fault)}")
    return fields


def _fail(text: str) -> NoReturn:
    """Fail a test with a one-line message and without a traceback through this module."""
    pytest.fail(text, pytrace=False)
