"""Make aioresponses 0.7.9 work with aiohttp 3.14, whose responses need a stream writer."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import aiohttp
from aioresponses import aioresponses
from aioresponses.core import RequestMatch
from yarl import URL

__all__ = ["is_needed", "panel_answers"]


class _Response(aiohttp.ClientResponse):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "stream_writer" in inspect.signature(aiohttp.ClientResponse.__init__).parameters:
            kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


def is_needed() -> bool:
    """Return whether aioresponses still cannot create a response by itself."""
    try:
        RequestMatch("https://panel.example/")._build_response(URL("https://panel.example/"))
    except TypeError:
        return True
    return False


@contextmanager
def panel_answers(url: str, *bodies: str | BaseException, status: int = 200) -> Iterator[Any]:
    """Answer posts to a URL with these bodies in turn; an exception is raised instead."""
    with aioresponses() as mocked:
        for body in bodies:
            if isinstance(body, BaseException):
                mocked.post(url, exception=body)
            else:
                mocked.post(url, body=body, status=status, response_class=_Response)
        yield mocked
