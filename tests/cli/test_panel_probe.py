"""`doctor --panel`: a profile of a panel by calls that change nothing."""

import json
import os
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import Answer, Request, WireServer, reply

from smmfanfast_async import API_V2, SMMFANFAST, ErrorKind, Profile, Refusal
from smmfanfast_async.cli import _panel_facts as panel_facts
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import NETWORK, OK, REFUSED
from smmfanfast_async.cli._panel_facts import IMPOSSIBLE_IDS, Answers, collect_facts
from smmfanfast_async.cli._profile_toml import format_toml, to_table
from smmfanfast_async.cli._profiles import load_profile
from smmfanfast_async.errors import (
    InvalidSettingsError,
    NoResponseError,
    OrderNotFoundError,
    RefusedError,
)
from smmfanfast_async.orders import API_V2_ORDER_TYPES
from smmfanfast_async.results import Service
from smmfanfast_async.sandbox import Fault, Sandbox

KEY = "test-marker-key-of-doctor"
FIRST, SECOND = IMPOSSIBLE_IDS

OTHER = attrs.evolve(
    API_V2,
    name="other",
    action_names={"add": "create", "statuses": "multi", "balance": "profile", "services": "list"},
    field_names={"key": "token", "action": "method", "link": "url", "statuses.orders": "ids"},
    single_id_actions={"cancel"},
    replay_window_s=60,
    refusals=(Refusal("Saldo insuficiente", ErrorKind.FUNDS), *API_V2.refusals),
)
OWN = [
    OTHER,
    attrs.evolve(OTHER, request_format="json"),
    attrs.evolve(OTHER, request_format="get"),
    attrs.evolve(SMMFANFAST, name="one by one", ids_per_call=1, double_decodes=True),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("SMMFANFAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SMMFANFAST_API_KEY", KEY)
    return


async def run(*args: str) -> int:
    return int(await app.run_async(["doctor", "--panel", *args], result_action="return_value"))


def write_profile(path: Path, profile: Profile, url: str) -> Path:
    table = {"name": profile.name, "base_url": url} | to_table(profile)
    path.write_text(format_toml(table, [], {}, []))
    return path


def as_used(profile: Profile) -> dict[str, Any]:
    """Return the fields of a profile, without those that the panel has just told."""
    fields = attrs.asdict(profile, recurse=False)
    return {name: fields[name] for name in fields if name not in {"base_url", "order_types"}}


# --- the dialects and forms of the sandbox -------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("start", ["smmfanfast", "api-v2", None])
@pytest.mark.parametrize(("dialect", "expected"), [("standard", SMMFANFAST), ("api-v2", API_V2)])
async def test_dialect_is_found_whatever_the_profile_was(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    dialect: str,
    expected: Profile,
    start: str | None,
) -> None:
    async with Sandbox(api_key=KEY, dialect=dialect, speed=0, existing_orders=20) as panel:
        options = [] if start is None else ["--profile", start]
        assert await run("--base-url", panel.url, *options) == OK
        shown = capsys.readouterr()
        path = tmp_path / "panel.toml"
        path.write_text(shown.out)
        profile = load_profile(str(path))

    assert as_used(profile) == as_used(attrs.evolve(expected, name="127.0.0.1"))
    assert profile.base_url == panel.url
    assert profile.order_types == expected.order_types
    assert panel.requests == {"balance": 1, "services": 1, "status": 2}
    assert f"4 requests, none of which changes anything. Asked for orders {FIRST}" in shown.err
    for line in ("# - currency: USD", "which is recognized", "# - numbers: texts"):
        assert line in shown.out
    assert KEY not in shown.out + shown.err
    assert "1000.00" not in shown.out


@pytest.mark.asyncio
@pytest.mark.parametrize("own", OWN, ids=lambda own: f"{own.name} {own.request_format}")
async def test_profile_of_another_form_is_kept_and_printed_again_unchanged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, own: Profile
) -> None:
    async with Sandbox(api_key=KEY, profile=own, speed=0) as panel:
        path = write_profile(tmp_path / "first.toml", own, panel.url)
        assert await run("--profile", str(path)) == OK
        first = capsys.readouterr().out
        path = tmp_path / "second.toml"
        path.write_text(first)
        profile = load_profile(str(path))
        assert await run("--profile", str(path)) == OK
        assert capsys.readouterr().out == first

    assert as_used(profile) == as_used(own)
    assert profile.supports_order_type("default")
    assert set(panel.requests) == {"balance", "services", "status"}
    assert not panel.orders
    assert KEY not in first


