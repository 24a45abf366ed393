"""The forms of orders: which fields each has, what they take in, and what they refuse."""

import copy
import pickle
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import assume, given
from hypothesis import strategies as st

from smmfanfast_async.errors import InvalidOrderError
from smmfanfast_async.orders import (
    API_V2_ORDER_TYPES,
    DELAYS_MINUTES,
    MAX_ID_CHARACTERS,
    MAX_WHOLE_NUMBER,
    ORDER_TYPES,
    CommentLikesOrder,
    CommentRepliesOrder,
    CustomCommentsOrder,
    CustomCommentsPackageOrder,
    DefaultOrder,
    InvitesFromGroupsOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsMediaLikersOrder,
    MentionsOrder,
    MentionsUserFollowersOrder,
    MentionsWithHashtagsOrder,
    Order,
    PackageOrder,
    PollOrder,
    SeoOrder,
    SubscriptionsOrder,
    WebTrafficOrder,
    are_plain_ids,
    parse_id,
)
from smmfanfast_async.orders import (
    fields as order_fields,
)

LINK = "https://example.com/p"
LAST_DAY = date(2999, 12, 31)

# The eleven tables of the document, in its order: the panel's word, the class, the fields without
# "(optional)", those with it, and those that copies of the panel read beside them.
STANDARD: list[tuple[str, type[Order], str, str, str]] = [
    ("default", DefaultOrder, "service link quantity", "runs interval", ""),
    ("package", PackageOrder, "service link", "", "quantity"),
    ("custom_comments", CustomCommentsOrder, "service link comments", "", "quantity"),
    ("mentions_with_hashtags", MentionsWithHashtagsOrder,
        "service link quantity usernames hashtags", "", ""),
    ("mentions_custom_list", MentionsCustomListOrder, "service link usernames", "", "quantity"),
    ("mentions_hashtag", MentionsHashtagOrder, "service link quantity hashtag", "", ""),
    ("mentions_user_followers", MentionsUserFollowersOrder,
        "service link quantity username", "", ""),
    ("custom_comments_package", CustomCommentsPackageOrder,
        "service link comments", "", "quantity"),
    ("mentions_media_likers", MentionsMediaLikersOrder, "service link", "", "quantity media"),
    ("comment_likes", CommentLikesOrder, "service link quantity username", "", ""),
    ("subscriptions", SubscriptionsOrder,
        "service username min max delay", "expiry", "posts old_posts link quantity"),
]  # fmt: skip

# What API v2 panels document beyond them (seen).
FAMILY: list[tuple[str, type[Order], str, str, str]] = [
    ("mentions", MentionsOrder, "service link quantity usernames", "", ""),
    ("seo", SeoOrder, "service link quantity keywords", "", ""),
    ("comment_replies", CommentRepliesOrder, "service link username comments", "", "quantity"),
    ("poll", PollOrder, "service link quantity answer_number", "", ""),
    ("invites_from_groups", InvitesFromGroupsOrder, "service link quantity groups", "", ""),
    ("web_traffic", WebTrafficOrder, "service link quantity country device type_of_traffic",
        "google_keyword referring_url runs interval", ""),
]  # fmt: skip
TABLES = [*STANDARD, *FAMILY]
CLASSES = [row[1] for row in TABLES]

EXAMPLE: dict[str, Any] = {
    "service": 5,
    "link": LINK,
    "quantity": 100,
    "runs": 3,
    "interval": 60,
    "comments": ["well done", "great"],
    "usernames": ["ann", "bob"],
    "hashtags": ["sun", "sea"],
    "hashtag": "sun",
    "username": "ann",
    "media": "https://example.com/m",
    "min": 10,
    "max": 20,
    "delay": 30,
    "expiry": LAST_DAY,
    "posts": 4,
    "old_posts": 5,
    "keywords": ["buy shoes", "red shoes"],
    "answer_number": 2,
    "groups": ["https://example.com/g1", "https://example.com/g2"],
    "country": "US",
    "device": 1,
    "type_of_traffic": 3,
    "google_keyword": "shoes",
    "referring_url": "https://example.com/from",
}
TEXT_FIELDS = (
    "link", "hashtag", "username", "media", "country", "google_keyword", "referring_url",
)  # fmt: skip
LIST_FIELDS = ("comments", "usernames", "hashtags", "keywords", "groups")
WHOLE_FIELDS = (
    "quantity", "runs", "interval", "min", "max", "delay", "posts", "old_posts", "answer_number",
)  # fmt: skip

