"""Recognize a refusal by its words, whatever the panel. Pure.

How this works. A text is a refusal only if every word of it belongs to one sentence of this closed
grammar, so whatever else a panel adds makes it unknown again. The sentences are about what a panel
checks before it creates an order: key, funds, service, fields, the link, the rate of requests. The
grammar was written from the texts of 22 code bases of panels (seen); it has rules, not their texts.

Left out on purpose, because some panels send them after an order was created: "unavailable", "not
available", "disabled by provider", "maintenance", "provider", "try again", "later", "temporarily",
"error processing", and a second free sentence.
"""

import re
from collections.abc import Mapping
from functools import cache

from .._text import normalize_text
from ..errors import ErrorKind

__all__ = ["find_kind"]

MAX_CHARACTERS = 160
"""The longest text that is examined. The longest refusal seen has 105 characters."""


def _any(words: str) -> str:
    """Return a pattern of one of several phrases, which are separated by commas."""
    return f"(?:{'|'.join(each.strip() for each in words.split(','))})"


# --- words -------------------------------------------------------------------------------------

_THE = "(?:(?:the|this|your|a|an|selected|given|specified) ){0,2}+"
_NEG = _any("invalid,incorrect,wrong,bad,missing,unknown")
_IS_NOT = _any(
    "invalid,incorrect,wrong,missing,required,not valid,not supported,not allowed,unknown"
)
_NO = _any("not,n t,cannot,can not,can t,could not,do not,don t,does not,doesn t")
_CURRENCY = _any("usd,usdt,usdc,eur,gbp,aed,bdt,brl,egp,idr,inr,mad,ngn,php,pkr,rub,sar,vnd")
# "1,234.50" has become 1_234_50; thousands may also be separated by spaces.
_DIGITS = "(?:[0-9]{1,3}(?: [0-9]{3})++|[0-9]++(?:_[0-9]++)*+)"
_N = f"(?:{_CURRENCY} )?{_DIGITS}(?: {_CURRENCY})?"
# Not a whole number alone, which may be an id.
_AMOUNT = f"(?:{_CURRENCY} {_DIGITS}|{_DIGITS} {_CURRENCY}|[0-9]++(?:_[0-9]++)++)"

_BARE_FIELD = _any(
    "link,links,url,urls,username,usernames,user name,quantity,quantities,order quantity,comment,"
    "comments,hashtag,hashtags,keyword,keywords,group,groups,media,run,runs,interval,"
    "interval time,delay,post,posts,old posts,min,max,minimum,maximum,expiry,expiry date,"
    "answer number,answer_number,country,device,type of traffic,type_of_traffic,service,service id,"
    "services,service_id,action,parameter,parameters,field,fields,value,number,amount,start_at,input,"
    "dripfeed,drip feed,order parameters"
)
_FIELD = f"{_THE}{_BARE_FIELD}(?: (?:field|fields|parameter|parameters|value|format))?"
_FIELDS = f"{_FIELD}(?: (?:and |or )?{_FIELD}){{0,5}}"
_SERVICE = f"{_THE}(?:package or )?(?:service|services|package)(?: id| ids)?"
_ACCOUNT = f"{_THE}(?:user )?(?:account|user)"
_KEY = f"{_THE}(?:api )?(?:key|token)"
_FUNDS = _any("funds,fund,balance,credits,credit,money,account balance,wallet balance")

# --- tails -------------------------------------------------------------------------------------

