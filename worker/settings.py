"""Where things are on this machine, read from the environment in one place.

Every setting has a default that suits the embedded use; names begin with ``BEVARA_``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
VERAPDF_PLACES = (PROJECT / "build" / "verapdf" / "lib", Path("/opt/verapdf/lib"), Path("/usr/share/verapdf/lib"))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process needs to know of its surroundings.

    Attributes:
        verapdf_lib: Folder of veraPDF's jars, or None: PDF/A is then claimed only where ``pikepdf.pdfa`` approves.
        jobs: How many files are worked on at once: one action host each.
    """

    verapdf_lib: Path | None
    jobs: int

    @classmethod
    def from_environment(cls, jobs: int | None = None) -> Settings:
        """Settings of this process; *jobs* from the command line wins over the number of usable cores."""
        return cls(_verapdf_lib(), jobs or len(os.sched_getaffinity(0)))


def _verapdf_lib() -> Path | None:
    given = os.environ.get("BEVARA_VERAPDF_LIB")
    places = (Path(given),) if given is not None else VERAPDF_PLACES
    return next((place.resolve() for place in places if place.is_dir() and any(place.glob("*.jar"))), None)
