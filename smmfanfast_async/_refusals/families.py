"""The sentences of refusals, by kind, as regular expressions over simplified text. Pure.

They are about what a panel checks before it creates an order: key, funds, service, fields, the
link, the rate of requests. They were written from the texts of 22 code bases of panels (seen); they
are rules, not those texts. `words` says which words are written for which.
"""

from collections.abc import Mapping

from ..errors import ErrorKind
from .words import (
    AMOUNT,
    BE,
    FIELD,
    FIELDS,
    FUNDS,
    NEG,
    NO,
    NUMBER,
    PLACE,
    RANGE,
    any_of,
    is_not,
    up_to,
)

__all__ = ["HINTS", "PREFIX", "READ_SENTENCES", "SENTENCES"]

PREFIX = up_to(
    3,
    "error,errors,err,sorry,oops,warning,validation error,validation failed,validation,bad request,"
    "unauthorized,forbidden,access denied,authentication failed,authentication error,neworder,add",
)
"""Words in front of a sentence, such as "Error:" and the first parts of a code."""

_GIVEN = "(?: (?:given|found))?"

# --- authentication ------------------------------------------------------------------------------

_KEY_IS_NOT = is_not(
    "invalid,incorrect,wrong,missing,required,unknown,empty,expired,revoked,inactive,disabled,"
    "blocked,banned,suspended,deactivated,mandatory",
    "valid,correct,found,active,given,recognized,set,exist,exists,accepted,empty,match,enabled",
)
_ACCOUNT_IS_NOT = is_not(
    "suspended,inactive,disabled,blocked,banned,deactivated,restricted,terminated,closed,locked,"
    "unverified",
    "active,activated,found,verified,exist,exists,allowed,enabled,approved",
)
_API_IS_NOT = is_not(
    "disabled,blocked,restricted,suspended,denied,inactive,revoked",
    "enabled,allowed,active,activated,permitted,granted",
)
_AUTH = (
    f"(?:{NEG}|revoked|no) key(?: field)?{_GIVEN}(?: or account {_ACCOUNT_IS_NOT})?",
    f"(?:given )?key(?: field)? {_KEY_IS_NOT}",
    "please (?:provide|enter|supply|specify|send|use|check) (?:valid |correct )?key",
    f"account {_ACCOUNT_IS_NOT}",
    f"(?:no|no such|unknown|{NEG}|banned|suspended|blocked) account{_GIVEN}",
    f"(?:account|you) {NO} have api access",
    f"api(?: access)? {_API_IS_NOT}(?: (?:for|on|in) account| not found)?",
)

# --- funds ---------------------------------------------------------------------------------------

_FOR_ORDER = "(?:to|for) (?:place |create |make |complete |submit |pay for |pay )?order"
_TOP_UP = (
    "(?:please )?(?:add|top up|topup|deposit|recharge|refill|load)"
    f"(?: (?:more )?{FUNDS})?(?: (?:(?:to|in|into|on) )?{PLACE})?(?: first)?"
)
_SUM = any_of(
    "required,need,needed,needs,requires,require,have,but have,only have,available,cost,current,"
    "order cost,order price,order total,total,total cost,total price,price,charge,order charge,"
    "shortfall,need at least,funds,current funds,required funds,remaining,remaining funds"
)
_FUNDS_TAIL = (
    f"(?:(?:on|in) {PLACE}|{_FOR_ORDER}|{_TOP_UP}"
    f"|{AMOUNT}(?: (?:is )?(?:required|needed|more))?"
    f"|(?:and )?(?:but you |you |your )?{_SUM}(?: field)?(?: is| of)? {NUMBER}(?: more)?)"
)
_FUNDS_TAILS = f"(?: {_FUNDS_TAIL}){{0,3}}"
_ENOUGH = "(?:enough|sufficient|adequate|any)"
_TOO_LITTLE = "(?:insufficient|insufficent|not enough|not sufficient|inadequate|low|no)"
_FUNDS = (
    f"{_TOO_LITTLE} (?:account )?{FUNDS}{_FUNDS_TAILS}",
    f"(?:you|{PLACE}) {NO} have {_ENOUGH} {FUNDS}{_FUNDS_TAILS}",
    f"(?:you|{PLACE}) (?:have|has) {_TOO_LITTLE} {FUNDS}{_FUNDS_TAILS}",
    f"{FUNDS} {is_not('insufficient,too low,low', 'enough,sufficient,adequate')}{_FUNDS_TAILS}",
)

