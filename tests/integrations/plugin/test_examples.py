"""The examples in docstrings and in the README are passing tests."""

import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from smmfanfast_async.integrations import pytest_plugin

Run = Callable[..., pytest.RunResult]

SOURCE = inspect.getsource(pytest_plugin)
EXAMPLES = re.findall(r"^( {8}@pytest.*?)^ {4}\S", SOURCE, re.DOTALL | re.MULTILINE)
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)

BOT = """
from types import SimpleNamespace
from smmfanfast_async import Client, OutcomeUnknownError

async def buy(url, api_key):
    async with Client(api_key, base_url=url) as client:
        with pytest.raises(OutcomeUnknownError):
            await client.add(ORDER)

my_bot = SimpleNamespace(buy=buy)
"""


@pytest.mark.parametrize("index", range(3))
def test_docstring_example_passes(run: Run, index: int) -> None:
    result = run(BOT + textwrap.dedent(EXAMPLES[index]), "--strict-markers")

    result.assert_outcomes(passed=1)


def test_each_fixture_has_an_example() -> None:
    assert len(EXAMPLES) == 3


def test_readme_examples_pass(run: Run) -> None:
    examples = [block for block in BLOCKS if "(smm_" in block]
    result = run("\n".join(["def test_of_this(): ...", *examples]))

    result.assert_outcomes(passed=1 + "".join(examples).count("def test_"))
