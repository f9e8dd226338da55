"""Writes XML with readable numbers."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from sim.description.parts import Vector

WRITTEN_BY = " Written by `python -m sim.description` from sim/description/; edit that. "


def number(value: float) -> str:
    """The shortest text that parses to the same double."""
    text = repr(float(value))
    return "0" if text in ("0.0", "-0.0") else text.removesuffix(".0")


def numbers(values: Vector) -> str:
    return " ".join(number(value) for value in values)


def rounded(values: Vector) -> Vector:
    """Rounds to 1e-12, so that the last bits of another machine's arithmetic do not change the file."""
    return tuple(round(value, 12) for value in values)


def add(parent: Element, tag: str, text: str | float | None = None, /, **attributes: str | float | Vector) -> Element:
    """Adds a child with `text` and the attributes that are not empty. A trailing `_` of a name is dropped (`class_`)."""
    child = ElementTree.SubElement(parent, tag)
    if text is not None:
        child.text = text if isinstance(text, str) else number(text)
    for name, value in attributes.items():
        if isinstance(value, tuple):
            value = numbers(value)
        if value != "":
            child.set(name.rstrip("_"), value if isinstance(value, str) else number(value))
    return child


def document(root: Element) -> str:
    root.insert(0, ElementTree.Comment(WRITTEN_BY))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True).replace(" />", "/>") + "\n"
