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


def test_the_document_s_own_services_have_its_figures() -> None:
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


def test_every_order_type_is_sold_several_times() -> None:
    sold = Counter(entry.type for entry in DEFAULT_SERVICES)

    assert set(sold) == set(SERVICE_TYPES)
    assert min(sold.values()) >= 3


def test_a_panel_of_the_wider_family_sells_its_own_types_beside_them() -> None:
    sold = Counter(entry.type for entry in API_V2_SERVICES)

    assert API_V2_SERVICES[: len(DEFAULT_SERVICES)] == DEFAULT_SERVICES
    assert set(sold) == set(API_V2_TYPES)
    assert min(sold.values()) >= 2
    assert len({entry.service for entry in API_V2_SERVICES}) == len(API_V2_SERVICES)
    for flag in ("dripfeed", "refill", "cancel"):
        assert {getattr(entry, flag) for entry in API_V2_SERVICES} == {True, False}


def test_ids_are_unique_and_only_default_services_are_drip_fed() -> None:
    assert len({entry.service for entry in DEFAULT_SERVICES}) == len(DEFAULT_SERVICES) >= 60
    assert {entry.type for entry in DEFAULT_SERVICES if entry.dripfeed} == {"default"}


def test_an_id_and_a_rate_may_be_written_in_several_ways() -> None:
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
def test_a_service_that_cannot_be_sold_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rate|min|max|type"):
        service(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"rate": "0"}, {"rate": MAX_RATE}, {"min": 9, "max": 9}, {"max": MAX_QUANTITY}],
)
def test_the_limits_themselves_are_allowed(changes: dict[str, Any]) -> None:
    service(**changes)
