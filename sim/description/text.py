"""XML with readable numbers."""

from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from sim.description.parts import Vector

WRITTEN_BY = " Written by `python -m sim.description` from sim/description/; edit that. "


def number(value: float) -> str:
    """The shortest text that reads back as the same double."""
    text = repr(float(value))
    return "0" if text in ("0.0", "-0.0") else text.removesuffix(".0")


def numbers(values: Vector) -> str:
    return " ".join(number(value) for value in values)


def rounded(values: Vector) -> Vector:
    """To 1e-12, which no robot sees, so that other machines' last bits write the same file."""
    return tuple(round(value, 12) for value in values)


def add(parent: Element, tag: str, text: str | float | None = None, /, **attributes: str | float | Vector) -> Element:
    """A child with `text` and with those attributes that are not empty."""
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
