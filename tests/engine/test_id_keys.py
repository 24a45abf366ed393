"""Ids as callers pass them become texts, and each one that is not an id gets its own error."""

from typing import Any

import pytest

from smmfanfast_async._engine.id_keys import partition, read_keys
from smmfanfast_async.orders import MAX_ID_CHARACTERS

LONGEST = 10**MAX_ID_CHARACTERS - 1


@pytest.mark.parametrize(
    ("ids", "valid", "errors"),
    [
        ([1, 2, 3], ["1", "2", "3"], []),
        (["1", "2"], ["1", "2"], []),
        (["ord_01H", "2"], ["ord_01H", "2"], []),
        ([1, "2"], ["1", "2"], []),
        ([LONGEST, 1], [str(LONGEST), "1"], []),
        ([LONGEST + 1, 1], ["1"], [str(LONGEST + 1)]),
        ([0, 1], ["1"], ["0"]),
        ([1, -5], ["1"], ["-5"]),
        (["0", "1"], ["1"], ["0"]),
        (["1,2", "3"], ["3"], ["1,2"]),
        (["", "3"], ["3"], [""]),
        ([True, 3], ["3"], ["True"]),
        ([1.5, "x y", 3], ["3"], ["1.5", "x y"]),
        ([None], [], ["None"]),
    ],
)
def test_each_value_is_an_id_or_an_error(
    ids: list[Any], valid: list[str], errors: list[str]
) -> None:
    found, invalid = partition(read_keys(ids))

    assert list(found) == valid
    assert list(invalid) == errors


def test_number_that_python_does_not_convert_is_an_error() -> None:
    found, invalid = partition(read_keys([10**5000, 7]))

    assert found == ["7"]
    assert len(invalid) == 1
