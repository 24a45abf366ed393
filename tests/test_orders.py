"""Order classes: their fields, the validator of each field, and the rules of single classes."""

import ast
import copy
import inspect
import pickle
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import assume, given
from hypothesis import strategies as st

from smmfanfast_async._text import strip_line
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
    check_is_list,
    parse_id,
    parse_ids,
)
from smmfanfast_async.orders import (
    fields as order_fields,
)

LINK = "https://example.com/p"
LAST_DAY = date(2999, 12, 31)

# The eleven tables of the document, in its order: the panel's word, the class, the fields without
# "(optional)", those with it, and those that copies of the panel also read (seen).
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

# The types that API v2 panels document beyond them (seen).
API_V2_ONLY: list[tuple[str, type[Order], str, str, str]] = [
    ("mentions", MentionsOrder, "service link quantity usernames", "", ""),
    ("seo", SeoOrder, "service link quantity keywords", "", ""),
    ("comment_replies", CommentRepliesOrder, "service link username comments", "", "quantity"),
    ("poll", PollOrder, "service link quantity answer_number", "", ""),
    ("invites_from_groups", InvitesFromGroupsOrder, "service link quantity groups", "", ""),
    ("web_traffic", WebTrafficOrder, "service link quantity country device type_of_traffic",
        "google_keyword referring_url runs interval", ""),
]  # fmt: skip
TABLES = [*STANDARD, *API_V2_ONLY]
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

INTEGER = f"must be between 1 and {MAX_WHOLE_NUMBER}"
# For each kind of field: an invalid value that only its validator rejects, and the reason.
PROBES: dict[str, list[tuple[object, str]]] = {
    "id": [("1,2", "is not an id")],
    "line": [("a\nb", "contains a line break or NUL"), (" ", "must not be empty")],
    "lines": [(["a\nb"], "contains a line break or NUL"), ("\n", "must not be empty")],
    "positive": [(0, INTEGER), (MAX_WHOLE_NUMBER + 1, INTEGER), ("1", "must be an integer")],
    "delay": [(-1, f"must be between 0 and {MAX_WHOLE_NUMBER}"), (True, "must be an integer")],
    "device": [(0, "must be between 1 and 5"), (6, "must be between 1 and 5")],
    "traffic": [(0, "must be between 1 and 3"), (4, "must be between 1 and 3")],
    "expiry": [(date.min, "is in the past"), ("31/12/2999", "must be a datetime.date")],
}
KINDS = {
    "id": "service",
    "line": "link hashtag username media country google_keyword referring_url",
    "lines": "comments usernames hashtags keywords groups",
    "positive": "quantity runs interval min max posts old_posts answer_number",
    "delay": "delay",
    "device": "device",
    "traffic": "type_of_traffic",
    "expiry": "expiry",
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}

