"""Fetch order statuses in batches, and bisect a batch that fails as a whole.

How this works. Everything leads to `fetch`, which returns for each id its status or its own error.
`get` reaches it through the coalescer, which turns many callers with one id each into few batches;
`stream_batches` cuts any number of ids into batches and keeps some in flight. A batch that fails as
a whole, because it is too large, too slow, or has a bad id, is bisected, down to a single id, if
the panel answers for one of its ids alone (`failed_batches`). Ids that failed alone are remembered
and asked alone, so that they break no other batch. A whole answer that rejects the key concerns the
key only if `balance` is rejected too.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from contextlib import aclosing
from functools import lru_cache
from typing import NamedTuple

from attrs import evolve

from .._wire.decode import decode_balance, decode_status, decode_statuses
from .._wire.encode import encode_ids
from ..errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    NoResponseError,
    OrderNotFoundError,
    PanelError,
    RefusedError,
)
from ..events import BatchFinished
from ..orders import check_is_list
from ..results import OrderStatus
from .coalescer import BatchCancelledError, Coalescer
from .failed_batches import MAX_PROBES, FailedBatch, FailedIds
from .id_keys import InvalidId, Key, partition, read_keys
from .policy import BatchSize, RetryPolicy, may_depend_on_ids
from .runner import MIN_READ_S, Runner, Settings
from .streaming import RowStream, stream_batches

__all__ = ["Ids", "Statuses", "collect"]

MIN_SPLIT_S = 20.0
"""With at least this many seconds left, a batch gets only half of them, and its halves get the
rest; with less, the batch gets all of the time."""

PROBE_RESERVE_S = 5.0
"""Of at least `MIN_SPLIT_S` seconds, as many are left after a single id to ask for a known one."""

ALONE_TIMEOUT_S = 10.0
"""Seconds for an id that failed alone before: others of its batch wait for it."""

CONFIRM_TIMEOUT_S = 10.0
"""Seconds for the `balance` call that confirms that the key is rejected."""

MAX_BATCH_ATTEMPTS = 2
"""Attempts of a batch of several ids; for any more that a policy allows, single ids are asked: they
tell an outage from a bad id."""

ONCE = RetryPolicy(max_attempts=1)

Ids = Iterable[int | str] | AsyncIterable[int | str]
"""Order ids from any source: a list, a generator, a file, a database cursor."""

Rows = dict[str, OrderStatus | PanelError]


class _BatchKey(NamedTuple):
    """What callers must have in common to share a batch."""

    retry: RetryPolicy
    keep_raw: bool
    alone: str | None = None
    """An id that failed alone before: no other caller waits for it."""


class Statuses:
    """Fetches order statuses for all callers of one account."""

    def __init__(self, runner: Runner, *, concurrency: int) -> None:
        self._runner = runner
        self._size = BatchSize(runner.profile.ids_per_call)
        self._failed_ids = FailedIds()
        self._known_id: str | None = None
        """The id that was answered last."""
        self._last_settings: Settings | None = None
        self._last_key = _BatchKey(RetryPolicy(), keep_raw=False)
        self._coalescer = Coalescer[str, _BatchKey, OrderStatus](
            self._fetch_group,
            size=runner.profile.ids_per_call,
            concurrency=concurrency,
            map_error=_map_error,
        )
        self.on_error = self._coalescer.on_error

    async def get(self, order: str, settings: Settings) -> OrderStatus:
        """Return the status of one order, fetched together with those of other callers."""
        future, group = self.enqueue(order, settings)
        try:
            return await future
        except BaseException as error:
            self.on_error(error, future, order, group, settings.timeout_s)
            raise

    def enqueue(
        self, order: str, settings: Settings
    ) -> tuple["asyncio.Future[OrderStatus]", _BatchKey]:
        """Ask for one order; the caller awaits the future and reports errors, as `get` does."""
        self._runner.check_action("status")
        key = self._batch_key(settings)
        if self._failed_ids.by_id:
            now_s = asyncio.get_running_loop().time()
            if self._failed_ids.asked_alone((order,), now_s):
                key = key._replace(alone=order)
        return self._coalescer.enqueue(order, timeout_s=settings.timeout_s, group=key), key

    async def stream_batches(
        self, ids: Ids, settings: Settings, concurrency: int, *, ordered: bool
    ) -> AsyncGenerator[Rows, None]:
        """Yield the statuses of each batch of ids as it completes."""
        self._runner.check_action("status")
        check_is_list(ids, "ids")
        # A rejected key is detected once, not once for each batch.
        rejected: list[AuthenticationError] = []
        batches = stream_batches(
            ids,
            lambda batch: self._fetch_batch(batch, settings, rejected),
            size=self._runner.profile.ids_per_call,
            concurrency=concurrency,
            ordered=ordered,
            read=read_keys,
        )
        async with aclosing(batches):
            async for batch in batches:
                yield batch
                # Released before the next one is fetched: its records then use the same memory,
                # which is still in the processor's cache.
                del batch

    def stream(
        self, ids: Ids, settings: Settings, concurrency: int, *, ordered: bool
    ) -> AsyncGenerator[tuple[str, OrderStatus | PanelError], None]:
        """Yield the status of each id as its batch completes."""
        return RowStream(self.stream_batches(ids, settings, concurrency, ordered=ordered))

    async def close(self) -> None:
        """End all waiting with an error."""
        self._coalescer.close()
        await self._coalescer.wait_closed()

    async def _fetch_batch(
        self, keys: list[Key], settings: Settings, rejected: list[AuthenticationError]
    ) -> Rows:
        """Fetch a batch of unchecked keys; those that are not ids get an error and are not sent."""
        ids, errors = partition(keys)
        if rejected:
            rows: Rows = {order: rejected[0].for_order(order) for order in ids}
        else:
            rows = await self.fetch(ids, settings) if ids else {}
            first = next(iter(rows.values()), None)
            if isinstance(first, AuthenticationError) and not first.is_about_order:
                rejected.append(first)
        if not errors:
            return rows
        texts = (key.text if isinstance(key, InvalidId) else key for key in keys)
        return {text: errors.get(text) or rows[text] for text in texts}

    def _batch_key(self, settings: Settings) -> _BatchKey:
        # Nearly all calls of a client have the same settings: this saves creating a key for each.
        if settings is not self._last_settings:
            self._last_settings = settings
            self._last_key = _BatchKey(settings.retry, settings.keep_raw)
        return self._last_key

    async def _fetch_group(self, ids: list[str], key: _BatchKey, timeout_s: float) -> Rows:
        return await self.fetch(ids, Settings(timeout_s, key.retry, key.keep_raw))

    async def fetch(self, ids: list[str], settings: Settings) -> Rows:
        """Return for each id of a batch its status or its own error.

        There are at most `profile.ids_per_call` ids. Raises only `ClosedError`.
        """
        loop = asyncio.get_running_loop()
        rows = await self._fetch_within(ids, settings, loop.time() + settings.timeout_s)
        if self._runner.instrumentation.hook is not None:
            failed = sum(isinstance(each, PanelError) for each in rows.values())
            self._runner.instrumentation.emit(
                BatchFinished(
                    id_count=len(rows), found_count=len(rows) - failed, failed_count=failed
                )
            )
        return rows

    async def _fetch_within(self, ids: list[str], settings: Settings, deadline_s: float) -> Rows:
        """Fetch ids until a deadline: first those that may share a request, then the others.

        Each request gets an equal share of the time left: one slow piece must not use all of it.
        """
        loop = asyncio.get_running_loop()
        alone = self._failed_ids.asked_alone(ids, loop.time())
        if not alone and len(ids) <= self._size.current:
            return await self._fetch_piece(ids, settings, deadline_s)
        pieces = self._size.split([each for each in ids if each not in alone])
        rows: Rows = {}
        for done, piece in enumerate(pieces):
            now_s = loop.time()
            until_s = now_s + (deadline_s - now_s) / (len(pieces) - done)
            rows |= await self._fetch_piece(piece, settings, until_s)
        once = settings._replace(retry=ONCE)
        for done, order in enumerate(alone):
            now_s = loop.time()
            share_s = (deadline_s - now_s) / (len(alone) - done)
            until_s = now_s + max(min(share_s, ALONE_TIMEOUT_S), MIN_READ_S)
            is_up = any(isinstance(each, OrderStatus) for each in rows.values())
            rows |= await self._fetch_piece([order], once, until_s, is_up=is_up)
            if isinstance(rows[order], OrderNotFoundError):
                # It would still break a batch.
                self._failed_ids.on_failure(order, now_s)
        return {order: rows[order] for order in ids}

    async def _fetch_piece(
        self, ids: list[str], settings: Settings, deadline_s: float, *, is_up: bool = False
    ) -> Rows:
        """Fetch ids in one request, and bisect them if it fails as a whole.

        `is_up` means that the panel is known to answer, so that one id that fails is a bad one.
        """
        left_s = deadline_s - asyncio.get_running_loop().time()
        if left_s >= MIN_SPLIT_S:
            left_s = left_s / 2 if len(ids) > 1 else left_s - PROBE_RESERVE_S
        retry, max_probes = settings.retry, MAX_PROBES
        if len(ids) > 1 and retry.max_attempts > MAX_BATCH_ATTEMPTS:
            max_probes += retry.max_attempts - MAX_BATCH_ATTEMPTS
            retry = _with_batch_attempts(retry)
        error: PanelError
        try:
            return await self._request(ids, Settings(left_s, retry, settings.keep_raw))
        except ClosedError:
            raise
        except AuthenticationError as rejected:
            is_about_order = rejected.is_about_order
            error = rejected if is_about_order else await self._confirm(rejected, deadline_s)
        except PanelError as failure:
            error = failure
        if len(ids) == 1 and error.kind is ErrorKind.NOT_FOUND:
            return {ids[0]: error.for_order(ids[0])}
        if not may_depend_on_ids(error):
            return {order: error.for_order(order) for order in ids}
        batch = FailedBatch(
            ids, self._size, self._runner.rng, self._known_id, is_up=is_up, max_probes=max_probes
        )
        rows = await self._ask_parts(batch, error, settings, deadline_s)
        for order in batch.bad:
            self._failed_ids.on_failure(order, asyncio.get_running_loop().time())
            bad = rows[order]
            # A bad id has no status: it was asked alone, and that failed.
            assert isinstance(bad, PanelError)  # noqa: S101
            bad.is_about_order = True
        return rows

    async def _confirm(self, rejected: AuthenticationError, deadline_s: float) -> PanelError:
        """Return what it means that a whole answer rejects the key, by the answer to `balance`.

        The same error if `balance` is rejected too, or does not exist; marked as about the orders
        if the key works; what happened instead if that cannot be told.
        """
        if "balance" not in self._runner.profile.actions:
            return rejected
        left_s = deadline_s - asyncio.get_running_loop().time()
        timeout_s = max(min(left_s, CONFIRM_TIMEOUT_S), MIN_READ_S)
        try:
            await self._runner.read(
                {"action": "balance"},
                lambda reply: decode_balance(reply, self._runner.profile),
                Settings(timeout_s, ONCE),
            )
        except ClosedError:
            raise
        except AuthenticationError:
            return rejected
        except PanelError as failure:
            return failure
        rejected.is_about_order = True
        return rejected

    async def _ask_parts(
        self, batch: FailedBatch, error: PanelError, settings: Settings, deadline_s: float
    ) -> Rows:
        """Ask what `batch` decides; return for each of its ids a status or an error."""
        loop = asyncio.get_running_loop()
        rest = _error_of_unasked(error, batch.ids)
        rows: Rows = {order: rest.for_order(order) for order in batch.ids}
        retries = 0
        while batch.ask and (left_s := deadline_s - loop.time()) >= MIN_READ_S:
            if not batch.is_up and not self._runner.spend_retry(error):
                break
            asked, started_s = batch.ask, loop.time()
            bounded = Settings(batch.wait_s(left_s), ONCE, settings.keep_raw)
            try:
                found = await self._request(asked, bounded)
            except ClosedError:
                raise
            except PanelError as failure:
                if len(asked) == 1:
                    rows[asked[0]] = failure.for_order(asked[0])
                if len(asked) == 1 and failure.kind is ErrorKind.NOT_FOUND:
                    self._on_part_answered(batch, error, loop.time() - started_s, is_bad=True)
                elif may_depend_on_ids(failure) or isinstance(failure, AuthenticationError):
                    # Another batch may have been answered meanwhile.
                    batch.known_id = self._known_id
                    batch.on_failure()
                elif await self._may_ask_again(failure, settings, retries, deadline_s):
                    retries += 1
                else:
                    break
            else:
                rows |= found
                self._on_part_answered(batch, error, loop.time() - started_s)
        return {order: rows[order] for order in batch.ids}

    def _on_part_answered(
        self, batch: FailedBatch, error: PanelError, took_s: float, *, is_bad: bool = False
    ) -> None:
        was_up = batch.is_up
        batch.on_answer(took_s, is_bad=is_bad)
        if was_up:
            return
        # Otherwise a bad id that is polled alone would use up the budget in the course of days, and
        # then look like an outage.
        self._runner.refund_retry(error)
        if batch.ask:
            self._runner.instrumentation.batch_bisected(error, len(batch.ids))

    async def _may_ask_again(
        self, error: PanelError, settings: Settings, retries: int, deadline_s: float
    ) -> bool:
        """Wait as before a retry; return False if a call would not be retried after this error."""
        delay_s = settings.retry.delay_s(error, retries, self._runner.rng())
        if delay_s is None or asyncio.get_running_loop().time() + delay_s >= deadline_s:
            return False
        if not self._runner.spend_retry(error):
            return False
        await self._runner.clock.sleep(delay_s)
        return True

    async def _request(self, ids: list[str], settings: Settings) -> Rows:
        """Fetch ids in one request, in the form whose answer names them.

        The answer to `order` does not: it is asked only at panels without the form for several.
        """
        profile, keep_raw = self._runner.profile, settings.keep_raw
        if profile.ids_per_call == 1:
            form = encode_ids("status", "order", ids)
            one = await self._runner.read(
                form,
                lambda reply: decode_status(reply, profile, ids[0], keep_raw=keep_raw),
                settings,
            )
            self._size.on_success(1)
            self._failed_ids.on_success(ids)
            self._known_id = ids[0]
            return {ids[0]: one}
        form = encode_ids("status", "orders", ids)
        batch = await self._runner.read(
            form,
            lambda reply: decode_statuses(reply, profile, ids, keep_raw=keep_raw),
            settings,
        )
        if len(ids) > 1:
            self._size.on_success(len(ids))
        if batch.unexpected:
            self._runner.instrumentation.unexpected_ids(batch.unexpected)
        if self._failed_ids:
            self._failed_ids.on_success(_answered(batch.found))
        self._known_id = next(_answered(batch.found), self._known_id)
        return batch.found


@lru_cache(maxsize=16)
def _with_batch_attempts(retry: RetryPolicy) -> RetryPolicy:
    return evolve(retry, max_attempts=MAX_BATCH_ATTEMPTS)


def _map_error(
    order: str, error: TimeoutError | BatchCancelledError, timeout_s: float
) -> PanelError:
    """Return the error of an order without a status."""
    if isinstance(error, TimeoutError):
        return NoResponseError(f"no answer within {timeout_s:g} s", action="status", order=order)
    if not error.was_sent:
        text = "the client was closed before the request was sent"
        return ClosedError(text, action="status", order=order)
    text = "the client was closed before an answer came"
    return NoResponseError(text, action="status", order=order)


def _error_of_unasked(error: PanelError, ids: list[str]) -> PanelError:
    """Return the error of ids that were not asked alone after a batch of them failed.

    "Incorrect order ID" about several ids does not say that none of them exists.
    """
    if len(ids) == 1 or error.kind is not ErrorKind.NOT_FOUND:
        return error
    refused = RefusedError(error.text, http_status=error.http_status, action="status")
    return refused.with_raw(error.raw)


def _answered(rows: Rows) -> Iterator[str]:
    return (order for order, row in rows.items() if isinstance(row, OrderStatus))


async def collect(batches: AsyncGenerator[Rows, None]) -> Rows:
    """Collect batches in one mapping whose keys are the id objects of the results.

    Otherwise key and id would be two equal texts: a sixth of the memory of 100,000 statuses.
    """
    rows: Rows = {}
    async with aclosing(batches):
        async for batch in batches:
            for order, result in batch.items():
                rows[result.order if isinstance(result, OrderStatus) else order] = result
    return rows
