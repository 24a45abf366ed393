"""Decoding alone, without a network: a batch of statuses and a catalogue, in CPU time."""

import json
from collections.abc import Callable
from functools import partial

import orjson
from contestants import (
    SERVICE_MODELS,
    STATUS_MODELS,
    ServiceRow,
    StatusRow,
    plain_cattrs,
)
from measuring import Spread, Work, in_turns, ratio, spread
from panel import REFUSAL_OBJECT, real_status_body, services_body, status_body

from smmfanfast_async import SMMFANFAST
from smmfanfast_async._wire.decode import decode_services, decode_statuses
from smmfanfast_async.results import Response

IDS = [str(order) for order in range(10_001, 10_101)]
IRREGULAR_COUNTS = (1, 2)
"""The number of irregular records in a batch, alternating: 1.5 of 100."""


def repeat(times: int, work: Callable[[], object]) -> Work:
    """Return a function that repeats `work`, so that it takes long enough to be measured."""

    def repeated() -> None:
        for _ in range(times):
            work()

    return repeated


async def decode_batches(rounds: int, times: int) -> dict[str, Spread]:
    """Measure the decoding of a batch of 100 statuses by several libraries."""
    encoded = [order.encode() for order in IDS]
    reply = Response(status=200, body=status_body(encoded))
    irregular = [
        Response(status=200, body=status_body(encoded, count)) for count in IRREGULAR_COUNTS
    ]
    converter = plain_cattrs()
    shares = dict.fromkeys(("ours", "orjson", "json", "cattrs", "pydantic"), times)
    measured = await in_turns(
        {
            "ours": repeat(times, lambda: decode_statuses(reply, SMMFANFAST, IDS)),
            "orjson": repeat(times, lambda: orjson.loads(reply.body)),
            "json": repeat(times, lambda: json.loads(reply.body)),
            "cattrs": repeat(
                times, lambda: converter.structure(orjson.loads(reply.body), dict[str, StatusRow])
            ),
            "pydantic": repeat(times, lambda: STATUS_MODELS.validate_json(reply.body)),
            "ours, malformed": repeat(
                times, lambda: [decode_statuses(each, SMMFANFAST, IDS) for each in irregular]
            ),
            "orjson, malformed": repeat(
                times, lambda: [orjson.loads(each.body) for each in irregular]
            ),
        },
        rounds,
        shares=shares,
    )
    return {
        "batch / orjson": ratio(measured, "ours", "orjson"),
        "batch / json": ratio(measured, "ours", "json"),
        "batch, json / orjson": ratio(measured, "json", "orjson"),
        "batch, malformed / orjson": ratio(measured, "ours, malformed", "orjson, malformed"),
        "batch, cattrs / orjson": ratio(measured, "cattrs", "orjson"),
        "batch, pydantic / orjson": ratio(measured, "pydantic", "orjson"),
        "batch, cattrs / ours": ratio(measured, "cattrs", "ours"),
        "batch, pydantic / ours": ratio(measured, "pydantic", "ours"),
        "batch, µs": spread([each * 1e6 for each in measured["ours"]]),
    }


async def decode_real_batches(rounds: int, times: int) -> dict[str, Spread]:
    """Measure batches as panels answer them: two refused ids, and more that is not regular.

    Each of two consecutive batches has its own number of irregular records: one or two.
    """
    ids = [[str(order) for order in range(start, start + 100)] for start in (10_001, 10_101)]
    kinds: dict[str, Callable[..., bytes]] = {
        "refused": real_status_body,
        "refused, malformed": partial(real_status_body, irregular=15),
        "refused by objects": partial(real_status_body, refusal=REFUSAL_OBJECT),
        "refused, JSON numbers": partial(real_status_body, has_numbers=True),
    }
    work: dict[str, Work] = {}
    for name, build in kinds.items():
        bodies = [build([order.encode() for order in batch]) for batch in ids]
        replies = [Response(status=200, body=body) for body in bodies]

        def ours(replies: list[Response] = replies) -> object:
            pairs = zip(replies, ids, strict=True)
            return [decode_statuses(reply, SMMFANFAST, batch) for reply, batch in pairs]

        def dicts(bodies: list[bytes] = bodies) -> object:
            return [orjson.loads(body) for body in bodies]

        work |= {name: repeat(times, ours), f"{name}, orjson": repeat(times, dicts)}
    measured = await in_turns(work, rounds, shares=dict.fromkeys(work, 2 * times))
    return {f"batch, {name} / orjson": ratio(measured, name, f"{name}, orjson") for name in kinds}


async def decode_catalogue(rows: int, rounds: int) -> dict[str, Spread]:
    """Measure the decoding of a catalogue by several libraries."""
    reply = Response(status=200, body=services_body(rows))
    converter = plain_cattrs()
    measured = await in_turns(
        {
            "ours": lambda: decode_services(reply, SMMFANFAST),
            "orjson": lambda: orjson.loads(reply.body),
            "cattrs": lambda: converter.structure(orjson.loads(reply.body), list[ServiceRow]),
            "pydantic": lambda: SERVICE_MODELS.validate_json(reply.body),
        },
        rounds,
    )
    name = f"catalogue of {rows}"
    return {
        f"{name} / orjson": ratio(measured, "ours", "orjson"),
        f"{name}, cattrs / orjson": ratio(measured, "cattrs", "orjson"),
        f"{name}, pydantic / orjson": ratio(measured, "pydantic", "orjson"),
        f"{name}, cattrs / ours": ratio(measured, "cattrs", "ours"),
        f"{name}, pydantic / ours": ratio(measured, "pydantic", "ours"),
        f"{name}, ms": spread([each * 1e3 for each in measured["ours"]]),
    }
