"""The metrics of several workers in prometheus_client's multiprocess mode, in real processes."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

WORKER = """
import sys, warnings
from decimal import Decimal
warnings.simplefilter("error")
from smmfanfast_async.events import BalanceChecked, OrdersTracked, OutcomeUnknown
from smmfanfast_async.integrations.prometheus import Metrics
from datetime import UTC, datetime
from smmfanfast_async.errors import ErrorKind
from smmfanfast_async.journal import CircuitState, DeskHealth, PanelHealth

metrics = Metrics()
hook, health = metrics.hook("main"), metrics.health_hook("main")
now = datetime(2030, 5, 17, tzinfo=UTC)
for line in sys.stdin:
    name, *words = line.split()
    if name == "track":
        hook(OrdersTracked(order_count=int(words[0])))
    elif name == "balance":
        hook(BalanceChecked(balance=Decimal(words[0]), currency=words[1]))
    elif name == "health":
        open = words[1] == "open"
        panel = PanelHealth(panel="alpha", circuit=CircuitState(words[1]),
                            reason=ErrorKind.NETWORK if open else None)
        health(DeskHealth(at=now, prepared=0, held=0, sending=0, unknown=int(words[0]),
                          oldest_unknown_at=now if open else None, oldest_prepared_at=None,
                          oldest_due_check_at=None, requests_unknown=0, budget_left=None,
                          panels={"alpha": panel}))
    else:
        hook(OutcomeUnknown(call_id="1", service="5", order=None, sent_at=None, http_status=None,
                            error="NoResponseError", duration_s=1.0))
    print("done", flush=True)
"""


class Worker:
    """A process with metrics of its own."""

    def __init__(self, folder: Path) -> None:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        self.process = subprocess.Popen(  # noqa: S603  # this interpreter, and code from this file
            [sys.executable, "-c", WORKER], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def tell(self, line: str) -> None:
        """Make an event happen, and wait until it is counted."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self, folder: Path) -> None:
        """End the process, and do what a server does then."""
        self.process.communicate()
        assert self.process.returncode == 0
        mark_process_dead(self.process.pid, str(folder))


def scrape(folder: Path) -> list[str]:
    """Return the series as a scrape of any worker shows them."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))
    return generate_latest(registry).decode().splitlines()


def test_metrics_of_two_workers_add_up(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    first.tell("track 3")
    second.tell("track 4")
    first.tell("unknown")
    second.tell("unknown")
    second.tell("balance 7.5 USD")
    first.tell("balance 5 USD")
    seen = scrape(tmp_path)

    assert 'smmfanfast_tracked_orders{account="main"} 7.0' in seen
    assert 'smmfanfast_outcome_unknown_total{account="main"} 2.0' in seen
    assert 'smmfanfast_balance{account="main",currency="USD"} 5.0' in seen

    first.end(tmp_path)
    seen = scrape(tmp_path)

    assert 'smmfanfast_tracked_orders{account="main"} 4.0' in seen
    assert 'smmfanfast_outcome_unknown_total{account="main"} 2.0' in seen
    assert 'smmfanfast_balance{account="main",currency="USD"} 5.0' in seen
    second.end(tmp_path)


def test_balance_in_a_former_currency_is_no_number_any_more(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.tell("balance 7.5 USD")
    worker.tell("balance 100 INR")
    seen = scrape(tmp_path)

    assert 'smmfanfast_balance{account="main",currency="USD"} NaN' in seen
    assert 'smmfanfast_balance{account="main",currency="INR"} 100.0' in seen
    worker.end(tmp_path)


def test_health_is_what_any_worker_told_last(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    first.tell("health 3 open")
    first.end(tmp_path)
    assert 'smmfanfast_orders{account="main",state="unknown"} 3.0' in scrape(tmp_path)

    second.tell("health 0 closed")
    seen = scrape(tmp_path)

    assert 'smmfanfast_orders{account="main",state="unknown"} 0.0' in seen
    assert 'smmfanfast_oldest_unknown_timestamp_seconds{account="main"} NaN' in seen
    open_for = 'smmfanfast_circuit_open{account="main",panel="alpha",reason="network"}'
    assert f"{open_for} 0.0" in seen
    second.end(tmp_path)