LINE_ENDS = {
    "CR": "\r",
    "LF": "\n",
    "NUL": "\0",
    "VT": "\x0b",
    "FF": "\x0c",
    "FS": "\x1c",
    "GS": "\x1d",
    "RS": "\x1e",
    "U+0085": "\x85",
    "U+2028": "\u2028",
    "U+2029": "\u2029",
}


def names(cls: type[Order]) -> list[str]:
    """Give the form fields of a class."""
    return [each.name for each in attrs.fields(cls) if each.metadata.get("form", True)]


def build(cls: type[Order], **changed: object) -> Order:
    """Build an order with every field that its class has, some of them changed."""
    return cls(**{name: EXAMPLE[name] for name in names(cls)} | changed)


def least(cls: type[Order], **changed: object) -> Order:
    """Build an order with what its table does not call optional, and what is given."""
    required = next(row[2] for row in TABLES if row[1] is cls)
    return cls(**{name: EXAMPLE[name] for name in required.split()} | changed)


def having(*fields: str) -> list[tuple[type[Order], str]]:
    """Give each class with each of the fields that it has."""
    return [(cls, name) for cls in CLASSES for name in fields if name in names(cls)]


DEMANDED = [(row[1], name) for row in TABLES for name in row[2].split()]
FREE = [(row[1], name) for row in TABLES for name in (row[3] + " " + row[4]).split()]


def refusal(make: Callable[[], object]) -> InvalidOrderError:
    with pytest.raises(InvalidOrderError) as raised:
        make()
    return raised.value


# --- the tables of the document ------------------------------------------------------------------


@pytest.mark.parametrize(("word", "cls", "required", "optional", "seen"), TABLES)
def test_a_class_has_the_fields_of_its_table_by_their_form_names(
    word: str, cls: type[Order], required: str, optional: str, seen: str
) -> None:
    demanded = [each.name for each in attrs.fields(cls) if each.default is attrs.NOTHING]

    assert cls.panel_type == word
    assert demanded == required.split()
    assert set(names(cls)) == {*required.split(), *optional.split(), *seen.split()}


def test_order_types_are_those_of_the_document_in_its_order() -> None:
    assert list(ORDER_TYPES.items()) == [(row[0], row[1]) for row in STANDARD]
    assert len(ORDER_TYPES) == 11
    assert repr(ORDER_TYPES) == f"ORDER_TYPES({', '.join(row[0] for row in STANDARD)})"


def test_the_wider_family_has_six_more() -> None:
    assert list(API_V2_ORDER_TYPES.items()) == [(row[0], row[1]) for row in TABLES]
    assert len(API_V2_ORDER_TYPES) == 17
    assert repr(API_V2_ORDER_TYPES).startswith("API_V2_ORDER_TYPES(default, ")


@pytest.mark.parametrize("spelled", [
    str, str.upper, str.title,
    lambda word: word.replace("_", " "),
    lambda word: word.replace("_", "-").title(),
    lambda word: word.replace("_", ""),
    lambda word: f" {word}\t",
])  # fmt: skip
@pytest.mark.parametrize("row", TABLES, ids=lambda row: row[0])
def test_a_type_is_found_in_any_spelling(
    row: tuple[str, type[Order], str, str, str], spelled: Callable[[str], str]
) -> None:
    assert API_V2_ORDER_TYPES[spelled(row[0])] is row[1]
    assert spelled(row[0]) in API_V2_ORDER_TYPES
    assert (spelled(row[0]) in ORDER_TYPES) is (row in STANDARD)


