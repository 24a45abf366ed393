"""The order that most services take. It has a module of its own because every program loads it."""

from typing import ClassVar

from attrs import field, frozen

from .fields import check_runs_and_interval, integer_validator, optional, strip, validate_text
from .order import Order

__all__ = ["DefaultOrder"]


@frozen(kw_only=True)
class DefaultOrder(Order):
    """`default`: a quantity for a link, delivered at once or in runs (drip-feed).

    Attributes:
        link: Link to the page (document: "Link to page").
        quantity: How many; with `runs`, how many per run (seen): the total is `runs × quantity`.
        runs: Number of runs (document: optional); None means no drip-feed. Requires `interval`.
        interval: Minutes between runs (document: optional); None means no drip-feed. Requires
            `runs`.
    """

    panel_type: ClassVar[str] = "default"

    link: str = field(converter=strip, validator=validate_text)
    """Link to the page (document: "Link to page")."""
    quantity: int = field(validator=integer_validator(1))
    """How many; with `runs`, how many per run (seen): the total is `runs × quantity`."""
    runs: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Number of runs (document: optional); None means no drip-feed. Requires `interval`."""
    interval: int | None = field(default=None, validator=optional(integer_validator(1)))
    """Minutes between runs (document: optional); None means no drip-feed. Requires `runs`."""

    def __attrs_post_init__(self) -> None:
        """Check that `runs` and `interval` are both set or both None."""
        check_runs_and_interval(self)
