"""Split a long JSON list into fragments that can be decoded one by one, without decoding it first.

How this works. The list is split after a `},`, at the first one that follows a given number of
bytes, and each fragment gets its own brackets. No split has to be right: one inside a string, or
inside a nested value, leaves a fragment that is not JSON. So if every fragment can be decoded, the
fragments are the list, and if one cannot, the list has to be decoded as a whole.
"""

from collections.abc import Iterator

__all__ = ["split_fragments"]

_JSON_WHITESPACE = b" \t\n\r"


def split_fragments(
    body: bytes, size_bytes: int, start: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """Yield fragments of little more than `size_bytes`; a short list is a single fragment.

    The list reaches from `start` to `end`, or to the end of the body. Raises `ValueError` if it is
    not a list, or ends with a comma: the fragments of that would decode, but it is not valid JSON.
    """
    end = len(body) if end is None else end
    if body[start : start + 1] != b"[":
        raise ValueError("not a list")
    start += 1
    is_split = False
    while (split := body.find(b"},", start + size_bytes, end)) >= 0:
        is_split = True
        yield b"[%b]" % body[start : split + 1]
        start = split + 2
    rest = body[start:end]
    if is_split and rest.strip(_JSON_WHITESPACE) == b"]":
        raise ValueError("nothing after the last comma")
    yield b"[" + rest
