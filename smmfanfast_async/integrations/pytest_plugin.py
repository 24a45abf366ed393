"""Fixtures for pytest: a panel on loopback that a bot can be tested against, lost answers and all.

Pytest loads this room by itself (entry point `pytest11`). Loading it loads pytest alone; client,
sandbox and journal follow when a test first asks for their fixture.

How this works: the three fixtures are plain functions, and what they give is opened and closed by
hidden async fixtures, one for every event loop that a test can run in: those that pytest-asyncio
has by its loop scopes, and anyio's. A fixture looks at its test, sees which plugin runs it and in
which loop, and asks for the hidden one that lives there. So a client is always on the loop of its
test, in strict mode as in auto mode, and neither plugin has to be installed for the other.
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
"""The loops that pytest-asyncio can run a test in, by its own words."""

ASYNCIO_PLUGINS = ("asyncio", "pytest_asyncio", "pytest_asyncio.plugin")
"""Names that pytest-asyncio is loaded under: by itself, or by `-p`."""

POLL_INTERVAL_S = 0.01
"""Seconds between two looks of `wait`, `watch` and `follow`: a test steps the panel's clock, and
should not wait for the client's."""

RETRY_DELAY_S = 0.02
"""The longest pause in seconds before a call is repeated, unless the panel asks for more."""

MARKER = "smm_sandbox"
INI = "smm_fail_on_unused_faults"
_MARKER_ARGUMENTS = ("faults", "fail_on_unused_faults")

_MARKER_HELP = """\
smm_sandbox(*, faults=[], fail_on_unused_faults=None, **settings): \
make the panel of smm_sandbox, smm_client and smm_desk to measure. `settings` are those of \
smmfanfast_async.sandbox.Sandbox (balance, seed, speed, services, ...); the clock stands still \
(speed=0) unless told otherwise. `faults` are scripted before the test: each is a fault's name, a \
dict of the arguments of Sandbox.fail_next, or a ScriptedFault. With fail_on_unused_faults=True a \
test fails that ends before all scripted faults were met (ini: smm_fail_on_unused_faults). On a \
class or a module it holds for every test; each argument is taken from the closest marker that has \
it. Example: \
@pytest.mark.smm_sandbox(balance="5.00", faults=[{"fault": "drop_after", "action": "add"}])"""

_PANEL_KEY: pytest.StashKey["Sandbox"] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the setting `smm_fail_on_unused_faults`."""
    parser.addini(
        INI,
        "fail tests that leave a fault unused that was scripted for smm_sandbox",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the hidden fixtures for the async plugins that are there."""
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
    """Fail a test that passed without what its marker promised."""
    result = yield
    panel = item.stash.get(_PANEL_KEY, None)
    if panel is None:
        if any(marker.name == MARKER for marker in item.own_markers):
            _fail(f"the marker {MARKER} does nothing: the test asks for no fixture of the panel")
    elif panel.pending_faults and _requires_all_faults(item):
        waiting = ", ".join(
            f"{each.fault} (times={each.times}, action={each.action!r})"
            for each in panel.pending_faults
        )
        _fail(f"the test ended before these scripted faults were met: {waiting}")
    return result


@pytest.fixture
def smm_sandbox(request: pytest.FixtureRequest) -> "Sandbox":
    """Give a panel on loopback, for this test alone: smmfanfast_async.sandbox.Sandbox.

    It keeps orders and money, and fails when told to. Its clock stands still: `advance(seconds)`
    and `finish_all()` step it. `orders` is the truth, whatever the client was told::

        @pytest.mark.asyncio
        async def test_a_lost_answer_is_not_ordered_again(smm_sandbox):
            smm_sandbox.fail_next("drop_after", action="add")  # accepted, the answer is lost

            await my_bot.buy(smm_sandbox.url, smm_sandbox.api_key)

            assert len(smm_sandbox.orders) == 1

    More to tell it: `fail_next("rate_limit", times=3, retry_after_s=0)`, `fail_at_rate(...)`,
    `change_rate(5, Decimal("0.90"))` for a price that goes up, `set_status(order, "canceled")`.
    The marker `smm_sandbox` makes it to measure (`pytest --markers`).
    """
    request.node.stash[_PANEL_KEY] = _create_panel(request.node)
    panel: Sandbox = _open_fixture(request)
    return panel