@pytest.mark.parametrize(
    "word", ["", " ", "poll", "defaults", "custom.comments", None, 5, b"default"]
)
def test_other_words_are_no_type(word: Any) -> None:
    with pytest.raises(KeyError) as raised:
        ORDER_TYPES[word]

    assert raised.value.args == (word,)
    assert word not in ORDER_TYPES
    assert ORDER_TYPES.get(word) is None


# --- orders are values ---------------------------------------------------------------------------

COPIES: dict[str, Callable[[Order], Order]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "evolve": attrs.evolve,
    "pickle": lambda order: pickle.loads(pickle.dumps(order)),  # noqa: S301  # our own
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("make", [build, least])
@pytest.mark.parametrize("cls", CLASSES)
def test_a_copy_is_equal_and_hashes_alike(
    cls: type[Order], make: Callable[..., Order], way: str
) -> None:
    order = make(cls, extra={"note": "x"})

    twin = COPIES[way](order)

    assert twin == order
    assert hash(twin) == hash(order)
    assert repr(twin) == repr(order)


@pytest.mark.parametrize(("cls", "name"), having(*EXAMPLE))
def test_no_field_can_be_set(cls: type[Order], name: str) -> None:
    order = build(cls)

    with pytest.raises(FrozenInstanceError):
        setattr(order, name, EXAMPLE[name])


@pytest.mark.parametrize(("cls", "name"), having(*EXAMPLE))
def test_a_field_is_given_by_name_alone(cls: type[Order], name: str) -> None:
    fields = {each: EXAMPLE[each] for each in names(cls) if each != name}

    with pytest.raises(TypeError, match="positional"):
        cls(EXAMPLE[name], **fields)


def test_orders_of_another_type_or_content_are_unequal() -> None:
    comments = {"service": 5, "link": LINK, "comments": "a\nb"}

    assert CustomCommentsOrder(**comments) != CustomCommentsPackageOrder(**comments)
    assert least(PackageOrder) != least(PackageOrder, quantity=1)
    assert least(PackageOrder) != least(PackageOrder, extra={"a": "b"})


@pytest.mark.parametrize(("cls", "name"), DEMANDED)
def test_a_demanded_field_left_out_is_named(cls: type[Order], name: str) -> None:
    fields = {each: EXAMPLE[each] for each in names(cls) if each != name}

    with pytest.raises(TypeError, match=f"'{name}'"):
        cls(**fields)


@pytest.mark.parametrize(("cls", "name"), DEMANDED)
def test_none_is_refused_where_the_document_demands_a_field(cls: type[Order], name: str) -> None:
    error = refusal(lambda: build(cls, **{name: None}))

    assert (error.owner, error.field, error.value) == (cls.__name__, name, "None")


@pytest.mark.parametrize(("cls", "name"), FREE)
def test_none_leaves_out_what_it_does_not_demand(cls: type[Order], name: str) -> None:
    order = least(cls, **{name: None})

    assert getattr(order, name) is None
    assert order == least(cls)


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "shown", "reason"), [
    (b"x", "b'x'", "is not a text"),
    (5, "5", "is not a text"),
    (["x"], "['x']", "is not a text"),
    ("", "''", "is missing"),
    (" \t\r\n ", "''", "is missing"),
    ("a\ud800", r"'a\ud800'", "holds half a surrogate pair, which no UTF-8 has"),
    *((f"a{sign}b", repr(f"a{sign}b"), "holds a line end or NUL") for sign in LINE_ENDS.values()),
])  # fmt: skip
@pytest.mark.parametrize(("cls", "name"), having(*TEXT_FIELDS))
def test_what_is_no_text_of_one_line_is_refused(
    cls: type[Order], name: str, value: object, shown: str, reason: str
) -> None:
    error = refusal(lambda: build(cls, **{name: value}))

    assert (error.owner, error.field, error.value) == (cls.__name__, name, shown)
    assert error.reason == reason


