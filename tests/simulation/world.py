"""What a run takes place in: a loop with virtual time, a network, and clients on it."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from types import SimpleNamespace
from unittest import mock

import aiohttp
from attrs import evolve

from smmfanfast_async import SMMFANFAST, Client
from smmfanfast_async._clock import ElapsedClock
from smmfanfast_async._engine.client_core import ClientCore
from smmfanfast_async._engine.limiter import Clock
from smmfanfast_async._engine.policy import PollPolicy, RateLimiter
from smmfanfast_async._engine.runner import Runner

from .network import PORT, Network
from .process import Process, create_task
from .scenario import Setup
from .sqlite import connect, create_engine
from .virtual_loop import VirtualLoop

__all__ = ["cancel_all", "client_of", "link_of", "virtual_network"]

KEY = "test-simulation"


@contextmanager
def virtual_network() -> Iterator[Network]:
    """Create a loop and a network; all code runs on virtual time, SQLite without a thread."""
    loop = VirtualLoop()
    loop.set_task_factory(create_task)
    # The connector chooses at random among the waiters for a connection, the journal a slot.
    state = random.getstate()
    random.seed(0)
    with ExitStack() as stack:
        for name, replacement in (
            ("aiohttp.connector.monotonic", loop.time),
            ("aiosqlite.connect", connect),
            ("smmfanfast_async.journal.sql.connecting.create_async_engine", create_engine),
            ("smmfanfast_async._clock.SHARED", ElapsedClock(loop.time, loop.time)),
            (
                "smmfanfast_async.journal.sql.database.time",
                SimpleNamespace(monotonic=loop.time, time=loop.time),
            ),
        ):
            stack.enter_context(mock.patch(name, replacement))
        try:
            yield Network(loop)
        finally:
            random.setstate(state)
            loop.run_until_complete(cancel_all(loop))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


async def cancel_all(loop: VirtualLoop) -> None:
    """Cancel every other task, and wait for its end."""
    tasks = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def client_of(
    network: Network,
    process: Process,
    setup: Setup,
    client_class: type[Client] = Client,
    *,
    port: int = PORT,
) -> AsyncIterator[Client]:
    """Yield a client on the network with its clock and random numbers; close its connector.

    The caller closes the client.
    """
    connector = aiohttp.TCPConnector(
        limit=setup.connections, socket_factory=partial(network.socket, process)
    )
    client = client_class(
        KEY,
        base_url=f"http://127.0.0.1:{port}/api/v1",
        connector=connector,
        timeout_s=setup.timeout_s,
        retry=setup.retry,
        profile=evolve(SMMFANFAST, add_concurrency=setup.add_concurrency),
    )
    transport = client._runner.transport
    transport._owns_connector = setup.owns_connector
    calls = Runner(
        transport,
        client.profile,
        rate_limiter=RateLimiter(
            max_concurrency=setup.concurrency, per_minute=setup.calls_per_minute
        ),
        add_concurrency=client.profile.add_concurrency,
        clock=Clock(now_s=network.loop.time),
        rng=random.Random(setup.rng_seed).random,
    )
    core = ClientCore.create(
        calls,
        base_url=client.base_url,
        account=client.account,
        settings=client._settings,
        concurrency=setup.concurrency,
        poll=PollPolicy(),
        services_ttl_s=300.0,
    )
    client._attach(core, core.settings, core.concurrency)
    try:
        yield client
    finally:
        if not setup.owns_connector:
            await connector.close()


def link_of(name: str) -> str:
    """Return the link that is ordered for, of each call or ref another one."""
    return f"https://example.com/{name}"