# --- service -------------------------------------------------------------------------------------

_ID = "(?: #)?"
"""The id of a service, right behind that word."""

_SERVICE = "(?:given )?service"
_SERVICE_IS_NOT = is_not(
    "discontinued,inactive,disabled,invalid,incorrect,wrong,missing,unknown,incorrect request,"
    "deactivated,removed,deleted,nonexistent,expired,unsupported,suspended,paused,closed",
    "found,exist,exists,active,activated,supported,valid,enabled,correct,recognized,offered",
)
_WITH_ID = f"(?: (?:with|for|by) (?:given )?id{_ID})?"
_SERVICES = (
    f"{NEG} {_SERVICE}{_ID}{_GIVEN}",
    f"{NEG} {_SERVICE} or quantity",
    f"{_SERVICE}{_ID}{_WITH_ID} {_SERVICE_IS_NOT}{_ID}",
    f"no (?:active |matching )?{_SERVICE}{_GIVEN}{_WITH_ID}",
    f"please (?:select|choose|specify|provide|enter|use) (?:valid|active|correct) {_SERVICE}",
    f"{_SERVICE} {NO} is ordered (?:over|via|through|with|using|from) api",
    "ordering is (?:disabled|suspended|closed)",
    f"you (?:is not allowed to use|{NO} have access to) service",
)

# --- duplicate -----------------------------------------------------------------------------------

_END = any_of("ends,end,completes,complete,completed,finished,finish,finishes,done,over")
_EARLIER = "(?:(?:previous|current|existing|active|last) )"
_WAIT_FOR = (
    f"(?: (?:please )?wait(?: (?:until|for|till|before) {_EARLIER}?(?:it|order|one)"
    f"(?: (?:(?:is|to is|to|gets|will is) )?{_END})?| for {_EARLIER}(?:to )?{_END})?"
    "(?: before (?:placing|creating|submitting|making|ordering) (?:new|another) (?:one|order))?)?"
)
_SAME_LINK = "(?:with|for|on|to|using|in) link"
_EXISTS = any_of("exists,exist,found,active,in progress,detected")
_OPEN = any_of("active,pending,existing,open,ongoing,unfinished,in progress")
_DUPLICATE = (
    (
        f"(?:(?:you|we|there|account) )?(?:already )?(?:have|has|is|s) (?:already )?(?:another )?"
        f"{_OPEN} order (?:already )?(?:{_EXISTS} )?{_SAME_LINK}{_WAIT_FOR}"
    ),
    f"(?:active|existing) order {_SAME_LINK}{_WAIT_FOR}",
    f"(?:another )?{_OPEN} order (?:already )?{_EXISTS} {_SAME_LINK}{_WAIT_FOR}",
    f"another {_OPEN} order {_SAME_LINK}{_WAIT_FOR}",
    (
        f"(?:another )?(?:(?:active|existing) )?order {_SAME_LINK} (?:is )?already {_EXISTS}"
        f"{_WAIT_FOR}"
    ),
    f"another order {_SAME_LINK} (?:is )?{_EXISTS}{_WAIT_FOR}",
    (
        "(?:you )?(?:already )?have (?:another )?order (?:already )?"
        f"(?:in progress|active|pending) {_SAME_LINK}{_WAIT_FOR}"
    ),
    (
        f"you {NO} (?:start|place|create|submit|make) (?:new|another) order {_SAME_LINK}(?: (?:is |"
        "which is )?(?:active processing order|already in progress|in progress|active))?"
        f"{_WAIT_FOR}"
    ),
    (
        "duplicate (?:orders?|link)(?: (?:detected|found|exists|(?:is )?not allowed))?"
        f"(?: {_SAME_LINK})?{_WAIT_FOR}"
    ),
    f"link (?:is )?already (?:in use|in progress|active){_WAIT_FOR}",
    f"link (?:already )?has {_OPEN} order{_WAIT_FOR}",
    f"{_OPEN} order (?:already )?exists",
    "link duplicate",
)