LINE_BREAKS = {
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
SURROGATE_REASON = "contains a lone surrogate, which UTF-8 cannot encode"


def form_fields(cls: type[Order]) -> list[str]:
    """Return the names of the form fields of a class."""
    return [each.name for each in attrs.fields(cls) if each.metadata.get("form", True)]


def build_full(cls: type[Order], **changed: object) -> Order:
    """Create an order with every field of its class, some of them changed."""
    return cls(**{name: EXAMPLE[name] for name in form_fields(cls)} | changed)


def build_minimal(cls: type[Order], **changed: object) -> Order:
    """Create an order with the required fields of its class and the given ones."""
    required = next(row[2] for row in TABLES if row[1] is cls)
    return cls(**{name: EXAMPLE[name] for name in required.split()} | changed)


FIELDS = [(cls, name) for cls in CLASSES for name in form_fields(cls)]
REQUIRED = [(row[1], name) for row in TABLES for name in row[2].split()]
OPTIONAL = [(row[1], name) for row in TABLES for name in (row[3] + " " + row[4]).split()]


def rejection(make: Callable[[], object]) -> InvalidOrderError:
    with pytest.raises(InvalidOrderError) as raised:
        make()
    return raised.value


# --- the tables of the document ------------------------------------------------------------------


@pytest.mark.parametrize(("word", "cls", "required", "optional", "seen"), TABLES)
def test_class_has_the_fields_of_its_table(
    word: str, cls: type[Order], required: str, optional: str, seen: str
) -> None:
    without_default = [each.name for each in attrs.fields(cls) if each.default is attrs.NOTHING]

    assert cls.panel_type == word
    assert without_default == required.split()
    assert set(form_fields(cls)) == {*required.split(), *optional.split(), *seen.split()}
    assert all(each.kw_only for each in attrs.fields(cls))


def test_order_types_follow_the_document() -> None:
    assert list(ORDER_TYPES.items()) == [(row[0], row[1]) for row in STANDARD]
    assert len(ORDER_TYPES) == 11
    assert repr(ORDER_TYPES) == f"ORDER_TYPES({', '.join(row[0] for row in STANDARD)})"


def test_api_v2_has_six_more_order_types() -> None:
    assert list(API_V2_ORDER_TYPES.items()) == [(row[0], row[1]) for row in TABLES]
    assert len(API_V2_ORDER_TYPES) == 17
    assert repr(API_V2_ORDER_TYPES).startswith("API_V2_ORDER_TYPES(default, ")


@pytest.mark.parametrize("spelled", [
    "custom_comments", "CUSTOM_COMMENTS", "Custom Comments", "Custom-Comments", "customcomments",
    " custom_comments\t",
])  # fmt: skip
def test_order_type_is_found_in_any_spelling(spelled: str) -> None:
    assert API_V2_ORDER_TYPES[spelled] is ORDER_TYPES[spelled] is CustomCommentsOrder
    assert spelled in ORDER_TYPES


@pytest.mark.parametrize(
    "word", ["", " ", "poll", "defaults", "custom.comments", None, 5, b"default"]
)
def test_unknown_word_is_not_an_order_type(word: Any) -> None:
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


@pytest.mark.parametrize("cls", CLASSES)
def test_copies_are_equal_and_orders_are_immutable(cls: type[Order]) -> None:
    for order in (build_full(cls, extra={"note": "x"}), build_minimal(cls, extra={"note": "x"})):
        for make_copy in COPIES.values():
            clone = make_copy(order)

            assert clone == order
            assert hash(clone) == hash(order)
            assert repr(clone) == repr(order)
        for name in form_fields(cls):
            with pytest.raises(FrozenInstanceError):
                setattr(order, name, EXAMPLE[name])


def test_orders_of_another_type_or_content_are_unequal() -> None:
    comments = {"service": 5, "link": LINK, "comments": "a\nb"}

    assert CustomCommentsOrder(**comments) != CustomCommentsPackageOrder(**comments)
    assert build_minimal(PackageOrder) != build_minimal(PackageOrder, quantity=1)
    assert build_minimal(PackageOrder) != build_minimal(PackageOrder, extra={"a": "b"})


# --- which field uses which validator ------------------------------------------------------------


def test_every_field_has_a_kind() -> None:
    assert set(KIND_OF) == set(EXAMPLE) == {name for _, name in FIELDS}


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_field_rejects_what_its_kind_rejects(cls: type[Order], name: str) -> None:
    for value, reason in PROBES[KIND_OF[name]]:
        error = rejection(lambda value=value: build_full(cls, **{name: value}))

        assert (error.owner, error.field) == (cls.__name__, name)
        assert error.reason.startswith(reason)
        assert str(error) == f"{name} {error.value} {error.reason}"


@pytest.mark.parametrize(("cls", "name"), FIELDS)
def test_field_converts_what_its_kind_converts(cls: type[Order], name: str) -> None:
    conversions = {"id": (7, "7"), "line": (" a ", "a"), "lines": (" a \n\r\nb", ("a", "b"))}
    given_value, stored = conversions.get(KIND_OF[name], (EXAMPLE[name], EXAMPLE[name]))

    assert getattr(build_full(cls, **{name: given_value}), name) == stored


@pytest.mark.parametrize(("cls", "name"), REQUIRED)
def test_required_field_cannot_be_omitted_or_none(cls: type[Order], name: str) -> None:
    others = {each: EXAMPLE[each] for each in form_fields(cls) if each != name}

    with pytest.raises(TypeError, match=f"'{name}'"):
        cls(**others)
    error = rejection(lambda: build_full(cls, **{name: None}))
    assert (error.owner, error.field, error.value) == (cls.__name__, name, "None")


@pytest.mark.parametrize(("cls", "name"), OPTIONAL)
def test_optional_field_may_be_none(cls: type[Order], name: str) -> None:
    order = build_minimal(cls, **{name: None})

    assert getattr(order, name) is None
    assert order == build_minimal(cls)


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "shown", "reason"), [
    (b"x", "b'x'", "must be a text"),
    (5, "5", "must be a text"),
    (["x"], "['x']", "must be a text"),
    ("", "''", "must not be empty"),
    (" \t\r\n ", "''", "must not be empty"),
    ("a\ud800", r"'a\ud800'", SURROGATE_REASON),
    *((f"a{each}b", repr(f"a{each}b"), "contains a line break or NUL")
      for each in LINE_BREAKS.values()),
])  # fmt: skip
def test_text_must_be_one_non_empty_line(value: object, shown: str, reason: str) -> None:
    error = rejection(lambda: build_minimal(PackageOrder, link=value))

    assert (error.value, error.reason) == (shown, reason)


