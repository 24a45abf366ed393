"""A long list is read piece by piece, and means what it means as a whole."""

import json
from collections.abc import Generator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async._wire.decode import decode_services
from smmfanfast_async._wire.decode.fragments import split_fragments
from smmfanfast_async._wire.decode.services import FRAGMENT_BYTES, ReplyReadAhead, read_ahead
from smmfanfast_async.errors import AuthenticationError, InvalidResponseError
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import Response, Service

LONG = '},{"service":"9"},{' * 40
"""Text that looks like the end of a record, again and again."""


def rows(count: int, **more: object) -> list[dict[str, object]]:
    return [
        {"service": str(each), "name": f"Service {each}", "category": "A", "type": "default"} | more
        for each in range(1, count + 1)
    ]


def listed(records: list[dict[str, object]]) -> Response:
    return Response(status=200, body=json.dumps(records, separators=(",", ":")).encode())


def ahead(reply: Response) -> tuple[int, Response]:
    """Take all steps; give their number and what came of them."""
    found: list[Response] = []

    def steps() -> Generator[None, None, None]:
        found.append((yield from read_ahead(reply)))

    return sum(1 for _ in steps()), found[0]


@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(0, 400), st.sampled_from([None, 1]))
def test_pieces_that_can_be_read_are_the_list(
    seed: int, count: int, size_bytes: int, indent: int | None
) -> None:
    random = Random(seed)
    values = ["}", "},", '"},{"', [{}, {}], {"a": {"b": 1}, "c": 2}, None, "\\", 5]
    records = [{"a": random.choice(values), "b": random.choice(values)} for _ in range(count)]
    body = json.dumps(records, indent=indent).encode()

    read: list[object] = []
    try:
        for piece in split_fragments(body, size_bytes):
            read += json.loads(piece)
    except ValueError:
        return
    assert read == records


def test_plain_list_is_cut_behind_its_records() -> None:
    assert list(split_fragments(b'[{"a":1}, {"a":2},\n{"a":3}]\n', 1)) == [
        b'[{"a":1}]',
        b'[ {"a":2}]',
        b'[\n{"a":3}]\n',
    ]


@pytest.mark.parametrize("body", [b"[]", b"[1,2]", b'[{"a":1}]', b'["},"]'])
def test_list_with_nothing_to_cut_at_is_one_piece(body: bytes) -> None:
    assert list(split_fragments(body, 1000)) == [body]


