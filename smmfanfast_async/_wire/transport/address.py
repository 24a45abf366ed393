"""Where a client may send its key, and by which proxy."""

from ipaddress import ip_address

from yarl import URL

from ..._secrets import Secret
from ...errors import InvalidSettingsError

__all__ = ["check_proxy", "is_loopback", "parse_url"]


def is_loopback(url: URL) -> bool:
    """Say whether an address is on this machine."""
    host = url.host or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def parse_url(text: str) -> URL:
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


def check_proxy(proxy: Secret) -> None:
    """Raise `InvalidSettingsError` for what is no HTTP proxy.

    Its address, which may hold a password, is in no frame that the error leaves through.
    """
    fault = _find_proxy_fault(proxy.reveal())
    if fault is not None:
        raise InvalidSettingsError("proxy", fault)


def _find_proxy_fault(text: str) -> str | None:
    try:
        url = URL(text)
    except (ValueError, TypeError):
        return "is no address"
    if url.scheme.startswith("socks"):
        return "is a SOCKS proxy: give a connector instead, the ProxyConnector of aiohttp-socks"
    if url.scheme not in {"http", "https"} or not url.host:
        return "is no address with http or https and a host"
    return None
