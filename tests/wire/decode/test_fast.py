"""What panels usually answer to a batch is read on the fast path, and means what it says."""

import json
from typing import Any

import pytest
from support.decoding import comparable_entries

from smmfanfast_async._refusals import RefusalTexts
from smmfanfast_async._wire.decode import decode_statuses, fast, statuses
from smmfanfast_async._wire.decode.fast import parse_entries_fast
from smmfanfast_async.errors import OrderNotFoundError
from smmfanfast_async.profile import SMMFANFAST, Profile
from smmfanfast_async.results import OrderStatus, Response

IDS = [str(order) for order in range(1, 101)]
BOM = b"\xef\xbb\xbf"
"""Before a response it disables the fast path and has no meaning."""

Record = dict[str, Any]


def record(requested: str, **changes: object) -> Record:
    number = int(requested)
    row: Record = {
        "order": requested,
        "status": "In progress",
        "charge": f"{number}.2600",
        "start_count": str(number * 7),
        "remains": str(number % 9),
        "currency": "USD",
    }
    row |= changes
    return {name: each for name, each in row.items() if each is not ...}


def body_of(entries: dict[str, object], *, indent: int | None = None) -> bytes:
    separators = (",", ":") if indent is None else None
    return json.dumps(entries, separators=separators, indent=indent).encode()


def batch_with(**odd: object) -> dict[str, object]:
    """Return a batch in which some orders, such as `_7`, have another entry."""
    rows: dict[str, object] = {order: record(order) for order in IDS}
    return rows | {name.removeprefix("_"): entry for name, entry in odd.items()}


@pytest.fixture
def lenient_entries(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The entries that the fast path has left to the lenient one."""
    left: list[object] = []
    parse = statuses.parse_status_lenient

    def note(entry: Record, order: str) -> OrderStatus:
        left.append(entry)
        return parse(entry, order)

    monkeypatch.setattr(statuses, "parse_status_lenient", note)
    return left


def found_in(body: bytes) -> dict[str, object]:
    found = decode_statuses(Response(status=200, body=body), SMMFANFAST, IDS).found
    return comparable_entries({**found})


USUAL: list[tuple[str, dict[str, object]]] = [
    ("refused ids", batch_with(_7="Incorrect order ID", _70="Incorrect order ID.")),
    ("plus sign", batch_with(_7=record("7", remains="+5"))),
    ("absent counts", batch_with(_7=record("7", start_count="N/A", remains="N/A"))),
    ("empty count", batch_with(_7=record("7", start_count=""))),
    ("unknown count", batch_with(_7=record("7", start_count="Unknown"), _8="Incorrect order ID")),
    ("grouped amount", batch_with(_7=record("7", charge="1,234.50"))),
    ("absent amount", batch_with(_7=record("7", charge="N/A"))),
    ("no ids", {order: record(order, order=...) for order in IDS}),
    ("numeric ids", {order: record(order, order=int(order)) for order in IDS}),
    ("spellings", batch_with(_7=record("7", status="IN-PROGRESS"), _8=record("8", status="Fail"))),
    ("subscription", batch_with(_7={"status": "Active", "posts": "3", "orders": ["8"]})),
    ("all at once", batch_with(_7=record("7", remains="+5"), _8="N/A", _9=record("9", charge=""))),
]
NUMBERS = {
    order: record(order, charge=int(order) / 100, start_count=int(order), remains=0)
    for order in IDS
}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize(("name", "entries"), USUAL, ids=[name for name, _ in USUAL])
def test_usual_answer_takes_the_fast_path_only(
    lenient_entries: list[object], name: str, entries: dict[str, object], indent: int | None
) -> None:
    if indent is None:
        found = found_in(body_of(entries))
        assert lenient_entries == []
    else:
        found = found_in(body_of(entries, indent=indent))

    assert found == found_in(BOM + body_of(entries)), name


@pytest.mark.parametrize("indent", [None, 1])
def test_numbers_are_read_by_their_own_digits(
    lenient_entries: list[object], indent: int | None
) -> None:
    found = decode_statuses(
        Response(status=200, body=body_of(NUMBERS, indent=indent)), SMMFANFAST, IDS
    ).found

    assert lenient_entries == []
    assert [each.raw_charge for each in found.values() if isinstance(each, OrderStatus)] == [
        str(int(order) / 100) for order in IDS
    ]


@pytest.mark.parametrize("charge", [None, "0.5", 1e5, -0.5, 10**30, "text", [1]])
def test_other_charge_among_numbers_keeps_its_meaning(charge: object) -> None:
    entries = NUMBERS | {"7": record("7", charge=charge)}

    assert found_in(body_of(entries)) == found_in(BOM + body_of(entries))


def test_charge_that_ends_its_record_is_read() -> None:
    entries = {order: {"status": "Pending", "charge": int(order)} for order in IDS}

    assert found_in(body_of(entries)) == found_in(BOM + body_of(entries))


def test_number_with_leading_zero_is_not_json() -> None:
    body = body_of(NUMBERS).replace(b'"charge":0.01', b'"charge":00.1')

    with pytest.raises(fast.FAST_PATH_ERRORS):
        parse_entries_fast(body)


@pytest.mark.parametrize(
    "entry",
    [
        {'x"remains': "N/A", "status": "Pending"},
        {"status": 'x"remains":"N/A"', "note": "+"},
        {"status": "Pending", "details": {"remains": "+5"}},
        {"status": "Pending", "remains": "+2.000"},
        {"status": "Pending", "remains": "+null"},
        'x"remains":"N/A" + }{',
    ],
)
def test_text_that_resembles_a_count_is_kept(entry: object) -> None:
    for other in ({}, {"_9": "a + b", "_10": record("10", note="N/A")}):
        entries = batch_with(_7=entry, _8=record("8", remains="+5"), **other)

        assert found_in(body_of(entries)) == found_in(BOM + body_of(entries))


def test_text_that_looks_like_the_end_of_a_record_is_kept_whole() -> None:
    name = '},"8":{"status":"Completed"},'
    entries = batch_with(_7=record("7", currency=name * 100), _9=record("9", note=1))

    assert found_in(body_of(entries)) == found_in(BOM + body_of(entries))


def test_text_of_refused_ids_is_examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[str] = []
    find_one = RefusalTexts._find_one

    def note(texts: RefusalTexts, text: str) -> object:
        examined.append(text)
        return find_one(texts, text)

    monkeypatch.setattr(RefusalTexts, "_find_one", note)
    profile = Profile(name="new", base_url="https://panel.example/api", actions=frozenset())
    body = body_of(dict.fromkeys(IDS, "Incorrect order ID"))

    for _ in range(3):
        found = decode_statuses(Response(status=200, body=body), profile, IDS).found
        assert all(isinstance(each, OrderNotFoundError) for each in found.values())

    assert examined == ["Incorrect order ID"]
