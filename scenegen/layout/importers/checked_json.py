"""Foreign JSON with every value checked where it is used: type, range, unit quaternion, file inside its folder."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.source_tracks import LARGEST

MOST_BYTES = 256_000_000
NORM_TOLERANCE = 1e-2


class Node:
    """A value of a JSON document that knows where it stands."""

    def __init__(self, value: Any, where: str) -> None:
        self.value = value
        self.where = where

    def get(self, key: str) -> Node:
        """Return what stands under a key.

        Raises:
            LayoutError: no object, or it lacks the key.
        """
        if not isinstance(self.value, dict):
            raise LayoutError("an object", found=type(self.value).__name__, where=self.where)
        if key not in self.value:
            raise LayoutError(f"a key {key!r}", found=f"{', '.join(map(str, self.value))!r:.80}", where=self.where)
        return Node(self.value[key], f"{self.where}.{key}")

    def has(self, key: str) -> bool:
        """Return whether an object has a key."""
        return isinstance(self.value, dict) and key in self.value

    def items(self) -> list[Node]:
        """Return the elements of a list."""
        if not isinstance(self.value, list):
            raise LayoutError("a list", found=type(self.value).__name__, where=self.where)
        return [Node(value, f"{self.where}[{idx}]") for idx, value in enumerate(self.value)]

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.value, str):
            raise LayoutError("a text", found=f"{self.value!r:.60}", where=self.where)
        return self.value

    def number(self, *, least: float = -LARGEST, most: float = LARGEST) -> float:
        """Return a finite number between two bounds."""
        value = self.value
        is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not least <= value <= most:
            raise LayoutError(f"a number from {least:g} to {most:g}", found=f"{value!r:.60}", where=self.where)
        return float(value)

    def whole(self, *, least: int = 0, most: int = 2**53) -> int:
        """Return a whole number between two bounds."""
        value = self.number(least=least, most=most)
        if value != int(value):
            raise LayoutError("a whole number", found=f"{value!r}", where=self.where)
        return int(value)

    def numbers(self, count: int) -> Float64[np.ndarray, " N"]:
        """Return a list of so many numbers."""
        items = Node(list(self.value), self.where).items() if isinstance(self.value, tuple) else self.items()
        if len(items) != count:
            raise LayoutError(f"{count} numbers", found=f"{len(items)}", where=self.where)
        return np.array([item.number() for item in items])

    def matrix(self, rows: int, columns: int) -> Float64[np.ndarray, "R C"]:
        """Return a list of rows of numbers."""
        items = self.items()
        if len(items) != rows:
            raise LayoutError(f"{rows} rows", found=f"{len(items)}", where=self.where)
        return np.stack([item.numbers(columns) for item in items])

    def file(self, root: Path) -> Path:
        """Return the path of a file below a folder, which must exist.

        Raises:
            LayoutError: the name leads out of the folder, or nothing is there.
        """
        return file_inside(root, self.text(), where=self.where)


def read_json(path: Path) -> Node:
    """Read a JSON file.

    Raises:
        LayoutError: missing, too large, or no JSON.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LayoutError(f"a JSON file of at most {MOST_BYTES} bytes", found="a larger one", where=str(path))
        return Node(json.loads(path.read_text(encoding="utf-8")), path.name)
    except json.JSONDecodeError as error:
        raise LayoutError("a complete JSON file", found=error.msg, where=f"{path}:{error.lineno}") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise LayoutError("a readable JSON file", found=f"{type(error).__name__}: {error}", where=str(path)) from error


def file_inside(root: Path, name: str, *, where: str) -> Path:
    """Return the path of an existing file below a folder, wherever links lead.

    Raises:
        LayoutError: the name leads out of the folder, or nothing is there.
    """
    try:
        path = (root / name).resolve()
        is_inside = path.is_relative_to(root.resolve())
        is_file = path.is_file()
    except (OSError, ValueError) as error:
        raise LayoutError("a file name", found=f"{name!r:.80}", where=where) from error
    if not is_inside:
        raise LayoutError(f"a file below {root}", found=f"{name!r:.80}, which leads out of it", where=where)
    if not is_file:
        raise LayoutError("an existing file", found=f"nothing at {name!r:.120}", where=where)
    return path


def rotation_of(wxyz: Float64[np.ndarray, "4"], *, where: str) -> Float64[np.ndarray, "3 3"]:
    """Return the rotation of a quaternion w, x, y, z.

    Raises:
        LayoutError: its norm is not one, to one per cent.
    """
    from scipy.spatial.transform import Rotation

    norm = float(np.linalg.norm(wxyz))
    if abs(norm - 1.0) > NORM_TOLERANCE:
        raise LayoutError("a unit quaternion w, x, y, z", found=f"a norm of {norm:.4f}", where=where)
    matrix: Float64[np.ndarray, "3 3"] = Rotation.from_quat(wxyz[[1, 2, 3, 0]]).as_matrix()
    return matrix


def rigid(rotation: Float64[np.ndarray, "3 3"], translation_m: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "4 4"]:
    """Join a rotation and a translation."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, translation_m
    return pose


def rigid_matrix(node: Node) -> Float64[np.ndarray, "4 4"]:
    """Return a 4x4 rigid transform, its rotation made orthonormal (files often hold single precision).

    Raises:
        LayoutError: scaled, sheared, mirrored, or of another last row.
    """
    pose = node.matrix(4, 4)
    left, scale, right = np.linalg.svd(pose[:3, :3])
    if np.abs(scale - 1.0).max() > 1e-3 or np.linalg.det(left @ right) < 0.0:
        raise LayoutError("a rigid 4x4 transform", found=f"scales {scale.round(4).tolist()}", where=node.where)
    if not np.array_equal(pose[3], [0.0, 0.0, 0.0, 1.0]):
        raise LayoutError("a last row of 0 0 0 1", found=f"{pose[3].tolist()}", where=node.where)
    return rigid(left @ right, pose[:3, 3])


def intrinsics_of(fx: Node, fy: Node, cx: Node, cy: Node) -> Float64[np.ndarray, "3 3"]:
    """Return K of positive focal lengths.

    Raises:
        LayoutError: a focal length of zero or less, or no number.
    """
    focal_px = [node.number(least=1e-3, most=1e6) for node in (fx, fy)]
    middle_px = [node.number(least=-1e6, most=1e6) for node in (cx, cy)]
    return np.array([[focal_px[0], 0.0, middle_px[0]], [0.0, focal_px[1], middle_px[1]], [0.0, 0.0, 1.0]])


def check_principal_point(K: Float64[np.ndarray, "3 3"], size_px: tuple[int, int], *, where: str) -> None:
    """Check that a principal point lies in its picture.

    Raises:
        LayoutError: it does not, so that K belongs to pictures of another size.
    """
    if not (0.0 <= K[0, 2] <= size_px[0] and 0.0 <= K[1, 2] <= size_px[1]):
        raise LayoutError(
            f"a principal point within {size_px[0]} x {size_px[1]} px",
            found=f"({K[0, 2]:g}, {K[1, 2]:g})",
            where=where,
        )