@pytest.fixture
def smm_profile(request: pytest.FixtureRequest) -> "Profile":
    """Give the profile of smm_client: that of what smm_sandbox speaks, without a pace.

    A fixture of yours with this name goes before it, for a panel of your own.
    """
    import attrs  # noqa: PLC0415  # pytest starts without it

    from ..profile import API_V2, SMMFANFAST  # noqa: PLC0415  # and without ours

    dialect = _merge_markers(request.node).get("dialect", "standard")
    return attrs.evolve(API_V2 if dialect == "api-v2" else SMMFANFAST, calls_per_minute=None)


@pytest.fixture
def smm_client(
    request: pytest.FixtureRequest,
    smm_sandbox: "Sandbox",  # noqa: ARG001  # the hidden fixture asks for both
    smm_profile: "Profile",  # noqa: ARG001
) -> "Client":
    """Give a client of the panel smm_sandbox: smmfanfast_async.Client.

    It repeats and looks again within hundredths of a second; all else is as in production::

        @pytest.mark.asyncio
        async def test_the_end_is_told(smm_client, smm_sandbox):
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
    smm_client: "Client",  # noqa: ARG001  # the hidden fixture asks for it
) -> "OrderDesk":
    """Give a desk on smm_client that places once: smmfanfast_async.desk.OrderDesk.

    Its journal is the SQLite file `tmp_path / "orders.db"`, and needs the extra `journal`; a second
    desk on the same file is the bot after a restart::

        @pytest.mark.asyncio
        @pytest.mark.smm_sandbox(faults=[{"fault": "drop_after", "action": "add"}])
        async def test_a_second_tap_orders_nothing(smm_desk, smm_sandbox):
            order = DefaultOrder(service=5, link="https://t.me/example/1", quantity=1000)
            await smm_desk.place(order, ref="invoice-17")
            await smm_desk.place(order, ref="invoice-17")

            assert len(smm_sandbox.orders) == 1
    """
    for module in ("smmfanfast_async.journal.sql", "aiosqlite"):
        try:
            import_module(module)
        except ImportError as error:
            _fail(f'smm_desk keeps a journal: pip install "smmfanfast_async[journal]" ({error})')
    desk: OrderDesk = _open_fixture(request)
    return desk


def _fixture_functions() -> dict[str, Callable[..., AsyncIterator[object]]]:
    """Give functions that open and close what the fixtures give, new ones for each loop."""

    async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator["Sandbox"]:
        async with request.node.stash[_PANEL_KEY] as panel:
            yield panel

    async def client(smm_sandbox: "Sandbox", smm_profile: "Profile") -> AsyncIterator["Client"]:
        from ..client import Client  # noqa: PLC0415  # pytest starts without aiohttp

        key, url = smm_sandbox.api_key, smm_sandbox.url
        async with Client(key, profile=smm_profile, base_url=url, **_short_intervals()) as made:
            yield made

    async def desk(smm_client: "Client", tmp_path: Path) -> AsyncIterator["OrderDesk"]:
        from ..desk import OrderDesk  # noqa: PLC0415  # pytest starts without aiohttp
        from ..journal.sql import SQLJournal  # noqa: PLC0415  # and without SQLAlchemy

        journal = SQLJournal(f"sqlite+aiosqlite:///{(tmp_path / 'orders.db').as_posix()}")
        async with OrderDesk(smm_client, journal, **_short_intervals()) as made:
            yield made

    return {"smm_sandbox": sandbox, "smm_client": client, "smm_desk": desk}


def _short_intervals() -> dict[str, Any]:
    """Give the settings of a client and a desk that do not let a test wait."""
    from .._engine.policy import PollPolicy, RetryPolicy  # noqa: PLC0415  # pytest starts without attrs

    return {
        "retry": RetryPolicy(base_delay_s=RETRY_DELAY_S, max_delay_s=RETRY_DELAY_S),
        "poll": PollPolicy(min_interval_s=POLL_INTERVAL_S, max_interval_s=POLL_INTERVAL_S),
    }


def _asyncio_plugin(config: pytest.Config) -> Any:
    """Give pytest-asyncio if it is active, None if it is not."""
    found = (config.pluginmanager.get_plugin(name) for name in ASYNCIO_PLUGINS)
    return next((plugin for plugin in found if plugin is not None), None)


def _open_fixture(request: pytest.FixtureRequest) -> Any:
    """Give what the hidden fixture makes that has the public one's name and the test's loop."""
    return request.getfixturevalue(f"_{request.fixturename}_{_find_loop(request)}")


def _find_loop(request: pytest.FixtureRequest) -> str:
    """Say in which loop the test runs: a loop scope of pytest-asyncio, or "anyio"."""
    item, config = request.node, request.config
    if not _is_async(getattr(item, "function", None)):
        _fail(f"{request.fixturename} needs the event loop of an async test: write `async def`")
    marker = None if _asyncio_plugin(config) is None else item.get_closest_marker("asyncio")
    is_anyio = "anyio_backend" in request.fixturenames
    if marker is not None and is_anyio:
        _fail("both pytest-asyncio and anyio would run this test: leave it to one of them")
    if marker is not None:
        scope: str | None = marker.kwargs.get("loop_scope") or marker.kwargs.get("scope")
        return scope or str(config.getini("asyncio_default_test_loop_scope"))
    if not is_anyio:
        _fail(
            f"{request.fixturename} needs a test that pytest-asyncio or anyio runs: install one, "
            "and mark the test with @pytest.mark.asyncio or @pytest.mark.anyio"
        )
    backend = request.getfixturevalue("anyio_backend_name")
    if backend != "asyncio":
        _fail(f"{request.fixturename} runs on asyncio, and anyio_backend is {backend!r}")
    return "anyio"


def _is_async(function: object) -> bool:
    # Hypothesis puts a plain function around the coroutine that a plugin runs.
    inner = getattr(getattr(function, "hypothesis", None), "inner_test", function)
    return inspect.iscoroutinefunction(inner)


def _create_panel(item: pytest.Item) -> "Sandbox":
    """Make the panel that the markers of a test describe, its faults scripted."""
    from ..sandbox import Sandbox  # noqa: PLC0415  # pytest starts without aiohttp

    arguments = _merge_markers(item)
    known = inspect.signature(Sandbox).parameters
    settings: dict[str, Any] = {"speed": 0.0}
    for name, value in arguments.items():
        if name in known:
            settings[name] = value
        elif name not in _MARKER_ARGUMENTS:
            _fail(
                f"{MARKER} has no argument {name!r}; it has {', '.join([*_MARKER_ARGUMENTS, *known])}"
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
    """Join the markers of a test, its module's first: the closest one has the last word."""
    arguments: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers(MARKER))):
        if marker.args:
            _fail(f"{MARKER} takes its arguments by name, not {marker.args!r}")
        arguments |= marker.kwargs
    return arguments


