"""Where the command line's settings come from: options, environment, key files, panels in TOML."""

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
from smmfanfast_async.sandbox import Sandbox

NAMES = ("API_KEY", "API_KEY_FILE", "BASE_URL", "PROXY", "JOURNAL", "PROFILE")


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


async def run(*words: str) -> int:
    return int(await app.run_async(list(words), result_action="return_value"))


# --- panels --------------------------------------------------------------------------------------


def test_the_names_and_types_that_shells_complete_are_all_there_are() -> None:
    assert get_args(_options.ProfileName) == tuple(_profiles.PROFILES)
    assert get_args(_options.OrderType) == tuple(API_V2_ORDER_TYPES)


def test_the_panel_of_the_docstring_is_one(tmp_path: Path) -> None:
    path = tmp_path / "panel.toml"
    path.write_text((_profiles.__doc__ and _profiles.__doc__.split("::\n")[1]) or "")

    found = _profiles.load_profile(str(path))

    assert (found.name, found.base_url) == ("mine", "https://panel.example/api/v2")
    assert found.actions == {"add", "status", "services", "balance"}
    assert found.order_types == {"default", "package"}
    assert found.ignored_fields == {"expiry"}
    assert (found.ids_per_call, found.concurrency, found.add_concurrency) == (50, 4, 1)
    assert (found.calls_per_minute, found.delays_minutes) == (60, {0, 5, 10})
    assert found.double_decodes is False
    assert found.is_final_status("fail")
    assert found.refusal_kind("Saldo insuficiente.") is ErrorKind.FUNDS
    assert found.refusals[1:] == API_V2.refusals


def test_a_file_can_say_all_that_a_profile_holds() -> None:
    fields = {each.name for each in attrs.fields(Profile)}

    assert fields | {"like"} == set(_profiles._ProfileFile.__struct_fields__)


def test_a_panel_of_few_words_is_as_that_of_the_document(tmp_path: Path) -> None:
    path = tmp_path / "few.toml"
    path.write_text("ids_per_call = 7")

    found = _profiles.load_profile(str(path))

    assert (found.name, found.ids_per_call) == ("few", 7)
    assert found.refusals == SMMFANFAST.refusals


