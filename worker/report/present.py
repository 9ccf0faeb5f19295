"""How values look on the page, in both languages; escaped here, or by Jinja's autoescape.

Both languages stand in the page, each marked with ``lang``; the style sheet shows one of them.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from actions.contract import Fact
from worker.policy.plan import Text
from worker.report.names import one_line, shorten, shorten_path, visible

NO_BREAK_SPACE = "\u00a0"
NOT_MEASURED = Markup("\u2013")  # a dash
FACT_CHARACTERS = 160
SHORT_FACT = 14  # characters that a narrow column has room for
LIST_ITEMS = 6
PATH_CHARACTERS = 400  # of the folders; the file's own name is never cut
_DIGEST = re.compile(r"[0-9a-f]{32,}")  # whether two agree is what counts; report.json has them whole


def both(text: Text) -> Markup:
    """Return *text* as two marked spans, or once where both languages agree."""
    sv, en = escape(visible(text.sv)), escape(visible(text.en))
    if sv == en:
        return sv
    return Markup('<span class="t" lang="sv">{}</span><span class="t" lang="en">{}</span>').format(sv, en)


def numeral(value: int) -> Text:
    """Return *value* with thousands set apart: 12 345 in Swedish, 12,345 in English."""
    english = f"{value:,}"
    return Text(english.replace(",", NO_BREAK_SPACE), english)


def number(value: int) -> Markup:
    """Return *value* for the page."""
    return both(numeral(value))


def decimal(value: float, digits: int) -> Text:
    """Return *value* with *digits* decimals: comma in Swedish, point in English."""
    english = f"{value:.{digits}f}"
    return Text(english.replace(".", ","), english)


def size(size_bytes: int | None) -> Markup:
    """Return a size in decimal units (IEC 80000-13: 1 kB is 1,000 bytes)."""
    if size_bytes is None:
        return NOT_MEASURED
    if size_bytes < 1000:
        return Markup(f"{size_bytes}{NO_BREAK_SPACE}B")  # noqa: S704 -- a number
    value = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5 or unit == "TB":
            break
    shown = decimal(value, 1 if value < 99.95 else 0)
    return both(Text(f"{shown.sv}{NO_BREAK_SPACE}{unit}", f"{shown.en}{NO_BREAK_SPACE}{unit}"))


def duration(seconds: float) -> Markup:
    """Return a duration: 0,4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:
        shown = decimal(seconds, 2 if seconds < 1 else 1)
        return both(Text(f"{shown.sv}{NO_BREAK_SPACE}s", f"{shown.en}{NO_BREAK_SPACE}s"))
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    shown_time = f"{hours} h {rest_min} min" if hours else f"{minutes} min {rest_s} s" if minutes else f"{rest_s} s"
    return escape(shown_time.replace(" ", NO_BREAK_SPACE))


def moment(iso: str) -> str:
    """Return a UTC time as ``2026-11-22 16:10 UTC``, or as it stands where it is no ISO 8601 time."""
    try:
        parsed = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return parsed.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if parsed.tzinfo else f"{parsed:%Y-%m-%d %H:%M}"


def fact(value: Fact) -> Markup:
    """Return one measured value; a dash is "not measured"."""
    if value is None:
        return NOT_MEASURED
    if isinstance(value, bool):
        return both(Text("ja", "yes") if value else Text("nej", "no"))
    if isinstance(value, int):
        return number(value)
    if isinstance(value, float):
        english = f"{value:.1f}" if value.is_integer() else f"{value:.4g}"
        return both(Text(english.replace(".", ","), english))
    if isinstance(value, list):
        return _words(value)
    return _wrapped(value) if value else NOT_MEASURED


def _words(values: list[str]) -> Markup:
    if not values:
        return both(Text("inga", "none"))
    more = f" … +{len(values) - LIST_ITEMS}" if len(values) > LIST_ITEMS else ""
    return _wrapped(", ".join(values[:LIST_ITEMS]) + more)


def _wrapped(text: str) -> Markup:
    """Return *text* so that it wraps where it is long, and stays on its line where it is short."""
    shown = shorten(one_line(_DIGEST.sub(lambda digest: digest[0][:12] + "…", text)), FACT_CHARACTERS)
    return escape(shown) if len(shown) <= SHORT_FACT else Markup('<span class="words">{}</span>').format(shown)


def file_name(path: str) -> Markup:
    """Return *path* with its folders pale; isolated, so that a right-to-left name does not turn the line around."""
    folder, slash, name = path.rpartition("/")
    parts = Markup('<span class="folder">{}</span>').format(shorten_path(visible(folder), PATH_CHARACTERS) + slash) if slash else ""
    return Markup('<bdi class="name">{}{}</bdi>').format(parts, visible(name))
