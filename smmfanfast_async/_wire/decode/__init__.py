"""Turn status and bytes into a result or an error. Pure; the only room that reads leniently.

How this works. A batch of statuses, or a catalogue, first takes the *fast road*: msgspec fills the
result classes in C. It refuses whatever is odd, a field of another name included; what it would
take wrongly is ruled out by a look at the bytes and at each amount (`records`). Once it refuses,
the same answer goes *record by record*, and only the odd records take the *lenient road*: the
standard library's JSON (`values`) and one cattrs converter (`records`), where every leniency is a
hook, numbers pass one gate (`numbers`) and a field that can't be read is kept beside the others.
Where both roads take a record they agree; a test holds them side by side.

Refusals of all shapes are known in `refusals`, what any HTTP answer means in `answers`, and what it
means for one action in `added`, `statuses`, `services` and `refills`.
"""

from .added import decode_added
from .answers import unwrap
from .refills import (
    decode_call,
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
)
from .services import ServiceRows, decode_balance, decode_services, read_ahead
from .statuses import Batch, decode_status, decode_statuses

__all__ = [
    "Batch",
    "ServiceRows",
    "decode_added",
    "decode_balance",
    "decode_call",
    "decode_cancels",
    "decode_refill",
    "decode_refill_statuses",
    "decode_refills",
    "decode_services",
    "decode_status",
    "decode_statuses",
    "read_ahead",
    "unwrap",
]
