"""The panel's document, sentence by sentence: what is sent, and what its samples mean.

Its texts are quoted verbatim. Its eleven tables for `add` have lost their headings; the classes
are in their order.
"""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from support.decoding import SAMPLES, sample

from smmfanfast_async._wire.decode import (
    ServiceRows,
    decode_added,
    decode_balance,
    decode_services,
    decode_status,
    decode_statuses,
)
from smmfanfast_async._wire.encode import encode_call, encode_ids, encode_order
from smmfanfast_async.errors import InvalidOrderError, InvalidResponseError, OrderNotFoundError
from smmfanfast_async.orders import (
    DELAYS_MINUTES,
    ORDER_TYPES,
    CommentLikesOrder,
    CustomCommentsOrder,
    CustomCommentsPackageOrder,
    DefaultOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsMediaLikersOrder,
    MentionsUserFollowersOrder,
    MentionsWithHashtagsOrder,
    Order,
    PackageOrder,
    SubscriptionsOrder,
)
from smmfanfast_async.profile import SMMFANFAST
from smmfanfast_async.results import AddedOrder, Balance, OrderStatus, Service

LINK = "https://example.com/p/1"
LAST_DAY = datetime.now(UTC).date() + timedelta(days=400)


def test_api_url() -> None:
    """Document: "API URL https://smmfanfast.com/api/v1"."""
    assert SMMFANFAST.base_url == "https://smmfanfast.com/api/v1"


def test_actions() -> None:
    """Document: "action add", "action status", "action services", "action balance"."""
    assert SMMFANFAST.actions == {"add", "status", "services", "balance"}


# One entry per table, in document order: the order, and its fields besides action and service.
TABLES: list[tuple[type[Order], dict[str, Any], dict[str, str]]] = [
    (
        DefaultOrder,
        {"link": LINK, "quantity": 100, "runs": 5, "interval": 30},
        {"link": LINK, "quantity": "100", "runs": "5", "interval": "30"},
    ),
    (PackageOrder, {"link": LINK}, {"link": LINK}),
    (
        CustomCommentsOrder,
        {"link": LINK, "comments": ["Great!", "Nice"]},
        {"link": LINK, "comments": "Great!\nNice"},
    ),
    (
        MentionsWithHashtagsOrder,
        {"link": LINK, "quantity": 100, "usernames": ["ann", "bob"], "hashtags": ["sea", "sun"]},
        {"link": LINK, "quantity": "100", "usernames": "ann\nbob", "hashtags": "sea\nsun"},
    ),
    (
        MentionsCustomListOrder,
        {"link": LINK, "usernames": ["ann", "bob"]},
        {"link": LINK, "usernames": "ann\nbob"},
    ),
    (
        MentionsHashtagOrder,
        {"link": LINK, "quantity": 100, "hashtag": "sea"},
        {"link": LINK, "quantity": "100", "hashtag": "sea"},
    ),
    (
        MentionsUserFollowersOrder,
        {"link": LINK, "quantity": 100, "username": "https://example.com/ann"},
        {"link": LINK, "quantity": "100", "username": "https://example.com/ann"},
    ),
    (
        CustomCommentsPackageOrder,
        {"link": LINK, "comments": ["Great!", "Nice"]},
        {"link": LINK, "comments": "Great!\nNice"},
    ),
    (MentionsMediaLikersOrder, {"link": LINK}, {"link": LINK}),
    (
        CommentLikesOrder,
        {"link": LINK, "quantity": 100, "username": "ann"},
        {"link": LINK, "quantity": "100", "username": "ann"},
    ),
    (
        SubscriptionsOrder,
        {"username": "ann", "min": 10, "max": 20, "delay": 5, "expiry": LAST_DAY},
        {
            "username": "ann",
            "min": "10",
            "max": "20",
            "delay": "5",
            "expiry": LAST_DAY.strftime("%d/%m/%Y"),
        },
    ),
]


@pytest.mark.parametrize(("order_class", "fields", "form"), TABLES)
def test_table_of_add(
    order_class: type[Order], fields: dict[str, Any], form: dict[str, str]
) -> None:
    """Document: "action add", "service Service ID", and only the fields of the table."""
    sent = encode_order(order_class(service=5, **fields), SMMFANFAST)

    assert sent == {"action": "add", "service": "5", **form}


