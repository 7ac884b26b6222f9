"""SVG drawings: accepted only if they are well-formed and hold nothing but a picture."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from .blocks import DocumentError

FORBIDDEN = frozenset(("script", "foreignObject", "iframe", "image", "style", "a"))


def svg_root(text: str) -> ElementTree.Element:
    """The root of a drawing; scripts, event handlers and links to elsewhere are refused."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        text = re.sub(r"<!DOCTYPE[^>\[]*>", "", text)
        if "<!" in text.replace("<!--", ""):
            raise DocumentError("a figure's SVG may not declare entities")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DocumentError(f"a figure's SVG is not well-formed: {error}") from None
    if _local(root.tag) != "svg":
        raise DocumentError(f"a figure's SVG starts with <svg>, got <{_local(root.tag)}>")
    for element in root.iter():
        if _local(element.tag) in FORBIDDEN:
            raise DocumentError(f"a figure's SVG may not contain <{_local(element.tag)}>")
        for name, value in element.attrib.items():
            link = _local(name) == "href" and not value.startswith("#")
            if link or _local(name).startswith("on") or re.search(r"url\((?!['\"]?#)", value):
                raise DocumentError(f"a figure's SVG may not hold the attribute {_local(name)}={value[:40]!r}")
    return root


def svg_text(text: str) -> str:
    """The drawing alone, without XML declaration, comments or document type."""
    for prefix, address in (("", "http://www.w3.org/2000/svg"), ("xlink", "http://www.w3.org/1999/xlink")):
        ElementTree.register_namespace(prefix, address)
    return ElementTree.tostring(svg_root(text), encoding="unicode")


def _local(name: str) -> str:
    return name.rsplit("}", 1)[-1]
