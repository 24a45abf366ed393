"""Requests that a browser sends for another website."""

import pytest

from smmfanfast_async.sandbox.origins import is_foreign, is_own_page

LOCAL_HOSTS = ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:8080", "LocalHost:1", "[::1]:65535"]
FOREIGN_HOSTS = [
    "",
    "example.com",
    "127.0.0.1.example.com",
    "localhost.example.com:80",
    "example.com:127.0.0.1",
    "127.0.0.1@example.com",
    "127.0.0.1:80@example.com",
    "127x0.0.1",
    "localhost\n",
    "localhost:80:80",
    "localhost:٨٠",
    "::1",
    "10.0.0.1",
]


@pytest.mark.parametrize("host", LOCAL_HOSTS)
def test_names_of_this_machine_are_local(host: str) -> None:
    assert not is_foreign([host], [], [])
    assert not is_foreign([host], [f"http://{host}"], ["same-origin"])
    assert not is_foreign([host], [f"HTTPS://{host}"], ["Same-Site"])


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_other_names_are_foreign(host: str) -> None:
    assert is_foreign([host], [], [])
    assert is_foreign(["localhost"], [f"http://{host}"], [])


@pytest.mark.parametrize(
    "origin", ["", "null", "localhost", "file://localhost", "xhttp://localhost"]
)
def test_origin_that_may_be_any_site_is_foreign(origin: str) -> None:
    assert is_foreign(["localhost"], [origin], [])


@pytest.mark.parametrize("site", ["cross-site", "Cross-Site", "", "x"])
def test_requests_across_sites_are_foreign(site: str) -> None:
    assert is_foreign(["localhost"], [], [site])


def test_each_of_repeated_headers_counts() -> None:
    assert is_foreign(["localhost", "example.com"], [], [])
    assert is_foreign(["localhost"], ["http://localhost", "http://example.com"], [])
    assert is_foreign(["localhost"], [], ["none", "cross-site"])


def test_missing_headers_are_not_foreign() -> None:
    """HTTP/1.0 needs no Host; a browser always sends one."""
    assert not is_foreign([], [], [])


@pytest.mark.parametrize("host", ["127.0.0.1:80", "localhost:80", "LOCALHOST:80", "[::1]:80"])
def test_page_of_this_port_is_its_own(host: str) -> None:
    assert is_own_page([host], [], [], 80)
    assert is_own_page([host], [f"http://{host}"], ["same-origin"], 80)
    assert is_own_page([host], [], ["none"], 80)


@pytest.mark.parametrize(
    ("hosts", "origins", "sites"),
    [
        ([], [], []),
        (["127.0.0.1"], [], []),
        (["127.0.0.1:81"], [], []),
        (["example.com:80"], [], []),
        (["127.0.0.1:80", "127.0.0.1:80"], [], []),
        (["127.0.0.1:80"], ["null"], []),
        (["127.0.0.1:80"], ["https://127.0.0.1:80"], []),
        (["127.0.0.1:80"], ["http://localhost:80"], []),
        (["127.0.0.1:80"], ["http://127.0.0.1:81"], []),
        (["127.0.0.1:80"], ["http://example.com"], []),
        (["127.0.0.1:80"], [], ["same-site"]),
        (["127.0.0.1:80"], [], ["cross-site"]),
        (["127.0.0.1:80"], [], ["same-origin", "cross-site"]),
    ],
)
def test_other_pages_of_this_machine_are_not_its_own(
    hosts: list[str], origins: list[str], sites: list[str]
) -> None:
    assert not is_own_page(hosts, origins, sites, 80)
