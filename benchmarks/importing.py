"""How long it takes to import the package, and to show the help of its command."""

import asyncio
import sys
import time

from measuring import Spread, spread

COMMANDS = {
    "nothing": ("-c", "pass"),
    "aiohttp": ("-c", "import aiohttp"),
    "ours": ("-c", "import smmfanfast_async"),
    "client": ("-c", "from smmfanfast_async import Client"),
    "help": ("-m", "smmfanfast_async", "--help"),
}


async def wall_s(arguments: tuple[str, ...]) -> float:
    """Time one run of the interpreter."""
    begin_s = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait():
        raise RuntimeError(f"python {' '.join(arguments)} failed")
    return time.perf_counter() - begin_s


async def imports(rounds: int) -> dict[str, Spread]:
    """Compare imports, each less the bare start of the interpreter in the same round."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            taken_s = await wall_s(arguments)
            if number:
                found[name].append(taken_s)
    net = {
        name: [taken - bare for taken, bare in zip(found[name], found["nothing"], strict=True)]
        for name in COMMANDS
    }
    of_aiohttp = {
        name: spread([a / b for a, b in zip(net[name], net["aiohttp"], strict=True)])
        for name in ("ours", "client", "help")
    }
    return {
        "import / aiohttp": of_aiohttp["ours"],
        "import of Client / aiohttp": of_aiohttp["client"],
        "help / aiohttp": of_aiohttp["help"],
        "import, ms": spread([each * 1000 for each in net["ours"]]),
        "import aiohttp, ms": spread([each * 1000 for each in net["aiohttp"]]),
    }
