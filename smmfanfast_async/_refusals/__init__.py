"""Recognize a panel's refusals: by the listed texts of a profile, and by the words of any panel."""

from .grammar import find_kind, find_kind_of_read
from .texts import RefusalTexts, count_variants, template_flaw

__all__ = ["RefusalTexts", "count_variants", "find_kind", "find_kind_of_read", "template_flaw"]
