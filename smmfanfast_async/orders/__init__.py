"""The order types: one class for each form that a panel accepts.

`order` has the base class, `default` the order that most services take, `standard` the other ten
tables of the panel's document, `api_v2` the types that API v2 panels have beyond them; `fields` the
ids, converters and validators they share, `form_names` the names under which a panel takes the
fields of a form. A profile says which types its panel accepts; `_wire.encode` turns an order into a
form.

`standard` and `api_v2` are loaded when one of their classes is first used: attrs generates the code
of each class, which for all of them would take a sixth of the time of importing the client.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, cast

from .._text import normalize_word
from .default import DefaultOrder
from .fields import (
    MAX_ID_CHARACTERS,
    MAX_WHOLE_NUMBER,
    are_plain_ids,
    check_is_list,
    parse_id,
    parse_ids,
)
from .order import DELAYS_MINUTES, Order

if TYPE_CHECKING:
    from .api_v2 import (
        CommentRepliesOrder,
        InvitesFromGroupsOrder,
        MentionsOrder,
        PollOrder,
        SeoOrder,
        WebTrafficOrder,
    )
    from .standard import (
        CommentLikesOrder,
        CustomCommentsOrder,
        CustomCommentsPackageOrder,
        MentionsCustomListOrder,
        MentionsHashtagOrder,
        MentionsMediaLikersOrder,
        MentionsUserFollowersOrder,
        MentionsWithHashtagsOrder,
        PackageOrder,
        SubscriptionsOrder,
    )

__all__ = [
    "API_V2_ORDER_TYPES",
    "DELAYS_MINUTES",
    "MAX_ID_CHARACTERS",
    "MAX_WHOLE_NUMBER",
    "ORDER_TYPES",
    "CommentLikesOrder",
    "CommentRepliesOrder",
    "CustomCommentsOrder",
    "CustomCommentsPackageOrder",
    "DefaultOrder",
    "InvitesFromGroupsOrder",
    "MentionsCustomListOrder",
    "MentionsHashtagOrder",
    "MentionsMediaLikersOrder",
    "MentionsOrder",
    "MentionsUserFollowersOrder",
    "MentionsWithHashtagsOrder",
    "Order",
    "PackageOrder",
    "PollOrder",
    "SeoOrder",
    "SubscriptionsOrder",
    "WebTrafficOrder",
    "are_plain_ids",
    "check_is_list",
    "parse_id",
    "parse_ids",
]

_LAZY_MODULES = ("standard", "api_v2")
"""Modules that are loaded when one of their classes is first used."""


def __getattr__(name: str) -> object:
    """Load a class when it is first used."""
    if name in _LAZY_MODULES:
        return import_module(f"{__name__}.{name}")
    for module_name in _LAZY_MODULES if name in __all__ else ():
        module = import_module(f"{__name__}.{module_name}")
        if name in module.__all__:
            globals()[name] = found = getattr(module, name)
            return cast("object", found)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _OrderTypes(Mapping[str, type[Order]]):
    """Order classes by the panel's word for the type, in any spelling; loaded when looked up."""

    def __init__(self, name: str, class_names: Mapping[str, str]) -> None:
        self._name = name
        self._class_names = class_names
        self._words = {normalize_word(word): word for word in class_names}

    def __getitem__(self, word: str) -> type[Order]:
        known = self._words.get(normalize_word(word)) if isinstance(word, str) else None
        if known is None:
            raise KeyError(word)
        class_name = self._class_names[known]
        return cast("type[Order]", globals().get(class_name) or __getattr__(class_name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._class_names)

    def __len__(self) -> int:
        return len(self._class_names)

    def __repr__(self) -> str:
        return f"{self._name}({', '.join(self._class_names)})"


_STANDARD = {
    "default": "DefaultOrder",
    "package": "PackageOrder",
    "custom_comments": "CustomCommentsOrder",
    "mentions_with_hashtags": "MentionsWithHashtagsOrder",
    "mentions_custom_list": "MentionsCustomListOrder",
    "mentions_hashtag": "MentionsHashtagOrder",
    "mentions_user_followers": "MentionsUserFollowersOrder",
    "custom_comments_package": "CustomCommentsPackageOrder",
    "mentions_media_likers": "MentionsMediaLikersOrder",
    "comment_likes": "CommentLikesOrder",
    "subscriptions": "SubscriptionsOrder",
}
"""`panel_type` and class name of the types in `default` and `standard`."""

_API_V2 = {
    "mentions": "MentionsOrder",
    "seo": "SeoOrder",
    "comment_replies": "CommentRepliesOrder",
    "poll": "PollOrder",
    "invites_from_groups": "InvitesFromGroupsOrder",
    "web_traffic": "WebTrafficOrder",
}
"""The same for `api_v2`."""

ORDER_TYPES: Mapping[str, type[Order]] = _OrderTypes("ORDER_TYPES", _STANDARD)
"""The panel's word for a type → its class, in the document's order. Lookups ignore case, spaces,
`_` and `-`: `ORDER_TYPES["Custom Comments"]`."""

API_V2_ORDER_TYPES: Mapping[str, type[Order]] = _OrderTypes(
    "API_V2_ORDER_TYPES", {**_STANDARD, **_API_V2}
)
"""The same for API v2 panels: the document's eleven, then the six that only they have (seen)."""

# `Order.from_dict` chooses the class; only here are all of them known.
Order._types = API_V2_ORDER_TYPES  # noqa: SLF001