def test_document_has_eleven_tables_in_this_order() -> None:
    assert list(ORDER_TYPES.values()) == [order_class for order_class, _, _ in TABLES]


@pytest.mark.parametrize(
    ("order_class", "fields", "name"),
    [
        (order_class, fields, name)
        for order_class, fields, _ in TABLES
        for name in fields
        if name not in {"runs", "interval", "expiry"}
    ],
)
def test_parameter_not_marked_optional_is_required(
    order_class: type[Order], fields: dict[str, Any], name: str
) -> None:
    """Document: "(optional)" is written only at runs, interval and expiry."""
    rest = {each: value for each, value in fields.items() if each != name}

    with pytest.raises(TypeError, match=name):
        order_class(service=5, **rest)


@pytest.mark.parametrize(
    ("order", "name"),
    [
        (DefaultOrder(service=5, link=LINK, quantity=100), "runs"),
        (DefaultOrder(service=5, link=LINK, quantity=100), "interval"),
        (SubscriptionsOrder(service=5, username="ann", min=1, max=2, delay=0), "expiry"),
    ],
)
def test_optional_parameter_is_left_out(order: Order, name: str) -> None:
    """Document: "runs (optional) Runs to deliver", "interval (optional) Interval in minutes",
    "expiry (optional) Expiry date. Format d/m/Y".
    """
    assert name not in encode_order(order, SMMFANFAST)


@pytest.mark.parametrize("order_class", [CustomCommentsOrder, CustomCommentsPackageOrder])
@pytest.mark.parametrize("text", ["Great!\nNice", "Great!\r\nNice", ["Great!", "Nice"]])
def test_comments_list(order_class: type[Any], text: Any) -> None:
    r"""Document: "Comments list separated by \r\n or \n"."""
    sent = encode_order(order_class(service=5, link=LINK, comments=text), SMMFANFAST)

    assert sent["comments"] == "Great!\nNice"


@pytest.mark.parametrize("text", ["ann\nbob", "ann\r\nbob", ["ann", "bob"]])
def test_usernames_list(text: Any) -> None:
    r"""Document: "Usernames list separated by \r\n or \n", in two tables."""
    listed = MentionsCustomListOrder(service=5, link=LINK, usernames=text)
    tagged = MentionsWithHashtagsOrder(
        service=5, link=LINK, quantity=10, usernames=text, hashtags=["sea"]
    )

    assert encode_order(listed, SMMFANFAST)["usernames"] == "ann\nbob"
    assert encode_order(tagged, SMMFANFAST)["usernames"] == "ann\nbob"


@pytest.mark.parametrize("text", ["sea\nsun", "sea\r\nsun", ["sea", "sun"]])
def test_hashtags_list(text: Any) -> None:
    r"""Document: "Hashtags list separated by \r\n or \n"."""
    order = MentionsWithHashtagsOrder(
        service=5, link=LINK, quantity=10, usernames=["ann"], hashtags=text
    )

    assert encode_order(order, SMMFANFAST)["hashtags"] == "sea\nsun"


@pytest.mark.parametrize("delay", [0, 5, 10, 15, 30, 60, 90])
def test_delay(delay: int) -> None:
    """Document: "Delay in minutes. Possible values: 0, 5, 10, 15, 30, 60, 90"."""
    order = SubscriptionsOrder(service=5, username="ann", min=1, max=2, delay=delay)

    assert encode_order(order, SMMFANFAST)["delay"] == str(delay)
    assert delay in DELAYS_MINUTES


@pytest.mark.parametrize("delay", [-5, 1, 45, 91, 120])
def test_other_delay_is_rejected(delay: int) -> None:
    """Document: "Possible values: 0, 5, 10, 15, 30, 60, 90"."""
    with pytest.raises(InvalidOrderError):
        SubscriptionsOrder(service=5, username="ann", min=1, max=2, delay=delay)


def test_expiry_date() -> None:
    """Document: "Expiry date. Format d/m/Y"; days and months of one digit have a leading 0."""
    new_year = date(LAST_DAY.year + 1, 1, 2)
    order = SubscriptionsOrder(service=5, username="ann", min=1, max=2, delay=0, expiry=new_year)

    assert encode_order(order, SMMFANFAST)["expiry"] == f"02/01/{new_year.year}"


