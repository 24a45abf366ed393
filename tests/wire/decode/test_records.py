"""Irregular records and entries: how they are read, and that they do not affect others."""

from decimal import Decimal

import pytest
from support.decoding import (
    ABSENT,
    comparable_entries,
    invalid,
    not_found,
    outcome,
    status_of,
)

from smmfanfast_async._wire.decode import (
    decode_status,
    decode_statuses,
)
from smmfanfast_async._wire.decode.fast import _find_unusual_amounts
from smmfanfast_async.errors import (
    ErrorKind,
    InvalidResponseError,
    RateLimitError,
    RefusedError,
)
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import (
    OrderStatus,
    Response,
)


def decode_one(record: str, order: str = "1", status: int = 200) -> object:
    reply = Response(status=status, body=record.encode())
    return outcome(lambda: decode_status(reply, SMMFANFAST, order))


@pytest.mark.parametrize("omitted", ["", '"order":"",', '"order":null,'])
@pytest.mark.parametrize("charge", ['"1"', '"N/A"'])
def test_omitted_id_is_the_requested_one(omitted: str, charge: str) -> None:
    found = decode_one(f'{{{omitted}"status":"Pending","charge":{charge}}}')

    assert found == status_of(order="1", raw_charge=None if charge == '"N/A"' else "1")


@pytest.mark.parametrize("charge", ['"1"', '"N/A"'])
def test_numeric_id_becomes_text(charge: str) -> None:
    found = decode_one(f'{{"order":17,"status":"Pending","charge":{charge}}}', "17")

    assert found == status_of(order="17", raw_charge=None if charge == '"N/A"' else "1")


@pytest.mark.parametrize("order", ["0", "-1", "true", "1.0", "[1]", '"1,2"', '" 1"', "1e99", "NaN"])
def test_unreadable_id_is_not_an_omitted_id(order: str) -> None:
    found = decode_one(f'{{"order":{order},"status":"Pending","charge":"1"}}')

    assert found == invalid("the id in the response for this order cannot be read", "1")


@pytest.mark.parametrize("order", ['"01"', '"2"', "2", '"1x"'])
@pytest.mark.parametrize("charge", ['"1"', '"N/A"'])
def test_record_about_another_order_is_an_error(order: str, charge: str) -> None:
    found = decode_one(f'{{"order":{order},"status":"Completed","charge":{charge}}}')

    named = order.strip('"')
    assert found == invalid(f"the response for this order is about order {named}", "1")


@pytest.mark.parametrize(
    ("field", "value", "kept_value"),
    [
        ("currency", "true", True),
        ("currency", "[]", []),
        ("orders", '"2,3"', "2,3"),
        ("orders", '["2,3"]', ["2,3"]),
        ("orders", '[""]', [""]),
        ("orders", "[1e99]", ["1e99"]),
        ("expiry", '"tomorrow"', "tomorrow"),
        ("runs", '"1_0"', "1_0"),
        ("extra", '"none so far"', "none so far"),
        ("raw_status", '"x"', "x"),
        ("charge", '"1_0"', "1_0"),
        ("charge", '"NaN"', "NaN"),
        ("charge", '"sNaN"', "sNaN"),
        ("charge", '"-Infinity"', "-Infinity"),
        ("charge", '"1e1000000"', "1e1000000"),
        ("charge", '"1e-1000000"', "1e-1000000"),
    ],
)
def test_unreadable_and_unknown_fields_are_kept_in_extra(
    field: str, value: str, kept_value: object
) -> None:
    assert decode_one(f'{{"status":"Pending","{field}":{value}}}') == status_of(
        order="1", extra={field: kept_value}
    )


def test_number_in_a_text_field_is_its_digits() -> None:
    assert decode_one('{"status":"Pending","charge":"1","currency":840}') == status_of(
        order="1", raw_charge="1", currency="840"
    )


