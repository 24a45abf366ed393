"""Statuses: what each sample decodes to."""

from decimal import Decimal

import pytest
from support.decoding import (
    ABSENT,
    comparable_entries,
    invalid,
    not_found,
    outcome,
    sample,
    status_of,
)

from smmfanfast_async._wire.decode import (
    decode_status,
    decode_statuses,
)
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import (
    OrderStatus,
    Response,
    Status,
)

one_processing = {
    "12": OrderStatus(
        order="12",
        raw_status="processing",
        raw_charge="1.2600",
        start_count=0,
        remains=0,
    )
}

# sample, requested order, expected result
STATUSES_OF_ONE: list[tuple[str, str, object]] = [
    (
        "status_normal.json",
        "32",
        OrderStatus(
            order="32", raw_status="pending", raw_charge="0.0360", start_count=0, remains=0
        ),
    ),
    (
        "status_currency.json",
        "32",
        OrderStatus(
            order="32",
            raw_status="Completed",
            raw_charge="0.0360",
            start_count=1204,
            remains=0,
            currency="USD",
        ),
    ),
    (
        "status_currency.json",
        "33",
        invalid("the response for this order is about order 32", "33"),
    ),
    (
        "status_without_order.json",
        "1",
        OrderStatus(
            order="1",
            raw_status="Partial",
            raw_charge="0.27819",
            start_count=3572,
            remains=157,
            currency="USD",
        ),
    ),
    (
        "status_subscription.json",
        "900",
        OrderStatus(
            order="900", raw_status="Active", expiry=True, posts=3, orders=("901", "902", "903")
        ),
    ),
    (
        "status_subscription_ids_as_numbers.json",
        "900",
        OrderStatus(order="900", raw_status="Active", expiry=False, posts=2, orders=("901", "902")),
    ),
    (
        "status_drip_feed.json",
        "910",
        OrderStatus(
            order="910", raw_status="In progress", runs=4, orders=("911", "912", "913", "914")
        ),
    ),
    (
        "errors/order_that_failed.json",
        "32",
        OrderStatus(order="32", raw_status="Error", raw_charge="0"),
    ),
    ("errors/error.json", "7", not_found("7")),
    ("errors/bare_text.json", "7", not_found("7")),
    ("errors/empty.txt", "7", invalid("empty", "7")),
    ("errors/challenge.html", "7", invalid("not JSON", "7")),
    ("statuses_empty_list.json", "7", invalid("not a status", "7")),
    # A record under its id, as in a batch.
    ("statuses_bom.json", "12", one_processing["12"]),
    ("statuses_batch_with_refused_id.json", "2", not_found("2")),
    ("balance_number.json", "7", invalid("no status in the response for this order", "7")),
]


@pytest.mark.parametrize(("name", "order", "expected"), STATUSES_OF_ONE)
def test_samples_of_one_status(name: str, order: str, expected: object) -> None:
    found = outcome(lambda: decode_status(sample(name), SMMFANFAST, order))

    assert repr(found) == repr(expected)


def numbered(field: str, *values: object, **more: object) -> dict[str, object]:
    return {
        str(number): status_of(order=str(number), **{field: value}, **more)
        for number, value in enumerate(values, 1)
    }


def kept(field: str, *values: object) -> dict[str, object]:
    return {
        str(number): status_of(order=str(number), extra={field: value})
        for number, value in enumerate(values, 1)
    }


