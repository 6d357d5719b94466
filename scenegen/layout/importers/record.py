"""Checked access to nested dictionaries from a file: every error names the file and the path of the key."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_tracks import LARGEST, require_plausible


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
        return [Record(item, where=f"{self._at(key)}[{index}]") for index, item in enumerate(self.sequence(key))]

    def sequence(self, key: str) -> list[object]:
        """Return the list under a key.

        Raises:
            LayoutError: it is missing or not a list.
        """
        value = self._value(key)
        if not isinstance(value, list):
            raise LayoutError("a list", found=type(value).__name__, where=self._at(key))
        return value

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
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise LayoutError("a number", found=f"{value!r:.60}", where=self._at(key))
        if not -LARGEST <= value <= LARGEST:
            raise LayoutError(f"a finite number of at most {LARGEST:g}", found=f"{value!r:.60}", where=self._at(key))
        return float(value)

    def numbers(self, key: str, shape: tuple[int, ...]) -> Float64[np.ndarray, "..."]:
        """Return the array of this shape under a key.

        Raises:
            LayoutError: it is missing, not numeric, of another shape, or holds NaN.
        """
        values = self._array(key)
        if values.shape != shape:
            raise LayoutError(f"an array of shape {shape}", found=str(values.shape), where=self._at(key))
        return values

    def columns(self, key: str, num_columns: int, *, num_rows: int) -> Float64[np.ndarray, "N C"]:
        """Return the first columns of a table under a key; a plain list counts as one column.

        Raises:
            LayoutError: it is missing, not numeric, narrower, of another length, or holds NaN.
        """
        values = self._table(key, num_columns)
        if len(values) != num_rows:
            raise LayoutError(f"{num_rows} rows", found=f"{len(values)}", where=self._at(key))
        return values

    def points(self, key: str, *, at_least: int) -> Float64[np.ndarray, "N 2"]:
        """Return x and y of the points under a key.

        Raises:
            LayoutError: it is missing, not numeric, holds NaN, or too few points.
        """
        values = self._table(key, 2)
        if len(values) < at_least:
            raise LayoutError(f"at least {at_least} points", found=f"{len(values)}", where=self._at(key))
        return values

    def _table(self, key: str, num_columns: int) -> Float64[np.ndarray, "N C"]:
        values = self._array(key)
        if values.ndim == 1 and num_columns == 1:
            values = values[:, None]
        if values.ndim != 2 or values.shape[1] < num_columns:
            raise LayoutError(f"a table of {num_columns} columns", found=str(values.shape), where=self._at(key))
        return values[:, :num_columns]

    def _array(self, key: str) -> Float64[np.ndarray, "..."]:
        try:
            values = np.array(self._value(key), np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise LayoutError("an array of numbers", found=str(error), where=self._at(key)) from error
        if not values.size:
            raise LayoutError("an array of numbers", found=f"an empty one of shape {values.shape}", where=self._at(key))
        require_plausible(np.atleast_1d(values), name="numbers", where=self._at(key))
        return values

    def _at(self, key: str) -> str:
        separator = "." if ": " in self.where else ": "
        return f"{self.where}{separator}{key}"

    def _value(self, key: str) -> object:
        if key not in self._content:
            raise LayoutError(f"a key {key!r}", found=f"only {', '.join(list(self._content)[:8])}", where=self.where)
        return self._content[key]
