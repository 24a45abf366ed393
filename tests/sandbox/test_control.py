"""The control API without HTTP: commands are methods of `Sandbox`, readings are bounded."""

import inspect
import json
from decimal import Decimal
from typing import Any

import pytest

from smmfanfast_async.sandbox import Sandbox
from smmfanfast_async.sandbox import reading as reading_module
from smmfanfast_async.sandbox.control import COMMANDS, Control, ControlError
from smmfanfast_async.sandbox.replies import HttpReply
from smmfanfast_async.sandbox.traffic import MASKED

from .samples import form_of


def create(**settings: Any) -> tuple[Sandbox, Control]:
    panel = Sandbox(control=True, speed=0, port=1, clock=lambda: 0.0, **settings)
    server = panel._control
    assert server is not None
    return panel, server._control


def send(panel: Sandbox, action: str, **fields: str) -> None:
    panel._respond({"key": panel.api_key, "action": action, **fields})


def read(control: Control, path: str, **query: str) -> Any:
    name, _, item = path.partition("/")
    return control.read(name, item or None, query)


def test_commands_are_the_methods_of_a_sandbox_with_their_arguments() -> None:
    methods = {
        name: list(inspect.signature(method).parameters)[1:]
        for name, method in inspect.getmembers(Sandbox, inspect.isfunction)
        if not name.startswith("_") and name not in ("start", "close")
    }

    assert {name: sorted(fields) for name, fields in COMMANDS.items()} == {
        name: sorted(fields) for name, fields in methods.items()
    }


