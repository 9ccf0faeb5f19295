"""The audit report as a page that prints: what was promised, what was read, what was found and done; for officers and tillsyn.

One file, no network, both languages; words are in ``audit_words``, sums in ``audit_sums``, the coverage picture in
``audit_calendar``, how it looks in ``templates/audit.css``.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from worker.fixity.period import Period, StorePeriod
from worker.policy.plan import Text
from worker.report import audit_sums as sums
from worker.report import audit_words as words
from worker.report import present
from worker.report.atomic import replacing
from worker.report.audit_calendar import Calendar, calendar
from worker.report.html_report import shown

_TEMPLATES = Path(__file__).parent / "templates"
_PIECES = 200  # template pieces joined before they are written


def write(path: Path, period: Period) -> None:
    """Write the page at *path*.

    Raises:
        OSError: It could not be written; an older one at *path* still stands.
    """
    found = sums.Findings.of(period)
    page = _template().stream(
        {
            "period": period,
            "found": found,
            "opening": sums.opening(period),
            "second": sums.second(found),
            "pictures": [(store, _calendar(period, store)) for store in period.stores],
        }
    )
    page.enable_buffering(_PIECES)
    with replacing(path) as stream:
        for piece in page:
            stream.write(piece.encode("utf-8", "backslashreplace"))


def _calendar(period: Period, store: StorePeriod) -> Calendar:
    days, late = store.rules.interval_days, store.state.overdue
    end = period.last if period.past and store.kept else period.made[:10]
    return calendar(store.checked, first=period.first, last=period.last, today=end, interval_days=days, overdue=late)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    script = (_TEMPLATES / "report.js").read_text("utf-8")
    style = "".join((_TEMPLATES / name).read_text("utf-8") for name in ("report.css", "audit.css"))
    environment.globals |= {
        "style": Markup(style),  # noqa: S704 -- our own file
        "script": Markup(script),  # noqa: S704 -- our own file
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        "words": words,
        "word": words.word,
        "sums": sums,
        "t": _t,
    }
    environment.filters |= {"both": present.both, "number": present.number, "size": present.size, "moment": present.moment}
    environment.filters |= {"said": _said, "name": present.file_name}
    environment.filters["begun"], environment.filters["days"] = _begun, _days
    return environment.get_template("audit.html.j2")


def _t(sv: str, en: str) -> Markup:
    """Return the template's own words in both languages."""
    return present.both(Text(sv, en))


def _said(text: str | None) -> Markup:
    return present.both(words.sentence(text))


def _begun(text: str | None) -> Markup:
    """Return a detail as the beginning of a sentence."""
    found = words.sentence(text)
    return present.both(Text(found.sv[:1].upper() + found.sv[1:], found.en[:1].upper() + found.en[1:]))


def _days(interval: float) -> Markup:
    whole = present.decimal(interval, 0 if interval == int(interval) else 1)
    return present.both(Text(f"{whole.sv} dygn", f"{whole.en} {'day' if interval == 1 else 'days'}"))