@pytest.mark.parametrize(("cls", "name"), having(*TEXT_FIELDS))
def test_blanks_around_a_text_are_left_out(cls: type[Order], name: str) -> None:
    assert getattr(build(cls, **{name: f" {LINK}?a=1&b=%20+ \r\n"}), name) == f"{LINK}?a=1&b=%20+"


# --- whole numbers -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, False, 1.0, "10", b"1", [10]])
@pytest.mark.parametrize(("cls", "name"), having(*WHOLE_FIELDS))
def test_what_is_no_int_is_no_quantity(cls: type[Order], name: str, value: object) -> None:
    error = refusal(lambda: build(cls, **{name: value}))

    assert str(error) == f"{cls.__name__}.{name}: {value!r} is not a whole number"


def test_the_most_is_a_number_that_no_panel_sells() -> None:
    assert MAX_WHOLE_NUMBER == 10**12


@pytest.mark.parametrize(("cls", "name"), having(*WHOLE_FIELDS))
def test_a_whole_number_has_a_least_and_a_most(cls: type[Order], name: str) -> None:
    bottom = 0 if name == "delay" else 1
    reason = f"is not from {bottom} to {MAX_WHOLE_NUMBER}"

    for value in (bottom - 1, -100, MAX_WHOLE_NUMBER + 1):
        error = refusal(lambda value=value: build(cls, **{name: value}))

        assert str(error) == f"{cls.__name__}.{name}: {value} {reason}"
    assert refusal(lambda: build(cls, **{name: 10**5000})).reason == reason


@pytest.mark.parametrize(("cls", "name"), having("quantity", "runs", "interval", "posts"))
@pytest.mark.parametrize("value", [1, MAX_WHOLE_NUMBER])
def test_both_ends_are_taken(cls: type[Order], name: str, value: int) -> None:
    assert getattr(build(cls, **{name: value}), name) == value


# --- lists ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [
    ["a", "b"],
    ("a", "b"),
    (each for each in "ab"),
    dict.fromkeys("ab"),
    "a\nb",
    "a\r\nb",
    "\r\n a \n\n \t b\n",
    [" a ", "", "  ", "b\n"],
], ids=lambda value: repr(value).split(" at 0x")[0])  # fmt: skip
def test_a_list_comes_from_any_iterable_or_one_text_of_lines(value: Iterable[str]) -> None:
    """The document: "Comments list separated by \\r\\n or \\n"."""
    assert least(CustomCommentsOrder, comments=value).comments == ("a", "b")


@pytest.mark.parametrize(("cls", "name"), having(*LIST_FIELDS))
@pytest.mark.parametrize("kind", [list, tuple, set, frozenset, iter])
def test_each_list_field_takes_each_kind(
    cls: type[Order], name: str, kind: Callable[[list[str]], Iterable[str]]
) -> None:
    assert sorted(getattr(build(cls, **{name: kind(["a", "b"])}), name)) == ["a", "b"]


@pytest.mark.parametrize("value", [[], (), set(), "", "\n \r\n", ["", " "]])
@pytest.mark.parametrize(("cls", "name"), having(*LIST_FIELDS))
def test_a_list_without_items_is_refused(cls: type[Order], name: str, value: object) -> None:
    error = refusal(lambda: build(cls, **{name: value}))

    assert str(error) == f"{cls.__name__}.{name}: () is empty"


@pytest.mark.parametrize("value", [None, 5, 1.5, object])
@pytest.mark.parametrize(("cls", "name"), having(*LIST_FIELDS))
def test_what_holds_no_items_is_no_list(cls: type[Order], name: str, value: object) -> None:
    error = refusal(lambda: build(cls, **{name: value}))

    assert (error.owner, error.field, error.value) == (cls.__name__, name, repr(value))
    assert error.reason == "is neither a text nor a list of texts"


