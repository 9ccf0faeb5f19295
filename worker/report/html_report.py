"""report.html: what an officer reads first and shows others; one file, no network, both languages.

The page is made of pieces as the template goes, so that pictures pass through memory one by one. Which files it shows is
decided in ``selection``, the words are in ``words`` and ``reasons``, how it looks is in ``templates/report.css``.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from worker.policy.plan import Text
from worker.record import FileRecord, Status
from worker.report import present, words
from worker.report.atomic import replacing
from worker.report.header import ReportHeader
from worker.report.names import one_line, shorten, visible
from worker.report.pictures import PAGE_BYTES, Evidence, Pictures
from worker.report.reasons import reason
from worker.report.selection import Selection, select
from worker.report.sentences import opening, second

_TEMPLATES = Path(__file__).parent / "templates"
_PIECES = 200  # template pieces joined before they are written


def write(
    path: Path,
    header: ReportHeader,
    records_factory: Callable[[], Iterable[FileRecord]],
    evidence: Evidence,
    *,
    picture_room_bytes: int = PAGE_BYTES,
) -> None:
    """Write report.html at *path*.

    Args:
        path: The page; an older one is replaced.
        header: The job.
        records_factory: Gives all files of the job, in the order of their paths; called once.
        evidence: What ``FileRecord.evidence`` names are relative to: a folder, or what gives a picture's bytes.
        picture_room_bytes: Most bytes of pictures in the page.

    Raises:
        OSError: The page could not be written; an older one at *path* still stands.
    """
    pictures = Pictures(evidence, picture_room_bytes)
    content = _context(header, select(records_factory()), pictures)
    page = _template().stream(content)
    page.enable_buffering(_PIECES)
    with replacing(path) as stream:
        for piece in page:
            stream.write(piece.encode("utf-8", "backslashreplace"))


def _context(header: ReportHeader, chosen: Selection, pictures: Pictures) -> dict[str, Any]:
    return {
        "header": header,
        "chosen": chosen,
        "tally": chosen.tally,
        "counts": chosen.tally.by_status(),
        "opening": opening(chosen.tally, interrupted=header.interrupted),
        "second": second(header, chosen.tally),
        "pictures": pictures,
    }


@cache
def _template() -> jinja2.Template:
    """Compile the page once; it is the program's own, and holds nothing of any job."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    script = (_TEMPLATES / "report.js").read_text("utf-8")
    environment.globals |= {
        "style": Markup((_TEMPLATES / "report.css").read_text("utf-8")),  # noqa: S704 -- our own file
        "script": Markup(script),  # noqa: S704 -- our own file
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        "Status": Status,
        "words": words,
        "reason": reason,
        "word": words.word,
    }
    environment.filters |= {
        "both": present.both,
        "number": present.number,
        "size": present.size,
        "duration": present.duration,
        "moment": present.moment,
        "fact": present.fact,
        "file_name": present.file_name,
        "line": _line,
        "repair": _repair,
    }
    environment.globals["t"] = _t
    return environment.get_template("report.html.j2")


def shown(value: object) -> object:
    """Make control characters visible in every text that reaches the page; what is markup already was seen to."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _t(sv: str, en: str) -> Markup:
    """Return the template's own words in both languages."""
    return present.both(Text(sv, en))


def _line(text: str, limit: int = 400) -> str:
    return shorten(one_line(text), limit)


def _repair(note: str) -> str | None:
    """Return what was repaired, where *note* names a repair ("repair: fonts: 3 embedded")."""
    head, _, rest = note.partition(":")
    return rest.strip() if head.strip().lower() == "repair" else None
