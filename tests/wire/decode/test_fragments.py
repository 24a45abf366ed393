"""A long list is decoded in fragments, with the same result as decoding it as a whole."""

import json
from collections.abc import Generator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smmfanfast_async._wire.decode import decode_services
from smmfanfast_async._wire.decode.fragments import split_fragments
from smmfanfast_async._wire.decode.services import FRAGMENT_BYTES, ReplyReadAhead, read_ahead
from smmfanfast_async.errors import AuthenticationError, InvalidResponseError
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import Response, Service

LONG = '},{"service":"9"},{' * 40
"""A text that repeatedly looks like the end of a record."""


def records_of(count: int, **more: object) -> list[dict[str, object]]:
    return [
        {"service": str(each), "name": f"Service {each}", "category": "A", "type": "default"} | more
        for each in range(1, count + 1)
    ]


def response_of(records: list[dict[str, object]]) -> Response:
    return Response(status=200, body=json.dumps(records, separators=(",", ":")).encode())


def run_read_ahead(reply: Response) -> tuple[int, Response]:
    """Run `read_ahead` to its end; return the number of steps and the response."""
    responses: list[Response] = []

    def steps() -> Generator[None, None, None]:
        responses.append((yield from read_ahead(reply)))

    return sum(1 for _ in steps()), responses[0]


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(0, 400), st.sampled_from([None, 1]))
def test_fragments_that_decode_are_the_list(
    seed: int, count: int, size_bytes: int, indent: int | None
) -> None:
    random = Random(seed)
    values = ["}", "},", '"},{"', [{}, {}], {"a": {"b": 1}, "c": 2}, None, "\\", 5]
    records = [{"a": random.choice(values), "b": random.choice(values)} for _ in range(count)]
    body = json.dumps(records, indent=indent).encode()

    decoded: list[object] = []
    try:
        for fragment in split_fragments(body, size_bytes):
            decoded += json.loads(fragment)
    except ValueError:
        return
    assert decoded == records


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(0, 400), st.sampled_from([None, 1]))
def test_fragments_that_decode_are_the_object(
    seed: int, count: int, size_bytes: int, indent: int | None
) -> None:
    random = Random(seed)
    values = ["}", "},", '"},{"', "text", {"a": {"b": 1}, "c": 2}, {"a": "},"}, None, "\\", 5]
    records = {str(each): random.choice(values) for each in range(count)}
    body = json.dumps(records, indent=indent).encode()

    decoded: dict[str, object] = {}
    try:
        for fragment in split_fragments(body, size_bytes, brackets=b"{}"):
            decoded |= json.loads(fragment)
    except ValueError:
        return
    assert list(decoded.items()) == list(records.items())


@pytest.mark.parametrize("end", [b",}", b", \n}"])
def test_object_that_ends_with_a_comma_is_rejected(end: bytes) -> None:
    with pytest.raises(ValueError, match="nothing after"):
        list(split_fragments(b'{"1":{}' + end, 1, brackets=b"{}"))


def test_list_is_split_after_records() -> None:
    assert list(split_fragments(b'[{"a":1}, {"a":2},\n{"a":3}]\n', 1)) == [
        b'[{"a":1}]',
        b'[ {"a":2}]',
        b'[\n{"a":3}]\n',
    ]


@pytest.mark.parametrize("body", [b"[]", b"[1,2]", b'[{"a":1}]', b'["},"]'])
def test_list_that_cannot_be_split_is_one_fragment(body: bytes) -> None:
    assert list(split_fragments(body, 1000)) == [body]


