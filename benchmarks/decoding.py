"""Decoding alone, without a wire: a batch of statuses, a catalogue; CPU time."""

import json
from collections.abc import Callable

import orjson
from contestants import (
    SERVICE_MODELS,
    STATUS_MODELS,
    ServiceRow,
    StatusRow,
    plain_cattrs,
)
from measuring import Spread, Work, in_turns, ratio, spread
from panel import services_body, status_body

from smmfanfast_async import SMMFANFAST
from smmfanfast_async._wire.decode import decode_services, decode_statuses
from smmfanfast_async.results import Response

IDS = [str(order) for order in range(10_001, 10_101)]
ODD = (1, 2)
"""Odd records in a batch, in turn: 1.5 of 100."""


def again(times: int, work: Callable[[], object]) -> Work:
    """Do a short piece of work so often that the clock can tell it."""

    def repeated() -> None:
        for _ in range(times):
            work()

    return repeated


async def decode_batches(rounds: int, times: int) -> dict[str, Spread]:
    """Compare the ways to read a batch of 100."""
    encoded = [order.encode() for order in IDS]
    reply = Response(status=200, body=status_body(encoded))
    odd = [Response(status=200, body=status_body(encoded, count)) for count in ODD]
    converter = plain_cattrs()
    shares = dict.fromkeys(("ours", "orjson", "json", "cattrs", "pydantic"), times)
    found = await in_turns(
        {
            "ours": again(times, lambda: decode_statuses(reply, SMMFANFAST, IDS)),
            "orjson": again(times, lambda: orjson.loads(reply.body)),
            "json": again(times, lambda: json.loads(reply.body)),
            "cattrs": again(
                times, lambda: converter.structure(orjson.loads(reply.body), dict[str, StatusRow])
            ),
            "pydantic": again(times, lambda: STATUS_MODELS.validate_json(reply.body)),
            "ours, odd": again(
                times, lambda: [decode_statuses(each, SMMFANFAST, IDS) for each in odd]
            ),
            "orjson, odd": again(times, lambda: [orjson.loads(each.body) for each in odd]),
        },
        rounds,
        shares=shares,
    )
    return {
        "batch / orjson": ratio(found, "ours", "orjson"),
        "batch / json": ratio(found, "ours", "json"),
        "batch, json / orjson": ratio(found, "json", "orjson"),
        "batch, odd / orjson": ratio(found, "ours, odd", "orjson, odd"),
        "batch, cattrs / orjson": ratio(found, "cattrs", "orjson"),
        "batch, pydantic / orjson": ratio(found, "pydantic", "orjson"),
        "batch, cattrs / ours": ratio(found, "cattrs", "ours"),
        "batch, pydantic / ours": ratio(found, "pydantic", "ours"),
        "batch, µs": spread([each * 1e6 for each in found["ours"]]),
    }


async def decode_catalogue(rows: int, rounds: int) -> dict[str, Spread]:
    """Compare the ways to read a catalogue."""
    reply = Response(status=200, body=services_body(rows))
    converter = plain_cattrs()
    found = await in_turns(
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
        f"{name} / orjson": ratio(found, "ours", "orjson"),
        f"{name}, cattrs / orjson": ratio(found, "cattrs", "orjson"),
        f"{name}, pydantic / orjson": ratio(found, "pydantic", "orjson"),
        f"{name}, cattrs / ours": ratio(found, "cattrs", "ours"),
        f"{name}, pydantic / ours": ratio(found, "pydantic", "ours"),
        f"{name}, ms": spread([each * 1e3 for each in found["ours"]]),
    }
