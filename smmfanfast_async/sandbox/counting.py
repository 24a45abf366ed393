"""Count requests by action: few names, none of which can be a secret. Pure."""

import re
from collections import Counter
from collections.abc import Collection

__all__ = ["MAX_ACTION_NAMES", "RequestCounter"]

MAX_ACTION_NAMES = 100
"""The most action names counted separately; further ones count as "other"."""

_ACTION_NAME = re.compile("[a-z_]{1,32}")


class RequestCounter:
    """The number of requests by action."""

    def __init__(self, actions: Collection[str]) -> None:
        """Start at zero; `actions` are the names that are always counted separately."""
        self.counts: Counter[str] = Counter()
        self._actions = actions

    def add(self, action: str) -> None:
        """Count one request with this action, "" for none."""
        self.counts[self._name(action)] += 1

    def _name(self, action: str) -> str:
        # Only plain names are stored, and few of them: no secrets, bounded memory.
        if not action or action in self._actions or action in self.counts:
            return action
        is_plain = _ACTION_NAME.fullmatch(action) is not None
        return action if is_plain and len(self.counts) < MAX_ACTION_NAMES else "other"