@pytest.mark.parametrize("null", ["null", '"NULL"'])
@pytest.mark.parametrize("charge", ['"1"', '"N/A"'])
@pytest.mark.parametrize("name", ["extra", "raw"])
def test_null_in_an_own_field_is_ignored(null: str, charge: str, name: str) -> None:
    found = decode_one(f'{{"status":"Pending","{name}":{null},"charge":{charge}}}')

    assert found == status_of(order="1", raw_charge=None if charge == '"N/A"' else "1")


@pytest.mark.parametrize("orders", ["null", "[]"])
def test_null_and_empty_list_are_no_orders(orders: str) -> None:
    assert decode_one(f'{{"status":"Active","posts":0,"orders":{orders}}}') == OrderStatus(
        order="1", raw_status="Active", posts=0
    )


def test_underscore_in_status_does_not_hide_one_in_amount() -> None:
    found = decode_one('{"status":"start_count","charge":"1_0"}')

    assert found == OrderStatus(order="1", raw_status="start_count", extra={"charge": "1_0"})


@pytest.mark.parametrize("status", ["null", "5", "false", "[]"])
def test_record_without_a_status_word_is_an_error(status: str) -> None:
    found = decode_one(f'{{"order":"1","status":{status},"charge":"1"}}')

    assert found[0] in (InvalidResponseError, RefusedError)  # type: ignore[index]
    assert found[3] == "1"  # type: ignore[index]


# A failure word is about the order if the record has fields of an order, or is known to be about it
# and has no text; else it is about the call.
@pytest.mark.parametrize("word", ["error", "Fail", "failed"])
@pytest.mark.parametrize(
    ("other_fields", "is_order"),
    [
        ("", False),
        (',"message":"x"', False),
        (',"charge":null', True),
        (',"charge":"0"', True),
        (',"remains":""', True),
        (',"start_count":"0"', True),
        (',"runs":1', True),
        (',"posts":1', True),
        (',"charge":"0","error":"x"', True),
        (',"charge":"N/A","message":"x"', True),
    ],
)
def test_failure_word_without_order_fields_is_a_refusal(
    word: str,
    other_fields: str,
    is_order: bool,  # noqa: FBT001
) -> None:
    record = f'{{"status":"{word}"{other_fields}}}'
    in_batch = decode_statuses(
        Response(status=200, body=f'{{"1":{record}}}'.encode()), SMMFANFAST, ["1"]
    )
    is_state_in_batch = is_order or not other_fields

    for found, is_state in (
        (decode_one(record), is_order),
        (comparable_entries(dict(in_batch.found))["1"], is_state_in_batch),
    ):
        if is_state:
            assert isinstance(found, OrderStatus)
            assert found.raw_status == word
        else:
            assert found[0] is RefusedError  # type: ignore[index]


@pytest.mark.parametrize("word", ["error", "Fail", "failed"])
def test_failure_word_that_names_its_order_is_the_state_of_the_order(word: str) -> None:
    record = f'{{"order":"1","status":"{word}"}}'
    batch = decode_statuses(Response(status=200, body=record.encode()), SMMFANFAST, ["1"])
    other = decode_one(record.replace('"1"', '"2"'))

    assert decode_one(record) == OrderStatus(order="1", raw_status=word)
    assert batch.found == {"1": OrderStatus(order="1", raw_status=word)}
    assert not isinstance(other, OrderStatus)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("null", invalid(ABSENT, "1")),
        ("[]", invalid("not a status", "1")),
        ("5", invalid("not a status", "1")),
        ("{}", invalid("no status in the response for this order", "1")),
        ('""', (RefusedError, ErrorKind.UNKNOWN, "", "1")),
        ('{"error":{"message":"Incorrect order ID"}}', not_found("1")),
        ('{"error":"Incorrect order ID","status":null,"charge":null}', not_found("1")),
        (
            '{"error":"wait 30 seconds"}',
            (RateLimitError, ErrorKind.RATE_LIMIT, "wait 30 seconds", "1"),
        ),
        (f'{{"status":"Pending","note":{"[" * 10**5}', None),
    ],
)
def test_irregular_entry_affects_no_other(entry: str, expected: object) -> None:
    body = f'{{"1":{entry},"2":{{"order":"2","status":"Pending","charge":"1"}}}}'
    reply = Response(status=200, body=body.encode())

    if expected is None:
        # With unbalanced brackets no entry can be split off.
        with pytest.raises(InvalidResponseError):
            decode_statuses(reply, SMMFANFAST, ["1", "2"])
        return
    found = decode_statuses(reply, SMMFANFAST, ["1", "2"]).found
    assert comparable_entries(dict(found)) == {
        "1": expected,
        "2": status_of(order="2", raw_charge="1"),
    }


