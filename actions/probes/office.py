"""Facts of an office file that PRONOM cannot see: password, signature, macros, remarks, hidden parts, links outward.

Counts come from the bytes of the parts that hold them, not from a whole reading: a probe runs on every file, and must
cost milliseconds. What the text says is ``actions.office``'s matter. Binary containers are read by ``office_ole``.
Source: ECMA-376-1:2016 §11-15 (parts), ECMA-376-2:2021 §10 (signatures); ODF 1.3 part 2 §3-5; RTF 1.9.1.
"""

from __future__ import annotations

import re
from pathlib import Path

from actions.contract import Fact
from actions.errors import EncryptedError, RefusedError
from actions.office.package import Package
from actions.probes import office_ole

HEAD_BYTES = 4096
RTF_BYTES = 200_000_000
XML_BYTES = 100_000_000
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_EXTERNAL = re.compile(rb"<(?:\w+:)?Relationship\b(?=[^>]*TargetMode=\"External\")(?![^>]*/hyperlink\")[^>]*>")
_CHANGE = re.compile(rb"<w:(?:ins|del|moveFrom|moveTo)[ >]")
_VANISH = re.compile(rb"<w:vanish(?:/>| w:val=\"(?:1|true|on)\")")
_COMMENT = re.compile(rb"<(?:w:comment|p:cm|p188:cm|comment|threadedComment)[ >]")
_FIELD = re.compile(rb"<a:fld\b.*?</a:fld>", re.DOTALL)
_NOTE_TEXT = re.compile(rb"<a:t>[^<]")
_HIDDEN_SLIDE = re.compile(rb"<p:sld\b[^>]*\bshow=\"(?:0|false)\"")
_HIDDEN_SHEET = re.compile(rb"state=\"(?:hidden|veryHidden)\"")
_SLIDE = re.compile(rb"<p:sldId ")

_ODF_CHANGE = re.compile(rb"<text:changed-region[ >]")
_ODF_COMMENT = re.compile(rb"<office:annotation[ >]")
_ODF_NOTES = re.compile(rb"<presentation:notes\b.*?</presentation:notes>", re.DOTALL)
_ODF_NOTE_TEXT = re.compile(rb"<text:(?:p|span|h)(?: [^>]*)?>[^<\s]")
_ODF_HIDDEN = re.compile(rb"(?:text:display=\"none\"|presentation:visibility=\"hidden\"|table:display=\"false\"|<text:hidden-)")
_ODF_LINK = re.compile(
    rb"<(?:draw:image|draw:object|draw:object-ole|draw:plugin|text:section-source|table:table-source)\b"
    rb"[^>]*xlink:href=\"(?:https?|ftp|file|smb|\.\./|/)"
)
_ODF_OBJECT = re.compile(r"^(Object \d+)(?:/|$)")
_ODF_BASIC = re.compile(r"^(?:Basic/.*/(?!script-l[bc]\.xml$|dialog-l[bc]\.xml$)[^/]+\.xml|Scripts/.+[^/])$")
_RTF = {
    "comments": re.compile(rb"\\\*\\annotation\b"),
    "tracked_changes": re.compile(rb"\\(?:revised|deleted)(?![a-z0-9])"),
    "hidden": re.compile(rb"\\v(?![a-z0-9])"),
    "embedded_files": re.compile(rb"\\objdata\b"),
    "external_links": re.compile(rb"\\objautlink\b|INCLUDEPICTURE|INCLUDETEXT"),
}
_BRACE = re.compile(rb"\\[\\{}]|[{}]")


def probe(source: Path) -> dict[str, Fact]:
    """Facts of an OOXML, ODF, OLE or RTF file; never raises for bad content."""
    with source.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    try:
        if head.startswith(OLE_MAGIC):
            return office_ole.probe(source)
        if head.startswith(b"PK"):
            return _zipped(source)
    except EncryptedError:
        return {"encrypted": True}
    except RefusedError as refused:
        return {"damaged": True, "damage": refused.what}
    if b"{\\rt" in head[:64]:
        return _rtf(source)
    return _flat(source) if b"<" in head[:64] else {}


def _zipped(source: Path) -> dict[str, Fact]:
    with Package.open(source) as package:
        names = package.names()
        if "[Content_Types].xml" in names:
            return _opc(package, names)
        return _odf(package, names) if "content.xml" in names or "META-INF/manifest.xml" in names else {}


def _read(package: Package, names: list[str]) -> bytes:
    return b"\n".join(package.read(name) or b"" for name in names)


def _opc(package: Package, names: list[str]) -> dict[str, Fact]:
    """Office Open XML: Word, PowerPoint and Excel by their main folder."""
    links = _EXTERNAL.findall(_read(package, [name for name in names if name.endswith(".rels")]))
    facts: dict[str, Fact] = {
        "encrypted": False,
        "signed": any(name.startswith("_xmlsignatures/") for name in names),
        "macros": any(name.lower().endswith("vbaproject.bin") for name in names),
        "embedded_files": sum("/embeddings/" in name and not name.endswith("/") for name in names),
        "external_links": len(links),
        "comments": len(_COMMENT.findall(_read(package, [name for name in names if _is_comments(name)]))),
        "damaged": False,
    }
    if "word/document.xml" in names:
        body = _read(package, [name for name in names if re.fullmatch(r"word/(?:document|footnotes|endnotes)\.xml", name)])
        facts |= {"tracked_changes": len(_CHANGE.findall(body)), "hidden": len(_VANISH.findall(body))}
    elif "ppt/presentation.xml" in names:
        facts |= _slides(package, names)
    elif "xl/workbook.xml" in names:
        facts["hidden"] = len(_HIDDEN_SHEET.findall(_read(package, ["xl/workbook.xml"])))
        facts["tracked_changes"] = sum(name.startswith("xl/revisions/revisionLog") for name in names)
    elif not any(kind == "officeDocument" for kind, _ in package.relations("").values()):
        facts |= {"damaged": True, "damage": "its main part is missing"}
    return facts


