"""Take attachments out into files of their own, or make them fit PDF/A-3. Never lose one silently.

PDF/A-1 allows none, PDF/A-2 only such as are PDF/A themselves, PDF/A-3 any.
Source: ISO 19005-1, 6.1.11; ISO 19005-2, 6.8; ISO 19005-3, 6.8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pikepdf import Array, Dictionary, Name, Pdf, PdfError, Stream, String

from actions.errors import DamagedError, TooLargeError
from actions.pdf.repairs import Repairs, dictionaries, entry, items, name_of

TOTAL_LIMIT_BYTES = 2_000_000_000  # an attachment may be a compression bomb; the host's disk is not endless
MAX_NAME_CHARS = 80


@dataclass(frozen=True, slots=True)
class Attachment:
    """An extracted attachment: file below the workdir, and its name inside the PDF."""

    path: Path
    name: str


def extract(pdf: Pdf, folder: Path, subject: str, repairs: Repairs) -> list[Attachment]:
    """Write every attachment below *folder* and remove it from the document; its visible mark and name stay.

    Raises:
        DamagedError: An attachment cannot be decoded.
        TooLargeError: All together are too large.
    """
    found: list[Attachment] = []
    written: dict[tuple[int, int], Attachment] = {}
    total = 0
    for spec in _specifications(pdf):
        stream = _stream(spec)
        if stream is not None and stream.objgen not in written:
            name = _name(spec)
            data = _read(stream, name, subject)
            total += len(data)
            if total > TOTAL_LIMIT_BYTES:
                raise TooLargeError("its attachments are too large together", subject, "Extract them by hand.")
            folder.mkdir(exist_ok=True)
            target = folder / f"{len(found) + 1}-{_safe(name)}"
            target.write_bytes(data)
            attachment = Attachment(target, name)
            found.append(attachment)
            written[stream.objgen] = attachment
            repairs.add("attachments", "moved an attachment into a file beside the derivative", name)
        del spec["/EF"]
    _unlist(pdf)
    return found


def complete(pdf: Pdf, repairs: Repairs) -> None:
    """PDF/A-3: each embedded file needs both forms of its name, its type, and a stated relation to the document."""
    _make_indirect(pdf)
    listed = {item.objgen for holder in dictionaries(pdf) for item in items(holder, "/AF")}
    associated = items(pdf.Root, "/AF")
    for spec in _specifications(pdf):
        for have, lacks in (("/F", "/UF"), ("/UF", "/F")):
            if have in spec and lacks not in spec:
                spec[lacks] = spec[have]
                repairs.add("attachments", "gave an attachment its name in both forms", _name(spec))
        if not isinstance(spec.get("/AFRelationship"), Name):
            spec["/AFRelationship"] = Name.Unspecified
        _state_types(spec)
        if spec.objgen not in listed:
            associated.append(spec)
            repairs.add("attachments", "listed an attachment as associated with the document", _name(spec))
    if associated:
        pdf.Root["/AF"] = Array(associated)


def _state_types(spec: Dictionary) -> None:
    files = entry(spec, "/EF") or Dictionary()
    for key in files.keys():  # noqa: SIM118 -- a pikepdf Dictionary is no dict
        stream = files.get(key)
        if isinstance(stream, Stream) and "/" not in name_of(stream.get("/Subtype")):
            stream["/Subtype"] = Name("/application/octet-stream")  # what ISO 19005-3, 6.8 prescribes for "unknown"


def _make_indirect(pdf: Pdf) -> None:
    """A file specification written in place cannot be listed a second time: give it a number of its own."""
    for holder in list(dictionaries(pdf)):
        for key in list(holder.keys()):
            value = holder.get(key)
            if isinstance(value, Dictionary) and not value.is_indirect and isinstance(value.get("/EF"), Dictionary):
                holder[key] = pdf.make_indirect(value)
            elif isinstance(value, Array):
                for index, item in enumerate(value):
                    if isinstance(item, Dictionary) and not item.is_indirect and isinstance(item.get("/EF"), Dictionary):
                        value[index] = pdf.make_indirect(item)


def _specifications(pdf: Pdf) -> list[Dictionary]:
    return [item for item in dictionaries(pdf) if isinstance(item.get("/EF"), Dictionary)]


def _stream(spec: Dictionary) -> Stream | None:
    files = entry(spec, "/EF") or Dictionary()
    for key in ("/UF", "/F", "/Unix", "/Mac", "/DOS"):
        stream = files.get(key)
        if isinstance(stream, Stream):
            return stream
    return None


def _name(spec: Dictionary) -> str:
    for key in ("/UF", "/F", "/Unix", "/Mac", "/DOS"):
        value = spec.get(key)
        if isinstance(value, String) and str(value):
            return str(value)
    return "attachment"


def _safe(name: str) -> str:
    """A file name without folders, control characters or anything a shell or another system would mind."""
    last = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[^\w.\- ]", "_", last).strip(". ") or "attachment"
    return kept[-MAX_NAME_CHARS:]


def _read(stream: Stream, name: str, subject: str) -> bytes:
    try:
        return stream.read_bytes()
    except PdfError as broken:
        raise DamagedError(
            f"its attachment {name!r} cannot be decoded", subject, "Ask for it again, or keep the original only."
        ) from broken


def _unlist(pdf: Pdf) -> None:
    names = entry(pdf.Root, "/Names")
    if names is not None and "/EmbeddedFiles" in names:
        del names["/EmbeddedFiles"]
    for key in ("/Collection", "/AF"):  # a portfolio's table of files that are no longer inside
        if key in pdf.Root:
            del pdf.Root[key]
    for item in dictionaries(pdf):
        if "/AF" in item:
            del item["/AF"]