# --- rate limit ----------------------------------------------------------------------------------

_PERIOD = any_of("second,sec,minute,min,hour,day")
_TIME = f"{NUMBER} ?(?:s|sec|secs|second|seconds|m|min|mins|minute|minutes)?"
_CALLS = any_of("requests,request,api requests,api calls,api,calls,attempts,rate,queries")
_WAIT_S = (
    "(?: (?:(?:please )?(?:slow down|wait (?:moment|minute|few seconds)"
    f"|(?:wait|retry after|retry in|try again in|try again after)(?: for)? {_TIME}|wait)"
    f"|(?:(?:max|limit|limit is) )?{NUMBER} (?:requests|calls)"
    f" (?:per|in|every|min)(?: #)?(?: {_PERIOD})?"
    ")){0,2}"
)
_LIMITED = "(?:is )?(?:exceeded|reached|hit)"
_RATE_LIMIT = (
    (
        f"too many (?:failed |login |concurrent |api )?{_CALLS}(?: from (?:ip|key|account))?"
        f"{_WAIT_S}"
    ),
    "too many orders",
    f"(?:api |key )?(?:{_CALLS} )?(?:rate )?limit {_LIMITED}{_WAIT_S}",
    f"(?:daily|hourly|monthly) (?:{_CALLS} )?limit {_LIMITED}{_WAIT_S}",
    f"you (?:have |ve )?(?:exceeded|reached|hit) (?:api )?(?:rate|requests?|api) limit{_WAIT_S}",
    f"you is sending too many {_CALLS}{_WAIT_S}",
    f"(?:you is |you re )?(?:is )?rate (?:limited|limit){_WAIT_S}",
    f"spam protection{_WAIT_S}",
)

# --- fields and limits ---------------------------------------------------------------------------

_FOR_SERVICE = "(?: (?:for|of|by|on|in) (?:given )?service)?"
_ALLOWED = "(?: (?:allowed|permitted|required))?"
_MIN = f"(?:(?:allowed|permitted|required|service) )?(?:min|max){_ALLOWED}"
_OF_QUANTITY = "(?: order(?: limit)?)?(?: (?:quantity|field|limits?|size)){1,2}"
_VALUE = f"{_ALLOWED}{_FOR_SERVICE}(?: (?:is|of|must|must is))?(?: {RANGE})?{_ALLOWED}"
# "maximum order 12345" at the end of a sentence may name an order.
_LIMIT = f"{_MIN}(?:(?:{_OF_QUANTITY})?{_VALUE}| order(?! [#$]))"
"""A limit, such as "the minimum order quantity for this service is 100"."""

