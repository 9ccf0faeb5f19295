"""Which font and which visibility an ODF style gives, through its parents.

Only what a report needs: the Western font that text is set in, hidden characters, hidden slides.

Source: ODF 1.3 part 3, 16.2 (style:style), 16.4 (style:default-style), 20.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lxml import etree

OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
FO = "{urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0}"
SVG = "{urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0}"
PRESENTATION = "{urn:oasis:names:tc:opendocument:xmlns:presentation:1.0}"
DC = "{http://purl.org/dc/elements/1.1/}"

DISPLAY = {"none": True, "true": False}  # "condition" is a field's own affair
LONGEST_CHAIN = 100  # parents; more is a loop made by hand
REFERENCES = (  # attribute that names a style, and the family that it names it in
    (f"{PRESENTATION}style-name", "presentation"),
    (f"{DRAW}style-name", "graphic"),
    (f"{TEXT}style-name", ""),  # paragraph or text: by element
)


@dataclass(frozen=True, slots=True)
class _Style:
    parent: str
    font: str
    hidden: bool | None  # None: says nothing of it


@dataclass(slots=True)
class Styles:
    """All styles of one document, by (family, name)."""

    _faces: dict[str, str] = field(default_factory=dict)
    _styles: dict[tuple[str, str], _Style] = field(default_factory=dict)
    _defaults: dict[str, str] = field(default_factory=dict)

    def add(self, root: etree._Element) -> None:
        """Take in the font faces and styles of a ``content.xml`` or ``styles.xml``."""
        for face in root.iterfind(f"{OFFICE}font-face-decls/{STYLE}font-face"):
            family = face.get(f"{SVG}font-family", "").split(";")[0].strip().strip("'\"")
            self._faces[face.get(f"{STYLE}name", "")] = family
        for group in ("automatic-styles", "styles"):
            for style in root.iterfind(f"{OFFICE}{group}/{STYLE}style"):
                self._styles[style.get(f"{STYLE}family", ""), style.get(f"{STYLE}name", "")] = self._read(style)
            for style in root.iterfind(f"{OFFICE}{group}/{STYLE}default-style"):
                self._defaults[style.get(f"{STYLE}family", "")] = self._read(style).font

    def default_font(self) -> str:
        """The font of text that no style says anything of; "" when unknown."""
        return self._defaults.get("paragraph") or self._defaults.get("graphic") or ""

    def font(self, element: etree._Element) -> str:
        """The font that *element*'s own style chain sets; "" when it leaves that to what is around it."""
        return next((style.font for style in self._chain(element) if style.font), "")

    def hidden(self, element: etree._Element) -> bool | None:
        """Whether *element*'s own style chain hides it (characters, or a slide in the show); None when it does not say."""
        return next((style.hidden for style in self._chain(element) if style.hidden is not None), None)

    def _read(self, style: etree._Element) -> _Style:
        text, page = style.find(f"{STYLE}text-properties"), style.find(f"{STYLE}drawing-page-properties")
        font, hidden = "", None
        if text is not None:
            named = text.get(f"{STYLE}font-name", "")
            font = self._faces.get(named, named) or text.get(f"{FO}font-family", "").strip("'\"")
            hidden = DISPLAY.get(text.get(f"{TEXT}display", ""))
        if page is not None:
            hidden = page.get(f"{PRESENTATION}visibility") == "hidden"
        return _Style(style.get(f"{STYLE}parent-style-name", ""), font, hidden)

    def _chain(self, element: etree._Element) -> Iterator[_Style]:
        for attribute, named_family in REFERENCES:
            name = element.get(attribute, "")
            family = named_family or ("text" if element.tag in {f"{TEXT}span", f"{TEXT}a"} else "paragraph")
            if element.tag == f"{DRAW}page":
                family = "drawing-page"
            for _ in range(LONGEST_CHAIN):
                style = self._styles.get((family, name)) if name else None
                if style is None:
                    break
                yield style
                name = style.parent
