"""The marker: settings, unused faults, and errors in its arguments."""

from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]

WITH_UNUSED_FAULT = """
@pytest.mark.asyncio
@pytest.mark.smm_sandbox(faults=[{"fault": "empty", "action": "add", "times": 2}]%s)
async def test_user(smm_client):
    await smm_client.balance()
"""
UNUSED_FAULT_MESSAGE = "*ended without using these scripted faults: empty (times=2, action='add')*"


def test_settings_are_passed_to_the_sandbox(run: Run) -> None:
    result = run("""
@pytest.mark.asyncio
@pytest.mark.smm_sandbox(balance="5.25", currency="EUR", seed=3, existing_orders=4, speed=60)
async def test_user(smm_client, smm_sandbox):
    balance = await smm_client.balance()

    assert (balance.balance, balance.currency) == (Decimal("5.25"), "EUR")
    assert len(smm_sandbox.orders) == 4
    assert smm_sandbox.now_s > 0
""")

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize("balance", ["7", "'7'", "Decimal(7)"])
def test_balance_may_be_int_text_or_decimal(run: Run, balance: str) -> None:
    result = run(f"""
@pytest.mark.asyncio
@pytest.mark.smm_sandbox(balance={balance})
async def test_user(smm_sandbox):
    assert smm_sandbox.balance == Decimal(7)
""")

    result.assert_outcomes(passed=1)


def test_equal_seeds_give_equal_orders(run: Run) -> None:
    result = run("""
ORDERS = []

@pytest.mark.asyncio
@pytest.mark.parametrize("_", range(2))
@pytest.mark.smm_sandbox(seed=9)
async def test_user(smm_client, _):
    ORDERS.append((await smm_client.add(ORDER)).order)
    assert len(set(ORDERS)) == 1
""")

    result.assert_outcomes(passed=2)


def test_faults_are_used_in_order(run: Run) -> None:
    result = run("""
from smmfanfast_async import RateLimitError
from smmfanfast_async.sandbox import Fault, ScriptedFault

@pytest.mark.asyncio
@pytest.mark.smm_sandbox(
    fail_on_unused_faults=True,
    faults=[
        {"fault": "rate_limit", "times": 3, "retry_after_s": 0},
        "php_notice",
        Fault.PHP_NOTICE,
        ScriptedFault(fault=Fault.EMPTY, action="balance"),
    ],
)
async def test_user(smm_client, smm_sandbox):
    with pytest.raises(RateLimitError):
        await smm_client.balance()
    assert len(smm_sandbox.pending_faults) == 3
    for _ in range(3):
        await smm_client.balance()
    assert smm_sandbox.requests["balance"] == 7
""")

    result.assert_outcomes(passed=1)


def test_closest_marker_wins_for_each_argument(run: Run) -> None:
    result = run("""
pytestmark = [pytest.mark.asyncio, pytest.mark.smm_sandbox(balance=1, currency="EUR", seed=1)]

@pytest.mark.smm_sandbox(balance=2)
class TestUser:
    @pytest.mark.smm_sandbox(seed=2)
    async def test_user(self, smm_client, smm_sandbox):
        balance = await smm_client.balance()
        assert (balance.balance, balance.currency) == (2, "EUR")

async def test_other(smm_sandbox):
    assert smm_sandbox.balance == 1

async def test_without():
    pass
""")

    result.assert_outcomes(passed=3)


def test_unused_faults_are_allowed_by_default(run: Run) -> None:
    run(WITH_UNUSED_FAULT % "").assert_outcomes(passed=1)


@pytest.mark.parametrize(("marker", "ini"), [
    (", fail_on_unused_faults=True", ""),
    (", fail_on_unused_faults=True", "smm_fail_on_unused_faults = false"),
    ("", "smm_fail_on_unused_faults = true"),
])  # fmt: skip
def test_unused_fault_fails_the_test_if_enabled(run: Run, marker: str, ini: str) -> None:
    result = run(WITH_UNUSED_FAULT % marker, ini=ini)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([UNUSED_FAULT_MESSAGE])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_marker_overrides_the_ini_option(run: Run) -> None:
    source = WITH_UNUSED_FAULT % ", fail_on_unused_faults=False"

    run(source, ini="smm_fail_on_unused_faults = true").assert_outcomes(passed=1)


def test_fault_scripted_in_the_test_counts_too(run: Run) -> None:
    result = run("""
@pytest.mark.asyncio
async def test_user(smm_sandbox):
    smm_sandbox.fail_next("delay")
""", ini="smm_fail_on_unused_faults = true")  # fmt: skip

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*without using these scripted faults: delay (times=1, *"])


def test_failing_test_does_not_report_unused_faults(run: Run) -> None:
    result = run(
        WITH_UNUSED_FAULT % ", fail_on_unused_faults=True" + "    assert not 'what went wrong'\n"
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*assert not 'what went wrong'*"])
    result.stdout.no_fnmatch_line("*scripted faults*")


@pytest.mark.parametrize(("arguments", "message"), [
    ("'drop_after'", "smm_sandbox accepts only keyword arguments, not ('drop_after',)"),
    ("ballance=1", "smm_sandbox has no argument 'ballance'; use one of faults, *balance*"),
    ("balance='much'", "smm_sandbox: balance 'much' is not a number"),
    ("balance=0.1", "smm_sandbox: balance must be a Decimal, int or str, not 0.1"),
    ("api_key='live'", 'smm_sandbox: the api_key of a sandbox must start with "test-"'),
    ("faults='drop_after'", "smm_sandbox: faults must be a list, not 'drop_after'"),
    ("faults=7", "smm_sandbox: faults must be a list, not 7"),
    ("faults=['drop']", "smm_sandbox: 'drop' is not a fault; use one of delay, *drop_after*"),
    ("faults=[7]", "smm_sandbox: 7 is not a fault; use one of *"),
    ("faults=[{'action': 'add'}]", "smm_sandbox: {'action': 'add'} is not a fault; *"),
    ("faults=[{'fault': 'empty', 'time': 2}]", "smm_sandbox: *argument 'time'*"),
    ("faults=[{'fault': 'empty', 'times': 0}]", "smm_sandbox: 'times' must be >= 1: 0"),
])  # fmt: skip
def test_invalid_marker_is_reported_in_one_line(run: Run, arguments: str, message: str) -> None:
    result = run(f"""
@pytest.mark.asyncio
@pytest.mark.smm_sandbox({arguments})
async def test_user(smm_client): ...
""")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message.replace("[", "[[]")])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_marker_without_a_fixture_fails_the_test(run: Run) -> None:
    result = run("""
@pytest.mark.smm_sandbox(faults=["drop_after"])
def test_user(): ...
""")

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the marker smm_sandbox has no effect*"])


def test_pytest_lists_marker_fixtures_and_option(run: Run) -> None:
    markers = run("", "--markers").stdout
    fixtures = run("", "--fixtures").stdout
    settings = run("", "--help").stdout

    markers.fnmatch_lines(["@pytest.mark.smm_sandbox(?, faults=*fail_on_unused_faults=None*"])
    fixtures.fnmatch_lines(["smm_sandbox --*", "smm_profile --*", "smm_client --*", "smm_desk --*"])
    fixtures.no_fnmatch_line("_smm_*")
    settings.fnmatch_lines(["*smm_fail_on_unused_faults (bool):*"])
