"""Edits by name, and a list of them applied in order."""

from __future__ import annotations

import difflib
import inspect
import math
import typing
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from scenegen.errors import LayoutError
from scenegen.layout.edits.category import change_category
from scenegen.layout.edits.cut_in import cut_in
from scenegen.layout.edits.environment import change_environment
from scenegen.layout.edits.grammar import MOST_EDITS, EditText, parse_edit
from scenegen.layout.edits.insert import insert_agent
from scenegen.layout.edits.mirror import mirror_layout
from scenegen.layout.edits.move import move_agent
from scenegen.layout.edits.occlude import occlude_agent
from scenegen.layout.edits.remove import remove_agents
from scenegen.layout.edits.retarget import view_from
from scenegen.layout.edits.retime import retime_agent
from scenegen.layout.validate import validate_layout
from scenegen.types.layout import Layout

LARGEST_NUMBER = 1e5
EDITS: dict[str, Callable[..., Layout]] = {
    "insert": insert_agent,
    "remove": remove_agents,
    "move": move_agent,
    "retime": retime_agent,
    "category": change_category,
    "cut_in": cut_in,
    "occlude": occlude_agent,
    "environment": change_environment,
    "mirror": mirror_layout,
    "view_from": view_from,
}
"""Keywords of an edit are those of its function, the first one being its subject."""


def apply_edits(layout: Layout, edits: Sequence[str]) -> Layout:
    """Apply edits in order, each as text (`layout.edits.grammar`), and note them in `Layout.edits`.

    Raises:
        LayoutError: the first edit that is misspelt, names what is not there, or makes no sense of the scene; the
            message says which one.
    """
    if len(edits) > MOST_EDITS:
        raise LayoutError(f"at most {MOST_EDITS} edits", found=f"{len(edits)}", where=layout.layout_id)
    for number, text in enumerate(edits, start=1):
        edit = parse_edit(text)
        function = _function(edit)
        arguments = _arguments(edit, function)
        try:
            layout = function(layout, **arguments)
            validate_layout(layout)
        except LayoutError as error:
            place = error.where.removeprefix(f"{layout.layout_id}: ")
            detail = "" if place == layout.layout_id or not place else f": {place}"
            where = f"{layout.layout_id}: edit {number}, {edit.text}{detail}"
            raise LayoutError(error.expected, found=error.found, where=where, fix=error.fix) from error
        layout = replace(layout, edits=(*layout.edits, edit.text))
    return layout


def _function(edit: EditText) -> Callable[..., Layout]:
    if edit.name not in EDITS:
        close = difflib.get_close_matches(edit.name, EDITS, n=1)
        raise LayoutError(
            f"an edit out of {', '.join(EDITS)}",
            found=repr(edit.name),
            where=f"edit {edit.text}",
            fix=f"did you mean {close[0]!r}?" if close else "",
        )
    return EDITS[edit.name]


def _arguments(edit: EditText, function: Callable[..., Layout]) -> dict[str, Any]:
    """Turn the words of an edit into what its function takes."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    kinds = typing.get_type_hints(inspect.unwrap(function))
    known = [parameter.name for parameter in parameters]
    given = dict(edit.values)
    if edit.subject is not None:
        if not known or known[0] in given:
            raise _wrong(edit, f"{known[0]} once" if known else "no arguments", repr(edit.subject))
        given = {known[0]: edit.subject, **given}
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else ""
            raise _wrong(edit, f"keys out of {', '.join(known)}" if known else "no arguments", repr(key), hint)
    for parameter in parameters:
        if parameter.default is inspect.Parameter.empty and parameter.name not in given:
            raise _wrong(edit, f"the key {parameter.name!r}", "none", f"write {edit.name}({parameter.name}=...)")
    return {key: _value(edit, key, text, kinds[key]) for key, text in given.items()}


def _value(edit: EditText, key: str, text: str, kind: Any) -> str | float:
    """Return a number where the function wants one, else the text."""
    wanted = typing.get_args(kind) or (kind,)
    if float not in wanted:
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not abs(number) <= LARGEST_NUMBER:
        raise _wrong(edit, f"a number of at most {LARGEST_NUMBER:g} for {key}", repr(text))
    return number


def _wrong(edit: EditText, expected: str, found: str, fix: str = "") -> LayoutError:
    return LayoutError(expected, found=found, where=f"edit {edit.text}", fix=fix)
