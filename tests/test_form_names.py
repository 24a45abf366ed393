"""The panel's names of actions and fields: validated, and replaced when a form is sent."""

import copy
import pickle
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smmfanfast_async import API_V2, SMMFANFAST, DefaultOrder, InvalidOrderError
from smmfanfast_async._wire.encode import encode_call, encode_order
from smmfanfast_async.errors import InvalidSettingsError
from smmfanfast_async.orders.form_names import (
    CALLS,
    MAX_NAME_CHARACTERS,
    FormNames,
    RawForm,
    find_call,
)
from smmfanfast_async.profile import MAX_REPLAY_WINDOW_S

OTHER = attrs.evolve(
    API_V2,
    action_names={"add": "create", "statuses": "multi_status", "refill_status": "refillStatus"},
    field_names={"key": "token", "action": "method", "link": "url", "refill.order": "refill"},
)
NAMES = OTHER.form_names


@pytest.mark.parametrize(("form", "sent"), [
    ({"action": "add", "service": "5", "link": "x"},
     {"method": "create", "service": "5", "url": "x"}),
    ({"action": "status", "order": "1"}, {"method": "status", "order": "1"}),
    ({"action": "status", "orders": "1,2"}, {"method": "multi_status", "orders": "1,2"}),
    ({"action": "refill", "order": "1"}, {"method": "refill", "refill": "1"}),
    ({"action": "refill", "orders": "1"}, {"method": "refill", "orders": "1"}),
    ({"action": "refill_status", "refill": "1"}, {"method": "refillStatus", "refill": "1"}),
    ({"action": "refill_status", "refills": "1"}, {"method": "refillStatus", "refills": "1"}),
    ({"action": "cancel", "orders": "1"}, {"method": "cancel", "orders": "1"}),
    ({"action": "balance"}, {"method": "balance"}),
])  # fmt: skip
def test_form_is_sent_with_the_names_of_the_panel(
    form: dict[str, str], sent: dict[str, str]
) -> None:
    renamed = NAMES.rename(form)

    assert list(renamed.items()) == list(sent.items())


def test_standard_form_is_not_copied() -> None:
    form = {"action": "status", "orders": "1"}

    assert SMMFANFAST.form_names.rename(form) is form


def test_raw_form_keeps_its_names_except_that_of_the_action() -> None:
    raw = RawForm(action="add_link", link="x", order="1")

    assert NAMES.rename(raw) == {"method": "add_link", "link": "x", "order": "1"}


@pytest.mark.parametrize("name", ["url", "url[]", " URL", "token", "Token", "method"])
def test_extra_field_cannot_replace_a_field_of_the_panel(name: str) -> None:
    order = DefaultOrder(service=5, link="https://e.com", quantity=1, extra={name: "stolen"})

    with pytest.raises(InvalidOrderError, match="is the panel's name of another field") as caught:
        encode_order(order, OTHER)
    assert (caught.value.owner, caught.value.field) == ("DefaultOrder", name)
    assert encode_order(order, API_V2)[name] == "stolen"


@pytest.mark.parametrize("action", ["add", "Create", "CREATE", "cre-ate", "A_dd"])
def test_call_cannot_order_under_the_name_of_the_panel(action: str) -> None:
    with pytest.raises(InvalidOrderError, match=r"reserved for Client.add"):
        encode_call(action, {}, OTHER)


@pytest.mark.parametrize("name", ["key", "action", "token", "method", "TOKEN", "token[]"])
def test_call_cannot_set_the_fields_of_the_client(name: str) -> None:
    with pytest.raises(InvalidOrderError, match="is set by the client"):
        encode_call("profile", {name: "x"}, OTHER)


def test_call_is_in_the_words_of_the_panel_also_if_values_are_escaped() -> None:
    form = encode_call("status", {"order": "1+1"}, attrs.evolve(OTHER, double_decodes=True))

    assert NAMES.rename(form) == {"method": "status", "order": "1%2B1"}


def test_call_for_several_ids_is_found_by_its_field() -> None:
    assert find_call({"action": "refill_status", "refills": "1"}) == "refill_statuses"
    assert find_call({"action": "cancel", "orders": "1"}) == "cancel"


# --- validation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "text"), [
    ({"order": "x"}, "'order' is not one of add, status, statuses"),
    ({5: "x"}, "5 is not one of add"),
    ({"add": ""}, "add = ''"),
    ({"add": "a b"}, "add = 'a b' must have 1 to 64 letters"),
    ({"add": "x" * (MAX_NAME_CHARACTERS + 1)}, "must have 1 to 64"),
    ({"add": 5}, "add = 5 must have"),
    ({"status": "add"}, "status = 'add' is also the action of add"),
    ({"status": "A-d_d"}, "is also the action of add"),
    ({"refill_status": "refill"}, "refill_status = 'refill' is also the action of"),
    ({"refills": "cancel"}, "cancel = 'cancel' is also the action of refill"),
    ({"balance": "cancel"}, "cancel = 'cancel' is also the action of a read"),
    ("abc", "'abc' must be a mapping of names"),
    (5, "5 must be a mapping of names"),
])  # fmt: skip
def test_invalid_action_name_is_refused_with_its_value(names: Any, text: str) -> None:
    with pytest.raises(InvalidSettingsError, match="Profile") as caught:
        attrs.evolve(API_V2, action_names=names)
    assert text in str(caught.value)


