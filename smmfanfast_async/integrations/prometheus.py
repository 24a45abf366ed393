"""Hooks that keep metrics for Prometheus (extra `prometheus`).

    metrics = Metrics()
    client = Client(key, on_event=metrics.hook("main"))
    desk = OrderDesk(client, journal, on_health=metrics.health_hook("main"))

Each metric has a label for the account, so that several clients can share a registry.

In prometheus_client's multiprocess mode (`PROMETHEUS_MULTIPROC_DIR`), counters and histograms of
all workers add up, and so do the orders that living workers track; the balance, and what a desk
tells of its health, are what any worker checked last.
"""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Literal

from attrs import define
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

from ..errors import ErrorKind
from ..events import (
    AttemptFinished,
    BalanceChecked,
    BatchFinished,
    Event,
    Hook,
    OrdersTracked,
    OutcomeUnknown,
    Throttled,
)
from ..journal import CircuitState, DeskHealth

__all__ = ["Metrics"]

DURATION_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 140.0)
"""Buckets for the duration of attempts: most take less than a second (assumed), an order 140 s at
most."""

ID_COUNT_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Buckets for the size of batches: this panel accepts 100 ids per call, others more (assumed)."""

_MULTIPROCESS_VARIABLES = frozenset({"PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"})
"""What switches prometheus_client to files that all processes share, when it is imported."""

_Mode = Literal["livesum", "mostrecent"]
"""How prometheus_client combines the gauges of several processes."""

_OWN_LABELS = ("action", "consumer", "currency", "outcome", "panel", "reason", "state")

_MakeGauge = Callable[..., Gauge]


class Metrics:
    """The metrics of any number of clients, in one registry.

    - `smmfanfast_attempts_total`: finished attempts by `action` and `outcome`, which is `ok`,
      `cancelled`, an `ErrorKind`, or `error` for any other exception.
    - `smmfanfast_attempt_duration_seconds`: histogram of their duration, by `action`.
    - `smmfanfast_batch_ids`: histogram of the number of ids in a batch of statuses.
    - `smmfanfast_outcome_unknown_total`: orders with an unknown outcome; each needs a person.
    - `smmfanfast_tracked_orders`: orders that are waited for or watched.
    - `smmfanfast_balance`: the balance as last checked, by `currency`.
    - `smmfanfast_throttled_total`, `smmfanfast_throttled_seconds_total`: how often the panel asked
      for a pause of all calls, and for how long; overlapping pauses are added up.

    Of a desk, from its journal, so that they are right at once after a restart:

    - `smmfanfast_orders`: orders by `state`: `prepared`, `held`, `sending`, `unknown`. Each of the
      last needs a person.
    - `smmfanfast_oldest_unknown_timestamp_seconds`: when the first of those became unknown; NaN if
      there is none.
    - `smmfanfast_oldest_due_check_timestamp_seconds`: when the next check of an order is due; NaN
      if there is none. Long ago, if nothing follows the orders.
    - `smmfanfast_consumer_lag_events`: events that a `consumer` has not acknowledged.
    - `smmfanfast_circuit_open`: 1 for the `reason` for which orders wait for a `panel`, 0 for each
      other `ErrorKind`.
    - `smmfanfast_requests_unknown`: refills and cancellations with an unknown outcome.
    - `smmfanfast_budget_left`: what is left of the day's budget, if there is one.

    `registry` is where they are registered, prometheus_client's own by default; a second `Metrics`
    in the same one raises its `ValueError`. `label` is the name of the label for the account.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, label: str = "account") -> None:
        if label in _OWN_LABELS:
            raise ValueError(
                f"label {label!r} is already used by these metrics: choose another name"
            )

        def counter(name: str, help_text: str, *labels: str) -> Counter:
            return Counter(name, help_text, (label, *labels), registry=registry)

        def gauge(name: str, help_text: str, mode: _Mode, *labels: str) -> Gauge:
            return Gauge(
                name, help_text, (label, *labels), registry=registry, multiprocess_mode=mode
            )

        def histogram(
            name: str, help_text: str, buckets: Sequence[float], *labels: str
        ) -> Histogram:
            return Histogram(name, help_text, (label, *labels), registry=registry, buckets=buckets)

        self.attempts = counter("smmfanfast_attempts", "Finished attempts.", "action", "outcome")
        self.attempt_duration = histogram(
            "smmfanfast_attempt_duration_seconds",
            "Duration of an attempt.",
            DURATION_BUCKETS_S,
            "action",
        )
        self.batch_ids = histogram(
            "smmfanfast_batch_ids", "Number of ids in a batch of statuses.", ID_COUNT_BUCKETS
        )
        self.unknown_outcomes = counter(
            "smmfanfast_outcome_unknown", "Orders with an unknown outcome."
        )
        self.tracked_orders = gauge(
            "smmfanfast_tracked_orders", "Orders that are waited for or watched.", "livesum"
        )
        # All workers of an account see the same balance; that of a dead one is still the last.
        self.balance = gauge(
            "smmfanfast_balance", "The balance as last checked.", "mostrecent", "currency"
        )
        self.throttled = counter("smmfanfast_throttled", "Pauses that the panel asked for.")
        self.throttled_seconds = counter(
            "smmfanfast_throttled_seconds", "Seconds of the pauses that the panel asked for."
        )
        self.health = _HealthGauges(gauge)

    def hook(self, account: str = "") -> Hook:
        """Return the hook of one client; `account` is its label, "" for none.

        Clients with the same label add to the same counters and overwrite each other's gauges.
        """
        # Created at 0, so that an alert sees the first one as an increase.
        for each in (self.unknown_outcomes, self.throttled, self.throttled_seconds):
            each.labels(account)
        return _Account(self, account)

    def health_hook(self, account: str = "") -> Callable[[DeskHealth], None]:
        """Return the `on_health` of one desk; `account` is its label, "" for none."""
        return lambda health: self.health.set(account, health)