@pytest.mark.parametrize("name", ["link", "media"])
def test_whitespace_around_a_text_is_removed(name: str) -> None:
    order = build_full(MentionsMediaLikersOrder, **{name: f" {LINK}?a=1&b=%20+ \r\n"})

    assert getattr(order, name) == f"{LINK}?a=1&b=%20+"


# --- integers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, False, 1.0, "10", b"1", [10]])
def test_quantity_must_be_an_int(value: object) -> None:
    error = rejection(lambda: build_minimal(DefaultOrder, quantity=value))

    assert str(error) == f"quantity {value!r} must be an integer"


def test_integers_have_a_minimum_and_a_maximum() -> None:
    assert MAX_WHOLE_NUMBER == 10**12
    for value in (1, MAX_WHOLE_NUMBER):
        assert build_minimal(DefaultOrder, quantity=value).quantity == value
    for value in (0, -100, MAX_WHOLE_NUMBER + 1):
        error = rejection(lambda value=value: build_minimal(DefaultOrder, quantity=value))
        assert str(error) == f"quantity {value} {INTEGER}"
    too_long = rejection(lambda: build_minimal(DefaultOrder, quantity=10**5000))
    assert too_long.reason == INTEGER


# --- characters that show nothing ----------------------------------------------------------------

INVISIBLE = (
    "\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2068\u2069\ufeff"
    "\xad\u061c\xa0\u3000\u3164"
)


@pytest.mark.parametrize("character", INVISIBLE, ids=lambda each: f"U+{ord(each):04X}")
def test_invisible_characters_at_the_ends_are_not_sent(character: str) -> None:
    inside = f"a{character}b"
    around = f"{character} {character}{inside}{character}"

    default = build_minimal(DefaultOrder, link=around)
    mentions = build_minimal(
        MentionsWithHashtagsOrder, usernames=[around, character], hashtags=around
    )
    comments = build_minimal(
        CustomCommentsOrder, comments=f"{around}\n{character}\n {character} {character}\nc"
    )

    assert default.link == inside
    assert mentions.usernames == mentions.hashtags == (inside,)
    assert comments.comments == (inside, "c")
    assert build_minimal(SubscriptionsOrder, username=around).username == inside


