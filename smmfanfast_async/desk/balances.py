"""Reading the balance once, when it is the call's turn."""

from .._engine.policy import RetryPolicy
from ..client import Client
from ..results import Balance
from .rate_limit import MAX_WAIT_S, AccountRateLimit

__all__ = ["read_balance"]


async def read_balance(
    client: Client,
    rate_limit: AccountRateLimit,
    *,
    timeout_s: float,
    max_wait_s: float = MAX_WAIT_S,
) -> Balance | None:
    """Return the balance; None if its turn does not come within `max_wait_s` seconds.

    It is one attempt of `timeout_s` seconds. Raises what `Client.balance` does, and `JournalError`.
    """
    once = client.with_options(timeout_s=timeout_s, retry=RetryPolicy(max_attempts=1))
    async with rate_limit.turn(max_wait_s) as turn:
        return None if turn.wait_s else await once.balance()
