"""The test runners: pytest-asyncio in both modes and all its loops, anyio, or none."""

from collections.abc import Callable

import pytest

FAST_OPTIONS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")

Run = Callable[..., pytest.RunResult]

TEST = """
async def test_user(smm_desk, smm_client, smm_sandbox):
    await smm_desk.place(ORDER, ref="one")
    assert len(smm_sandbox.orders) == 1
"""


def test_auto_mode_needs_no_mark(run: Run) -> None:
    run(TEST, mode="auto").assert_outcomes(passed=1)


def test_strict_mode_needs_a_mark(run: Run) -> None:
    run("@pytest.mark.asyncio" + TEST).assert_outcomes(passed=1)

    result = run(TEST)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["smm_sandbox needs a test that pytest-asyncio or anyio runs:*"])


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
@pytest.mark.parametrize("source", ["marker", "ini"])
def test_fixtures_use_the_loop_of_the_test(run: Run, scope: str, source: str) -> None:
    marker, ini = f"(loop_scope='{scope}')", ""
    if source == "ini":
        marker, ini = "", f"asyncio_default_test_loop_scope = {scope}"

    run(f"@pytest.mark.asyncio{marker}{TEST}", ini=ini).assert_outcomes(passed=1)


def test_each_test_of_a_shared_loop_has_its_own_panel(run: Run) -> None:
    result = run("""
USED = []

@pytest.mark.parametrize("_", range(3))
@pytest.mark.asyncio(loop_scope="session")
async def test_user(smm_client, smm_sandbox, _):
    await smm_client.add(ORDER)
    assert len(smm_sandbox.orders) == 1
    USED.append((asyncio.get_running_loop(), smm_client))
    assert len({loop for loop, _ in USED}) == 1
    assert len({client for _, client in USED}) == len(USED)
""")

    result.assert_outcomes(passed=3)


def test_uvloop_is_supported(run: Run) -> None:
    result = run("""
import uvloop

@pytest.fixture
def anyio_backend():
    return "asyncio", {"use_uvloop": True}

@pytest.mark.anyio
async def test_user(smm_desk, smm_sandbox):
    await smm_desk.place(ORDER, ref="one")
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
    assert len(smm_sandbox.orders) == 1
""")

    result.assert_outcomes(passed=1)


def test_anyio_runs_them_on_asyncio(run: Run) -> None:
    result = run("""
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio""" + TEST)  # fmt: skip

    result.assert_outcomes(passed=1)


def test_anyio_is_enough_without_pytest_asyncio(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    pytester.makepyfile("""
import pytest

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_user(smm_client, anyio_backend):
    assert (await smm_client.balance()).balance == 1000
""")
    result = pytester.runpytest_inprocess("-p", "no:asyncio", *FAST_OPTIONS)

    result.assert_outcomes(passed=1)


def test_other_anyio_backends_are_refused(run: Run) -> None:
    result = run("""
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_user(smm_client, anyio_backend): ...
""")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["smm_sandbox supports only asyncio, but anyio_backend is 'trio'"])


def test_two_runners_of_one_test_are_refused(run: Run) -> None:
    result = run("""
@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio""" + TEST, mode="auto")  # fmt: skip

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["both pytest-asyncio and anyio would run this test:*"])


def test_missing_runner_error_says_what_to_install(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("async def test_user(smm_sandbox): ...")
    result = pytester.runpytest_inprocess("-p", "no:asyncio", "-p", "no:anyio", *FAST_OPTIONS)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["smm_sandbox needs a test that * runs: install one and*"])


@pytest.mark.parametrize("name", ["smm_sandbox", "smm_client", "smm_desk"])
def test_sync_test_error_says_what_to_change(run: Run, name: str) -> None:
    result = run(f"def test_user({name}): ...")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["smm_sandbox needs the event loop of an async test:*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_async_hypothesis_test_is_supported(run: Run) -> None:
    result = run("""
from hypothesis import HealthCheck, given, settings, strategies

@pytest.mark.asyncio
@settings(
    max_examples=3, database=None, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(number=strategies.integers())
async def test_user(smm_client, number):
    assert (await smm_client.balance()).balance == 1000
""")

    result.assert_outcomes(passed=1)