@pytest.mark.parametrize("body", [b"", b'{"a":{"b":1},"c":{}}', b" []", b"x"])
def test_what_is_no_list_has_no_pieces(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a list"):
        list(split_fragments(body, 1))


@pytest.mark.parametrize("end", [b",]", b", \n]", b",", b",]]"])
def test_comma_at_the_end_is_refused_in_pieces_as_in_the_whole(end: bytes) -> None:
    body = listed(rows(1, desc="x" * FRAGMENT_BYTES)).body[:-1] + end

    assert b"}," in body[FRAGMENT_BYTES:]
    with pytest.raises(InvalidResponseError):
        decode_services(Response(status=200, body=body), SMMFANFAST)


def test_long_catalogue_keeps_its_order_and_shares_its_texts() -> None:
    reply = listed(rows(5000))
    assert len(reply.body) > 4 * FRAGMENT_BYTES

    found = decode_services(reply, SMMFANFAST).services

    assert [each.service for each in found] == [str(each) for each in range(1, 5001)]
    assert len({id(each.category) for each in found}) == 1
    assert len({id(each.type) for each in found}) == 1


def test_texts_that_look_like_ends_of_records_are_not_cut() -> None:
    found = decode_services(listed(rows(500, desc=LONG)), SMMFANFAST)

    assert found.services == [
        Service(service=str(each), name=f"Service {each}", category="A", type="default", desc=LONG)
        for each in range(1, 501)
    ]
    assert found.unreadable == ()


@pytest.mark.parametrize("place", [0, 700, 1500, 2999])
def test_odd_row_of_a_long_catalogue_harms_no_other(place: int) -> None:
    records = rows(3000)
    plain = decode_services(listed(records), SMMFANFAST).services
    records[place] = {"service": f"{place + 1}", "rate": "free"}

    found = decode_services(listed(records), SMMFANFAST)

    odd = Service(service=f"{place + 1}", extra={"rate": "free"})
    assert found.services == [*plain[:place], odd, *plain[place + 1 :]]


def test_row_without_an_id_is_set_aside_wherever_it_stands() -> None:
    records = rows(3000)
    records[1500] = {"name": "no id"}

    found = decode_services(listed(records), SMMFANFAST)

    assert len(found.services) == 2999
    assert found.unreadable == ('{"name":"no id"}',)


def test_ids_that_are_numbers_come_as_text() -> None:
    found = decode_services(
        Response(status=200, body=b'[{"service":7},{"service":"a-1"}]'), SMMFANFAST
    )

    assert [each.service for each in found.services] == ["7", "a-1"]


@pytest.mark.parametrize("rate", ["1_0", "١٢", "\\u0661", "NaN", "1e400"])
def test_rate_that_only_looks_like_a_number_is_kept_as_it_came(rate: str) -> None:
    body = f'[{{"service":"7","rate":"{rate}"}},{{"service":"8","rate":"1.50","name":"é_"}}]'

    odd, plain = decode_services(Response(status=200, body=body.encode()), SMMFANFAST).services

    assert odd.rate is None
    assert odd.extra == {"rate": "١" if rate.startswith("\\") else rate}
    assert (str(plain.rate), plain.extra) == ("1.50", None)


def test_field_with_our_name_is_one_without() -> None:
    body = b'[{"service":"7","extra":{"a":1}},{"service":"8","\\u0065xtra":{}}]'

    found = decode_services(Response(status=200, body=body), SMMFANFAST).services

    assert [each.extra for each in found] == [{"extra": {"a": 1}}, {"extra": {}}]


# --- in steps ------------------------------------------------------------------------------------


def test_catalogue_read_ahead_is_the_same_and_took_many_steps() -> None:
    reply = listed(rows(5000))

    steps, found = ahead(reply)

    assert isinstance(found, ReplyReadAhead)
    assert steps == 1 + len(reply.body) // (FRAGMENT_BYTES + 100)
    assert decode_services(found, SMMFANFAST) == decode_services(reply, SMMFANFAST)
    assert (found.status, found.body) == (reply.status, reply.body)


FRAMES = ["{}", "\ufeff{}", " \n{}\r\n", '{{"data":{}}}', '\ufeff {{ "data" :\n{} }}\n',
          '{{"status":"success","data":{},"count":5}}']  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_catalogue_in_a_frame_is_read_ahead_too(frame: str) -> None:
    plain = listed(rows(3000, desc="x" * 200))
    framed = Response(status=200, body=frame.format(plain.body.decode()).encode())

    steps, found = ahead(framed)

    assert steps > 10
    assert isinstance(found, ReplyReadAhead)
    assert decode_services(found, SMMFANFAST) == decode_services(plain, SMMFANFAST)
    assert decode_services(framed, SMMFANFAST) == decode_services(plain, SMMFANFAST)


@pytest.mark.parametrize("frame", [
    '{{"data":{},"error":"Invalid API key"}}', '{{"status":"fail","data":{}}}',
    '{{"data":{0},"data":{0}}}', '{{"a":{{"data":{}}},"data":[]}}', '{{"data":[],"a":{}}}',
    '{{"a":{{"data":{}}},"data":{{}}}}', '{{"data":{},}}', '{{"data":{}}} and more', '{{"data":{}',
    '{{"rows":{}}}', '"{}"', "Notice: {}",
])  # fmt: skip
def test_a_frame_that_may_mean_more_is_read_as_a_whole(frame: str) -> None:
    body = frame.format(listed(rows(1000)).body.decode()).encode()
    reply = Response(status=200, body=body)

    steps, found = ahead(reply)

    assert steps == 0 or frame.startswith('{{"data":{0},"data"')
    assert found is reply


def test_a_refusal_beside_rows_is_raised() -> None:
    body = b'{"data":[{"service":"5"}],"error":"Invalid API key"}'

    with pytest.raises(AuthenticationError):
        decode_services(Response(status=200, body=body), SMMFANFAST)


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"[]", 503), (b'{"error":"Invalid API key"}', 200), (b"", 200), (b"[{},", 200)],
)
def test_what_has_no_pieces_is_not_read_ahead(body: bytes, status: int) -> None:
    reply = Response(status=status, body=body)

    assert ahead(reply) == (0, reply)
