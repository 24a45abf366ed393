"""Read a response: its body up to a size limit, and its headers."""

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

__all__ = ["build_response", "parse_retry_after", "read_body"]

MIN_TIMESTAMP_S = 10**9
"""From this value on (the year 2001), a reset is a time in seconds since 1970, not a duration."""

MAX_SECONDS_DIGITS = 12
"""Maximum digits of a number of seconds; a longer number is ignored."""

MAX_WAIT_S = 1e9
"""The longest wait that is reported, 30 years in seconds; a longer one would overflow a date in the
code that waits for it."""

SHORT_BODY_BYTES = 256 * 1024
"""A response up to this size is read and masked in one step, in a tenth of a millisecond. A longer
one is processed chunk by chunk: 32 MB in one step would block the event loop for 10 ms."""

_COMPRESSED = {"gzip", "x-gzip", "deflate"}
_JSON_STARTS = {b"{", b"["}
_GZIP_START = b"\x1f"

_RATE_LIMIT_RESET, _CF_MITIGATED = istr("X-RateLimit-Reset"), istr("cf-mitigated")


async def read_body(
    response: aiohttp.ClientResponse, max_bytes: int, action: str | None, secret: Secret
) -> bytes:
    """Return a body up to a size limit that applies to compressed and decompressed bytes alike.

    It is decompressed here, not by aiohttp, whose chunks may be tens of megabytes: of a
    decompression bomb, no more than the limit is produced. A panel may echo the key ("Invalid API
    key: …", a PHP notice with the whole form): it is replaced by `***` before anything else.
    """
    headers = response.headers
    if hdrs.CONTENT_ENCODING not in headers and hdrs.TRANSFER_ENCODING not in headers:
        length = response.content_length
        if length is not None and length <= min(max_bytes, SHORT_BODY_BYTES):
            # aiohttp reads no more than the announced length as part of this response.
            return secret.mask_bytes(await response.read())
    decompressor: zlib._Decompress | None = None
    body = bytearray()
    received = 0
    async for chunk in response.content.iter_any():
        if received == 0:
            encoding = headers.get(hdrs.CONTENT_ENCODING, "")
            decompressor = _create_decompressor(encoding, chunk[:1])
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
            text = f"the response is longer than {max_bytes} bytes"
            # The limits are far above the size of `raw`: a key truncated at the end is not in it.
            error = InvalidResponseError(text, http_status=response.status, action=action)
            raise error.with_raw(raw_text(bytes(body)))
    if decompressor is not None and not decompressor.eof:
        raise aiohttp.ClientPayloadError("the compressed response is truncated")
    return bytes(body)


def _create_decompressor(encoding: str, first: bytes) -> "zlib._Decompress | None":
    """Return the decompressor for a body that starts with the byte `first`.

    None for a body that is not compressed: no header may cost an answer, and a proxy that
    decompresses one may leave the header in place. No compressed answer starts like JSON.
    """
    if encoding.strip().lower() not in _COMPRESSED or first in _JSON_STARTS:
        return None
    if "deflate" in encoding.lower() and first != _GZIP_START and first[0] & 0x0F != zlib.DEFLATED:
        # "deflate" is in the zlib format by the standard, but some servers send it without the
        # header of that format, whose first byte names the method.
        return zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    # 32 above the largest window: zlib detects gzip or deflate automatically.
    return zlib.decompressobj(wbits=zlib.MAX_WBITS + 32)


def build_response(response: aiohttp.ClientResponse, body: bytes, secret: Secret) -> Response:
    """Return the parts of a response that decoding needs."""
    headers = response.headers
    if response.status == HTTPStatus.OK:
        # Neither a redirect nor a challenge.
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
    """Return the seconds to wait by Retry-After or X-RateLimit-Reset; None if absent or invalid.

    Retry-After has seconds or a date, X-RateLimit-Reset seconds or seconds since 1970. A
    Retry-After in the past is None, a reset in the past 0.
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
        except (ValueError, TypeError, OverflowError):
            return None if reset_s is None else min(reset_s, MAX_WAIT_S)
    return min(wait_s, MAX_WAIT_S) if wait_s >= 0 else None


def _parse_seconds(text: str) -> float | None:
    digits = text.strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_SECONDS_DIGITS
    return float(digits) if is_number else None
