"""Decode an HTTP status and a body into a result or an error. Pure; the only lenient parser.

How this works. A batch of statuses, or a catalogue, first takes the *fast path* (`fast`): msgspec
creates the results in C. It rejects whatever is irregular, an unknown field included; what it would
accept wrongly is excluded by checks of the bytes and of each amount. If it rejects a body, the body
is decoded *record by record*, and only the irregular records take the *lenient path*: the standard
library's JSON parser (`json_values`) and one cattrs converter (`lenient`), in which every leniency
is a hook, numbers are bounded (`numbers`), and a field that cannot be read is kept beside the
others. Both paths return the same result for every record that both accept; a test compares them.

`refusals` recognizes refusals in every format, `responses` maps HTTP statuses and finds the JSON,
and `add_outcome`, `statuses`, `services` and `api_v2` decode the responses to one action each.
"""

from .add_outcome import decode_added
from .api_v2 import (
    decode_call,
    decode_cancel,
    decode_cancels,
    decode_refill,
    decode_refill_statuses,
    decode_refills,
)
from .responses import unwrap
from .services import ServiceRows, decode_balance, decode_services, read_ahead
from .statuses import Batch, decode_status, decode_statuses

__all__ = [
    "Batch",
    "ServiceRows",
    "decode_added",
    "decode_balance",
    "decode_call",
    "decode_cancel",
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
