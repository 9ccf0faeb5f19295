"""Where things are on this machine, read from the environment in one place.

Every setting has a default that suits the embedded use; names begin with ``BEVARA_``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from actions.errors import PermanentError

PROJECT = Path(__file__).resolve().parents[1]
VERAPDF_PLACES = (PROJECT / "build" / "verapdf" / "lib", Path("/opt/verapdf/lib"), Path("/usr/share/verapdf/lib"))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a process needs to know of its surroundings.

    Attributes:
        verapdf_lib: Folder of veraPDF's jars, or None: PDF/A is then claimed only where ``pikepdf.pdfa`` approves.
        jobs: How many files are worked on at once: one action host each.
        time_factor: All actions' time limits are multiplied by it (``BEVARA_TIME_FACTOR``): a slow machine needs more.
    """

    verapdf_lib: Path | None
    jobs: int
    time_factor: float = 1.0

    @classmethod
    def from_environment(cls, jobs: int | None = None) -> Settings:
        """Settings of this process; *jobs* from the command line wins over the number of usable cores."""
        return cls(_verapdf_lib(), jobs or len(os.sched_getaffinity(0)), _time_factor())


def _verapdf_lib() -> Path | None:
    given = os.environ.get("BEVARA_VERAPDF_LIB")
    places = (Path(given),) if given is not None else VERAPDF_PLACES
    return next((place.resolve() for place in places if place.is_dir() and any(place.glob("*.jar"))), None)


def _time_factor() -> float:
    given = os.environ.get("BEVARA_TIME_FACTOR", "1")
    try:
        factor = float(given)
    except ValueError:
        factor = 0.0
    if not 0.001 <= factor <= 1000:
        raise PermanentError("is not a number from 0.001 to 1000", f"BEVARA_TIME_FACTOR={given}", "Unset it, or set it to 1.")
    return factor
