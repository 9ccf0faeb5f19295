"""What a PDF is beside its format: locked, signed, scripted, a form, a portfolio, searchable, sound.

Two readers are asked, qpdf (through pikepdf) for the structure and MuPDF for the text (``pdf_text``), and their page counts must
agree: a reader that repairs a broken page tree may quietly lose pages. Nothing is repaired or judged here, and bad
content is an answer (``damaged``), never an exception.
Source: ISO 32000-1:2008, 7.6 (encryption), 7.7.2 (catalog), 12.3.3, 12.5.6, 12.6.4.16, 12.7, 12.8, 7.11; ISO 19005-2, 6.6.4.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Object, Pdf

from actions.contract import Fact
from actions.probes.pdf_text import sampled, text_facts

MAX_NODES = 200_000  # of a name tree, an outline, a field tree: hostile files make rings and mountains
MAX_XMP_BYTES = 8_000_000
HEAD_BYTES = 1024  # ISO 32000-1, Annex H: readers look for the header there

MARKUP = frozenset(
    ("/Text", "/FreeText", "/Highlight", "/Underline", "/Squiggly", "/StrikeOut", "/Ink", "/Stamp", "/Caret", "/Line", "/Square")
) | {"/Circle", "/Polygon", "/PolyLine"}
OUTWARD = frozenset({Name.URI, Name.GoToR, Name.Launch, Name.SubmitForm})
_VERSION = re.compile(rb"%PDF-(\d\.\d)")
_PART = re.compile(r"pdfaid:part\s*(?:=\s*[\"']|>)\s*(\d)")
_CONFORMANCE = re.compile(r"pdfaid:conformance\s*(?:=\s*[\"']|>)\s*([A-Za-z])")


def probe(source: Path) -> dict[str, Fact]:
    """Facts of the PDF at *source*; see the vocabulary in ``actions.probe``. Never raises for bad content."""
    try:
        with pikepdf.open(source) as pdf:
            return _probe_open(pdf, source)
    except pikepdf.PasswordError:
        return {"encrypted": True, **_header_version(source)}
    except Exception as broken:  # noqa: BLE001 -- pikepdf raises PdfError, ValueError, RuntimeError and more on hostile bytes
        return {"encrypted": False, "damaged": True, "damage": f"cannot be read: {_sentence(broken)}", **_header_version(source)}


def _probe_open(pdf: Pdf, source: Path) -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "encrypted": False,
        "restricted": pdf.is_encrypted,
        "pages": len(pdf.pages),
        "pdf_version": _version(pdf),
    }
    facts |= _of_catalog(pdf.Root) | _of_annotations(pdf)
    facts["embedded_files"] = int(str(facts.pop("_pins"))) + _name_tree_size(pdf.Root, "/EmbeddedFiles")
    facts["javascript"] = bool(facts.pop("_scripted")) or _catalog_scripted(pdf.Root)
    damage = _undecodable(pdf) or ("has no pages" if not len(pdf.pages) else "")
    second = text_facts(source)
    other, flaw = second.pop("_pages", None), second.pop("_flaw", "")
    if not damage and other != facts["pages"]:
        damage = f"one reader finds {facts['pages']} pages, another {'none' if other is None else other}"
    damage = damage or str(flaw)
    repaired = bool(second.pop("repaired", False)) or any("reconstruct" in str(warning) for warning in pdf.get_warnings())
    facts |= second | {"damaged": bool(damage)}
    if damage:
        facts["damage"] = damage
    if repaired:
        facts["repaired"] = True
    return facts


def _of_catalog(root: Object) -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "portfolio": isinstance(root.get("/Collection"), Dictionary),
        "signed": _signed(root),
        "forms": _forms(root),
    }
    if claim := _pdfa_claim(root):
        facts["pdfa_claim"] = claim
    facts["bookmarks"] = _outline_size(root)
    facts["layers"] = len(_list(_value(_dict(root, "/OCProperties"), "/OCGs")))
    return facts


def _forms(root: Object) -> str:
    form = _dict(root, "/AcroForm")
    if form is None:
        return "none"
    if form.get("/XFA") is not None or bool(root.get("/NeedsRendering", False)):
        return "xfa"
    return "acroform" if len(_list(form.get("/Fields"))) else "none"


def _signed(root: Object) -> bool:
    """A filled signature field, or a certification. An empty field is a place to sign, not a signature."""
    if _dict(_dict(root, "/Perms"), "/DocMDP") is not None:
        return True
    return any(_inherited(field, "/FT") == Name.Sig and _dict(field, "/V") is not None for field in _fields(root))


def _fields(root: Object) -> Iterator[Object]:
    waiting = list(_list(_value(_dict(root, "/AcroForm"), "/Fields")))
    seen: set[tuple[int, int]] = set()
    while waiting and len(seen) < MAX_NODES:
        field = waiting.pop()
        if not isinstance(field, Dictionary) or (field.is_indirect and field.objgen in seen):
            continue
        seen.add(field.objgen if field.is_indirect else (0, len(seen)))
        yield field
        waiting += list(_list(field.get("/Kids")))


def _inherited(field: Object, key: str) -> Object | None:
    """A field's own value or its nearest ancestor's (ISO 32000-1, 12.7.3.1)."""
    for _ in range(32):
        if (value := field.get(key)) is not None:
            return value
        parent = _dict(field, "/Parent")
        if parent is None:
            return None
        field = parent
    return None


def _of_annotations(pdf: Pdf) -> dict[str, Fact]:
    """One pass over all pages: annotations by kind, links to the outside, scripts."""
    kinds: Counter[str] = Counter()
    external = 0
    scripted = False
    for page in pdf.pages:
        scripted = scripted or _has_script(page.obj)
        for note in _list(page.obj.get("/Annots")):
            if isinstance(note, Dictionary):
                kinds[str(note.get("/Subtype"))] += 1
                external += _value(_dict(note, "/A"), "/S") in OUTWARD
                scripted = scripted or _has_script(note)
    links, pins = kinds.pop("/Link", 0), kinds.pop("/FileAttachment", 0)
    kinds.pop("/Popup", 0)
    comments = sum(count for kind, count in kinds.items() if kind in MARKUP)
    widgets = kinds.pop("/Widget", 0)
    return {
        "links": links,
        "external_links": external,
        "annotations": kinds.total(),
        "comments": comments,
        "widgets": widgets,
        "_pins": pins,
        "_scripted": scripted,
    }


def _catalog_scripted(root: Object) -> bool:
    if _name_tree_size(root, "/JavaScript") or _has_script(root) or _is_script(root.get("/OpenAction")):
        return True
    return any(_has_script(field) for field in _fields(root))


def _has_script(owner: Object) -> bool:
    """Whether an annotation, field, page or catalog runs JavaScript on a click or on an event."""
    events = _dict(owner, "/AA")
    return _is_script(owner.get("/A")) or (events is not None and any(_is_script(action) for _, action in events.items()))


def _is_script(action: Object | None) -> bool:
    for _ in range(16):  # actions may be chained by /Next
        if not isinstance(action, Dictionary):
            return False
        if action.get("/S") == Name.JavaScript or action.get("/JS") is not None:
            return True
        action = action.get("/Next")
    return False


def _name_tree_size(root: Object, name: str) -> int:
    """How many entries a name tree of the catalog has (ISO 32000-1, 7.9.6)."""
    waiting, seen, count = [_dict(_dict(root, "/Names"), name)], 0, 0
    while waiting and seen < MAX_NODES:
        node, seen = waiting.pop(), seen + 1
        if isinstance(node, Dictionary):
            count += len(_list(node.get("/Names"))) // 2
            waiting += list(_list(node.get("/Kids")))
    return count


def _outline_size(root: Object) -> int:
    waiting = [_dict(_dict(root, "/Outlines"), "/First")]
    seen: set[tuple[int, int]] = set()
    while waiting and len(seen) < MAX_NODES:
        item = waiting.pop()
        if item is not None and item.objgen not in seen:
            seen.add(item.objgen)
            waiting += [_dict(item, "/Next"), _dict(item, "/First")]
    return len(seen)


def _pdfa_claim(root: Object) -> str:
    """What the XMP says of itself, e.g. "2b"; read leniently, because a claim in broken XMP is a claim too."""
    metadata = root.get("/Metadata")
    if not isinstance(metadata, pikepdf.Stream) or int(metadata.get("/Length", 0)) > MAX_XMP_BYTES:
        return ""
    try:
        raw = metadata.read_bytes()
    except pikepdf.PdfError:
        return ""
    text = raw.replace(b"\0", b"").decode("utf-8", "replace")  # XMP may be UTF-16 or UTF-32; what is sought is ASCII
    part, conformance = _PART.search(text), _CONFORMANCE.search(text)
    return part[1] + (conformance[1].lower() if conformance else "") if part else ""


def _undecodable(pdf: Pdf) -> str:
    """Which sampled page's content cannot be decoded to its end; empty when all can."""
    for page_index in sampled(len(pdf.pages)):
        before = len(pdf.get_warnings())
        try:
            contents = pdf.pages[page_index].obj.get("/Contents")
            for stream in _list(contents) if isinstance(contents, Array) else [contents]:
                if isinstance(stream, pikepdf.Stream):
                    stream.read_bytes()
        except pikepdf.PdfError as broken:
            return f"the content of page {page_index + 1} cannot be decoded: {_sentence(broken)}"
        if any("decoding" in str(warning) for warning in pdf.get_warnings()[before:]):
            return f"the content of page {page_index + 1} has errors"
    return ""


def _version(pdf: Pdf) -> str:
    """The later of header and catalog (ISO 32000-1, 7.2.2)."""
    stated = pdf.Root.get("/Version")
    return max(pdf.pdf_version, str(stated)[1:]) if isinstance(stated, Name) else pdf.pdf_version


def _header_version(source: Path) -> dict[str, Fact]:
    with source.open("rb") as stream:
        found = _VERSION.search(stream.read(HEAD_BYTES))
    return {"pdf_version": found[1].decode("ascii")} if found else {}


def _value(owner: Object | None, key: str) -> Object | None:
    return owner.get(key) if isinstance(owner, Dictionary) else None


def _dict(owner: Object | None, key: str) -> Object | None:
    """A dictionary's dictionary; None for anything else that a broken file may have there."""
    value = _value(owner, key)
    return value if isinstance(value, Dictionary) else None


def _list(value: Object | None) -> Any:
    return value if isinstance(value, Array) else ()


def _sentence(error: Exception) -> str:
    """The library's words without the file's path, which is the host's own."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    return text.rpartition(".pdf")[2].lstrip(" :") or text if ".pdf" in text else text
