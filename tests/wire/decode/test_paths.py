"""The paths agree: fast and lenient, whole and one by one, with and without an irregular record.

Hypothesis draws seeds, and a random number generator creates the records of each, so that twenty
thousand are tested in seconds. They are created as JSON text, field by field, from every format of
a value that the fast path could read differently from the lenient one.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smmfanfast_async._wire.decode import (
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
from smmfanfast_async._wire.decode import fast as decode_fast
from smmfanfast_async._wire.decode.fast import (
    FAST_PATH_ERRORS,
    parse_services_fast,
    parse_status_fast,
)
from smmfanfast_async._wire.decode.json_values import parse_lenient_json
from smmfanfast_async._wire.decode.lenient import parse_service_lenient, parse_status_lenient
from smmfanfast_async._wire.decode.refusals import NO_MESSAGE
from smmfanfast_async.errors import PanelError
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import OrderStatus, Response, Service

RECORDS = 200
"""Records from one seed; with 110 seeds more than 20,000 per test."""

seeded = given(st.integers(0, 2**64))
often = settings(max_examples=110, deadline=None, suppress_health_check=list(HealthCheck))

BOM = b"\xef\xbb\xbf"
"""Before a response it disables the fast path and has no meaning."""

# --- values, as JSON text ------------------------------------------------------------------------

NUMBERS = [
    *("0", "-0", "1", "5", "12", "500", "-1", "-7", "1.0", "5.0", "0.0", "-0.0", "0.0360"),
    *("1.2600", "12.5", "1e3", "1E3", "1.5e3", "1e-3", "1e0", "0e5", "10e-1", "-1e-1", "1e15"),
    *("1e16", "1e22", "1e40", "1e41", "1e-40", "1e-41", "1e-400", "1e400", "1e1000000"),
    *("1e-1000000", "1e0000000001", "1e+2", "0e999", "4.99999999999999999999"),
    *("0.1000000000000000000000000000000000001", "1000000000000000", "1000000000000001"),
    *("-1000000000000000", "-1000000000000001", "999999999999999.5", "1000000000000000.01"),
    *("9007199254740993", "12345678901234567890123", "18446744073709551616"),
    *("NaN", "Infinity", "-Infinity"),
]
NUMBERS += ["9" * 40, "9" * 41, "9" * 70, "0." + "0" * 39 + "1", "1." + "0" * 39, "1." + "0" * 40]
TEXTS = [
    *(".5", "5.", "05", "007", "00", "01", "+5", "+0", "--1", "0x1", "1e", "1.2.3", "1_0"),
    *("2.000", "-12.000", "2.0000", "20.00", "1234.000", "0.000", "2.000e0", "5.000.000", "+2.000"),
    *("nan", "sNaN", "NAN", "inf", "-inf", "null", "NULL", "Null", "None", "N/A", "n/a"),
    *("-", "+", "Unknown", "true", "True", "FALSE", "t", "f", "y", "n", "yes", "no", "on"),
    *("off", "1,234", "1,234.56", "0,036", "12,345,678", "1,5", "$12.50", "-$5", "+$5"),
    *("١٢", "１２", "\\u0031", "\\u00e9", "é", "a\\/b", "\\\\ud800", "\\\\\\\\ud800"),
    *("\\ud800", "\\udc00", "\\ud83d\\ude00", '\\"', "\\\\", "Pending", "pending"),
    *("in_progress", "start_count", "_", "__", "error", "Fail", "failed", "success"),
    *("extra", "order", "a,b", "ord_01HZ", "7", "8"),
]
TEXTS += ["", " ", " 12 ", "12 $", "- 1", "+ 5", "12\\n", "\\t5", "In progress", "wait 30 seconds"]
TEXTS += [
    "0" * 70 + "1",
    "1." + "0" * 70,
    "x" * 130,
    "Incorrect order ID",
    "\\u0000",
    "\x1f",
    "\u2028",
]
QUOTED = [f'"{each}"' for each in TEXTS + NUMBERS]
NESTED = ["[]", '["1"]', '["1","2"]', "[1,2]", '["a,b"]', '[""]', "[1.5]", "[null]", "[[[]]]", "{}"]
NESTED += ['{"a":1.5}', '{"error":"x"}', "[NaN]", '{"status":"x"}']
VALUES = [*QUOTED, *QUOTED, *NUMBERS, *NESTED, "true", "false", "null"]
CHARACTERS = "0123456789.,eE+-_ $"


def value(random: Random) -> str:
    """Return any value, or a text that is nearly a number."""
    if random.random() < 0.7:
        return random.choice(VALUES)
    return json.dumps("".join(random.choices(CHARACTERS, k=random.randint(1, 6))))


def text(random: Random) -> str:
    return random.choice(QUOTED)


def amount(random: Random) -> str:
    number = random.randint(0, 10**7) / 10**4
    return random.choice([f'"{number:.4f}"', f"{number:.2f}", f'"{number:g}"'])


def count(random: Random) -> str:
    number = random.randint(-5, 10**6)
    return random.choice([f'"{number}"', str(number)])


def flag(random: Random) -> str:
    return random.choice(["0", "1", '"0"', '"1"', "true", "false", '"true"', '"False"', "null"])


def word(random: Random) -> str:
    return random.choice(['"Pending"', '"In progress"', '"in_progress"', '"Partial"', '"error"'])


def orders(random: Random) -> str:
    return json.dumps([str(random.randint(1, 99)) for _ in range(random.randint(0, 3))])


Write = Callable[[Random], str]
STATUS: dict[str, Write] = {
    "charge": amount,
    "start_count": count,
    "remains": count,
    "currency": lambda random: random.choice(['"USD"', '"EUR"', "null"]),
    "runs": count,
    "posts": count,
    "expiry": flag,
    "orders": orders,
}
SERVICE: dict[str, Write] = {
    "name": text,
    "category": text,
    "rate": amount,
    "min": count,
    "max": count,
    "type": text,
    "desc": text,
    "dripfeed": flag,
    "refill": flag,
    "cancel": flag,
}
UNKNOWN = ("extra", "note", "error", "message", "raw_status", "_", "\\u0073tatus")


def record(random: Random, first: dict[str, str], fields: dict[str, Write]) -> str:
    """Return a record; 1/8 of the fields are irregular, 1/8 of the records have an unknown one."""
    pairs = dict(first)
    for name, write in random.sample(sorted(fields.items()), random.randint(0, len(fields))):
        pairs[name] = value(random) if random.random() < 0.125 else write(random)
    if random.random() < 0.125:
        pairs[random.choice(UNKNOWN)] = value(random)
    if random.random() < 0.05:
        pairs.pop(random.choice(sorted(pairs)))
    listed = list(pairs.items())
    random.shuffle(listed)
    colon = random.choice([":", ":", ": ", " : "])
    return "{" + ",".join(f'"{name}"{colon}{each}' for name, each in listed) + "}"


def status_record(random: Random, order: str) -> str:
    chance = random.random()
    named = f'"{order}"' if chance < 0.9 else value(random)
    first = {"order": named, "status": value(random) if random.random() < 0.05 else word(random)}
    return record(random, first if chance < 0.97 else {"status": first["status"]}, STATUS)


def service_record(random: Random) -> str:
    number = random.randint(1, 10**6)
    plain = random.choice([f'"{number}"', str(number)])
    return record(random, {"service": value(random) if random.random() < 0.1 else plain}, SERVICE)


def entry(random: Random, order: str) -> str:
    """Return an entry of a batch: a record, a text, or an object with an error."""
    chance = random.random()
    if chance < 0.1:
        return text(random)
    return f'{{"error":{value(random)}}}' if chance < 0.2 else status_record(random, order)


# --- results -----------------------------------------------------------------------------------


def comparable(result: object) -> object:
    """Return a result unchanged, and an error as a tuple, because no two errors are equal."""
    if isinstance(result, PanelError):
        return type(result), result.kind, result.text, result.order, result.retry_after_s
    return result


def outcome(call: Callable[[], object]) -> object:
    try:
        return comparable(call())
    except PanelError as error:
        return comparable(error)


def ok(body: str | bytes) -> Response:
    return Response(status=200, body=body.encode() if isinstance(body, str) else body)


def digits(found: OrderStatus | Service) -> object:
    """Return the digits of the amount: equal amounts may have different digits."""
    money = found.charge if isinstance(found, OrderStatus) else found.rate
    return money if money is None else money.as_tuple()[1:]


def fast(read: Callable[[], OrderStatus | Service]) -> OrderStatus | Service | None:
    try:
        return read()
    except FAST_PATH_ERRORS:
        return None


# --- fast and lenient ----------------------------------------------------------------------------


@often
@seeded
def test_paths_agree_on_every_status_that_the_fast_one_accepts(seed: int) -> None:
    random = Random(seed)
    for _ in range(RECORDS):
        written = status_record(random, "7")
        by_fast_path = fast(lambda: parse_status_fast(written.encode(), "7"))  # noqa: B023  # called at once
        if by_fast_path is not None:
            read = parse_lenient_json(written)
            assert isinstance(read, dict)
            lenient = parse_status_lenient(read, "7")
            assert (written, lenient) == (written, by_fast_path)
            assert (written, digits(lenient)) == (written, digits(by_fast_path))


@often
@seeded
def test_paths_agree_on_every_service_that_the_fast_one_accepts(seed: int) -> None:
    random = Random(seed)
    for _ in range(RECORDS):
        written = service_record(random)
        by_fast_path = fast(lambda: parse_services_fast(f"[{written}]".encode(), {})[0])  # noqa: B023  # called at once
        if by_fast_path is not None:
            read = parse_lenient_json(written)
            assert isinstance(read, dict)
            lenient = parse_service_lenient(read)
            assert (written, lenient) == (written, by_fast_path)
            assert (written, digits(lenient)) == (written, digits(by_fast_path))


def test_generated_records_take_both_paths() -> None:
    random = Random(1)
    statuses = [status_record(random, "7").encode() for _ in range(1000)]
    services = [service_record(random).encode() for _ in range(1000)]

    by_fast = sum(fast(lambda: parse_status_fast(each, "7")) is not None for each in statuses)  # noqa: B023
    assert 300 < by_fast < 800
    by_fast = sum(
        fast(lambda: parse_services_fast(each, {})[0]) is not None  # noqa: B023
        for each in [b"[%b]" % service for service in services]
    )
    assert 200 < by_fast < 800


@often
@seeded
def test_status_is_the_same_on_either_path(seed: int) -> None:
    random = Random(seed)
    for _ in range(20):
        body = status_record(random, "7").encode()
        found = outcome(lambda: decode_status(ok(body), SMMFANFAST, "7"))  # noqa: B023
        by_lenient_path = outcome(lambda: decode_status(ok(BOM + body), SMMFANFAST, "7"))  # noqa: B023
        assert (body, found) == (body, by_lenient_path)


@often
@seeded
def test_catalogue_is_the_same_on_either_path(seed: int) -> None:
    random = Random(seed)
    body = "[" + ",".join(service_record(random) for _ in range(20)) + "]"

    found = decode_services(ok(body), SMMFANFAST)
    by_lenient_path = decode_services(ok(BOM + body.encode()), SMMFANFAST)

    assert found.services == by_lenient_path.services
    assert len(found.unreadable) == len(by_lenient_path.unreadable)


# --- whole and one by one ------------------------------------------------------------------------


def batch_of(random: Random) -> dict[str, str]:
    """Return a batch; in half of them only one entry is irregular, as in practice."""
    ids = [str(each) for each in random.sample(range(1, 10**6), random.randint(1, 12))]
    if random.random() < 0.5:
        return {order: entry(random, order) for order in ids}
    batch = {order: f'{{"order":"{order}","status":"Pending","charge":"1"}}' for order in ids}
    irregular = random.choice(ids)
    return batch | {irregular: entry(random, irregular)}


def written_batch(batch: dict[str, str]) -> str:
    return "{" + ",".join(f'"{order}":{each}' for order, each in batch.items()) + "}"


def statuses(batch: dict[str, str], ids: list[str]) -> dict[str, object]:
    found = decode_statuses(ok(written_batch(batch)), SMMFANFAST, ids).found
    return {order: comparable(each) for order, each in found.items()}


def is_bare_failure(alone: object) -> bool:
    """Return whether an entry says that something failed, and neither what nor why."""
    return isinstance(alone, tuple) and NO_MESSAGE in alone


@often
@seeded
def test_batch_equals_its_orders_one_by_one(seed: int) -> None:
    random = Random(seed)
    for _ in range(5):
        batch = batch_of(random)
        whole = statuses(batch, list(batch))
        for order, written in batch.items():
            alone = outcome(lambda: decode_status(ok(written), SMMFANFAST, order))  # noqa: B023
            if is_bare_failure(alone):
                # Under its id it is the state of the order, alone it is a refusal of the call.
                continue
            assert (written, alone) == (written, whole[order])
            assert statuses({order: written}, [order]) == {order: whole[order]}


@often
@seeded
def test_batch_in_fragments_equals_its_orders_one_by_one(seed: int) -> None:
    random = Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        for _ in range(5):
            batch = batch_of(random)
            patch.setattr(decode_fast, "FRAGMENT_BYTES", random.choice([1, 50, 100, 200]))
            whole = statuses(batch, list(batch))
            alone = {
                order: outcome(lambda: decode_status(ok(written), SMMFANFAST, order))  # noqa: B023
                for order, written in batch.items()
            }
            named = {order for order, each in alone.items() if not is_bare_failure(each)}
            assert {order: whole[order] for order in named} == {
                order: alone[order] for order in named
            }


@often
@seeded
def test_irregular_entry_affects_no_other_entry(seed: int) -> None:
    random = Random(seed)
    for _ in range(5):
        batch = batch_of(random)
        ids = list(batch)
        before = statuses(batch, ids)
        irregular = random.choice(
            [entry(random, "0"), value(random), status_record(random, ids[0])]
        )
        index = random.randint(0, len(ids))
        listed = list(batch.items())
        more = dict([*listed[:index], ("9999999", irregular), *listed[index:]])
        assert (irregular, statuses(more, ids)) == (irregular, before)
        with_irregular = statuses(more, [*ids, "9999999"])
        with_irregular.pop("9999999")
        assert (irregular, with_irregular) == (irregular, before)


@often
@seeded
def test_irregular_service_affects_no_other_service(seed: int) -> None:
    random = Random(seed)
    records = [
        f'{{"service":"{each}","rate":"1.02","desc":{text(random)}}}' for each in range(1, 9)
    ]
    before = decode_services(ok("[" + ",".join(records) + "]"), SMMFANFAST)
    index = random.randint(0, len(records))
    irregular = random.choice([service_record(random), value(random)])

    with_irregular = [*records[:index], irregular, *records[index:]]
    after = decode_services(ok("[" + ",".join(with_irregular) + "]"), SMMFANFAST)

    assert len(after.services) + len(after.unreadable) == len(before.services) + 1
    assert [each for each in after.services if each in before.services] == before.services


# --- anything at all -----------------------------------------------------------------------------

SENT_AT = datetime(2026, 1, 2, tzinfo=UTC)
CALLS: list[Callable[[Response], object]] = [
    lambda reply: decode_added(reply, SMMFANFAST, {}, SENT_AT),
    lambda reply: decode_status(reply, SMMFANFAST, "12"),
    lambda reply: decode_statuses(reply, SMMFANFAST, ["12", "2", "13", "0"]),
    lambda reply: decode_services(reply, SMMFANFAST),
    lambda reply: decode_balance(reply, SMMFANFAST),
    lambda reply: decode_refill(reply, SMMFANFAST, "1"),
    lambda reply: decode_refills(reply, SMMFANFAST, ["1", "2"]),
    lambda reply: decode_refill_statuses(reply, SMMFANFAST, ["1"]),
    lambda reply: decode_refill_statuses(reply, SMMFANFAST, ["1", "2"]),
    lambda reply: decode_cancels(reply, SMMFANFAST, ["1", "2"]),
    lambda reply: decode_call(reply, SMMFANFAST, "me"),
]
BODIES = [
    path.read_bytes()
    for path in sorted((Path(__file__).parents[2] / "samples").rglob("*.*"))
    if path.suffix in {".json", ".html", ".txt"}
]
INSERTIONS = [
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"\\",
    b"\xff",
    b"\x00",
    b"null",
    b"NaN",
    b"1e99",
]
INSERTIONS += [
    b'"order":',
    b'"error":',
    b'"status":',
    b'"data":',
    b"[" * 500,
    b'{"error":' * 40,
    b"-",
]


def damaged(random: Random) -> bytes:
    body = random.choice(BODIES)
    for _ in range(random.randint(1, 4)):
        start, end = sorted(random.choices(range(len(body) + 1), k=2))
        middle = random.choice(
            [b"", random.choice(INSERTIONS), body[start:end] * 2, random.randbytes(3)]
        )
        kept = end if random.random() < 0.7 else start
        body = body[:start] + middle + body[kept:]
    return body


def run_every_call(reply: Response) -> None:
    for call in CALLS:
        outcome(lambda: call(reply))  # noqa: B023  # called at once


statuses_seen = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 404, 429, 503, 530])


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=200), statuses_seen, st.booleans())
def test_any_bytes_give_a_result_or_a_panel_error(
    body: bytes,
    status: int,
    is_challenge: bool,  # noqa: FBT001
) -> None:
    run_every_call(Response(status=status, body=body, is_challenge=is_challenge))


@often
@given(st.integers(0, 2**64), statuses_seen)
def test_damaged_samples_give_a_result_or_a_panel_error(seed: int, status: int) -> None:
    random = Random(seed)
    for _ in range(20):
        run_every_call(Response(status=status, body=damaged(random)))
