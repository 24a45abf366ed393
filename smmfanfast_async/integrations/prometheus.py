"""A hook that keeps metrics for Prometheus (extra `prometheus`).

    metrics = Metrics()
    client = Client(key, on_event=metrics.hook("main"))

Each metric has a label for the account, so that several clients stand side by side.
"""

from collections.abc import Sequence
from contextlib import suppress

from attrs import define
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

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

__all__ = ["Metrics"]

SECONDS_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 140.0)
"""Bounds of the histogram of requests: most take below a second (assumed), an order 140 at most."""

IDS_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Bounds of the histogram of batches: this panel takes 100 ids a call, others more (assumed)."""

_OWN_LABELS = ("action", "currency", "outcome")


class Metrics:
    """The metrics of any number of clients, in one registry.

    - `smmfanfast_requests_total`: attempts by `action` and `outcome`, which is `ok`, `cancelled`,
      an `ErrorKind`, or `error` for what is none of ours.
    - `smmfanfast_request_seconds`: histogram of their duration, by `action`.
    - `smmfanfast_batch_ids`: histogram of how many ids the batches of statuses hold.
    - `smmfanfast_unknown_orders_total`: orders whose outcome nobody knows; each needs a person.
    - `smmfanfast_tracked_orders`: orders that somebody waits for or watches.
    - `smmfanfast_balance`: the balance as it was last asked for, by `currency`.
    - `smmfanfast_pauses_total`, `smmfanfast_pause_seconds_total`: how often the panel asked all
      calls to wait, and for how long; pauses that overlap count each.

    `registry` is where they are registered, prometheus_client's own by default; a second `Metrics`
    in the same one raises its `ValueError`. `label` is the name of the label for the account.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY, *, label: str = "account") -> None:
        if label in _OWN_LABELS:
            raise ValueError(f"the label {label!r} is one of our own")

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (label, *labels), registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, (label, *labels), registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(name, text, (label, *labels), registry=registry, buckets=buckets)

        self.requests = counter("smmfanfast_requests", "Attempts that ended.", "action", "outcome")
        self.seconds = histogram(
            "smmfanfast_request_seconds", "Duration of an attempt.", SECONDS_BUCKETS, "action"
        )
        self.batch_ids = histogram(
            "smmfanfast_batch_ids", "Ids in a batch of statuses.", IDS_BUCKETS
        )
        self.unknown_orders = counter(
            "smmfanfast_unknown_orders", "Orders whose outcome nobody knows."
        )
        self.tracked_orders = gauge(
            "smmfanfast_tracked_orders", "Orders that somebody waits for or watches."
        )
        self.balance = gauge("smmfanfast_balance", "The balance, as last seen.", "currency")
        self.throttles = counter("smmfanfast_pauses", "Pauses that the panel asked for.")
        self.throttled_seconds = counter(
            "smmfanfast_pause_seconds", "Length of the pauses that the panel asked for."
        )

    def hook(self, account: str = "") -> Hook:
        """Give the hook of one client; `account` is its label, "" for none.

        Clients whose label is the same add up, and their gauges overwrite each other.
        """
        # So that an alert sees the first one as a step from 0.
        for each in (self.unknown_orders, self.throttles, self.throttled_seconds):
            each.labels(account)
        return _Account(self, account)


@define(eq=False)
class _Account:
    metrics: Metrics
    account: str
    currency: str | None = None
    """The label of the balance that was last seen; None before the first."""

    def __call__(self, event: Event) -> None:
        metrics, account = self.metrics, self.account
        match event:
            case AttemptFinished(action=action):
                metrics.requests.labels(account, action, _outcome(event)).inc()
                metrics.seconds.labels(account, action).observe(event.duration_s)
            case BatchFinished(id_count=ids):
                metrics.batch_ids.labels(account).observe(ids)
            case OutcomeUnknown():
                metrics.unknown_orders.labels(account).inc()
            case OrdersTracked(order_count=orders):
                metrics.tracked_orders.labels(account).set(orders)
            case BalanceChecked():
                self._seen(event)
            case Throttled(delay_s=pause_s):
                metrics.throttles.labels(account).inc()
                metrics.throttled_seconds.labels(account).inc(pause_s)
            case _:
                pass

    def _seen(self, event: BalanceChecked) -> None:
        gauge = self.metrics.balance
        currency = event.currency or ""
        # The currency is the panel's word: one series an account, whatever it comes to say.
        if self.currency is not None and self.currency != currency:
            with suppress(KeyError):  # another client of the same label was quicker
                gauge.remove(self.account, self.currency)
        self.currency = currency
        gauge.labels(self.account, currency).set(float(event.balance))


def _outcome(event: AttemptFinished) -> str:
    if event.error is None:
        return "ok"
    if event.kind is not None:
        return event.kind.value
    return "cancelled" if event.error == "CancelledError" else "error"
