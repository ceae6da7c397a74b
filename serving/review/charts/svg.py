"""Matplotlib's SVG made fit for a page: no styles inside (the content security policy forbids them), no ids
that meet others of the page, colours by the classes of site.css, and texts in the page's own fonts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from markupsafe import Markup

from scoring.pages.theme import CSS_VARIABLES

Tooltips = Mapping[str, Sequence[str]]

_COLOR_NAMES = {color: name for name, color in CSS_VARIABLES.items()}
_FONT_SIZE = re.compile(r"([\d.]+)px")
_NAMESPACE = re.compile(r"\{[^}]*\}")
_SHAPES = ("path", "use")


def to_page_svg(document: str, title: str, tooltips: Tooltips) -> Markup:
    """The SVG document as an element of an HTML page. `tooltips` are the texts of the shapes in a group, by
    the group's id, in the order in which they are drawn."""
    root = ElementTree.fromstring(document)
    _strip_namespaces(root)
    _drop_children(root, ("metadata", "style"))
    for element in root.iter():
        _set_presentation(element)
    for group in root.iter("g"):
        _add_tooltips(group, tooltips.get(group.attrib.pop("id", ""), ()))
    root.attrib = {"viewBox": root.attrib["viewBox"], "role": "img", "aria-label": title}
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # ElementTree escapes every text


def _strip_namespaces(root: ElementTree.Element) -> None:
    """HTML knows the elements of SVG by their bare names."""
    for element in root.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
        element.attrib = {_NAMESPACE.sub("", name): value for name, value in element.attrib.items()}


def _drop_children(root: ElementTree.Element, tags: Sequence[str]) -> None:
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in tags]:
            parent.remove(child)


def _set_presentation(element: ElementTree.Element) -> None:
    """Turn the declarations of a style attribute into attributes, and known colours into classes."""
    style = element.attrib.pop("style", "")
    declarations = dict(part.split(":", 1) for part in style.split(";") if ":" in part)
    for name, value in ((name.strip(), value.strip()) for name, value in declarations.items()):
        if name in ("font", "font-size") and (size := _FONT_SIZE.search(value)):
            element.set("font-size", size[1])
        elif name in ("fill", "stroke") and value in _COLOR_NAMES:
            element.set(name, "currentColor")
            element.set("class", _COLOR_NAMES[value])
        elif not name.startswith("font"):
            element.set(name, value)


def _add_tooltips(group: ElementTree.Element, texts: Sequence[str]) -> None:
    if not texts:
        return
    definitions = {shape for definition in group.iter("defs") for shape in definition.iter()}
    shapes = [shape for shape in group.iter() if shape.tag in _SHAPES and shape not in definitions]
    for shape, text in zip(shapes, texts, strict=False):
        ElementTree.SubElement(shape, "title").text = text