@pytest.mark.parametrize("text", [*INVISIBLE, "\ufe0f", "\U000e0067\U000e007f", "\u200b \ufe0f"])
def test_text_that_shows_nothing_is_empty(text: str) -> None:
    assert str(rejection(lambda: build_minimal(DefaultOrder, link=text))) == (
        "link '' must not be empty"
    )
    assert str(rejection(lambda: build_minimal(CustomCommentsOrder, comments=[text]))) == (
        "comments () must not be empty"
    )


@pytest.mark.parametrize("emoji", [
    "\u2764\ufe0f", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\U0001f468\u200d\U0001f469", "\u06a9\u200c\u0647", "\u0915\u094d\u200d\u0937",
], ids=["heart", "flag of England", "family", "Persian", "Hindi"])  # fmt: skip
def test_marks_that_belong_to_their_character_are_kept(emoji: str) -> None:
    assert build_minimal(CustomCommentsOrder, comments=[f" {emoji} "]).comments == (emoji,)


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
def test_list_is_any_iterable_or_a_text_of_lines(value: Iterable[str]) -> None:
    """The document: "Comments list separated by \\r\\n or \\n"."""
    assert build_minimal(CustomCommentsOrder, comments=value).comments == ("a", "b")


@pytest.mark.parametrize(("value", "shown", "reason"), [
    *((empty, "()", "must not be empty") for empty in ([], (), set(), "", "\n \r\n", ["", " "])),
    *((value, repr(value), "must be a text or an iterable of texts")
      for value in (None, 5, 1.5, object)),
    (["a", 5], "5", "must be a text"),
    ([None], "None", "must be a text"),
    ([["a"]], "['a']", "must be a text"),
    (b"a", "97", "must be a text"),
    ([True, "a"], "True", "must be a text"),
    (["a\udfff"], r"'a\udfff'", SURROGATE_REASON),
    *((["fine", f"a{each}b"], repr(f"a{each}b"), "contains a line break or NUL")
      for each in LINE_BREAKS.values()),
])  # fmt: skip
def test_list_needs_items_that_are_lines(value: object, shown: str, reason: str) -> None:
    error = rejection(lambda: build_minimal(CustomCommentsOrder, comments=value))

    assert str(error) == f"comments {shown} {reason}"


@pytest.mark.parametrize("character", LINE_BREAKS.values(), ids=LINE_BREAKS)
def test_text_is_split_only_at_cr_lf_and_lf(character: str) -> None:
    def make() -> Order:
        return build_minimal(CustomCommentsOrder, comments=f"a{character}b")

    if character == "\n":
        assert make().comments == ("a", "b")
    else:
        assert rejection(make).field == "comments"


ANY_TEXT = st.text(st.characters(categories=["L", "M", "N", "P", "S", "Z", "C"]))


@given(st.lists(ANY_TEXT))
def test_items_never_gain_or_lose_a_separator(items: list[str]) -> None:
    try:
        order = build_minimal(CustomCommentsOrder, comments=items)
    except InvalidOrderError as error:
        assert error.field == "comments"  # noqa: PT017  # either outcome is allowed
        return

    assert list(order.comments) == [item for each in items if (item := strip_line(each))]
    assert all(len(item.splitlines()) == 1 for item in order.comments)


@given(st.lists(ANY_TEXT), st.sampled_from(["\n", "\r\n"]))
def test_list_and_its_lines_create_equal_orders(items: list[str], separator: str) -> None:
    assume(not any("\n" in item for item in items))

    try:
        order = build_minimal(CustomCommentsOrder, comments=items)
    except InvalidOrderError:
        with pytest.raises(InvalidOrderError):
            build_minimal(CustomCommentsOrder, comments=separator.join(items))
    else:
        assert build_minimal(CustomCommentsOrder, comments=separator.join(items)) == order


# --- drip-feed, web traffic, polls ---------------------------------------------------------------


