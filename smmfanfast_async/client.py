"""`Client`: one coroutine for each API action. `_engine` runs the calls."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any, NoReturn, Self

from ._engine.api_v2_calls import ApiV2Calls
from ._engine.client_core import ClientCore
from ._engine.instrumentation import Instrumentation
from ._engine.policy import PollPolicy, RateLimiter, RetryPolicy
from ._engine.polling import Until
from ._engine.runner import BeforeSend, Runner, Settings
from ._engine.statuses import Ids, collect
from ._secrets import Secret, wrap_key
from ._settings import (
    account_name,
    key_from_env,
    options_from_env,
    require_account,
    require_counts,
    require_seconds,
)
from ._wire.decode import decode_balance, decode_call
from ._wire.encode import encode_call, encode_order
from ._wire.transport import Connector, Session, TraceConfig, Transport, is_loopback, parse_url
from .catalogue import Catalogue
from .changes import StatusChange
from .errors import InvalidOrderError, PanelError
from .events import Hook
from .orders import Order, parse_id, parse_ids
from .profile import MAX_CALLS_PER_MINUTE, MAX_CONCURRENCY, SMMFANFAST, Profile
from .results import AddedOrder, Balance, OrderStatus

__all__ = ["Client", "Ids"]

TIMEOUT_S = 60.0
"""Seconds for a read with all its retries: enough for two slow answers and a delay."""

SERVICES_TTL_S = 300.0
"""Seconds for which a catalogue is cached: panels change rates a few times a day (assumed)."""

WAIT_TIMEOUT_S = 86_400.0
"""Default limit of `wait` in seconds, a day: panels show failed and paused orders as pending for
ever (seen)."""


class Client(ApiV2Calls):
    """A panel account, for one event loop.

    Use it with `async with`, or call `aclose()`. It may be shared by any number of tasks.

    - `api_key`: the key, or a plain function that returns it. For a key that changes, the function
      is called for each request when its form is made, and the key is not kept afterwards.
    - `profile`: the dialect and limits of the panel; the document's panel by default.
    - `base_url`: overrides the address of the profile: https, or http on this machine.
    - `session`, `connector`: an aiohttp session or connector to share; they stay open. Without
      them the client creates and closes its own. Of a session its connector and proxy settings
      are used; each request still sets its own timeouts and does not follow redirects.
    - `timeout_s`: seconds for a read with all its retries. `add` has 140.
    - `retry`: when a call that changes nothing is retried; `RetryPolicy(max_attempts=1)` for never.
    - `concurrency`: requests in flight at once; the profile's by default. When the panel reports
      too many requests, all calls pause and the concurrency is halved for a while.
    - `add_concurrency`: orders in flight at once; the profile's, one, by default.
    - `calls_per_minute`: the most requests per minute; the profile's by default.
    - `services_ttl_s`: seconds for which `services` returns the cached catalogue.
    - `poll`: how often `wait` and `watch` poll an order.
    - `proxy`: address of an HTTP proxy, with its login if it needs one. For SOCKS, pass the
      `ProxyConnector` of aiohttp-socks as `connector`.
    - `trust_env`: without a `proxy`, let aiohttp read one from HTTP_PROXY, HTTPS_PROXY and
      NO_PROXY, and its login from ~/.netrc. Nothing from .netrc is ever sent to the panel.
    - `trace_configs`: aiohttp's trace hooks. Those for chunks see the body that is sent, including
      the key.
    - `on_event`: a plain function that is called with each event; see the module `events`.
    - `account`: a name for the account, 1 to 64 letters, digits and `._-`.
    - `balance_thresholds`: amounts; an event reports when `balance` finds less, or more again.

    Raises `InvalidSettingsError` for a key, an address or an option that is not valid. Every call
    raises `ClosedError` after `aclose`, `UnsupportedActionError` if the profile does not have its
    action, and `InvalidOrderError` for an invalid id or field; in all three cases nothing was sent.
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
        # Errors raised from here on pass through this frame, whose variables error reporters show.
        del api_key, proxy
        url = parse_url(base_url or profile.base_url)
        key.check(for_this_machine=is_loopback(url))
        slots = profile.concurrency if concurrency is None else concurrency
        add_slots = profile.add_concurrency if add_concurrency is None else add_concurrency
        per_minute = profile.calls_per_minute if calls_per_minute is None else calls_per_minute
        require_seconds(timeout_s=timeout_s)
        require_seconds(services_ttl_s=services_ttl_s, may_be_zero=True)
        require_counts(MAX_CONCURRENCY, concurrency=slots, add_concurrency=add_slots)
        require_counts(MAX_CALLS_PER_MINUTE, calls_per_minute=per_minute)
        transport = Transport(
            url, key, session=session, connector=connector, proxy=masked_proxy,
            trust_env=trust_env, trace_configs=trace_configs, names=profile.form_names,
            request_format=profile.request_format,
        )  # fmt: skip
        rate_limiter = RateLimiter(max_concurrency=slots, per_minute=per_minute)
        instrumentation = Instrumentation(on_event, url=str(url), thresholds=balance_thresholds)
        runner = Runner(
            transport, profile, rate_limiter=rate_limiter, add_concurrency=add_slots,
            instrumentation=instrumentation,
        )  # fmt: skip
        core = ClientCore.create(
            runner,
            base_url=str(url),
            account=account_name(key, str(url), account),
            is_account_given=account is not None,
            settings=Settings(timeout_s, retry or RetryPolicy()),
            concurrency=slots,
            poll=poll or PollPolicy(),
            services_ttl_s=services_ttl_s,
        )
        self._attach(core, core.settings, core.concurrency)

    def _attach(self, core: ClientCore, settings: Settings, concurrency: int) -> None:
        """Set all attributes of a client: those of the core, and the options of its calls."""
        self.profile = core.runner.profile
        self.base_url = core.base_url
        self._core = core
        self._runner = core.runner
        self._statuses = core.statuses
        self._settings = settings
        self._concurrency = concurrency

    @classmethod
    def from_env(cls, **options: Any) -> Self:
        """Create a client from environment variables.

        `SMMFANFAST_API_KEY` holds the key, or `SMMFANFAST_API_KEY_FILE` the path of a file with
        it; `SMMFANFAST_BASE_URL` and `SMMFANFAST_PROXY` are optional. `options` are those of
        `Client` and take precedence. Raises `InvalidSettingsError` if there is no key.
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
        """Return a client with other options for some calls: `client.with_options(…).balance()`.

        It shares everything else with this client, including connections, rate limits, pauses and
        the retry budget; closing either closes both. Attributes that a subclass adds are not
        copied. None keeps an option as it is.

        Args:
            timeout_s: Seconds for a read with all its retries.
            retry: When a call that changes nothing is retried.
            concurrency: The most batches of one call in flight. It cannot raise the client's own.
            keep_raw: Whether each status and service keeps the text that it was decoded from.
        """
        require_seconds(timeout_s=timeout_s)
        require_counts(MAX_CONCURRENCY, concurrency=concurrency)
        changes = {"timeout_s": timeout_s, "retry": retry, "keep_raw": keep_raw}
        chosen: dict[str, Any] = {name: each for name, each in changes.items() if each is not None}
        settings = self._settings._replace(**chosen)
        client = object.__new__(type(self))
        client._attach(self._core, settings, concurrency or self._concurrency)
        return client

    @property
    def account(self) -> str:
        """The name of the account: the one given, or 16 characters made from its key and address.

        A journal separates accounts by it. The key cannot be derived from it: it is an HMAC. Each
        spelling of an address gives the same name. A key that changes has no such name: without a
        given one, `InvalidSettingsError` is raised.
        """
        return require_account(self._core.account)

    @property
    def is_account_given(self) -> bool:
        """Whether the name of the account was given, and not made from key and address."""
        return self._core.is_account_given

    def __repr__(self) -> str:
        if "_core" not in self.__dict__:  # in a traceback of an invalid option
            return "<Client, not initialized>"
        state = " closed" if self._runner.transport.is_closed else ""
        return f"<Client {self.profile.name} {self.base_url}{state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Client holds connections and a key: it cannot be copied or pickled")

    async def __aenter__(self) -> Self:
        self._runner.transport.check_usable()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of the client. Orders in flight get 10 seconds to complete.

        Calls in flight end with an error. A second call does nothing. Afterwards every call raises
        `ClosedError`.
        """
        # First of all: a call that started during the rest would not be ended by it.
        self._runner.transport.is_closed = True
        await self._core.close()

    # --- calls -----------------------------------------------------------------------------------

    async def add(
        self, order: Order, *, max_charge: Decimal | None = None, wait_s: float | None = None
    ) -> AddedOrder:
        """Place an order. It is sent at most once, and the outcome is reported exactly.

        Cancelling the caller does not cancel a request that is already being sent.

        Args:
            max_charge: Highest acceptable price in the account's currency, checked against the
                catalogue before sending. Panels have no such limit of their own, so a rate that
                rises after the catalogue was fetched (`services_ttl_s`) is not caught. A price that
                cannot be known in advance, such as a subscription's, is an `InvalidOrderError`.
            wait_s: How long to wait for the outcome, in seconds; sending continues afterwards. An
                order that has not been sent by then is withdrawn (`NotSentError`). None waits until
                the outcome is known (at most 140 s after sending starts).

        Returns:
            The order as accepted by the panel.

        Raises:
            InvalidOrderError, SpendingLimitError: Nothing was sent. Correct the order.
            NotSentError, ClosedError: Nothing was sent. Retrying is safe.
            RefusedError: The panel refused before creating an order. Retry after fixing the cause.
            OutcomeUnknownError: An order may exist. Check the panel before ordering again;
                `await error.wait_for_outcome()` if it is still being sent.
        """
        require_seconds(wait_s=wait_s)
        form = encode_order(order, self.profile)
        if max_charge is not None:
            started_s = self._runner.clock.now_s()
            await self._core.catalogue_cache.check_price_limit(order, max_charge, wait_s)
            if wait_s is not None:
                wait_s = max(wait_s - (self._runner.clock.now_s() - started_s), 0.0)
        return await self._runner.send_order(form, self._settings, wait_s)

    async def send_form(
        self,
        form: Mapping[str, str],
        *,
        before: BeforeSend,
        wait_s: float | None = None,
        timeout_s: float | None = None,
    ) -> AddedOrder:
        """Place an order by its form, for a journal. Results and errors are those of `add`.

        `before` is awaited before each attempt, when a request slot is free. If it raises, the
        error is raised here and nothing is sent. It returns the time after which the order must
        not be sent any more, by the clock of the client, which includes suspension. `wait_s` is
        that of `add`; `timeout_s` is how long one attempt may take, in seconds; None: as for `add`.
        """
        if form.get("action") != "add":
            raise InvalidOrderError("Client", "form", form.get("action"), "is not an order form")
        return await self._runner.send_order(dict(form), self._settings, wait_s, before, timeout_s)

    async def status(self, order: int | str) -> OrderStatus:
        """Return the status of one order.

        Concurrent callers share requests of `profile.ids_per_call` ids each: a thousand callers
        make ten. Each gets its own result or error; cancelling one does not affect another.

        Raises:
            OrderNotFoundError: The account has no such order.
            AuthenticationError: The panel rejected the key. Correct it. With `is_about_order` it
                refused this order in such words, although the key works.
            NoResponseError: No answer within `timeout_s`, including the wait for a request slot.
                Retrying is safe, as after any other `PanelError`.
        """
        # `Statuses.get`, written out: it would be one more coroutine for each caller.
        key, settings = parse_id(order), self._settings
        future, group = self._statuses.enqueue(key, settings)
        try:
            return await future
        except BaseException as error:
            self._statuses.on_error(error, future, key, group, settings.timeout_s)
            raise

    async def statuses(self, ids: Ids) -> dict[str, OrderStatus | PanelError]:
        """Return the statuses of any number of orders, `profile.ids_per_call` in a request.

        Returns:
            For every id, in the order given, its status or its own error. A value that is not an id
            gets an `InvalidOrderError` and is not sent.

        Raises:
            InvalidOrderError: `ids` is one text instead of a list. Nothing was sent.
        """
        return await collect(self.iter_status_batches(ids, ordered=True))

    def iter_statuses(
        self, ids: Ids, *, ordered: bool = False
    ) -> AsyncGenerator[tuple[str, OrderStatus | PanelError], None]:
        """Yield what `statuses` returns, each id as its batch completes.

        At most `concurrency` batches are held at a time, whatever `ids` is. An id that occurs twice
        in a batch is fetched and yielded once.

        Args:
            ids: Order ids from any iterable or async iterable; it is read as needed.
            ordered: Whether to keep the order of `ids`. Without it a slow batch delays no other.

        Raises:
            InvalidOrderError: `ids` is one text instead of a list. Nothing was sent.
        """
        return self._statuses.stream(ids, self._settings, self._concurrency, ordered=ordered)

    def iter_status_batches(
        self, ids: Ids, *, ordered: bool = False
    ) -> AsyncGenerator[dict[str, OrderStatus | PanelError], None]:
        """Yield what `statuses` returns, one mapping for each batch as it completes.

        This is the fastest way into `executemany`, a queue or a data frame. Arguments, bounds,
        order and errors are those of `iter_statuses`; an empty `ids` yields nothing.
        """
        return self._statuses.stream_batches(
            ids, self._settings, self._concurrency, ordered=ordered
        )

    async def wait(
        self,
        order: int | str,
        *,
        until: Until | None = None,
        timeout_s: float = WAIT_TIMEOUT_S,
    ) -> OrderStatus:
        """Wait until an order is final, and return its last status.

        The order is polled at the intervals of `poll`, together with all others that are waited for
        or watched; a failed poll is repeated.

        Args:
            until: Returns whether a status is enough, such as `lambda status: status.start_count
                is not None`. A final status always is.
            timeout_s: How long to wait, in seconds.

        Raises:
            WaitTimeoutError: Not final after `timeout_s`. Waiting again is safe.
            OrderNotFoundError: The account has no such order.
            AuthenticationError: The panel rejected the key. Correct it.
        """
        status: OrderStatus | None = None
        async with aclosing(self.watch([order], until=until, timeout_s=timeout_s)) as changes:
            async for change in changes:
                if change.error is not None:
                    raise change.error
                status = change.after
        # A watch that ends without an error has yielded a status.
        assert status is not None  # noqa: S101
        return status

    async def watch(
        self,
        orders: Iterable[int | str],
        *,
        until: Until | None = None,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[StatusChange, None]:
        """Yield the changes of some orders, from the first poll of each until it is final.

        An order is dropped when it is final, missing (`ChangeKind.MISSING`) or accepted by `until`;
        the generator ends with the last order. Changes that happen while the caller is busy are
        merged into one. All watchers of a client share one schedule and its batches; a failed poll
        is repeated.

        Args:
            orders: Order ids.
            until: Returns whether a status is enough; a final status always is.
            timeout_s: How long to watch, in seconds; None sets no limit.

        Raises:
            WaitTimeoutError: Orders are still open after `timeout_s`. Watching again is safe.
            AuthenticationError: The panel rejected the key. Correct it.
        """
        require_seconds(timeout_s=timeout_s)
        self._runner.check_action("status")
        asked = parse_ids(orders)
        async with aclosing(self._core.poller.watch(asked, until, timeout_s)) as changes:
            async for change in changes:
                yield change

    async def services(self, *, max_age_s: float | None = None) -> Catalogue:
        """Return the service catalogue, fetched at most once in `services_ttl_s`.

        Concurrent callers share a fetch. If fetching fails and an older catalogue is cached, that
        one is returned, with `is_stale` set and its own `fetched_at`.

        Args:
            max_age_s: How old the catalogue may be, in seconds; 0 fetches it, None is
                `services_ttl_s`.

        Raises:
            AuthenticationError: The panel rejected the key (raised despite a cached catalogue).
            PanelError: No usable answer and no cached catalogue. Retrying is safe.
        """
        require_seconds(max_age_s=max_age_s, may_be_zero=True)
        return await self._core.catalogue_cache.get(max_age_s, self._settings)

    async def balance(self) -> Balance:
        """Return the balance of the account.

        Raises:
            AuthenticationError: The panel rejected the key. Correct it.
            PanelError: No usable answer within `timeout_s`. Retrying is safe.
        """
        form = {"action": "balance"}
        balance = await self._read(form, lambda reply: decode_balance(reply, self.profile))
        self._runner.instrumentation.balance_checked(balance)
        return balance

    async def call(self, action: str, **fields: object) -> object:
        """Call an undocumented action and return its JSON. Never retried.

        Numbers are returned as int or `Decimal`, those out of range as text.

        Raises:
            InvalidOrderError: A field cannot be sent, or the action is "add": orders are placed by
                `add` alone. Nothing was sent.
            RefusedError: The panel refused. Retry after fixing the cause.
            NotSentError: Nothing was sent. Retrying is safe.
            NoResponseError, InvalidResponseError: It may have taken effect. Check before retrying.
        """
        form = encode_call(action, fields, self.profile)
        return await self._once(form, lambda reply: decode_call(reply, self.profile, action))
