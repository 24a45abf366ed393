"""Check the URL that a client sends its key to, and the URL of its proxy."""

from ipaddress import ip_address

from yarl import URL

from ..._secrets import Secret
from ...errors import InvalidSettingsError

__all__ = ["check_proxy", "is_loopback", "parse_url"]


def is_loopback(url: URL) -> bool:
    """Return whether a URL points to this machine."""
    host = url.host or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_url(text: str) -> URL:
    """Return the parsed URL, or raise `InvalidSettingsError` if a key must not be sent there."""
    try:
        url = URL(text)
    except (ValueError, TypeError) as error:
        raise InvalidSettingsError("base_url", "is not a valid URL") from error
    if not url.host or url.scheme not in {"http", "https"}:
        raise InvalidSettingsError("base_url", "must be an http or https URL with a host")
    if url.user is not None or url.password is not None:
        raise InvalidSettingsError("base_url", "must not contain a user name or password")
    if url.query_string or url.fragment:
        raise InvalidSettingsError("base_url", "must not contain a query or fragment")
    if url.scheme == "http" and not is_loopback(url):
        reason = f"must use https for host {url.host!r}: http would expose the key"
        raise InvalidSettingsError("base_url", reason)
    return url


def check_proxy(proxy: Secret) -> None:
    """Raise `InvalidSettingsError` unless this is the URL of an HTTP proxy.

    No frame of the traceback contains the URL, which may contain a password.
    """
    fault = _find_proxy_fault(proxy.reveal())
    if fault is not None:
        raise InvalidSettingsError("proxy", fault)


def _find_proxy_fault(text: str) -> str | None:
    try:
        url = URL(text)
    except (ValueError, TypeError):
        return "is not a valid URL"
    if url.scheme.startswith("socks"):
        return "is a SOCKS proxy: pass a connector instead, ProxyConnector of aiohttp-socks"
    if url.scheme not in {"http", "https"} or not url.host:
        return "must be an http or https URL with a host"
    return None