def _is_comments(name: str) -> bool:
    base = name.rpartition("/")[2].lower()
    in_place = "comments/" in name.lower() or base.startswith(("comments", "comment"))
    return (
        in_place
        and base.endswith(".xml")
        and not base.startswith(("commentauthors", "commentsextended", "commentsids", "commentsext"))
    )


def _slides(package: Package, names: list[str]) -> dict[str, Fact]:
    slides = [name for name in names if re.fullmatch(r"ppt/slides/[^/]+\.xml", name)]
    notes = [name for name in names if re.fullmatch(r"ppt/notesSlides/[^/]+\.xml", name)]
    texts = (_FIELD.sub(b"", package.read(name) or b"") for name in notes)
    return {
        "pages": len(_SLIDE.findall(_read(package, ["ppt/presentation.xml"]))),
        "hidden": sum(_HIDDEN_SLIDE.search(package.read(name) or b"") is not None for name in slides),
        "notes": sum(_NOTE_TEXT.search(text) is not None for text in texts),
    }


def _odf(package: Package, names: list[str]) -> dict[str, Fact]:
    """OpenDocument and OpenOffice.org 1; an encrypted one shows its manifest only."""
    encrypted = b"encryption-data" in (package.read("META-INF/manifest.xml") or b"")
    objects = {found[1] for name in names if (found := _ODF_OBJECT.match(name))}
    facts: dict[str, Fact] = {
        "encrypted": encrypted,
        "signed": "META-INF/documentsignatures.xml" in names,
        "macros": any(_ODF_BASIC.match(name) for name in names),
        "embedded_files": len(objects),
    }
    if encrypted:
        return facts
    content = package.read("content.xml")
    if content is None:
        return facts | {"damaged": True, "damage": "its part content.xml is missing"}
    return facts | {"damaged": False} | _odf_counts(content)


def _odf_counts(content: bytes) -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "tracked_changes": len(_ODF_CHANGE.findall(content)),
        "comments": len(_ODF_COMMENT.findall(content)),
        "hidden": len(_ODF_HIDDEN.findall(content)),
        "external_links": len(_ODF_LINK.findall(content)),
    }
    if b"<office:presentation" in content or b"<presentation:notes" in content:
        notes = _ODF_NOTES.findall(content)
        facts |= {"pages": content.count(b"<draw:page "), "notes": sum(_ODF_NOTE_TEXT.search(note) is not None for note in notes)}
    return facts


def _rtf(source: Path) -> dict[str, Fact]:
    """RTF has no password and no signature of its own; it is whole when its first group is closed."""
    with source.open("rb") as stream:
        data = stream.read(RTF_BYTES)
    body = _without_styles(data)  # a style that hides does not mean that anything is hidden
    facts: dict[str, Fact] = {name: len(pattern.findall(body)) for name, pattern in _RTF.items()}
    is_open = b"\\bin" not in data and not data.rstrip(b"\0 \r\n\x1a").endswith(b"}") and _is_open(data)
    facts |= {"encrypted": False, "signed": False, "macros": False, "damaged": is_open}
    return facts | ({"damage": "its last group is not closed: the end is missing"} if is_open else {})


def _without_styles(data: bytes) -> bytes:
    start, depth = data.find(b"{\\stylesheet"), 0
    for mark in _BRACE.finditer(data, start) if start >= 0 else ():
        depth += (mark[0] == b"{") - (mark[0] == b"}")
        if depth == 0:
            return data[:start] + data[mark.end() :]
    return data


def _is_open(data: bytes) -> bool:
    depth, started = 0, False
    for mark in _BRACE.findall(data):
        depth += (mark == b"{") - (mark == b"}")
        started = started or depth > 0
        if started and depth == 0:
            return False
    return True


def _flat(source: Path) -> dict[str, Fact]:
    """Flat ODF, flat OPC and Word 2003 XML; other XML has none of these facts."""
    with source.open("rb") as stream:
        data = stream.read(XML_BYTES)
    if b"<office:document" in data[:HEAD_BYTES]:
        macros = b"<office:scripts" in data and b"ooo:library " in data
        return {"encrypted": False, "macros": macros, **_odf_counts(data)}
    if b"wordDocument" in data[:HEAD_BYTES] or b"pkg:package" in data[:HEAD_BYTES]:
        changes = len(_CHANGE.findall(data)) + len(re.findall(rb"w:type=\"Word\.(?:Insertion|Deletion)\"", data))
        comments = len(re.findall(rb"<w:comment |w:type=\"Word\.Comment\"", data))
        macros = b"vbaProject.bin" in data or b"<w:docSuppData" in data
        return {
            "encrypted": False,
            "macros": macros,
            "tracked_changes": changes,
            "comments": comments,
            "hidden": len(_VANISH.findall(data)),
        }
    return {}
