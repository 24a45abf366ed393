"""A stateful stand-in for the panel, on the loopback address.

It keeps orders and money, lets orders live their lives on a clock of its own, and can be told to
fail in every way that a panel, a proxy or a network does::

    async with Sandbox() as panel:
        panel.url, panel.api_key         # what the client needs
        panel.fail_next(Fault.DROP_AFTER, action="add")
        panel.orders                     # the truth, whatever the client was told

`Sandbox(dialect="api-v2")` is a panel of the wider family, with refills and cancels.

It imports nothing else of this library and shares no code with the client. That repetition is
wanted: every field name here is written from the panel's document once more, since a wrong one in
shared code would be wrong on both sides, and every test green.
"""

from .faults import Fault, ScriptedFault
from .orders import State, StoredOrder
from .refills import RefillState, StoredRefill
from .sandbox import Sandbox
from .services import SandboxService

__all__ = [
    "Fault",
    "RefillState",
    "Sandbox",
    "SandboxService",
    "ScriptedFault",
    "State",
    "StoredOrder",
    "StoredRefill",
]