_PLACE = _any("balance,account,wallet,account balance,wallet balance")
_FUNDS_TAILS = (
    f"(?: (?:on|in) {_THE}{_PLACE}| (?:to|for) (?:place |create |make )?{_THE}order"
    f"| (?:you )?(?:need|needed|required|require|requires)(?: amount)? {_N}"
    f"| {_AMOUNT}| {_N} (?:is )?(?:required|needed)| your balance(?: is)? {_N}){{0,3}}"
)
_WAIT_FOR = (
    f"(?: (?:please )?wait(?: (?:until|for|till) {_THE}(?:previous )?(?:it|order|one)"
    r"(?: (?:is |to be |being |gets |has been )?(?:ends|completes|completed|finished|done))?)?)?"
)
_WAIT_S = (
    f"(?: (?:please )?(?:slow down|(?:wait|retry after|retry in)(?: for)? {_N}"
    " ?(?:s|sec|second|seconds|m|min|minute|minutes)?))?"
)
_RANGE = f"(?: {_DIGITS} {_DIGITS}(?: minutes)?)?"
_LIMITS = f"(?: {_N}(?: (?:and|to|or|try) {_N})?(?: (?:minutes|characters|seconds))?)?"
_BOUND = _any(
    "at least,at most,less than,more than,greater than,not be greater than,not be less than,"
    "not be more than,less than or equal to,greater than or equal to,equal to or greater than,"
    "equal to or less than,higher than,lower than,not less than,not more than,above,below,between,"
    "a multiple of,multiple of,within,in range,out of range,not exceed,exceeds,exceed"
)
_EXTREME = f"{_THE}(?:minimum|maximum|minimal|maximal|min|max)"
_TARGET = f"(?:{_EXTREME}(?: (?:quantity|amount|order|order quantity|number|value|limit))?)"

# --- families ----------------------------------------------------------------------------------

_IN_FORCE = _any(
    "suspended,inactive,disabled,blocked,banned,deactivated,not active,not activated,not found,"
    "does not exist,does not exists,doesn t exist"
)
_ENDED = _any(
    "not found,not found or inactive,does not exist,does not exists,doesn t exist,discontinued,"
    "inactive,not active,disabled,invalid,incorrect,wrong,missing,required,unknown,"
    "not found or disabled,incorrect request,not supported,currently not supported"
)

_FAMILIES: Mapping[ErrorKind, tuple[str, ...]] = {
    ErrorKind.AUTH: (
        f"(?:{_NEG}|inactive|disabled|expired) {_KEY}",
        f"{_KEY}(?: field| parameter)?(?: is)? (?:{_IS_NOT}|inactive|disabled|expired)",
        f"missing required (?:parameter|field) {_KEY}",
        f"{_ACCOUNT} (?:(?:is|has been|was) )?{_IN_FORCE}",
        f"{_THE}api access (?:is |has been )?disabled",
    ),
    ErrorKind.FUNDS: (
        f"(?:insufficient|not enough|low) {_FUNDS}{_FUNDS_TAILS}",
        (
            f"(?:you|user|account) (?:do not|don t|does not|doesn t|dont) have"
            f" (?:enough|sufficient) {_FUNDS}{_FUNDS_TAILS}"
        ),
        (
            f"{_THE}{_FUNDS} (?:is |are )?(?:insufficient|not enough|not sufficient|too low)"
            f"{_FUNDS_TAILS}"
        ),
    ),
    ErrorKind.SERVICE: (
        f"{_NEG} {_SERVICE}",
        f"{_SERVICE} (?:is |was |has been )?{_ENDED}",
        f"no {_SERVICE} found",
        f"{_NEG} {_SERVICE} or quantity",
    ),
    ErrorKind.DUPLICATE: (
        (
            "(?:you (?:already )?have )?(?:an )?active order (?:already exists )?(?:with|for)"
            f" {_THE}(?:same )?link{_WAIT_FOR}"
        ),
        (
            f"you {_NO} (?:start|place|create) {_THE}new order (?:with|for) {_THE}(?:same )?link"
            "(?: (?:that|which) is (?:active processing order|already in progress|in progress"
            f"|active))?{_WAIT_FOR}"
        ),
    ),
    ErrorKind.RATE_LIMIT: (
        f"too many (?:requests|attempts|api requests|calls){_WAIT_S}",
        f"(?:api )?rate limit (?:exceeded|reached){_WAIT_S}",
        f"spam protection{_WAIT_S}",
    ),
    ErrorKind.VALIDATION: (
        f"(?:{_NEG}|duplicate) (?:required )?{_FIELDS}(?: in minutes)?{_RANGE}",
        "(?:incorrect|invalid) request|missing (?:required )?data",
        f"{_FIELDS} (?:is |are |can )?(?:{_IS_NOT}|not empty|not be empty|empty)",
        f"{_NEG} (?:parameters|fields) {_FIELDS} (?:is|are) required",
        f"{_THE}(?:link|url|username|profile|page) (?:is )?not found",
        f"you must fill in {_THE}required fields",
        (
            f"{_FIELD}(?: specified)? (?:is |are |must (?:be |to be )?|should be |can ?not be )?"
            f"{_BOUND}(?: {_TARGET}(?: of)?)?{_LIMITS}"
        ),
        f"{_FIELD} must be {_THE}valid (?:url|link|number|integer|username)",
        f"{_FIELD} must be (?:a |an )?(?:number|integer|string|numeric)",
        f"{_TARGET}(?: (?:is|exceed|exceeds|exceeded|must be|of))?(?: {_TARGET})?{_LIMITS}",
        f"min max (?:order|quantity|amount)(?: is| are)?{_RANGE}",
        f"enter a value (?:above|below) {_TARGET}",
        (
            f"{_THE}(?:dripfeed|drip feed|scheduling) is (?:not supported|not allowed|disabled)"
            f"(?: (?:by|for) {_THE}service)?"
        ),
        f"{_THE}services? does ?n[o ]t support (?:dripfeed|drip feed)(?: feature)?",
    ),
}