# sample, expected entries (their ids are the requested ones), number of unexpected ids
BATCHES: list[tuple[str, dict[str, object], int]] = [
    (
        "statuses_batch_with_refused_id.json",
        one_processing
        | {
            "2": not_found("2"),
            "13": OrderStatus(
                order="13",
                raw_status="pending",
                raw_charge="0.6300",
                start_count=0,
                remains=0,
            ),
        },
        0,
    ),
    (
        "statuses_batch_with_error_objects.json",
        {
            "1": OrderStatus(
                order="1",
                raw_status="Partial",
                raw_charge="0.27819",
                start_count=3572,
                remains=157,
                currency="USD",
            ),
            "10": not_found("10"),
            "100": OrderStatus(
                order="100",
                raw_status="In progress",
                raw_charge="1.44219",
                start_count=234,
                remains=10,
                currency="USD",
            ),
        },
        0,
    ),
    (
        "statuses_batch_with_failing_status.json",
        {
            "12": not_found("12"),
            "13": OrderStatus(order="13", raw_status="Fail", raw_charge="0", remains=0),
        },
        0,
    ),
    ("statuses_empty_list.json", {"12": invalid(ABSENT, "12")}, 0),
    (
        "statuses_list_keys_from_0.json",
        {
            "0": status_of(order="0", raw_charge="1"),
            "1": not_found("1"),
            "2": OrderStatus(order="2", raw_status="Completed", raw_charge="2"),
        },
        0,
    ),
    # Indexes are not ids unless all of them were requested.
    (
        "statuses_list_keys_from_0.json",
        {"1": invalid(ABSENT, "1"), "2": invalid(ABSENT, "2")},
        3,
    ),
    (
        "statuses_list_with_ids.json",
        {
            "13": OrderStatus(order="13", raw_status="Completed", raw_charge="2"),
            "12": status_of(order="12", raw_charge="1"),
            "1": invalid(ABSENT, "1"),
        },
        0,
    ),
    (
        "statuses_unexpected_and_missing.json",
        {
            "12": status_of(order="12", raw_charge="1"),
            "13": invalid(ABSENT, "13"),
            "14": invalid(ABSENT, "14"),
        },
        1,
    ),
    ("statuses_unexpected_and_missing.json", {"13": invalid(ABSENT, "13")}, 2),
    (
        "statuses_wrong_inner_id.json",
        {
            "12": invalid("the response for this order is about order 21", "12"),
            "13": status_of(order="13", raw_charge="1"),
            "21": invalid(ABSENT, "21"),
        },
        0,
    ),
    ("statuses_bom.json", one_processing, 0),
    ("statuses_php_notice.html", one_processing, 0),
    ("statuses_whitespace_around.json", one_processing, 0),
    (
        "statuses_escapes.json",
        {
            "12": OrderStatus(
                order="12", raw_status="In progress", raw_charge="1.2600", currency="USD/USDT"
            )
        },
        0,
    ),
    (
        "statuses_amounts_read.json",
        numbered(
            "raw_charge",
            *["1234.56", "12.50", "0.75", "0.000010", "0.000010", "0.1", "12"],
        ),
        0,
    ),
    ("statuses_amounts_absent.json", numbered("raw_charge", None, None, None, None), 0),
    (
        "statuses_counts_from_provider.json",
        {
            str(number): OrderStatus(
                order=str(number),
                raw_status="Processing",
                raw_charge="0.5",
                start_count=start,
                remains=remains,
                # 1200, or 1.2 with a decimal comma.
                extra={"start_count": "1,200", "remains": "1,200"} if number == 8 else None,
            )
            for number, (start, remains) in enumerate(
                # With a plus sign `remains` is the surplus that was delivered.
                [(1200, 1200)] * 3 + [(None, None)] * 3 + [(5, -5), (None, None)],
                1,
            )
        },
        0,
    ),
    (
        "hostile/statuses_invalid_amounts.json",
        kept(
            "charge",
            *["NaN", "Infinity", "-Infinity", "NaN", "sNaN", "Infinity"],
            *["1e1000000"] * 2,
            *["1e99999999999999999999"] * 2,
            *["1_000", "١٢", "１２", "9" * 5000, "9" * 5000, True, [], {"a": [1]}],
            *["1,5", "0,036", "1,234", "--5", "5 apples"],
        ),
        0,
    ),
    (
        "hostile/statuses_invalid_counts.json",
        kept(
            "remains",
            *["NaN", "1e1000000", "1e1000000", "1_000", "١٢", "9" * 5000, True],
            *[Decimal("1.5"), "1.5", 10**15 + 1, "1,5", [1]],
        ),
        0,
    ),
    (
        "hostile/statuses_lone_surrogate.json",
        {
            "12": OrderStatus(
                order="12",
                raw_status="Pend\ufffding",
                raw_charge="1",
                extra={"note": "\ufffd \\ud800 \N{GRINNING FACE}"},
            )
        },
        0,
    ),
    (
        "hostile/statuses_duplicate_names.json",
        {"12": OrderStatus(order="12", raw_status="Partial", raw_charge="1")},
        0,
    ),
    (
        "hostile/statuses_wrong_charset.json",
        {"12": status_of(order="12", raw_charge="1", extra={"note": "caf\ufffd"})},
        0,
    ),
    (
        "hostile/statuses_own_field_name.json",
        {"12": status_of(order="12", raw_charge="1", extra={"extra": {"a": Decimal("1.5")}})},
        0,
    ),
]