def test_batch_that_is_a_bare_text_is_a_refusal() -> None:
    with pytest.raises(RefusedError):
        decode_statuses(Response(status=200, body=b'"Bad Link"'), SMMFANFAST, ["1"])


def test_duplicate_id_has_one_entry_and_its_last_value_counts() -> None:
    body = b'{"1":{"status":"Pending","charge":"1"},"1":{"status":"Partial","charge":"2"}}'

    batch = decode_statuses(Response(status=200, body=body), SMMFANFAST, ["1", "1"])

    assert batch.found == {"1": OrderStatus(order="1", raw_status="Partial", raw_charge="2")}
    assert batch.unexpected == 0


def test_evidence_is_the_sanitized_start_of_the_entry() -> None:
    body = '{"1":{"order":"2","status":"\x1b[31m","note":"' + "x" * 10**6 + '"}}'

    error = decode_statuses(Response(status=200, body=body.encode()), SMMFANFAST, ["1"]).found["1"]

    assert error.excerpt.startswith("{")  # type: ignore[union-attr]
    assert len(error.excerpt) == 500  # type: ignore[union-attr]
    assert "\x1b" not in error.excerpt  # type: ignore[union-attr]


@pytest.mark.parametrize("other_fields", ["", ',"3":{"status":"Pending","remains":"+5"}'])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0.50", "0.50"),
        ("12", "12"),
        ("0", "0"),
        (" 7.5 ", "7.5"),
        ("-0", "0"),
        ("-1.50", "-1.50"),
        ("1e-5", "0.00001"),
        ('"1e-5"', "0.00001"),
        ('".5"', "0.5"),
        ('"1,234.50"', "1234.50"),
        ('"-1.50"', "-1.50"),
        ("null", None),
        ('""', None),
        ('"N/A"', None),
        ('"1\n0"', None),
    ],
)
def test_charge_is_exact_in_any_format(written: str, read: str | None, other_fields: str) -> None:
    record = f'{{"status":"Pending","charge":{written}}}'
    body = f'{{"1":{record},"2":{{"status":"Pending","charge":"0.90"}}{other_fields}}}'
    ids = ["1", "2", "3"] if other_fields else ["1", "2"]
    found = decode_statuses(Response(status=200, body=body.encode()), SMMFANFAST, ids).found

    first, second = found["1"], found["2"]
    assert isinstance(first, OrderStatus)
    assert isinstance(second, OrderStatus)
    assert (first.raw_charge, second.raw_charge) == (read, "0.90")
    assert first.charge == (None if read is None else Decimal(read))
    assert decode_one(record) == first


def test_unusual_charges_stay_with_their_orders() -> None:
    written = ["1.0", "1e-5", ".5", "2", "x", "", "3.25", "1,234.50"]
    pairs = [f'"{n}":{{"status":"Pending","charge":"{c}"}}' for n, c in enumerate(written, 1)]
    reply = Response(status=200, body=f"{{{','.join(pairs)}}}".encode())
    found = decode_statuses(reply, SMMFANFAST, [*map(str, range(1, 9))]).found

    charges = [each.raw_charge for each in found.values() if isinstance(each, OrderStatus)]
    assert charges == ["1.0", "0.00001", "0.5", "2", None, None, "3.25", "1234.50"]


def test_line_end_does_not_split_an_amount() -> None:
    assert _find_unusual_amounts(["1", "2\n3", "4"]) == [1]
    assert _find_unusual_amounts([]) == []
