"""How an answer looks on the wire: PHP's JSON, and what each fault makes of it. Pure."""

import json
from collections.abc import Callable, Mapping

import attrs
from attrs import field, frozen

from .answers import Answer
from .faults import Fault, ScriptedFault

__all__ = ["Reply", "faulty_reply", "php_json", "plain_reply"]

_ODD_ORDER: Mapping[str, Answer] = {
    "status": "In moderation",
    "charge": "1,234.5",
    "start_count": "N/A",
    "remains": "N/A",
}
_ODD_SERVICE: Mapping[str, Answer] = {
    "rate": "1,234.5",
    "min": "N/A",
    "type": "Something New",
    "dripfeed": "maybe",
    "refill": "maybe",
    "cancel": "maybe",
}
_ODD_REFILL_STATUS: Mapping[str, Answer] = {"status": "In moderation"}
_ODD_DEED: Mapping[str, Answer] = {"refill": "N/A", "cancel": "N/A"}

_PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_NOTICE = (
    "<br />\n<b>Notice</b>:  Undefined index: provider in "
    "<b>/var/www/html/app/api.php</b> on line <b>214</b><br />\n"
)


@frozen(kw_only=True)
class Reply:
    """What goes back, once the action is carried out or not."""

    body: bytes = b""
    """The body as it is sent, without any coding."""
    http_status: int = 200
    """The number of the status line."""
    headers: Mapping[str, str] = field(factory=dict[str, str])
    """Further headers; Content-Type is always the panel's `text/html; charset=UTF-8` (seen)."""
    wait_s: float = 0
    """Real seconds before it is sent."""
    is_dropped: bool = False
    """True: nothing is sent, the connection is cut."""


def plain_reply(answer: Answer) -> Reply:
    """Give the reply of a panel in good health."""
    return Reply(body=php_json(answer).encode())


def faulty_reply(scripted: ScriptedFault, carry_out: Callable[[], Answer], moved: str) -> Reply:
    """Give the reply of a request that meets a fault; `moved` is where redirects point at first.

    `carry_out` is called once or not at all, as the fault has it.
    """
    answer = carry_out() if scripted.is_applied else None
    if scripted.fault in _SPOILED:
        return _SPOILED[scripted.fault](answer)
    if scripted.fault is Fault.DELAY:
        return attrs.evolve(plain_reply(answer), wait_s=scripted.delay_s)
    if scripted.fault is Fault.RATE_LIMIT:
        return _too_many(scripted.retry_after_s)
    if scripted.fault is Fault.REDIRECT:
        return Reply(http_status=307, headers={"Location": scripted.location or moved})
    return _FIXED[scripted.fault]


def php_json(answer: Answer) -> str:
    r"""Encode as PHP's `json_encode` with JSON_PRETTY_PRINT does: 4 blanks, `\/`, `\uXXXX`.

    A PHP array that is empty, or whose keys run 0, 1, 2, …, is printed as a list (seen).
    """
    # A slash stands in texts only, so the finished text can be searched for it.
    return json.dumps(_as_php(answer), indent=4).replace("/", "\\/")


def _as_php(answer: Answer) -> Answer:
    if isinstance(answer, list):
        return [_as_php(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    if all(key == str(place) for place, key in enumerate(answer)):
        return [_as_php(item) for item in answer.values()]
    return {key: _as_php(item) for key, item in answer.items()}


def _page(title: str, http_status: int, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(http_status=http_status, headers=headers or {}, body=_PAGE.format(title).encode())


def _odd_answer(answer: Answer) -> Answer:
    """Make the first row odd in the fields that it has; an answer without rows stays."""
    if isinstance(answer, list):
        return [_odd_row(row) if place == 0 else row for place, row in enumerate(answer)]
    if not isinstance(answer, dict):
        return answer
    if "start_count" in answer:
        return _odd(answer, _ODD_ORDER)
    for key, row in answer.items():
        if isinstance(row, dict) and "status" in row:
            return answer | {key: _odd(row, _ODD_ORDER)}
    return answer


def _odd_row(row: Answer) -> Answer:
    """Make the row of a list odd: a service, the status of a refill, or a refill or cancel."""
    if isinstance(row, dict) and "service" not in row:
        return _odd(row, _ODD_REFILL_STATUS if "status" in row else _ODD_DEED)
    return _odd(row, _ODD_SERVICE)


def _odd(row: Answer, odd: Mapping[str, Answer]) -> Answer:
    if not isinstance(row, dict):
        return row
    return {key: odd.get(key, value) for key, value in row.items()}


def _too_many(retry_after_s: int) -> Reply:
    text = f"Too many requests, please wait {retry_after_s} seconds"
    headers = {"Retry-After": str(retry_after_s)}
    return Reply(http_status=429, headers=headers, body=php_json({"error": text}).encode())


def _first_half(answer: Answer) -> Reply:
    whole = php_json(answer).encode()
    return Reply(body=whole[: len(whole) // 2])


def _noticed(answer: Answer) -> Reply:
    return Reply(body=(_NOTICE + php_json(answer)).encode())


def _with_odd_row(answer: Answer) -> Reply:
    return plain_reply(_odd_answer(answer))


_SPOILED: Mapping[Fault, Callable[[Answer], Reply]] = {
    Fault.PHP_NOTICE: _noticed,
    Fault.TRUNCATED_BODY: _first_half,
    Fault.MALFORMED_ROW: _with_odd_row,
}

_FIXED: Mapping[Fault, Reply] = {
    Fault.HTTP_500: Reply(http_status=500),
    Fault.HTTP_502: _page("502 Bad Gateway", 502),
    Fault.HTTP_503: _page("503 Service Temporarily Unavailable", 503),
    Fault.HTML_PAGE: _page("We will be back soon", 200),
    Fault.EMPTY: Reply(),
    Fault.DROP_BEFORE: Reply(is_dropped=True),
    Fault.DROP_AFTER: Reply(is_dropped=True),
    Fault.BLOCKED: _page("Just a moment...", 403, {"cf-mitigated": "challenge"}),
}
