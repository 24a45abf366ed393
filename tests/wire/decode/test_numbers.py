"""Numbers, at both sides of each bound: nothing is guessed, and absent is never 0."""

import decimal
from decimal import Decimal

import pytest

from smmfanfast_async._wire.decode.numbers import (
    UnparsedNumber,
    parse_amount,
    parse_count,
    parse_flag,
    parse_json_float,
    parse_json_int,
)
from smmfanfast_async.results import MAX_COUNT

ABSENT = [None, "", " ", "null", "NULL", "None", "n/a", "N/A", "NA", "Unknown", " unknown ", "-"]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0.0360", "0.0360"),
        (" 12 ", "12"),
        ("\xa012\t", "12"),
        ("007", "7"),
        ("0" * 5000 + "5", "5"),
        ("+5", "5"),
        ("-5.5", "-5.5"),
        ("5.", "5"),
        (".5", "0.5"),
        ("$12.50", "12.50"),
        ("-$12.50", "-12.50"),
        ("12.50 €", "12.50"),
        ("1,234.56", "1234.56"),
        ("1,234.", "1234"),
        ("1.260", "1.260"),
        ("2.000", "2.000"),
        ("12,345,678", "12345678"),
        ("12,345,678.9", "12345678.9"),
        ("1.0e-5", "0.000010"),
        ("1E+0000000005", "1E+5"),
        ("9" * 40, "9" * 40),
        ("1e40", "1e40"),
        ("1e-40", "1e-40"),
        (5, "5"),
        (Decimal("0.10"), "0.10"),
    ],
)
def test_parse_amount(value: object, number: str) -> None:
    assert str(parse_amount(value)) == str(Decimal(number))


@pytest.mark.parametrize("value", ABSENT)
def test_absent_number_is_none_and_not_0(value: object) -> None:
    assert parse_amount(value) is None
    assert parse_count(value) is None
    assert parse_flag(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            "1,5",
            "1,50",
            "0,036",
            "1,234",
            "-1,234",
            "01,234.5",
            "1,2345.6",
            "1,234,56",
            "1.234,56",
        ),
        *("NaN", "sNaN", "Infinity", "-inf", "1_000", "١٢", "１２", "0x10", "1e", "e5", ".", "--5"),
        *("5 apples", "12.50 USD", "1 000", "9" * 41, "1" * 5000, "1e41", "1e-41", "1e1000000"),
        *("1e-1000000", "1e99999999999999999999", "1e-99999999999999999999", True, False, 1.5),
        *([], {}, b"5", 10**41, UnparsedNumber("NaN"), UnparsedNumber("9" * 100)),
    ],
)
def test_invalid_amount_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_amount(value)


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12", 12),
        ("5.0", 5),
        ("1e3", 1000),
        (Decimal("1E+3"), 1000),
        ("1,234,567", 1234567),
        ("5.000.000", 5000000),
        ("-5.000.000 ₺", -5000000),
        ("1,234.", 1234),
        ("1,234.000", 1234),
        ("0.000", 0),
        ("2.0000", 2),
        ("2000.000", 2000),
        (Decimal("2.000"), 2),
        ("-7", -7),
        ("-0", 0),
        (str(MAX_COUNT), MAX_COUNT),
        (-MAX_COUNT, -MAX_COUNT),
    ],
)
def test_parse_count(value: object, number: int) -> None:
    count = parse_count(value)

    assert (count, type(count)) == (number, int)


@pytest.mark.parametrize(
    "value",
    [
        *("1.5", "0.1", MAX_COUNT + 1, -MAX_COUNT - 1, "1e16", "1e1000000", "1" * 10**5, True, []),
        *(
            "NaN",
            "1_000",
            "١٢",
            "1,5",
            "0,036",
            "2.000",
            "2,000",
            "-12.345",
            "$999,000",
            " 5.000 ",
            "5.000.00",
            "5.000,000",
            "1e99999999999999999999",
            UnparsedNumber("Infinity"),
        ),
    ],
)
def test_invalid_count_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_count(value)


@pytest.mark.parametrize("value", [True, 1, "1", "true", "TRUE", " True ", "yes", "on"])
def test_true_flags(value: object) -> None:
    assert parse_flag(value) is True


@pytest.mark.parametrize("value", [False, 0, "0", "-0", "false", "False", "no", "off"])
def test_false_flags(value: object) -> None:
    assert parse_flag(value) is False


@pytest.mark.parametrize("value", [2, -1, "2", "maybe", "00", Decimal(1), [], {}])
def test_invalid_flag_is_rejected(value: object) -> None:
    with pytest.raises(ValueError, match="not a flag"):
        parse_flag(value)


@pytest.mark.parametrize(
    ("parsed", "expected_type"),
    [
        (parse_json_int("9" * 128), int),
        (parse_json_int("-" + "9" * 128), UnparsedNumber),
        (parse_json_int("9" * 129), UnparsedNumber),
        (parse_json_int("9" * 10**6), UnparsedNumber),
        (parse_json_float("0.10"), Decimal),
        (parse_json_float("1e40"), Decimal),
        (parse_json_float("1e41"), UnparsedNumber),
        (parse_json_float("1e1000000"), UnparsedNumber),
        (parse_json_float("1e99999999999999999999"), UnparsedNumber),
        (parse_json_float("0." + "1" * 10**6), UnparsedNumber),
    ],
)
def test_json_number_out_of_bounds_stays_text(parsed: object, expected_type: type) -> None:
    assert type(parsed) is expected_type


def test_context_of_the_caller_does_not_change_what_a_number_is() -> None:
    with decimal.localcontext(decimal.Context(prec=2, traps=[])):
        assert parse_amount("1234.5678") == Decimal("1234.5678")
        for text in ("1e99999999999999999999", "1e1000000"):
            with pytest.raises(ValueError, match="bounds"):
                parse_amount(text)
            with pytest.raises(ValueError, match=r"bounds|whole"):
                parse_count(text)
