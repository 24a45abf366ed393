"""The processes that tests kill start with everything imported."""

from support.forked import PRELOADED, start_process
from support.killing import WAIT_S

IS_LOADED = 7
"""The exit code of a process that finds the modules loaded."""


def test_process_has_imported_its_modules_before_it_starts() -> None:
    code = f"import sys; sys.exit({IS_LOADED} if {set(PRELOADED)!r} <= set(sys.modules) else 1)"

    process = start_process(exec, code)
    process.join(WAIT_S)

    assert process.exitcode == IS_LOADED
