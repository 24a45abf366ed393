"""Where a client may send its key."""

from ipaddress import ip_address

from yarl import URL

from ..errors import InvalidSettingsError

__all__ = ["checked_url", "is_loopback"]


def is_loopback(url: URL) -> bool:
    """Say whether an address is on this machine."""
    host = url.host or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(text: str) -> URL:
    """Give the address, or raise `InvalidSettingsError` if the key must not be sent there."""
    try:
        url = URL(text)
    except (ValueError, TypeError) as error:
        raise InvalidSettingsError("base_url", "is no address") from error
    if not url.host or url.scheme not in {"http", "https"}:
        raise InvalidSettingsError("base_url", "is no address with http or https and a host")
    if url.user is not None or url.password is not None:
        raise InvalidSettingsError("base_url", "holds a user name or password")
    if url.query_string or url.fragment:
        raise InvalidSettingsError("base_url", "holds a query or a fragment")
    if url.scheme == "http" and not is_loopback(url):
        reason = f"has host {url.host!r} and needs https: http would show the key on its way"
        raise InvalidSettingsError("base_url", reason)
    return url
