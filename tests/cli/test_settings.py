"""Sources of the settings: options, environment, key files, profiles in TOML."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_args

import attrs
import pytest
import pytest_asyncio

from smmfanfast_async import API_V2, API_V2_ORDER_TYPES, SMMFANFAST, ErrorKind, Profile
from smmfanfast_async.cli import _options, _profiles
from smmfanfast_async.cli import _settings as settings
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import OK, REFUSED, USAGE
from smmfanfast_async.errors import InvalidSettingsError
from smmfanfast_async.refusal_texts import SPANISH, TURKISH
from smmfanfast_async.sandbox import Sandbox

NAMES = ("API_KEY", "API_KEY_FILE", "BASE_URL", "PROXY", "JOURNAL", "PROFILE", "PANELS")


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    for name in NAMES:
        monkeypatch.delenv(f"SMMFANFAST_{name}", raising=False)
    monkeypatch.setenv("COLUMNS", "300")
    async with Sandbox(speed=0) as sandbox:
        yield sandbox


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("test-key\n")
    path.chmod(0o600)
    return path


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


# --- profiles ------------------------------------------------------------------------------------


def test_completed_profiles_and_order_types_are_complete() -> None:
    assert get_args(_options.ProfileName) == tuple(_profiles.PROFILES)
    assert get_args(_options.OrderType) == tuple(API_V2_ORDER_TYPES)


def test_profile_example_of_the_docstring_loads(tmp_path: Path) -> None:
    path = tmp_path / "panel.toml"
    path.write_text((_profiles.__doc__ and _profiles.__doc__.split("::\n")[1]) or "")

    profile = _profiles.load_profile(str(path))

    assert (profile.name, profile.base_url) == ("mine", "https://panel.example/api/v2")
    assert profile.actions == {"add", "status", "services", "balance"}
    assert profile.order_types == {"default", "package"}
    assert profile.ignored_fields == {"expiry"}
    assert (profile.ids_per_call, profile.concurrency, profile.add_concurrency) == (50, 4, 1)
    assert (profile.calls_per_minute, profile.delays_minutes) == (60, {0, 5, 10})
    assert profile.double_decodes is False
    assert profile.is_final_status("fail")
    assert profile.refusal_kind("Saldo insuficiente.") is ErrorKind.FUNDS
    assert profile.refusals[1:] == (*API_V2.refusals, *SPANISH, *TURKISH)
    assert profile.refusal_kind("Yetersiz bakiye") is ErrorKind.FUNDS
    assert profile.request_format == "json"
    assert profile.action_names == (("statuses", "multi_status"),)
    assert profile.field_names == (("key", "token"), ("refill.order", "refill"))
    assert (profile.single_id_actions, profile.replay_window_s) == ({"cancel"}, 60)


def test_field_of_one_call_can_be_a_table_or_a_quoted_key(tmp_path: Path) -> None:
    found: list[tuple[tuple[str, str], ...]] = []
    for lines in ('"cancel.orders" = "ids"', 'cancel = {orders = "ids"}', 'cancel.orders = "ids"'):
        path = tmp_path / "panel.toml"
        path.write_text(f"[field_names]\n{lines}")
        found.append(_profiles.load_profile(str(path)).field_names)

    assert found == [(("cancel.orders", "ids"),)] * 3


def test_profile_file_can_set_every_profile_field() -> None:
    fields = {each.name for each in attrs.fields(Profile)}

    assert fields | {"languages", "like"} == set(_profiles._ProfileFile.__struct_fields__)


def test_profile_file_defaults_to_the_document(tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    path.write_text("ids_per_call = 7")

    profile = _profiles.load_profile(str(path))

    assert (profile.name, profile.ids_per_call) == ("few", 7)
    assert profile.refusals == SMMFANFAST.refusals


@pytest.mark.parametrize(("text", "message"), [
    ('like = "other"', "like = 'other': invalid enum value 'other', expected smmfanfast, api-v2"),
    ("like = []", "has like = []: expected `str`, got `array`"),
    ("speed = 3", "has an unknown key 'speed'; known are like, name, base_url"),
    ('api_key = "test-secret"', "has api_key: put the key into a file for --key-file"),
    ('name = " "', "has name = ' ': expected `str` matching regex"),
    ("name = 3", "has name = 3: expected `str`, got `int`"),
    ('base_url = "http://panel.example/"', "has base_url, which must use https"),
    ('base_url = ["https://me:secret@panel.example"]', "has base_url = …: expected `str`"),
    ('base_url = "https://me:secret@panel.example"', "base_url, which must not contain a user"),
    ("ids_per_call = 0", "has ids_per_call = 0: expected `int` >= 1"),
    ("concurrency = true", "has concurrency = True: expected `int`, got `bool`"),
    ('calls_per_minute = "60"', "has calls_per_minute = '60': expected `int`, got `str`"),
    ("double_decodes = 1", "has double_decodes = 1: expected `bool`, got `int`"),
    ("actions = 3", "has actions = 3: expected `array`, got `int`"),
    ('order_types = ["other"]', "invalid enum value 'other', expected default, package"),
    ("delays_minutes = [0, -1]", "has delays_minutes = [0, -1]: expected `int` >= 0"),
    ('languages = ["xx"]', "invalid enum value 'xx', expected ar, es, id, pt, ru, tr, vi"),
    ("refusals = 1", "has refusals = 1: expected `object`, got `int`"),
    ('[refusals]\nsoon = ["Wait"]', "invalid enum value 'soon', expected auth, duplicate"),
    ('[refusals]\nfunds = ["!"]', "has refusals.funds = '!' has a variant without a letter"),
    ('[refusals]\nfunds = ["a{b"]', "refusals.funds = 'a{b' has a brace without its"),
    ('request_format = "xml"', "invalid enum value 'xml', expected form, json, get"),
    ('single_id_actions = ["status"]', "enum value 'status', expected cancel, refill, refill_s"),
    ("replay_window_s = 0", "has replay_window_s = 0: expected `float` > 0"),
    ("replay_window_s = inf", "has replay_window_s = inf: expected `float` <= 3600"),
    ("[action_names]\nstatuses = 5", "has action_names = {'statuses': 5}: expected `str`"),
    ('[action_names]\norder = "x"', "has an invalid action_names: 'order' is not one of add"),
    ('[action_names]\nstatus = "add"', "status = 'add' is also the action of add"),
    ('[field_names]\nlnik = "url"', "has an invalid field_names: 'lnik' is not a field"),
    ('[field_names]\nrefill.link = "x"', "'refill.link': refill has no field 'link'"),
    ("name = ", "is not TOML: Invalid value (at "),
    ("ids_per_call = 10001", "has ids_per_call = 10001: expected `int` <= 10000"),
    ("concurrency = 1001", "has concurrency = 1001: expected `int` <= 1000"),
    ("add_concurrency = 1001", "has add_concurrency = 1001: expected `int` <= 1000"),
    (f"calls_per_minute = {10**20}", f"has calls_per_minute = {10**20}: expected `int` <= 1000000"),
    (f"delays_minutes = [{10**20}]", f"has delays_minutes = [{10**20}]: expected `int` <= "),
    (f"calls_per_minute = {'9' * 5000}", "has a number that is too long"),
    (f"delays_minutes = {'[' * 5000}{']' * 5000}", "is nested too deep"),
    (f"delays_minutes = {'[' * 200}{']' * 200}", f"{'[' * 200}: expected `int`"),
])  # fmt: skip
def test_invalid_profile_file_is_reported_with_the_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "panel.toml"
    path.write_text(text)

    with pytest.raises(InvalidSettingsError) as caught:
        _profiles.load_profile(str(path))

    assert str(caught.value).startswith(f"profile {str(path)!r} ")
    assert message in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "message"), [
    ("nonsense", "'nonsense' is neither a file nor one of smmfanfast, api-v2"),
    ("missing.toml", "cannot be read: No such file"),
    ("folder/missing", "cannot be read: No such file"),
])  # fmt: skip
def test_unknown_profile_is_rejected(name: str, message: str) -> None:
    with pytest.raises(InvalidSettingsError, match=message):
        _profiles.load_profile(name)


def test_profile_file_must_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "panel.toml"
    path.write_bytes(b'name = "\xff"')

    with pytest.raises(InvalidSettingsError, match="not in UTF-8"):
        _profiles.load_profile(str(path))


@pytest.mark.asyncio
async def test_profile_file_selects_the_panel(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'base_url = "{panel.url}"')
    monkeypatch.setenv("SMMFANFAST_API_KEY", panel.api_key)

    assert await run("balance", "--profile", str(path)) == OK
    monkeypatch.setenv("SMMFANFAST_PROFILE", str(path))
    assert await run("balance") == OK
    assert await run("balance", "--profile", "nonsense") == USAGE

    assert "'nonsense' is neither a file nor" in capsys.readouterr().err


def test_profile_without_an_address_needs_base_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMMFANFAST_BASE_URL", raising=False)

    with pytest.raises(InvalidSettingsError, match="api-v2 has no address of its own"):
        settings.address(None, API_V2)
    assert settings.address(None, SMMFANFAST).value == SMMFANFAST.base_url


# --- the key -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_key_file_option_has_precedence(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key_file: Path,
) -> None:
    monkeypatch.setenv("SMMFANFAST_BASE_URL", panel.url)
    monkeypatch.setenv("SMMFANFAST_API_KEY", "test-wrong")
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", "/nowhere")

    assert await run("balance", "--key-file", str(key_file)) == OK
    assert await run("balance") == REFUSED

    assert "doctor" in capsys.readouterr().err


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
async def test_key_file_readable_by_other_users_causes_a_warning(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key_file: Path,
    mode: int,
) -> None:
    os.chmod(key_file, mode)  # noqa: PTH101  # our own file
    monkeypatch.setenv("SMMFANFAST_BASE_URL", panel.url)
    monkeypatch.chdir(key_file.parent)  # a short path: a long one is wrapped in the table

    assert await run("balance", "--key-file", key_file.name) == OK
    error = capsys.readouterr().err
    assert await run("doctor", "--key-file", key_file.name) == OK
    shown = capsys.readouterr()

    warning = "the key file key can be read by other users: chmod 600 key"
    assert error == f"warning: {warning}\n"
    assert f"!\tkey file\t{warning}" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(("content", "message"), [
    (None, "No such file"),
    (b"\xff\xfe", "it is not in UTF-8"),
])  # fmt: skip
def test_unreadable_key_file_is_rejected(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidSettingsError, match=message) as caught:
        settings.api_key(path)

    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)


def test_key_from_a_private_pipe_causes_no_warning(tmp_path: Path) -> None:
    """As `--key-file <(pass show panel)` passes it."""
    reading, writing = os.pipe()
    os.write(writing, b"\xef\xbb\xbftest-key\r\n")
    os.close(writing)

    key = settings.api_key(f"/dev/fd/{reading}")
    os.close(reading)

    assert (key.value, key.warning) == ("test-key", "")
    assert "test-key" not in repr(key)


# --- doctor --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_doctor_shows_the_source_of_each_setting(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key_file: Path,
) -> None:
    monkeypatch.setenv("SMMFANFAST_PROFILE", "api-v2")
    monkeypatch.setenv("SMMFANFAST_JOURNAL", "postgresql+asyncpg://shop:secret@127.0.0.1/shop")
    args = ["--base-url", panel.url, "--key-file", str(key_file)]

    assert await run("doctor", *args, "--json") == OK
    shown = capsys.readouterr().out
    findings = {each["name"]: each["text"] for each in json.loads(shown)}

    assert findings["profile"] == "api-v2 (SMMFANFAST_PROFILE)"
    assert findings["address"] == f"{panel.url} (no TLS: this machine only; --base-url)"
    assert findings["proxy"] == "none"
    assert findings["key"] == f"from the file {key_file} (--key-file)"
    assert findings["journal"] == "postgresql+asyncpg://***@127.0.0.1/shop (SMMFANFAST_JOURNAL)"
    assert "secret" not in shown
    assert panel.api_key not in shown


@pytest.mark.asyncio
async def test_doctor_reports_each_fault_once_and_sends_nothing(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMMFANFAST_PROXY", "http://me:secret@127.0.0.1:3128")

    assert (
        await run("doctor", "--profile", "nonsense", "--journal", "orders.db", "--json") == REFUSED
    )
    shown = capsys.readouterr().out
    findings = {each["name"]: each for each in json.loads(shown)}

    assert list(findings) == ["python", "profile", "proxy", "key", "journal"]
    assert [name for name, each in findings.items() if each["level"] == "error"] == [
        "profile",
        "key",
    ]
    assert findings["proxy"]["text"] == "http://***@127.0.0.1:3128 (SMMFANFAST_PROXY)"
    assert findings["journal"]["text"] == "orders.db (--journal)"
    assert panel.request_count == 0


@pytest.mark.asyncio
async def test_doctor_warns_of_a_key_in_urls(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], key_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "panel.toml"
    path.write_text(f'base_url = "{panel.url}"\nrequest_format = "get"')

    assert await run("doctor", "--profile", str(path), "--key-file", str(key_file), "--json") == OK
    findings = {each["name"]: each for each in json.loads(capsys.readouterr().out)}

    assert findings["request format"]["level"] == "warning"
    assert "log their URLs" in findings["request format"]["text"]


@pytest.mark.asyncio
async def test_doctor_rejects_a_sandbox_key_for_a_real_address(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], key_file: Path
) -> None:
    args = ["--base-url", "https://panel.example/", "--key-file", str(key_file), "--json"]

    assert await run("doctor", *args) == REFUSED

    last = json.loads(capsys.readouterr().out)[-1]
    assert (last["name"], last["level"]) == ("settings", "error")
    assert "is a sandbox key" in last["text"]
