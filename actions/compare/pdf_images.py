"""Whether the pictures inside a PDF are the same data as before: a text layer must not touch the scan.

Digests of the stored streams, reached from the pages. What a picture shows belongs to ``pixels``.
Source: ISO 32000-1:2008, 8.9.5 (image dictionaries), 8.10 (form XObjects), 7.3.8 (stream objects).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pikepdf
from pikepdf import Dictionary, Name, Object, Pdf, Stream

MAX_OBJECTS = 500_000  # reached from pages; hostile files refer in rings, which the set of seen objects ends


def digests(path: Path) -> Counter[str]:
    """SHA-256 of every image that a page reaches, with its size and bits: the same bytes read otherwise are another picture.

    Raises:
        pikepdf.PdfError: The file or one of its images cannot be read.
    """
    with pikepdf.open(path) as pdf:
        return Counter(_digest(image) for image in _images(pdf))


def _images(pdf: Pdf) -> Iterator[Stream]:
    seen: set[tuple[int, int]] = set()
    waiting: list[Object] = []
    for page in pdf.pages:
        waiting.append(page.resources)
        waiting += _entries(page.obj.get("/Annots"))
        while waiting and len(seen) < MAX_OBJECTS:
            item = waiting.pop()
            if item.is_indirect:
                if item.objgen in seen:
                    continue
                seen.add(item.objgen)
            if isinstance(item, Stream) and item.get("/Subtype") == Name.Image:
                yield item
            waiting += _within(item)


def _within(item: Object) -> Iterator[Object]:
    """What a resource dictionary, form, pattern, appearance or image refers to that may hold images."""
    for key in ("/XObject", "/Pattern", "/ExtGState", "/Font", "/CharProcs", "/Resources", "/SMask", "/Mask", "/G", "/AP", "/N"):
        value = item.get(key) if isinstance(item, Dictionary | Stream) else None
        if isinstance(value, Stream) or (isinstance(value, Dictionary) and key in {"/Resources", "/SMask", "/AP"}):
            yield value
        elif isinstance(value, Dictionary):
            yield from (part for _, part in value.items() if isinstance(part, Dictionary | Stream))


def _entries(value: Object | None) -> list[Object]:
    return [item for item in value if isinstance(item, Dictionary)] if isinstance(value, pikepdf.Array) else []


def _digest(image: Stream) -> str:
    """Of the stored bytes; of the decoded ones where the writer may have packed a lossless stream anew."""
    shape = f"{image.get('/Width')}x{image.get('/Height')}x{image.get('/BitsPerComponent')}"
    try:
        data = image.read_bytes(pikepdf.StreamDecodeLevel.generalized)
    except pikepdf.PdfError:  # DCT, JPX, JBIG2, CCITT: nobody unpacks these without decoding the picture
        data = image.read_raw_bytes()
    return f"{shape}:{hashlib.sha256(data).hexdigest()}"