@pytest.mark.parametrize(("name", "expected", "unexpected"), BATCHES)
def test_samples_of_batches(name: str, expected: dict[str, object], unexpected: int) -> None:
    batch = decode_statuses(sample(name), SMMFANFAST, list(expected))

    assert repr(comparable_entries(dict(batch.found))) == repr(expected)
    assert batch.unexpected == unexpected


def test_status_words_are_parsed_in_any_spelling_and_kept() -> None:
    ids = [str(number) for number in range(1, 22)]
    found = decode_statuses(sample("statuses_words.json"), SMMFANFAST, ids).found

    statuses = [(each.raw_status, each.status) for each in found.values()]  # type: ignore[union-attr]
    assert statuses == [
        ("Active", Status.ACTIVE),
        ("Completed", Status.COMPLETED),
        ("Processing", Status.PROCESSING),
        ("Pending", Status.PENDING),
        ("In progress", Status.IN_PROGRESS),
        ("Partial", Status.PARTIAL),
        ("Canceled", Status.CANCELED),
        ("Refunded", Status.REFUNDED),
        ("pending", Status.PENDING),
        ("Cancelled", Status.CANCELED),
        ("Inprogress", Status.IN_PROGRESS),
        ("in_progress", Status.IN_PROGRESS),
        ("IN-PROGRESS", Status.IN_PROGRESS),
        ("Fail", Status.FAILED),
        ("Failed", Status.FAILED),
        ("Error", Status.ERROR),
        ("Paused", Status.PAUSED),
        ("Expired", Status.EXPIRED),
        ("Awaiting", Status.AWAITING),
        ("قيد التنفيذ", Status.UNKNOWN),
        ("Done soon", Status.UNKNOWN),
    ]


@pytest.mark.parametrize("field", ["start_count", "remains"])
@pytest.mark.parametrize("text", ["2.000", "-2.000", "12.000", "2,000", "2.500", "+2.000"])
def test_ambiguous_count_is_none_and_kept(field: str, text: str) -> None:
    record = f'{{"order":"7","status":"Partial","charge":"5.000","{field}": "{text}"}}'
    regular = '{"order":"8","status":"Partial","charge":"5.000","remains":"2000"}'
    body = f'{{"7":{record},"8":{regular}}}'.encode()

    batch = decode_statuses(Response(status=200, body=body), SMMFANFAST, ["7", "8"])
    alone = decode_status(Response(status=200, body=record.encode()), SMMFANFAST, "7")

    assert batch.found["7"] == alone
    assert getattr(alone, field) is None
    assert alone.extra == {field: text}
    assert alone.charge == Decimal(5)
    assert alone.refund_share(5000) is None
    other = batch.found["8"]
    assert isinstance(other, OrderStatus)
    assert other.remains == 2000


def test_other_counts_of_the_same_batch_are_read() -> None:
    body = b"""{"7":{"order":"7","status":"Partial","remains":"2.000","start_count":"5"},
        "8":{"order":"8","status":"Partial","remains":"20.0","start_count":3.000}}"""

    batch = decode_statuses(Response(status=200, body=body), SMMFANFAST, ["7", "8"])

    seven, eight = (batch.found[each] for each in ("7", "8"))
    assert isinstance(seven, OrderStatus)
    assert isinstance(eight, OrderStatus)
    assert (seven.remains, seven.start_count) == (None, 5)
    assert (eight.remains, eight.start_count, eight.extra) == (20, 3, None)
