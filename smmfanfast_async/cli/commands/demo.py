"""`demo`: everything at work."""

from rich.console import Console

from .. import _demo
from .. import _output as output
from .._codes import OK
from .._ending import handle_errors
from .._panel import Flag

__all__ = ["demo"]


@handle_errors
async def demo(*, json: Flag = False) -> int:
    """Show everything at work on a panel of this machine. No key, no network, under 20 seconds.

    Parameters
    ----------
    json
        Print the summary alone, as one JSON object.
    """
    summary = await _demo.run(Console(quiet=json))
    if json:
        output.print_json(Console(), summary)
    return OK
