"""The metrics, as Prometheus reads them."""

import inspect
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from smmfanfast_async import Client, DefaultOrder, ErrorKind, OutcomeUnknownError, RetryPolicy
from smmfanfast_async.events import (
    AttemptFinished,
    BalanceBelowThreshold,
    BalanceChecked,
    BatchFinished,
    OrdersTracked,
    OutcomeUnknown,
    Throttled,
)
from smmfanfast_async.integrations.prometheus import Metrics
from smmfanfast_async.journal import CircuitState, ConsumerHealth, DeskHealth, PanelHealth
from smmfanfast_async.sandbox import Sandbox

LINK = "https://example.com/marked-link"
KEY = "test-metrics-marker"


def exposition(registry: CollectorRegistry) -> dict[str, float]:
    """Return each series of the scraped text, without the creation times."""
    text = generate_latest(registry).decode()
    return {
        f"{sample.name}{{{','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))}}}":
            sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }  # fmt: skip


def request(**changes: Any) -> AttemptFinished:
    usual: dict[str, Any] = {
        "call_id": "1", "action": "status", "id_count": 3, "attempt": 1, "duration_s": 0.2,
        "http_status": 200, "body_bytes": 9, "error": None, "kind": None,
    }  # fmt: skip
    return AttemptFinished(**(usual | changes))


UNKNOWN = OutcomeUnknown(
    call_id="1", service="5", order=None, sent_at=None, http_status=None, error="NoResponseError",
    duration_s=1.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("error", "kind", "outcome"),
    [
        (None, None, "ok"),
        ("ServerError", ErrorKind.SERVER, "server"),
        ("CancelledError", None, "cancelled"),
        ("ZeroDivisionError", None, "error"),
    ],
)
def test_attempts_are_counted_by_outcome(
    error: str | None, kind: ErrorKind | None, outcome: str
) -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).hook("main")
    hook(request(error=error, kind=kind))
    hook(request(error=error, kind=kind, duration_s=70.0))

    found = exposition(registry)
    labels = f"account=main,action=status,outcome={outcome}"
    assert found[f"smmfanfast_attempts_total{{{labels}}}"] == 2
    assert found["smmfanfast_attempt_duration_seconds_count{account=main,action=status}"] == 2
    assert found["smmfanfast_attempt_duration_seconds_sum{account=main,action=status}"] == 70.2
    assert (
        found["smmfanfast_attempt_duration_seconds_bucket{account=main,action=status,le=0.25}"] == 1
    )


def test_sizes_of_batches_are_counted() -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).hook("main")
    for ids in (1, 100, 100):
        hook(BatchFinished(id_count=ids, found_count=ids, failed_count=0))

    found = exposition(registry)
    assert found["smmfanfast_batch_ids_bucket{account=main,le=50.0}"] == 1
    assert found["smmfanfast_batch_ids_bucket{account=main,le=100.0}"] == 3
    assert found["smmfanfast_batch_ids_sum{account=main}"] == 201


def test_unknown_outcomes_and_pauses_are_counted_from_0() -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).hook("main")
    before = exposition(registry)
    hook(UNKNOWN)
    hook(Throttled(action="status", delay_s=30.0, concurrency=1))
    after = exposition(registry)

    for name, value in (
        ("smmfanfast_outcome_unknown_total{account=main}", 1),
        ("smmfanfast_throttled_total{account=main}", 1),
        ("smmfanfast_throttled_seconds_total{account=main}", 30),
    ):
        assert (before[name], after[name]) == (0, value)


def test_gauges_show_the_last_values() -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).hook("main")
    hook(OrdersTracked(order_count=5))
    hook(OrdersTracked(order_count=3))
    hook(BalanceChecked(balance=Decimal("12.5"), currency="USD"))
    hook(BalanceChecked(balance=Decimal("11.5"), currency="USD"))

    found = exposition(registry)
    assert found["smmfanfast_tracked_orders{account=main}"] == 3
    assert found["smmfanfast_balance{account=main,currency=USD}"] == 11.5


