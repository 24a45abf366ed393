"""The file that names several panels: what it says, its errors, and commands of one panel."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio

from smmfanfast_async import API_V2
from smmfanfast_async.cli import _panels
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._codes import OK, USAGE
from smmfanfast_async.cli._panels import load_panels
from smmfanfast_async.errors import InvalidSettingsError
from smmfanfast_async.sandbox import Sandbox

Captured = pytest.CaptureFixture[str]

SECRET = "abcdefghijklmnopqrstuvwxyz"
"""A key that was written where none belongs."""


def example() -> str:
    """Return the file that the docstring shows."""
    lines = (_panels.__doc__ or "").split("::\n")[1].split("\nThe key itself")[0].splitlines()
    return "\n".join(line.removeprefix("    ") for line in lines)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the docstring, and what it refers to."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ALPHA_API_KEY", "test-alpha")
    key = tmp_path / ".beta-key"
    key.write_text("test-beta\n")
    key.chmod(0o600)
    (tmp_path / "beta.toml").write_text('like = "api-v2"\nids_per_call = 7\n')
    path = tmp_path / "panels.toml"
    path.write_text(example())
    return path


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


def test_example_of_the_docstring_loads(path: Path) -> None:
    file = load_panels(str(path))

    alpha, beta = (each.resolve() for each in file.panels.values())
    assert (alpha.profile, alpha.base_url.value) == (API_V2, "https://alpha.example/api/v2")
    assert (beta.profile.name, beta.profile.ids_per_call) == ("beta", 7)
    assert (alpha.api_key.value, beta.api_key.value) == ("test-alpha", "test-beta")
    assert (file.account, file.router) == ("shop", "cheapest_first")
    assert file.products == {"followers": {"alpha": "101", "beta": "7"}}
    assert file.exchange_rates == {"beta": Decimal("1.08")}
    assert "test-alpha" not in repr(alpha) + repr(file)


def test_numbers_are_read_to_the_last_digit(path: Path) -> None:
    text = example().replace('beta = "1.08"', "beta = 1.0800000000000000000001")
    path.write_text(text.replace('beta = "7"', "beta = 7"))

    file = load_panels(str(path))

    assert file.exchange_rates == {"beta": Decimal("1.0800000000000000000001")}
    assert file.products["followers"]["beta"] == "7"


ALPHA = 'key_env = "ALPHA_API_KEY"'

INVALID = [
    ('account = "shop"', "", "missing required field `account`"),
    ('account = "shop"', "account = 5", "has account: expected `str`, got `int`"),
    ('account = "shop"', f'account = "shop"\nkey = "{SECRET}"', "has key: keys do not belong"),
    ('account = "shop"', 'account = "shop"\nrooter = 1', "has an unknown rooter; known are"),
    ('"cheapest_first"', f'"{SECRET}"', "has router: invalid value"),
    (ALPHA, f'key = "{SECRET}"', "has panels.alpha.key: keys do not belong into it"),
    (ALPHA, f'API-KEY = "{SECRET}"', "has panels.alpha.API-KEY: keys do not belong into it"),
    (ALPHA, "", "has panels.alpha without a key: it needs key_env or key_file"),
    (ALPHA, f'{ALPHA}\nkey_file = "x"', "has panels.alpha without a key"),
    (ALPHA, f'key_env = "{SECRET}-"', "has panels.alpha.key_env: it is no name of a variable"),
    (ALPHA, "key_env = 5", "has panels.alpha.key_env: expected `str`, got `int`"),
    (ALPHA, f'key_file = "{SECRET}\\u0000"', "has panels.alpha.key_file: expected `str` matching"),
    (ALPHA, f'{ALPHA}\ncolour = "{SECRET}"', "has an unknown panels.alpha.colour; known are"),
    ("[panels.alpha]", f'[panels]\ngamma = "{SECRET}"\n[panels.alpha]',
     "has panels.gamma, which is not a table"),
    ("[products.followers]", f'[products]\nlikes = "{SECRET}"\n[products.followers]',
     "has products.likes, which is not a table"),
    ('alpha = "101"', "alpha = 1.5", "has products.followers.alpha: expected `int | str`"),
    ('alpha = "101"', 'gamma = "101"', "has products.followers.gamma, but no such panel"),
    ('beta = "1.08"', 'beta = "much"', "has exchange_rates.beta: invalid decimal string"),
    ('beta = "1.08"', "beta = 0", "has exchange_rates.beta: it must be above 0"),
    ('beta = "1.08"', "beta = nan", "has exchange_rates.beta: it must be above 0"),
    ('beta = "1.08"', "gamma = 1", "has exchange_rates.gamma, but no such panel"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "reason"), INVALID)
def test_errors_name_file_table_and_field_and_no_value(
    path: Path, old: str, new: str, reason: str
) -> None:
    assert old in example()
    path.write_text(example().replace(old, new))

    with pytest.raises(InvalidSettingsError) as caught:
        load_panels(str(path))

    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert SECRET not in str(caught.value)


def test_file_without_panels_or_that_is_not_there_is_invalid(path: Path) -> None:
    path.write_text('account = "shop"\n')
    with pytest.raises(InvalidSettingsError, match=r"has no panels: add a table such as"):
        load_panels(str(path))
    path.unlink()
    with pytest.raises(InvalidSettingsError, match=r"panels.toml' cannot be read: No such file"):
        load_panels(str(path))


UNUSABLE = [
    ("alpha", ALPHA, f'key_env = "{SECRET}"', "has panels.alpha.key_env: it is not set"),
    ("beta", '"~/.beta-key"', f'"{SECRET}"',
     "has panels.beta.key_file, which cannot be read: No such file"),
    ("alpha", '"https://alpha.example/api/v2"', '"http://ann:abcdefgh@alpha.example/"',
     "has panels.alpha.base_url, which must not contain a user name"),
    ("alpha", '"https://alpha.example/api/v2"', f'"https://alpha.example/api?key={SECRET}"',
     "has panels.alpha.base_url, which must not contain a query"),
    ("alpha", '"https://alpha.example/api/v2"', f'"{SECRET}"',
     "has panels.alpha.base_url, which must be an http or https URL"),
    ("alpha", 'base_url = "https://alpha.example/api/v2"', "",
     "has an invalid panels.alpha: base_url is missing: api-v2 has none"),
    ("alpha", '"api-v2"', f'"{SECRET}"',
     "has panels.alpha.profile, which is neither a file nor one of smmfanfast, api-v2"),
    ("alpha", '"api-v2"', f'"{SECRET * 99}"', "has panels.alpha.profile, which is neither"),
    ("beta", '"beta.toml"', f'"{SECRET}.toml"', "has panels.beta.profile, which is neither"),
]  # fmt: skip


@pytest.mark.parametrize(("panel", "old", "new", "reason"), UNUSABLE)
def test_panel_that_cannot_be_used_is_named(
    path: Path, panel: str, old: str, new: str, reason: str
) -> None:
    assert old in example()
    path.write_text(example().replace(old, new))
    file = load_panels(str(path))

    with pytest.raises(InvalidSettingsError) as caught:
        file.panels[panel].resolve()

    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert not {each for each in (SECRET, "abcdefgh@") if each in str(caught.value)}


def test_key_file_that_is_not_text_is_named(path: Path, tmp_path: Path) -> None:
    (tmp_path / ".beta-key").write_bytes(b"\xff\xfe")

    with pytest.raises(InvalidSettingsError, match="which cannot be read: it is not in UTF-8"):
        load_panels(str(path)).panels["beta"].resolve()


def test_panel_of_the_default_profile_needs_no_address(path: Path) -> None:
    path.write_text('account = "shop"\n[panels.only]\nkey_env = "ALPHA_API_KEY"\n')

    file = load_panels(str(path))

    assert file.choose(None).resolve().base_url.value.startswith("https://")


# --- commands of one panel ----------------------------------------------------------------------


@pytest_asyncio.fixture
async def shop(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Sandbox]]:
    """Two panels in a file that the environment names."""
    async with (
        Sandbox(speed=0, api_key="test-alpha", balance=Decimal(11)) as alpha,
        Sandbox(speed=0, api_key="test-beta", balance=Decimal(22), dialect="api-v2") as beta,
    ):
        path.write_text(  # noqa: ASYNC240
            example()
            .replace("https://alpha.example/api/v2", alpha.url)
            .replace("https://beta.example/api/v2", beta.url)
        )
        monkeypatch.setenv("SMMFANFAST_PANELS", str(path))
        yield {"alpha": alpha, "beta": beta}


@pytest.mark.asyncio
async def test_command_of_one_panel_takes_its_name(
    shop: dict[str, Sandbox], capsys: Captured
) -> None:
    assert await run("balance", "--panel", "beta", "--json") == OK
    assert Decimal(json.loads(capsys.readouterr().out)["balance"]) == 22
    assert await run("services", "--panel", "alpha", "--search", "telegram") == OK
    assert await run("status", "1", "--panel", "alpha") != USAGE
    assert await run("watch", "1", "--panel", "alpha") != USAGE
    for command in ("refill", "cancel"):
        assert await run(command, "1", "--panel", "beta", "--yes") != USAGE
    assert await run("refill-status", "1", "--panel", "beta") != USAGE
    assert shop["beta"].requests["cancel"] == shop["beta"].requests["refill"] == 1


@pytest.mark.asyncio
@pytest.mark.parametrize(("args", "reason"), [
    (["balance"], "panel is missing: add --panel NAME, one of alpha, beta"),
    (["status", "1"], "panel is missing: add --panel NAME, one of alpha, beta"),
    (["balance", "--panel", "gamma"], "panel 'gamma' is not in the file: it has alpha, beta"),
    (["balance", "--base-url", "http://127.0.0.1:9"],
     "panels (SMMFANFAST_PANELS) and --base-url cannot be combined"),
    (["summary", "--profile", "api-v2"],
     "panels (SMMFANFAST_PANELS) and --profile cannot be combined"),
    (["refill", "--ref", "one", "--by", "ann", "--panel", "beta"],
     "panel and --ref cannot be combined"),
    (["cancel", "--ref", "one", "--by", "ann", "--panel", "beta"],
     "panel and --ref cannot be combined"),
])  # fmt: skip
async def test_panel_that_is_not_clear_is_an_error(
    shop: dict[str, Sandbox], capsys: Captured, args: list[str], reason: str
) -> None:
    assert await run(*args) == USAGE
    assert reason in capsys.readouterr().err
    assert sum(each.request_count for each in shop.values()) == 0


@pytest.mark.asyncio
async def test_panel_without_a_file_is_an_error(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SMMFANFAST_PANELS", raising=False)

    assert await run("balance", "--panel", "beta") == USAGE
    assert "panel needs a file that names it: --panels or SMMFANFAST_PANELS" in (
        capsys.readouterr().err
    )


@pytest.mark.asyncio
async def test_open_key_file_of_a_panel_causes_a_warning(
    shop: dict[str, Sandbox], capsys: Captured, tmp_path: Path
) -> None:
    (tmp_path / ".beta-key").chmod(0o644)

    assert await run("balance", "--panel", "beta") == OK
    assert "can be read by other users" in capsys.readouterr().err
    assert shop["alpha"].request_count == 0
