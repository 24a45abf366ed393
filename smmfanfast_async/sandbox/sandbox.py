"""The `Sandbox` class: one panel with its clock, faults and server."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import Self

from .answers import Answer
from .clock import PanelClock
from .control import Control
from .control_server import ControlServer
from .counting import RequestCounter
from .faults import Fault, FaultScript, ScriptedFault
from .form_names import FormNames, PanelProfile
from .forms import parse_order
from .history import create_history
from .lifecycle import MAX_LIFECYCLE_S
from .money import MAX_AMOUNT, is_amount
from .orders import StoredOrder, parse_state
from .panel import Panel
from .reading import Reading
from .recording import Recorder, collect_settings, recorded
from .refills import StoredRefill, parse_refill_state
from .replies import HttpReply, reply_to
from .server import HOST, MOVED_PATH, PanelServer
from .services import SandboxService
from .settings import check_settings
from .traffic import Exchange

__all__ = ["Sandbox"]


class Sandbox:
    """A stateful panel on the loopback address, for tests and demonstrations.

    Use it with `async with`, or `start()` and `close()`. The panel's clock runs from the moment the
    sandbox is created and continues while it is closed: a closed sandbox that is started again is
    the same panel after an outage, at the same port. A sandbox belongs to one event loop.

    Equal seeds and equal calls yield equal ids and outcomes. Anything that depends on a running
    clock (is an order final yet, does a run of a drip-feed come before the next request) is
    reproducible only with `speed=0` or a `clock` of your own.

    - `api_key`: must start with "test-", so that a real key is never used in a test.
    - `port`: 0 uses any free port; nothing listens before `start()`.
    - `seed`: determines the lifecycles of orders and the requests that `fail_at_rate` hits.
    - `balance`: the account's balance after all `existing_orders` are paid.
    - `currency`: printed with the balance and, if `with_currency`, with each order (seen; the
      document's sample has none).
    - `existing_orders`: number of orders that the account has at the start, in various states, all
      final within 6 panel hours. Their later refunds are added to the balance.
    - `speed`: panel seconds per real second; at 0 only `advance` moves the clock.
    - `dialect`: "standard", or "api-v2" for the wider family of panels: its formats, texts and
      order types, `refill`, `refill_status` and `cancel`, at most 100 ids per call. None is the one
      that fits the `profile`, "standard" without one.
    - `profile`: the profile of a client; the panel then has its names of actions and fields, its
      format of requests, its actions for single ids and its replay window, and nothing else of it.
    - `double_decoding`: decode values a second time and strip tags (seen on the real panel). None
      is the default of the dialect: true for "standard", false for "api-v2".
    - `reads_json`: read JSON bodies as well, as some panels do. The document's panel reads none
      (seen): a request with a JSON body then has no fields.
    - `services`: the services offered; None for about sixty services, and a dozen more with
      "api-v2"; an empty list for none.
    - `console`: serve a page for browsers that shows and controls all of this; `start` prints its
      address. `control` serves only the control API that the page uses, for any language.
    - `control_port`: the port of both; 0 uses any free port.
    - `clock`: returns real seconds.

    Raises `ValueError` for an invalid key, balance, count or dialect.
    """

    def __init__(
        self,
        *,
        api_key: str = "test-key",
        port: int = 0,
        seed: int = 0,
        balance: Decimal = Decimal(1000),
        currency: str = "USD",
        speed: float = 1.0,
        dialect: str | None = None,
        profile: PanelProfile | None = None,
        double_decoding: bool | None = None,
        reads_json: bool = False,
        with_currency: bool = True,
        existing_orders: int = 0,
        services: Iterable[SandboxService] | None = None,
        console: bool = False,
        control: bool = False,
        control_port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        services = None if services is None else list(services)
        arguments = locals()
        self._dialect = check_settings(api_key, balance, existing_orders, profile, dialect)
        if profile is not None:
            # A recording has the names of the document; what else it needs is the dialect.
            arguments["dialect"] = self._dialect.name
        self._api_key = api_key
        self._port = port
        self._reads_json = reads_json
        self._names = None if profile is None else FormNames(profile)
        self._request_format = "form" if profile is None else profile.request_format
        self._server: PanelServer | None = None
        self._real_clock = clock
        self._clock = PanelClock(clock, speed)
        self._faults = FaultScript(seed)
        self._requests = RequestCounter(self._dialect.actions)
        self._panel = Panel(
            api_key=api_key,
            seed=seed,
            balance=balance,
            currency=currency,
            services=self._dialect.services if services is None else services,
            dialect=self._dialect,
            double_decoding=double_decoding,
            with_currency=with_currency,
            replay_window_s=None if profile is None else profile.replay_window_s,
        )
        self._create_existing_orders(seed, existing_orders, balance)
        self._recorder: Recorder | None = None
        self._control: ControlServer | None = None
        if console or control:
            self._recorder = Recorder(api_key, collect_settings(type(self), arguments))
            reading = Reading(
                panel=self._panel,
                script=self._faults,
                clock=self._clock,
                recorder=self._recorder,
                url=lambda: self.url,
                real_clock=clock,
            )
            commands = Control(self, reading, api_key)
            self._control = ControlServer(commands, port=control_port, with_page=console)

    async def start(self) -> None:
        """Listen on 127.0.0.1, unless already listening; OSError if the port is in use."""
        if self._server is None:
            server = PanelServer(
                self._respond,
                self._dialect.path,
                reads_json=self._reads_json,
                request_format=self._request_format,
            )
            self._port = await server.start(self._port)
            self._server = server
        if self._control is not None:
            try:
                await self._control.start()
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Stop listening and abort every connection. Closing twice has no effect.

        Raises an ExceptionGroup if the sandbox itself failed on a request since the start.
        """
        server, self._server = self._server, None
        try:
            if self._control is not None:
                await self._control.close()
        finally:
            if server is not None:
                await server.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._server is None else f"at {self.url}"
        return f"<Sandbox {state}, {self.request_count} requests>"

    @property
    def url(self) -> str:
        """The URL to post to; after a close the last one. RuntimeError before the start."""
        if not self._port:
            raise RuntimeError("the sandbox has no URL before it is started; call start() first")
        return f"http://{HOST}:{self._port}{self._dialect.path}"

    @property
    def console_url(self) -> str:
        """The address of the page for browsers, with its token; RuntimeError if there is none."""
        return self._require_control().console_url

    @property
    def control_url(self) -> str:
        """The URL of the control API; RuntimeError if there is none."""
        return self._require_control().url

    @property
    def control_token(self) -> str:
        """The token that requests to the control API carry; RuntimeError if there is none."""
        return self._require_control().token

    @property
    def api_key(self) -> str:
        """The only key that the panel accepts."""
        return self._api_key

    @property
    def now_s(self) -> float:
        """Panel seconds since the sandbox was created."""
        return self._clock.now_s()

    @property
    def speed(self) -> float:
        """Panel seconds per real second."""
        return self._clock.speed

    @property
    def balance(self) -> Decimal:
        """The account's current balance; balance plus charges of all orders is constant."""
        self._panel.ledger.run_due_events(self.now_s)
        return self._panel.ledger.balance

    @property
    def services(self) -> Mapping[str, SandboxService]:
        """The services offered, by id, in the order of the list; read-only."""
        return MappingProxyType(self._panel.services)

    @property
    def unavailable_services(self) -> Mapping[str, SandboxService]:
        """The services that `set_available` took from the list, by id; read-only."""
        return MappingProxyType(self._panel.unavailable)

    @property
    def orders(self) -> Mapping[str, StoredOrder]:
        """A snapshot of every order at the current panel time, by id, the oldest first.

        It shows the actual orders, whatever the client received. Each access creates a new snapshot
        of all orders: keep it in a variable while searching in it.
        """
        return MappingProxyType(self._panel.snapshot_orders(self.now_s))

    @property
    def refills(self) -> Mapping[str, StoredRefill]:
        """A snapshot of every refill at the current panel time, by id, the oldest first."""
        return MappingProxyType(self._panel.snapshot_refills(self.now_s))

    @property
    def requests(self) -> Mapping[str, int]:
        """Number of received requests by action, including those that met a fault or were refused.

        "" counts those without an action, "other" those whose action is not a plain name. The count
        of an action that was never received is 0.
        """
        return Counter(self._requests.counts)

    @property
    def request_count(self) -> int:
        """Number of all received requests."""
        return self._requests.counts.total()

    @property
    def traffic(self) -> tuple[Exchange, ...]:
        """The last 10,000 requests with their answers, the oldest first, keys masked.

        Empty unless the sandbox has a `console` or `control`.
        """
        return () if self._recorder is None else tuple(self._recorder.traffic)

    @property
    def pending_faults(self) -> tuple[ScriptedFault, ...]:
        """The faults scripted by `fail_next` that no request has met yet, the next first."""
        return self._faults.pending

    @property
    def fault_rates(self) -> tuple[tuple[ScriptedFault, float], ...]:
        """The faults set by `fail_at_rate`, with their rates."""
        return self._faults.rates

    @recorded
    def advance(self, seconds: float) -> None:
        """Advance the panel's clock by `seconds` panel seconds, at any speed."""
        self._clock.advance(seconds)
        self._panel.ledger.run_due_events(self.now_s)

    @recorded
    def finish_all(self) -> None:
        """Advance the panel's clock by 6 hours, after which all orders and refills are final."""
        self._clock.advance(MAX_LIFECYCLE_S)
        self._panel.ledger.run_due_events(self.now_s)

    @recorded
    def set_speed(self, speed: float) -> None:
        """Run the panel's clock at another speed from this moment on; 0 stops it."""
        self._clock.set_speed(speed)

    @recorded
    def top_up(self, amount: Decimal) -> None:
        """Add money to the account, or take some away if `amount` is negative."""
        if not is_amount(amount):
            raise ValueError(f"amount must be a number of at most {MAX_AMOUNT:.0e}, not {amount}")
        self._panel.ledger.top_up(amount, self.now_s)

    @recorded
    def set_status(self, order: str | int, status: str, *, remains: int | None = None) -> None:
        """Set the status of an order manually; money is refunded or charged accordingly.

        A final status stays; from any other the order continues on its own. `partial` requires
        `remains`, in pieces; no other status accepts it. Raises KeyError for an unknown order,
        ValueError for an unknown status or one that this kind of order cannot have.
        """
        now_s = self.now_s
        self._panel.ledger.run_due_events(now_s)
        self._panel.ledger.set_state(str(order), parse_state(status), remains, now_s)

    @recorded
    def set_refill_status(self, refill: str | int, status: str) -> None:
        """Set a refill's status manually: "pending", "in progress", "completed" or "rejected".

        A final status stays; from any other the refill continues on its own. Raises KeyError for an
        unknown refill, ValueError for an unknown status.
        """
        self._panel.refills.set_state(str(refill), parse_refill_state(status), self.now_s)

    @recorded
    def add_service(self, service: SandboxService) -> None:
        """Add a service, or replace the one with the same id.

        Raises ValueError for a type that a panel of this dialect does not have.
        """
        self._panel.add_service(service)

    @recorded
    def remove_service(self, service: str | int) -> None:
        """Remove a service; its existing orders continue. KeyError for an unknown service."""
        self._panel.remove_service(str(service))

    @recorded
    def change_rate(self, service: str | int, rate: Decimal) -> None:
        """Change the rate of a service for new orders. KeyError for an unknown service."""
        self._panel.change_service(str(service), rate=rate)

    @recorded
    def change_limits(self, service: str | int, *, min: int, max: int) -> None:
        """Change the fewest and the most pieces of an order. KeyError for an unknown service."""
        self._panel.change_service(str(service), min=min, max=max)

    @recorded
    def set_available(self, service: str | int, *, available: bool) -> None:
        """Remove a service from the list, or restore it. KeyError for an unknown service.

        Orders for a service that is not available are refused; its existing orders continue.
        """
        self._panel.set_available(str(service), available=available)

    @recorded
    def fail_next(
        self,
        fault: Fault | str,
        *,
        times: int = 1,
        action: str | None = None,
        delay_s: float = 0.05,
        retry_after_s: int = 1,
        location: str | None = None,
        applied: bool | None = None,
    ) -> None:
        """Make the next `times` requests meet a fault; several calls are queued.

        Args:
            fault: The fault or its value as text; see `Fault` for the effects.
            times: How many requests.
            action: Only requests with this action; None for any.
            delay_s: For `DELAY`, real seconds.
            retry_after_s: For `RATE_LIMIT`, seconds.
            location: For `REDIRECT`; None is a second path of the sandbox itself.
            applied: Overrides whether the action is applied, for faults whose answer does not
                depend on it; ValueError for the others.
        """
        scripted = ScriptedFault(
            fault=fault,
            times=times,
            action=action,
            delay_s=delay_s,
            retry_after_s=retry_after_s,
            location=location,
            applied=applied,
        )
        self._faults.add_next(scripted)

    @recorded
    def fail_at_rate(
        self,
        fault: Fault | str,
        *,
        rate: float,
        action: str | None = None,
        delay_s: float = 0.05,
        retry_after_s: int = 1,
        location: str | None = None,
        applied: bool | None = None,
    ) -> None:
        """Make each request meet a fault with probability `rate`, until `clear_faults()`.

        The seed determines which requests. Faults scripted by `fail_next` come first, then the
        rates in the order in which they were set. The other arguments are those of `fail_next`.
        """
        scripted = ScriptedFault(
            fault=fault,
            action=action,
            delay_s=delay_s,
            retry_after_s=retry_after_s,
            location=location,
            applied=applied,
        )
        self._faults.add_rate(scripted, rate)

    @recorded
    def clear_faults(self) -> None:
        """Remove all scripted faults and rates, so that the panel answers normally."""
        self._faults.clear()

    def _create_existing_orders(self, seed: int, count: int, balance: Decimal) -> None:
        panel = self._panel
        for created_s, form in create_history(seed, list(panel.services.values()), count):
            panel.ledger.insert(parse_order(form, panel.services, self._dialect), created_s)
        panel.ledger.run_due_events(0)
        # They are paid for before the sandbox starts.
        panel.ledger.balance = balance
        panel.ledger.money.clear()

    def _respond(self, form: Mapping[str, str]) -> HttpReply:
        """Count a form, execute it as its fault allows, and return the reply."""
        if self._names is not None:
            form = self._names.to_standard(form)
        action = form.get("action", "")
        self._requests.add(action)
        now_s, started_s = self.now_s, self._real_clock()
        scripted = self._faults.pop_fault(action)
        answers: list[Answer] = []

        def apply() -> Answer:
            answers.append(self._panel.answer(form, now_s))
            return answers[0]

        reply = reply_to(scripted, apply, lambda: self.url + MOVED_PATH)
        if self._recorder is not None:
            elapsed_s = self._real_clock() - started_s
            self._recorder.add_request(now_s, form, scripted, answers, reply, elapsed_s)
        return reply

    def _require_control(self) -> ControlServer:
        if self._control is None:
            raise RuntimeError("the sandbox has no control API: create it with console=True")
        return self._control
