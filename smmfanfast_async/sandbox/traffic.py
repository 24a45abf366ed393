"""What was sent to the sandbox and what it answered, in a bounded history. Pure.

Nothing of a key is kept: the value of a field that is named like one is replaced before anything is
stored, and so is the same text, or the panel's own key, wherever else it occurs.
"""

import shlex
from collections import deque
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from attrs import frozen

__all__ = [
    "ANOTHER_KEY",
    "MASKED",
    "MAX_EXCHANGES",
    "MAX_TEXT_CHARACTERS",
    "MAX_TRAFFIC_CHARACTERS",
    "Exchange",
    "TrafficLog",
    "format_curl",
]

MAX_EXCHANGES = 10_000
"""The most requests kept: an afternoon of a bot. The oldest are dropped."""

MAX_TRAFFIC_CHARACTERS = 64 * 1024**2
"""The most characters of all kept requests and answers; beyond them the oldest are dropped. A list
of services alone has thirty thousand."""

MAX_TEXT_CHARACTERS = 128 * 1024
"""The longest value or answer that is kept whole: the rest of a longer one is cut off."""

MASKED = "•••"
"""What stands in the place of a key."""

ANOTHER_KEY = "••• (another key)"
"""What stands in the place of a key that is not the panel's."""

MIN_KEY_CHARACTERS = 4
"""Shorter keys are masked only in their own field: elsewhere they are a part of other words."""

_KEY_FIELDS = frozenset({"key", "api_key", "apikey", "api-key", "token", "api_token", "secret"})

_ORDER_FIELDS = frozenset({"order", "orders", "order_id", "order_ids", "id", "ids"})
_REFILL_FIELDS = frozenset({"refill", "refills"})


@frozen(kw_only=True)
class Exchange:
    """One request, and what was answered."""

    number: int
    """Counts up from 1."""
    at_s: float
    """When it arrived, in panel seconds."""
    action: str
    """The action that it names; "" if it names none."""
    fields: Mapping[str, str]
    """All fields as the panel read them, with every key replaced by `MASKED`."""
    http_status: int | None
    """The status of the answer; None if the connection was aborted instead."""
    answer: str
    """The text that was sent, with every key masked."""
    duration_ms: float
    """Real milliseconds from the request to its answer, with the delay of a fault."""
    fault: str | None = None
    """The fault that it met; None for none."""
    is_applied: bool = True
    """Whether the panel carried the action out."""
    order: str | None = None
    """The id of the order that it created, whatever was answered; None for none."""
    is_cut: bool = False
    """Whether a value or the answer was longer than `MAX_TEXT_CHARACTERS`."""

    def is_about(self, order: str, refills: frozenset[str] = frozenset()) -> bool:
        """Return whether it created this order, or names it or one of its refills."""
        return self.order == order or any(
            (name in _ORDER_FIELDS and _names(value, order))
            or (name in _REFILL_FIELDS and any(_names(value, refill) for refill in refills))
            for name, value in self.fields.items()
        )


class TrafficLog:
    """The last requests, within `MAX_EXCHANGES` and `MAX_TRAFFIC_CHARACTERS`."""

    def __init__(
        self,
        api_key: str,
        *,
        max_exchanges: int = MAX_EXCHANGES,
        max_characters: int = MAX_TRAFFIC_CHARACTERS,
    ) -> None:
        """`api_key` is the panel's own key, which is masked everywhere."""
        self._api_key = api_key
        self._max_exchanges = max_exchanges
        self._free_characters = max_characters
        self._exchanges: deque[Exchange] = deque()
        self._count = 0

    def __len__(self) -> int:
        return len(self._exchanges)

    def __iter__(self) -> Iterator[Exchange]:
        return iter(self._exchanges)

    def __reversed__(self) -> Iterator[Exchange]:
        return reversed(self._exchanges)

    @property
    def count(self) -> int:
        """Number of all requests, also of those no longer kept."""
        return self._count

    def get(self, number: int) -> Exchange:
        """Return one request; KeyError if it is unknown or no longer kept."""
        index = number - self._count + len(self._exchanges) - 1
        if not 0 <= index < len(self._exchanges):
            raise KeyError(number)
        return self._exchanges[index]

    def record(
        self,
        *,
        at_s: float,
        action: str,
        fields: Mapping[str, str],
        http_status: int | None,
        answer: str,
        duration_ms: float,
        fault: str | None,
        is_applied: bool,
        order: str | None,
    ) -> Exchange:
        """Keep a request, dropping the oldest if the history is full; return it as it is kept."""
        keys = [self._api_key, *(fields[name] for name in fields if name.lower() in _KEY_FIELDS)]
        secrets = sorted({key for key in keys if len(key) >= MIN_KEY_CHARACTERS}, key=len)
        kept = {
            _mask(name, secrets): self._mask_key(value)
            if name.lower() in _KEY_FIELDS
            else _mask(value, secrets)
            for name, value in fields.items()
        }
        texts = [*kept, *kept.values(), answer]
        self._count += 1
        exchange = Exchange(
            number=self._count,
            at_s=at_s,
            action=_mask(action, secrets)[:MAX_TEXT_CHARACTERS],
            fields={_cut(name): _cut(value) for name, value in kept.items()},
            http_status=http_status,
            answer=_cut(_mask(answer, secrets)),
            duration_ms=duration_ms,
            fault=fault,
            is_applied=is_applied,
            order=order,
            is_cut=any(len(text) > MAX_TEXT_CHARACTERS for text in texts),
        )
        self._exchanges.append(exchange)
        self._free_characters -= _count_characters(exchange)
        while len(self._exchanges) > self._max_exchanges or (
            self._free_characters < 0 and len(self._exchanges) > 1
        ):
            self._free_characters += _count_characters(self._exchanges.popleft())
        return exchange

    def _mask_key(self, key: str) -> str:
        if not key:
            return ""
        return MASKED if key == self._api_key else ANOTHER_KEY


def format_curl(exchange: Exchange, url: str) -> str:
    """Return a shell command that sends the request again, with the key from the environment."""
    parts = ["curl"]
    for name, value in exchange.fields.items():
        encoded = quote(name, safe="")
        if value in (MASKED, ANOTHER_KEY):
            parts.append(f'--data-urlencode "{encoded}=$SMMFANFAST_API_KEY"')
        else:
            parts.append(f"--data-urlencode {shlex.quote(f'{encoded}={value}')}")
    if not exchange.fields:
        parts.append("--data ''")
    return " \\\n  ".join([*parts, shlex.quote(url)])


def _mask(text: str, secrets: list[str]) -> str:
    """Replace keys in a text; the longest first, since one may be a part of another."""
    for secret in reversed(secrets):
        text = text.replace(secret, MASKED)
    return text


def _cut(text: str) -> str:
    return text[:MAX_TEXT_CHARACTERS]


def _count_characters(exchange: Exchange) -> int:
    fields = sum(len(name) + len(value) for name, value in exchange.fields.items())
    return fields + len(exchange.answer) + len(exchange.action)


def _names(value: str, wanted: str) -> bool:
    """Return whether a list of ids, separated by commas, has this one."""
    return wanted in value and any(each.strip() == wanted for each in value.split(","))