@pytest.mark.parametrize(("given_name", "missing"), [("runs", "interval"), ("interval", "runs")])
@pytest.mark.parametrize("cls", [DefaultOrder, WebTrafficOrder])
def test_runs_and_interval_require_each_other(
    cls: type[Order], given_name: str, missing: str
) -> None:
    error = rejection(lambda: build_minimal(cls, **{given_name: 7}))
    order = build_minimal(cls, runs=7, interval=30)

    assert str(error) == f"{given_name} 7 requires {missing}"
    assert error.owner == cls.__name__
    assert (order.runs, order.interval) == (7, 30)


@pytest.mark.parametrize(("name", "highest"), [("device", 5), ("type_of_traffic", 3)])
def test_device_and_traffic_accept_listed_numbers(name: str, highest: int) -> None:
    for value in (1, highest):
        assert getattr(build_full(WebTrafficOrder, **{name: value}), name) == value
    assert rejection(lambda: build_full(WebTrafficOrder, **{name: "1"})).field == name


@pytest.mark.parametrize(("traffic", "required"), [(1, "google_keyword"), (2, "referring_url")])
def test_type_of_traffic_requires_its_field(traffic: int, required: str) -> None:
    error = rejection(lambda: build_minimal(WebTrafficOrder, type_of_traffic=traffic))
    order = build_minimal(WebTrafficOrder, type_of_traffic=traffic, **{required: EXAMPLE[required]})

    assert str(error) == f"type_of_traffic {traffic} requires {required}"
    assert error.owner == "WebTrafficOrder"
    assert getattr(order, required) == EXAMPLE[required]


def test_first_answer_of_a_poll_is_1() -> None:
    assert build_minimal(PollOrder, answer_number=1).answer_number == 1


# --- subscriptions -------------------------------------------------------------------------------


def test_min_may_equal_max_but_not_exceed_it() -> None:
    error = rejection(lambda: build_minimal(SubscriptionsOrder, min=21, max=20))

    assert str(error) == "min 21 must not exceed max (20)"
    assert error.owner == "SubscriptionsOrder"
    assert build_minimal(SubscriptionsOrder, min=20, max=20).min == 20


@pytest.mark.parametrize("delay", [0, 5, 10, 15, 30, 60, 90])
def test_delays_of_the_document_are_accepted(delay: int) -> None:
    """The document: "Delay in minutes. Possible values: 0, 5, 10, 15, 30, 60, 90"."""
    assert build_minimal(SubscriptionsOrder, delay=delay).delay == delay


@pytest.mark.parametrize("delay", [1, 4, 6, 20, 89, 91, 120])
def test_other_delays_are_rejected(delay: int) -> None:
    error = rejection(lambda: build_minimal(SubscriptionsOrder, delay=delay))

    assert str(error) == f"delay {delay} must be one of [0, 5, 10, 15, 30, 60, 90]"
    assert error.owner == "SubscriptionsOrder"


@pytest.mark.parametrize("allowed", [None, {7}, [0, 7]])
def test_allowed_delays_are_not_part_of_the_value(allowed: Any) -> None:
    order = build_minimal(SubscriptionsOrder, delay=7, allowed_delays_minutes=allowed)
    other = build_minimal(SubscriptionsOrder, delay=7, allowed_delays_minutes=None)

    assert order.delay == 7
    assert (order, hash(order)) == (other, hash(other))
    assert "allowed_delays_minutes" not in repr(order)
    assert build_minimal(SubscriptionsOrder).allowed_delays_minutes == DELAYS_MINUTES


