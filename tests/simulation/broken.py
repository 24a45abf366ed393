"""Clients with one fault each, to see that the simulation finds it."""

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


class HopingClient(Client):
    """Takes an unknown outcome for a success."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        try:
            return await super().add(order, wait_s=wait_s)
        except OutcomeUnknownError:
            return AddedOrder(order="100")


class DenyingClient(Client):
    """Takes an unknown outcome for nothing sent."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        try:
            return await super().add(order, wait_s=wait_s)
        except OutcomeUnknownError as error:
            raise NotSentError(error.text) from error


class DiscouragedClient(Client):
    """Takes an unknown outcome for a refusal."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        try:
            return await super().add(order, wait_s=wait_s)
        except OutcomeUnknownError as error:
            raise RefusedError(error.text) from error


class CredulousClient(Client):
    """Takes a text for a refusal that panels also send for orders they then place."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        text = Refusal("please try again later", ErrorKind.VALIDATION)
        self.profile = evolve(self.profile, refusals=(*self.profile.refusals, text))
        self._runner.profile = self.profile


class LeavingClient(Client):
    """Closes nothing."""

    async def aclose(self) -> None:
        self._runner.transport.is_closed = True


class PatientClient(Client):
    """Waits longer than it was told to."""

    async def add(self, order: Order, *, wait_s: float | None = None) -> AddedOrder:
        return await super().add(order)


class MixingClient(Client):
    """Asks about another order than the one it was asked about."""

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
    (HopingClient, "is no order for"),
    (DenyingClient, "but the panel has the order"),
    (DiscouragedClient, "but the panel has the order"),
    (CredulousClient, "but the panel has the order"),
    (LeavingClient, "left behind"),
    (PatientClient, "waited"),
    (MixingClient, "answer of another"),
    (PoolingClient, "no connection of its own"),
]
"""Each client and a part of the sentence that its fault is found by."""