@pytest.mark.parametrize("body", [b"", b'{"a":{"b":1},"c":{}}', b" []", b"x"])
def test_body_that_is_not_a_list_has_no_fragments(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a list"):
        list(split_fragments(body, 1))


@pytest.mark.parametrize("end", [b",]", b", \n]", b",", b",]]"])
def test_trailing_comma_is_rejected_in_fragments_too(end: bytes) -> None:
    body = response_of(records_of(1, desc="x" * FRAGMENT_BYTES)).body[:-1] + end

    assert b"}," in body[FRAGMENT_BYTES:]
    with pytest.raises(InvalidResponseError):
        decode_services(Response(status=200, body=body), SMMFANFAST)


def test_long_catalogue_keeps_order_and_shares_texts() -> None:
    reply = response_of(records_of(5000))
    assert len(reply.body) > 4 * FRAGMENT_BYTES

    found = decode_services(reply, SMMFANFAST).services

    assert [each.service for each in found] == [str(each) for each in range(1, 5001)]
    assert len({id(each.category) for each in found}) == 1
    assert len({id(each.type) for each in found}) == 1


def test_texts_that_look_like_record_ends_are_kept_whole() -> None:
    found = decode_services(response_of(records_of(500, desc=LONG)), SMMFANFAST)

    assert found.services == [
        Service(service=str(each), name=f"Service {each}", category="A", type="default", desc=LONG)
        for each in range(1, 501)
    ]
    assert found.unreadable == ()


@pytest.mark.parametrize("index", [0, 700, 1500, 2999])
def test_irregular_record_in_long_catalogue_affects_no_other(index: int) -> None:
    records = records_of(3000)
    plain = decode_services(response_of(records), SMMFANFAST).services
    records[index] = {"service": f"{index + 1}", "rate": "free"}

    found = decode_services(response_of(records), SMMFANFAST)

    irregular = Service(service=f"{index + 1}", extra={"rate": "free"})
    assert found.services == [*plain[:index], irregular, *plain[index + 1 :]]


def test_record_without_id_is_reported_as_unreadable() -> None:
    records = records_of(3000)
    records[1500] = {"name": "no id"}

    found = decode_services(response_of(records), SMMFANFAST)

    assert len(found.services) == 2999
    assert found.unreadable == ('{"name":"no id"}',)


def test_numeric_service_ids_become_text() -> None:
    found = decode_services(
        Response(status=200, body=b'[{"service":7},{"service":"a-1"}]'), SMMFANFAST
    )

    assert [each.service for each in found.services] == ["7", "a-1"]


@pytest.mark.parametrize("rate", ["1_0", "١٢", "\\u0661", "NaN", "1e400"])
def test_rate_that_only_resembles_a_number_is_kept_in_extra(rate: str) -> None:
    body = f'[{{"service":"7","rate":"{rate}"}},{{"service":"8","rate":"1.50","name":"é_"}}]'

    irregular, plain = decode_services(
        Response(status=200, body=body.encode()), SMMFANFAST
    ).services

    assert irregular.rate is None
    assert irregular.extra == {"rate": "١" if rate.startswith("\\") else rate}
    assert (str(plain.rate), plain.extra) == ("1.50", None)


def test_panel_field_named_like_an_own_field_goes_into_extra() -> None:
    body = b'[{"service":"7","extra":{"a":1}},{"service":"8","\\u0065xtra":{}}]'

    found = decode_services(Response(status=200, body=body), SMMFANFAST).services

    assert [each.extra for each in found] == [{"extra": {"a": 1}}, {"extra": {}}]


# --- in steps ------------------------------------------------------------------------------------


def test_catalogue_read_ahead_in_many_steps_is_the_same() -> None:
    reply = response_of(records_of(5000))

    steps, found = run_read_ahead(reply)

    assert isinstance(found, ReplyReadAhead)
    assert steps == 1 + len(reply.body) // (FRAGMENT_BYTES + 100)
    assert decode_services(found, SMMFANFAST) == decode_services(reply, SMMFANFAST)
    assert (found.status, found.body) == (reply.status, reply.body)


TEMPLATES = ["{}", "\ufeff{}", " \n{}\r\n", '{{"data":{}}}', '\ufeff {{ "data" :\n{} }}\n',
          '{{"status":"success","data":{},"count":5}}']  # fmt: skip


@pytest.mark.parametrize("template", TEMPLATES)
def test_catalogue_inside_an_object_is_read_ahead_too(template: str) -> None:
    plain = response_of(records_of(3000, desc="x" * 200))
    wrapped = Response(status=200, body=template.format(plain.body.decode()).encode())

    steps, found = run_read_ahead(wrapped)

    assert steps > 10
    assert isinstance(found, ReplyReadAhead)
    assert decode_services(found, SMMFANFAST) == decode_services(plain, SMMFANFAST)
    assert decode_services(wrapped, SMMFANFAST) == decode_services(plain, SMMFANFAST)


@pytest.mark.parametrize("template", [
    '{{"data":{},"error":"Invalid API key"}}', '{{"status":"fail","data":{}}}',
    '{{"data":{0},"data":{0}}}', '{{"a":{{"data":{}}},"data":[]}}', '{{"data":[],"a":{}}}',
    '{{"a":{{"data":{}}},"data":{{}}}}', '{{"data":{},}}', '{{"data":{}}} and more', '{{"data":{}',
    '{{"rows":{}}}', '"{}"', "Notice: {}",
])  # fmt: skip
def test_ambiguous_object_is_decoded_as_a_whole(template: str) -> None:
    body = template.format(response_of(records_of(1000)).body.decode()).encode()
    reply = Response(status=200, body=body)

    steps, found = run_read_ahead(reply)

    assert steps == 0 or template.startswith('{{"data":{0},"data"')
    assert found is reply


def test_refusal_beside_services_is_raised() -> None:
    body = b'{"data":[{"service":"5"}],"error":"Invalid API key"}'

    with pytest.raises(AuthenticationError):
        decode_services(Response(status=200, body=body), SMMFANFAST)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 503), (b'{"error":"Invalid API key"}', 200), (b"", 200), (b"[{},", 200)],
)
def test_response_without_fragments_is_not_read_ahead(body: bytes, status: int) -> None:
    reply = Response(status=status, body=body)

    assert run_read_ahead(reply) == (0, reply)