@pytest.mark.asyncio
async def test_json_panel_and_its_name_for_several_ids_are_found(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    own = attrs.evolve(API_V2, request_format="json", action_names={"statuses": "multistatus"})
    async with Sandbox(api_key=KEY, profile=own, speed=0) as panel:
        assert await run("--base-url", panel.url) == OK
        path = tmp_path / "panel.toml"
        path.write_text(capsys.readouterr().out)
        assert await run("--profile", str(path), "--json") == OK

    assert as_used(load_profile(str(path))) == as_used(attrs.evolve(own, name="127.0.0.1"))
    assert "# The panel read no form." in path.read_text()
    assert json.loads(capsys.readouterr().out)["profile"]["request_format"] == "json"


@pytest.mark.asyncio
async def test_json_has_the_profile_what_was_found_and_what_was_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with Sandbox(api_key=KEY, dialect="api-v2", speed=0) as panel:
        assert await run("--base-url", panel.url, "--json") == OK
    shown = capsys.readouterr()
    result = json.loads(shown.out)

    assert tomllib.loads(result["toml"]) == result["profile"]
    assert result["profile"]["like"] == "api-v2"
    assert result["found"]["currency"] == "USD"
    assert any(each.startswith("refill") for each in result["not_found_out"])
    assert (result["suggestions"], result["requests"], shown.err) == ([], 4, "")


@pytest.mark.asyncio
async def test_wrong_key_is_an_error_and_prints_no_profile(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", "test-other")
    async with Sandbox(api_key=KEY, speed=0) as panel:
        assert await run("--base-url", panel.url) == REFUSED
    shown = capsys.readouterr()

    assert shown.out == ""
    assert "User Not Found" in shown.err
    assert panel.request_count == 2  # as a form and as JSON, and never by GET


@pytest.mark.asyncio
async def test_panel_that_takes_get_only_is_not_asked_by_get(
    capsys: pytest.CaptureFixture[str],
) -> None:
    own = attrs.evolve(API_V2, request_format="get")
    async with Sandbox(api_key=KEY, profile=own, speed=0) as panel:
        assert await run("--base-url", panel.url) == REFUSED

    assert 'put request_format = "get" into a file' in capsys.readouterr().err
    assert panel.request_count == 0


@pytest.mark.asyncio
async def test_unreachable_panel_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    async with Sandbox(api_key=KEY, speed=0) as panel:
        url = panel.url
    assert await run("--base-url", url) == NETWORK
    assert capsys.readouterr().out == ""


@pytest.mark.asyncio
async def test_key_file_of_others_causes_a_warning(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o644)
    async with Sandbox(api_key=KEY, speed=0) as panel:
        assert await run("--base-url", panel.url, "--key-file", str(path)) == OK

    assert "can be read by other users" in capsys.readouterr().err


@pytest.mark.asyncio
async def test_pause_that_the_panel_asks_for_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    async with Sandbox(api_key=KEY, speed=0) as panel:
        panel.fail_next(Fault.RATE_LIMIT, retry_after_s=0, action="balance")
        panel.fail_next(Fault.RATE_LIMIT, retry_after_s=0, action="status", times=4)
        assert await run("--base-url", panel.url, "--json") == OK
    result = json.loads(capsys.readouterr().out)

    assert panel.requests == {"balance": 2, "services": 1, "status": 4}
    assert any("text for an unknown order: " in each for each in result["not_found_out"])


# --- panels that answer otherwise ----------------------------------------------------------------


class ScriptedPanel(WireServer):
    """Answers by action; a callable gets the fields."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__(reply())
        self._answers = answers

    def answer_to(self, request: Request) -> Answer:
        fields = request.fields
        name = "several" if "orders" in fields else "one" if "order" in fields else ""
        answer = self._answers.get(name or fields.get("action", ""), {"error": "Invalid action"})
        return reply(answer if isinstance(answer, str) else json.dumps(answer))


BALANCE = {"balance": 12.5}
SERVICE = {"service": 1, "name": "a", "rate": 0.5, "min": 10, "max": "1,000", "type": "Default"}


@asynccontextmanager
async def examined(
    capsys: pytest.CaptureFixture[str], *args: str, **answers: Any
) -> AsyncIterator[tuple[dict[str, Any], ScriptedPanel]]:
    async with ScriptedPanel({"balance": BALANCE, "services": [SERVICE], **answers}) as panel:
        assert await run("--base-url", panel.url, "--json", *args) == OK
        yield json.loads(capsys.readouterr().out), panel


@pytest.mark.asyncio
async def test_text_that_is_not_recognized_is_only_suggested(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Listed, it would also prove that an order was not created."""
    text = f"Pedido {FIRST} no \x1b[1m\n existe"
    async with examined(capsys, one={"error": text}, several={"error": "x"}) as (result, _):
        pass
    path = tmp_path / "panel.toml"
    path.write_text(result["toml"])
    before = load_profile(str(path))
    lines = result["toml"].splitlines()
    path.write_text("\n".join([*lines[:-2], *(line.removeprefix("# ") for line in lines[-2:])]))
    after = load_profile(str(path))

    assert "not recognized" in result["found"]["unknown order"]
    assert "not_found" not in json.dumps(result["profile"])
    assert before.refusal_kind("Pedido 7 no [1m existe") is None
    assert after.refusal_kind("Pedido 7 no [1m existe") is ErrorKind.NOT_FOUND


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["sin {orden}", "x" * 500])
async def test_text_that_no_profile_can_have_is_not_suggested(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    async with examined(capsys, one={"error": text}) as (result, _):
        assert result["suggestions"] == []
    assert any("none that a profile can have" in each for each in result["not_found_out"])


@pytest.mark.asyncio
async def test_panel_that_takes_one_id_gets_one_per_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = {"error": "Order ID is required parameter."}
    async with examined(capsys, one={"error": "Incorrect order ID"}, several=missing) as (
        result,
        panel,
    ):
        actions = [request.fields["action"] for request in panel.requests if "orders" in
                   request.fields]  # fmt: skip

    assert result["profile"]["ids_per_call"] == 1
    assert actions == ["status", "multi_status", "multistatus", "statuses"]
    assert "# The panel refused two ids in one call.\nids_per_call = 1\n" in result["toml"]


@pytest.mark.asyncio
async def test_one_error_for_both_ids_proves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    error = {"error": "Incorrect order ID"}
    async with examined(capsys, one=error, several=error) as (result, _):
        assert "ids_per_call" not in result["profile"]
    assert any("two unknown ones got" in each for each in result["not_found_out"])


@pytest.mark.asyncio
@pytest.mark.parametrize("several", [{}, [], ["x"], {"7": "x"}, [{"order": 7}]])
async def test_answer_without_the_ids_is_not_taken_for_one(
    capsys: pytest.CaptureFixture[str], several: object
) -> None:
    async with examined(capsys, several=several) as (result, _):
        assert any("an answer without the ids" in each for each in result["not_found_out"])


@pytest.mark.asyncio
async def test_list_of_named_answers_is_recognized(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"order": int(FIRST), "error": "no"}, {"order": SECOND, "error": "no"}]
    async with examined(capsys, several=rows) as (result, _):
        assert result["found"]["several ids"].endswith("unknown ones: objects")


@pytest.mark.asyncio
async def test_numbers_types_and_currency_that_are_unusual_are_reported(
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd = SERVICE | {"service": 2, "type": "New \x1b[31mType", "rate": "1.000,5"}
    untyped = {key: value for key, value in SERVICE.items() if key != "type"}
    services = [SERVICE, odd, untyped | {"service": 3}]
    async with examined(capsys, services=services) as (result, _):
        found, missing = result["found"], " ".join(result["not_found_out"])

    assert found["numbers"] == "both, such as 0.5"
    assert found["unusual numbers"] == "'1,000', '1.000,5'"
    assert found["order types"] == "1 known ones in 3 services"
    assert result["profile"]["order_types"] == ["default"]
    assert "'New \\x1b[31mType', 'none'" in missing
    assert "currency: the balance names none" in missing
    assert "\x1b" not in result["toml"]


@pytest.mark.asyncio
@pytest.mark.parametrize("services", ["<html>", []])
async def test_catalogue_that_says_nothing_leaves_the_types_of_the_dialect(
    capsys: pytest.CaptureFixture[str], services: Any
) -> None:
    async with examined(capsys, services=services) as (result, _):
        assert "order_types" not in result["profile"]
    assert any(each.startswith("order types: the ") for each in result["not_found_out"])


@pytest.mark.asyncio
@pytest.mark.parametrize("balance", [[], {"funds": 1}])
async def test_balance_without_a_balance_is_an_error(
    capsys: pytest.CaptureFixture[str], balance: object
) -> None:
    async with ScriptedPanel({"balance": balance}) as panel:
        assert await run("--base-url", panel.url) == REFUSED
    assert "has no balance" in capsys.readouterr().err


# --- facts ---------------------------------------------------------------------------------------

NOT_FOUND = OrderNotFoundError("Incorrect order ID")


def facts_of(started: Profile = SMMFANFAST, **answers: Any) -> panel_facts.Facts:
    given = {"balance": BALANCE, "services": (), "one": NOT_FOUND, "several": None} | answers
    return collect_facts(Answers(**given), started, is_builtin=True)


def test_contradicting_signs_keep_the_dialect_of_the_profile() -> None:
    facts = facts_of(several={FIRST: "Incorrect order ID"})

    assert "like" not in facts.keys
    assert facts.missing[0].startswith("dialect: the answers fit both")


def test_type_of_api_v2_decides_the_dialect() -> None:
    facts = facts_of(balance=BALANCE | {"status": "success"}, services=(Service(service="1",
                     type="Poll"),))  # fmt: skip

    assert facts.keys["like"] == "api-v2"
    assert not any(each.startswith("refill") for each in facts.missing)


def test_profile_of_this_panel_keeps_its_dialect() -> None:
    answers = Answers(balance=BALANCE, services=(), one=NOT_FOUND, several=None)

    assert "like" not in collect_facts(answers, OTHER, is_builtin=False).keys


def test_unknown_order_is_recognized_whatever_the_panel_calls_the_action() -> None:
    facts = facts_of(one=RefusedError("Order not found", action="order_status"))

    assert facts.found["unknown order"] == "'Order not found', which is recognized"


def test_order_in_place_of_an_error_is_not_shown() -> None:
    facts = facts_of(one={"status": "Completed", "charge": "77.7"})

    assert any("was answered without an error" in each for each in facts.missing)
    assert "77.7" not in str(facts)


def test_error_without_the_words_of_the_panel_is_not_its_text() -> None:
    facts = facts_of(one=NoResponseError("timed out"), several=RefusedError("x"))

    assert "unknown order" not in facts.found
    assert facts.suggestions == []


def test_service_that_is_cut_has_no_numbers() -> None:
    cut = Service(service="1", raw='{"rate": "1.02", "desc": "xx')

    assert facts_of(services=(cut, Service(service="2", raw="[]"))).found["numbers"] == (
        "JSON numbers"
    )


def test_impossible_ids_are_the_largest_numbers_of_64_bits() -> None:
    assert list(map(int, IMPOSSIBLE_IDS)) == [2**63 - 1, 2**63 - 2]


# --- TOML ----------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
CHANGES = st.fixed_dictionaries({}, optional={
    "ids_per_call": st.integers(1, 100),
    "calls_per_minute": st.integers(1, 100),
    "double_decodes": st.booleans(),
    "replay_window_s": st.sampled_from([60, 0.5, 1e-5, 3600.0]),
    "request_format": st.sampled_from(["form", "json", "get"]),
    "single_id_actions": st.frozensets(st.sampled_from(["refill", "cancel", "refill_status"])),
    "final_statuses": st.frozensets(TEXT.filter(str.strip)),
    "final_refill_statuses": st.frozensets(TEXT.filter(str.strip)),
    "order_types": st.frozensets(st.sampled_from(sorted(API_V2_ORDER_TYPES))),
    "delays_minutes": st.frozensets(st.integers(0, 100)),
    "action_names": st.just({"statuses": "multi_status"}),
    "field_names": st.just({"key": "token", "refill.order": "refill", "add.link": "url"}),
    "refusals": TEXT.filter(lambda text: any(map(str.isalnum, text)) and not {*"{}"} & {*text})
    .map(lambda text: (Refusal(text, ErrorKind.FUNDS), *API_V2.refusals)),
})  # fmt: skip


def test_none_of_a_field_is_kept_by_the_profile_that_it_is_like() -> None:
    """Apart from the missing limit it is closer to the other one, where TOML cannot express it."""
    names = {each.name for each in attrs.fields(Profile)} - {"calls_per_minute"}
    profile = attrs.evolve(SMMFANFAST, **{name: getattr(API_V2, name) for name in names if
                           getattr(API_V2, name) is not None})  # fmt: skip

    assert to_table(profile)["like"] == "smmfanfast"


@given(changes=CHANGES, comment=st.text())
def test_written_profile_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any], comment: str
) -> None:
    try:
        profile = attrs.evolve(API_V2, name='q"\\\x7f', **changes)
    except InvalidSettingsError:
        return
    path = tmp_path_factory.getbasetemp() / "round.toml"
    table = {"name": profile.name, "base_url": profile.base_url} | to_table(profile)
    text = format_toml(table, [comment], {"name": comment}, [comment])
    path.write_bytes(text.encode())

    assert load_profile(str(path)) == profile
    assert tomllib.loads(text) == table
