"""The fixtures: what they return, and that nothing is left open."""

import sys
from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]


def test_sandbox_is_a_panel_with_a_stopped_clock(run: Run) -> None:
    result = run("""
@pytest.mark.asyncio
async def test_user(smm_sandbox):
    from smmfanfast_async.sandbox import Sandbox

    assert isinstance(smm_sandbox, Sandbox)
    assert smm_sandbox.url.startswith("http://127.0.0.1:")
    assert smm_sandbox.now_s == 0
    smm_sandbox.advance(90)
    assert smm_sandbox.now_s == 90
""")

    result.assert_outcomes(passed=1)


def test_client_is_connected_to_the_sandbox_of_its_test(run: Run) -> None:
    result = run("""
@pytest.mark.asyncio
async def test_user(smm_client, smm_sandbox):
    added = await smm_client.add(ORDER)
    smm_sandbox.finish_all()

    assert list(smm_sandbox.orders) == [added.order]
    assert (await smm_client.wait(added.order)).is_final

@pytest.mark.asyncio
async def test_next(smm_sandbox):
    assert not smm_sandbox.orders
""")

    result.assert_outcomes(passed=2)


def test_panel_and_client_use_the_profile_of_the_marker(run: Run) -> None:
    result = run("""
import attrs
from smmfanfast_async import SMMFANFAST

OTHER = attrs.evolve(SMMFANFAST, request_format="json", field_names={"key": "token"})

@pytest.mark.asyncio
@pytest.mark.smm_sandbox(profile=OTHER)
async def test_user(smm_client, smm_sandbox):
    added = await smm_client.add(ORDER)
    assert list(smm_sandbox.orders) == [added.order]
    assert smm_client.profile == OTHER
""")

    result.assert_outcomes(passed=1)


def test_client_uses_the_profile_of_the_dialect(run: Run) -> None:
    result = run("""
import attrs
from smmfanfast_async import API_V2

@pytest.mark.asyncio
@pytest.mark.smm_sandbox(dialect="api-v2")
async def test_user(smm_client, smm_sandbox):
    added = await smm_client.add(ORDER)
    smm_sandbox.set_status(added.order, "completed")
    assert (await smm_client.refill(added.order)).order == added.order
    assert smm_client.profile.calls_per_minute is None

class TestOwn:
    @pytest.fixture
    def smm_profile(self):
        return attrs.evolve(API_V2, name="mine")

    @pytest.mark.asyncio
    async def test_user(self, smm_client):
        assert smm_client.profile.name == "mine"
""")

    result.assert_outcomes(passed=2)


def test_order_exists_after_a_lost_response(run: Run) -> None:
    result = run("""
from smmfanfast_async import OutcomeUnknownError

@pytest.mark.asyncio
async def test_user(smm_client, smm_sandbox):
    smm_sandbox.fail_next("drop_after", action="add")

    with pytest.raises(OutcomeUnknownError):
        await smm_client.add(ORDER)
    assert len(smm_sandbox.orders) == 1
""")

    result.assert_outcomes(passed=1)


def test_price_can_rise_between_quote_and_order(run: Run) -> None:
    result = run("""
@pytest.mark.asyncio
async def test_user(smm_client, smm_sandbox):
    catalogue = await smm_client.services()
    smm_sandbox.change_rate(5, Decimal("9.00"))
    await smm_client.add(ORDER)

    assert catalogue.quote(ORDER) < Decimal("9.00")
    assert 1000 - smm_sandbox.balance == Decimal("9.00")
""")

    result.assert_outcomes(passed=1)


def test_desk_stores_its_journal_in_tmp_path(run: Run) -> None:
    result = run("""
@pytest.mark.asyncio
@pytest.mark.smm_sandbox(faults=[{"fault": "drop_after", "action": "add"}])
async def test_user(smm_desk, smm_sandbox, tmp_path):
    entries = [await smm_desk.place(ORDER, ref="invoice-17") for _ in range(2)]

    assert [entry.state.name for entry in entries] == ["UNKNOWN", "UNKNOWN"]
    assert len(smm_sandbox.orders) == 1
    assert (tmp_path / "orders.db").exists()
""")

    result.assert_outcomes(passed=1)