def _requires_all_faults(item: pytest.Item) -> bool:
    asked: bool | None = _merge_markers(item).get("fail_on_unused_faults")
    return bool(item.config.getini(INI) if asked is None else asked)


def _parse_balance(balance: object) -> Decimal:
    """Read an amount; a float is none, since it is not what was written."""
    try:
        if isinstance(balance, Decimal | str | int):
            return Decimal(balance)
    except InvalidOperation:
        raise ValueError(f"balance {balance!r} is not a number") from None
    raise TypeError(f"balance {balance!r} is no Decimal, int or text")


def _parse_faults(faults: Any) -> list[dict[str, Any]]:
    """Give the arguments of `Sandbox.fail_next` for each fault of a marker."""
    given: list[Any] = faults
    if not isinstance(given, list | tuple):
        raise TypeError(f"faults must be a list, not {faults!r}")
    return [_parse_fault(each) for each in given]


def _parse_fault(fault: Any) -> dict[str, Any]:
    """Take apart a name, a dict or a ScriptedFault; ValueError for what is none of them."""
    from ..sandbox import Fault, Sandbox, ScriptedFault  # noqa: PLC0415  # they load aiohttp

    if isinstance(fault, ScriptedFault):
        names = list(inspect.signature(Sandbox.fail_next).parameters)[1:]
        return {name: getattr(fault, name) for name in names}
    fields: dict[str, Any] = {"fault": fault} if isinstance(fault, str) else fault
    if not (isinstance(fields, dict) and fields.get("fault") in list(Fault)):
        raise ValueError(f"{fault!r} names no fault; there are {', '.join(Fault)}")
    return fields


def _fail(text: str) -> NoReturn:
    """End a test with one line that says what to change, without a traceback through this room."""
    pytest.fail(text, pytrace=False)