class _HealthGauges:
    """The gauges of desks. All workers of an account read one journal: the last one is right."""

    def __init__(self, gauge: _MakeGauge) -> None:
        def latest(name: str, help_text: str, *labels: str) -> Gauge:
            return gauge(f"smmfanfast_{name}", help_text, "mostrecent", *labels)

        self.orders = latest("orders", "Orders that a desk or a person has to deal with.", "state")
        self.oldest_unknown = latest(
            "oldest_unknown_timestamp_seconds", "When the first unknown order became unknown."
        )
        self.oldest_due_check = latest(
            "oldest_due_check_timestamp_seconds", "When the next check of an order is due."
        )
        self.consumer_lag = latest(
            "consumer_lag_events", "Events that a consumer has not acknowledged.", "consumer"
        )
        self.circuit_open = latest(
            "circuit_open", "Whether orders wait for a panel, by reason.", "panel", "reason"
        )
        self.requests_unknown = latest(
            "requests_unknown", "Refills and cancellations with an unknown outcome."
        )
        self.budget_left = latest("budget_left", "What is left of the day's budget.")

    def set(self, account: str, health: DeskHealth) -> None:
        for state in ("prepared", "held", "sending", "unknown"):
            self.orders.labels(account, state).set(getattr(health, state))
        self.oldest_unknown.labels(account).set(_timestamp(health.oldest_unknown_at))
        self.oldest_due_check.labels(account).set(_timestamp(health.oldest_due_check_at))
        for name, consumer in health.consumers.items():
            self.consumer_lag.labels(account, name).set(consumer.lag)
        for name, panel in health.panels.items():
            is_open = panel.circuit is not CircuitState.CLOSED
            # Each reason: another worker, which may have ended since, may have set any of them.
            for kind in ErrorKind:
                value = int(is_open and kind is panel.reason)
                self.circuit_open.labels(account, name, kind.value).set(value)
        self.requests_unknown.labels(account).set(health.requests_unknown)
        if health.budget_left is not None:
            self.budget_left.labels(account).set(float(health.budget_left))


@define(eq=False)
class _Account:
    metrics: Metrics
    account: str
    currency: str | None = None
    """The currency label of the last balance; None before the first."""

    def __call__(self, event: Event) -> None:
        metrics, account = self.metrics, self.account
        match event:
            case AttemptFinished(action=action):
                metrics.attempts.labels(account, action, _outcome(event)).inc()
                metrics.attempt_duration.labels(account, action).observe(event.duration_s)
            case BatchFinished(id_count=id_count):
                metrics.batch_ids.labels(account).observe(id_count)
            case OutcomeUnknown():
                metrics.unknown_outcomes.labels(account).inc()
            case OrdersTracked(order_count=order_count):
                metrics.tracked_orders.labels(account).set(order_count)
            case BalanceChecked():
                self._record_balance(event)
            case Throttled(delay_s=delay_s):
                metrics.throttled.labels(account).inc()
                metrics.throttled_seconds.labels(account).inc(delay_s)
            case _:
                pass

    def _record_balance(self, event: BalanceChecked) -> None:
        gauge = self.metrics.balance
        currency = event.currency or ""
        # The currency comes from the panel: one series for each account, whatever it returns.
        if self.currency is not None and self.currency != currency:
            _end_series(gauge, self.account, self.currency)
        self.currency = currency
        gauge.labels(self.account, currency).set(float(event.balance))


def _end_series(gauge: Gauge, account: str, currency: str) -> None:
    if _MULTIPROCESS_VARIABLES.isdisjoint(os.environ):
        with suppress(KeyError):  # removed by another client with the same label
            gauge.remove(account, currency)
    else:
        # prometheus_client cannot remove a series there, and would only warns; NaN fires no alert.
        gauge.labels(account, currency).set(math.nan)


def _timestamp(moment: datetime | None) -> float:
    """Return seconds since 1970; NaN, which fires no alert, if there is no such moment."""
    return math.nan if moment is None else moment.timestamp()


def _outcome(event: AttemptFinished) -> str:
    if event.error is None:
        return "ok"
    if event.kind is not None:
        return event.kind.value
    return "cancelled" if event.error == "CancelledError" else "error"