def test_status_of_one_order() -> None:
    """Document: "action status", "order معرف الطلب"."""
    assert encode_ids("status", "order", ["32"]) == {"action": "status", "order": "32"}


def test_status_of_many_orders() -> None:
    """Document: "orders معرفات الطلبات مفصولة بفاصلة (بيانات مصفوفة)"."""
    sent = encode_ids("status", "orders", ["12", "2", "13"])

    assert sent == {"action": "status", "orders": "12,2,13"}


@pytest.mark.parametrize("action", ["services", "balance"])
def test_actions_without_fields(action: str) -> None:
    """Document: "key مفتاح API الخاص بك" and the action, nothing more."""
    assert encode_call(action, {}, SMMFANFAST) == {"action": action}


# --- the samples ("مثال على الاستجابة") ----------------------------------------------------------


def test_sample_of_add() -> None:
    """Document: {"status": "success", "order": 32}."""
    found = decode_added(sample("add_document.json"), SMMFANFAST, {}, datetime.now(UTC))

    assert found == AddedOrder(order="32")


def test_sample_of_status() -> None:
    """Document: {"order": "32", "status": "pending", "charge": "0.0360", …}."""
    found = decode_status(sample("status_normal.json"), SMMFANFAST, "32")

    assert found == OrderStatus(
        order="32", raw_status="pending", raw_charge="0.0360", start_count=0, remains=0
    )
    assert str(found.charge) == "0.0360"


def test_sample_of_many_statuses() -> None:
    """Document: "12": {…}, "2": "Incorrect order ID", "13": {…}."""
    ids = ["12", "2", "13"]
    batch = decode_statuses(sample("statuses_batch_with_refused_id.json"), SMMFANFAST, ids)

    assert list(batch.found) == ids
    assert batch.unexpected == 0
    assert batch.found["12"] == OrderStatus(
        order="12", raw_status="processing", raw_charge="1.2600", start_count=0, remains=0
    )
    refused = batch.found["2"]
    assert isinstance(refused, OrderNotFoundError)
    assert (refused.text, refused.order) == ("Incorrect order ID", "2")
    assert batch.found["13"] == OrderStatus(
        order="13", raw_status="pending", raw_charge="0.6300", start_count=0, remains=0
    )


def test_printed_sample_of_services_is_not_json() -> None:
    """Document: "max": "10000" without a comma after it, "type": default without quotes."""
    reply = sample("services_document_invalid.txt")
    assert b'"max": "10000"\n      "type": default\n' in reply.body

    with pytest.raises(InvalidResponseError) as caught:
        decode_services(reply, SMMFANFAST)

    assert '"service": "5"' in caught.value.excerpt


def test_corrected_sample_of_services() -> None:
    """Document: service, name, category, rate, min, max, type, desc, dripfeed."""
    found = decode_services(sample("services_document_evident.json"), SMMFANFAST)

    assert isinstance(found, ServiceRows)
    assert [each.service for each in found.services] == ["5", "9", "10"]
    assert found.unreadable == ()
    assert found.services[0] == Service(
        service="5",
        name="Instagram Followers [15K] ",
        category="Instagram - Followers [Guaranteed/Refill] - Less Drops \u2b50",
        raw_rate="1.02",
        min=500,
        max=10000,
        type="default",
        desc="usernames",
        dripfeed=True,
    )
    assert all(ORDER_TYPES[each.type or ""] is DefaultOrder for each in found.services)


def test_both_samples_of_services_have_the_same_content() -> None:
    """The corrected one differs only by commas and quotes."""
    bare = (SAMPLES / "services_document_invalid.txt").read_text(encoding="utf-8")
    evident = (SAMPLES / "services_document_evident.json").read_text(encoding="utf-8")

    punctuation = str.maketrans("", "", '",')
    assert evident.translate(punctuation) == bare.translate(punctuation)
    assert len(json.loads(evident)) == 3


def test_sample_of_balance() -> None:
    """Document: {"status": "success", "balance": "0.03", "currency": "USD"}."""
    found = decode_balance(sample("balance_document.json"), SMMFANFAST)

    assert found == Balance(balance=Decimal("0.03"), currency="USD")
