"""Count the requests that bad ids cost: a panel fails every batch that has one of them."""

import math

from measuring import Spread
from panel import KEY, Panel

from smmfanfast_async import Client, PanelError

__all__ = ["measure_poison"]

CASES = ((240, 60), (1000, 100))
"""Number of ids, and how far apart the bad ones are: 4 of 240, 10 of 1,000."""
FIRST_ID = 100_001
BATCH = 100


async def measure_poison(panel: Panel) -> dict[str, Spread]:
    """Compare the requests of `statuses` with the bound, and count the other rows without status.

    The bound is the number of batches, and three times a bisection for each bad id.
    """
    lost = 0
    shares: list[float] = []
    for count, every in CASES:
        ids = range(FIRST_ID, FIRST_ID + count)
        bad = {str(order) for order in ids if order % every == 0}
        await panel.fetch_counts()
        async with Client(KEY, base_url=panel.url(more=f"/bad{every}")) as client:
            rows = await client.statuses(ids)
        requests = (await panel.fetch_counts()).requests
        lost += sum(isinstance(row, PanelError) for order, row in rows.items() if order not in bad)
        shares.append(requests / (count / BATCH + 3 * len(bad) * (math.log2(BATCH) + 1)))
    return {
        "bad ids, other rows lost": Spread(lost, lost, lost, 1),
        "bad ids, requests / bound": Spread(max(shares), min(shares), max(shares), len(shares)),
    }