@pytest.mark.parametrize("currency", ["EUR", None])
def test_account_has_one_balance_series_for_any_currency(currency: str | None) -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).hook("main")
    hook(BalanceChecked(balance=Decimal(1), currency="USD"))
    hook(BalanceChecked(balance=Decimal(2), currency=currency))

    found = {name: each for name, each in exposition(registry).items() if "balance" in name}
    assert found == {f"smmfanfast_balance{{account=main,currency={currency or ''}}}": 2}


def test_clients_of_one_label_share_its_balance() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    hooks = metrics.hook("main"), metrics.hook("main")
    for amount, currency in enumerate(("USD", "EUR")):
        for hook in hooks:
            hook(BalanceChecked(balance=Decimal(amount), currency=currency))

    found = {name: each for name, each in exposition(registry).items() if "balance" in name}
    assert found == {"smmfanfast_balance{account=main,currency=EUR}": 1}


def test_events_without_a_metric_are_ignored() -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).hook("main")
    before = exposition(registry)
    hook(BalanceBelowThreshold(threshold=Decimal(2), balance=Decimal(1), currency="USD"))

    assert exposition(registry) == before


# --- accounts ------------------------------------------------------------------------------------


def test_account_label_name_can_be_chosen() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, label="shop")
    metrics.hook("north")(UNKNOWN)
    metrics.hook("south")(BalanceChecked(balance=Decimal(1), currency="USD"))

    found = exposition(registry)
    assert found["smmfanfast_outcome_unknown_total{shop=north}"] == 1
    assert found["smmfanfast_outcome_unknown_total{shop=south}"] == 0
    assert found["smmfanfast_balance{currency=USD,shop=south}"] == 1


@pytest.mark.parametrize("label", ["action", "outcome", "currency", "state", "panel"])
def test_reserved_label_name_is_rejected(label: str) -> None:
    with pytest.raises(ValueError, match=label):
        Metrics(CollectorRegistry(), label=label)


def test_second_metrics_in_one_registry_is_rejected() -> None:
    registry = CollectorRegistry()
    Metrics(registry)

    with pytest.raises(ValueError, match="Duplicated"):
        Metrics(registry)


def test_default_registry_is_that_of_prometheus() -> None:
    default = inspect.signature(Metrics).parameters["registry"].default

    assert default is REGISTRY


def test_names_follow_the_rules_of_prometheus() -> None:
    registry = CollectorRegistry()
    Metrics(registry)

    for family in registry.collect():
        assert family.name.startswith("smmfanfast_")
        assert family.documentation.endswith(".")
        # A base unit, or a count of things; the exposition adds _total to counters.
        assert not family.name.endswith(("_ms", "_milliseconds", "_minutes", "_total"))


# --- the health of a desk ------------------------------------------------------------------------

NOW = datetime(2030, 5, 17, 12, tzinfo=UTC)


def health_of(**changes: Any) -> DeskHealth:
    usual: dict[str, Any] = {
        "at": NOW, "prepared": 1, "held": 2, "sending": 3, "unknown": 0, "oldest_unknown_at": None,
        "oldest_prepared_at": NOW, "oldest_due_check_at": None, "requests_unknown": 5,
        "budget_left": None,
    }  # fmt: skip
    return DeskHealth(**(usual | changes))


