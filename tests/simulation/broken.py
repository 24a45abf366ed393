"""Clients with one fault each, to check that the simulation finds it."""

from typing import Any

from attrs import evolve

from smmfanfast_async import (
    AddedOrder,
    Client,
    ErrorKind,
    NotSentError,
    OutcomeUnknownError,
    Refusal,
    RefusedError,
)
from smmfanfast_async.orders import Order

__all__ = ["BROKEN"]


class RepeatingClient(Client):
    """Sends an order again after an unknown outcome."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        try:
            return await super().add(order, wait_s=wait_s)
        except OutcomeUnknownError:
            return await super().add(order, wait_s=wait_s)


class OptimisticClient(Client):
    """Reports an unknown outcome as a success."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        try:
            return await super().add(order, wait_s=wait_s)
        except OutcomeUnknownError:
            return AddedOrder(order="100")


class NotSentClient(Client):
    """Reports an unknown outcome as not sent."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        try:
            return await super().add(order, wait_s=wait_s)
        except OutcomeUnknownError as error:
            raise NotSentError(error.text) from error


class RefusingClient(Client):
    """Reports an unknown outcome as a refusal."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        try:
            return await super().add(order, wait_s=wait_s)
        except OutcomeUnknownError as error:
            raise RefusedError(error.text) from error


class CredulousClient(Client):
    """Treats texts as refusals that panels also send for orders they then place."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        texts = (
            Refusal("please try again later", ErrorKind.VALIDATION),
            Refusal("Not enough funds on balance: the order waits for a payment", ErrorKind.FUNDS),
        )
        self.profile = evolve(self.profile, refusals=(*self.profile.refusals, *texts))
        self._runner.profile = self.profile


class LeakingClient(Client):
    """Closes nothing."""

    async def aclose(self) -> None:
        self._runner.transport.is_closed = True


class PatientClient(Client):
    """Waits longer than `wait_s`."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        return await super().add(order)


class MixingClient(Client):
    """Requests the status of another order than the caller's."""

    async def status(self, order: int | str) -> Any:
        return await super().status(100)


class PoolingClient(Client):
    """Sends orders on connections that were used before, and keeps those connections."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        post = self._runner.transport.post

        async def pooled(form: Any, limits: Any, *, new_connection: bool = False) -> Any:
            return await post(form, limits)

        self._runner.transport.post = pooled  # type: ignore[method-assign]


BROKEN = [
    (RepeatingClient, "ordered 2 times"),
    (OptimisticClient, "is not an order for"),
    (NotSentClient, "but the panel has the order"),
    (RefusingClient, "but the panel has the order"),
    (CredulousClient, "but the panel has the order"),
    (LeakingClient, "left behind"),
    (PatientClient, "waited"),
    (MixingClient, "answer of another"),
    (PoolingClient, "no connection of its own"),
]
"""Each client and a part of the sentence that reports its fault."""
