"""A user's project, in which a user's tests are run."""

from collections.abc import Callable

import aiosqlite
import pytest

from smmfanfast_async import client, desk, sandbox
from smmfanfast_async.journal import sql

LOADED = (aiosqlite, client, desk, sandbox, sql)
"""Loaded before: what a run inside loads is forgotten after it, and loaded again by the next; parts
of SQLAlchemy can't be loaded twice."""

QUICK = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Without a plugin that loads itself anew in each run inside, for a second each time."""

Run = Callable[..., pytest.RunResult]

HEAD = """\
import asyncio
from decimal import Decimal

import pytest

from smmfanfast_async import DefaultOrder

ORDER = DefaultOrder(service=5, link="https://instagram.com/example", quantity=1000)
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Run a test file; warnings are errors, as are markers that nobody registered."""

    def run_it(
        source: str, *arguments: str, mode: str = "strict", ini: str = ""
    ) -> pytest.RunResult:
        pytester.makeini(
            "[pytest]\n"
            "asyncio_default_fixture_loop_scope = function\n"
            f"asyncio_mode = {mode}\n"
            "addopts = --strict-markers --strict-config\n"
            f"filterwarnings = error\n{ini}\n"
        )
        pytester.makepyfile(HEAD + source)
        return pytester.runpytest_inprocess(*QUICK, *arguments)

    return run_it
