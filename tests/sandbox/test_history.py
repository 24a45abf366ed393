"""The generated orders that exist when a sandbox starts."""

from collections import Counter
from typing import Any

import pytest

from smmfanfast_async.sandbox.forms import parse_order
from smmfanfast_async.sandbox.history import MAX_PIECES, create_history
from smmfanfast_async.sandbox.lifecycle import MAX_LIFECYCLE_S
from smmfanfast_async.sandbox.services import (
    API_V2_SERVICES,
    DEFAULT_SERVICES,
    SandboxService,
)

SERVICES = {service.service: service for service in DEFAULT_SERVICES}


def test_generated_forms_are_valid_and_sorted_by_age() -> None:
    forms = create_history(1, DEFAULT_SERVICES, 500)
    requests = [parse_order(form, SERVICES) for _, form in forms]
    ages_s = [created_s for created_s, _ in forms]

    assert ages_s == sorted(ages_s)
    assert -MAX_LIFECYCLE_S <= ages_s[0] < ages_s[-1] <= 0
    assert len({order.link for order in requests}) == 500
    types = Counter(order.service.type for order in requests)
    assert len(types) == 10
    assert "subscriptions" not in types


def test_equal_seeds_give_equal_forms() -> None:
    assert create_history(1, DEFAULT_SERVICES, 20) == create_history(1, DEFAULT_SERVICES, 20)
    assert create_history(1, DEFAULT_SERVICES, 20) != create_history(2, DEFAULT_SERVICES, 20)


@pytest.mark.parametrize("changes", [{"type": "subscriptions"}, {"min": MAX_PIECES + 1}])
def test_history_requires_a_usable_service(
    changes: dict[str, Any],
) -> None:
    service = SandboxService(
        **({"service": 1, "name": "n", "category": "c", "rate": 1, "max": 10**6} | changes)
    )

    with pytest.raises(ValueError, match="existing_orders needs a service"):
        create_history(0, [service], 1)
    assert create_history(0, [service], 0) == []


def test_service_with_the_largest_allowed_minimum_is_used() -> None:
    service = SandboxService(
        service=1, name="n", category="c", rate=1, min=MAX_PIECES, max=MAX_PIECES
    )

    ((_, form),) = create_history(0, [service], 1)

    assert form["quantity"] == str(MAX_PIECES)


def test_api_v2_history_includes_its_own_types() -> None:
    services = {service.service: service for service in API_V2_SERVICES}

    requests = [parse_order(form, services) for _, form in create_history(1, API_V2_SERVICES, 500)]

    assert len({order.service.type for order in requests}) == 16
