"""Decide whether a request may come from a foreign website. Pure.

A browser sends a website's requests to any address, also to a loopback one: directly (the other
site's name is then in `Origin` and `Sec-Fetch-Site`), or after the site's own name was bound to
127.0.0.1 (then that name is in `Host`). Programs send neither of the first two and the name from
the sandbox's URL as the third.
"""

import re
from collections.abc import Sequence

__all__ = ["is_foreign", "is_own_page"]

_LOCAL_HOST = re.compile(
    r"(?:127\.0\.0\.1|localhost|\[::1\])(?::[0-9]{0,5})?", re.IGNORECASE | re.ASCII
)
_SCHEME = re.compile("https?://", re.IGNORECASE)
_LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
_OWN_FETCH_SITES = frozenset({"same-origin", "none"})
_LOCAL_FETCH_SITES = frozenset({"same-origin", "same-site", "none"})


def is_foreign(hosts: Sequence[str], origins: Sequence[str], fetch_sites: Sequence[str]) -> bool:
    """Return whether a value of `Host`, `Origin` or `Sec-Fetch-Site` names another site.

    A header that is missing names none: HTTP/1.0 needs no `Host`, and browsers always send one.
    """
    return not (
        all(_LOCAL_HOST.fullmatch(host) for host in hosts)
        and all(_is_local_origin(origin) for origin in origins)
        and all(site.lower() in _LOCAL_FETCH_SITES for site in fetch_sites)
    )


def is_own_page(
    hosts: Sequence[str], origins: Sequence[str], fetch_sites: Sequence[str], port: int
) -> bool:
    """Return whether a request is from a program, or from a page that this port itself served.

    Stricter than `is_foreign`: one `Host` with this very port is required, and pages of other
    servers of this machine are refused too.
    """
    if len(hosts) != 1 or hosts[0].lower() not in {f"{name}:{port}" for name in _LOCAL_NAMES}:
        return False
    return all(origin.lower() == f"http://{hosts[0].lower()}" for origin in origins) and all(
        site.lower() in _OWN_FETCH_SITES for site in fetch_sites
    )


def _is_local_origin(origin: str) -> bool:
    """Return whether an origin is a page of this machine; "null" may be a page of any site."""
    scheme = _SCHEME.match(origin)
    return scheme is not None and _LOCAL_HOST.fullmatch(origin, scheme.end()) is not None
