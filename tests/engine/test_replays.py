"""A panel that repeats an earlier order instead of creating one, for as long as it says."""

from datetime import UTC, datetime

import attrs
import pytest
from support.wire import WireServer, reply

from smmfanfast_async import (
    API_V2,
    AddedOrder,
    Client,
    DefaultOrder,
    ErrorKind,
    OutcomeUnknownError,
    RefusedError,
)
from smmfanfast_async._engine import replays as replays_module
from smmfanfast_async._engine.replays import ANSWER_S, Replays

SENT_AT = datetime(2030, 1, 1, tzinfo=UTC)
FORM = {"action": "add", "service": "5", "link": "x"}
OTHER = {"action": "add", "service": "6", "link": "x"}


def added(order: str) -> AddedOrder:
    return AddedOrder(order=order, raw=f'{{"order":{order}}}')


def test_id_of_an_equal_order_is_a_refusal_as_a_duplicate() -> None:
    replays = Replays(60)
    replays.check(added("7"), FORM, SENT_AT, 0.0)

    with pytest.raises(RefusedError, match="returned order 7 again") as caught:
        replays.check(added("7"), FORM, SENT_AT, 30.0)

    error = caught.value
    assert (error.kind, error.order, error.raw) == (ErrorKind.DUPLICATE, "7", '{"order":7}')
    assert error.safe_to_retry
    assert not error.maybe_placed


def test_id_of_another_order_leaves_the_outcome_unknown() -> None:
    replays = Replays(60)
    replays.check(added("7"), FORM, SENT_AT, 0.0)

    with pytest.raises(OutcomeUnknownError, match="another order created") as caught:
        replays.check(added("7"), OTHER, SENT_AT, 30.0)

    assert (caught.value.order, caught.value.form) == ("7", OTHER)


def test_new_id_is_placed() -> None:
    replays = Replays(60)

    assert [replays.check(added(each), FORM, SENT_AT, 0.0).order for each in "789"] == [*"789"]


def test_nothing_is_checked_without_a_window() -> None:
    replays = Replays(None)

    for _ in range(2):
        assert replays.check(added("7"), FORM, SENT_AT, 0.0) == added("7")


@pytest.mark.parametrize(("now_s", "is_known"), [(60 + ANSWER_S, True), (61 + ANSWER_S, False)])
def test_order_is_forgotten_after_the_window_and_an_answer(now_s: float, is_known: bool) -> None:  # noqa: FBT001
    replays = Replays(60)
    replays.check(added("7"), FORM, SENT_AT, 0.0)
    if is_known:
        with pytest.raises(RefusedError):
            replays.check(added("7"), FORM, SENT_AT, now_s)
    else:
        assert replays.check(added("7"), FORM, SENT_AT, now_s) == added("7")


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays_module, "MAX_ORDERS", 2)
    replays = Replays(60)
    for order in "123":
        replays.check(added(order), FORM, SENT_AT, 0.0)

    with pytest.raises(RefusedError):
        replays.check(added("2"), FORM, SENT_AT, 0.0)
    assert replays.check(added("1"), FORM, SENT_AT, 0.0) == added("1")


@pytest.mark.asyncio
async def test_client_checks_the_orders_of_a_panel_with_a_window() -> None:
    order = DefaultOrder(service=5, link="https://example.com", quantity=10)
    profile = attrs.evolve(API_V2, replay_window_s=60)
    async with (
        WireServer(reply('{"order":7}')) as server,
        Client("test-key", profile=profile, base_url=server.url) as client,
    ):
        assert (await client.add(order)).order == "7"
        with pytest.raises(RefusedError, match="returned order 7 again"):
            await client.add(order)
