"""Sockets on the loopback address; the servers' own tests show the rest."""

from smmfanfast_async.sandbox.listening import abort, limit_buffer


def test_connection_that_is_gone_needs_nothing() -> None:
    abort(None)
    limit_buffer(None, 1)
