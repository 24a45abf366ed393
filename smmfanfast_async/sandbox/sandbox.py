"""The face of the sandbox: one panel, its clock, its faults and its server, held together."""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType, TracebackType
from typing import Self

from .clock import PanelClock
from .dialects import DIALECTS, STANDARD
from .faults import Fault, FaultScript, ScriptedFault
from .forms import parse_order
from .history import create_history
from .ledger import MAX_ORDERS
from .lifecycle import MAX_LIFECYCLE_S
from .orders import StoredOrder, parse_state
from .panel import Panel
from .refills import StoredRefill, parse_refill_state
from .replies import HttpReply, build_faulty_reply, build_reply
from .server import HOST, MOVED_PATH, PanelServer
from .services import SandboxService

__all__ = ["Sandbox"]

MAX_ACTION_NAMES = 100
"""The most words counted by name in `requests`; further ones count as "other"."""

_ACTION_NAME = re.compile("[a-z_]{1,32}")


class Sandbox:
    """A stateful panel on the loopback address, for tests and demonstrations.

    Use it with `async with`, or `start()` and `close()`. The panel's clock runs from the moment the
    sandbox is made, through a close as well: a closed sandbox that is started again is the same
    panel after an outage, at the same port. One sandbox belongs to one event loop.

    Equal seeds and equal calls give equal ids and outcomes. Only what a running clock decides (is
    an order final yet, does a run of a drip-feed come before the next request) needs `speed=0`,
    or a `clock` of your own, to be equal as well.

    - `api_key`: must start with "test-", so that no real key is ever given to a test.
    - `port`: 0 takes a free one; nothing listens before `start()`.
    - `seed`: chooses the lives of the orders and the requests that `fail_at_rate` hits.
    - `balance`: the account's money once all `existing_orders` are paid.
    - `currency`: printed with the balance and, if `with_currency`, with each order (seen; the
      document's sample has none).
    - `existing_orders`: orders that the account has already, in assorted states, all final within 6
      panel hours. What they get back from then on comes to the balance.
    - `speed`: panel seconds in a real second; at 0 only `advance` moves the clock.
    - `dialect`: "standard", or "api-v2" for the wider family of panels: its shapes, texts and order
      types, `refill`, `refill_status` and `cancel`, 100 ids a call at most.
    - `double_decoding`: decode values a second time and strip tags (seen on the real panel). None
      is the dialect's habit: yes for the document's panel, no for API v2.
    - `services`: what is sold; None for some sixty services, with a dozen more that API v2 alone
      has, an empty list for none.
    - `clock`: gives real seconds.

    Raises `ValueError` for a key, balance, count or dialect that can't be.
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
        dialect: str = STANDARD.name,
        double_decoding: bool | None = None,
        with_currency: bool = True,
        existing_orders: int = 0,
        services: Iterable[SandboxService] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not api_key.startswith("test-"):
            # The key itself is left out: it may be a real one.
            raise ValueError('the api_key of a sandbox must start with "test-"')
        if not balance.is_finite():
            raise ValueError(f"balance {balance} is not a number")
        if not 0 <= existing_orders <= MAX_ORDERS:
            raise ValueError(f"existing_orders {existing_orders} is not between 0 and {MAX_ORDERS}")
        if dialect not in DIALECTS:
            raise ValueError(f"dialect {dialect!r} is not one of {', '.join(DIALECTS)}")
        self._dialect = DIALECTS[dialect]
        self._api_key = api_key
        self._port = port
        self._server: PanelServer | None = None
        self._clock = PanelClock(clock, speed)
        self._faults = FaultScript(seed)
        self._requests: Counter[str] = Counter()
        self._panel = Panel(
            api_key=api_key,
            seed=seed,
            balance=balance,
            currency=currency,
            services=self._dialect.services if services is None else services,
            dialect=self._dialect,
            double_decoding=double_decoding,
            with_currency=with_currency,
        )
        self._create_existing_orders(seed, existing_orders, balance)

    async def start(self) -> None:
        """Listen on 127.0.0.1, unless it listens already; OSError if the port is taken."""
        if self._server is None:
            server = PanelServer(self._respond, self._dialect.path)
            self._port = await server.start(self._port)
            self._server = server

    async def close(self) -> None:
        """Stop listening and cut every connection; nothing happens if it is closed already.

        Raises an ExceptionGroup if the sandbox itself failed over a request since the start.
        """
        server, self._server = self._server, None
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
        """The address to post to; after a close the last one. RuntimeError before the start."""
        if not self._port:
            raise RuntimeError("the sandbox has no address before it is started")
        return f"http://{HOST}:{self._port}{self._dialect.path}"

    @property
    def api_key(self) -> str:
        """The one key that the panel knows."""
        return self._api_key

    @property
    def now_s(self) -> float:
        """The panel's clock: panel seconds since the sandbox was made."""
        return self._clock.now_s()

    @property
    def balance(self) -> Decimal:
        """The account's money at the panel's now; balance + charges of all orders is constant."""
        self._panel.ledger.run_due_events(self.now_s)
        return self._panel.ledger.balance

    @property
    def services(self) -> Mapping[str, SandboxService]:
        """What is sold, by id, in the order of the list; read only."""
        return MappingProxyType(self._panel.services)

    @property
    def orders(self) -> Mapping[str, StoredOrder]:
        """A snapshot of every order at the panel's now, by id, the oldest first.

        This is the truth, whatever the client was told. Each look makes a new snapshot of all
        orders: keep it while you search in it.
        """
        return MappingProxyType(self._panel.snapshot_orders(self.now_s))

    @property
    def refills(self) -> Mapping[str, StoredRefill]:
        """A snapshot of every refill at the panel's now, by id, the oldest first."""
        return MappingProxyType(self._panel.snapshot_refills(self.now_s))

    @property
    def requests(self) -> Mapping[str, int]:
        """Forms that arrived, by action, with those that met a fault or were refused.

        "" counts those without an action, "other" those whose action is no plain word. An action
        that never came counts 0.
        """
        return Counter(self._requests)

    @property
    def request_count(self) -> int:
        """All forms that arrived."""
        return self._requests.total()

    @property
    def pending_faults(self) -> tuple[ScriptedFault, ...]:
        """What `fail_next` has scripted and no request has met yet, the next first."""
        return self._faults.pending

    def advance(self, seconds: float) -> None:
        """Step the panel's clock by so many panel seconds, at any speed."""
        self._clock.advance(seconds)
        self._panel.ledger.run_due_events(self.now_s)

    def finish_all(self) -> None:
        """Step the panel's clock until all orders and refills are final: by 6 hours, which do."""
        self.advance(MAX_LIFECYCLE_S)

    def set_status(self, order: str | int, status: str, *, remains: int | None = None) -> None:
        """Put an order into a state by hand; money goes back, or is taken, by the rules.

        A final state stays, from any other the order goes on by itself. `partial` needs `remains`,
        in pieces; no other state takes it. KeyError for an unknown order, ValueError for an
        unknown word or a state that an order of its kind cannot have.
        """
        now_s = self.now_s
        self._panel.ledger.run_due_events(now_s)
        self._panel.ledger.set_state(str(order), parse_state(status), remains, now_s)

    def set_refill_status(self, refill: str | int, status: str) -> None:
        """Put a refill into a state by hand: "pending", "in progress", "completed", "rejected".

        A final state stays, from any other the refill goes on by itself. KeyError for an unknown
        refill, ValueError for an unknown word.
        """
        self._panel.refills.set_state(str(refill), parse_refill_state(status), self.now_s)

    def add_service(self, service: SandboxService) -> None:
        """Sell one more service, or another one under an id that is taken.

        ValueError for a type that a panel of this dialect does not have.
        """
        self._panel.add_service(service)

    def remove_service(self, service: str | int) -> None:
        """Sell a service no longer; its orders live on. KeyError for an unknown one."""
        del self._panel.services[str(service)]

    def change_rate(self, service: str | int, rate: Decimal) -> None:
        """Give a service another price from now on. KeyError for an unknown one."""
        self._panel.change_rate(str(service), rate)

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
        """Let the next `times` requests meet a fault; several calls queue up.

        Args:
            fault: Which; `Fault` tells for each what happens.
            times: How many requests.
            action: Only requests with this action; None for any.
            delay_s: For `DELAY`, real seconds.
            retry_after_s: For `RATE_LIMIT`, seconds.
            location: For `REDIRECT`; None is a second path of the sandbox itself.
            applied: Overrides whether the action is carried out, for the faults whose answer
                does not depend on it; ValueError for the others.
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
        """Let each request meet a fault with probability `rate`, until `clear_faults()`.

        The seed chooses which. The script of `fail_next` comes first, then the rates in the order
        in which they were set. The other arguments are those of `fail_next`.
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

    def clear_faults(self) -> None:
        """Forget what is scripted and every rate: the panel is in good health again."""
        self._faults.clear()

    def _create_existing_orders(self, seed: int, count: int, balance: Decimal) -> None:
        panel = self._panel
        for created_s, form in create_history(seed, list(panel.services.values()), count):
            panel.ledger.insert(parse_order(form, panel.services, self._dialect), created_s)
        panel.ledger.run_due_events(0)
        # They were paid for before the story begins.
        panel.ledger.balance = balance

    def _respond(self, form: Mapping[str, str]) -> HttpReply:
        """Count a form, carry it out as its fault allows, and give what goes back."""
        action = form.get("action", "")
        self._requests[self._counter_name(action)] += 1
        now_s = self.now_s
        scripted = self._faults.pop_fault(action)
        if scripted is None:
            return build_reply(self._panel.answer(form, now_s))
        default_location = self.url + MOVED_PATH
        return build_faulty_reply(
            scripted, lambda: self._panel.answer(form, now_s), default_location
        )

    def _counter_name(self, action: str) -> str:
        # Words that a request brings are kept only if they are plain and few: no secret, no heap.
        if not action or action in self._dialect.actions or action in self._requests:
            return action
        is_plain = _ACTION_NAME.fullmatch(action) is not None
        return action if is_plain and len(self._requests) < MAX_ACTION_NAMES else "other"
