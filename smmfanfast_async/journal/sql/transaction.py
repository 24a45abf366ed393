"""Decorators that run a method of a journal in a transaction of its own.

A decorated method receives what its transaction provides (the connection, the time) before the
arguments of its caller. It may run more than once (`Database.run`), with the same time.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database, PoolShare
from .transitions import Transitions

__all__ = [
    "admitting_transaction",
    "deciding_transaction",
    "eventful_transaction",
    "timed_transaction",
    "transaction",
]


class AccountJournal(Protocol):
    """What the decorators need of a journal."""

    _database: Database
    _account: str

    async def now(self) -> datetime:
        """Return the time of the clock that all users of the journal share."""
        ...


J = TypeVar("J", bound=AccountJournal)
P = ParamSpec("P")
T = TypeVar("T")
_Result: TypeAlias = Coroutine[Any, Any, T]
_Method: TypeAlias = Callable[Concatenate[J, P], _Result[T]]
_Work: TypeAlias = Callable[Concatenate[J, AsyncConnection, P], _Result[T]]
_TimedWork: TypeAlias = Callable[Concatenate[J, AsyncConnection, datetime, P], _Result[T]]
_EventfulWork: TypeAlias = Callable[
    Concatenate[J, Transitions, AsyncConnection, datetime, P], _Result[T]
]


def transaction(*, reads: bool = False) -> Callable[[_Work[J, P, T]], _Method[J, P, T]]:
    """Run a method with a connection; with `reads`, it writes nothing."""

    def decorate(method: _Work[J, P, T]) -> _Method[J, P, T]:
        @functools.wraps(method)
        async def call(self: J, /, *args: P.args, **kwargs: P.kwargs) -> T:
            return await self._database.run(
                lambda connection: method(self, connection, *args, **kwargs),
                PoolShare.READ if reads else PoolShare.WRITE,
            )

        return _hide_parameters(call, 1)

    return decorate


def timed_transaction(method: _TimedWork[J, P, T]) -> _Method[J, P, T]:
    """Run a method that writes with a connection and the time, which is read before the first try.

    Reading it may take a connection of its own, so it does not happen inside the transaction.
    """
    return _timed(method, PoolShare.WRITE)


def admitting_transaction(method: _TimedWork[J, P, T]) -> _Method[J, P, T]:
    """Run a method as `timed_transaction` does, one that may wait for a caller's transaction."""
    return _timed(method, PoolShare.ADMIT)


def _timed(method: _TimedWork[J, P, T], share: PoolShare) -> _Method[J, P, T]:
    @functools.wraps(method)
    async def call(self: J, /, *args: P.args, **kwargs: P.kwargs) -> T:
        now = await self.now()
        return await self._database.run(
            lambda connection: method(self, connection, now, *args, **kwargs), share
        )

    return _hide_parameters(call, 2)


def eventful_transaction(method: _EventfulWork[J, P, T]) -> _Method[J, P, T]:
    """Run a method that records an event for each of its changes, with transitions of its own.

    If the answer to its commit was lost, everything is done already and a second try would find
    nothing to do. The recorded events show that, and the first try's result is returned.
    """
    return _eventful(method, PoolShare.WRITE)


def deciding_transaction(method: _EventfulWork[J, P, T]) -> _Method[J, P, T]:
    """Run a method as `eventful_transaction` does, one that may wait for a caller's transaction."""
    return _eventful(method, PoolShare.ADMIT)


def _eventful(method: _EventfulWork[J, P, T], share: PoolShare) -> _Method[J, P, T]:
    @functools.wraps(method)
    async def call(self: J, /, *args: P.args, **kwargs: P.kwargs) -> T:
        now = await self.now()
        transitions = Transitions(self._account, is_sqlite=self._database.is_sqlite)
        results: list[T] = []

        async def work(connection: AsyncConnection) -> T:
            if not await transitions.already_committed(connection):
                results.append(await method(self, transitions, connection, now, *args, **kwargs))
            return results[-1]

        return await self._database.run(work, share)

    return _hide_parameters(call, 3)


def _hide_parameters(method: _Method[J, P, T], count: int) -> _Method[J, P, T]:
    """Remove the parameters that a decorator provides from what `help` and `inspect` show."""
    signature = inspect.signature(method)
    self, *parameters = signature.parameters.values()
    vars(method)["__signature__"] = signature.replace(parameters=[self, *parameters[count:]])
    return method
