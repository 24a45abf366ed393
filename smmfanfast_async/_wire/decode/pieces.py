"""Cut a long list into pieces that can be read one by one, without reading it first.

How this works. A list of records is cut behind a `},`, wherever one comes up after so many bytes,
and each piece gets brackets of its own. No cut has to be right: one inside a text, or inside of
something nested, leaves a piece that is no JSON. So if every piece can be read, the pieces are the
list, and if one can't, the list is to be read whole.
"""

from collections.abc import Iterator

__all__ = ["fragments"]

_BLANKS = b" \t\n\r"


def fragments(
    body: bytes, size_bytes: int, begin: int = 0, end: int | None = None
) -> Iterator[bytes]:
    """Cut a list into pieces of little more than `size_bytes`; what is short is one piece.

    The list stands from `begin` to `end`, or to the end of the body. Raises `ValueError` for what
    is no list, or ends with a comma: as pieces that would pass, as JSON it must not.
    """
    end = len(body) if end is None else end
    if body[begin : begin + 1] != b"[":
        raise ValueError("not a list")
    begin += 1
    is_cut = False
    while (cut := body.find(b"},", begin + size_bytes, end)) >= 0:
        is_cut = True
        yield b"[%b]" % body[begin : cut + 1]
        begin = cut + 2
    rest = body[begin:end]
    if is_cut and rest.strip(_BLANKS) == b"]":
        raise ValueError("nothing behind the last comma")
    yield b"[" + rest
