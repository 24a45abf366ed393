"""Fields of requests, as PHP's `$_REQUEST` has them."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async.sandbox.fields import (
    MAX_FIELDS,
    MAX_PART_HEAD_BYTES,
    decode_percent,
    read_fields,
)

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xyz"


def part(head: str, value: str = "1") -> str:
    return f"--xyz\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n"


def read_multipart(text: str, content_type: str = MULTIPART) -> dict[str, str]:
    return read_fields(query="", content_type=content_type, body=text.encode())


def read_json(text: str) -> dict[str, str]:
    return read_fields(
        query="", content_type="application/json", body=text.encode(), reads_json=True
    )


@pytest.mark.parametrize("content_type", ["application/json; charset=x", "text/JSON", "a/b+json"])
def test_json_of_any_type_is_read_and_with_only_json_nothing_else(content_type: str) -> None:
    both: Any = {"query": "b=2", "content_type": content_type, "body": b'{"a":"1"}'}

    assert read_fields(**both, reads_json=True) == {"a": "1", "b": "2"}
    assert read_fields(**both, only_json=True) == {"a": "1"}
    assert read_fields(query="b=2", content_type=FORM, body=b"a=1", only_json=True) == {}


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), FORM + " ; charset=utf-8"])
def test_form_is_decoded_once_and_the_last_value_wins(content_type: str) -> None:
    body = b"a=1&a=2&b=%2541+%2B&c=&d=%D8%B9&e=\xd8\xb9&f"

    assert read_fields(query="", content_type=content_type, body=body) == {
        "a": "2",
        "b": "%41 +",
        "c": "",
        "d": "ع",
        "e": "ع",
        "f": "",
    }


@pytest.mark.parametrize(
    ("encoded", "decoded"),
    [
        (b"%41%6a%6A", "Ajj"),
        (b"%2541", "%41"),
        (b"100%", "100%"),
        (b"%4", "%4"),
        (b"%zz%%41", "%zz%A"),
        (b"a+b%2B", "a b+"),
        (b"%00", "\0"),
        (b"%D8%B9", "ع"),
        (b"\xd8%B9", "ع"),
        (b"%ed%a0%80", "\ufffd\ufffd\ufffd"),
        (b"\xff", "\ufffd"),
    ],
)
def test_percent_escapes_are_decoded_once(encoded: bytes, decoded: str) -> None:
    assert decode_percent(encoded) == decoded


@given(st.text(), st.text())
def test_encoded_pairs_are_read_as_they_were(name: str, value: str) -> None:
    query = urlencode({"x" + name: value})

    assert read_fields(query=query, content_type="", body=b"") == {"x" + name: value}


def test_pairs_without_a_name_are_skipped() -> None:
    assert read_fields(query="&&=1&=&a&", content_type="", body=b"") == {"a": ""}


def test_body_replaces_fields_of_the_query_string() -> None:
    fields = read_fields(query="a=1&b=2", content_type=FORM, body=b"b=3&c=4")

    assert fields == {"a": "1", "b": "3", "c": "4"}


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/json", "multipart/mixed"])
def test_other_bodies_are_read_as_empty(content_type: str) -> None:
    assert read_fields(query="a=1", content_type=content_type, body=b'{"b": "2"}') == {"a": "1"}


def test_multipart_form_is_read() -> None:
    text = (
        "preamble\r\n"
        + part('name="a"', "one\r\ntwo\n--xyz")
        + part("name=b", "ع")
        + part('name="c"', "")
        + part('name="a b"\r\nContent-Type: text/plain; name="x"', "%41+")
        + "--xyz--\r\nepilogue"
        + part('name="d"')
    )

    assert read_multipart(text) == {"a": "one\r\ntwo\n--xyz", "b": "ع", "c": "", "a b": "%41+"}
    assert read_multipart(text, 'multipart/form-data; x=1;boundary="xyz"') == read_multipart(text)


def test_multipart_form_needs_no_end() -> None:
    assert read_multipart(part('name="a"') + part('name="b"', "2")) == {"a": "1", "b": "2\r\n"}


@pytest.mark.parametrize(
    "head",
    [
        'name="file"; filename="a.png"',
        "filename*=utf-8''a.png; name=file",
        "",
        'name=""',
        'name="',
        'filename="name=x"',
    ],
)
def test_files_and_nameless_parts_are_left_out(head: str) -> None:
    assert read_multipart(part(head) + part('name="a"') + "--xyz--") == {"a": "1"}


def test_part_without_a_disposition_is_left_out() -> None:
    assert read_multipart("--xyz\r\nX: y\r\n\r\n1\r\n--xyz\r\n--xyz--") == {}


def test_part_with_a_long_head_is_left_out() -> None:
    head = 'name="a"\r\nX: '
    longest = MAX_PART_HEAD_BYTES - len("\r\nContent-Disposition: form-data; " + head)

    assert read_multipart(part(head + "x" * longest)) == {"a": "1\r\n"}
    assert read_multipart(part(head + "x" * (longest + 1))) == {}


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; x"],
)
def test_multipart_form_needs_a_boundary(content_type: str) -> None:
    assert read_multipart(part('name="a"'), content_type) == {}


@pytest.mark.parametrize(("count", "expected"), [(MAX_FIELDS, MAX_FIELDS), (MAX_FIELDS + 1, 0)])
def test_number_of_fields_is_bounded(count: int, expected: int) -> None:
    names = [f"f{number}" for number in range(count)]
    pairs = "&".join(f"{name}=1" for name in names)
    parts = "".join(part(f'name="{name}"') for name in names) + "--xyz--"

    assert len(read_fields(query=pairs, content_type="", body=b"")) == expected
    assert len(read_fields(query="", content_type=FORM, body=pairs.encode())) == expected
    assert len(read_multipart(parts)) == expected
    assert len(read_json(json.dumps(dict.fromkeys(names, "1")))) == expected


def test_json_texts_numbers_and_booleans_are_read_as_php_converts_them() -> None:
    text = """{"a": "x", "b": 5, "c": 1.50, "d": true, "e": false, "f": null, "g": [1], "h": {},
        "i": 1e999, "j": NaN, "k": "\\ud800", "\\udfff": "1"}"""

    assert read_json(text) == {
        "a": "x",
        "b": "5",
        "c": "1.50",
        "d": "1",
        "e": "",
        "i": "1e999",
        "j": "NaN",
        "k": "?",
        "?": "1",
    }
    assert read_json('{"quantity": %s}' % ("9" * 100_000)) == {"quantity": "9" * 100_000}


@pytest.mark.parametrize("text", ["", "[]", "1", "null", "{", "[" * 100_000, '{"a":' * 100_000])
def test_other_json_is_read_as_empty(text: str) -> None:
    assert read_json(text) == {}


CONTENT_TYPES = [FORM, MULTIPART, "application/json"]
BYTES = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [
                *(b"--xyz", b"--", b"\r\n", b"\r\n\r\n", b"Content-Disposition: form-data; "),
                *(b'"', b";", b"name=", b"filename=", b"&", b"=", b"%", b"%ed%a0%80"),
                *(b"{", b":", b"\\ud800", b"["),
            ]
        ),
    )
).map(b"".join)


@given(BYTES, BYTES, st.sampled_from(CONTENT_TYPES))
def test_every_request_is_read_as_valid_text(query: bytes, body: bytes, content_type: str) -> None:
    fields = read_fields(
        query=query.decode(errors="surrogateescape"),
        content_type=content_type + query.decode(errors="surrogateescape"),
        body=body,
        reads_json=True,
    )

    assert all(name.encode() or not name for name in fields)
    assert all(value.encode() or not value for value in fields.values())
