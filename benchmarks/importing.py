"""Measure importing the package and showing the help of its command, in CPU time."""

import asyncio
import os
import resource
import sys

from measuring import Spread, spread

COMMANDS = {
    "nothing": ("-c", "pass"),
    "aiohttp": ("-c", "import aiohttp"),
    "ours": ("-c", "import smmfanfast_async"),
    "client": ("-c", "from smmfanfast_async import Client, DefaultOrder"),
    "help": ("-m", "smmfanfast_async", "--help"),
}
ENVIRONMENT = {name: os.environ[name] for name in os.environ if name != "PYTHONDONTWRITEBYTECODE"}
"""Bytecode is written in the first round, and read in all others."""


def children_s() -> float:
    """Return the CPU time of all children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


async def measure_run_s(arguments: tuple[str, ...]) -> float:
    """Return the CPU time of one run of the interpreter: other processes hardly change it."""
    start_s = children_s()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.DEVNULL, env=ENVIRONMENT
    )
    if await process.wait():
        raise RuntimeError(
            f"python {' '.join(arguments)} failed with exit status {process.returncode}"
        )
    return children_s() - start_s


async def measure_imports(rounds: int) -> dict[str, Spread]:
    """Compare imports, each minus the bare start of the interpreter in the same round."""
    totals: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            elapsed_s = await measure_run_s(arguments)
            if number:
                totals[name].append(elapsed_s)
    net = {
        name: [total - bare for total, bare in zip(totals[name], totals["nothing"], strict=True)]
        for name in COMMANDS
    }
    relative = {
        name: spread([a / b for a, b in zip(net[name], net["aiohttp"], strict=True)])
        for name in ("ours", "client", "help")
    }
    return {
        "import / aiohttp": relative["ours"],
        "import of Client, DefaultOrder / aiohttp": relative["client"],
        "help / aiohttp": relative["help"],
        "import, ms": spread([each * 1000 for each in net["ours"]]),
        "import aiohttp, ms": spread([each * 1000 for each in net["aiohttp"]]),
    }