@pytest.mark.parametrize(("hour", "expiry", "is_accepted"), [
    # Evening in Los Angeles: the next day in UTC.
    (5, date(2026, 3, 1), True),
    (5, date(2026, 2, 28), False),
    (11, date(2026, 3, 1), True),
    (12, date(2026, 3, 1), False),
    (12, date(2026, 3, 2), True),
    (12, date.min, False),
    (12, date.max, True),
])  # fmt: skip
def test_expiry_is_past_only_if_it_is_past_everywhere(
    monkeypatch: pytest.MonkeyPatch, hour: int, expiry: date, *, is_accepted: bool
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime(2026, 3, 2, hour, tzinfo=UTC).astimezone(tz)

    monkeypatch.setattr(order_fields, "datetime", Clock)

    if is_accepted:
        assert build_minimal(SubscriptionsOrder, expiry=expiry).expiry == expiry
    else:
        error = rejection(lambda: build_minimal(SubscriptionsOrder, expiry=expiry))
        assert str(error) == f"expiry {expiry!r} is in the past"


@pytest.mark.parametrize(
    "expiry", [datetime(2999, 12, 31, tzinfo=UTC), "31/12/2999", "", 20991231, True]
)
def test_expiry_must_be_a_plain_date(expiry: object) -> None:
    error = rejection(lambda: build_minimal(SubscriptionsOrder, expiry=expiry))

    assert str(error) == f"expiry {expiry!r} must be a datetime.date"


# --- extra fields --------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_accepts_extra_fields(cls: type[Order]) -> None:
    extra = {"answer_text": "2", "Poll": "", "lines": "a\nb"}

    assert build_minimal(cls, extra=MappingProxyType(extra)).extra == extra


def test_extra_fields_are_copied() -> None:
    extra = {"answer_number": "2", "comments": "a\nb"}
    order = build_minimal(PackageOrder, extra=extra)

    extra["key"] = "x"

    assert order.extra == {"answer_number": "2", "comments": "a\nb"}


@pytest.mark.parametrize("cls", CLASSES)
def test_extra_field_cannot_replace_a_field(cls: type[Order]) -> None:
    """PHP ignores spaces before a name and turns `name[]` into a list that replaces `name`."""
    for name in (*form_fields(cls), "key", "action", "extra"):
        for spelled in (name, name.upper(), f" {name}", f"{name} ", f"{name}[]", f"{name}[0]"):
            error = rejection(lambda spelled=spelled: build_full(cls, extra={spelled: "x"}))

            assert (error.owner, error.field) == (cls.__name__, "extra")
            assert error.value == repr(spelled)
            assert error.reason == "cannot be the name of an extra field"


@pytest.mark.parametrize(("extra", "shown", "reason"), [
    *(({name: "x"}, repr(name), "cannot be the name of an extra field")
      for name in ("", " ", "[]", "a\ud800", 5, None, b"a")),
    *(({"country": value}, repr(value), "must be a text, as the value of the extra field 'country'")
      for value in (None, 5, True, ["x"], b"x")),
    ({"country": "\ud800"}, r"'\ud800'", SURROGATE_REASON),
    *((value, repr(value), "must be a mapping of text to text")
      for value in (None, "a=b", [("a", "b")], 5)),
])  # fmt: skip
def test_extra_must_map_names_to_texts(extra: object, shown: str, reason: str) -> None:
    error = rejection(lambda: build_minimal(PackageOrder, extra=extra))

    assert str(error) == f"extra {shown} {reason}"


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
def test_id_is_a_positive_number_or_opaque_text(value: int | str, text: str) -> None:
    assert parse_id(value) == text
    assert build_minimal(PackageOrder, service=value).service == text


INVALID_IDS = [
    0, -1, 10**MAX_ID_CHARACTERS,
    "0", "000", "-0", "-1", "-032",
    True, False, None, 1.0, b"1", ["1"], ("1",),
    "", " ", "12,13", ",", "12, 13", " 12", "12 ", "1 2", "12\n", "1\t2", "1\0", "1\x1b", "1\x7f",
    "1\x85", "1\xa0", "1\u2028", "1\u3000", "1\ud800", "9" * (MAX_ID_CHARACTERS + 1),
    *INVISIBLE,
]  # fmt: skip


@pytest.mark.parametrize("value", INVALID_IDS)
def test_text_that_could_split_or_join_ids_is_rejected(value: object) -> None:
    for owner, field, make in (
        ("Client", "order", lambda: parse_id(value)),
        ("PackageOrder", "service", lambda: build_minimal(PackageOrder, service=value)),
    ):
        error = rejection(make)

        assert (error.owner, error.field, error.value) == (owner, field, repr(value)[:200])
        assert error.reason.startswith("is not an id: use a positive integer, or a text")


def test_rejected_id_names_its_owner_and_field() -> None:
    error = rejection(lambda: parse_id("1,2", "reply", "refill"))

    assert str(error).startswith("refill '1,2' is not an id")
    assert error.owner == "reply"


def can_split_ids(character: str) -> bool:
    """Return whether a character is a comma, whitespace, a control or a lone surrogate."""
    is_harmful = unicodedata.category(character) in {"Cc", "Cs"}
    return character == "," or character.isspace() or is_harmful


@given(
    st.text(
        st.characters(categories=["L", "M", "N", "P", "S", "Z", "Cc", "Cs"]),
        max_size=MAX_ID_CHARACTERS,
    ).filter(lambda text: not re.fullmatch(r"-?[0-9]+", text))
)
def test_id_has_no_comma_whitespace_or_control(text: str) -> None:
    if text and not any(map(can_split_ids, text)):
        assert parse_id(text) == text
    else:
        assert rejection(lambda: parse_id(text)).value == repr(text)[:200]


@given(st.integers())
def test_number_is_an_id_only_if_positive(number: int) -> None:
    if 0 < number < 10**MAX_ID_CHARACTERS:
        assert parse_id(number) == parse_id(str(number)) == str(number)
    else:
        assert rejection(lambda: parse_id(number)).value == repr(number)[:200]
        assert rejection(lambda: parse_id(str(number))).value == repr(str(number))[:200]


@pytest.mark.parametrize("factor", [1, -1])
def test_number_too_long_for_python_to_print_is_not_an_id(factor: int) -> None:
    assert rejection(lambda: parse_id(factor * 10**5000)).value.startswith("<int object at ")


@pytest.mark.parametrize("texts", [["12"], ["12", "2", "13"], ["9" * 128]])
def test_plain_numbers_are_recognized_as_ids_at_once(texts: list[str]) -> None:
    assert are_plain_ids(texts)
    assert [parse_id(each) for each in texts] == texts


@pytest.mark.parametrize(
    "texts", [[""], ["0"], ["12", "013"], ["1,2"], ["12", " 2"], ["9" * 129], ["١٢"], ["ord_1"]]
)
def test_other_texts_are_not_plain_ids(texts: list[str]) -> None:
    assert not are_plain_ids(texts)


def test_ids_are_parsed_without_duplicates_in_order() -> None:
    assert parse_ids([2, "1", "2", 3]) == ["2", "1", "3"]
    assert rejection(lambda: parse_ids(["1", ""], "refill")).field == "refill"


@pytest.mark.parametrize("text", ["12", b"12"])
def test_single_text_is_not_a_list_of_ids(text: Any) -> None:
    check_is_list(["12"], "ids")
    errors = [rejection(lambda: parse_ids(text)), rejection(lambda: check_is_list(text, "ids"))]

    assert [str(error) for error in errors] == [
        f"{field} {text!r} must be a list of ids, not a single text" for field in ("orders", "ids")
    ]


@pytest.mark.parametrize("cls", [Order, *CLASSES])
def test_class_docstring_repeats_the_text_of_each_field(cls: type[Order]) -> None:
    """`pydoc` shows only the docstring of a class, editors the text under a field."""
    (node,) = ast.parse(inspect.getsource(cls)).body
    assert isinstance(node, ast.ClassDef)
    shown = " ".join((cls.__doc__ or "").split())
    for item, text in pairwise(node.body):
        if isinstance(item, ast.AnnAssign) and "ClassVar" not in ast.unparse(item.annotation):
            assert isinstance(text, ast.Expr)
            expected = f"{ast.unparse(item.target)}: {ast.literal_eval(text.value)}"
            assert " ".join(expected.split()) in shown
