"""Which of a Word document's styles hide their text, with what they inherit.

Source: ECMA-376-1:2016 §17.7.2 (style hierarchy), §17.7.4.3 (basedOn), §17.7.5 (document defaults), §17.3.2.41 (vanish).
"""

from __future__ import annotations

from actions.office.package import Element, attribute

OFF = frozenset({"0", "false", "off"})
UNNAMED = ""  # what a paragraph without a style has
GENERATIONS = 50  # basedOn may run in a circle


def is_on(switch: Element | None) -> bool | None:
    """A toggle's value; None when it is not there."""
    return None if switch is None else attribute(switch, "val", "1") not in OFF


def hidden_styles(styles: Element | None) -> frozenset[str]:
    """Ids of styles that hide; ``UNNAMED`` is among them when the default style does."""
    own: dict[str, bool | None] = {}
    parents: dict[str, str] = {}
    default_id = UNNAMED
    for style in styles.iter("{*}style") if styles is not None else ():
        identifier = attribute(style, "styleId")
        own[identifier] = is_on(style.find("{*}rPr/{*}vanish"))
        parent = style.find("{*}basedOn")
        parents[identifier] = attribute(parent, "val") if parent is not None else UNNAMED
        if attribute(style, "type") == "paragraph" and attribute(style, "default", "0") not in OFF:
            default_id = identifier
    common = bool(is_on(styles.find("{*}docDefaults/{*}rPrDefault/{*}rPr/{*}vanish"))) if styles is not None else False
    hidden = {identifier for identifier in own if _resolve(identifier, own, parents, common=common)}
    if (default_id in hidden) or (default_id == UNNAMED and common):
        hidden.add(UNNAMED)
    return frozenset(hidden)


def _resolve(identifier: str, own: dict[str, bool | None], parents: dict[str, str], *, common: bool) -> bool:
    for _ in range(GENERATIONS):
        value = own.get(identifier)
        if value is not None:
            return value
        identifier = parents.get(identifier, UNNAMED)
        if identifier == UNNAMED:
            break
    return common
