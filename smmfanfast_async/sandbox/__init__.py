"""A stateful simulation of the panel, served on the loopback address.

It stores orders and a balance, advances orders on its own clock, and can be scripted to fail in
every way that a panel, a proxy or a network does::

    async with Sandbox() as panel:
        panel.url, panel.api_key         # what the client needs
        panel.fail_next(Fault.DROP_AFTER, action="add")
        panel.orders                     # the actual orders, whatever the client received

`Sandbox(dialect="api-v2")` simulates a panel of the wider API v2 family, with refills and cancels.

It imports nothing else of this library and shares no code with the client. The repetition is
intentional: every field name here is written a second time from the panel's document, because a
wrong name in shared code would be wrong on both sides and every test would still pass.
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