@pytest.mark.parametrize(("items", "shown"), [
    (["a", 5], "5"), ([None], "None"), ([["a"]], "['a']"), (b"a", "97"), ([True, "a"], "True"),
])  # fmt: skip
@pytest.mark.parametrize(("cls", "name"), having(*LIST_FIELDS))
def test_an_item_that_is_no_text_is_refused(
    cls: type[Order], name: str, items: object, shown: str
) -> None:
    error = refusal(lambda: build(cls, **{name: items}))

    assert str(error) == f"{cls.__name__}.{name}: {shown} is not a text"


@pytest.mark.parametrize("sign", LINE_ENDS.values(), ids=LINE_ENDS)
@pytest.mark.parametrize(("cls", "name"), having(*LIST_FIELDS))
def test_a_separator_inside_an_item_is_refused(cls: type[Order], name: str, sign: str) -> None:
    item = f"a{sign}b"

    error = refusal(lambda: build(cls, **{name: ["fine", item]}))

    assert str(error) == f"{cls.__name__}.{name}: {item!r} holds a line end or NUL"


@pytest.mark.parametrize("sign", LINE_ENDS.values(), ids=LINE_ENDS)
def test_one_text_is_parted_at_cr_lf_and_lf_alone(sign: str) -> None:
    if sign == "\n":
        assert least(CustomCommentsOrder, comments="a\nb").comments == ("a", "b")
    else:
        assert refusal(lambda: least(CustomCommentsOrder, comments=f"a{sign}b")).field == "comments"


def test_half_a_surrogate_pair_in_an_item_is_refused() -> None:
    error = refusal(lambda: least(CustomCommentsOrder, comments=["a\udfff"]))

    assert error.reason == "holds half a surrogate pair, which no UTF-8 has"


ANY_TEXT = st.text(st.characters(categories=["L", "M", "N", "P", "S", "Z", "C"]))


@given(st.lists(ANY_TEXT))
def test_items_never_gain_or_lose_a_separator(items: list[str]) -> None:
    try:
        order = least(CustomCommentsOrder, comments=items)
    except InvalidOrderError as error:
        assert error.field == "comments"  # noqa: PT017  # which of the two comes is free
        return

    assert list(order.comments) == [item for each in items if (item := each.strip(" \t\r\n"))]
    assert all(len(item.splitlines()) == 1 for item in order.comments)


@given(st.lists(ANY_TEXT), st.sampled_from(["\n", "\r\n"]))
def test_a_list_and_its_lines_give_the_same_order(items: list[str], separator: str) -> None:
    assume(not any("\n" in item for item in items))

    try:
        order = least(CustomCommentsOrder, comments=items)
    except InvalidOrderError:
        with pytest.raises(InvalidOrderError):
            least(CustomCommentsOrder, comments=separator.join(items))
    else:
        assert least(CustomCommentsOrder, comments=separator.join(items)) == order


# --- drip-feed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("lone", "missing"), [("runs", "interval"), ("interval", "runs")])
@pytest.mark.parametrize("cls", [DefaultOrder, WebTrafficOrder])
def test_runs_and_interval_come_both_or_neither(cls: type[Order], lone: str, missing: str) -> None:
    error = refusal(lambda: least(cls, **{lone: 7}))

    assert str(error) == f"{cls.__name__}.{lone}: 7 needs {missing} beside it"


@pytest.mark.parametrize("cls", [DefaultOrder, WebTrafficOrder])
def test_with_both_an_order_is_a_drip_feed(cls: type[Order]) -> None:
    order = least(cls, runs=7, interval=30)

    assert (order.runs, order.interval) == (7, 30)


