"""The calls of a client that only panels of API v2 support: refills and cancellations."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from .._wire.decode import (
    decode_cancel,
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
    unwrap,
)
from .._wire.encode import Form, encode_ids
from ..errors import ClosedError, PanelError
from ..orders import parse_id, parse_ids
from ..profile import Profile
from ..results import CancelResult, RefillResult, RefillStatus, Response
from .runner import BeforeSend, Runner, Settings

__all__ = ["ApiV2Calls"]

T = TypeVar("T")
_Rows = dict[str, T | PanelError]
_DecodeRows = Callable[[Response, Profile, Sequence[str]], _Rows[T]]


class ApiV2Calls:
    """The API v2 part of `Client`, which sets the attributes."""

    profile: Profile
    """The dialect and limits of the panel."""
    _runner: Runner
    _settings: Settings

    async def refill(self, order: int | str) -> RefillResult:
        """Request a refill of one order (API v2). Never retried.

        Raises:
            RefusedError: The panel refused. Retry after fixing the cause.
            NotSentError: Nothing was sent. Retrying is safe.
            NoResponseError, InvalidResponseError: It may have taken effect. Check before retrying.
        """
        self._runner.check_action("refill")
        asked = parse_id(order)
        form = encode_ids("refill", "order", [asked])
        return await self._once(form, lambda reply: decode_refill(reply, self.profile, asked))

    async def refills(self, orders: Iterable[int | str]) -> dict[str, RefillResult | PanelError]:
        """Request refills (API v2); return for each order its refill or error. Never retried.

        If the client is closed meanwhile, the orders of batches that were not sent get its error.

        Raises:
            ClosedError: The client was closed before anything was sent.
        """
        return await self._rows("refill", "orders", orders, decode_refills, self._once)

    async def refill_status(self, refill: int | str) -> RefillStatus:
        """Return the status of one refill (API v2).

        Raises:
            AuthenticationError: The panel rejected the key. Correct it.
            PanelError: No usable answer within `timeout_s`. Retrying is safe.
        """
        asked = parse_id(refill, name="refill")
        # The answer to `refill` does not name the refill, so that it might be that of another call.
        field = "refill" if self.profile.ids_in_call("refill_status") == 1 else "refills"
        rows = await self._read(
            encode_ids("refill_status", field, [asked]),
            lambda reply: decode_refill_statuses(reply, self.profile, [asked]),
        )
        return unwrap(rows[asked])

    async def refill_statuses(
        self, refills: Iterable[int | str]
    ) -> dict[str, RefillStatus | PanelError]:
        """Return for each of some refills its status or its own error (API v2)."""
        return await self._rows(
            "refill_status", "refills", refills, decode_refill_statuses, self._read
        )

    async def cancel(self, orders: Iterable[int | str]) -> dict[str, CancelResult | PanelError]:
        """Cancel orders (API v2); return for each the panel's answer or its error. Never retried.

        If the client is closed meanwhile, the orders of batches that were not sent get its error.

        Raises:
            ClosedError: The client was closed before anything was sent.
        """
        return await self._rows("cancel", "orders", orders, decode_cancels, self._once)

    async def send_request(
        self, action: Literal["refill", "cancel"], order: int | str, *, before: BeforeSend
    ) -> RefillResult | CancelResult:
        """Request a refill or a cancellation of one order, for a journal (API v2). Never retried.

        Results and errors are those of `refill` and `cancel`. `before` is awaited when a request
        slot is free. If it raises, the error is raised here and nothing is sent. It returns the
        time after which the request must not be sent any more, by the clock of the client, which
        includes suspension.
        """
        self._runner.check_action(action)
        asked = parse_id(order)
        is_list = action == "cancel" and action not in self.profile.single_id_actions
        decode = decode_cancels if is_list else _SINGLE_DECODERS[action]
        rows = await self._runner.send_once(
            encode_ids(action, "orders" if is_list else "order", [asked]),
            partial(_decode_batch, decode, self.profile, [asked]),
            self._settings,
            before,
        )
        result: RefillResult | CancelResult = unwrap(rows[asked])
        return result

    async def _read(self, form: Form, decode: Callable[[Response], T]) -> T:
        return await self._runner.read(form, decode, self._settings)

    async def _once(self, form: Form, decode: Callable[[Response], T]) -> T:
        return await self._runner.send_once(form, decode, self._settings)

    async def _rows(
        self,
        action: str,
        field: str,
        ids: Iterable[int | str],
        decode: _DecodeRows[T],
        send: Callable[[Form, Callable[[Response], _Rows[T]]], Coroutine[Any, Any, _Rows[T]]],
    ) -> _Rows[T]:
        """Send an API v2 call for many ids, in batches one after the other."""
        self._runner.check_action(action)
        asked = parse_ids(ids, field[:-1])
        rows: dict[str, T | PanelError] = {}
        size = self.profile.ids_in_call(action)
        if action in self.profile.single_id_actions:
            field, decode = field[:-1], _SINGLE_DECODERS.get(action, decode)
        for start in range(0, len(asked), size):
            batch = asked[start : start + size]
            try:
                form = encode_ids(action, field, batch)
                rows |= await send(form, partial(_decode_batch, decode, self.profile, batch))
            except PanelError as error:
                # With results of earlier batches, which no one could get again, it is not raised.
                if isinstance(error, ClosedError) and not rows:
                    raise
                rows |= {each: error.for_order(each) for each in batch}
        return rows


def _decode_batch(
    decode: _DecodeRows[T], profile: Profile, ids: list[str], reply: Response
) -> _Rows[T]:
    return decode(reply, profile, ids)


def _decode_one_refill(
    reply: Response, profile: Profile, ids: Sequence[str]
) -> _Rows[RefillResult]:
    return {ids[0]: decode_refill(reply, profile, ids[0])}


def _decode_one_cancel(
    reply: Response, profile: Profile, ids: Sequence[str]
) -> _Rows[CancelResult]:
    return {ids[0]: decode_cancel(reply, profile, ids[0])}


_SINGLE_DECODERS: dict[str, _DecodeRows[Any]] = {
    "refill": _decode_one_refill,
    "cancel": _decode_one_cancel,
}
"""How the answer about one id is decoded that is sent in the field for one."""
