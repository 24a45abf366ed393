"""Print the lowest versions that a pyproject.toml allows its users, as constraints for pip.

    python lowest.py pyproject.toml > lowest.txt
    pip install --constraint lowest.txt ...

pip always takes the newest version, and a resolver that can take the lowest would be one more tool
to install and trust. Indirect requirements are left to pip, as for a user who has an old version of
one of the direct ones.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

DEVELOPMENT_EXTRAS = {"bench", "browser", "dev", "recipes", "test"}
"""Extras for the development of this package: their lower bounds promise nothing to users."""

REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?(?:>=([\d.]+))?")


def floors(path: Path) -> Iterator[str]:
    """Yield a constraint for each requirement; `SystemExit` for one without a lower bound."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    wanted: list[str] = [*project["dependencies"]]
    wanted += (
        each for name, group in extras.items() if name not in DEVELOPMENT_EXTRAS for each in group
    )
    for requirement in sorted(set(wanted), key=str.lower):
        found = REQUIREMENT.match(requirement)
        name, version = found.groups() if found is not None else (requirement, None)
        if name == project["name"]:  # its own extras, which are listed too
            continue
        if version is None:
            raise SystemExit(f"{requirement!r} has no lower bound")
        yield f"{name}=={version}"


if __name__ == "__main__":
    print("\n".join(floors(Path(sys.argv[1]))))