# --- web traffic ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "most"), [("device", 5), ("type_of_traffic", 3)])
def test_devices_and_types_of_traffic_are_numbers_of_a_list(name: str, most: int) -> None:
    for fine in (1, most):
        order = build(WebTrafficOrder, **{name: fine})
        assert getattr(order, name) == fine
    for wrong in (0, most + 1):
        error = refusal(lambda wrong=wrong: build(WebTrafficOrder, **{name: wrong}))
        assert str(error) == f"WebTrafficOrder.{name}: {wrong} is not from 1 to {most}"
    assert refusal(lambda: build(WebTrafficOrder, **{name: "1"})).field == name


@pytest.mark.parametrize(("traffic", "needed"), [(1, "google_keyword"), (2, "referring_url")])
def test_a_type_of_traffic_needs_what_it_comes_by(traffic: int, needed: str) -> None:
    error = refusal(lambda: least(WebTrafficOrder, type_of_traffic=traffic))
    order = least(WebTrafficOrder, type_of_traffic=traffic, **{needed: EXAMPLE[needed]})

    assert str(error) == f"WebTrafficOrder.type_of_traffic: {traffic} needs {needed} beside it"
    assert getattr(order, needed) == EXAMPLE[needed]


def test_the_first_answer_of_a_poll_is_1() -> None:
    assert least(PollOrder, answer_number=1).answer_number == 1
    assert refusal(lambda: least(PollOrder, answer_number=0)).field == "answer_number"


# --- subscriptions -------------------------------------------------------------------------------


def test_min_may_equal_max_and_not_pass_it() -> None:
    error = refusal(lambda: least(SubscriptionsOrder, min=21, max=20))

    assert str(error) == "SubscriptionsOrder.min: 21 is above max, 20"
    assert least(SubscriptionsOrder, min=20, max=20).min == 20


@pytest.mark.parametrize("delay", [0, 5, 10, 15, 30, 60, 90])
def test_the_documents_possible_delays_are_taken(delay: int) -> None:
    """The document: "Delay in minutes. Possible values: 0, 5, 10, 15, 30, 60, 90"."""
    assert least(SubscriptionsOrder, delay=delay).delay == delay


@pytest.mark.parametrize("delay", [1, 4, 6, 20, 89, 91, 120])
def test_other_delays_are_refused(delay: int) -> None:
    error = refusal(lambda: least(SubscriptionsOrder, delay=delay))

    assert str(error) == (
        f"SubscriptionsOrder.delay: {delay} is none of [0, 5, 10, 15, 30, 60, 90]"
    )


@pytest.mark.parametrize("legal", [None, {7}, [0, 7]])
def test_another_panel_may_have_other_delays(legal: Any) -> None:
    order = least(SubscriptionsOrder, delay=7, allowed_delays_minutes=legal)

    assert order.delay == 7
    assert order == least(SubscriptionsOrder, delay=7, allowed_delays_minutes=None)
    assert hash(order) == hash(least(SubscriptionsOrder, delay=7, allowed_delays_minutes=None))
    assert "allowed_delays_minutes" not in repr(order)


def test_delays_are_the_documents_by_default() -> None:
    assert least(SubscriptionsOrder).allowed_delays_minutes == DELAYS_MINUTES


