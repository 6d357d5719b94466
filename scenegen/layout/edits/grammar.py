"""Edits as text: `name(subject, key=value, ...)`. A small grammar of numbers and words; nothing is evaluated.

edit      = name [ "(" [ argument { "," argument } ] ")" ]
argument  = value | name "=" value          the first one may stand without its name
value     = number | word | "text" | 'text'
reference = layout { "|" edit }             "procedural:3 | remove(car_7) | mirror"
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from scenegen.errors import LayoutError

MOST_EDITS = 200
LONGEST_TEXT = 1_000
FORM = "name(subject, key=value)"

_TOKEN = re.compile(r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<mark>[(),=])|(?P<word>[^\s(),=|"']+))""")
_NAME = re.compile(r"[a-z][a-z_0-9]*")


@dataclass(frozen=True, kw_only=True)
class EditText:
    """One edit as it was written: its name, the value before any key, the values by key, and all of it in one form."""

    name: str
    subject: str | None
    values: dict[str, str]
    text: str


def parse_edit(text: str) -> EditText:
    """Take an edit apart.

    >>> parse_edit("move( car_3 , forward_m=5)").text
    'move(car_3, forward_m=5)'
    >>> parse_edit("mirror").values
    {}

    Raises:
        LayoutError: the text is no edit.
    """
    tokens = _tokens(text)
    name = tokens.pop(0) if tokens else ""
    if not _NAME.fullmatch(name):
        raise _wrong(text, f"the name of an edit, as in {FORM}", repr(name) if name else "nothing")
    subject: str | None = None
    values: dict[str, str] = {}
    if tokens and (tokens[0] != "(" or tokens[-1] != ")"):
        raise _wrong(text, f"one pair of parentheses, as in {FORM}", repr(" ".join(tokens)))
    for idx, argument in enumerate(_arguments(tokens[1:-1])):
        if len(argument) == 1 and idx == 0 and _is_value(argument[0]):
            subject = _unquoted(argument[0])
        elif len(argument) == 3 and argument[1] == "=" and _NAME.fullmatch(argument[0]) and _is_value(argument[2]):
            if argument[0] in values:
                raise _wrong(text, "every key once", f"{argument[0]!r} again")
            values[argument[0]] = _unquoted(argument[2])
        else:
            raise _wrong(text, f"key=value, as in {FORM}", repr(" ".join(argument)))
    written = [] if subject is None else [_quoted(subject)]
    written += [f"{key}={_quoted(value)}" for key, value in values.items()]
    return EditText(name=name, subject=subject, values=values, text=f"{name}({', '.join(written)})")


def split_edits(reference: str) -> tuple[str, tuple[str, ...]]:
    """Split a layout reference from the edits behind it.

    >>> split_edits("cut_in | remove(ahead) | environment(prompt='rain | wind')")
    ('cut_in', ('remove(ahead)', "environment(prompt='rain | wind')"))
    >>> split_edits("a file.yaml")
    ('a file.yaml', ())
    """
    if "|" not in reference:
        return reference, ()
    parts = [""]
    quote = ""
    for character in reference:
        if character == "|" and not quote:
            parts.append("")
            continue
        if character == quote:
            quote = ""
        elif character in "\"'" and not quote and len(parts) > 1:
            quote = character
        parts[-1] += character
    return parts[0].strip(), tuple(part.strip() for part in parts[1:])


def join_edits(reference: str, edits: tuple[str, ...]) -> str:
    """Put edits behind a layout reference.

    >>> join_edits("cut_in", ("mirror()",))
    'cut_in | mirror()'
    """
    return " | ".join((reference, *edits))


def _tokens(text: str) -> list[str]:
    if len(text) > LONGEST_TEXT:
        raise LayoutError(
            f"an edit of at most {LONGEST_TEXT} characters", found=f"{len(text)}", where=f"edit {text[:40]!r}..."
        )
    tokens, at = [], 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = _TOKEN.match(stripped, at)
        if match is None:
            raise _wrong(text, "words, numbers and quoted text", repr(stripped[at:].strip()[:20]))
        tokens.append(match[0].strip())
        at = match.end()
    return tokens


def _arguments(tokens: list[str]) -> list[list[str]]:
    """Split at commas; nothing between the parentheses is no argument."""
    arguments: list[list[str]] = [[]]
    for token in tokens:
        if token == ",":
            arguments.append([])
        else:
            arguments[-1].append(token)
    return [] if arguments == [[]] else arguments


def _is_value(token: str) -> bool:
    return token not in ("(", ")", ",", "=")


def _unquoted(token: str) -> str:
    return token[1:-1] if token[0] in "\"'" else token


def _quoted(value: str) -> str:
    if value and re.fullmatch(r"[^\s(),=|\"']+", value):
        return value
    return f'"{value}"' if '"' not in value else f"'{value}'"


def _wrong(text: str, expected: str, found: str) -> LayoutError:
    return LayoutError(expected, found=found, where=f"edit {text!r}")
