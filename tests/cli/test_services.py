"""`services --save` and `--diff`: a saved catalogue, and the differences from it."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from smmfanfast_async.catalogue import Catalogue, ServiceChange
from smmfanfast_async.cli import _catalogue_file
from smmfanfast_async.cli._app import app
from smmfanfast_async.cli._catalogue_file import SavedCatalogue
from smmfanfast_async.cli._codes import OK, REFUSED, USAGE
from smmfanfast_async.cli.commands.services import rate_change
from smmfanfast_async.errors import InvalidSettingsError
from smmfanfast_async.results import Service
from smmfanfast_async.sandbox import Sandbox

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, UTC)


@pytest_asyncio.fixture
async def panel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    async with Sandbox(speed=0) as sandbox:
        monkeypatch.setenv("SMMFANFAST_API_KEY", sandbox.api_key)
        monkeypatch.setenv("SMMFANFAST_BASE_URL", sandbox.url)
        monkeypatch.setenv("COLUMNS", "200")
        yield sandbox


@pytest_asyncio.fixture
async def path(panel: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return the path of a file with the catalogue of the panel."""
    path = tmp_path / "catalogue.json"
    assert await run("services", "--save", str(path)) == OK
    captured = capsys.readouterr()
    assert captured.err == f"{len(panel.services)} services saved as {path}\n"
    assert captured.out == ""
    return path


async def run(*args: str) -> int:
    return int(await app.run_async(list(args), result_action="return_value"))


