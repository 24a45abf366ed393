"""Encode answers as HTTP replies: PHP's JSON, and the effect of each fault. Pure."""

import json
from collections.abc import Callable, Mapping

import attrs
from attrs import field, frozen

from .answers import Answer
from .faults import Fault, ScriptedFault

__all__ = ["HttpReply", "build_faulty_reply", "build_reply", "encode_php_json", "reply_to"]

_MALFORMED_ORDER: Mapping[str, Answer] = {
    "status": "In moderation",
    "charge": "1,234.5",
    "start_count": "N/A",
    "remains": "N/A",
}
_MALFORMED_SERVICE: Mapping[str, Answer] = {
    "rate": "1,234.5",
    "min": "N/A",
    "type": "Something New",
    "dripfeed": "maybe",
    "refill": "maybe",
    "cancel": "maybe",
}
_MALFORMED_REFILL_STATUS: Mapping[str, Answer] = {"status": "In moderation"}
_MALFORMED_ACTION_RESULT: Mapping[str, Answer] = {"refill": "N/A", "cancel": "N/A"}

_PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_NOTICE = (
    "<br />\n<b>Notice</b>:  Undefined index: provider in "
    "<b>/var/www/html/app/api.php</b> on line <b>214</b><br />\n"
)


@frozen(kw_only=True)
class HttpReply:
    """The HTTP reply to one request."""

    body: bytes = b""
    """The body as it is sent, without a content encoding."""
    http_status: int = 200
    """The HTTP status code."""
    headers: Mapping[str, str] = field(factory=dict[str, str])
    """Additional headers; Content-Type is always the panel's `text/html; charset=UTF-8` (seen)."""
    wait_s: float = 0
    """Delay before it is sent, in real seconds."""
    is_dropped: bool = False
    """Whether the connection is aborted instead of sending anything."""


def build_reply(answer: Answer) -> HttpReply:
    """Return the reply of a panel without faults."""
    return HttpReply(body=encode_php_json(answer).encode())


def reply_to(
    scripted: ScriptedFault | None, apply: Callable[[], Answer], find_location: Callable[[], str]
) -> HttpReply:
    """Return the reply to a request that meets a fault, or none.

    `find_location` returns the target of redirects without one; see `build_faulty_reply`.
    """
    if scripted is None:
        return build_reply(apply())
    return build_faulty_reply(scripted, apply, find_location())


def build_faulty_reply(
    scripted: ScriptedFault, apply: Callable[[], Answer], default_location: str
) -> HttpReply:
    """Return the reply to a request that meets a fault.

    `apply` executes the action; it is called once or not at all, depending on the fault. Redirects
    without a `location` point to `default_location`.
    """
    answer = apply() if scripted.is_applied else None
    if scripted.fault in _ALTERED_REPLIES:
        return _ALTERED_REPLIES[scripted.fault](answer)
    if scripted.fault is Fault.DELAY:
        return attrs.evolve(build_reply(answer), wait_s=scripted.delay_s)
    if scripted.fault is Fault.RATE_LIMIT:
        return _rate_limit_reply(scripted.retry_after_s)
    if scripted.fault is Fault.REDIRECT:
        return HttpReply(
            http_status=307, headers={"Location": scripted.location or default_location}
        )
    return _FIXED_REPLIES[scripted.fault]


def encode_php_json(answer: Answer) -> str:
    r"""Encode like PHP's `json_encode` with JSON_PRETTY_PRINT: 4 spaces, `\/`, `\uXXXX`.

    A PHP array that is empty, or whose keys run 0, 1, 2, …, is printed as a list (seen).
    """
    # Slashes occur only inside strings, so they can be replaced in the encoded text.
    return json.dumps(_to_php(answer), indent=4).replace("/", "\\/")


def _to_php(answer: Answer) -> Answer:
    if isinstance(answer, list):
        return [_to_php(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    if all(key == str(index) for index, key in enumerate(answer)):
        return [_to_php(item) for item in answer.values()]
    return {key: _to_php(item) for key, item in answer.items()}


def _page_reply(
    title: str, http_status: int, headers: Mapping[str, str] | None = None
) -> HttpReply:
    return HttpReply(
        http_status=http_status, headers=headers or {}, body=_PAGE.format(title).encode()
    )


def _malform_first_row(answer: Answer) -> Answer:
    """Return the answer with a malformed first row; one without rows is returned unchanged."""
    if isinstance(answer, list):
        return [_malform_list_row(row) if index == 0 else row for index, row in enumerate(answer)]
    if not isinstance(answer, dict):
        return answer
    if "start_count" in answer:
        return _replace_fields(answer, _MALFORMED_ORDER)
    for key, row in answer.items():
        if isinstance(row, dict) and "status" in row:
            return answer | {key: _replace_fields(row, _MALFORMED_ORDER)}
    return answer


def _malform_list_row(row: Answer) -> Answer:
    """Return a malformed row of a list: a service, a refill status, or a refill or cancel."""
    if isinstance(row, dict) and "service" not in row:
        return _replace_fields(
            row, _MALFORMED_REFILL_STATUS if "status" in row else _MALFORMED_ACTION_RESULT
        )
    return _replace_fields(row, _MALFORMED_SERVICE)


def _replace_fields(row: Answer, replacements: Mapping[str, Answer]) -> Answer:
    if not isinstance(row, dict):
        return row
    return {key: replacements.get(key, value) for key, value in row.items()}


def _rate_limit_reply(retry_after_s: int) -> HttpReply:
    text = f"Too many requests, please wait {retry_after_s} seconds"
    headers = {"Retry-After": str(retry_after_s)}
    return HttpReply(
        http_status=429, headers=headers, body=encode_php_json({"error": text}).encode()
    )


def _truncated_reply(answer: Answer) -> HttpReply:
    whole = encode_php_json(answer).encode()
    return HttpReply(body=whole[: len(whole) // 2])


def _php_notice_reply(answer: Answer) -> HttpReply:
    return HttpReply(body=(_NOTICE + encode_php_json(answer)).encode())


def _malformed_row_reply(answer: Answer) -> HttpReply:
    return build_reply(_malform_first_row(answer))


_ALTERED_REPLIES: Mapping[Fault, Callable[[Answer], HttpReply]] = {
    Fault.PHP_NOTICE: _php_notice_reply,
    Fault.TRUNCATED_BODY: _truncated_reply,
    Fault.MALFORMED_ROW: _malformed_row_reply,
}

_FIXED_REPLIES: Mapping[Fault, HttpReply] = {
    Fault.HTTP_500: HttpReply(http_status=500),
    Fault.HTTP_502: _page_reply("502 Bad Gateway", 502),
    Fault.HTTP_503: _page_reply("503 Service Temporarily Unavailable", 503),
    Fault.HTML_PAGE: _page_reply("We will be back soon", 200),
    Fault.EMPTY: HttpReply(),
    Fault.DROP_BEFORE: HttpReply(is_dropped=True),
    Fault.DROP_AFTER: HttpReply(is_dropped=True),
    Fault.BLOCKED: _page_reply("Just a moment...", 403, {"cf-mitigated": "challenge"}),
}