COMMAND_EXAMPLES: dict[str, dict[str, Any]] = {
    "add_service": {
        "service": {
            "service": 7, "name": "x", "category": "y", "rate": Decimal("0.5"), "min": 1, "max": 9,
            "type": "default", "desc": None, "dripfeed": True, "refill": False, "cancel": False,
        }
    },
    "advance": {"seconds": 60},
    "change_limits": {"service": 5, "min": 1, "max": 2},
    "change_rate": {"service": "5", "rate": "0.90"},
    "clear_faults": {},
    "fail_at_rate": {"fault": "delay", "rate": Decimal("0.5"), "delay_s": Decimal("0.1")},
    "fail_next": {"fault": "redirect", "times": 2, "action": None, "location": "/x"},
    "finish_all": {},
    "remove_service": {"service": 9},
    "set_available": {"service": 5, "available": False},
    "set_refill_status": {"refill": 1, "status": "completed"},
    "set_speed": {"speed": 60},
    "set_status": {"order": 1, "status": "partial", "remains": 10},
    "top_up": {"amount": Decimal("12.34")},
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_does_what_its_method_does(name: str) -> None:
    (panel, control), (same, _) = create(dialect="api-v2"), create(dialect="api-v2")
    for each in (panel, same):
        send(each, "add", **form_of("default"))
        each.set_status(1, "completed")
        send(each, "refill", order="1")
    arguments = COMMAND_EXAMPLES[name]

    state: Any = control.run(name, arguments)

    plain = {key: value for key, value in arguments.items() if value is not None}
    if name == "add_service":
        fields = {key: value for key, value in plain["service"].items() if value is not None}
        plain = {"service": type(panel.services["5"])(**fields)}
    plain |= {key: Decimal(plain[key]) for key in ("rate", "amount") if key in plain}
    if name == "fail_at_rate":
        plain |= {key: float(plain[key]) for key in ("rate", "delay_s")}
    getattr(same, name)(**plain)
    assert state["revision"] == 4
    for part in ("orders", "services", "unavailable_services", "pending_faults", "refills",
                 "fault_rates", "speed", "balance", "now_s"):  # fmt: skip
        assert getattr(panel, part) == getattr(same, part)


@pytest.mark.parametrize(
    ("name", "arguments", "status", "text"),
    [
        ("nothing", {}, 404, "there is no command 'nothing'"),
        ("start", {}, 404, "there is no command 'start'"),
        ("__init__", {}, 404, "there is no command"),
        ("advance", {}, 400, "advance: missing a required argument: 'seconds'"),
        ("advance", {"seconds": "60"}, 400, "seconds must be a number, not '60'"),
        ("advance", {"seconds": True}, 400, "seconds must be a number, not True"),
        ("advance", {"seconds": -1}, 400, "seconds must be a finite number of at least 0"),
        ("advance", {"seconds": 10**400}, 400, "seconds must be a finite number"),
        ("advance", {"seconds": 1, "more": 2}, 400, "has no argument 'more'; use seconds"),
        ("finish_all", {"more": 2}, 400, "has no argument 'more'; use none"),
        ("set_status", {"order": 1.5, "status": "x"}, 400, "order must be an id, not 1.5"),
        ("set_status", {"order": 99, "status": "completed"}, 404, "'99' is unknown"),
        ("set_status", {"order": 99, "status": 5}, 400, "status must be a text, not 5"),
        ("set_status", {"order": 1, "status": "done"}, 400, "'done' is not a status"),
        ("set_status", {"order": 1, "status": "partial", "remains": "1"}, 400, "whole number"),
        ("change_rate", {"service": 5, "rate": "cheap"}, 400, "rate must be an amount"),
        ("change_rate", {"service": 5, "rate": "9" * 101}, 400, "rate must be an amount"),
        ("change_rate", {"service": 5, "rate": []}, 400, "rate must be an amount, not []"),
        ("change_rate", {"service": 5, "rate": "NaN"}, 400, "rate must be from 0 to"),
        ("change_rate", {"service": 5, "rate": -1}, 400, "rate must be from 0 to"),
        ("change_rate", {"service": "zz", "rate": 1}, 404, "'zz' is unknown"),
        ("change_limits", {"service": 5, "min": 9, "max": 2}, 400, "max must be from min (9)"),
        ("change_limits", {"service": 5, "min": 0, "max": 2}, 400, "'min' must be >= 1: 0"),
        ("set_available", {"service": 5, "available": 1}, 400, "must be true or false, not 1"),
        ("set_available", {"service": True, "available": True}, 400, "service must be an id"),
        ("add_service", {"service": 5}, 400, "service must be an object"),
        ("add_service", {"service": {"service": 5}}, 400, "needs service, name, category and rate"),
        ("add_service", {"service": {"colour": 5}}, 400, "has no argument 'colour'"),
        ("fail_next", {"fault": "nonsense"}, 400, "'nonsense' is not a valid Fault"),
        ("fail_next", {"fault": "empty", "times": 0}, 400, "'times' must be >= 1: 0"),
        ("fail_at_rate", {"fault": "empty", "rate": 2}, 400, "rate must be from 0 to 1"),
        ("top_up", {"amount": "1e31"}, 400, "amount must be a number of at most"),
        ("set_speed", {"speed": -1}, 400, "speed must be a finite number"),
    ],
)
def test_bad_command_is_refused_by_name_and_changes_nothing(
    name: str, arguments: dict[str, Any], status: int, text: str
) -> None:
    panel, control = create()
    send(panel, "add", **form_of("default"))
    with pytest.raises(ControlError) as caught:
        control.run(name, arguments)

    assert (caught.value.http_status, text in caught.value.text) == (status, True)
    assert control.revision == 1


def test_description_names_everything() -> None:
    described: Any = create()[1].describe()

    assert described["version"] == 1
    assert described["commands"]["advance"] == ["seconds"]
    assert "orders" in described["readings"]


@pytest.mark.parametrize(
    ("path", "query", "status", "text"),
    [
        ("secrets", {}, 404, "there is no 'secrets' to read"),
        ("_advance", {}, 404, "there is no '_advance' to read"),
        ("state/1", {}, 404, "there is no 'state' to read"),
        ("orders/99", {}, 404, "'99' is unknown in orders"),
        ("requests/99", {}, 404, "'99' is unknown in requests"),
        ("requests/x", {}, 404, "'x' is unknown in requests"),
        ("orders", {"colour": "red"}, 400, "there is no filter 'colour'; use one of status"),
        ("orders", {"status": "nice"}, 400, "'nice' is not a status"),
        ("orders", {"limit": "0"}, 400, "limit must be a whole number from 1 to 200, not '0'"),
        ("orders", {"limit": "201"}, 400, "limit must be"),
        ("orders", {"offset": "-1"}, 400, "offset must be a whole number from 0"),
        ("orders", {"offset": "9" * 5000}, 400, "offset must be a whole number from 0"),
        ("faults", {"colour": "red"}, 400, "there is no filter"),
    ],
)
def test_bad_reading_is_refused_by_name(
    path: str, query: dict[str, str], status: int, text: str
) -> None:
    with pytest.raises(ControlError) as caught:
        read(create()[1], path, **query)

    assert caught.value.http_status == status
    assert text in caught.value.text


def test_orders_are_read_in_pages_newest_first() -> None:
    panel, control = create()
    for number in range(5):
        send(panel, "add", **form_of("default", link=f"https://x.com/{number}"))
    panel.set_status(2, "completed")

    page = read(control, "orders", offset="1", limit="2")
    assert (page["total"], [row["order"] for row in page["rows"]]) == (5, ["4", "3"])
    assert read(control, "orders", status="final")["rows"][0]["order"] == "2"
    assert read(control, "orders", status="open")["total"] == 4
    assert read(control, "orders", status="completed")["total"] == 1
    assert read(control, "orders", service="9")["total"] == 0
    assert read(control, "orders", link="COM/3")["rows"][0]["link"] == "https://x.com/3"


@pytest.mark.parametrize(
    ("status", "remains", "progress"),
    [("pending", None, 0), ("completed", None, 1), ("partial", 250, 0.75), ("canceled", None, 0)],
)
def test_progress_is_the_delivered_share(
    status: str, remains: int | None, progress: float
) -> None:  # fmt: skip
    panel, control = create()
    send(panel, "add", **form_of("default"))
    panel.set_status(1, status, remains=remains)

    assert read(control, "orders/1")["progress"] == progress


def test_order_has_a_timeline_of_requests_answers_and_states() -> None:
    panel, control = create(dialect="api-v2")
    panel.fail_next("drop_after", action="add")
    send(panel, "add", **form_of("default"))
    send(panel, "add", **form_of("default", link="https://x.com/other"))
    send(panel, "status", order="1")
    panel.advance(60)
    send(panel, "status", orders="1,2")
    panel.set_status(1, "completed")
    send(panel, "refill", order="1")
    send(panel, "refill_status", refill="1")
    send(panel, "status", order="2")

    order = read(control, "orders/1")
    assert [row.get("action") or row.get("status") for row in order["timeline"]] == [
        "add", "pending", "status", "status", "refill", "refill_status", "completed",
    ]  # fmt: skip
    lost, _, _, status, refill, *_ = order["timeline"]
    assert (lost["fault"], lost["http_status"], lost["answer"]) == ("drop_after", None, "")
    assert json.loads(status["answer"])["status"] == "Pending"
    assert json.loads(refill["answer"]) == {"refill": "1"}
    assert order["refills"] == [{"refill": "1", "status": "Pending", "created_s": 60}]
    assert order["fields"]["quantity"] == "1000"


def test_answer_that_is_no_object_is_shown_as_it_is() -> None:
    panel, control = create()
    send(panel, "add", **form_of("default"))
    panel.fail_next("truncated_body")
    send(panel, "status", order="1")
    panel._recorder.add_request(  # type: ignore[union-attr]
        0, {"order": "1"}, None, [], HttpReply(body=b"[1]"), 0
    )

    answers = [row["answer"] for row in read(control, "orders/1")["timeline"] if "answer" in row]
    assert answers[1].startswith("{")
    assert answers[2] == "[1]"


def test_timeline_has_the_last_requests_and_counts_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading_module, "MAX_TIMELINE", 2)
    panel, control = create()
    send(panel, "add", **form_of("default"))
    for _ in range(3):
        send(panel, "status", order="1")

    order = read(control, "orders/1")
    assert [row["number"] for row in order["timeline"] if "number" in row] == [3, 4]
    assert order["earlier_requests"] == 2


