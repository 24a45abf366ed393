"""A user's project in which the user's tests are run."""

from collections.abc import Callable

import aiosqlite
import pytest

from smmfanfast_async import client, desk, sandbox
from smmfanfast_async.journal import sql

LOADED = (aiosqlite, client, desk, sandbox, sql)
"""Imported in advance: modules imported by an inner run are forgotten after it and imported again
by the next, and parts of SQLAlchemy cannot be imported twice."""

FAST_OPTIONS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Without the plugins that are reloaded in each inner run, which takes a second each time."""

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
    """Run a test file; warnings and unregistered markers are errors."""

    def run_file(
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
        return pytester.runpytest_inprocess(*FAST_OPTIONS, *arguments)

    return run_file
