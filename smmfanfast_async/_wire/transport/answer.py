"""An answer as it comes in: its bytes up to a cap, and what its headers say."""

import time
import zlib
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs
from multidict import istr

from ..._secrets import Secret
from ..._text import raw_text
from ...errors import InvalidResponseError
from ...results import Response

__all__ = ["build_response", "read_body", "parse_retry_after"]

MIN_TIMESTAMP_S = 10**9
"""From here on a reset is a moment, seconds since 1970, and not a span: it is in the year 2001."""

MAX_SECONDS_DIGITS = 12
"""Digits of a number of seconds; with more it is no number that anyone meant."""

SHORT_BODY_BYTES = 256 * 1024
"""An answer up to here is read and looked through at once, in a tenth of a millisecond. A longer
one goes chunk by chunk: 32 MB at once would be 10 ms for which nobody else has a turn."""

_RATE_LIMIT_RESET, _CF_MITIGATED = istr("X-RateLimit-Reset"), istr("cf-mitigated")


async def read_body(
    response: aiohttp.ClientResponse, max_bytes: int, action: str | None, secret: Secret
) -> bytes:
    """Read an answer up to a cap that holds for the sent and for the unpacked bytes alike.

    Unpacked here and not by aiohttp, whose chunks may be tens of megabytes: of a bomb no more than
    the cap is ever made. A panel may say the key back ("Invalid API key: …", a PHP notice with the
    whole form): from here on `***` stands for it, wherever the answer is kept or shown.
    """
    headers = response.headers
    if hdrs.CONTENT_ENCODING not in headers and hdrs.TRANSFER_ENCODING not in headers:
        length = response.content_length
        if length is not None and length <= min(max_bytes, SHORT_BODY_BYTES):
            # Whoever says so sends no more: what is longer is no part of this answer to aiohttp.
            return secret.mask_bytes(await response.read())
    decompressor = _create_decompressor(headers.get(hdrs.CONTENT_ENCODING, ""))
    body = bytearray()
    received = 0
    async for chunk in response.content.iter_any():
        received += len(chunk)
        length_before = len(body)
        body += (
            chunk
            if decompressor is None
            else decompressor.decompress(chunk, max_bytes + 1 - len(body))
        )
        is_over = len(body) > max_bytes or received > max_bytes
        secret.mask_in_place(body, length_before)
        if is_over:
            response.close()
            text = f"the answer is longer than {max_bytes} bytes"
            # The caps are far beyond what it keeps: no key that is cut at the end is in it.
            error = InvalidResponseError(text, http_status=response.status, action=action)
            raise error.with_raw(raw_text(bytes(body)))
    if decompressor is not None and not decompressor.eof:
        raise aiohttp.ClientPayloadError("the packed answer is cut")
    return bytes(body)


def _create_decompressor(encoding: str) -> "zlib._Decompress | None":
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            # 32 above the largest window: zlib finds out by itself which of the two it is.
            return zlib.decompressobj(wbits=zlib.MAX_WBITS + 32)
        case _:
            raise aiohttp.ClientPayloadError("packed in a way that was not asked for")


def build_response(response: aiohttp.ClientResponse, body: bytes, secret: Secret) -> Response:
    """Put together what decoding needs of an answer."""
    headers = response.headers
    if response.status == HTTPStatus.OK:
        # Neither redirected nor challenged.
        return Response(
            status=200, body=body, retry_after_s=parse_retry_after(headers, time.time())
        )
    location = headers.get(hdrs.LOCATION)
    return Response(
        status=response.status,
        body=body,
        retry_after_s=parse_retry_after(headers, time.time()),
        location=None if location is None else secret.mask_text(location),
        is_challenge=headers.get(_CF_MITIGATED, "").lower() == "challenge",
    )


def parse_retry_after(headers: Mapping[str, str], now_s: float) -> float | None:
    """Read Retry-After (seconds or a date) or X-RateLimit-Reset (seconds, or seconds since 1970).

    None for what is neither, or lies in the past.
    """
    if hdrs.RETRY_AFTER not in headers and _RATE_LIMIT_RESET not in headers:
        return None
    reset_s = _parse_seconds(headers.get(_RATE_LIMIT_RESET, ""))
    if reset_s is not None and reset_s >= MIN_TIMESTAMP_S:
        reset_s = max(reset_s - now_s, 0.0)
    text = headers.get(hdrs.RETRY_AFTER, "")
    wait_s = _parse_seconds(text)
    if wait_s is None:
        try:
            wait_s = parsedate_to_datetime(text).timestamp() - now_s
        except (ValueError, TypeError):
            return reset_s
    return wait_s if wait_s >= 0 else None


def _parse_seconds(text: str) -> float | None:
    digits = text.strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_SECONDS_DIGITS
    return float(digits) if is_number else None