_THAN = "(?:less|more|greater|lower|higher|smaller|bigger|larger|fewer|much) (?:than|then)"
_BOUND = any_of(
    f"{_THAN}(?: or equal(?: to)?)?|equal(?: to)? or {_THAN}|equal to or {_THAN},at least,at most,"
    "atleast,atmost,below,above,under,over,between,from,within,multiples? of,divisible by,outside,"
    "outside of,exceeds?,exceeded,exceeding,up to,no less than,no more than,in range,in range of,"
    "out of range,out of limits,out of bounds,min,max"
)
_MODAL = any_of("is,must,can,may,cannot,can not,can t,cant,must not,may not,does not,not,shouldn t")
_LIMITS = f"(?: (?:and |or |of )?(?:{_LIMIT}|{RANGE}|range|limits?|zero|one))"
_IS_OUT_OF_BOUNDS = (
    f"(?:{_MODAL} )?(?:not )?(?:is |to is |contain |have )?{_BOUND}{_LIMITS}{{0,3}}{_FOR_SERVICE}"
)
_TOO = "(?:too|very) (?:low|high|small|large|big|short|long|many|few|little|much)"
_FIELD_IS_NOT = is_not(
    "invalid,incorrect,wrong,missing,required,unknown,empty,blank,mandatory,malformed,unsupported,"
    "required field,not numeric,hidden,private,in past",
    "valid,correct,supported,allowed,given,set,numeric,empty,blank,null,zero,negative,field,"
    "integer,valid link,accepted,recognized,in range,allowed to is empty,public,accessible",
)
_TYPE = any_of(
    "link,field,integer,int,numeric,string,array,positive integer,positive field,whole field,"
    "positive whole field,"
    "numeric field,valid field,valid link,valid integer,valid"
)
_ENTER = any_of(
    "enter,provide,specify,input,fill,fill in,fill out,select,choose,use,add,supply,submit,send,"
    "check,give,write"
)
_TWO = f"{NUMBER} (?:to |and )?{NUMBER}(?: minutes)?"
"""Two numbers: one alone may be an id."""

_PLATFORM = any_of("instagram,facebook,youtube,tiktok,twitter,telegram,spotify")
_FEATURE = "(?:field|drip feed|scheduling)(?: feature)?"
_VALIDATION = (
    f"(?:{NEG}|duplicate) (?:required )?{FIELDS}(?: in minutes)?{_GIVEN}(?: {_TWO})?",
    f"no {FIELDS} given",
    "(?:incorrect|invalid|malformed|incomplete) (?:request|payload|body|json)",
    "missing required field",
    "validation (?:failed|errors?)|given field is invalid",
    (
        f"(?:link |field |quantity |service )?{FIELDS} {_FIELD_IS_NOT}"
        f"(?: when {FIELD} is (?:present|set))?{_FOR_SERVICE}"
    ),
    f"(?:{NEG}|required) field {FIELDS} is required",
    "missing required field (?:key|order)",
    f"(?:one or more |some )?required {FIELDS} (?:is )?(?:missing|empty|not given|not set)",
    f"{FIELDS} {BE}{_TOO}",
    (
        f"(?:please|you must|must) {_ENTER} (?:(?:valid|correct|proper|required|positive"
        f"|at least {NUMBER}) ){{0,2}}{FIELDS}"
    ),
    f"(?:link |field |quantity |service )?{FIELD} {_IS_OUT_OF_BOUNDS}",
    f"link {is_not('deleted,removed', 'found,exist,exists,reachable,accessible')}",
    f"must is {_BOUND}{_LIMITS}{{0,3}}",
    f"(?:link |field |quantity |service )?{FIELD} must (?:only )?is {_TYPE}",
    f"{FIELDS} is required and must is {_TYPE}",
    f"{FIELD} must (?:start|begin) with https?(?: or https?)?",
    f"{_MIN} orders?(?: is)? [#$](?: (?:and )?{_MIN}(?: orders?)?(?: is)? [#$])?",
    "order (?:min|max)(?: is)? [#$]",
    f"quantity # {_IS_OUT_OF_BOUNDS}",
    f"min max (?:order|quantity|field)(?: is)?(?: {RANGE})?",
    (
        f"{_LIMIT}(?: (?:is )?(?:exceeded|exceeds|exceed|reached))?(?: (?:and |or )?{_LIMIT})?"
        f"{_FOR_SERVICE}"
    ),
    f"at least {NUMBER} {FIELDS}(?: is)? required",
    f"enter field (?:above|below) {_LIMIT}",
    (
        f"{_FEATURE} {is_not('disabled,unsupported', 'supported,allowed,enabled,permitted')}"
        "(?: (?:by|for|on|in|with) service)?"
    ),
    f"service {NO} (?:support|allow|accept|have) {_FEATURE}",
    (f"(?:{_PLATFORM} )?(?:link|account) (?:is|must not is) (?:private|hidden)"),
    f"(?:each )?{FIELD} must is {RANGE}",
    "duplicate field is not allowed(?: in one order)?",
    "not enough quantity",
)

