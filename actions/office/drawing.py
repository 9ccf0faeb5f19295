"""What texts and presentations share in OOXML: pictures and diagrams behind a relationship.

Source: ECMA-376-1:2016 §21.4 (diagrams), §20.1.8.13 (blip).
"""

from __future__ import annotations

from actions.errors import DamagedError, TooLargeError
from actions.office.content import Gathering
from actions.office.metafiles import note
from actions.office.package import Package

VECTOR_ENDINGS = (".emf", ".wmf", ".svg", ".emz", ".wmz", ".svm", ".pct", ".pict")
METAFILE_ENDINGS = (".emf", ".wmf", ".emz", ".wmz")


def note_picture(gathering: Gathering, package: Package, part: str, *, is_vector: bool = False, is_read: bool = True) -> None:
    """Count the picture *part*: once however often it is shown, and once for all its equal copies."""
    kind = gathering.vectors if is_vector or part.lower().endswith(VECTOR_ENDINGS) else gathering.pictures
    kind.add(package.fingerprint(part))
    if is_read and part.lower().endswith(METAFILE_ENDINGS):
        note_metafile(gathering, package, part)


def note_metafile(gathering: Gathering, package: Package, part: str) -> None:
    """Note what the picture *part* says where it is a metafile; one that is not there, or linked from outside, says nothing."""
    weighed = package.read_bytes
    try:
        data = package.read(part)
    except (DamagedError, TooLargeError):
        data = None
    else:
        if data is None:
            return
    package.read_bytes = weighed  # has a bound of its own, so that pictures do not keep text from being read
    note(gathering, package.fingerprint(part), data)


def diagram_text(package: Package, part: str) -> str:
    """A diagram's texts, from its data model: what the cached drawing is made from."""
    root = package.xml(part)
    if root is None:
        return ""
    lines = []
    for point in root.iter("{*}pt"):
        for paragraph in point.iter("{*}p"):
            lines.append("".join(run.text or "" for run in paragraph.iter("{*}t")))  # noqa: PERF401 -- nested: plainer so
    return "\n" + "\n".join(line for line in lines if line) + "\n"