@contextmanager
def edit_services(path: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """Yield the services of a file by id, and write them back changed."""
    file = json.loads(path.read_text())
    rows = {row["service"]: row for row in file["catalogue"]["services"]}
    yield rows
    file["catalogue"]["services"] = list(rows.values())
    path.write_text(json.dumps(file))


def set_base_url(path: Path, base_url: str) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_url": base_url}))


# --- differences ---------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_catalogue_does_not_differ_from_its_own_copy(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run("services", "--diff", str(path), "--exit-code") == OK

    shown = capsys.readouterr()
    assert shown.err.startswith("no differences since ")
    assert shown.out == ""


@pytest.mark.asyncio
async def test_differences_are_shown_as_a_table(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with edit_services(path) as rows:
        del rows["81"]
        rows["7777"] = rows["80"] | {"service": "7777", "name": "Former service"}
        rows["5"]["rate"] = "1.00"
        rows["9"]["rate"] = "0.05"
        rows["10"]["max"] = None
        rows["80"]["category"] = "Other"
        rows["82"]["rate"] = None

    with monkeypatch.context() as terminal:
        terminal.setenv("FORCE_COLOR", "1")
        assert await run("services", "--diff", str(path)) == OK
    assert "7 differences since " in capsys.readouterr().out
    assert await run("services", "--diff", str(path)) == OK
    shown = capsys.readouterr().out
    assert await run("services", "--diff", str(path), "--exit-code") == REFUSED

    lines = {line.split()[1]: " ".join(line.split()) for line in shown.splitlines()}
    assert len(lines) == 7
    assert lines["81"].startswith("added 81 Telegram Post Views")
    assert lines["7777"] == "removed 7777 Former service 0.95 - 100–200000 -"
    assert "1.00 → 1.02 +2.0 % 500–10000" in lines["5"]
    assert lines["5"].startswith("raised 5")
    assert "0.05 → 0.04 -20.0 %" in lines["9"]
    assert lines["9"].startswith("lowered 9")
    assert "100–– → 100–350000" in lines["10"]
    assert lines["10"].startswith("limits 10")
    assert lines["80"].startswith("changed 80")
    assert lines["80"].endswith("category")
    assert "– → 0.11" in lines["82"]


@pytest.mark.asyncio
async def test_differences_are_printed_as_json(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with edit_services(path) as rows:
        rows["5"] |= {"rate": "0.90", "min": 1}
        rows["9"]["rate"] = "0.05"

    assert await run("services", "--diff", str(path), "--json", "--search", "refill") == OK
    diff = json.loads(capsys.readouterr().out)

    assert (diff["added"], diff["removed"]) == ([], [])
    assert {each["service"] for each in diff["changed"]} <= {"5", "9"}
    first = next(each for each in diff["changed"] if each["service"] == "5")
    assert (first["price_increased"], first["price_decreased"], first["limits_changed"]) == (
        True,
        False,
        True,
    )
    assert first["rate_change_percent"] == "13.33"
    assert (first["before"]["rate"], first["after"]["rate"]) == ("0.90", "1.02")


@pytest.mark.asyncio
async def test_only_services_that_match_the_filter_are_compared(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with edit_services(path) as rows:
        rows["5"]["rate"] = "0.90"

    assert await run("services", "--diff", str(path), "--search", "telegram", "--exit-code") == OK
    assert "no differences" in capsys.readouterr().err
    assert await run("services", "--diff", str(path), "--search", "[15K]") == OK
    assert capsys.readouterr().out.startswith("raised\t5\t")


@pytest.mark.asyncio
async def test_diff_reads_the_file_before_save_replaces_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with edit_services(path) as rows:
        del rows["5"]
    args = ["services", "--diff", str(path), "--save", str(path), "--exit-code"]

    assert await run(*args) == REFUSED
    assert await run(*args) == OK
    assert path.parent.joinpath(path.name).exists()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.asyncio
async def test_catalogue_of_another_address_causes_a_warning(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_base_url(path, "https://panel.example/")

    assert await run("services", "--diff", str(path)) == OK

    warning = "warning: the file is from another address: https://panel.example/\n"
    assert capsys.readouterr().err.startswith(warning)


@pytest.mark.parametrize(("old", "new", "percent"), [
    ("1", "1.5", "50.00"), ("3", "2", "-33.33"), ("0", "2", None), (None, "2", None),
    ("2", None, None), ("2", "2.0", "0.00"),
])  # fmt: skip
def test_rate_change_is_in_percent_of_the_older_rate(
    old: str | None, new: str | None, percent: str | None
) -> None:
    older, newer = (Service(service="5", raw_rate=each) for each in (old, new))

    change = rate_change(ServiceChange(older, newer))

    assert (None if change is None else str(change)) == percent


# --- the file ------------------------------------------------------------------------------------


SAVED = SavedCatalogue(
    "https://panel.example/",
    Catalogue.from_services(
        [Service(service="a-1", raw_rate="0.10", extra={"refill_days": ["30"]})], NOW, ("x",)
    ),
)


def test_saved_catalogue_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.json"

    _catalogue_file.save(path, SAVED)

    assert _catalogue_file.load(path) == SAVED
    assert [line[:19] for line in path.read_text().splitlines()[1:-1]] == ['{"service": "a-1", ']


def test_saving_through_a_symlink_keeps_it(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    link.symlink_to(real)

    _catalogue_file.save(link, SAVED)

    assert link.is_symlink()
    assert _catalogue_file.load(real) == SAVED


@pytest.mark.parametrize(("name", "message"), [
    ("", "is not a file"),
    ("nowhere/catalogue.json", "cannot be written: No such file or directory"),
    ("x" * 300, "cannot be written: File name too long"),
])  # fmt: skip
def test_path_that_cannot_be_written_is_rejected(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidSettingsError, match=message):
        _catalogue_file.save(tmp_path / name, SAVED)


def test_failed_write_keeps_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalogue.json"
    path.write_text("older")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InvalidSettingsError, match="No space left"):
        _catalogue_file.save(path, SAVED)

    assert path.read_text() == "older"
    assert list(tmp_path.iterdir()) == [path]


def saved_json(**fields: object) -> str:
    catalogue = json.loads(SAVED.catalogue.to_json()) | fields
    return json.dumps({"base_url": SAVED.base_url, "catalogue": catalogue})


@pytest.mark.parametrize(("text", "message"), [
    ("", "is not a saved catalogue: Input data was truncated"),
    ("\xff", "is not a saved catalogue: JSON is malformed"),
    ("[" * 100_000, "is not a saved catalogue: "),
    ("[]", "is not a saved catalogue: Expected `object`, got `array`"),
    ("{}", "Object missing required field `base_url`"),
    ('{"base_url": 1}', "Expected `str`, got `int` - at `$.base_url`"),
    ('{"base_url": "\xff"}', "is not a saved catalogue: "),
    ('{"base_url": "x", "catalogue": {}, "y": 1}', "Object contains unknown field `y`"),
    ('{"base_url": "x", "catalogue": ' + '{"a":' * 100_000, "is not a saved catalogue: "),
    (f'{{"base_url": "x", "catalogue": {"[" * 10**5}{"]" * 10**5}}}', "is nested too deeply"),
    (saved_json(format="other"), "it is invalid: the format is 'other', expected 'smmfanfast"),
    (saved_json(services=[{"service": "5", "rate": 1.02}]), "service '5': rate: expected `str"),
])  # fmt: skip
@pytest.mark.asyncio
async def test_invalid_catalogue_file_is_reported_on_one_line(
    panel: Sandbox, capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "catalogue.json"
    path.write_bytes(text.encode("latin-1"))

    assert await run("services", "--diff", str(path)) == USAGE

    error = capsys.readouterr().err
    assert error.startswith(f"error: diff '{path}' ")
    assert message in error
    assert error.count("\n") == 1
    assert panel.request_count == 0


@pytest.mark.parametrize(("name", "message"), [
    ("nothing.json", "does not exist; create it with `smmfanfast services --save`"),
    ("", "cannot be read: Is a directory"),
])  # fmt: skip
def test_unreadable_catalogue_file_is_rejected(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidSettingsError, match=message):
        _catalogue_file.load(tmp_path / name)
