"""Fetch order statuses in batches, and bisect a batch that fails as a whole.

How this works. Everything leads to `fetch`, which returns for each id its status or its own error.
`get` reaches it through the coalescer, which turns many callers with one id each into few batches;
`stream` cuts any number of ids into batches and keeps some in flight. A batch that fails as a
whole, because it is too large, too slow, or has a bad id, is bisected, down to a single id. Each
split is paid from the retry budget like a retry, so that an outage does not double the load;
without retries (`RetryPolicy(max_attempts=1)`) batches are not split either.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Iterable
from contextlib import aclosing, suppress
from typing import Any

from attrs import frozen

from .._wire.decode import decode_status, decode_statuses
from .._wire.encode import encode_ids
from ..errors import (
    AuthenticationError,
    ClosedError,
    ErrorKind,
    InvalidOrderError,
    NoResponseError,
    PanelError,
)
from ..events import BatchFinished
from ..orders import are_plain_ids, check_is_list, parse_id
from ..results import OrderStatus
from .coalescer import BatchCancelledError, Coalescer
from .policy import BatchSize, RetryPolicy
from .runner import MIN_READ_S, Runner, Settings
from .streaming import stream_batches

__all__ = ["Ids", "Statuses", "collect"]

MIN_SPLIT_S = 20.0
"""With at least this many seconds left, a batch gets only half of them, and its halves get the
rest; with less, the batch gets all of the time."""

Ids = Iterable[int | str] | AsyncIterable[int | str]
"""Order ids from any source: a list, a generator, a file, a database cursor."""

Rows = dict[str, OrderStatus | PanelError]


@frozen(cache_hash=True)
class _BatchKey:
    """What callers must have in common to share a batch."""

    retry: RetryPolicy
    keep_raw: bool


@frozen
class _InvalidId:
    """A value in place of an id that is neither text nor a whole number, such as None or 1.5."""

    text: str
    """Its repr: the key of its error in the results."""


_Key = str | _InvalidId


class Statuses:
    """Fetches order statuses for all callers of one account."""

    def __init__(self, runner: Runner, *, concurrency: int) -> None:
        self._runner = runner
        self._size = BatchSize(runner.profile.ids_per_call)
        self._last_settings: Settings | None = None
        self._last_key = _BatchKey(RetryPolicy(), keep_raw=False)
        self._coalescer = Coalescer[str, _BatchKey, OrderStatus](
            self._fetch_group,
            size=runner.profile.ids_per_call,
            concurrency=concurrency,
            map_error=_map_error,
        )

    def get(self, order: str, settings: Settings) -> Coroutine[Any, Any, OrderStatus]:
        """Return the status of one order, fetched together with those of other callers."""
        self._runner.check_action("status")
        key = self._batch_key(settings)
        return self._coalescer.load(order, timeout_s=settings.timeout_s, group=key)

    async def stream(
        self, ids: Ids, settings: Settings, *, concurrency: int, ordered: bool
    ) -> AsyncGenerator[tuple[str, OrderStatus | PanelError], None]:
        """Yield the status of each id as its batch completes."""
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
            read=_to_keys,
        )
        async with aclosing(batches):
            async for batch in batches:
                for row in batch.items():
                    yield row
                # Released before the next one is fetched: its records then use the same memory,
                # which is still in the processor's cache.
                del batch

    async def close(self) -> None:
        """End all waiting with an error."""
        self._coalescer.close()
        await self._coalescer.wait_closed()

    async def _fetch_batch(
        self, keys: list[_Key], settings: Settings, rejected: list[AuthenticationError]
    ) -> Rows:
        """Fetch a batch of unchecked keys; those that are not ids get an error and are not sent."""
        ids, errors = _partition(keys)
        if rejected:
            rows: Rows = {order: rejected[0].for_order(order) for order in ids}
        else:
            rows = await self.fetch(ids, settings) if ids else {}
            first = next(iter(rows.values()), None)
            if isinstance(first, AuthenticationError):
                rejected.append(first)
        if not errors:
            return rows
        texts = (key.text if isinstance(key, _InvalidId) else key for key in keys)
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
        rows, _ = await self._fetch_within(ids, settings, loop.time() + settings.timeout_s)
        if self._runner.instrumentation.hook is not None:
            failed = sum(isinstance(each, PanelError) for each in rows.values())
            self._runner.instrumentation.emit(
                BatchFinished(
                    id_count=len(rows), found_count=len(rows) - failed, failed_count=failed
                )
            )
        return rows

    async def _fetch_within(
        self, ids: list[str], settings: Settings, deadline_s: float
    ) -> tuple[Rows, bool]:
        """Fetch ids until a deadline. Return also whether one request answered all of them."""
        pieces = self._size.split(ids)
        if len(pieces) > 1:
            rows, _ = await self._fetch_pieces(pieces, settings, deadline_s)
            return rows, False
        left_s = deadline_s - asyncio.get_running_loop().time()
        share = 0.5 if len(ids) > 1 and left_s >= MIN_SPLIT_S else 1.0
        bounded = Settings(left_s * share, settings.retry, settings.keep_raw)
        try:
            return await self._request(ids, bounded), True
        except ClosedError:
            raise
        except PanelError as error:
            halves = self._size.bisect(ids, error)
            is_late = deadline_s - asyncio.get_running_loop().time() < MIN_READ_S
            may_bisect = halves and settings.retry.max_attempts > 1 and not is_late
            if not may_bisect or not self._runner.spend_retry(error):
                is_answer = error.kind is ErrorKind.NOT_FOUND
                return {order: error.for_order(order) for order in ids}, is_answer
            self._runner.instrumentation.batch_bisected(error, len(ids))
        rows, are_whole = await self._fetch_pieces(halves, settings, deadline_s)
        if are_whole:
            self._size.on_oversize(len(ids))
        return rows, False

    async def _fetch_pieces(
        self, pieces: list[list[str]], settings: Settings, deadline_s: float
    ) -> tuple[Rows, bool]:
        """Fetch the pieces one after the other. Return also whether each took only one request.

        Each gets an equal share of the time left: one slow piece must not use all of it.
        """
        rows: Rows = {}
        are_whole = True
        for done, piece in enumerate(pieces):
            now_s = asyncio.get_running_loop().time()
            until_s = now_s + (deadline_s - now_s) / (len(pieces) - done)
            piece_rows, is_whole = await self._fetch_within(piece, settings, until_s)
            rows |= piece_rows
            are_whole = are_whole and is_whole
        return rows, are_whole

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
        return batch.found


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


async def collect(rows: AsyncIterable[tuple[str, OrderStatus | PanelError]]) -> Rows:
    """Collect results in a mapping whose keys are the id objects of the results.

    Otherwise key and id would be two equal texts: a sixth of the memory of 100,000 statuses.
    """
    return {
        result.order if isinstance(result, OrderStatus) else order: result
        async for order, result in rows
    }


def _to_keys(ids: list[int | str]) -> list[_Key]:
    """Convert ids to text without checking them: each gets its error in its own batch."""
    kinds = set(map(type, ids))
    if kinds == {str}:
        return ids  # type: ignore[return-value]  # all of them are texts
    if kinds == {int}:
        with suppress(ValueError):
            return list(map(str, ids))
    return list(map(_to_key, ids))


def _to_key(value: int | str) -> _Key:
    if isinstance(value, str):
        return value
    try:
        return str(value) if type(value) is int else _InvalidId(repr(value))
    except ValueError:  # Python does not convert a whole number of more than 4300 digits
        return _InvalidId(object.__repr__(value))


def _partition(keys: list[_Key]) -> tuple[list[str], Rows]:
    """Split keys into ids, and errors of the others."""
    texts = [key for key in keys if isinstance(key, str)]
    if len(texts) == len(keys) and are_plain_ids(texts):
        return texts, {}
    ids: list[str] = []
    errors: Rows = {}
    for key in keys:
        try:
            ids.append(parse_id(None if isinstance(key, _InvalidId) else key))
        except InvalidOrderError as error:
            errors[key.text if isinstance(key, _InvalidId) else key] = error
    return ids, errors
