"""The words of refusals: synonyms made one word, and parts of regular expressions over them. Pure.

A text is compared in lower case, its words separated by one space, without punctuation and currency
signs. `simplify` leaves out articles and writes one word for all fields of a form, for all names of
the key, and so on, so that the sentences of `families` stay short. A word that it does not know
stays as it is, and no sentence has it.
"""

import re
from collections.abc import Mapping
from functools import cache

from .._text import normalize_text

__all__ = [
    "AMOUNT",
    "BE",
    "FIELD",
    "FIELDS",
    "FUNDS",
    "NEG",
    "NO",
    "NUMBER",
    "PLACE",
    "RANGE",
    "any_of",
    "is_not",
    "simplify",
    "up_to",
]

_LEFT_OUT = "the this that your a an any all same our currently following such"
"""Words that leave the meaning of a sentence as it is."""

_SYNONYMS = {
    "field": (
        "comment comments hashtag hashtags keyword keywords run runs interval delay expiry answer "
        "country device action parameter parameters param params argument arguments fields value "
        "values number numbers amount input inputs data dripfeed email category count language "
        "list date reaction reactions type format type_of_traffic old_posts new_posts start_at "
        "answer_number interval_time expiry_date user_list start_time google_keyword "
        "referring_url order_type service_type order_parameters order_data request_parameters "
        "request_data form_data comments_list custom_comments category_id answer_option "
        "required_field drip_feed"
    ),
    "link": (
        "links url urls uri username usernames user_name user_names group groups media post posts "
        "profile page video channel target target_link target_url post_link post_url profile_link "
        "profile_url page_link page_url video_link video_url media_url channel_link order_link "
        "order_url link_url link_address"
    ),
    "quantity": "quantities order_quantity order_amount order_size order_count",
    "service": "services package packages product products service_id service_ids serviceid "
    "package_id product_id service_number package_or_service product_or_service",
    "key": "keys apikey api_key api_keys token api_token access_token access_key auth_key "
    "secret_key auth_token credentials api_credentials",
    "account": "accounts user users customer reseller member user_account api_user "
    "customer_account",
    "funds": "fund balance balances credits credit money wallet account_balance wallet_balance "
    "user_balance account_funds wallet_funds available_balance available_funds "
    "account_credit user_funds",
    "given": "provided specified requested entered supplied chosen selected",
    "is": "are was were been be being has_been have_been",
    "must": "should shall has_to have_to needs_to need_to must_to",
    "min": "minimum minimal lowest",
    "max": "maximum maximal highest",
}
"""Words, and phrases joined by "_", for each of which the name of the group is written."""

_PLATFORMS = "instagram facebook youtube tiktok twitter telegram spotify"
_TARGETS = "link url username profile post page video channel"

_CURRENCY = (
    "(?:usd|usdt|usdc|eur|gbp|aed|ars|azn|bdt|brl|cad|cny|cop|dzd|egp|ghs|idr|inr|iqd|kes|kwd|kzt|mad"
    "|mxn|myr|ngn|omr|pen|php|pkr|pln|qar|rs|rub|sar|tk|thb|tnd|tl|try|uah|uzs|vnd|xaf|xof|zar)"
)
_DIGITS = "[0-9]++(?:_[0-9]++)*+(?![^ ])"

_NUMBER = re.compile(f"(?<![^ ]){_DIGITS}")

_SEPARATOR = re.compile("(?<=[0-9])[.,'](?=[0-9])")
_CAPITAL = re.compile("(?<=[a-z])(?=[A-Z])")


def simplify(text: str) -> str:
    """Return a text in simple words: "The API key is wrong" becomes "key is wrong".

    A number becomes "#", an amount of money "$". An underscore is a space, as in a code.
    """
    words = text.replace("(s)", "s") if " " in text else _CAPITAL.sub(" ", text)
    words = normalize_text(_SEPARATOR.sub("_", words.replace("_", " ")))
    words = _NUMBER.sub("#", _compile_amount().sub("$", words))
    joined = _compile_phrases().sub(lambda found: found[0].replace(" ", "_"), words)
    by_word = _map_words()
    return " ".join(filter(None, (by_word.get(word, word) for word in joined.split())))


