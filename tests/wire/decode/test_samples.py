"""Every sample decodes to exactly one result or error."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from support.decoding import SAMPLES, comparable_entries, invalid, not_found, outcome, sample

from smmfanfast_async._wire.decode import (
    ServiceRows,
    decode_added,
    decode_balance,
    decode_call,
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
    decode_services,
    decode_status,
    decode_statuses,
)
from smmfanfast_async._wire.decode.json_values import NestedTooDeepError, parse_strict_json
from smmfanfast_async.errors import (
    ErrorKind,
    OutcomeUnknownError,
    RefusedError,
)
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import (
    Balance,
    CancelResult,
    RefillResult,
    RefillStatus,
    Response,
    Service,
)

FOLLOWERS = "Instagram - Followers [Guaranteed/Refill] - Less Drops \u2b50"
documented = partial(Service, category=FOLLOWERS, type="default", desc="usernames", dripfeed=True)
INDIAN = "Instagram Followers ( 30 days auto refill ) ( Max 350K ) (Indian Majority )"
a_and_b = [Service(service="5", name="A"), Service(service="9", name="B")]

INVALID_ACTION = (RefusedError, ErrorKind.VALIDATION, "This action is Invalid", None)

CATALOGUES: list[tuple[str, object]] = [
    (
        "services_document_evident.json",
        ServiceRows(
            [
                documented(
                    service="5",
                    name="Instagram Followers [15K] ",
                    raw_rate="1.02",
                    min=500,
                    max=10000,
                ),
                documented(
                    service="9",
                    name="Instagram Followers - Max 300k - No refill - 30-40k/Day",
                    raw_rate="0.04",
                    min=500,
                    max=300000,
                ),
                documented(
                    service="10",
                    name=INDIAN,
                    raw_rate="1.2",
                    min=100,
                    max=350000,
                ),
            ]
        ),
    ),
    ("services_document_invalid.txt", invalid("not JSON")),
    (
        "services_irregular_fields.json",
        ServiceRows(
            [
                Service(
                    service="1",
                    name="A",
                    category="C",
                    raw_rate="0.9",
                    min=10,
                    max=1000,
                    type="Custom Comments",
                    dripfeed=False,
                ),
                Service(
                    service="2",
                    name="B",
                    category="C",
                    raw_rate="0.90",
                    min=10,
                    max=1000,
                    type="custom_comments",
                    dripfeed=True,
                    refill=True,
                    cancel=False,
                ),
                Service(
                    service="3",
                    name="C",
                    type="DEFAULT",
                    desc="",
                    dripfeed=True,
                    refill=False,
                    cancel=True,
                    extra={"max": "1,000", "average_time": Decimal("12.5")},
                ),
                Service(
                    service="4",
                    name="7",
                    extra={
                        "rate": "free",
                        "min": "1.5",
                        "type": ["Default"],
                        "dripfeed": "perhaps",
                    },
                ),
            ]
        ),
    ),
    ("services_empty_data.json", ServiceRows([])),
    ("services_empty_list_in_data.json", ServiceRows([])),
    (
        "services_list_in_data.json",
        ServiceRows([Service(service="5", name="A", raw_rate="1")]),
    ),
    (
        "services_keyed_by_id.json",
        ServiceRows(
            [
                Service(service="5", name="A", raw_rate="1"),
                Service(service="9", name="B", raw_rate="2"),
            ]
        ),
    ),
    ("services_keyed_by_index.json", ServiceRows(a_and_b)),
    (
        "services_records_without_id.json",
        ServiceRows(
            a_and_b,
            (
                "{'name': 'no id'}",
                "{'service': ''}",
                "{'service': None}",
                "{'service': -3}",
                "{'service': 'a,b'}",
                "{'service': Decimal('4.5')}",
                "{'service': 'NaN'}",
                "'text'",
            ),
        ),
    ),
    (
        "services_api_v2.json",
        ServiceRows(
            [
                Service(
                    service="1",
                    name="Followers",
                    category="First Category",
                    raw_rate="0.90",
                    min=50,
                    max=10000,
                    type="Default",
                    refill=True,
                    cancel=True,
                ),
                Service(
                    service="2",
                    name="Comments",
                    category="Second Category",
                    raw_rate="8",
                    min=10,
                    max=1500,
                    type="Custom Comments",
                    refill=False,
                    cancel=True,
                ),
            ]
        ),
    ),
    ("errors/error_null.json", invalid("not a list of services")),
    ("errors/status_fail_with_message.json", INVALID_ACTION),
]


@pytest.mark.parametrize(("name", "expected"), CATALOGUES)
def test_catalogue_samples(name: str, expected: object) -> None:
    assert repr(outcome(lambda: decode_services(sample(name), SMMFANFAST))) == repr(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("balance_document.json", Balance(balance=Decimal("0.03"), currency="USD")),
        ("balance_four_decimals.json", Balance(balance=Decimal("0.0300"), currency="USD")),
        ("balance_number.json", Balance(balance=Decimal("100.84292"), currency="USD")),
        ("balance_absent.json", invalid("the balance is missing or not a number")),
        ("errors/error_null.json", Balance(balance=Decimal("1.00"))),
        ("errors/error_empty.json", Balance(balance=Decimal("1.00"))),
    ],
)
def test_balance_samples(name: str, expected: object) -> None:
    assert repr(outcome(lambda: decode_balance(sample(name), SMMFANFAST))) == repr(expected)


def services(body: str | bytes, status: int = 200) -> ServiceRows:
    raw = body.encode() if isinstance(body, str) else body
    return decode_services(Response(status=status, body=raw), SMMFANFAST)


@pytest.mark.parametrize(
    ("rate", "read"),
    [
        *[('"1.02"', "1.02"), ("1.02", "1.02"), ('"007.50"', "007.50"), ('"1e-5"', "0.00001")],
        *[('" 1.5 "', "1.5"), ('"$1.5"', "1.5"), ('"1,234.5"', "1234.5"), ('"-1"', "-1")],
        ('"' + "0" * 30 + '5"', "5"),
        *[("null", None), ('""', None), ('"N/A"', None)],
    ],
)
def test_rate_is_parsed_within_bounds(rate: str, read: str | None) -> None:
    found = services(f'[{{"service":"5","rate":{rate}}}]')

    assert found == ServiceRows([Service(service="5", raw_rate=read or None)])


@pytest.mark.parametrize(
    ("rate", "kept"),
    [
        *[('"1_0"', "1_0"), ('"١٢"', "١٢"), ('"NaN"', "NaN"), ("NaN", "NaN"), ('"."', ".")],
        *[('"1,234"', "1,234"), ('"0,036"', "0,036"), ("1e1000000", "1e1000000"), ("[1]", [1])],
        ("9" * 5000, "9" * 5000),
    ],
)
def test_invalid_rate_is_kept_in_extra(rate: str, kept: object) -> None:
    found = services(f'[{{"service":"5","rate":{rate}}},{{"service":"6","rate":"1"}}]')

    assert found.services == [
        Service(service="5", extra={"rate": kept}),
        Service(service="6", raw_rate="1"),
    ]


@pytest.mark.parametrize(
    "number", ["4.99999999999999999999", "5.0", "5e0", "1e99", "Infinity", "9" * 129]
)
def test_fraction_is_not_a_service_id(number: str) -> None:
    found = services(f'[{{"service":{number},"name":"A"}},{{"service":6}}]')

    assert found.services == [Service(service="6")]
    assert len(found.unreadable) == 1


def test_numeric_and_textual_service_ids_are_equal() -> None:
    assert services('[{"service":12},{"service":"12"}]').services == [Service(service="12")] * 2


def test_unreadable_service_is_reported_sanitized_and_bounded() -> None:
    found = services('[{"name":"\u202eA\u2028B","desc":"' + "x" * 10**6 + '"}]')

    assert found.services == []
    assert found.unreadable[0].startswith('{"name":" A B","desc":"xx')
    assert len(found.unreadable[0]) == 500


@pytest.mark.parametrize("depth", [100, 900, *range(960, 1000), 10**5])
@pytest.mark.parametrize("field", ["service", "name", "note"])
def test_deeply_nested_service_is_unreadable_or_invalidates_response(
    depth: int, field: str
) -> None:
    record = f'{{"{field}":{"[" * depth}{"]" * depth}}}'

    found = outcome(lambda: services(f'[{record},{{"service":"6"}}]'))

    if isinstance(found, ServiceRows):
        assert found.services == [Service(service="6")]
        assert len(found.unreadable) == 1
    else:
        assert found == invalid("nested too deep")


@pytest.mark.parametrize(
    "body",
    [
        *("{}", '{"status":"success"}', '{"data":null}', '{"data":"Nothing here"}', '{"data":5}'),
        *('{"5":"A","6":"B"}', '{"data":{"5":"A"}}'),
    ],
)
def test_response_without_services_is_not_an_empty_catalogue(body: str) -> None:
    assert outcome(lambda: services(body)) == invalid("not a list of services")


@pytest.mark.parametrize("body", ["[]", '{"data":[]}', '{"data":"empty data"}', "\ufeff[]"])
def test_empty_catalogue_is_recognized(body: str) -> None:
    assert services(body) == ServiceRows([])


def test_catalogue_under_http_201_is_decoded() -> None:
    assert services('[{"service":"5"}]', 201).services == [Service(service="5")]


def test_equal_categories_share_one_text() -> None:
    records = ",".join(f'{{"service":{each},"category":"Followers"}}' for each in range(1, 9))

    found = services(f"[{records}]").services

    assert len({id(each.category) for each in found}) == 1


@pytest.mark.parametrize(
    "value",
    [
        *('""', "null", '"N/A"', '"abc"', '"1_0"', '"NaN"', "NaN", "1e1000000", '"١٢"', "true"),
        *('"1,234"', '"0,03"', "[]", "9" * 5000),
    ],
)
def test_invalid_balance_is_an_error_and_never_0(value: str) -> None:
    reply = Response(status=200, body=f'{{"balance":{value},"currency":"USD"}}'.encode())

    assert outcome(lambda: decode_balance(reply, SMMFANFAST)) == invalid(
        "the balance is missing or not a number"
    )


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", "0"), ('"-5.10"', "-5.10"), ('"$1,234.50"', "1234.50"), ("1e-5", "0.00001")],
)
def test_balance_is_exact(value: str, number: str) -> None:
    reply = Response(status=200, body=f'{{"balance":{value},"currency":5}}'.encode())

    assert decode_balance(reply, SMMFANFAST) == Balance(balance=Decimal(number))


@pytest.mark.parametrize("body", ["[]", '[{"balance":"1"},{"balance":"2"}]'])
def test_balance_needs_an_object(body: str) -> None:
    reply = Response(status=200, body=body.encode())

    assert outcome(lambda: decode_balance(reply, SMMFANFAST)) == invalid("not an object")


def test_refill_sample() -> None:
    found = decode_refill(sample("refill.json"), SMMFANFAST, "32")

    assert found == RefillResult(order="32", refill="1")


def test_each_refill_has_its_own_result() -> None:
    found = decode_refills(sample("refills.json"), SMMFANFAST, ["1", "2", "3", "4"])

    assert comparable_entries(dict(found)) == {
        "1": RefillResult(order="1", refill="1"),
        "2": RefillResult(order="2", refill="2"),
        "3": not_found("3"),
        "4": invalid("the response does not mention this id", "4"),
    }


def test_single_refill_status_has_the_requested_id() -> None:
    found = decode_refill_statuses(sample("refill_status.json"), SMMFANFAST, ["1"])

    assert found == {"1": RefillStatus(refill="1", raw_status="Completed")}


def test_each_refill_status_has_its_own_result() -> None:
    found = decode_refill_statuses(sample("refill_statuses.json"), SMMFANFAST, ["1", "2", "3"])

    assert comparable_entries(dict(found)) == {
        "1": RefillStatus(refill="1", raw_status="Completed"),
        "2": RefillStatus(refill="2", raw_status="Rejected"),
        "3": not_found("3", "Refill not found"),
    }


def test_each_cancel_has_its_own_result() -> None:
    found = decode_cancels(sample("cancels.json"), SMMFANFAST, ["9", "2"])

    assert comparable_entries(dict(found)) == {"9": not_found("9"), "2": CancelResult(order="2")}


def test_undocumented_call_returns_json_with_exact_numbers() -> None:
    found = decode_call(sample("balance_number.json"), SMMFANFAST, "me")

    assert found == {"balance": Decimal("100.84292"), "currency": "USD"}


DEEP = 10**6


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("[" * DEEP, "nested too deep"),
        ("[" * DEEP + "]" * DEEP, "nested too deep"),
        ('{"12":' * DEEP, "nested too deep"),
        ('{"12":[' + "1," * 10**5 + '{"order":"12"}', "not JSON"),
        ("{" * DEEP, "not JSON"),
        ('"' + "x" * DEEP, "not JSON"),
    ],
    ids=["lists", "lists closed", "objects", "truncated", "braces", "text"],
)
def test_hostile_body_is_invalid_and_leaves_order_unknown(body: str, text: str) -> None:
    reply = Response(status=200, body=body.encode())

    for read in (
        lambda: decode_status(reply, SMMFANFAST, "12"),
        lambda: decode_statuses(reply, SMMFANFAST, ["12"]),
        lambda: decode_services(reply, SMMFANFAST),
        lambda: decode_balance(reply, SMMFANFAST),
        lambda: decode_refill(reply, SMMFANFAST, "12"),
        lambda: decode_cancels(reply, SMMFANFAST, ["12"]),
    ):
        error_class, kind, reason, _ = outcome(read)  # type: ignore[misc]
        assert (error_class, kind, reason) == invalid(text)[:3]
    with pytest.raises(OutcomeUnknownError, match=text):
        decode_added(reply, SMMFANFAST, {}, datetime(2026, 1, 2, tzinfo=UTC))


def test_strict_parser_limits_nesting_too() -> None:
    """The response to `add` is parsed again to find duplicate names; its depth is limited too."""
    with pytest.raises(NestedTooDeepError):
        parse_strict_json("[" * DEEP)


@pytest.mark.parametrize("nesting", ['{"error":', "["])
def test_deeply_nested_error_text_is_a_refusal(nesting: str) -> None:
    closing = "}" if nesting.startswith("{") else "]"
    reply = Response(status=200, body=f'{{"error":{nesting * 400}"x"{closing * 400}}}'.encode())

    assert outcome(lambda: decode_balance(reply, SMMFANFAST)) == (
        RefusedError,
        ErrorKind.UNKNOWN,
        "error",
        None,
    )


def test_orders_that_are_not_a_list_go_into_extra() -> None:
    reply = Response(status=200, body=b'{"status":"Active","posts":1,"orders":"7"}')

    found = decode_status(reply, SMMFANFAST, "6")

    assert (found.orders, found.extra) == ((), {"orders": "7"})


def test_every_sample_is_documented_and_used() -> None:
    files = [path.relative_to(SAMPLES).as_posix() for path in SAMPLES.rglob("*.*")]
    names = {name for name in files if name not in {"README.md", ".gitattributes"}}
    table = (SAMPLES / "README.md").read_text(encoding="utf-8")
    here = Path(__file__).parent
    tests = [*here.glob("test_*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in tests)

    assert {name for name in names if f"| `{name}` |" not in table} == set()
    assert {name for name in names if f'{name.rpartition("/")[2]}"' not in text} == set()


@pytest.mark.parametrize("desc", ["", r"say \"rate\":5 and \"rate\": 6", r"a\\", "é ✅"])
def test_rates_that_are_json_numbers_are_exact(desc: str) -> None:
    records = [
        f'{{"service":"{each}","rate":{rate},"desc":"{desc}","min":"1"}}'
        for each, rate in (("5", "0.90"), ("6", "12"), ("7", "1e-5"), ("8", "null"))
    ]
    plain = services(f"[{','.join(records[:2])}]").services
    mixed = services(f"[{','.join(records)}]").services

    assert [each.raw_rate for each in plain] == ["0.90", "12"]
    assert [each.raw_rate for each in mixed] == ["0.90", "12", "0.00001", None]
    assert {each.desc for each in mixed} == {json.loads(f'"{desc}"') or ""}


@pytest.mark.parametrize("text", ["5.000", "5,000"])
def test_ambiguous_limit_of_a_service_is_none_and_kept(text: str) -> None:
    body = f'[{{"service":1,"min":"10","max":"{text}","rate":"1.000","name":"5.000"}}]'.encode()

    service = next(iter(decode_services(Response(status=200, body=body), SMMFANFAST).services))

    assert (service.min, service.max, service.extra) == (10, None, {"max": text})
    assert service.rate == 1
