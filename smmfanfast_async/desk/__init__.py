"""The order desk: place once by a name of your own, follow to the end, on one machine or many.

`desk` is its face; `sending` takes one order through its attempts, `following` looks at all that
the panel took. What is true of an order stands in the journal and nowhere else: a desk that is
killed at any moment leaves nothing that another can't take up.
"""

from .desk import OrderDesk

__all__ = ["OrderDesk"]
