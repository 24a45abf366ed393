"""The history of requests: masked, bounded, and written as a shell command."""

import shlex
from collections.abc import Mapping
from typing import Any

import pytest

from smmfanfast_async.sandbox.traffic import (
    ANOTHER_KEY,
    MASKED,
    MAX_EXCHANGES,
    MAX_TEXT_CHARACTERS,
    Exchange,
    TrafficLog,
    format_curl,
)

URL = "http://127.0.0.1:8080/api/v1"


def record(log: TrafficLog, fields: Mapping[str, str], **changes: Any) -> Exchange:
    arguments: dict[str, Any] = {
        "at_s": 1.0,
        "action": fields.get("action", ""),
        "fields": fields,
        "http_status": 200,
        "answer": "{}",
        "duration_ms": 1.5,
        "fault": None,
        "is_applied": True,
        "order": None,
    }
    return log.record(**(arguments | changes))


@pytest.mark.parametrize("name", ["key", "KEY", "api_key", "token"])
def test_no_key_is_kept_wherever_it_occurs(name: str) -> None:
    secret = "real-key-8d1f"
    exchange = record(
        TrafficLog("test-key"),
        {name: secret, "link": f"https://x.com/?k={secret}", "action": secret, secret: "x"},
        answer=f"the key {secret} is wrong, not test-key",
    )

    assert secret not in repr(exchange)
    assert "test-key" not in repr(exchange)
    assert exchange.fields[name] == ANOTHER_KEY
    assert exchange.fields["link"] == f"https://x.com/?k={MASKED}"
    assert exchange.answer == f"the key {MASKED} is wrong, not {MASKED}"


def test_field_says_whether_the_key_is_the_panels_own() -> None:
    log = TrafficLog("test-key")

    assert record(log, {"key": "test-key"}).fields == {"key": MASKED}
    assert record(log, {"key": "x"}).fields == {"key": ANOTHER_KEY}
    assert record(log, {"key": ""}).fields == {"key": ""}


def test_short_key_is_not_replaced_in_other_words() -> None:
    exchange = record(TrafficLog("test-key"), {"key": "a", "link": "example"})

    assert exchange.fields["link"] == "example"


def test_longer_of_two_keys_is_masked_whole() -> None:
    exchange = record(TrafficLog("test-key"), {"key": "test-key-2", "link": "test-key-2"})

    assert exchange.fields["link"] == MASKED


def test_oldest_requests_are_dropped_beyond_the_count() -> None:
    log = TrafficLog("test-key", max_exchanges=3)
    for _ in range(5):
        record(log, {})

    assert [each.number for each in log] == [3, 4, 5]
    assert [each.number for each in reversed(log)] == [5, 4, 3]
    assert (len(log), log.count) == (3, 5)
    assert log.get(3).number == 3
    for number in (0, 2, 6):
        with pytest.raises(KeyError):
            log.get(number)


def test_default_bound_is_ten_thousand_requests() -> None:
    assert MAX_EXCHANGES == 10_000


def test_oldest_requests_are_dropped_beyond_the_characters() -> None:
    log = TrafficLog("test-key", max_characters=100)
    record(log, {}, answer="x" * 60)
    record(log, {}, answer="x" * 40)
    assert len(log) == 2

    record(log, {}, answer="x")
    assert [each.number for each in log] == [2, 3]

    # The last one is always there to be seen.
    record(log, {}, answer="x" * 200)
    assert [each.number for each in log] == [4]
    record(log, {})
    assert [each.number for each in log] == [5]


def test_long_texts_are_cut_and_say_so() -> None:
    log = TrafficLog("test-key")
    whole = record(log, {"comments": "x" * MAX_TEXT_CHARACTERS})
    cut = record(log, {"comments": "x" * (MAX_TEXT_CHARACTERS + 1)})

    assert not whole.is_cut
    assert cut.is_cut
    assert whole.fields == cut.fields
    assert record(log, {}, answer="x" * (MAX_TEXT_CHARACTERS + 1)).is_cut


@pytest.mark.parametrize(
    ("fields", "about"),
    [
        ({"order": "7"}, True),
        ({"orders": "1, 7 ,9"}, True),
        ({"orders": "17,70"}, False),
        ({"order": "17"}, False),
        ({"link": "7"}, False),
        ({"refill": "3"}, True),
        ({"refills": "4,3"}, True),
        ({"refill": "7"}, False),
    ],
)
def test_request_is_about_the_orders_that_it_names(fields: dict[str, str], *, about: bool) -> None:
    exchange = record(TrafficLog("test-key"), fields)

    assert exchange.is_about("7", frozenset({"3"})) is about
    assert record(TrafficLog("test-key"), fields, order="7").is_about("7")


def test_curl_command_takes_the_key_from_the_environment() -> None:
    link = 'https://x.com/\'; rm -rf ~ #&=%$HOME`id`\n"x"'
    exchange = record(
        TrafficLog("test-key"), {"key": "test-key", "action": "add", "link": link, "a b=&": "@/etc"}
    )
    words = shlex.split(format_curl(exchange, URL).replace("\\\n", ""))

    assert words == [
        "curl",
        "--data-urlencode", "key=$SMMFANFAST_API_KEY",
        "--data-urlencode", "action=add",
        "--data-urlencode", f"link={link}",
        "--data-urlencode", "a%20b%3D%26=@/etc",
        URL,
    ]  # fmt: skip


def test_curl_command_without_fields_posts_nothing() -> None:
    assert "--data ''" in format_curl(record(TrafficLog("test-key"), {}), URL)