def test_health_of_a_desk_is_shown() -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).health_hook("main")
    mail = ConsumerHealth(consumer="mail", position=3, lag=7, oldest_at=NOW, lease_until=None)
    panel = PanelHealth(panel="alpha", circuit=CircuitState.HALF_OPEN, reason=ErrorKind.FUNDS)
    hook(
        health_of(
            unknown=4, oldest_unknown_at=NOW, oldest_due_check_at=NOW, budget_left=Decimal("-1.5"),
            consumers={"mail": mail}, panels={"alpha": panel},
        )
    )  # fmt: skip

    found = exposition(registry)
    orders = {
        state: found[f"smmfanfast_orders{{account=main,state={state}}}"]
        for state in ("prepared", "held", "sending", "unknown")
    }
    assert orders == {"prepared": 1, "held": 2, "sending": 3, "unknown": 4}
    for name in ("unknown", "due_check"):
        series = f"smmfanfast_oldest_{name}_timestamp_seconds{{account=main}}"
        assert found[series] == NOW.timestamp()
    assert found["smmfanfast_consumer_lag_events{account=main,consumer=mail}"] == 7
    assert found["smmfanfast_budget_left{account=main}"] == -1.5
    assert found["smmfanfast_requests_unknown{account=main}"] == 5
    circuits = {name: value for name, value in found.items() if "circuit_open" in name}
    assert len(circuits) == len(ErrorKind)
    is_open = {name for name, value in circuits.items() if value}
    assert is_open == {"smmfanfast_circuit_open{account=main,panel=alpha,reason=funds}"}


def test_nothing_to_do_fires_no_alert() -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).health_hook("main")
    hook(health_of(unknown=1, oldest_unknown_at=NOW))
    hook(health_of(panels={"a": PanelHealth(panel="a", circuit=CircuitState.CLOSED)}))

    found = exposition(registry)
    assert found["smmfanfast_orders{account=main,state=unknown}"] == 0
    assert math.isnan(found["smmfanfast_oldest_unknown_timestamp_seconds{account=main}"])
    assert not any(value for name, value in found.items() if "circuit_open" in name)
    assert "smmfanfast_budget_left{account=main}" not in found


# --- a client ------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_sandbox_run_shows_in_the_metrics() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    async with (
        Sandbox(api_key=KEY, balance=Decimal(100)) as panel,
        Client(
            KEY,
            base_url=panel.url,
            on_event=metrics.hook("main"),
            retry=RetryPolicy(base_delay_s=0),
        ) as client,
    ):
        added = await client.add(DefaultOrder(service=5, link=LINK, quantity=1000))
        panel.fail_next("drop_after", action="add")
        with pytest.raises(OutcomeUnknownError):
            await client.add(DefaultOrder(service=5, link=f"{LINK}/2", quantity=1000))
        panel.fail_next("rate_limit", action="status", retry_after_s=0)
        await client.statuses([added.order, 987654])
        panel.fail_next("http_500", action="balance")
        await client.balance()

    found = exposition(registry)
    requests = {
        name.removeprefix("smmfanfast_attempts_total{account=main,action=").removesuffix("}"): each
        for name, each in found.items()
        if name.startswith("smmfanfast_attempts_total")
    }
    assert requests == {
        "add,outcome=ok": 1,
        "add,outcome=unknown": 1,
        "status,outcome=rate_limit": 1,
        "status,outcome=ok": 1,
        "balance,outcome=server": 1,
        "balance,outcome=ok": 1,
    }
    assert found["smmfanfast_outcome_unknown_total{account=main}"] == 1
    assert found["smmfanfast_throttled_total{account=main}"] == 1
    assert found["smmfanfast_batch_ids_sum{account=main}"] == 2
    assert found["smmfanfast_balance{account=main,currency=USD}"] == float(panel.balance)
    text = generate_latest(registry).decode()
    assert KEY not in text
    assert "marked-link" not in text


def test_former_currency_is_not_a_number_in_multiprocess_mode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    registry = CollectorRegistry()
    hook = Metrics(registry).hook("main")
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    hook(BalanceChecked(balance=Decimal(5), currency="USD"))
    hook(BalanceChecked(balance=Decimal(6), currency="INR"))

    lines = generate_latest(registry).decode().splitlines()
    assert 'smmfanfast_balance{account="main",currency="USD"} NaN' in lines
    assert 'smmfanfast_balance{account="main",currency="INR"} 6.0' in lines
