"""The decorators of `SQLJournal` keep the signatures of the `Journal` protocol."""

import inspect
import pydoc

import pytest

from smmfanfast_async.journal import Journal
from smmfanfast_async.journal.sql import SQLJournal

METHODS = sorted(name for name in vars(Journal) if inspect.isfunction(vars(Journal)[name])
                 and not name.startswith("_"))  # fmt: skip


@pytest.mark.parametrize("name", METHODS)
def test_method_has_the_parameters_of_the_protocol(name: str) -> None:
    expected, actual = (inspect.signature(getattr(cls, name)) for cls in (Journal, SQLJournal))

    assert list(actual.parameters.values()) == list(expected.parameters.values())


def test_help_hides_what_the_decorators_provide() -> None:
    text = pydoc.render_doc(SQLJournal.due_to_send, renderer=pydoc.plaintext)

    assert "due_to_send(self, limit: int)" in text
