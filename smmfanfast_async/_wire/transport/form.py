"""A form including the key, as a payload that can be written once."""

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote_plus

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from ..._clock import elapsed_s
from ..._secrets import Secret
from .connection import has_early_data

__all__ = ["SingleUseForm", "encode_form"]

# Characters that need no encoding, and the comma between ids.
_PLAIN_OR_COMMA = re.compile(r"[A-Za-z0-9_.~,-]*")


class SingleUseForm(aiohttp.Payload):
    """A form that is written once; a second write raises instead of ordering twice."""

    def __init__(
        self, secret: Secret, form: Mapping[str, str], write_deadline_s: float | None = None
    ) -> None:
        super().__init__(None, content_type="application/x-www-form-urlencoded")
        self.secret = secret
        self.action = form.get("action")
        self._write_deadline_s = write_deadline_s
        self._rest = encode_form(form)
        # "key=", "&" and the encoded key; the bytes are created only when they are written.
        self._size = len("key=&") + len(secret.form_encoded()) + len(self._rest)
        self.write_started = False
        self.was_written = False
        self.is_revoked = False
        """Whether it must not be written any more, because data arrived before it."""

    def __repr__(self) -> str:
        return "<form, key hidden>"

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Return the form as text, with the key masked."""
        return f"key=***&{self._rest.decode(encoding, errors)}"

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the key and the form, once."""
        if self.write_started:
            raise RuntimeError("second write of a form prevented: it is sent only once")
        if self._write_deadline_s is not None and elapsed_s() > self._write_deadline_s:
            # Checked here and not earlier: a process may be suspended while it connects.
            raise TimeoutError("the deadline for sending has passed; nothing was sent")
        self.is_revoked = self.is_revoked or has_early_data(writer)
        if self.is_revoked:
            raise ConnectionError("data arrived before the request; nothing was sent")
        self.write_started = True
        failure: BaseException
        try:
            await writer.write(self._bytes())
        except BaseException as error:  # noqa: BLE001  # raised again below, without its frames
            failure = error
        else:
            self.was_written = True
            return
        # The frames below contain the bytes, and these the key.
        raise failure.with_traceback(None)

    async def write_with_length(
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        """Write the key and the form, once; the length is always that of the form."""
        await self.write(writer)

    def _bytes(self) -> bytes:
        return b"key=" + self.secret.form_encoded().encode() + b"&" + self._rest


def encode_form(form: Mapping[str, str]) -> bytes:
    """Encode a form like `urllib.parse.urlencode`, but 100 ids in a tenth of its time.

    The standard function encodes a text with a comma character by character: 29 µs for 100 ids,
    while parsing their response takes 70.
    """
    return "&".join([f"{_quote_name(name)}={_quote(text)}" for name, text in form.items()]).encode()


def _quote(text: str) -> str:
    if _PLAIN_OR_COMMA.fullmatch(text):
        return text.replace(",", "%2C")
    return quote_plus(text)


_quote_name = lru_cache(maxsize=64)(_quote)
"""Encode the name of a field, of which there are few."""
