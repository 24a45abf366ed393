"""Recognize a panel's refusals: by the listed texts of a profile, and by the words of any panel."""

from .grammar import find_kind
from .texts import RefusalTexts

__all__ = ["RefusalTexts", "find_kind"]
