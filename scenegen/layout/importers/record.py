"""Checked access to nested dictionaries from a file: every error names the file and the path of the key."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import EllipsisType

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_tracks import require_finite


class Record:
    """A dictionary with text keys, and where it was found.

    Raises:
        LayoutError: the content is not such a dictionary.
    """

    def __init__(self, content: object, *, where: str) -> None:
        if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
            raise LayoutError("a dictionary with text keys", found=type(content).__name__, where=where)
        self._content = content
        self.where = where

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys in file order."""
        return iter(self._content)

    def has(self, key: str) -> bool:
        """Tell whether a key is there and not None."""
        return self._content.get(key) is not None

    def child(self, key: str) -> Record:
        """Return the dictionary under a key.

        Raises:
            LayoutError: it is missing or not a dictionary.
        """
        return Record(self._value(key), where=self._at(key))

    def text(self, key: str, *, default: str | None = None) -> str:
        """Return the text under a key, or `default`, where one is given, if the key is not there.

        Raises:
            LayoutError: it is missing or not text.
        """
        if default is not None and not self.has(key):
            return default
        value = self._value(key)
        if not isinstance(value, str) or not value:
            raise LayoutError("text", found=repr(value), where=self._at(key))
        return str(value)

    def children(self, key: str) -> list[Record]:
        """Return the list of dictionaries under a key.

        Raises:
            LayoutError: it is missing, not a list, or holds anything else.
        """
        value = self._value(key)
        if not isinstance(value, list):
            raise LayoutError("a list", found=type(value).__name__, where=self._at(key))
        return [Record(item, where=f"{self._at(key)}[{index}]") for index, item in enumerate(value)]

    def choice(self, key: str, known: Collection[str]) -> str:
        """Return the text under a key, which must be one of the known ones.

        Raises:
            LayoutError: it is missing or unknown.
        """
        value = self.text(key)
        if value not in known:
            raise LayoutError(f"one of {sorted(known)}", found=repr(value), where=self._at(key))
        return value

    def flag(self, key: str) -> bool:
        """Return the truth value under a key.

        Raises:
            LayoutError: it is missing or anything but true or false.
        """
        value = self._value(key)
        if not isinstance(value, bool):
            raise LayoutError("true or false", found=repr(value), where=self._at(key))
        return value

    def number(self, key: str) -> float:
        """Return the finite number under a key.

        Raises:
            LayoutError: it is missing, not a number, or not finite.
        """
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise LayoutError("a finite number", found=repr(value), where=self._at(key))
        return float(value)

    def numbers(self, key: str, shape: tuple[int | EllipsisType | None, ...]) -> Float64[np.ndarray, "..."]:
        """Return the finite array under a key.

        Args:
            key: name in the dictionary.
            shape: expected sizes; None fits any size, a closing `...` any further axes.

        Raises:
            LayoutError: it is missing, not numeric, of another shape, or holds NaN.
        """
        try:
            values = np.array(self._value(key), np.float64)
        except (TypeError, ValueError) as error:
            raise LayoutError("an array of numbers", found=str(error), where=self._at(key)) from error
        sizes = shape[:-1] if shape[-1] is ... else shape
        fits = len(values.shape) >= len(sizes) if shape[-1] is ... else len(values.shape) == len(sizes)
        if not fits or any(want not in (None, got) for want, got in zip(sizes, values.shape, strict=False)):
            raise LayoutError(f"an array of shape {shape}", found=str(values.shape), where=self._at(key))
        require_finite(values, name="numbers", where=self._at(key))
        return values

    def _at(self, key: str) -> str:
        separator = "." if ": " in self.where else ": "
        return f"{self.where}{separator}{key}"

    def _value(self, key: str) -> object:
        if key not in self._content:
            raise LayoutError(f"a key {key!r}", found=f"only {', '.join(list(self._content)[:8])}", where=self.where)
        return self._content[key]
