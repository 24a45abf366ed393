"""The catalogue of the sandbox and the limits of a service."""

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.sandbox.services import (
    API_V2_SERVICES,
    API_V2_TYPES,
    DEFAULT_SERVICES,
    MAX_QUANTITY,
    MAX_RATE,
    SERVICE_TYPES,
    SandboxService,
)


def service(**changes: Any) -> SandboxService:
    return SandboxService(**({"service": 1, "name": "n", "category": "c", "rate": "1"} | changes))


def test_sample_services_have_the_documented_figures() -> None:
    known = {entry.service: entry for entry in DEFAULT_SERVICES}

    assert [
        (entry.rate, entry.min, entry.max, entry.type, entry.desc, entry.dripfeed)
        for entry in (known["5"], known["9"], known["10"])
    ] == [
        (Decimal("1.02"), 500, 10000, "default", "usernames", True),
        (Decimal("0.04"), 500, 300000, "default", "usernames", True),
        (Decimal("1.2"), 100, 350000, "default", "usernames", True),
    ]
    assert known["5"].name == "Instagram Followers [15K] "
    assert (
        json.dumps(known["5"].category).replace("/", "\\/")
        == r'"Instagram - Followers [Guaranteed\/Refill] - Less Drops \u2b50"'
    )


def test_every_order_type_has_several_services() -> None:
    counts = Counter(entry.type for entry in DEFAULT_SERVICES)

    assert set(counts) == set(SERVICE_TYPES)
    assert min(counts.values()) >= 3


def test_api_v2_services_add_its_own_types() -> None:
    counts = Counter(entry.type for entry in API_V2_SERVICES)

    assert API_V2_SERVICES[: len(DEFAULT_SERVICES)] == DEFAULT_SERVICES
    assert set(counts) == set(API_V2_TYPES)
    assert min(counts.values()) >= 2
    assert len({entry.service for entry in API_V2_SERVICES}) == len(API_V2_SERVICES)
    for flag in ("dripfeed", "refill", "cancel"):
        assert {getattr(entry, flag) for entry in API_V2_SERVICES} == {True, False}


def test_ids_are_unique_and_only_default_services_are_drip_fed() -> None:
    assert len({entry.service for entry in DEFAULT_SERVICES}) == len(DEFAULT_SERVICES) >= 60
    assert {entry.type for entry in DEFAULT_SERVICES if entry.dripfeed} == {"default"}


def test_id_and_rate_are_converted() -> None:
    assert service(service=7).service == "7"
    assert service(rate=2).rate == service(rate="2").rate == Decimal(2)


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": "-0.01"},
        {"rate": "NaN"},
        {"rate": MAX_RATE + 1},
        {"min": 0},
        {"min": 10, "max": 9},
        {"max": MAX_QUANTITY + 1},
        {"type": "something new"},
    ],
)
def test_invalid_service_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rate|min|max|type"):
        service(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"rate": "0"}, {"rate": MAX_RATE}, {"min": 9, "max": 9}, {"max": MAX_QUANTITY}],
)
def test_values_equal_to_the_limits_are_allowed(changes: dict[str, Any]) -> None:
    service(**changes)