@pytest.mark.parametrize(("names", "text"), [
    ({"lnik": "url"}, "'lnik' is not a field of a form"),
    ({5: "url"}, "5 is not a field of a form"),
    ({"extra": "x"}, "'extra' is not a field of a form"),
    ({"refil.order": "x"}, "'refil.order' must start with one of add, status"),
    ({"refill.link": "x"}, "'refill.link': refill has no field 'link'"),
    ({"link": "u r l"}, "link = 'u r l' must have 1 to 64"),
    ({"link": "quantity"}, "add: quantity and link have the same name 'quantity'"),
    ({"link": "KEY"}, "have the same name 'KEY'"),
    ({"key": "action"}, "action and key have the same name 'action'"),
    ({"cancel.order": "x", "cancel.orders": "x"}, "cancel: orders and order have the same name"),
])  # fmt: skip
def test_invalid_field_name_is_refused_with_its_value(names: Any, text: str) -> None:
    with pytest.raises(InvalidSettingsError, match=r"Profile.field_names") as caught:
        attrs.evolve(API_V2, field_names=names)
    assert text in str(caught.value)


def test_reads_may_share_an_action() -> None:
    shared = attrs.evolve(API_V2, action_names={"balance": "info", "services": "info"})

    assert shared.form_names.action("balance") == "info"


@pytest.mark.parametrize(("field", "value", "text"), [
    ("request_format", "xml", "'xml' must be one of form, json, get"),
    ("request_format", None, "None must be one of"),
    ("single_id_actions", {"status"}, "for single statuses set ids_per_call to 1"),
    ("single_id_actions", {"add"}, "'add' must be one of cancel, refill, refill_status"),
    ("replay_window_s", 0, "0 must be a number of seconds above 0, at most 3600"),
    ("replay_window_s", MAX_REPLAY_WINDOW_S + 1, "3601.0 must be"),
    ("replay_window_s", True, "True must be"),
    ("replay_window_s", float("nan"), "nan must be"),
    ("replay_window_s", "60", "'60' must be"),
])  # fmt: skip
def test_invalid_form_is_refused_with_its_value(field: str, value: Any, text: str) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(InvalidSettingsError, match=f"Profile.{field}") as caught:
        attrs.evolve(API_V2, **changes)
    assert text in str(caught.value)


@pytest.mark.parametrize("window_s", [0.5, 60, MAX_REPLAY_WINDOW_S])
def test_replay_window_is_a_number_of_seconds(window_s: float) -> None:
    assert attrs.evolve(API_V2, replay_window_s=window_s).replay_window_s == window_s


def test_profile_with_names_can_be_compared_hashed_copied_and_pickled() -> None:
    for each in (copy.copy(OTHER), copy.deepcopy(OTHER), pickle.loads(pickle.dumps(OTHER))):  # noqa: S301
        assert each == OTHER
        assert hash(each) == hash(OTHER)
        assert each.form_names.key == "token"
    assert OTHER != API_V2


def test_ids_in_a_call_are_one_only_for_the_actions_named() -> None:
    single = attrs.evolve(API_V2, single_id_actions={"cancel"})

    assert (single.ids_in_call("cancel"), single.ids_in_call("refill")) == (1, 100)


NAME = st.text("abcxyzABC_-09", min_size=1, max_size=8)


@given(
    action_names=st.dictionaries(st.sampled_from(CALLS), NAME, max_size=5),
    field_names=st.dictionaries(
        st.sampled_from(["key", "action", "link", "quantity", "orders", "refill.order"]), NAME
    ),
)
def test_accepted_names_keep_every_field_and_every_call_apart(
    action_names: Mapping[str, str], field_names: Mapping[str, str]
) -> None:
    try:
        profile = attrs.evolve(API_V2, action_names=action_names, field_names=field_names)
    except InvalidSettingsError:
        return
    names: FormNames = profile.form_names
    order = {"action": "add", "service": "5", "link": "x", "quantity": "10"}

    sent = names.rename(order)

    assert len({name.lower() for name in [*sent, names.key]}) == len(order) + 1
    assert [*sent.values()] == [names.action("add"), "5", "x", "10"]
    assert not {names.action(call) for call in CALLS if call != "add"} & {names.action("add")}
