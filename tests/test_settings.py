"""Where the key comes from, what it has to look like, and that no error shows it."""

import copy
import pickle
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async import InvalidSettingsError
from smmfanfast_async._secrets import MIN_MASKED_KEY_CHARACTERS, Secret, check_key
from smmfanfast_async._settings import key_from_env


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "key\u200b", "k" * 513, None, 5])
def test_a_key_that_no_panel_gives_is_refused_unshown(key: object) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        check_key(Secret(key), for_this_machine=True)  # type: ignore[arg-type]  # untyped callers

    assert not key or str(key) not in str(caught.value)


def test_a_key_of_the_usual_form_is_taken() -> None:
    check_key(Secret("a1" * 16), for_this_machine=False)
    check_key(Secret("test-key"), for_this_machine=True)


def test_a_sandbox_key_is_not_sent_to_a_real_host() -> None:
    with pytest.raises(InvalidSettingsError, match="one for a sandbox"):
        check_key(Secret("test-key"), for_this_machine=False)


def test_a_secret_is_shown_by_nothing() -> None:
    secret = Secret("test-marker")

    assert "test-marker" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "test-marker"
    for spread in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            spread(secret)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEY", "KEY_FILE"):
        monkeypatch.delenv(f"SMMFANFAST_API_{name}", raising=False)


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY", " test-one \n")

    assert key_from_env() == "test-one"


def test_the_key_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("test-two\n")
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", str(path))

    assert key_from_env() == "test-two"


def test_no_key_is_said_with_the_cure() -> None:
    with pytest.raises(InvalidSettingsError, match="set SMMFANFAST_API_KEY"):
        key_from_env()


def test_a_file_that_can_not_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", str(tmp_path / "none"))

    with pytest.raises(InvalidSettingsError, match="FileNotFoundError"):
        key_from_env()


@pytest.mark.parametrize("coding", ["utf-16", "latin-1"])
def test_a_key_in_a_file_of_another_coding_is_in_no_part_of_the_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, coding: str
) -> None:
    path = tmp_path / "key"
    path.write_text("test-key-in-a-file-é", encoding=coding)
    monkeypatch.setenv("SMMFANFAST_API_KEY_FILE", str(path))

    with pytest.raises(InvalidSettingsError, match="UnicodeDecodeError") as caught:
        key_from_env()

    assert caught.value.__cause__ is caught.value.__context__ is None


# --- the key in an answer ------------------------------------------------------------------------

LONG = "test-a/b+c&d%-0123"
SPELLINGS = [
    LONG,
    "test-a%2Fb%2Bc%26d%25-0123",
    "test-a%2fb%2bc%26d%25-0123",
    r"test-a\/b+c&d%-0123",
    "test-a/b+c&amp;d%-0123",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_masked_however_an_answer_spells_it(spelling: str) -> None:
    text = f"<{spelling}> and {spelling}{spelling}."

    assert Secret(LONG).mask_text(text) == "<***> and ******."


@pytest.mark.parametrize("spelling", [
    r"""test-<a>/b\"c\\d'e&f""",
    r"""test-<a>\/b\"c\\d'e&f""",
    r"""test-\u003ca\u003e/b\"c\\d'e\u0026f""",
    r"""test-\u003Ca\u003E\/b\u0022c\\d\u0027e\u0026f""",
    r"""test-&lt;a&gt;/b&quot;c\d&#039;e&amp;f""",
    r"""test-&lt;a&gt;/b&quot;c\d&#x27;e&amp;f""",
])  # fmt: skip
def test_a_key_is_masked_as_json_and_html_spell_it(spelling: str) -> None:
    assert (
        Secret(r"""test-<a>/b"c\d'e&f""").mask_text(f'{{"error":"{spelling}"}}')
        == '{"error":"***"}'
    )


@pytest.mark.parametrize(("length", "masked"), [
    (MIN_MASKED_KEY_CHARACTERS - 1, False), (MIN_MASKED_KEY_CHARACTERS, True),
])  # fmt: skip
def test_a_key_is_masked_from_a_length_on(length: int, *, masked: bool) -> None:
    key = "k" * length

    assert Secret(key).mask_text(f"({key})") == ("(***)" if masked else f"({key})")


@given(
    pieces=st.lists(st.binary(max_size=40) | st.just(LONG.encode()), max_size=12),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_a_key_is_found_whatever_pieces_an_answer_comes_in(
    pieces: list[bytes], cuts: list[int]
) -> None:
    whole = b"".join(pieces)
    bounds = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    body = bytearray()
    secret = Secret(LONG)
    for start, end in pairwise(bounds):
        since = len(body)
        body += whole[start:end]
        secret.mask_in_place(body, since)

    assert body == whole.replace(LONG.encode(), b"***")


def test_signs_of_all_kinds_stay_as_they_are_beside_a_key() -> None:
    assert Secret(LONG).mask_text(f"\ud800é\0{LONG}") == "\ud800é\0***"
