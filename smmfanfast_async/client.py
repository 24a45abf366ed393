"""`Client`: the verbs, awaited. How a call is sent, and whether again, is told in `_calls`."""

from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from decimal import Decimal
from functools import partial
from typing import Any, NoReturn, Self, TypeVar

import attrs

from ._engine.catalogue_cache import CatalogueCache
from ._engine.instrumentation import Instrumentation
from ._engine.policy import PollPolicy, RateLimiter, RetryPolicy
from ._engine.polling import Poller, Until
from ._engine.runner import BeforeSend, Runner, Settings
from ._engine.statuses import Ids, Statuses, collect
from ._secrets import Secret, wrap_key
from ._settings import (
    account_name,
    check_numbers,
    key_from_env,
    options_from_env,
    require_account,
)
from ._wire.decode import (
    decode_balance,
    decode_call,
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
    unwrap,
)
from ._wire.encode import Form, add_form, call_form, ids_form
from ._wire.transport import Connector, Session, TraceConfig, Transport, is_loopback, parse_url
from .catalogue import Catalogue
from .changes import StatusChange
from .errors import ClosedError, InvalidOrderError, PanelError
from .events import Hook
from .orders import Order, parse_id, parse_ids
from .profile import SMMFANFAST, Profile
from .results import (
    AddedOrder,
    Balance,
    CancelResult,
    OrderStatus,
    RefillResult,
    RefillStatus,
    Response,
)

__all__ = ["Client", "Ids"]

TIMEOUT_S = 60.0
"""Seconds for a reading call with all its repeats: two slow answers and a pause."""

SERVICES_TTL_S = 300.0
"""Seconds for which a catalogue is given again: panels change rates a few times a day (assumed)."""

WAIT_TIMEOUT_S = 86_400.0
"""Seconds that `wait` lasts at most unless told otherwise, a day: panels show failed and paused
orders as pending for ever (seen)."""

T = TypeVar("T")
_Rows = dict[str, T | PanelError]
_DecodeRows = Callable[[Response, Profile, Sequence[str]], _Rows[T]]


