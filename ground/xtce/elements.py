"""XML elements, read by taking: whatever of an element nobody took is refused with its name and line."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lxml import etree

from ground.errors import DefinitionError

NAMESPACES = (
    "http://www.omg.org/spec/XTCE/20180204",
    "https://www.omg.org/spec/XTCE/20180204",
    "http://www.omg.org/spec/XTCE/20061101",
    "https://www.omg.org/spec/XTCE/20061101",
)
"""XTCE 1.2 and 1.1; some tools write them with https."""

# Elements that only people read: they may stand anywhere and say nothing about decoding.
_DOCUMENTATION = frozenset({"Header", "LongDescription", "AliasSet", "AncillaryDataSet", "ParameterProperties"})


class Element:
    """One XTCE element, its namespace checked and taken off."""

    def __init__(self, element: Any, path: str, namespace: str) -> None:
        qualified = etree.QName(element)
        self.name: str = qualified.localname
        self.line: int = element.sourceline
        self._path = path
        self._namespace = namespace
        if qualified.namespace != namespace:
            raise self.error(f"<{self.name}> belongs to the namespace {qualified.namespace!r}, not to {namespace!r}")
        self._attributes: dict[str, str] = {key: value for key, value in element.attrib.items() if "{" not in key}
        self._children = [Element(child, path, namespace) for child in element]
        self._text = "".join([element.text or "", *(child.tail or "" for child in element)]).strip()

    def error(self, message: str) -> DefinitionError:
        """An error at this element, to be raised."""
        return DefinitionError(message, path=self._path, line=self.line)

    def text(self, attribute: str, default: str | None = None) -> str:
        """Take an attribute; one without a default has to be there."""
        value = self._attributes.pop(attribute, default)
        if value is None:
            raise self.error(f"<{self.name}> has no {attribute}")
        return value

    def choose(self, attribute: str, allowed: tuple[str, ...], default: str | None = None) -> Any:
        """Take an attribute whose value is one of ``allowed``."""
        value = self.text(attribute, default)
        if value not in allowed:
            raise self.error(f"{attribute} = {value!r} of <{self.name}> is not supported; use {' or '.join(allowed)}")
        return value

    def flag(self, attribute: str, *, default: bool) -> bool:
        """Take a boolean attribute."""
        value: str = self.choose(attribute, ("true", "false", "1", "0"), str(default).lower())
        return value in {"true", "1"}

    def integer(self, attribute: str, low: int, high: int, default: int | None = None) -> int:
        """Take a whole number from ``low`` to ``high``, both included."""
        return self._whole(attribute, self.text(attribute, None if default is None else str(default)), low, high)

    def number(self, attribute: str, default: float | None = None) -> float:
        """Take a finite number."""
        text = self.text(attribute, None if default is None else repr(default))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise self.error(f"{attribute} = {text!r} of <{self.name}> is not a finite number")
        return value

    def optional_number(self, attribute: str) -> float | None:
        """Take a finite number, or None where the attribute is absent."""
        return self.number(attribute) if attribute in self._attributes else None

    def content(self) -> str:
        """Take the text between the tags."""
        content, self._text = self._text, ""
        return content

    def whole_content(self, low: int, high: int) -> int:
        """Take the text between the tags as a whole number from ``low`` to ``high``."""
        return self._whole("the content", self.content(), low, high)

    def _whole(self, what: str, text: str, low: int, high: int) -> int:
        try:
            value = int(text)
        except ValueError:
            raise self.error(f"{what} = {text!r} of <{self.name}> is not a whole number") from None
        if not low <= value <= high:
            raise self.error(f"{what} = {value} of <{self.name}> should be from {low} to {high}")
        return value

    def child(self, *names: str) -> Element | None:
        """Take the first child of one of these names, if there is one."""
        for position, child in enumerate(self._children):
            if child.name in names:
                return self._children.pop(position)
        return None

    def need(self, *names: str) -> Element:
        """Take the child of one of these names."""
        child = self.child(*names)
        if child is None:
            raise self.error(f"<{self.name}> needs {' or '.join(f'<{name}>' for name in names)}")
        return child

    def children(self, *names: str) -> list[Element]:
        """Take the children of these names in the order of the file."""
        taken = [child for child in self._children if child.name in names]
        self._children = [child for child in self._children if child.name not in names]
        return taken

    def description(self) -> str:
        """Take the short description, or else the long one."""
        short = self._attributes.pop("shortDescription", "")
        long = self.child("LongDescription")
        return short or (" ".join(long.content().split()) if long else "")

    def done(self) -> None:
        """Refuse the attributes, children and text that were not taken."""
        for attribute in self._attributes:
            if attribute != "shortDescription":
                raise self.error(f"the attribute {attribute} of <{self.name}> is not supported")
        for child in self._children:
            if child.name not in _DOCUMENTATION:
                raise child.error(f"<{child.name}> in <{self.name}> is not supported")
        if self._text:
            raise self.error(f"<{self.name}> holds text that is not understood: {self._text[:40]!r}")


def parse(path: str | Path) -> Element:
    """The root element of an XTCE file.

    Raises :class:`~ground.errors.DefinitionError` where the file cannot be read, is not well-formed, has a document
    type declaration (entities are a way to attack a reader, and XTCE needs none) or another root than SpaceSystem.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        tree = etree.ElementTree(etree.fromstring(Path(path).read_bytes(), parser))
    except OSError as error:
        raise DefinitionError(f"cannot be read: {error.strerror}", path=str(path)) from error
    except etree.XMLSyntaxError as error:
        raise DefinitionError(f"not well-formed XML: {error.msg}", path=str(path), line=error.lineno) from error
    if tree.docinfo.doctype:
        raise DefinitionError(
            "a document type declaration (DOCTYPE) is not accepted; remove it", path=str(path), line=1
        )
    root = etree.QName(tree.getroot())
    if root.localname != "SpaceSystem" or root.namespace not in NAMESPACES:
        raise DefinitionError(
            f"the root is <{root.localname}> of {root.namespace!r}, not <SpaceSystem> of {NAMESPACES[0]!r}",
            path=str(path),
            line=tree.getroot().sourceline,
        )
    return Element(tree.getroot(), str(path), root.namespace)
