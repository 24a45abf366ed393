"""Split a long JSON list or object into fragments that can be decoded one by one.

How this works. It is not decoded first, but split after a `},`, at the first one that follows a
given number of bytes, and each fragment gets its own brackets. No split has to be right: one inside
a string, or inside a nested value, leaves a fragment that is not JSON. So if every fragment can be
decoded, the fragments are the whole, and if one cannot, it has to be decoded as a whole.
"""

from collections.abc import Iterator

__all__ = ["split_fragments"]

_JSON_WHITESPACE = b" \t\n\r"


def split_fragments(
    body: bytes,
    size_bytes: int,
    start: int = 0,
    end: int | None = None,
    *,
    brackets: bytes = b"[]",
) -> Iterator[bytes]:
    """Yield fragments of little more than `size_bytes`; a short list is a single fragment.

    The list, or with the brackets `{}` the object, reaches from `start` to `end`, or to the end of
    the body. Raises `ValueError` if it is not one, or ends with a comma: the fragments of that
    would decode, but it is not valid JSON.
    """
    end = len(body) if end is None else end
    opening, closing = brackets[:1], brackets[1:]
    if body[start : start + 1] != opening:
        raise ValueError("not a list or object")
    start += 1
    is_split = False
    while (split := body.find(b"},", start + size_bytes, end)) >= 0:
        is_split = True
        yield b"%b%b%b" % (opening, body[start : split + 1], closing)
        start = split + 2
    rest = body[start:end]
    if is_split and rest.strip(_JSON_WHITESPACE) == closing:
        raise ValueError("nothing after the last comma")
    yield opening + rest
