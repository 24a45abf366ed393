"""The order desk: place each order once under a ref, and follow it to its final status.

`desk` is the public class; `sending` takes one order through its attempts, `following` checks the
orders that the panel accepted. The journal is the only source of truth: a desk that is killed at
any moment leaves nothing that another desk cannot continue.
"""

from .circuit import CircuitPolicy
from .desk import OrderDesk
from .event_reader import EventStream

__all__ = ["CircuitPolicy", "EventStream", "OrderDesk"]
