"""The order types: one class for each form that a panel accepts.

`standard` has the eleven tables of the panel's document, `api_v2` the types that API v2 panels have
beyond them, `fields` the ids, converters and validators they share, `form_names` the names under
which a panel takes the fields of a form. A profile says which types its panel accepts;
`_wire.encode` turns an order into a form.
"""

from collections.abc import Iterator, Mapping

from .._text import normalize_word
from .api_v2 import (
    CommentRepliesOrder,
    InvitesFromGroupsOrder,
    MentionsOrder,
    PollOrder,
    SeoOrder,
    WebTrafficOrder,
)
from .fields import (
    MAX_ID_CHARACTERS,
    MAX_WHOLE_NUMBER,
    are_plain_ids,
    check_is_list,
    parse_id,
    parse_ids,
)
from .standard import (
    DELAYS_MINUTES,
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


class _OrderTypes(Mapping[str, type[Order]]):
    """Order classes by the panel's word for the type, in any spelling."""

    def __init__(self, name: str, *classes: type[Order]) -> None:
        self._name = name
        self._by_word = {each.panel_type: each for each in classes}
        self._by_spelling = {normalize_word(word): each for word, each in self._by_word.items()}

    def __getitem__(self, word: str) -> type[Order]:
        order_type = self._by_spelling.get(normalize_word(word)) if isinstance(word, str) else None
        if order_type is None:
            raise KeyError(word)
        return order_type

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_word)

    def __len__(self) -> int:
        return len(self._by_word)

    def __repr__(self) -> str:
        return f"{self._name}({', '.join(self._by_word)})"


ORDER_TYPES: Mapping[str, type[Order]] = _OrderTypes(
    "ORDER_TYPES",
    DefaultOrder,
    PackageOrder,
    CustomCommentsOrder,
    MentionsWithHashtagsOrder,
    MentionsCustomListOrder,
    MentionsHashtagOrder,
    MentionsUserFollowersOrder,
    CustomCommentsPackageOrder,
    MentionsMediaLikersOrder,
    CommentLikesOrder,
    SubscriptionsOrder,
)
"""The panel's word for a type → its class, in the document's order. Lookups ignore case, spaces,
`_` and `-`: `ORDER_TYPES["Custom Comments"]`."""

API_V2_ORDER_TYPES: Mapping[str, type[Order]] = _OrderTypes(
    "API_V2_ORDER_TYPES",
    *ORDER_TYPES.values(),
    MentionsOrder,
    SeoOrder,
    CommentRepliesOrder,
    PollOrder,
    InvitesFromGroupsOrder,
    WebTrafficOrder,
)
"""The same for API v2 panels: the document's eleven, then the six that only they have (seen)."""

# `Order.from_dict` chooses the class; only here are all of them known.
Order._types = API_V2_ORDER_TYPES  # noqa: SLF001
