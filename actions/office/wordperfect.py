"""Reads WordPerfect 4.x documents, a format without a signature: text, and codes whose form alone betrays it.

A code from C0 upwards stands before and after its own data, at a length that belongs to it. Bytes of any other kind
do not keep to that, so a file that keeps to it to the end, several times, is WordPerfect. Headers, footers and notes
lie inside such codes in forms that differ between versions: a file that has them is not read to the end, and says so.
Later versions (5 and on) have a signature and other codes, and do not belong here.
Source: WordPerfect 4.2 file format as libwpd describes it (sizes of its functions); IBM code page 437.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from actions.office.content import Gathering, OfficeContent

SOURCE_BYTES = 20_000_000  # it comes from the time of floppy disks
FIRST = 0xC0
LENGTHS = (
    *(6, 4, 3, 5, 5, 6, 4, 6, 8, 42, 3, 6, 4, 3, 4, 3),  # from C0: margins, spacing, tabulators, fonts
    *(6, 0, 0, 4, 4, 4, 6, 0, 4, 4, 4, 4, 0, 24, 4, 0),
    *(4, 3, 0, 150, 6, 23, 11, 3, 3, 0, 0, 0, 4, 0, 44, 18),
    *(6, 106, 0, 100, 4, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0),
)
"""Bytes of each code from C0 to FE, both its marks included; 0: it ends where its mark comes again."""
EXTENDED = 0xE1  # one character of the IBM set
WITH_TEXT = {0xD1: "a header or footer", 0xD2: "a footnote", 0xE2: "a note"}
_WORD = re.compile(rb"[A-Za-z]{3}")  # in any other code without a length of its own
ENDS = {0x09: "\t", 0x0A: "\n", 0x0B: " ", 0x0C: "\n", 0x0D: " ", 0x8C: "\n", 0x99: "\n"}  # 0B and 0D: where a line was broken
SIGNS = {0xA0: " ", 0xA9: "-", 0xAA: "-", 0xAB: "-"}  # AC to AF: soft hyphens
CODES_MIN = 2  # of fixed length: by chance, one file in 65,536 that keeps to everything else
_BELOW = bytes(range(FIRST))
TEXT_SHARE = 0.5  # of what stands outside the codes, printable ASCII


@dataclass(frozen=True, slots=True)
class Code:
    """One byte of text or one code with its data; ``data`` is what stands between its marks."""

    number: int
    data: bytes = b""
    fixed: bool = False


def codes(content: bytes, *, cut: bool = False) -> Iterator[Code]:
    """Walk *content*; a file that was *cut* may end within a code.

    Raises:
        ValueError: It does not keep to the format.
    """
    at = 0
    while at < len(content):
        number = content[at]
        if number < FIRST:
            yield Code(number)
            at += 1
            continue
        length = LENGTHS[number - FIRST] if number < 0xFF else -1
        end = at + length - 1 if length > 0 else content.find(bytes([number]), at + 1)
        if cut and (end < 0 <= length or end >= len(content)):
            return
        if length < 0 or end < 0 or end >= len(content) or content[end] != number:
            raise ValueError(f"code {number:02X} at {at} does not end where it should")
        yield Code(number, content[at + 1 : end], length > 0)
        at = end + 1


def keeps_to_it(content: bytes, *, cut: bool = False) -> bool:
    """Tell WordPerfect 4 by its form: every code ends where it must, and text stands between them."""
    if not content.translate(None, _BELOW):
        return False  # most texts end here
    fixed = outside = plain = 0
    try:
        for code in codes(content, cut=cut):
            fixed += code.fixed
            if code.number < FIRST:
                if code.number < 0x20 and code.number not in ENDS:
                    return False
                outside += 1
                plain += 0x20 <= code.number < 0x7F
    except ValueError:
        return False
    return fixed >= CODES_MIN and plain > 0 and plain >= TEXT_SHARE * outside


def read(source: Path) -> OfficeContent | None:
    """Read *source*; None when it is not of this format."""
    if source.stat().st_size > SOURCE_BYTES:
        return None
    content = source.read_bytes()
    if not keeps_to_it(content):
        return None
    gathering = Gathering("text", "bevara wordperfect 4 reader")
    for code in codes(content):
        if code.number in WITH_TEXT or (not code.fixed and _WORD.search(code.data)):
            gathering.damage = f"{WITH_TEXT.get(code.number, 'a code with words')} is not read"
        gathering.body.append(_shown(code))
    return gathering.content()


def _shown(code: Code) -> str:
    if code.number == EXTENDED:
        return code.data.decode("cp437")
    if 0x20 <= code.number < 0x7F:
        return chr(code.number)
    return ENDS.get(code.number, "") or SIGNS.get(code.number, "")