_CODE_WORDS: Mapping[ErrorKind, str] = {
    ErrorKind.FUNDS: "not_enough_(?:funds|balance)|insufficient_(?:funds|balance)|low_balance",
    ErrorKind.DUPLICATE: "link_duplicate|duplicate_link|duplicate_order",
    ErrorKind.SERVICE: (
        "(?:invalid|incorrect|wrong|unknown|missing)_service(?:_id)?"
        "|service_(?:id_)?(?:not_found|inactive|invalid|disabled|missing|required)"
    ),
    ErrorKind.AUTH: (
        "(?:invalid|incorrect|wrong|missing)_(?:api_)?key|(?:api_)?key_(?:invalid|missing|required)"
        "|account_(?:inactive|disabled|suspended|blocked|banned)"
    ),
    ErrorKind.RATE_LIMIT: "too_many_(?:requests|attempts|orders)|rate_limit(?:_exceeded)?",
    ErrorKind.VALIDATION: (
        "(?:invalid|incorrect|wrong|bad|missing)_(?:link|url|quantity|username|usernames|comments"
        "|runs|interval|delay|action|parameters|request|min|max|posts|hashtag|hashtags|keywords)"
        "|(?:link|url|quantity|username|comments|runs|interval|delay|action)_(?:not_found|invalid"
        "|required|missing)|(?:min|max|not_enough|minimum|maximum)_quantity"
        "|quantity_(?:min|max|too_low|too_high)"
    ),
}
"""Codes, alone or after words such as `neworder.error.`, in which "." separates words."""

_CODE = "(?:(?:neworder|order|error|errors|api|add|validation) ){0,3}"


@cache
def _patterns() -> tuple[tuple[ErrorKind, re.Pattern[str]], ...]:
    """Return the pattern of each kind, compiled when it is first needed: it takes 20 ms."""
    return tuple(
        (kind, re.compile(f"(?:{'|'.join(sentences)}|{_CODE}(?:{_CODE_WORDS.get(kind, '(?!)')}))"))
        for kind, sentences in _FAMILIES.items()
    )


_SEPARATOR = re.compile("(?<=[0-9])[.,'](?=[0-9])")


def find_kind(text: str) -> ErrorKind | None:
    """Return the kind of a refusal that says that no order was created; None if it may not be."""
    if len(text) > MAX_CHARACTERS:
        return None
    words = normalize_text(_SEPARATOR.sub("_", text))
    return next((kind for kind, pattern in _patterns() if pattern.fullmatch(words)), None)
