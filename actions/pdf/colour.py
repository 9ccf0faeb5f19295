"""Say what device colours mean: an output intent, and default colour spaces for the kind that it does not cover.

No number in a page's content changes; only its meaning is fixed, to what readers assume anyway (sRGB; a SWOP
press profile for CMYK). Source: ISO 19005-2, 6.2.3 and 6.2.4.3; ISO 32000-1, 8.6.5.6.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pikepdf import Array, Dictionary, Name, Object, Pdf, PdfError, Stream

from actions.pdf.repairs import Repairs, dictionaries, entry, name_of

# Press profiles in Debian's libgs-common and colord-data/icc-profiles-free, best known first.
CMYK_PROFILES = (
    Path("/usr/share/color/icc/ghostscript/default_cmyk.icc"),
    Path("/usr/share/color/icc/ghostscript/ps_cmyk.icc"),
    Path("/usr/share/color/icc/colord/SWOP2006_Coated3v2.icc"),
    Path("/usr/share/color/icc/colord/FOGRA39L_coated.icc"),
)
_NUMBER = rb"[-+.\d]+\s+"
_CMYK = re.compile(rb"(?:" + _NUMBER + rb"){4}[kK](?![A-Za-z0-9*'\"])|/(?:Device)?CMYK(?![A-Za-z0-9])")
_RGB = re.compile(rb"(?:" + _NUMBER + rb"){3}(?:rg|RG)(?![A-Za-z0-9*'\"])|/(?:Device)?RGB(?![A-Za-z0-9])")


@dataclass(frozen=True, slots=True)
class Intent:
    """The output intent to install: ``profile`` None means the sRGB profile that pikepdf carries."""

    profile: bytes | None
    name: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Which device colours occur anywhere in the document; read generously, an extra default harms nothing."""

    rgb: bool
    cmyk: bool
    overprint_mode: bool


def usage(pdf: Pdf) -> Usage:
    """Look for device colours in every content stream and every object."""
    rgb = cmyk = overprint = False
    for scope in pdf.content_scopes():
        data = _data(scope.content)
        rgb, cmyk = rgb or bool(_RGB.search(data)), cmyk or bool(_CMYK.search(data))
    for item in dictionaries(pdf):
        overprint = overprint or (item.get("/OPM") == 1 and bool(item.get("/OP") or item.get("/op")))
        for key in ("/ColorSpace", "/CS") if isinstance(item, Stream) else ():
            text = _unparse(item.get(key))
            rgb, cmyk = rgb or b"/DeviceRGB" in text, cmyk or b"/DeviceCMYK" in text
    for obj in pdf.objects:
        if not isinstance(obj, Stream):
            text = _unparse(obj)
            rgb, cmyk = rgb or b"/DeviceRGB" in text, cmyk or b"/DeviceCMYK" in text
    return Usage(rgb, cmyk, overprint)


def choose_intent(found: Usage) -> Intent:
    """CMYK only for a document that has no RGB, or that overprints (ICC-based CMYK forbids overprint mode 1)."""
    if found.cmyk and (not found.rgb or found.overprint_mode):
        profile = _cmyk_profile()
        if profile is not None:
            return Intent(profile.read_bytes(), profile.stem)
    return Intent(None, "sRGB")


def add_defaults(pdf: Pdf, found: Usage, intent: Intent, repairs: Repairs) -> None:
    """Give every resource dictionary a default space for the device colours that the output intent does not cover."""
    if intent.profile is None and found.cmyk:
        profile = _cmyk_profile()
        if profile is not None:
            space = _icc(pdf, profile.read_bytes(), 4, Name.DeviceCMYK)
            repairs.add("colour", f"declared DeviceCMYK as {profile.stem}", count=_declare(pdf, "CMYK", space))
    elif intent.profile is not None and found.rgb:
        space = _icc(pdf, _srgb(), 3, Name.DeviceRGB)
        repairs.add("colour", "declared DeviceRGB as sRGB", count=_declare(pdf, "RGB", space))


def _declare(pdf: Pdf, kind: str, space: Object) -> int:
    """Default spaces reach what a content stream names; a shading pattern has no resources, so it is told directly."""
    count = _install(pdf, f"/Default{kind}", space)
    for item in dictionaries(pdf):
        if "/ShadingType" in item and name_of(item.get("/ColorSpace")) == f"Device{kind}":
            item["/ColorSpace"] = space
            count += 1
    return count


def _install(pdf: Pdf, key: str, space: Object) -> int:
    changed = 0
    for scope in list(pdf.content_scopes()):
        names = scope.resources
        if names is None:
            if scope.kind != "page" or scope.page is None:
                continue
            names = scope.page.obj["/Resources"] = Dictionary()
        if entry(names, "/ColorSpace") is None:
            names["/ColorSpace"] = Dictionary()
        spaces = entry(names, "/ColorSpace")
        if spaces is not None and key not in spaces:
            spaces[key] = space
            changed += 1
    return changed


def _icc(pdf: Pdf, profile: bytes, components: int, alternate: Name) -> Object:
    stream = pdf.make_stream(profile)
    stream["/N"], stream["/Alternate"] = components, alternate
    return pdf.make_indirect(Array([Name.ICCBased, stream]))


def _srgb() -> bytes:
    """The sRGB profile (version 2, so for PDF/A-1 too) that pikepdf carries and also uses as output intent."""
    return resources.files("pikepdf.pdfa").joinpath("data", "sRGB.icc").read_bytes()


def _cmyk_profile() -> Path | None:
    return next((path for path in CMYK_PROFILES if path.exists()), None)


def _unparse(item: object) -> bytes:
    return item.unparse(resolved=True) if isinstance(item, Object) else b""


def _data(content: Object) -> bytes:
    try:
        if isinstance(content, Stream):
            return content.read_bytes()
        contents = content.get("/Contents")
        streams = list(contents) if isinstance(contents, Array) else [contents]
        return b"\n".join(stream.read_bytes() for stream in streams if isinstance(stream, Stream))
    except PdfError:
        return b""  # pages were read before this; an unreadable form shows in validation
