"""Labels that are made on read: the same lazy interface as a stored array, filled by a renderer handed in.

The renderer lives above this package (`scenegen.rerender`), since it builds the scene's world again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64

from scenegen.types import DenseLabels, Sweep


class LabelRenderer(Protocol):
    """Makes the labels of one scene again from its layout, seed and rig."""

    @property
    def lidar2ego(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the LiDAR on the vehicle."""
        ...

    def dense_labels(self, step: int) -> DenseLabels:
        """Return the pixel labels of one step."""
        ...

    def sweep(self, step: int) -> Sweep:
        """Return the LiDAR sweep of one step."""
        ...


class RenderedArray:
    """A lazy array over the steps of a scene: slicing renders just the steps that are asked for."""

    def __init__(
        self,
        render_step: Callable[[int], np.ndarray[Any, Any]],
        *,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        attrs: dict[str, Any],
    ) -> None:
        self._render_step = render_step
        self.shape = shape
        self.dtype = dtype
        self.attrs = attrs

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, selection: Any) -> np.ndarray[Any, Any]:
        """Render with numpy's basic indexing.

        Raises:
            IndexError: a step that does not exist, or a slice that goes backwards.
        """
        first, rest = _split(selection)
        if isinstance(first, slice):
            if first.step is not None and first.step < 1:
                raise IndexError("slices of steps go forwards, as those of stored arrays")
            steps = range(*first.indices(len(self)))
            items = [self._render_step(step)[rest] for step in steps]
            if items:
                return np.stack(items)
            return np.zeros((0, *np.empty(self.shape[1:], np.bool_)[rest].shape), self.dtype)
        step = operator.index(first)
        if not -len(self) <= step < len(self):
            raise IndexError(f"step {step} of {len(self)}")
        return np.asarray(self._render_step(step % len(self))[rest])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.asarray(self[:], dtype=dtype)


def _split(selection: Any) -> tuple[Any, tuple[Any, ...]]:
    """Divide an index into that of the steps and the rest."""
    parts = selection if isinstance(selection, tuple) else (selection,)
    if not parts or parts[0] is Ellipsis:
        return slice(None), tuple(parts)
    return parts[0], tuple(parts[1:])
