"""Texts of XML files with numbers, words and elements changed at random: most make no sense, many are well-formed."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from scenegen.errors import SceneGenError
from scenegen.layout.sources import read_layout

NUMBER = re.compile(r"-?\d+\.?\d*")
SMALL_ELEMENT = re.compile(r"<(\w+)[^<>]*?/>|<(\w+)[^<>/]*>[^<>]*</\2>")
WORD = re.compile(r'(?<=[>"])[a-z]\w+(?=[<"])')
ODD = ("nan", "inf", "-1", "0", "1e7", "1e-300", "", "x", "20000", "90")
FACTORS = (0.0, -1.0, 0.5, 2.0, 1.1, 3.0, -0.3)
AFTER_DECLARATION = 60


def mutations(text: str, count: int) -> Iterator[tuple[int, str]]:
    """Yield numbered variants, the same ones every time."""
    for number in range(count):
        draw = random.Random(number)
        changed = text
        for _ in range(draw.choice((1, 2, 4))):
            changed = _changed(changed, draw)
        yield number, changed


def _changed(text: str, draw: random.Random) -> str:
    kind = draw.random()
    pattern = NUMBER if kind < 0.8 else SMALL_ELEMENT if kind < 0.9 else WORD
    match = draw.choice(list(pattern.finditer(text, AFTER_DECLARATION)))
    if kind < 0.65:
        new = repr(float(match[0]) * draw.choice(FACTORS))
    elif kind < 0.8:
        new = draw.choice(ODD)
    elif kind < 0.9:
        new = draw.choice(("", 2 * match[0]))
    else:
        new = "zzz"
    return text[: match.start()] + new + text[match.end() :]


def is_read_or_refused(reference: str, number: int) -> bool:
    """Say whether a layout is read; any error but a typed one fails the test, by the number of the variant."""
    try:
        read_layout(reference)
    except SceneGenError:
        return False
    except Exception as error:
        raise AssertionError(f"variant {number}: {type(error).__name__}: {error}") from error
    return True
