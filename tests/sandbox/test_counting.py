"""Requests counted by action."""

from smmfanfast_async.sandbox.counting import MAX_ACTION_NAMES, RequestCounter


def test_unknown_names_are_counted_as_long_as_they_are_plain_and_few() -> None:
    counter = RequestCounter({"add"})
    for action in ("add", "", "test-key", "ADD", "x", "x", "y" * 33):
        counter.add(action)

    assert counter.counts == {"add": 1, "": 1, "other": 3, "x": 2}

    for number in range(MAX_ACTION_NAMES):
        counter.add("z" * (number % 30 + 1) + "a" * (number // 30))

    assert len(counter.counts) <= MAX_ACTION_NAMES + 1