def test_requests_are_filtered_and_read_whole() -> None:
    panel, control = create()
    panel.fail_next("empty", action="balance")
    send(panel, "balance")
    send(panel, "add", **form_of("default", link="https://x.com/Find-Me"))
    send(panel, "services")

    def numbers(**query: str) -> list[int]:
        return [row["number"] for row in read(control, "requests", **query)["rows"]]

    assert numbers() == [3, 2, 1]
    assert numbers(action="add") == [2]
    assert numbers(fault="any") == numbers(fault="empty") == [1]
    assert numbers(fault="none") == [3, 2]
    assert numbers(text="find-me") == [2]
    assert numbers(text="invites") == []
    assert numbers(text="telegram") == [3]
    whole = read(control, "requests/3")
    assert len(whole["answer"]) > 20_000 > len(read(control, "requests")["rows"][0]["answer"])
    assert whole["curl"].endswith(panel.url)


def test_services_are_found_by_every_word_and_stay_listed_if_unavailable() -> None:
    panel, control = create()
    panel.set_available(80, available=False)

    found = read(control, "services", text="TELEGRAM drop")
    assert [(row["service"], row["available"]) for row in found["rows"]] == [("80", False)]
    assert read(control, "services", limit="3", offset="1")["rows"][0]["service"] == "9"


