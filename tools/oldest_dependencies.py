"""Print pip constraints that hold each dependency at the oldest release line we declare.

`python tools/oldest_dependencies.py > oldest.txt`, then `pip install -c oldest.txt -e ".[test]"`:
continuous integration runs the tests with them, so that a lower bound in pyproject.toml is a fact
and not a hope. `av>=18.1` becomes `av==18.1.*`: its newest patch, as bugs that a patch has fixed
are not ours to test.
"""

import argparse
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_KEPT_AS_THEY_ARE = {"ruff", "mypy", "types-pyyaml", "scipy-stubs", "pre-commit"}
"""They check our source, not what it does when it runs."""


def declared(pyproject: Path) -> list[Requirement]:
    """Read the dependencies of a project and of all its extras.

    Args:
        pyproject: Path of a pyproject.toml.

    Returns:
        Each requirement as written; those of an extra on the project itself are left out.
    """
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *(line for extra in project.get("optional-dependencies", {}).values() for line in extra),
    ]
    own = canonicalize_name(project["name"])
    return [
        requirement
        for requirement in map(Requirement, lines)
        if canonicalize_name(requirement.name) != own
    ]


def oldest(requirements: Iterable[Requirement]) -> list[str]:
    """Give a constraint for each requirement, sorted by name.

    Args:
        requirements: Each with one lower bound `>=`; where a package is named twice the higher
            bound counts.

    Returns:
        Lines such as `torch==2.11.*`.

    Raises:
        ValueError: For a requirement without a lower bound.
    """
    bounds: dict[str, tuple[int, ...]] = {}
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if name in _KEPT_AS_THEY_ARE:
            continue
        lower = [each.version for each in requirement.specifier if each.operator == ">="]
        if len(lower) != 1:
            raise ValueError(
                f"{requirement} has {len(lower)} lower bounds; expected one, such as {name}>=1.0"
            )
        parts = tuple(int(part) for part in lower[0].split("."))
        # "5" means the first line of releases, 5.0, as pip would otherwise take the newest 5.
        bounds[name] = max(bounds.get(name, ()), parts if len(parts) > 1 else (*parts, 0))
    return [f"{name}=={'.'.join(map(str, bounds[name]))}.*" for name in sorted(bounds)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "pyproject", type=Path, nargs="?", default=PYPROJECT, help="pyproject.toml to read"
    )
    print("\n".join(oldest(declared(parser.parse_args().pyproject))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
