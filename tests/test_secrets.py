"""API keys: which are valid, that nothing shows them, and how responses are masked."""

import copy
import html
import pickle
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async import InvalidSettingsError
from smmfanfast_async._secrets import MIN_MASKED_KEY_CHARACTERS, Secret, check_key


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "key\u200b", "k" * 513, None, 5])
def test_invalid_key_is_rejected_without_showing_it(key: object) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        check_key(Secret(key), for_this_machine=True)  # type: ignore[arg-type]  # untyped callers

    assert not key or str(key) not in str(caught.value)


def test_usual_key_is_accepted() -> None:
    check_key(Secret("a1" * 16), for_this_machine=False)
    check_key(Secret("test-key"), for_this_machine=True)


def test_sandbox_key_is_rejected_for_a_real_host() -> None:
    with pytest.raises(InvalidSettingsError, match="is a sandbox key"):
        check_key(Secret("test-key"), for_this_machine=False)


def test_secret_is_never_shown_copied_or_pickled() -> None:
    secret = Secret("test-marker")

    assert "test-marker" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "test-marker"
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(secret)


# --- the key in a response -----------------------------------------------------------------------

LONG = "test-a/b+c&d%-0123"
ENCODINGS = [
    LONG,
    "test-a%2Fb%2Bc%26d%25-0123",
    "test-a%2fb%2bc%26d%25-0123",
    r"test-a\/b+c&d%-0123",
    "test-a/b+c&amp;d%-0123",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_key_is_masked_in_every_url_encoding(encoding: str) -> None:
    text = f"<{encoding}> and {encoding}{encoding}."

    assert Secret(LONG).mask_text(text) == "<***> and ******."


@pytest.mark.parametrize("encoding", [
    r"""test-<a>/b\"c\\d'e&f""",
    r"""test-<a>\/b\"c\\d'e&f""",
    r"""test-\u003ca\u003e/b\"c\\d'e\u0026f""",
    r"""test-\u003Ca\u003E\/b\u0022c\\d\u0027e\u0026f""",
    r"""test-&lt;a&gt;/b&quot;c\d&#039;e&amp;f""",
    r"""test-&lt;a&gt;/b&quot;c\d&#x27;e&amp;f""",
])  # fmt: skip
def test_key_is_masked_in_json_and_html_encodings(encoding: str) -> None:
    assert (
        Secret(r"""test-<a>/b"c\d'e&f""").mask_text(f'{{"error":"{encoding}"}}')
        == '{"error":"***"}'
    )


@pytest.mark.parametrize("encoding", [
    "test-a/b+c=d&e%2B0123",
    "test-a/b%2Bc%3Dd%26e%252B0123",
    "test-a/b%2bc=d%26e%252B0123",
    "test%2Da%2Fb+c=d&e%2B0123",
    "test-a%252Fb%252Bc%253Dd%2526e%25252B0123",
    "test-a&sol;b&plus;c&equals;d&amp;e%2B0123",
    "test-a&#47;b&#x2B;c&#x03d;d&#38;e&percnt;2B0123",
    r"test-a\/b\u002Bc\u003dd&amp;e%2B0123",
    r"test-a\\/b\\u002bc=d&e%2B0123",
])  # fmt: skip
def test_key_is_masked_if_each_character_has_its_own_encoding(encoding: str) -> None:
    assert Secret("test-a/b+c=d&e%2B0123").mask_text(f"?key={encoding}&x") == "?key=***&x"


ALL = "test-" + "".join(map(chr, range(33, 127)))


@given(st.data())
def test_any_mixture_of_encodings_of_a_key_is_masked(data: st.DataObject) -> None:
    def encode(character: str) -> str:
        code = ord(character)
        if character.isalnum():
            return character
        ways = [character, f"%{code:02X}", f"%{code:02x}", f"%25{code:02X}", f"&#{code};"]
        ways += [
            f"&#x{code:x};",
            f"&#0{code};",
            f"\\u{code:04x}",
            f"\\u{code:04X}",
            f"\\{character}",
        ]
        ways += [html.escape(character), quote(character), quote_plus(character)]
        return data.draw(st.sampled_from(ways))

    encoded = "".join(map(encode, ALL))

    assert Secret(ALL).mask_text(f"<{encoded}>") == "<***>"


@pytest.mark.parametrize("key", ["-+/=" * 4, "ab-" * 100, "a" * 100 + "/"])
def test_keys_of_any_form_are_masked_and_nothing_else(key: str) -> None:
    secret = Secret(key)

    assert secret.mask_text(f"({key})") == "(***)"
    assert secret.mask_text(key[:-1]) == key[:-1]
    assert secret.mask_text("nothing") == "nothing"


@pytest.mark.parametrize(("length", "masked"), [
    (MIN_MASKED_KEY_CHARACTERS - 1, False), (MIN_MASKED_KEY_CHARACTERS, True),
])  # fmt: skip
def test_only_keys_of_a_minimum_length_are_masked(length: int, *, masked: bool) -> None:
    key = "k" * length

    assert Secret(key).mask_text(f"({key})") == ("(***)" if masked else f"({key})")


@given(
    pieces=st.lists(st.binary(max_size=40) | st.just(LONG.encode()), max_size=12),
    cuts=st.lists(st.integers(0, 500), max_size=6),
)
def test_key_is_masked_across_chunk_boundaries(pieces: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(pieces)
    bounds = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    body = bytearray()
    secret = Secret(LONG)
    for start, end in pairwise(bounds):
        length_before = len(body)
        body += whole[start:end]
        secret.mask_in_place(body, length_before)

    assert body == whole.replace(LONG.encode(), b"***")


def test_other_characters_are_not_changed_by_masking() -> None:
    assert Secret(LONG).mask_text(f"\ud800é\0{LONG}") == "\ud800é\0***"
