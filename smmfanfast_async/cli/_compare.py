"""`services --compare`: the services that several panels sell as one product, side by side."""

import asyncio
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from attrs import frozen
from rich.console import Console
from rich.text import Text

from .._amounts import EXACT
from ..catalogue import Catalogue
from ..client import Client
from ..errors import PanelError
from ..results import Service
from . import _output as output
from ._codes import OK
from ._errors import exit_code
from ._options import CommonOptions
from ._output import cell, money, plain, plural
from ._panels import PanelsFile

__all__ = ["compare"]

COLUMNS = ("product", "panel", "id", "rate", "min", "max", "refill", "cancel", "note")

NOT_LISTED = "not listed"


@frozen(kw_only=True)
class _Row:
    """A product at a panel."""

    product: str
    panel: str
    id: str
    service: Service | None
    """None if the panel does not list it, or did not return its services."""
    rate: Decimal | None
    """The rate in the desk's currency."""
    note: str | None
    """Why there is no service; None if there is one."""

    def cells(self) -> list[Text]:
        """Return the cells of a table."""
        service = self.service
        limits = (None, None) if service is None else (service.min, service.max)
        flags = (None, None) if service is None else (service.refill, service.cancel)
        words = (None if each is None else "yes" if each else "no" for each in flags)
        values = (self.product, self.panel, self.id, money(self.rate), *limits, *words)
        return [*map(cell, values), cell(self.note or "", "yellow")]

    def to_object(self) -> dict[str, Any]:
        """Return a JSON object; `rate` is the panel's own, `desk_rate` in the desk's currency."""
        service = self.service
        return {
            "product": self.product,
            "panel": self.panel,
            "id": self.id,
            "desk_rate": plain(self.rate),
            **{
                name: None if service is None else plain(getattr(service, name))
                for name in ("rate", "min", "max", "refill", "cancel", "name", "type")
            },
            "note": self.note,
        }


async def compare(file: PanelsFile, options: CommonOptions) -> int:
    """Print each product at each panel; return the exit code: that of a panel that failed."""
    async with options.clients(file) as clients:
        results = await asyncio.gather(*map(_read, clients.values()))
    catalogues = dict(zip(clients, results, strict=True))
    rows = list(_rows(file, catalogues))
    if options.json:
        console = Console()
        for each in rows:
            output.print_json(console, each.to_object())
    else:
        title = plural(len(file.products), "product")
        numbers = ("rate", "min", "max")
        cells = (each.cells() for each in rows)
        output.show(output.table(title, *COLUMNS, right=numbers, rows=cells))
    return next((exit_code(each) for each in results if isinstance(each, PanelError)), OK)


async def _read(client: Client) -> Catalogue | PanelError:
    try:
        return await client.services()
    except PanelError as error:
        return error


def _rows(file: PanelsFile, catalogues: Mapping[str, Catalogue | PanelError]) -> Iterator[_Row]:
    for product, services in file.products.items():
        for panel, id_ in services.items():
            catalogue = catalogues[panel]
            failure = str(catalogue) if isinstance(catalogue, PanelError) else None
            service = None if isinstance(catalogue, PanelError) else catalogue.find(id_)
            rate = None if service is None else service.rate
            if rate is not None:
                rate = EXACT.multiply(rate, file.exchange_rates.get(panel, Decimal(1)))
            note = None if service is not None else failure or NOT_LISTED
            yield _Row(product=product, panel=panel, id=id_, service=service, rate=rate, note=note)
