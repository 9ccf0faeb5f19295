"""Check that a text is text: decodes strictly as its encoding to the last byte.

Well-formedness of what the text carries (XML, JSON, CSV) is not checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actions.catalog import TextCheckParams
from actions.contract import Fact, Outcome, Verdict
from actions.text.encoding import Confidence, Encoding, name_encoding
from actions.text.stream import NotThisEncodingError, decoded

TOOL = "bevara text 1"


@dataclass(slots=True)
class _Count:
    """Line ends, over chunks: a carriage return at a chunk's end may belong to a line feed in the next."""

    crlf: int = 0
    lf: int = 0
    cr: int = 0
    characters: int = 0
    nuls: int = 0
    last: str = ""

    def add(self, text: str) -> None:
        joined = self.last + text if self.last == "\r" else text
        pairs = joined.count("\r\n")
        self.crlf += pairs
        self.lf += joined.count("\n") - pairs
        ends_open = joined.endswith("\r")
        self.cr += joined.count("\r") - pairs - ends_open
        self.characters += len(text)
        self.nuls += text.count("\0")
        self.last = joined[-1:] or self.last

    def finish(self) -> None:
        self.cr += self.last == "\r"

    @property
    def lines(self) -> int:
        ends = self.crlf + self.lf + self.cr
        return ends + (self.characters > 0 and self.last not in {"\n", "\r"})

    @property
    def style(self) -> str:
        used = [name for name, count in (("crlf", self.crlf), ("lf", self.lf), ("cr", self.cr)) if count]
        return used[0] if len(used) == 1 else ("mixed" if used else "none")


def run(source: Path, workdir: Path, params: TextCheckParams) -> Outcome:
    """VALID: text to its end in a certain or likely encoding. UNKNOWN: the encoding is only a guess. INVALID: not text."""
    del workdir
    named = _named(source, params.encoding)
    if named.name is None:
        verdict = Verdict.INVALID if named.binary else Verdict.UNKNOWN
        return Outcome(tool=TOOL, verdict=verdict, notes=(f"No text encoding: {named.why}.",), facts={"binary": named.binary})
    count = _Count()
    facts: dict[str, Fact] = {"encoding": named.name, "encoding_confidence": named.confidence.value, "bom": named.bom}
    try:
        for text in decoded(source, named.name):
            count.add(text)
    except NotThisEncodingError as wrong:
        return Outcome(tool=TOOL, verdict=Verdict.INVALID, notes=(f"Not text to its end: {wrong}.",), facts=facts)
    count.finish()
    facts |= {"lines": count.lines, "newlines": count.style, "characters": count.characters}
    if count.nuls:
        return Outcome(tool=TOOL, verdict=Verdict.INVALID, notes=(f"Holds {count.nuls} NUL characters.",), facts=facts)
    sure = named.confidence is not Confidence.UNCERTAIN
    notes = () if sure else (f"The encoding is a guess: {named.why}.",)
    return Outcome(tool=TOOL, verdict=Verdict.VALID if sure else Verdict.UNKNOWN, notes=notes, facts=facts)


def _named(source: Path, encoding: str | None) -> Encoding:
    measured = name_encoding(source)
    if encoding is None or measured.name == encoding:
        return measured
    return Encoding(encoding, Confidence.LIKELY, "named by the plan", bom=measured.bom)
