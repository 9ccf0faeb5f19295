"""Facts of binary office files: Word, Excel and PowerPoint up to 2003, and OOXML locked into an OLE container.

Source: [MS-CFB]; [MS-OFFCRYPTO] §2.3 (EncryptedPackage); [MS-DOC] §2.5.2 (fEncrypted); [MS-XLS] §2.4.117 (FilePass),
§2.4.28 (BoundSheet8), §2.4.271 (SupBook); [MS-PPT] §2.3.2 (CurrentUserAtom), §2.4.10 (VBAInfoAtom).
"""

from __future__ import annotations

import struct
from pathlib import Path

import olefile

from actions.contract import Fact
from actions.errors import EncryptedError, RefusedError
from actions.office import ole_powerpoint, ole_word
from actions.office.content import OfficeContent
from actions.office.records import Record, walk
from actions.office.word_runs import read_runs

STREAM_BYTES = 200_000_000
MACRO_FOLDERS = frozenset({"macros", "_vba_project_cur", "vba", "_vba_project"})
SIGNATURES = frozenset({"_signatures", "_xmlsignatures"})
FILE_PASS, BOUND_SHEET, SUP_BOOK, END_OF_PART, NOTE, BEGIN = 0x2F, 0x85, 0x1AE, 0x0A, 0x1C, 0x809
OWN_BOOK, ADD_IN = 0x0401, 0x3A01  # SupBooks that name no other file
RECORDS_MAX = 2_000_000
VBA_INFO = 1024
WORD_COMMENTS = 0xBA  # where the directory names the comments' references
COMMENT_BYTES = 30


def probe(source: Path) -> dict[str, Fact]:
    """Facts of the OLE file at *source*; a broken container is a fact too."""
    try:
        with olefile.OleFileIO(str(source)) as container:
            paths = {"/".join(path).lower(): path for path in container.listdir()}
            facts = _container(paths)
            if facts["encrypted"]:
                return facts
            return facts | _family(container, paths, source.name)
    except EncryptedError:
        return {"encrypted": True}
    except RefusedError as refused:
        return {"damaged": True, "damage": refused.what}
    except MemoryError:
        raise
    except Exception as bad:  # noqa: BLE001 -- olefile and struct raise a dozen kinds on hostile offsets
        return {"damaged": True, "damage": f"its OLE container cannot be read: {bad}"[:200]}


def _container(paths: dict[str, list[str]]) -> dict[str, Fact]:
    """What the storage tree alone says."""
    parts = {part for path in paths for part in path.split("/")}
    pool = {path.split("/")[1] for path in paths if path.startswith("objectpool/")}
    sheets = {part for part in parts if part.startswith("mbd") and len(part) == 11}  # Excel's storages of embedded objects
    return {
        "encrypted": bool(parts & {"encryptedpackage", "encryptedsummary"}),
        "signed": bool(parts & SIGNATURES),
        "macros": bool(parts & MACRO_FOLDERS),
        "embedded_files": len(pool | sheets),
    }


def _family(container: olefile.OleFileIO, paths: dict[str, list[str]], name: str) -> dict[str, Fact]:
    def stream(key: str) -> bytes:
        return bytes(container.openstream(paths[key]).read(STREAM_BYTES)) if key in paths else b""

    if "worddocument" in paths:
        return _word(stream("worddocument"), {"0Table": stream("0table"), "1Table": stream("1table")}, name)
    for key in ("workbook", "book"):
        if key in paths:
            return _excel(stream(key))
    if "powerpoint document" in paths:
        return _powerpoint(stream("powerpoint document"), stream("current user"), name)
    return {}


def _word(stream: bytes, tables: dict[str, bytes], name: str) -> dict[str, Fact]:
    fib = ole_word.read_fib(stream, name)
    if fib.flags & ole_word.ENCRYPTED:
        return {"encrypted": True}
    content = ole_word.read(stream, tables, name)
    is_97 = fib.version >= ole_word.WORD_97
    table = tables["1Table" if fib.flags & ole_word.TABLE_1 else "0Table"]
    references = struct.unpack_from("<i", stream, WORD_COMMENTS + 4)[0] if is_97 else 0
    runs = read_runs(stream, table, b"", fib.runs, is_97=is_97)
    facts = _content(content) | {"hidden": sum(run.hidden for run in runs)}
    if is_97:
        facts["comments"] = max(0, references - 4) // (COMMENT_BYTES + 4)
        facts["tracked_changes"] = content.deletions + content.insertions
    return facts


def _powerpoint(stream: bytes, current_user: bytes, name: str) -> dict[str, Fact]:
    content = ole_powerpoint.read(stream, current_user, name)
    whole = Record(0, 0, is_container=True, data=memoryview(stream))
    has_macros = any(record.kind == VBA_INFO and len(record.data) >= 8 and record.data[4] for record in walk(whole))
    facts = _content(content) | {"pages": content.slides, "notes": len(content.notes), "hidden": content.hidden_slides}
    return (
        facts | {"embedded_files": content.embedded, "comments": len(content.comments)} | ({"macros": True} if has_macros else {})
    )


def _content(content: OfficeContent) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"damaged": bool(content.damage)}
    return facts | ({"damage": content.damage} if content.damage else {})


def _excel(stream: bytes) -> dict[str, Fact]:
    """Walk the records of the workbook; each has a type and a length before its data."""
    at, hidden, links, comments, complete = 0, 0, 0, 0, False
    for _ in range(RECORDS_MAX):
        if at + 4 > len(stream):
            break
        kind, length = struct.unpack_from("<HH", stream, at)
        data = stream[at + 4 : at + 4 + min(length, 16)]
        if kind == FILE_PASS:
            return {"encrypted": True}
        hidden += kind == BOUND_SHEET and len(data) > 4 and bool(data[4] & 3)
        links += kind == SUP_BOOK and len(data) >= 4 and struct.unpack_from("<H", data, 2)[0] not in {OWN_BOOK, ADD_IN}
        comments += kind == NOTE
        complete = kind == END_OF_PART or (complete and kind == 0)
        at += 4 + length
    facts: dict[str, Fact] = {"hidden": hidden, "external_links": links, "comments": comments, "damaged": not complete}
    return facts | ({} if complete else {"damage": "its last sheet does not end"})
