"""How orders stand: everybody's ids in batches, and a batch that fails in halves.

How this works. All roads lead to `ask`, which gives each of some ids its status or its own error.
`one` reaches it through the coalescer, where many callers with an id each become few batches;
`stream` cuts any number of ids into batches and keeps some under way. A batch that fails whole,
because it is too large, too slow, or one id spoils it, is asked again in halves, down to one id.
Each time is paid from the retry quota, as a repeat is, so that an outage does not double the load;
who wants no repeats (`RetryPolicy(attempts=1)`) gets no halves either.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Coroutine, Iterable
from contextlib import aclosing, suppress
from functools import lru_cache
from typing import Any

from .._wire.decode import decode_status, decode_statuses
from .._wire.encode import ids_form
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
"""Seconds from which on a batch gets only half of the time that is left, so that its halves have
the other one; with less, all of it goes to the batch as it is."""

Ids = Iterable[int | str] | AsyncIterable[int | str]
"""Order ids from anywhere: a list, a generator, a file, a database cursor."""

Rows = dict[str, OrderStatus | PanelError]


class _How:
    """What callers must have in common to share a batch: repeats, and whether raw texts are kept.

    Equal where it is the same object, so that a lane is found without a look into it.
    """

    __slots__ = ("keep_raw", "retry")

    def __init__(self, retry: RetryPolicy, keep_raw: bool) -> None:  # noqa: FBT001
        self.retry = retry
        self.keep_raw = keep_raw


# Who asks in a way that nobody has asked for long has a lane of its own, and loses nothing.
_shared = lru_cache(maxsize=64)(_How)


class Statuses:
    """Asks how orders stand, for all callers of one account."""

    def __init__(self, runner: Runner, *, concurrency: int) -> None:
        self._calls = runner
        self._size = BatchSize(runner.profile.ids_per_call)
        self._last_settings: Settings | None = None
        self._last_how = _shared(RetryPolicy(), False)  # noqa: FBT003
        self._coalescer = Coalescer[str, _How, OrderStatus](
            self._coalesced,
            size=runner.profile.ids_per_call,
            concurrency=concurrency,
            map_error=_unanswered,
        )

    def get(self, order: str, settings: Settings) -> Coroutine[Any, Any, OrderStatus]:
        """Give the status of one order, asked for together with those that others ask for."""
        self._calls.check_action("status")
        how = self._how(settings)
        return self._coalescer.load(order, timeout_s=settings.timeout_s, group=how)

    async def stream(
        self, ids: Ids, settings: Settings, *, concurrency: int, ordered: bool
    ) -> AsyncGenerator[tuple[str, OrderStatus | PanelError], None]:
        """Give the status of each of any number of ids as its batch lands."""
        self._calls.check_action("status")
        check_is_list(ids, "ids")
        # A wrong key is found out once, not once a batch.
        refused: list[AuthenticationError] = []
        batches = stream_batches(
            ids,
            lambda batch: self._batch(batch, settings, refused),
            size=self._calls.profile.ids_per_call,
            concurrency=concurrency,
            ordered=ordered,
            read=_as_texts,
        )
        async with aclosing(batches):
            async for batch in batches:
                for row in batch.items():
                    yield row
                # Let go before the next one is asked for: its records then take the same memory,
                # which the processor has at hand.
                del batch

    async def close(self) -> None:
        """Tell everybody who waits for a status that there will be none."""
        self._coalescer.close()
        await self._coalescer.wait_closed()

    async def _batch(
        self, texts: list[str], settings: Settings, refused: list[AuthenticationError]
    ) -> Rows:
        """Ask about a batch of texts; those that are no ids have their error at once."""
        ids, found = (texts, {}) if are_plain_ids(texts) else _parted(texts)
        if refused:
            rows: Rows = {order: refused[0].for_order(order) for order in ids}
        else:
            rows = await self.fetch(ids, settings) if ids else {}
            first = next(iter(rows.values()), None)
            if isinstance(first, AuthenticationError):
                refused.append(first)
        return {text: found.get(text) or rows[text] for text in texts} if found else rows

    def _how(self, settings: Settings) -> _How:
        if settings is not self._last_settings:
            self._last_settings = settings
            self._last_how = _shared(settings.retry, settings.keep_raw)
        return self._last_how

    async def _coalesced(self, ids: list[str], how: _How, timeout_s: float) -> Rows:
        return await self.fetch(ids, Settings(timeout_s, how.retry, how.keep_raw))

    async def fetch(self, ids: list[str], settings: Settings) -> Rows:
        """Give each of some ids, no more than a batch holds, its status or its own error.

        Raises only `ClosedError`.
        """
        loop = asyncio.get_running_loop()
        rows, _ = await self._ask(ids, settings, loop.time() + settings.timeout_s)
        if self._calls.instrumentation.hook is not None:
            failed = sum(isinstance(each, PanelError) for each in rows.values())
            found = len(rows) - failed
            self._calls.instrumentation.emit(
                BatchFinished(id_count=len(rows), found=found, failed=failed)
            )
        return rows

    async def _ask(
        self, ids: list[str], settings: Settings, deadline_s: float
    ) -> tuple[Rows, bool]:
        """Ask about ids; say too whether one request answered them all."""
        pieces = self._size.split(ids)
        if len(pieces) > 1:
            rows, _ = await self._in_pieces(pieces, settings, deadline_s)
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
            may_halve = halves and settings.retry.max_attempts > 1 and not is_late
            if not may_halve or not self._calls.spend_retry(error):
                is_answer = error.kind is ErrorKind.NOT_FOUND
                return {order: error.for_order(order) for order in ids}, is_answer
            self._calls.instrumentation.batch_bisected(error, len(ids))
        rows, are_whole = await self._in_pieces(halves, settings, deadline_s)
        if are_whole:
            self._size.on_oversize(len(ids))
        return rows, False

    async def _in_pieces(
        self, pieces: list[list[str]], settings: Settings, deadline_s: float
    ) -> tuple[Rows, bool]:
        """Ask about each piece, one after the other; say whether one request each was enough.

        Each has an equal part of the time that is left: one slow piece must not take all of it.
        """
        rows: Rows = {}
        are_whole = True
        for done, piece in enumerate(pieces):
            now_s = asyncio.get_running_loop().time()
            until_s = now_s + (deadline_s - now_s) / (len(pieces) - done)
            found, is_whole = await self._ask(piece, settings, until_s)
            rows |= found
            are_whole = are_whole and is_whole
        return rows, are_whole

    async def _request(self, ids: list[str], settings: Settings) -> Rows:
        """Ask about ids in one request: by the field `order` for one, `orders` for many."""
        profile, keep_raw = self._calls.profile, settings.keep_raw
        if len(ids) == 1:
            form = ids_form("status", "order", ids)
            one = await self._calls.read(
                form,
                lambda reply: decode_status(reply, profile, ids[0], keep_raw=keep_raw),
                settings,
            )
            return {ids[0]: one}
        form = ids_form("status", "orders", ids)
        batch = await self._calls.read(
            form,
            lambda reply: decode_statuses(reply, profile, ids, keep_raw=keep_raw),
            settings,
        )
        self._size.on_success(len(ids))
        if batch.unexpected:
            self._calls.instrumentation.unexpected_ids(batch.unexpected)
        return batch.found


def _unanswered(order: str, error: TimeoutError | BatchCancelledError, timeout_s: float) -> PanelError:
    """Say why an order has no status."""
    if isinstance(error, TimeoutError):
        return NoResponseError(f"no answer within {timeout_s:g} s", action="status", order=order)
    if not error.was_sent:
        text = "the client was closed before it was asked"
        return ClosedError(text, action="status", order=order)
    text = "the client was closed before an answer came"
    return NoResponseError(text, action="status", order=order)


async def collect(rows: AsyncIterable[tuple[str, OrderStatus | PanelError]]) -> Rows:
    """Put rows into one mapping, under the ids that stand in them.

    Key and id are two equal texts otherwise; of 100,000 statuses kept they are a sixth.
    """
    return {
        result.order if isinstance(result, OrderStatus) else order: result
        async for order, result in rows
    }


def _as_texts(ids: list[int | str]) -> list[str]:
    """Give ids as texts, unchecked: what is no id is told so one by one, in its batch."""
    kinds = set(map(type, ids))
    if kinds == {str}:
        return ids  # type: ignore[return-value]  # texts, all of them
    if kinds == {int}:
        with suppress(ValueError):
            return list(map(str, ids))
    return list(map(_as_text, ids))


def _parted(texts: list[str]) -> tuple[list[str], Rows]:
    """Part texts into ids, and errors of those that are none."""
    ids: list[str] = []
    found: Rows = {}
    for text in texts:
        try:
            ids.append(parse_id(None if isinstance(text, _InvalidId) else text))
        except InvalidOrderError as error:
            found[text] = error
    return ids, found


class _InvalidId(str):
    """What stands in the place of an id that is neither text nor int, such as None or 1.5."""

    __slots__ = ()


def _as_text(value: int | str) -> str:
    if isinstance(value, str):
        return value
    try:
        return str(value) if type(value) is int else _InvalidId(repr(value))
    except ValueError:  # Python does not write a whole number of more than 4300 digits
        return _InvalidId(object.__repr__(value))
