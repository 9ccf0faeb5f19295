"""Prints what is installed and bevara does not need to run, so that the image can leave it out.

``requirements.lock`` is one lock for users, tests and benchmarks; an archive's image should hold nothing that is only for the
latter two. Run inside the environment in question: ``python docker/runtime_only.py bevara traces``.
"""

# ruff: noqa: INP001, T201 -- a script: it prints, and is in no package
from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distributions, requires

from packaging.requirements import Requirement

KEPT = {"pip", "setuptools"}


def name_of(text: str) -> str:
    """A distribution's name as PyPI compares them."""
    return re.sub(r"[-_.]+", "-", text).lower()


def needed(name: str, extras: frozenset[str], seen: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """*name* with everything below it, by name, each with the extras that somebody asked for."""
    if extras <= seen.get(name, frozenset()) and name in seen:
        return seen
    seen[name] = seen.get(name, frozenset()) | extras
    try:
        lines = requires(name) or []
    except PackageNotFoundError:  # needed on another platform only
        return seen
    for line in lines:
        wanted = Requirement(line)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in (*seen[name], "")):
            needed(name_of(wanted.name), frozenset(wanted.extras), seen)
    return seen


def main() -> None:
    """One superfluous distribution a line."""
    root, *extras = sys.argv[1:]
    keep = needed(root, frozenset(extras), {}).keys() | KEPT
    for name in sorted({name_of(one.name) for one in distributions()} - keep):
        print(name)


if __name__ == "__main__":
    main()
