"""Settings from the environment: the key, as a value or in a file."""

from pathlib import Path

import pytest

from smmfanfast_async import InvalidSettingsError
from smmfanfast_async._settings import key_from_env


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEY", "KEY_FILE"):
        monkeypatch.delenv(f"SMMFANFAST_API_{name}", raising=False)


def test_key_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", " test-one \n")

    assert key_from_env() == "test-one"


def test_key_is_read_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("test-two\n")
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", str(path))

    assert key_from_env() == "test-two"


def test_missing_key_error_says_what_to_set() -> None:
    with pytest.raises(InvalidSettingsError, match="set SMMFANFAST_API_KEY"):
        key_from_env()


def test_unreadable_key_file_names_the_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", str(tmp_path / "none"))

    with pytest.raises(InvalidSettingsError, match="FileNotFoundError"):
        key_from_env()


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_badly_encoded_key_file_is_not_in_the_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "key"
    path.write_text("test-key-in-a-file-é", encoding=encoding)
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", str(path))

    with pytest.raises(InvalidSettingsError, match="UnicodeDecodeError") as caught:
        key_from_env()

    assert caught.value.__cause__ is caught.value.__context__ is None
