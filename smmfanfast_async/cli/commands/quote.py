"""`quote`: what an order costs at each of several panels."""

from rich.console import Console

from ...errors import InvalidSettingsError
from .. import _output as output
from .._codes import OK, REFUSED
from .._errors import handle_errors
from .._options import JournalOptions, OrderType
from .._routes import offers, offers_table
from .add import Fields

__all__ = ["quote"]

_HERE = JournalOptions()


@handle_errors
async def quote(
    order_type: OrderType | str, /, *, fields: Fields, options: JournalOptions = _HERE
) -> int:
    """Run `smmfanfast quote`.

    Parameters
    ----------
    order_type
        The type, such as default, package, custom_comments, …; the last six for API v2 panels.
    """
    order = fields.order(order_type)
    if options.panels_file() is None:
        how = "add --panels FILE or set SMMFANFAST_PANELS; `smmfanfast add` shows the price at one"
        raise InvalidSettingsError("panels", f"is missing: {how}")
    async with options.desk(may_create=True) as opened:
        found = await offers(opened, order)
    if options.json:
        console = Console()
        for each in found:
            output.print_json(console, each.to_object())
    else:
        output.show(offers_table(found))
    return OK if any(each.rank is not None for each in found) else REFUSED