SENTENCES: Mapping[ErrorKind, tuple[str, ...]] = {
    ErrorKind.AUTH: _AUTH,
    ErrorKind.FUNDS: _FUNDS,
    ErrorKind.SERVICE: _SERVICES,
    ErrorKind.DUPLICATE: _DUPLICATE,
    ErrorKind.RATE_LIMIT: _RATE_LIMIT,
    ErrorKind.VALIDATION: _VALIDATION,
}
"""Each proves that no order was created, if it is the whole of a text. The first kind counts."""

HINTS = (
    "(?:please )?(?:check|read|see) (?:api )?(?:manual|documentation|docs)",
    "(?:please )?contact (?:with )?(?:customer )?(?:support|administrator|admin|us)(?: team)?",
    f"(?:please )?(?:check|verify|correct) (?:{FIELDS}|funds|key|request)",
    "(?:for|in|of) (?:service|request)",
    "and # more errors?",
    "one field per line",
    (
        "(?:please )?(?:use|enter|provide) (?:(?:direct|valid|correct|full|public) )?"
        f"(?:{_PLATFORM} )?link(?: (?:reel|or link))?(?: link)?"
    ),
    f"{_FUNDS_TAIL}(?: {_FUNDS_TAIL}){{0,3}}",
    _TOP_UP,
)
"""What may follow any sentence: what to read, whom to ask, what to correct (seen)."""

# --- calls that cannot create an order -----------------------------------------------------------

_ORDER = (
    "(?:given )?(?:order|orders|refill|refills|refill request|refill task|task)(?: ids?| s| id s)?"
)
_ORDER_ID = "(?: (?:#|[0-9a-z]{1,36}))?"
_DONE = any_of(
    "refilled,canceled,cancelled,processed,found,eligible,allowed,supported,enabled,possible,"
    "available,cancelable,cancellable,refillable,given"
)
READ_SENTENCES: Mapping[ErrorKind, tuple[str, ...]] = {
    ErrorKind.NOT_FOUND: (
        f"{NEG} {_ORDER}{_ORDER_ID}{_GIVEN}",
        (
            f"{_ORDER}{_ORDER_ID}"
            f" {is_not('invalid,incorrect,wrong,unknown,nonexistent', 'found,exist,exists,valid')}"
        ),
        f"no (?:such )?{_ORDER}(?: (?:is )?found)?(?: (?:with|for|by) (?:given )?(?:order )?ids?)?",
        f"no {_ORDER} is placed with order id",
        f"{_ORDER} {NO} belong to (?:you|account)",
        "order incorrect request",
    ),
    ErrorKind.VALIDATION: (
        f"{_ORDER}(?: or {_ORDER})?(?: field)? (?:is )?(?:required|missing)(?: field)?",
        f"{_ORDER} not found or {NO} (?:is )?{_DONE}(?: for (?:refill|cancel|cancellation))?",
        (
            f"(?:{_ORDER}|cancellation|refilling|cancel) (?:is |can )?{NO} (?:longer )?(?:is )?"
            f"{_DONE}(?: (?:for|by|to) (?:refill|service|order|cancel|cancellation))?"
        ),
        "order can no longer is (?:refilled|canceled|cancelled)",
        (
            "you is not (?:eligible|allowed) to (?:send |request )?(?:refill|cancel)"
            "(?: request| order)?"
        ),
        f"{_ORDER} (?:is |has )?already (?:is )?(?:refilled|canceled|cancelled|completed|given)",
        "refill period has expired",
        "order must is completed before it can is refilled",
        f"no more than {NUMBER} {_ORDER} per request|too many (?:orders|refills|ids)",
    ),
}
"""Sentences about orders and refills. An `add` that is answered so may have created an order."""
