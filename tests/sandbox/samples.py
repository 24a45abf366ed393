"""One form per order type, with only the required fields.

`FORMS` are the eleven types of the document, `API_V2_FORMS` the additional types of API v2 panels.
"""

LINK = "https://instagram.com/example"

# Type -> (a service of that type in the default catalogue, the other fields, pieces, price).
FORMS: dict[str, tuple[str, dict[str, str], int, str]] = {
    "default": ("5", {"link": LINK, "quantity": "1000"}, 1000, "1.0200"),
    "package": ("72", {"link": LINK}, 1, "32.0000"),
    "custom_comments": ("31", {"link": LINK, "comments": "one\r\ntwo\nthree"}, 3, "0.3600"),
    "mentions_with_hashtags": (
        "40",
        {"link": LINK, "quantity": "100", "usernames": "a\nb", "hashtags": "#x\n#y"},
        100,
        "0.2200",
    ),
    "mentions_custom_list": ("43", {"link": LINK, "usernames": "a\nb\nc\nd\ne"}, 5, "0.0225"),
    "mentions_hashtag": ("44", {"link": LINK, "quantity": "100", "hashtag": "#x"}, 100, "0.1900"),
    "mentions_user_followers": (
        "46",
        {"link": LINK, "quantity": "200", "username": LINK},
        200,
        "0.3400",
    ),
    "custom_comments_package": ("32", {"link": LINK, "comments": "one\ntwo"}, 2, "0.9000"),
    "mentions_media_likers": ("48", {"link": LINK}, 100, "0.2000"),
    "comment_likes": ("34", {"link": LINK, "quantity": "10", "username": "a"}, 10, "0.0060"),
    "subscriptions": (
        "50",
        {"username": "a", "min": "20", "max": "30", "delay": "0"},
        0,
        "0.0000",
    ),
}

API_V2_FORMS: dict[str, tuple[str, dict[str, str], int, str]] = {
    "mentions": ("131", {"link": LINK, "quantity": "100", "usernames": "a\nb"}, 100, "0.3900"),
    "seo": ("132", {"link": LINK, "quantity": "10", "keywords": "a b\r\nc"}, 10, "0.0550"),
    "comment_replies": (
        "134",
        {"link": LINK, "username": "a", "comments": "one\ntwo\nthree"},
        3,
        "0.0420",
    ),
    "poll": ("136", {"link": LINK, "quantity": "100", "answer_number": "2"}, 100, "0.0450"),
    "invites_from_groups": (
        "138",
        {"link": LINK, "quantity": "100", "groups": "a\nb"},
        100,
        "0.7200",
    ),
    "web_traffic": (
        "140",
        {"link": LINK, "quantity": "1000", "country": "US", "device": "1", "type_of_traffic": "3"},
        1000,
        "0.2500",
    ),
}


def form_of(order_type: str, **changes: str) -> dict[str, str]:
    """Return the form of a type with some fields changed or added; "-" removes a field."""
    service, fields, _, _ = (FORMS | API_V2_FORMS)[order_type]
    form = {"service": service, **fields, **changes}
    return {name: value for name, value in form.items() if value != "-"}