class Client:
    """A panel account, for one event loop.

    Use it with `async with`, or call `aclose()`. It may be shared by any number of tasks.

    - `api_key`: the key, or a plain function that gives it: for a key that changes it is called
      for each request, when its form is made, and what it gives is kept no longer.
    - `profile`: what is particular about the panel; the document's panel by default.
    - `base_url`: another address than the profile's: https, or http on this machine.
    - `session`, `connector`: an aiohttp session or connector to share; they stay open. Without
      them the client makes and closes its own. A session lends its connector and its proxy
      settings; each request still sets its own time-outs and follows no redirect.
    - `timeout_s`: seconds for a reading call with all its repeats. `add` has 140.
    - `retry`: when a call that changes nothing is repeated; `RetryPolicy(attempts=1)` for never.
    - `concurrency`: requests under way at once; the profile's by default. A panel that says "too
      often" pauses all calls and halves it for a while.
    - `add_concurrency`: orders under way at once; the profile's, one, by default.
    - `calls_per_minute`: the pace that is kept; the profile's by default.
    - `services_ttl_s`: seconds for which `services` gives the same catalogue again.
    - `poll`: how often `wait` and `watch` look at an order.
    - `proxy`: address of an HTTP proxy, with a login in it where it wants one. For SOCKS, give the
      `ProxyConnector` of aiohttp-socks as `connector`.
    - `trust_env`: without a `proxy`, let aiohttp look for one in HTTP_PROXY, HTTPS_PROXY and
      NO_PROXY, and in ~/.netrc for its login. Nothing of a .netrc is ever sent to the panel.
    - `trace_configs`: aiohttp's own hooks. One on chunks sees the body that is sent, key included.
    - `on_event`: a plain function that is told what happens; `events` says of what, and how.
    - `account`: a name of yours for the account, 1 to 64 letters, digits and `._-`.
    - `balance_thresholds`: amounts that are told of when `balance` finds less, or more again.

    Raises `InvalidSettingsError` for a key or an address that can't be meant.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str],
        *,
        profile: Profile = SMMFANFAST,
        base_url: str | None = None,
        session: Session | None = None,
        connector: Connector | None = None,
        timeout_s: float = TIMEOUT_S,
        retry: RetryPolicy | None = None,
        concurrency: int | None = None,
        add_concurrency: int | None = None,
        calls_per_minute: int | None = None,
        services_ttl_s: float = SERVICES_TTL_S,
        poll: PollPolicy | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        account: str | None = None,
        trace_configs: Sequence[TraceConfig] = (),
        on_event: Hook | None = None,
        balance_thresholds: Iterable[Decimal] = (),
    ) -> None:
        key, masked_proxy = wrap_key(api_key), None if proxy is None else Secret(proxy)
        # Whatever is raised from here on leaves through this frame, and error reporters show it.
        del api_key, proxy
        url = parse_url(base_url or profile.base_url)
        key.check(for_this_machine=is_loopback(url))
        places = profile.concurrency if concurrency is None else concurrency
        order_places = profile.add_concurrency if add_concurrency is None else add_concurrency
        pace = profile.calls_per_minute if calls_per_minute is None else calls_per_minute
        check_numbers(timeout_s=timeout_s, concurrency=places)
        check_numbers(add_concurrency=order_places, calls_per_minute=pace)
        self.profile = profile
        self.base_url = str(url)
        self._account = account_name(key, self.base_url, account)
        self._concurrency = places
        self._settings = Settings(timeout_s, retry or RetryPolicy())
        transport = Transport(
            url,
            key,
            session=session,
            connector=connector,
            proxy=masked_proxy,
            trust_env=trust_env,
            trace_configs=trace_configs,
        )
        pacer = RateLimiter(max_concurrency=places, per_minute=pace)
        teller = Instrumentation(on_event, url=self.base_url, thresholds=balance_thresholds)
        calls = Runner(
            transport,
            profile,
            rate_limiter=pacer,
            add_concurrency=order_places,
            instrumentation=teller,
        )
        self._furnish(calls, poll or PollPolicy(), services_ttl_s)

    def _furnish(
        self, calls: Runner, poll: PollPolicy, services_ttl_s: float = SERVICES_TTL_S
    ) -> None:
        """Put in place what is shared with the twins of `with_options`."""
        self._runner = calls
        self._statuses = Statuses(calls, concurrency=self._concurrency)
        self._poller = Poller(self._look, poll, calls.rng, calls.instrumentation, self._is_over)
        self._catalogue_cache = CatalogueCache(calls, self._settings, ttl_s=services_ttl_s)

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Make a client from the environment; `options` are those of `Client` and go first.

        `SMMFANFAST_API_KEY` holds the key, or `SMMFANFAST_API_KEY_FILE` the path of a file with
        it; `SMMFANFAST_BASE_URL` and `SMMFANFAST_PROXY` are optional. Raises
        `InvalidSettingsError` where there is no key.
        """
        return cls(key_from_env(), **options_from_env(options))

    def with_options(
        self,
        *,
        timeout_s: float | None = None,
        retry: RetryPolicy | None = None,
        concurrency: int | None = None,
        keep_raw: bool | None = None,
    ) -> Self:
        """Give this client with other settings for some calls: `client.with_options(…).balance()`.

        It shares everything with this one, connections, pace, pauses and quota too; closing either
        closes both. `concurrency` bounds the batches of one call and can't raise the client's own.
        `keep_raw` keeps with each status and service the text that it was read from.
        """
        check_numbers(timeout_s=timeout_s, concurrency=concurrency)
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._concurrency = concurrency or self._concurrency
        changes = {"timeout_s": timeout_s, "retry": retry, "keep_raw": keep_raw}
        asked: dict[str, Any] = {name: each for name, each in changes.items() if each is not None}
        twin._settings = attrs.evolve(self._settings, **asked)
        return twin

    @property
    def account(self) -> str:
        """The name of the account: yours, or one of 16 signs made of its key and address.

        A journal keeps accounts apart by it. The key can't be told of it: it is an HMAC. Of a key
        that changes none is made: without one of yours `InvalidSettingsError` is raised.
        """
        return require_account(self._account)

    def __repr__(self) -> str:
        if "_calls" not in self.__dict__:  # in a traceback of a setting that was refused
            return "<Client, not made>"
        state = " closed" if self._runner.transport.is_closed else ""
        return f"<Client {self.profile.name} {self.base_url}{state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds connections and a key: it is not copied or pickled")

    async def __aenter__(self) -> Self:
        self._runner.transport.check_usable()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what the client made. Orders on their way get 10 seconds to arrive.

        A second call does nothing. Afterwards every verb raises `ClosedError`.
        """
        # At once: who comes while the rest is ended would not be ended any more.
        self._runner.transport.is_closed = True
        async with AsyncExitStack() as ends:
            # Each happens whatever becomes of the others, the last one first.
            for room in (self._catalogue_cache, self._runner, self._statuses, self._poller):
                ends.push_async_callback(room.close)

    # --- the verbs -------------------------------------------------------------------------------

    async def add(
        self, order: Order, *, max_charge: Decimal | None = None, wait_s: float | None = None
    ) -> AddedOrder:
        """Place an order; it is sent once, and what became of it is said.

        Returns where the panel gave an id. Raises `InvalidOrderError`, `NotSentError` or
        `ClosedError` if nothing was sent, `RefusedError` if the panel said no before it made an
        order, and `OutcomeUnknownError` for everything else: an order may exist, and this client
        never sends it again. A cancelled caller does not stop what is on its way.

        `max_charge` is the most it may cost by the catalogue, in the account's currency; above it
        `SpendingLimitError` is raised and nothing sent. A price that can't be known before, such as
        a subscription's, is an `InvalidOrderError` then. The panel has no such bound of its own: a
        rate that rises between the catalogue (`services_ttl_s`) and the order is not caught.

        `wait_s` bounds the waiting, not the sending, in seconds; None waits to the end (140 s at
        most, once it is on its way). An order whose turn did not come by then is taken back
        (`NotSentError`); one on its way goes on, and `await error.settled()` tells its outcome.
        """
        check_numbers(wait_s=wait_s)
        form = add_form(order, self.profile)
        if max_charge is not None:
            begun_s = self._runner.clock.now_s()
            await self._catalogue_cache.check_price_limit(order, max_charge, wait_s)
            if wait_s is not None:
                wait_s = max(wait_s - (self._runner.clock.now_s() - begun_s), 0.0)
        return await self._runner.send_order(form, self._settings, wait_s)

    async def send_form(self, form: Mapping[str, str], *, before: BeforeSend) -> AddedOrder:
        """Place an order by its form, for a journal: errors and outcomes are those of `add`.

        `before` is awaited when its turn has come, before each sending; what it raises is raised,
        and nothing is sent. It gives the moment of `time.monotonic()` after which the order must
        not leave any more.
        """
        if form.get("action") != "add":
            raise InvalidOrderError("Client", "form", form.get("action"), "is not that of an order")
        return await self._runner.send_order(dict(form), self._settings, None, before)

    async def status(self, order: int | str) -> OrderStatus:
        """Ask how one order stands; raises its error, `OrderNotFoundError` for an unknown id.

        Callers who ask at about the same time share requests, `profile.ids_per_call` ids each: a
        thousand of them make ten. Each gets its own result or error; one who is cancelled harms no
        other. `NoResponseError` after `timeout_s`, the waiting for a request included.
        """
        return await self._statuses.get(parse_id(order), self._settings)

    async def statuses(self, ids: Ids) -> dict[str, OrderStatus | PanelError]:
        """Ask how any number of orders stand, `profile.ids_per_call` a request.

        Gives every id, in the order asked, its status or its own error; an id that is none gets an
        `InvalidOrderError` and is not sent. Raises only `ClosedError`, or `InvalidOrderError` for
        one text in the place of a list.
        """
        return await collect(self.iter_statuses(ids, ordered=True))

    def iter_statuses(
        self, ids: Ids, *, ordered: bool = False
    ) -> AsyncGenerator[tuple[str, OrderStatus | PanelError], None]:
        """Ask as `statuses` does, and give each answer as its batch lands.

        At most `concurrency` batches are held at a time, whatever `ids` is. `ordered` keeps the
        order of `ids`; without it a slow batch holds nothing up. An id that comes twice in a batch
        is asked and given once.
        """
        return self._statuses.stream(
            ids, self._settings, concurrency=self._concurrency, ordered=ordered
        )

    async def wait(
        self,
        order: int | str,
        *,
        until: Until | None = None,
        timeout_s: float = WAIT_TIMEOUT_S,
    ) -> OrderStatus:
        """Wait until an order is final, and give its last status.

        `until` says of a status whether it is enough, such as `lambda status: status.start_count
        is not None`; a final one always is. It is looked at now and then (`poll`), together with
        what others wait for; a look that fails is made again. Raises `WaitTimeoutError` after
        `timeout_s`, `OrderNotFoundError` for an id that is not the account's, `AuthenticationError` for a
        wrong key.
        """
        status: OrderStatus | None = None
        async with aclosing(self.watch([order], until=until, timeout_s=timeout_s)) as changes:
            async for change in changes:
                if change.error is not None:
                    raise change.error
                status = change.after
        # A watch ends with a status where it ends with no error.
        assert status is not None  # noqa: S101
        return status

    async def watch(
        self,
        orders: Iterable[int | str],
        *,
        until: Until | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[StatusChange, None]:
        """Give the changes of some orders, from the first look at each until it is final.

        An order is left when it is final, missing (`ChangeKind.MISSING`) or as `until` wants it;
        the end comes with the last of them. What changes while the caller is busy comes as one
        change. All watchers of a client share one schedule and its batches. Raises
        `WaitTimeoutError` where orders are open after `timeout_s` (None for no end), `AuthenticationError`,
        `ClosedError`; a look that fails otherwise is made again.
        """
        check_numbers(timeout_s=timeout_s)
        self._runner.check_action("status")
        asked = parse_ids(orders)
        async with aclosing(self._poller.watch(asked, until, timeout_s)) as changes:
            async for change in changes:
                yield change

    async def services(self, *, max_age_s: float | None = None) -> Catalogue:
        """Give what is on offer, fetched at most once in `services_ttl_s`.

        `max_age_s` is how old it may be for this caller, in seconds; 0 fetches it. Callers who come
        meanwhile share the fetch. Where fetching fails and there is an older catalogue, that is
        given, with `is_stale` set and its own `fetched_at`.
        """
        return await self._catalogue_cache.get(max_age_s, self._settings)

    async def balance(self) -> Balance:
        """Fetch what is left on the account."""
        form = {"action": "balance"}
        found = await self._read(form, lambda reply: decode_balance(reply, self.profile))
        self._runner.instrumentation.balance_checked(found)
        return found

    async def refill(self, order: int | str) -> RefillResult:
        """Ask for a refill of one order (API v2). Never repeated."""
        self._runner.check_action("refill")
        asked = parse_id(order)
        form = ids_form("refill", "order", [asked])
        return await self._once(form, lambda reply: decode_refill(reply, self.profile, asked))

    async def refills(self, orders: Iterable[int | str]) -> dict[str, RefillResult | PanelError]:
        """Ask for refills (API v2), for each order its refill or its own error. Never repeated."""
        return await self._rows("refill", "orders", orders, decode_refills, self._once)

    async def refill_status(self, refill: int | str) -> RefillStatus:
        """Ask how one refill stands (API v2)."""
        asked = parse_id(refill, name="refill")
        found = await self._read(
            ids_form("refill_status", "refill", [asked]),
            lambda reply: decode_refill_statuses(reply, self.profile, [asked]),
        )
        return unwrap(found[asked])

    async def refill_statuses(
        self, refills: Iterable[int | str]
    ) -> dict[str, RefillStatus | PanelError]:
        """Ask how refills stand (API v2): for each its status or its own error."""
        return await self._rows(
            "refill_status", "refills", refills, decode_refill_statuses, self._read
        )

    async def cancel(self, orders: Iterable[int | str]) -> dict[str, CancelResult | PanelError]:
        """Ask to cancel orders (API v2), for each the panel's word or its error. Never repeated."""
        return await self._rows("cancel", "orders", orders, decode_cancels, self._once)

    async def call(self, action: str, **fields: object) -> object:
        """Call what is not documented, and give its JSON. Never repeated.

        Numbers come as int or `Decimal`; those out of bounds as text. Orders are placed by `add`
        alone: the action "add" raises `InvalidOrderError`.
        """
        form = call_form(action, fields, self.profile)
        return await self._once(form, lambda reply: decode_call(reply, self.profile, action))

    async def _read(self, form: Form, decode: Callable[[Response], T]) -> T:
        return await self._runner.read(form, decode, self._settings)

    async def _once(self, form: Form, decode: Callable[[Response], T]) -> T:
        return await self._runner.send_once(form, decode, self._settings)

    def _is_over(self, status: OrderStatus) -> bool:
        return status.is_final or self.profile.is_final_status(status.raw_status)

    def _look(
        self, orders: list[str]
    ) -> AsyncGenerator[tuple[str, OrderStatus | PanelError], None]:
        return self._statuses.stream(
            orders, self._settings, concurrency=self._concurrency, ordered=False
        )

    async def _rows(
        self,
        action: str,
        field: str,
        ids: Iterable[int | str],
        decode: _DecodeRows[T],
        send: Callable[[Form, Callable[[Response], _Rows[T]]], Coroutine[Any, Any, _Rows[T]]],
    ) -> _Rows[T]:
        """Send an API v2 call about many ids, in batches one after the other."""
        self._runner.check_action(action)
        asked = parse_ids(ids, field[:-1])
        found: dict[str, T | PanelError] = {}
        size = self.profile.ids_per_call
        for start in range(0, len(asked), size):
            batch = asked[start : start + size]
            try:
                form = ids_form(action, field, batch)
                found |= await send(form, partial(_decoded, decode, self.profile, batch))
            except ClosedError:
                raise
            except PanelError as error:
                found |= {each: error.for_order(each) for each in batch}
        return found


def _decoded(decode: _DecodeRows[T], profile: Profile, ids: list[str], reply: Response) -> _Rows[T]:
    return decode(reply, profile, ids)
