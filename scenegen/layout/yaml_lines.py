"""YAML with line numbers: every error can say where in the file it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from scenegen.errors import LayoutError

KeyPath = tuple[str | int, ...]
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same loader in C, where libyaml is there: six times faster."""
MOST_BYTES = 512 * 2**20
DEEPEST = 64
MOST_REPEATED = 100_000


@dataclass(frozen=True, kw_only=True)
class MarkedYaml:
    """The content of a YAML file and the line of every key and list item, counted from 1."""

    path: Path
    data: Any
    lines: dict[KeyPath, int]

    def where(self, key_path: KeyPath) -> str:
        """Return `file:line: key a.b[2].c` for the longest part of the key path that the file has."""
        known = tuple(key_path)
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        return f"{self.path}:{line}: key {format_key(key_path)}" if key_path else f"{self.path}:{line}"


def format_key(key_path: KeyPath) -> str:
    """Write a key path as a person would.

    >>> format_key(("agents", 3, "size_lwh_m"))
    'agents[3].size_lwh_m'
    """
    text = ""
    for part in key_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_marked_yaml(path: Path) -> MarkedYaml:
    """Read a YAML file safely: plain data only, no key twice, no more than it says itself.

    Raises:
        LayoutError: the file cannot be read, is not YAML, is too large or too deep, says a key twice, or repeats parts
            of itself (aliases) without measure.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LayoutError(f"a file of at most {MOST_BYTES >> 20} MiB", found="a larger one", where=str(path))
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LayoutError("a readable file", found=error.strerror or str(error), where=str(path)) from error
    except UnicodeDecodeError as error:
        raise LayoutError("text in UTF-8", found=str(error), where=str(path)) from error
    loader: yaml.SafeLoader | yaml.CSafeLoader | None = None
    try:
        _require_shallow(text, path)
        loader = LOADER(text)
        node = loader.get_single_node()
        if node is None:
            raise LayoutError("a layout", found="an empty file", where=f"{path}:1")
        _require_few_repeats(node, path)
        lines: dict[KeyPath, int] = {(): node.start_mark.line + 1}
        _mark(node, (), lines, _Marking(path, set()))
        return MarkedYaml(path=path, data=loader.construct_document(node), lines=lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise LayoutError("well-formed YAML", found=error.problem or "a syntax error", where=where) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise LayoutError("well-formed YAML", found=str(error).splitlines()[0], where=str(path)) from error
    finally:
        if loader is not None:
            loader.dispose()


def _require_shallow(text: str, path: Path) -> None:
    """Refuse nesting that would overflow the stack of a recursive reader, before there is one."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise LayoutError(f"at most {DEEPEST} levels", found="more", where=f"{path}:{line}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _require_few_repeats(root: yaml.Node, path: Path) -> None:
    """Count what aliases repeat, without repeating it: a few lines could stand for billions."""
    sizes: dict[int, int] = {}

    def measure(node: yaml.Node) -> int:
        if id(node) in sizes:
            return sizes[id(node)]
        sizes[id(node)] = 0  # an alias within its own anchor ends here, and is refused when it is built
        size = 1
        for child in node.value if isinstance(node, yaml.CollectionNode) else ():
            size += sum(map(measure, child)) if isinstance(child, tuple) else measure(child)
        sizes[id(node)] = size
        return size

    repeated = measure(root) - len(sizes)
    if repeated > MOST_REPEATED:
        raise LayoutError(
            f"at most {MOST_REPEATED} values repeated by aliases", found=f"{repeated:.3g}", where=str(path),
            fix="write out what is meant, or use agent_rows and rows of props",
        )  # fmt: skip


class _Marking(NamedTuple):
    path: Path
    seen: set[int]


def _mark(node: yaml.Node, key_path: KeyPath, lines: dict[KeyPath, int], marking: _Marking) -> None:
    """Record the line of every child, once per node; complain about keys that are said twice."""
    if id(node) in marking.seen:
        return
    marking.seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*key_path, str(key.value))
            if child in lines:
                raise LayoutError(
                    "every key once",
                    found=f"{key.value!r} again (first in line {lines[child]})",
                    where=f"{marking.path}:{key.start_mark.line + 1}: key {format_key(child)}",
                )
            lines[child] = key.start_mark.line + 1
            _mark(value, child, lines, marking)
    elif isinstance(node, yaml.SequenceNode):
        for idx, value in enumerate(node.value):
            lines[(*key_path, idx)] = value.start_mark.line + 1
            _mark(value, (*key_path, idx), lines, marking)
