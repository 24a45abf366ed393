"""How a sandbox reads requests under the names of another panel."""

from types import SimpleNamespace
from typing import Any

import pytest

from smmfanfast_async.sandbox import Sandbox
from smmfanfast_async.sandbox.form_names import FormNames
from smmfanfast_async.sandbox.replays import MAX_ORDERS, Replays


def profile_of(**fields: Any) -> Any:
    standard = {
        "actions": frozenset({"add", "refill"}), "request_format": "form", "action_names": (),
        "field_names": (), "single_id_actions": frozenset(), "replay_window_s": None,
    }  # fmt: skip
    return SimpleNamespace(**standard | fields)


NAMES = FormNames(profile_of(
    action_names=(("add", "create"), ("statuses", "multi")),
    field_names=(
        ("action", "method"), ("add.link", "url"), ("key", "token"), ("quantity", "amount"),
        ("refill.order", "refill"),
    ),
    single_id_actions=frozenset({"cancel"}),
))  # fmt: skip


@pytest.mark.parametrize(("sent", "read"), [
    ({"token": "k", "method": "create", "url": "x", "amount": "5", "more": "y"},
     {"key": "k", "action": "add", "link": "x", "quantity": "5", "more": "y"}),
    # The document's names mean nothing to this panel.
    ({"key": "k", "action": "create", "url": "x"}, {}),
    ({"method": "create", "link": "x", "quantity": "5", "key": "k", "action": "a"},
     {"action": "add"}),
    ({"method": "add", "url": "x"}, {"action": "unknown"}),
    ({"method": "status", "order": "1", "orders": "1,2"}, {"action": "status", "order": "1"}),
    ({"method": "multi", "order": "1", "orders": "1,2"}, {"action": "status", "orders": "1,2"}),
    ({"method": "refill", "refill": "1", "order": "2"}, {"action": "refill", "order": "1"}),
    ({"method": "cancel", "order": "1", "orders": "1,2"}, {"action": "cancel", "order": "1"}),
    ({"method": "balance", "more": "y"}, {"action": "balance"}),
])  # fmt: skip
def test_fields_are_read_only_under_the_names_of_the_panel(
    sent: dict[str, str], read: dict[str, str]
) -> None:
    assert NAMES.to_standard(sent) == read


def test_dialect_of_a_profile_is_that_of_its_actions() -> None:
    with_refills = Sandbox(profile=profile_of())
    without = Sandbox(profile=profile_of(actions=frozenset({"add"})))
    given = Sandbox(profile=profile_of(), dialect="standard")

    assert [len(each.services) for each in (with_refills, without, given)] == [77, 65, 65]


def test_unknown_format_is_rejected() -> None:
    with pytest.raises(ValueError, match="request_format must be one of form, json, get, not 'x'"):
        Sandbox(profile=profile_of(request_format="x"))


def test_replay_ends_with_its_window_and_the_oldest_are_forgotten() -> None:
    replays, form = Replays(60), {"link": "x"}
    replays.add(form, "7", 0.0)

    assert replays.find(form, 59.9) == "7"
    assert replays.find({"link": "y"}, 0.0) is None
    assert replays.find(form, 60.0) is None
    replays.add(form, "8", 60.0)
    assert replays.find(form, 60.0) == "8"
    for number in range(MAX_ORDERS):
        replays.add({"link": str(number)}, "9", 61.0)
    assert replays.find(form, 61.0) is None


def test_nothing_is_repeated_without_a_window() -> None:
    replays = Replays(None)
    replays.add({}, "7", 0.0)

    assert replays.find({}, 0.0) is None