def test_faults_show_what_is_left() -> None:
    panel, control = create()
    panel.fail_next("empty", times=2, action="add")
    panel.fail_at_rate("delay", rate=0.25)
    send(panel, "add")

    faults = read(control, "faults")
    assert [(row["fault"], row["times"], row["action"]) for row in faults["rows"]] == [
        ("empty", 1, "add")
    ]
    assert [(row["fault"], row["rate"]) for row in faults["rates"]] == [("delay", 0.25)]
    assert {"fault": "drop_after", "applied": True} in faults["known"]
    assert read(control, "state")["faults"] == {"pending": 1, "rates": 1}


def test_account_has_exact_texts() -> None:
    panel, control = create(balance=Decimal("0.1"), existing_orders=3)
    panel.top_up(Decimal("1e-7") + 5)
    send(panel, "add", **form_of("default"))

    account = read(control, "account")
    assert account["balance"] == "4.0800001"
    assert (account["spent"], account["refunded"]) == ("1.0200", "0.0000")
    assert account["added"] == "5.0000001"
    assert account["steps"][0]["spent"] == "1.0200"


def test_key_is_in_no_reading() -> None:
    panel, control = create(api_key="test-secret-1")
    send(panel, "add", **form_of("default", link="https://x.com/test-secret-1"))
    send(panel, "balance", key="another-secret")

    readings = [read(control, name) for name in ("state", "requests", "orders", "test", "account")]
    shown = json.dumps([*readings, read(control, "orders/1"), read(control, "requests/1")])
    assert "secret" not in shown
    assert MASKED in json.loads(shown)[2]["rows"][0]["link"]


def test_many_open_orders_are_counted_seldom() -> None:
    """One count may take long, so the next one waits ten times as long."""
    panel, control = create()
    reading = control._reading
    clock_s = [0.0]
    counts = reading_module.StateCounts(reading.panel, reading.recorder, lambda: clock_s[0])
    original = reading.panel.ledger.count_states

    def slow(now_s: float) -> Any:
        clock_s[0] += 0.5
        return original(now_s)

    reading.panel.ledger.count_states = slow  # type: ignore[method-assign]
    assert counts.get(0) == {}
    send(panel, "add", **form_of("default"))
    clock_s[0] += 4.9
    assert counts.get(0) == {}
    clock_s[0] += 0.2
    assert counts.get(0) == {"pending": 1}
    assert counts.get(0) == {"pending": 1}
    assert clock_s[0] == pytest.approx(6.1)
