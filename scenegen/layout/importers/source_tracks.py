"""Steps that every importer shares: finite fill, velocities from positions, a clean ring, checked numbers."""

from __future__ import annotations

import re

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError

PLAUSIBLE_WIDTH_M = (1.5, 8.0)
"""Of a lane that is measured in its polygon."""
LARGEST = 1e7
"""Metres; northings on a transverse Mercator grid stay below."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def layout_id_of(source: str, name: str) -> str:
    """Build a layout id that is safe in file names: other characters than letters, digits, `_.-` become `_`.

    >>> layout_id_of("av2", "a log/1")
    'av2-a_log_1'
    """
    return _UNSAFE.sub("_", f"{source}-{name}").lstrip("._-")


def hold_last_valid(
    values: Float64[np.ndarray, "T ..."], valid: Bool[np.ndarray, " T"]
) -> Float64[np.ndarray, "T ..."]:
    """Fill invalid steps with the last valid value before them, or the first valid one after the start.

    >>> hold_last_valid(np.array([9.0, 1.0, 9.0, 3.0]), np.array([False, True, False, True])).tolist()
    [1.0, 1.0, 1.0, 3.0]
    """
    step_idx = np.where(valid, np.arange(len(valid)), -1)
    source_idx = np.maximum.accumulate(step_idx)
    source_idx[source_idx < 0] = int(np.argmax(valid))
    held: Float64[np.ndarray, "T ..."] = values[source_idx]
    return held


def velocity_by_differences(
    position_m: Float64[np.ndarray, "N D"], t_s: Float64[np.ndarray, " N"]
) -> Float64[np.ndarray, "N D"]:
    """Differentiate positions: central differences inside, one-sided at both ends, zero for one sample.

    >>> velocity_by_differences(np.array([[0.0], [1.0], [4.0]]), np.array([0.0, 1.0, 2.0])).ravel().tolist()
    [1.0, 2.0, 3.0]
    """
    if len(t_s) < 2:
        return np.zeros_like(position_m)
    after_idx = np.minimum(np.arange(len(t_s)) + 1, len(t_s) - 1)
    before_idx = np.maximum(np.arange(len(t_s)) - 1, 0)
    elapsed_s = (t_s[after_idx] - t_s[before_idx])[:, None]
    velocity: Float64[np.ndarray, "N D"] = (position_m[after_idx] - position_m[before_idx]) / elapsed_s
    return velocity


def headings_of_quaternions(quaternion_wxyz: Float64[np.ndarray, "N 4"], *, where: str) -> Float64[np.ndarray, " N"]:
    """Return the yaw of the x axis that each quaternion turns.

    >>> headings_of_quaternions(np.array([[0.5**0.5, 0.0, 0.0, 0.5**0.5]]), where="a pose").round(6).tolist()
    [1.570796]

    Raises:
        LayoutError: a norm other than one (to one per cent).
    """
    norm = np.linalg.norm(quaternion_wxyz, axis=1)
    if (np.abs(norm - 1.0) > 1e-2).any():
        row = int(np.argmax(np.abs(norm - 1.0)))
        raise LayoutError("unit quaternions w, x, y, z", found=f"a norm of {norm[row]:.4f} at row {row}", where=where)
    w, x, y, z = (quaternion_wxyz / norm[:, None]).T
    heading_rad: Float64[np.ndarray, " N"] = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return heading_rad


def open_ring(polygon_m: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "M 2"]:
    """Drop the last corner where it repeats the first.

    >>> open_ring(np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])).tolist()
    [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    if len(polygon_m) > 1 and np.allclose(polygon_m[0], polygon_m[-1], atol=1e-6):
        return polygon_m[:-1]
    return polygon_m


def width_in_polygon_m(center_m: Float64[np.ndarray, "N 2"], polygon_m: Float64[np.ndarray, "M 2"]) -> float:
    """Measure the middle half of a lane: twice the median distance of its centre line from its polygon's edge."""
    import shapely

    shares = np.linspace(0.25, 0.75, 11)
    samples = shapely.line_interpolate_point(shapely.LineString(center_m), shares, normalized=True)
    distance_m = shapely.distance(samples, shapely.LinearRing(polygon_m))
    return 2.0 * float(np.median(distance_m))


def path_length_m(points_m: Float64[np.ndarray, "N D"]) -> float:
    """Sum the lengths of the segments.

    >>> path_length_m(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]]))
    6.0
    """
    return float(np.linalg.norm(np.diff(points_m, axis=0), axis=1).sum())


def require_plausible(values: Float64[np.ndarray, "*N"], *, name: str, where: str) -> None:
    """Check that every number is finite and no larger than any coordinate on Earth.

    Raises:
        LayoutError: naming the first bad row.
    """
    for found, bad in (
        ("NaN or infinity", ~np.isfinite(values)),
        (f"more than {LARGEST:g}", np.abs(values) > LARGEST),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad.reshape(len(values), -1).any(axis=1))[0])
            raise LayoutError(f"finite {name} of at most {LARGEST:g}", found=f"{found} at row {row}", where=where)