@pytest.mark.parametrize(("text", "said"), [
    ('like = "other"', "like = 'other': invalid enum value 'other', expected smmfanfast, api-v2"),
    ("like = []", "has like = []: expected `str`, got `array`"),
    ("speed = 3", "has an unknown key 'speed'; known are like, name, base_url"),
    ('api_key = "test-secret"', "has api_key: put the key into a file for --key-file"),
    ('name = " "', "has name = ' ': expected `str` matching regex"),
    ("name = 3", "has name = 3: expected `str`, got `int`"),
    ('base_url = "http://panel.example/"', "'http://panel.example/', which must use https"),
    ('base_url = ["https://me:secret@panel.example"]', "has base_url = …: expected `str`"),
    ('base_url = "https://me:secret@panel.example"', "has base_url = …, which must not contain a user name"),
    ("ids_per_call = 0", "has ids_per_call = 0: expected `int` >= 1"),
    ("concurrency = true", "has concurrency = True: expected `int`, got `bool`"),
    ('calls_per_minute = "60"', "has calls_per_minute = '60': expected `int`, got `str`"),
    ("double_decodes = 1", "has double_decodes = 1: expected `bool`, got `int`"),
    ("actions = 3", "has actions = 3: expected `array`, got `int`"),
    ('order_types = ["odd"]', "invalid enum value 'odd', expected default, package"),
    ("delays_minutes = [0, -1]", "has delays_minutes = [0, -1]: expected `int` >= 0"),
    ("refusals = 1", "has refusals = 1: expected `object`, got `int`"),
    ('[refusals]\nsoon = ["Wait"]', "invalid enum value 'soon', expected auth, duplicate"),
    ('[refusals]\nfunds = ["!"]', "has '!' in refusals, which has no letter or digit"),
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
def test_what_is_wrong_in_a_file_is_said_with_its_key(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "panel.toml"
    path.write_text(text)

    with pytest.raises(InvalidSettingsError) as caught:
        _profiles.load_profile(str(path))

    assert str(caught.value).startswith(f"profile {str(path)!r} ")
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("word", "said"), [
    ("odd", "'odd' is neither a file nor one of smmfanfast, api-v2"),
    ("odd.toml", "cannot be read: No such file"),
    ("folder/odd", "cannot be read: No such file"),
])  # fmt: skip
def test_a_panel_that_nobody_knows_is_said(word: str, said: str) -> None:
    with pytest.raises(InvalidSettingsError, match=said):
        _profiles.load_profile(word)


def test_a_file_in_another_encoding_is_no_panel(tmp_path: Path) -> None:
    path = tmp_path / "panel.toml"
    path.write_bytes(b'name = "\xff"')

    with pytest.raises(InvalidSettingsError, match="not in UTF-8"):
        _profiles.load_profile(str(path))


@pytest.mark.asyncio
async def test_a_file_says_which_panel_is_asked(
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
    assert await run("balance", "--profile", "odd") == USAGE

    assert "'odd' is neither a file nor" in capsys.readouterr().err


def test_a_family_without_an_address_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMMFANFAST_BASE_URL", raising=False)

    with pytest.raises(InvalidSettingsError, match="api-v2 has no address of its own"):
        settings.address(None, API_V2)
    assert settings.address(None, SMMFANFAST).value == SMMFANFAST.base_url


# --- the key -------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_key_comes_from_the_file_that_is_named_first(
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
async def test_a_key_that_others_can_read_is_warned_of_on_a_line(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key_file: Path,
    mode: int,
) -> None:
    os.chmod(key_file, mode)  # noqa: PTH101  # a file of our own
    monkeypatch.setenv("SMMFANFAST_BASE_URL", panel.url)

    assert await run("balance", "--key-file", str(key_file)) == OK
    said = capsys.readouterr().err
    assert await run("doctor", "--key-file", str(key_file)) == OK
    shown = capsys.readouterr()

    warning = f"the key file {key_file} can be read by other users: chmod 600 {key_file}"
    assert said == f"warning: {warning}\n"
    assert f"!   key file   {warning}"[:120] in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(("content", "said"), [
    (None, "No such file"),
    (b"\xff\xfe", "it is not in UTF-8"),
])  # fmt: skip
def test_a_file_without_a_key_is_said(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(InvalidSettingsError, match=said) as caught:
        settings.api_key(path)

    assert caught.value.__cause__ is None or isinstance(caught.value.__cause__, OSError)


def test_a_key_may_come_from_a_pipe_which_nobody_else_reads(tmp_path: Path) -> None:
    """As `--key-file <(pass show panel)` gives it."""
    reading, writing = os.pipe()
    os.write(writing, b"\xef\xbb\xbftest-key\r\n")
    os.close(writing)

    found = settings.api_key(f"/dev/fd/{reading}")
    os.close(reading)

    assert (found.value, found.warning) == ("test-key", "")
    assert "test-key" not in repr(found)


# --- doctor --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_the_doctor_tells_where_each_setting_comes_from(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key_file: Path,
) -> None:
    monkeypatch.setenv("SMMFANFAST_PROFILE", "api-v2")
    monkeypatch.setenv("SMMFANFAST_JOURNAL", "postgresql+asyncpg://shop:secret@127.0.0.1/shop")
    words = ["--base-url", panel.url, "--key-file", str(key_file)]

    assert await run("doctor", *words, "--json") == OK
    shown = capsys.readouterr().out
    found = {each["name"]: each["text"] for each in json.loads(shown)}

    assert found["profile"] == "api-v2 (SMMFANFAST_PROFILE)"
    assert found["address"] == f"{panel.url} (no TLS: this machine only; --base-url)"
    assert found["proxy"] == "none"
    assert found["key"] == f"from the file {key_file} (--key-file)"
    assert found["journal"] == "postgresql+asyncpg://***@127.0.0.1/shop (SMMFANFAST_JOURNAL)"
    assert "secret" not in shown
    assert panel.api_key not in shown


@pytest.mark.asyncio
async def test_the_doctor_says_each_fault_once_and_asks_nobody_then(
    panel: Sandbox,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMMFANFAST_PROXY", "http://me:secret@127.0.0.1:3128")

    assert await run("doctor", "--profile", "odd", "--journal", "orders.db", "--json") == REFUSED
    shown = capsys.readouterr().out
    found = {each["name"]: each for each in json.loads(shown)}

    assert list(found) == ["python", "profile", "proxy", "key", "journal"]
    assert [name for name, each in found.items() if each["level"] == "error"] == ["profile", "key"]
    assert found["proxy"]["text"] == "http://***@127.0.0.1:3128 (SMMFANFAST_PROXY)"
    assert found["journal"]["text"] == "orders.db (--journal)"
    assert panel.request_count == 0


@pytest.mark.asyncio
async def test_the_doctor_finds_an_address_that_no_key_is_sent_to(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], key_file: Path
) -> None:
    words = ["--base-url", "https://panel.example/", "--key-file", str(key_file), "--json"]

    assert await run("doctor", *words) == REFUSED

    last = json.loads(capsys.readouterr().out)[-1]
    assert (last["name"], last["level"]) == ("settings", "error")
    assert "is a sandbox key" in last["text"]