def test_second_desk_on_the_file_knows_earlier_orders(run: Run) -> None:
    result = run("""
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.journal.sql import SQLJournal

@pytest.mark.asyncio
async def test_user(smm_desk, smm_client, smm_sandbox, tmp_path):
    before = await smm_desk.place(ORDER, ref="invoice-17")
    url = f"sqlite+aiosqlite:///{tmp_path / 'orders.db'}"
    async with OrderDesk(smm_client, SQLJournal(url)) as restarted:
        after = await restarted.place(ORDER, ref="invoice-17")

    assert after.order == before.order
    assert len(smm_sandbox.orders) == 1
""")

    result.assert_outcomes(passed=1)


def test_missing_database_driver_error_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    result = run("""
@pytest.mark.asyncio
async def test_user(smm_desk): ...
""")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(['*pip install "smmfanfast_async?journal?"*aiosqlite*'])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_user_fixtures_can_build_on_the_fixtures(run: Run) -> None:
    result = run("""
import aiohttp
import pytest_asyncio
from smmfanfast_async import Client

CALLS = []

async def record_call(session, context, params):
    CALLS.append(params.method)

@pytest.fixture
def smm_sandbox(smm_sandbox):
    smm_sandbox.remove_service(12)
    return smm_sandbox

@pytest_asyncio.fixture
async def smm_client(smm_sandbox):
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(record_call)
    async with Client(
        smm_sandbox.api_key, base_url=smm_sandbox.url, trace_configs=[trace]
    ) as client:
        yield client

@pytest_asyncio.fixture
async def placed(smm_desk):
    return await smm_desk.place(ORDER, ref="before")

@pytest.mark.asyncio
async def test_user(placed, smm_desk, smm_client, smm_sandbox):
    assert list(smm_sandbox.orders) == [placed.order]
    assert "12" not in smm_sandbox.services
    assert len(CALLS) == smm_sandbox.request_count > 0
""")

    result.assert_outcomes(passed=1)


def test_everything_is_closed_in_order_after_a_failure(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
import pytest

from smmfanfast_async import Client
from smmfanfast_async.desk import OrderDesk
from smmfanfast_async.sandbox import Sandbox

def print_on_close(close, name):
    async def closing(self):
        print("CLOSING", name)
        await close(self)
    return closing

@pytest.fixture(autouse=True)
def _print_closing(monkeypatch):
    for owner, name in ((OrderDesk, "aclose"), (Client, "aclose"), (Sandbox, "close")):
        monkeypatch.setattr(owner, name, print_on_close(getattr(owner, name), owner.__name__))
""")
    result = run("""
@pytest.mark.asyncio
async def test_user(smm_desk):
    assert False
""", "-s")  # fmt: skip

    result.assert_outcomes(failed=1)
    closed = [line.split()[-1] for line in result.outlines if "CLOSING" in line]
    assert closed == ["OrderDesk", "Client", "Sandbox"]


def test_no_task_socket_or_thread_is_left(run: Run) -> None:
    result = run("""
import gc
import socket
import threading

pytestmark = pytest.mark.asyncio(loop_scope="module")
PORTS = []

def sockets():
    open_sockets = [each for each in gc.get_objects() if type(each) is socket.socket]
    inet = [each for each in open_sockets if each.fileno() >= 0 and each.family == socket.AF_INET]
    return [each for each in inet if each.getsockname()[1] in PORTS]

def threads():
    return [each for each in threading.enumerate() if "aiosqlite" in repr(each).lower()]

async def test_first(smm_desk, smm_client, smm_sandbox):
    PORTS.append(int(smm_sandbox.url.split(":")[2].split("/")[0]))
    await smm_desk.place(ORDER, ref="first")
    smm_sandbox.fail_next("delay", action="status", delay_s=60)
    asyncio.current_task().hanging = asyncio.create_task(smm_client.status("1"))
    while not smm_sandbox.requests["status"]:
        await asyncio.sleep(0)

    assert len(asyncio.all_tasks()) > 2
    assert sockets()

async def test_next():
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert sockets() == []
    assert threads() == []
""")

    result.assert_outcomes(passed=2)
