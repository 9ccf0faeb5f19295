"""Keys and values that PDF/A forbids, and that can go without a change of what is shown.

Each is a small law of its own; a value that does change the picture (an inverting transfer function) is left,
so that the validator refuses. Source: ISO 19005-2, 6.1 and 6.2; ISO 32000-1 for the keys.
"""

from __future__ import annotations

from pikepdf import Array, Dictionary, Name, Object, Pdf, PdfError, Stream

from actions.pdf.repairs import Repairs, dictionaries, entry, items, name_of, number

INTENTS = {"RelativeColorimetric", "AbsoluteColorimetric", "Perceptual", "Saturation"}
BLEND_MODES = {
    "Normal", "Compatible", "Multiply", "Screen", "Overlay", "Darken", "Lighten", "ColorDodge", "ColorBurn", "HardLight",
    "SoftLight", "Difference", "Exclusion", "Hue", "Saturation", "Color", "Luminosity",
}  # fmt: skip
CATALOG_KEYS = ("/Requirements", "/AlternatePresentations", "/NeedsRendering", "/SpiderInfo")
IMAGE_KEYS = ("/Alternates", "/OPI")
FORM_KEYS = ("/OPI", "/Ref", "/PS")


def remove_forbidden_keys(pdf: Pdf, repairs: Repairs) -> None:
    """Walk all dictionaries once, and mend each by its kind."""
    for key in CATALOG_KEYS:
        _remove(pdf.Root, key, repairs, "catalog")
    for page in pdf.pages:
        _remove(page.obj, "/PresSteps", repairs, "page")
    for item in dictionaries(pdf):
        subtype = name_of(item.get("/Subtype"))
        if isinstance(item, Stream) and subtype == "Image":
            _image(item, repairs)
        elif isinstance(item, Stream) and subtype == "Form":
            for key in FORM_KEYS:
                _remove(item, key, repairs, "form")
        elif name_of(item.get("/Type")) == "ExtGState" or ("/TR" in item or "/HTP" in item or "/TR2" in item):
            _graphics_state(item, repairs)
        states = entry(item, "/ExtGState")
        for state in (states.get(key) for key in states.keys()) if states is not None else ():  # noqa: SIM118 -- no dict
            if isinstance(state, Dictionary):
                _graphics_state(state, repairs)
    _optional_content(pdf, repairs)


def _remove(holder: Object, key: str, repairs: Repairs, where: str) -> None:
    if key in holder:
        del holder[key]
        repairs.add("structure", f"removed {key[1:]} from a {where}")


def _image(image: Stream, repairs: Repairs) -> None:
    for key in IMAGE_KEYS:
        _remove(image, key, repairs, "picture")
    if "/Intent" in image and name_of(image.get("/Intent")) not in INTENTS:
        _remove(image, "/Intent", repairs, "picture")


def _graphics_state(state: Dictionary, repairs: Repairs) -> None:
    if "/TR" in state and not _inverts(state.get("/TR")):
        _remove(state, "/TR", repairs, "graphics state (a device's transfer function)")
    if "/TR2" in state and name_of(state.get("/TR2")) != "Default" and not _inverts(state.get("/TR2")):
        _remove(state, "/TR2", repairs, "graphics state (a device's transfer function)")
    for key in ("/HTP", "/HTO"):
        _remove(state, key, repairs, "graphics state")
    if "/RI" in state and name_of(state.get("/RI")) not in INTENTS:
        _remove(state, "/RI", repairs, "graphics state")
    if "/HT" in state and name_of(state.get("/HT")) != "Default":
        _remove(state, "/HT", repairs, "graphics state (a device's halftone)")
    mode = state.get("/BM")
    if isinstance(mode, Array):  # a list of wishes: the first that a reader knows counts
        known = next((item for item in mode if name_of(item) in BLEND_MODES), Name.Normal)
        state["/BM"] = known
        repairs.add("structure", "settled a list of blend modes")


def _inverts(function: Object | None) -> bool:
    """Whether a transfer function turns light into dark: then it is part of the picture, not of a device.

    Only sampled and exponential functions are looked into; another kind counts as inverting, to be safe.
    """
    if isinstance(function, Name):
        return False
    if isinstance(function, Array):
        return any(_inverts(part) for part in function)
    if not isinstance(function, Dictionary | Stream):
        return False
    kind = number(function.get("/FunctionType"), -1)
    if kind == 0 and isinstance(function, Stream):
        return _samples_fall(function)
    if kind == 2:
        first, last = items(function, "/C0"), items(function, "/C1")
        return number(first[0] if first else 0) >= number(last[0] if last else 1, 1.0)
    return True


def _samples_fall(function: Stream) -> bool:
    try:
        data = function.read_bytes()
    except PdfError:
        return True
    return not data or data[0] >= data[-1]


def _optional_content(pdf: Pdf, repairs: Repairs) -> None:
    """Name each configuration, list every layer, drop rules that switch layers by themselves (6.9)."""
    properties = entry(pdf.Root, "/OCProperties")
    if properties is None:
        return
    configurations = [item for item in (properties.get("/D"), *items(properties, "/Configs")) if isinstance(item, Dictionary)]
    used: set[str] = set()
    for index, configuration in enumerate(configurations):
        name = str(configuration.get("/Name") or "")
        if not name or name in used:
            name = f"Configuration {index + 1}"
            configuration["/Name"] = name
            repairs.add("layers", "named a layer configuration")
        used.add(name)
        _remove(configuration, "/AS", repairs, "layer configuration")
        _list_layers(properties, configuration, repairs)


def _list_layers(properties: Dictionary, configuration: Dictionary, repairs: Repairs) -> None:
    order = configuration.get("/Order")
    if not isinstance(order, Array):
        return
    listed: set[tuple[int, int]] = set()
    pending: list[Object] = list(order)
    while pending:
        item = pending.pop()
        if isinstance(item, Array) and not item.is_indirect:
            pending += list(item)
        elif isinstance(item, Array):
            pending += list(item)[: len(listed) + 1000]  # a shared list; bounded against loops
        elif isinstance(item, Dictionary):
            listed.add(item.objgen)
    missing = [layer for layer in items(properties, "/OCGs") if isinstance(layer, Dictionary) and layer.objgen not in listed]
    for layer in missing:
        order.append(layer)
    repairs.add("layers", "listed a layer that the order left out", count=len(missing))
