"""The raw text that is kept with statuses and services: each one's own fragment."""

import json

import pytest

from smmfanfast_async._wire.decode import (
    decode_services,
    decode_status,
    decode_statuses,
    read_ahead,
)
from smmfanfast_async.errors import InvalidResponseError, PanelError, RefusedError
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import OrderStatus, Response, Service

PLAIN = '{"status":"Pending","charge":"0.90"}'
IRREGULAR = '{"status":"Asleep","charge":"N/A","note":"caf\\u00e9"}'


def reply(body: str | bytes) -> Response:
    return Response(status=200, body=body.encode() if isinstance(body, str) else body)


def raws(body: str, ids: list[str], *, keep_raw: bool = True) -> list[str | None]:
    found = decode_statuses(reply(body), SMMFANFAST, ids, keep_raw=keep_raw).found
    return [found[each].raw for each in ids]


def test_status_keeps_raw_only_on_request() -> None:
    assert raws(f'{{"1":{PLAIN},"2":{IRREGULAR}}}', ["1", "2"], keep_raw=False) == [None, None]
    assert decode_status(reply(PLAIN), SMMFANFAST, "1").raw is None


def test_each_status_of_a_batch_keeps_its_own_fragment() -> None:
    assert raws(f'{{"1":{PLAIN}, "2":{IRREGULAR}}}', ["1", "2"]) == [PLAIN, IRREGULAR]


@pytest.mark.parametrize("record", [PLAIN, IRREGULAR])
def test_single_status_keeps_the_response(record: str) -> None:
    assert decode_status(reply(record), SMMFANFAST, "1", keep_raw=True).raw == record


def test_batch_that_cannot_be_split_is_kept_whole() -> None:
    body = f'<br />\n<b>Notice</b>\n{{"1":{PLAIN}}}'

    assert raws(body, ["1"]) == [body.replace("\n", " ")]


def test_raw_is_sanitized_and_bounded() -> None:
    record = '{"status":"Pending","note":"\u202e\u200b' + "x" * 5000 + '"}'
    [raw] = raws(f'{{"1":{record}}}', ["1"])

    assert raw is not None
    assert len(raw) == 2000
    assert raw.startswith('{"status":"Pending","note":" xxx')


@pytest.mark.parametrize("keep_raw", [False, True])
@pytest.mark.parametrize(
    ("entry", "error", "raw"),
    [
        ('"Incorrect order ID"', RefusedError, "Incorrect order ID"),
        ('{"error":"Incorrect order ID"}', RefusedError, '{"error":"Incorrect order ID"}'),
        ('{"status":5}', InvalidResponseError, '{"status":5}'),
        (None, InvalidResponseError, None),
    ],
)
def test_error_keeps_the_fragment_it_was_read_from(
    entry: str | None, error: type[PanelError], raw: str | None, *, keep_raw: bool
) -> None:
    body = f'{{"1":{PLAIN}}}' if entry is None else f'{{"1":{PLAIN},"2":{entry}}}'
    found = decode_statuses(reply(body), SMMFANFAST, ["1", "2"], keep_raw=keep_raw).found["2"]

    assert isinstance(found, error)
    assert found.raw == raw


def test_error_of_single_status_keeps_the_response() -> None:
    body = '{"status":"fail","error":"Incorrect order ID"}'

    with pytest.raises(RefusedError) as caught:
        decode_status(reply(body), SMMFANFAST, "1")

    assert caught.value.raw == body


@pytest.mark.parametrize("name", ["raw", "extra", "\\u0072aw", "/raw"])
@pytest.mark.parametrize("value", ['"x"', '{"a":1}', "{}", '""'])
def test_panel_cannot_fill_own_fields_of_a_status(name: str, value: str) -> None:
    body = f'{{"1":{{"status":"Pending","charge":"1","{name}":{value}}},"2":{PLAIN}}}'
    found = decode_statuses(reply(body), SMMFANFAST, ["1", "2"]).found

    status = found["1"]
    assert isinstance(status, OrderStatus)
    assert status.raw is None
    assert status.extra == {json.loads(f'"{name}"'): json.loads(value)}


PLAIN_SERVICE = '{"service":5,"name":"A","rate":"0.90"}'
IRREGULAR_SERVICE = '{"service":"6","name":"B \\/ C","rate":"1,234.50","min":"10"}'
NOTICE = "<br />\n<b>Notice</b>\n"


def services(body: str, *, keep_raw: bool = True) -> list[Service]:
    return decode_services(reply(body), SMMFANFAST, keep_raw=keep_raw).services


def test_service_keeps_raw_only_on_request() -> None:
    found = services(f"[{PLAIN_SERVICE},{IRREGULAR_SERVICE}]", keep_raw=False)

    assert [each.raw for each in found] == [None, None]


@pytest.mark.parametrize(
    "records", [[PLAIN_SERVICE], [PLAIN_SERVICE, PLAIN_SERVICE], [PLAIN_SERVICE, IRREGULAR_SERVICE]]
)
@pytest.mark.parametrize("template", ["[{}]", '{{"data":[{}]}}'])
def test_each_service_keeps_its_own_fragment(records: list[str], template: str) -> None:
    assert [each.raw for each in services(template.format(", ".join(records)))] == records


def test_service_of_unsplittable_catalogue_keeps_parsed_value() -> None:
    [service] = services(f"{NOTICE}[{PLAIN_SERVICE}]")

    assert service.raw is not None
    assert "0.90" in service.raw


def test_catalogue_read_ahead_keeps_the_same_fragments() -> None:
    body = f"[{','.join([PLAIN_SERVICE, IRREGULAR_SERVICE] * 2000)}]"
    steps = read_ahead(reply(body), keep_raw=True)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        found = decode_services(end.value, SMMFANFAST).services

    assert [each.raw for each in found] == [PLAIN_SERVICE, IRREGULAR_SERVICE] * 2000


@pytest.mark.parametrize("name", ["raw", "extra", "\\u0072aw", "/raw"])
def test_panel_cannot_fill_own_fields_of_a_service(name: str) -> None:
    found = services(
        f'[{PLAIN_SERVICE},{{"service":6,"rate":"1","{name}":{{"a":1}}}}]', keep_raw=False
    )

    assert [each.raw for each in found] == [None, None]
    assert found[1].extra == {json.loads(f'"{name}"'): {"a": 1}}
