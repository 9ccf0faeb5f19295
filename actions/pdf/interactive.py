"""Take out what acts rather than shows: forbidden actions, scripts, XFA; and mend annotations.

What a reader of the derivative loses (a script, a launch target) is named; the original keeps it.
Source: ISO 19005-2, 6.3 to 6.5; ISO 32000-1, 12.5 and 12.6.
"""

from __future__ import annotations

from pikepdf import Array, Dictionary, Name, Object, Pdf, Stream, String

from actions.errors import RefusedError
from actions.pdf import appearance
from actions.pdf.repairs import Repairs, dictionaries, entry, identity, items, name_of, number

ALLOWED_ACTIONS = {"GoTo", "GoToR", "GoToE", "Thread", "URI", "Named", "SubmitForm"}
ALLOWED_NAMED = {"NextPage", "PrevPage", "FirstPage", "LastPage"}
_PART1_FORBIDDEN = {"GoToE"}  # PDF 1.4 has no embedded go-to


def refuse_dynamic_form(pdf: Pdf, subject: str) -> None:
    """A form whose pages exist only in XFA shows "please wait" to every other reader: nothing here could prove it.

    Raises:
        RefusedError: code ``xfa``.
    """
    if pdf.Root.get("/NeedsRendering") == True:  # noqa: E712 -- pikepdf's own truth, which may be an Object
        raise RefusedError(
            "its pages are made by an XFA form when it is opened",
            subject,
            "Print it to PDF from Adobe Reader, and keep both.",
            code="xfa",
        )


def remove_actions(pdf: Pdf, part: int, repairs: Repairs) -> None:
    """Remove every action that PDF/A forbids, additional actions, and document scripts."""
    allowed = ALLOWED_ACTIONS - (_PART1_FORBIDDEN if part == 1 else set())
    for item in dictionaries(pdf):
        if "/AA" in item and isinstance(item.get("/AA"), Dictionary):
            del item["/AA"]
            repairs.add("actions", "removed actions tied to events")
        for key in ("/A", "/OpenAction", "/PA", "/Next"):
            _clean(item, key, allowed, repairs)
    names = entry(pdf.Root, "/Names")
    if names is not None and "/JavaScript" in names:
        del names["/JavaScript"]
        repairs.add("actions", "removed document scripts")


def _clean(holder: Dictionary, key: str, allowed: set[str], repairs: Repairs) -> None:
    value = holder.get(key)
    if isinstance(value, Array) and key == "/Next":
        kept = [item for item in value if not _forbidden(item, allowed, repairs)]
        if len(kept) != len(value):
            holder[key] = Array(kept)
    elif _forbidden(value, allowed, repairs):
        del holder[key]


def _forbidden(action: Object | None, allowed: set[str], repairs: Repairs) -> bool:
    if not isinstance(action, Dictionary) or "/S" not in action:
        return False
    kind = name_of(action.get("/S"))
    if kind == "Named" and name_of(action.get("/N")) not in ALLOWED_NAMED:
        repairs.add("actions", "removed a viewer's named action", name_of(action.get("/N")))
        return True
    if kind in allowed:
        return False
    repairs.add("actions", f"removed a {kind or 'nameless'} action", _target(action))
    return True


def _target(action: Dictionary) -> str:
    """The file that a Launch or similar action points at, for the note."""
    spec = action.get("/F") or entry(action, "/Win") or entry(action, "/Unix")
    if isinstance(spec, Dictionary):
        spec = spec.get("/UF") or spec.get("/F")
    return str(spec) if isinstance(spec, String) else ""


def settle_forms(pdf: Pdf, repairs: Repairs) -> None:
    """Drop XFA beside a form that has its own fields, and the request to redraw fields on opening."""
    form = entry(pdf.Root, "/AcroForm")
    if form is None:
        return
    if "/XFA" in form:
        del form["/XFA"]
        repairs.add("forms", "removed the XFA copy of a form; its fields stay")
    if form.get("/NeedAppearances") is not None:
        wanted = bool(form["/NeedAppearances"])
        del form["/NeedAppearances"]
        repairs.add("forms", "removed the request to redraw fields", count=int(wanted))


def mend_annotations(pdf: Pdf, part: int, repairs: Repairs) -> None:
    """Reduce appearances to their normal state, and give one to an annotation that has none."""
    form = entry(pdf.Root, "/AcroForm")
    bare = sum(_lacks_field_appearance(annot) for annot in _annotations(pdf))
    if form is not None and bare:
        form["/NeedAppearances"] = True  # qpdf draws only when the form asks for it
        pdf.generate_appearance_streams()
        if "/NeedAppearances" in form:
            del form["/NeedAppearances"]
        repairs.add("annotations", "drew a form field that had no appearance", count=bare)
    for annot in _annotations(pdf):
        kind = name_of(annot.get("/Subtype"))
        pictures = entry(annot, "/AP")
        if pictures is not None:
            _normalise(annot, pictures, repairs)
        elif kind not in {"Popup", "Link"} and not _empty_rectangle(annot):
            appearance.draw(pdf, annot, kind)
            repairs.add("annotations", "drew an annotation that had no appearance", kind)
        if part == 1 and annot.get("/CA") not in {None, 1}:
            repairs.add("annotations", "left a translucent annotation, which PDF/A-1 forbids", kind)


def _annotations(pdf: Pdf) -> list[Dictionary]:
    seen: set[object] = set()
    found: list[Dictionary] = []
    for page in pdf.pages:
        for annot in items(page.obj, "/Annots"):
            if isinstance(annot, Dictionary) and identity(annot) not in seen:
                seen.add(identity(annot))
                found.append(annot)
    return found


def _lacks_field_appearance(annot: Dictionary) -> bool:
    return name_of(annot.get("/Subtype")) == "Widget" and "/AP" not in annot and _field_type(annot) in {"Tx", "Ch"}


def _field_type(annot: Dictionary) -> str:
    node: Dictionary | None = annot
    for _ in range(32):  # deeper than any real form; a loop of parents ends here
        if node is None:
            return ""
        if "/FT" in node:
            return name_of(node.get("/FT"))
        node = entry(node, "/Parent")
    return ""


def _normalise(annot: Dictionary, pictures: Dictionary, repairs: Repairs) -> None:
    """Only the normal appearance may stay; buttons need states, everything else one picture (6.3.3)."""
    for key in [key for key in pictures.keys() if key != "/N"]:  # noqa: SIM118 -- a pikepdf Dictionary is no dict
        del pictures[key]
        repairs.add("annotations", "removed rollover and pressed pictures")
    normal = pictures.get("/N")
    button = name_of(annot.get("/Subtype")) == "Widget" and _field_type(annot) == "Btn"
    if button and isinstance(normal, Stream):
        pictures["/N"] = Dictionary({"/Off": normal})
        annot["/AS"] = Name.Off
        repairs.add("annotations", "listed a button's picture as its state")
    elif not button and isinstance(normal, Dictionary) and not isinstance(normal, Stream):
        state = name_of(annot.get("/AS"))
        chosen = normal.get(f"/{state}") if state else None
        if isinstance(chosen, Stream):
            pictures["/N"] = chosen
            repairs.add("annotations", "kept the picture of an annotation's present state")


def _empty_rectangle(annot: Dictionary) -> bool:
    box = [number(value) for value in items(annot, "/Rect")]
    return len(box) == 4 and box[0] == box[2] and box[1] == box[3]