# A program that meets no refusal needs none of these three: they would add 4 ms to each import.
@cache
def _map_words() -> Mapping[str, str]:
    """Return the word that is written for each word or phrase; "" if it is left out."""
    return {
        **{f"{a}_{b}": "link" for a in _PLATFORMS.split() for b in _TARGETS.split()},
        **dict.fromkeys(_LEFT_OUT.split(), ""),
        **{synonym: word for word, synonyms in _SYNONYMS.items() for synonym in synonyms.split()},
    }


@cache
def _compile_phrases() -> re.Pattern[str]:
    """Return the pattern of all phrases, the longest first."""
    phrases = sorted((each.replace("_", " ") for each in _map_words() if "_" in each), key=len)
    return re.compile(rf"\b(?:{'|'.join(reversed(phrases))})\b")


@cache
def _compile_amount() -> re.Pattern[str]:
    """Return the pattern of a number with a fraction, separators or a currency."""
    return re.compile(
        rf"(?<![^ ])(?:{_CURRENCY} {_DIGITS}(?: {_CURRENCY}(?![^ ]))?|{_DIGITS} {_CURRENCY}(?![^ ])"
        r"|[0-9]++(?:_[0-9]++)++(?![^ ]))"
    )


def any_of(words: str) -> str:
    """Return a pattern of one of several phrases, which are separated by commas."""
    return f"(?:{'|'.join(each.strip() for each in words.split(','))})"


def up_to(count: int, words: str) -> str:
    """Return a pattern of at most `count` of several phrases, each with the space after it."""
    return f"(?:{any_of(words)} ){{0,{count}}}"


def is_not(bad: str, good: str) -> str:
    """Return a pattern of a verb with one of the bad words, or of a negated verb with a good one.

    So "is invalid" and "is not valid" are found, and "is valid" and "is not required" are not.
    """
    one = f"{BE}(?:{any_of(bad)}|{NO} (?:is )?{any_of(good)})"
    return f"{one}(?: (?:or|and) {one})?"


BE = up_to(2, "is,has,have,must,already,seems,does")
"""Verbs between a noun and what is said about it."""

NO = any_of(
    "not,cannot,can not,can t,cant,could not,couldn t,do not,don t,dont,does not,doesn t,doesnt,"
    "did not,didn t,isn t,aren t,wasn t,must not,may not,shouldn t,hasn t,no longer,n t"
)
"""A negated verb; "n t" is what is left of a misspelled one."""

_FLAW = any_of(
    "invalid,incorrect,wrong,bad,missing,unknown,empty,malformed,unsupported,inactive,disabled,"
    "not valid,nonexistent,expired,unrecognized"
)
NEG = f"{_FLAW}(?: (?:or|and) {_FLAW})?"
"""What is wrong with the noun that follows."""

NUMBER = "[#$](?: #){0,2}"
"""A number as `simplify` writes it; spaces may separate its thousands."""

AMOUNT = "[$]"
"""An amount of money: not a whole number alone, which may be an id."""

_UNIT = any_of(
    "minutes,minute,seconds,hours,days,day,times,characters,character,character s,chars,lines,"
    "items,field,link,likes,followers,views,members,units,digits"
)
RANGE = (
    f"{NUMBER}(?: {_UNIT})?(?: (?:and |to |or |try )?(?:max )?{NUMBER}(?: {_UNIT})?)?"
    "(?: or (?:less|more|fewer))?"
)
"""One number or two, such as "10-1000", "10 and 1000", "1000 characters"."""

FIELD = "(?:given )?(?:field of )?(?:link|quantity|field|service|min|max)(?: field)?(?: given)?"
FIELDS = f"{FIELD}(?: (?:and |or )?{FIELD}){{0,6}}"
"""One or more fields of an order's form."""

FUNDS = "funds"
PLACE = "(?:funds|account)"
"""Where money is: "funds" is also written for balance and wallet."""
