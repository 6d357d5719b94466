"""XML files from elsewhere, read safely: no DTD, no entity, nothing external; sizes are bounded.

Every number and text is asked for by name, and every error says file, line and the path of elements, for example
`town.xodr:12: road '3' / planView / geometry[2]`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_tracks import LARGEST

MOST_BYTES = 64 * 2**20
MOST_ELEMENTS = 2_000_000
DEEPEST = 100
NAMING_ATTRIBUTES = ("id", "name", "entityRef")


@dataclass(kw_only=True, eq=False)
class XmlElement:
    """An element with its attributes and children, and where it stands in its file."""

    tag: str
    attributes: Mapping[str, str]
    line: int
    file: str
    parent: XmlElement | None = None
    children: list[XmlElement] = field(default_factory=list)
    text: str = ""

    @property
    def where(self) -> str:
        """File, line and path, the root left out."""
        path: list[str] = []
        at: XmlElement | None = self
        while at is not None and at.parent is not None:
            path.insert(0, at._label())
            at = at.parent
        return f"{self.file}:{self.line}: {' / '.join(path) or self.tag}"

    @property
    def spot(self) -> str:
        """Name of the file and line, for reports."""
        return f"{Path(self.file).name}:{self.line}"

    def _label(self) -> str:
        for name in NAMING_ATTRIBUTES:
            if name in self.attributes:
                return f"{self.tag} {self.attributes[name]!r}"
        alike = [child for child in self.parent.children if child.tag == self.tag] if self.parent else []
        return f"{self.tag}[{alike.index(self)}]" if len(alike) > 1 else self.tag

    def all(self, tag: str) -> list[XmlElement]:
        """Return the children of a tag, in file order."""
        return [child for child in self.children if child.tag == tag]

    def first(self, tag: str) -> XmlElement | None:
        """Return the first child of a tag, or None."""
        return next((child for child in self.children if child.tag == tag), None)

    def one(self, tag: str) -> XmlElement:
        """Return the first child of a tag.

        Raises:
            LayoutError: there is none.
        """
        found = self.first(tag)
        if found is None:
            self.fail(f"an element <{tag}>", "none")
        return found

    def below(self) -> Iterator[XmlElement]:
        """Go through this element and all below it."""
        waiting = [self]
        while waiting:
            element = waiting.pop()
            yield element
            waiting.extend(reversed(element.children))

    def has(self, name: str) -> bool:
        """Say whether an attribute is given and not empty."""
        return bool(self.attributes.get(name))

    def word(self, name: str, default: str | None = None) -> str:
        """Return an attribute.

        Raises:
            LayoutError: it is missing and has no default.
        """
        value = self.attributes.get(name, default)
        if value is None:
            self.fail(f"an attribute {name}", "none")
        return value

    def text_word(self) -> str:
        """Return the text between the tags, without the space around it.

        Raises:
            LayoutError: there is none.
        """
        word = self.text.strip()
        if not word:
            self.fail("text", "none")
        return word

    def text_number(self) -> float:
        """Return the text between the tags as a finite number of at most 1e7.

        Raises:
            LayoutError: it is no such number.
        """
        return self._finite(self.text_word(), "")

    def number(self, name: str, default: float | None = None) -> float:
        """Return an attribute as a finite number of at most 1e7.

        Raises:
            LayoutError: it is missing and has no default, or no such number.
        """
        if default is not None and not self.has(name):
            return default
        return self._finite(self.word(name), f" in {name}")

    def _finite(self, text: str, place: str) -> float:
        try:
            value = float(text)
        except ValueError:
            self.fail(f"a number{place}", f"{text!r:.60}")
        if not math.isfinite(value) or abs(value) > LARGEST:
            self.fail(f"a finite number of at most {LARGEST:g}{place}", f"{text!r:.60}")
        return value

    def integer(self, name: str) -> int:
        """Return an attribute as a whole number.

        Raises:
            LayoutError: it is missing or not whole.
        """
        value = self.number(name)
        if value != int(value):
            self.fail(f"a whole number in {name}", repr(self.attributes[name]))
        return int(value)

    def fail(self, expected: str, found: str, *, fix: str = "") -> NoReturn:
        """Raise LayoutError at this element."""
        raise LayoutError(expected, found=found, where=self.where, fix=fix)


def read_xml(path: Path, *, root: str) -> XmlElement:
    """Read an XML file and return its root element.

    Raises:
        LayoutError: no readable file, too large, not well-formed, with a DTD or entities, or of another root.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser, ParseError

    content = _content_of(path)
    builder = _Builder(str(path))
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    builder.expat = parser.parser
    try:
        parser.feed(content)
        parser.close()
    except DefusedXmlException as error:
        raise LayoutError(
            "XML without DTD and entities", found=type(error).__name__, where=f"{path}:{builder.line}"
        ) from error
    except ParseError as error:
        line = getattr(error, "position", (builder.line, 0))[0]
        raise LayoutError("well-formed XML", found=str(error), where=f"{path}:{line}") from error
    except (LookupError, ValueError) as error:
        raise LayoutError("XML in a known encoding", found=str(error), where=str(path)) from error
    found = builder.root
    assert found is not None
    if found.tag != root:
        raise LayoutError(f"the root element <{root}>", found=f"<{found.tag}>", where=f"{path}:{found.line}")
    return found


def _content_of(path: Path) -> bytes:
    if not path.is_file():
        raise LayoutError("a file", found="no such file" if not path.exists() else "something else", where=str(path))
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise LayoutError("a readable file", found=error.strerror or str(error), where=str(path)) from error
    if len(content) > MOST_BYTES:
        raise LayoutError(f"at most {MOST_BYTES // 2**20} MiB of XML", found="more", where=str(path))
    return content


class _Builder:
    """What the parser calls: collects elements with their lines."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open: list[XmlElement] = []
        self._count = 0
        self.root: XmlElement | None = None
        self.expat: Any = None

    @property
    def line(self) -> int:
        return int(self.expat.CurrentLineNumber) if self.expat is not None else 1

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        parent = self._open[-1] if self._open else None
        self._count += 1
        element = XmlElement(
            tag=tag.rpartition("}")[2], attributes=dict(attributes), line=self.line, file=self._file, parent=parent
        )
        if len(self._open) >= DEEPEST or self._count > MOST_ELEMENTS:
            element.fail(f"at most {DEEPEST} levels and {MOST_ELEMENTS} elements", "more")
        if parent is None:
            self.root = element
        else:
            parent.children.append(element)
        self._open.append(element)

    def end(self, tag: str) -> None:
        self._open.pop()

    def data(self, text: str) -> None:
        if self._open and not text.isspace():
            self._open[-1].text += text

    def close(self) -> None:
        """Nothing is left to do."""
