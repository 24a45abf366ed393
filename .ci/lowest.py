"""Print the lowest versions that a pyproject.toml allows its users, as constraints for pip.

    python lowest.py pyproject.toml > lowest.txt
    pip install --constraint lowest.txt ...

pip itself always takes the newest, and a resolver that can take the lowest would be one more tool
to install and to trust. What our requirements need in turn is left to pip, as it is with a user who
has an old version of one of ours.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

OWN_EXTRAS = {"bench", "dev", "recipes"}
"""What nobody but us installs: its versions promise nothing."""

REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^]]*\])?(?:>=([\d.]+))?")


def floors(path: Path) -> Iterator[str]:
    """Give a constraint for each requirement; `SystemExit` for one without a lowest version."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    wanted: list[str] = [*project["dependencies"]]
    wanted += (each for name, group in extras.items() if name not in OWN_EXTRAS for each in group)
    for requirement in sorted(set(wanted), key=str.lower):
        found = REQUIREMENT.match(requirement)
        name, version = found.groups() if found is not None else (requirement, None)
        if name == project["name"]:  # its own extras, which are among the others
            continue
        if version is None:
            raise SystemExit(f"{requirement!r} has no lowest version")
        yield f"{name}=={version}"


if __name__ == "__main__":
    print("\n".join(floors(Path(sys.argv[1]))))