class LateInLosAngeles(datetime):
    """A clock that stands at an hour when it is tomorrow in UTC already."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime(2026, 3, 2, 5, 0, tzinfo=UTC).astimezone(tz)


@pytest.mark.parametrize(("expiry", "is_taken"), [
    (date(2026, 3, 1), False),
    (date(2026, 3, 2), True),
    (date(2026, 3, 3), True),
    (date.min, False),
    (date.max, True),
])  # fmt: skip
def test_an_expiry_is_not_before_today_in_utc(
    monkeypatch: pytest.MonkeyPatch, expiry: date, *, is_taken: bool
) -> None:
    monkeypatch.setattr(order_fields, "datetime", LateInLosAngeles)

    if is_taken:
        assert least(SubscriptionsOrder, expiry=expiry).expiry == expiry
    else:
        error = refusal(lambda: least(SubscriptionsOrder, expiry=expiry))
        assert str(error) == f"SubscriptionsOrder.expiry: {expiry!r} lies in the past"


@pytest.mark.parametrize(
    "expiry", [datetime(2999, 12, 31, tzinfo=UTC), "31/12/2999", "", 20991231, True]
)
def test_an_expiry_that_is_no_plain_date_is_refused(expiry: object) -> None:
    error = refusal(lambda: least(SubscriptionsOrder, expiry=expiry))

    assert str(error) == f"SubscriptionsOrder.expiry: {expiry!r} is not a datetime.date"


# --- extra fields --------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_takes_more_fields_by_name(cls: type[Order]) -> None:
    extra = {"answer_text": "2", "Poll": "", "lines": "a\nb"}

    order = least(cls, extra=MappingProxyType(extra))

    assert order.extra == extra


def test_extra_fields_are_the_orders_own() -> None:
    given_by_caller = {"answer_number": "2"}
    order = least(PackageOrder, extra=given_by_caller)

    given_by_caller["key"] = "x"

    assert order.extra == {"answer_number": "2"}


@pytest.mark.parametrize("spelled", [
    str, str.upper, " {}".format, "{} ".format, "{}[]".format, "{}[0]".format,
])  # fmt: skip
@pytest.mark.parametrize(("cls", "name"), [
    *having(*EXAMPLE), *((cls, name) for cls in CLASSES for name in ("key", "action", "extra")),
])  # fmt: skip
def test_an_extra_field_takes_no_name_that_is_taken(
    cls: type[Order], name: str, spelled: Callable[[str], str]
) -> None:
    """PHP leaves out blanks before a name and makes a list of `name[]`, in place of `name`."""
    error = refusal(lambda: build(cls, extra={spelled(name): "x"}))

    assert (error.owner, error.field) == (cls.__name__, "extra")
    assert error.value == repr(spelled(name))
    assert error.reason == "can't be the name of an extra field"


@pytest.mark.parametrize("name", ["", " ", "[]", "a\ud800", 5, None, b"a"])
def test_an_extra_field_needs_a_name(name: object) -> None:
    error = refusal(lambda: least(PackageOrder, extra={name: "x"}))

    assert str(error) == f"PackageOrder.extra: {name!r} can't be the name of an extra field"


@pytest.mark.parametrize("value", [None, 5, True, ["x"], b"x"])
def test_an_extra_field_holds_a_text(value: object) -> None:
    error = refusal(lambda: least(PackageOrder, extra={"country": value}))

    assert str(error) == (
        f"PackageOrder.extra: {value!r} is not a text, as the extra field 'country' must be"
    )


def test_an_extra_field_holds_what_utf_8_can_write() -> None:
    error = refusal(lambda: least(PackageOrder, extra={"country": "\ud800"}))

    assert error.reason == "holds half a surrogate pair, which no UTF-8 has"


@pytest.mark.parametrize("extra", [None, "a=b", [("a", "b")], 5])
def test_extra_fields_are_a_mapping(extra: object) -> None:
    error = refusal(lambda: least(PackageOrder, extra=extra))

    assert str(error) == f"PackageOrder.extra: {extra!r} is not a mapping of text to text"


def test_what_one_class_has_another_may_take_as_extra() -> None:
    order = least(PackageOrder, extra={"comments": "a\nb"})

    assert order.extra == {"comments": "a\nb"}


# --- ids -----------------------------------------------------------------------------------------

LONGEST = "9" * MAX_ID_CHARACTERS
INVISIBLE = (
    "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202e\u2060\u2066\u2069\u206f\ufeff"
)


@pytest.mark.parametrize(("value", "text"), [
    (1, "1"),
    (32, "32"),
    (int(LONGEST), LONGEST),
    ("32", "32"),
    ("032", "032"),
    ("10", "10"),
    ("0a", "0a"),
    ("-a", "-a"),
    ("ord_01HXYZ", "ord_01HXYZ"),
    ("6f1e8a52-0c3b-4a67-9d21-3f5b7c9e0a14", "6f1e8a52-0c3b-4a67-9d21-3f5b7c9e0a14"),
    (LONGEST, LONGEST),
])  # fmt: skip
def test_an_id_is_a_number_or_opaque_text(value: int | str, text: str) -> None:
    assert parse_id(value) == text
    assert least(PackageOrder, service=value).service == text


WRONG_IDS = [
    0, -1, 10**MAX_ID_CHARACTERS,
    "0", "000", "-0", "-1", "-032",
    True, False, None, 1.0, b"1", ["1"], ("1",),
    "", " ", "12,13", ",", "12, 13", " 12", "12 ", "1 2", "12\n", "1\t2", "1\0", "1\x1b", "1\x7f",
    "1\x85", "1\xa0", "1\u2028", "1\u3000", "1\ud800", "9" * (MAX_ID_CHARACTERS + 1),
    *INVISIBLE,
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG_IDS)
def test_a_number_below_1_and_a_text_that_could_part_or_join_ids_are_no_id(value: object) -> None:
    for where, field, make in (
        ("Client", "order", lambda: parse_id(value)),
        ("PackageOrder", "service", lambda: least(PackageOrder, service=value)),
    ):
        error = refusal(make)

        assert (error.owner, error.field, error.value) == (where, field, repr(value)[:200])
        assert error.reason.startswith("is not an id: a whole number above 0, or a text")


def test_a_refused_id_names_where_it_stood_and_what_it_was() -> None:
    error = refusal(lambda: parse_id("1,2", "reply", "refill"))

    assert str(error).startswith("reply.refill: '1,2' is not an id")


def parts_ids(sign: str) -> bool:
    """Whether a sign is a comma, a blank, a control character, or no character at all."""
    return sign == "," or sign.isspace() or unicodedata.category(sign) in {"Cc", "Cs"}


@given(
    st.text(
        st.characters(categories=["L", "M", "N", "P", "S", "Z", "Cc", "Cs"]),
        max_size=MAX_ID_CHARACTERS,
    ).filter(lambda text: not re.fullmatch(r"-?[0-9]+", text))
)
def test_an_id_is_exactly_what_holds_no_comma_blank_or_control(text: str) -> None:
    if text and not any(map(parts_ids, text)):
        assert parse_id(text) == text
    else:
        assert refusal(lambda: parse_id(text)).value == repr(text)[:200]


@given(st.integers())
def test_a_whole_number_is_an_id_exactly_above_0_as_int_and_as_text(number: int) -> None:
    if 0 < number < 10**MAX_ID_CHARACTERS:
        assert parse_id(number) == parse_id(str(number)) == str(number)
    else:
        assert refusal(lambda: parse_id(number)).value == repr(number)[:200]
        assert refusal(lambda: parse_id(str(number))).value == repr(str(number))[:200]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_of_more_digits_than_python_writes_is_no_id(sign: int) -> None:
    assert refusal(lambda: parse_id(sign * 10**5000)).value.startswith("<int object at ")


@pytest.mark.parametrize("texts", [["12"], ["12", "2", "13"], ["9" * 128]])
def test_plain_numbers_are_ids_at_one_look(texts: list[str]) -> None:
    assert are_plain_ids(texts)
    assert [parse_id(each) for each in texts] == texts


@pytest.mark.parametrize(
    "texts", [[""], ["0"], ["12", "013"], ["1,2"], ["12", " 2"], ["9" * 129], ["١٢"], ["ord_1"]]
)
def test_one_look_says_nothing_of_other_texts(texts: list[str]) -> None:
    assert not are_plain_ids(texts)
