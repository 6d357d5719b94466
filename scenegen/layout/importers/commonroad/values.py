"""Values of a CommonRoad file: numbers that are exact or an interval, points, shapes, states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.layout.importers.xml_file import XmlElement

LAST_STEP = 20_000
SHAPES = ("rectangle", "circle", "polygon")
FEWEST_CORNERS = 3


@dataclass(frozen=True, kw_only=True)
class Extent:
    """The box around a shape, in the shape's own frame: length along x, width along y, and where its middle is."""

    length_m: float
    width_m: float
    middle_m: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class State:
    """Where something is at a step of the file. None is not given; `is_uncertain` says that intervals were halved."""

    step: int
    position_m: tuple[float, float]
    heading_rad: float | None
    speed_mps: float | None
    is_uncertain: bool


def point_of(element: XmlElement) -> tuple[float, float]:
    """Return x and y of a `<point>`, `<center>` or the like."""
    return element.one("x").text_number(), element.one("y").text_number()


def points_of(element: XmlElement, *, at_least: int) -> Float64[np.ndarray, "N 2"]:
    """Return the points below an element.

    Raises:
        LayoutError: too few of them, or not two different ones.
    """
    points_m = np.array([point_of(point) for point in element.all("point")]).reshape(-1, 2)
    if len(points_m) < at_least:
        element.fail(f"at least {at_least} points", f"{len(points_m)}")
    if not np.ptp(points_m, axis=0).max() > 1e-6:
        element.fail("points at different places", "all at one")
    return points_m


def is_interval(element: XmlElement) -> bool:
    """Say whether a value is not exact."""
    return element.first("exact") is None


def scalar_of(element: XmlElement) -> float:
    """Return an exact value, or the middle of an interval.

    Raises:
        LayoutError: neither is there, or the interval ends before it starts.
    """
    exact = element.first("exact")
    if exact is not None:
        return exact.text_number()
    start, end = interval_of(element)
    return 0.5 * (start + end)


def interval_of(element: XmlElement) -> tuple[float, float]:
    """Return start and end of an interval; those of an exact value are the same.

    Raises:
        LayoutError: neither is there, or the interval ends before it starts.
    """
    exact = element.first("exact")
    if exact is not None:
        value = exact.text_number()
        return value, value
    start, end = element.one("intervalStart").text_number(), element.one("intervalEnd").text_number()
    if end < start:
        element.fail("an interval that ends after it starts", f"{start:g} to {end:g}")
    return start, end


def steps_of(element: XmlElement) -> tuple[int, int]:
    """Return first and last step of a time.

    Raises:
        LayoutError: steps are not whole numbers from 0 to `LAST_STEP`.
    """
    start, end = interval_of(element)
    for value in (start, end):
        if value != int(value) or not 0 <= value <= LAST_STEP:
            element.fail(f"whole steps from 0 to {LAST_STEP}", f"{value:g}")
    return int(start), int(end)


def state_of(element: XmlElement) -> State:
    """Return an initial state or a state of a trajectory.

    Raises:
        LayoutError: position or time are missing, or any value is malformed.
    """
    first, last = steps_of(element.one("time"))
    position = element.one("position")
    point = position.first("point")
    heading, speed = element.first("orientation"), element.first("velocity")
    return State(
        step=(first + last) // 2,
        position_m=point_of(point) if point is not None else middle_of(position),
        heading_rad=scalar_of(heading) if heading is not None else None,
        speed_mps=scalar_of(speed) if speed is not None else None,
        is_uncertain=point is None
        or first != last
        or any(value is not None and is_interval(value) for value in (heading, speed)),
    )


def middle_of(holder: XmlElement) -> tuple[float, float]:
    """Return the middle of the first shape below an element.

    Raises:
        LayoutError: there is no shape.
    """
    extent = _extent(_shapes_in(holder)[0])
    return extent.middle_m


def extent_of(holder: XmlElement) -> Extent:
    """Return the box around all shapes below an element.

    Raises:
        LayoutError: there is no shape, or one without a size.
    """
    extents = [_extent(shape) for shape in _shapes_in(holder)]
    middle_m = np.array([extent.middle_m for extent in extents])
    half_m = 0.5 * np.array([(extent.length_m, extent.width_m) for extent in extents])
    low_m, high_m = (middle_m - half_m).min(axis=0), (middle_m + half_m).max(axis=0)
    length_m, width_m = (high_m - low_m).tolist()
    if not (length_m > 0.0 and width_m > 0.0):
        holder.fail("a shape with a length and a width", f"{length_m:g} x {width_m:g}")
    x_m, y_m = (0.5 * (low_m + high_m)).tolist()
    return Extent(length_m=length_m, width_m=width_m, middle_m=(x_m, y_m))


def outline_of(holder: XmlElement) -> Float64[np.ndarray, "N 2"]:
    """Return the corners of the first shape below an element; a circle has sixteen."""
    return _corners(_shapes_in(holder)[0])


def _shapes_in(holder: XmlElement) -> list[XmlElement]:
    shapes = [child for child in holder.children if child.tag in SHAPES]
    if not shapes:
        found = ", ".join(f"<{child.tag}>" for child in holder.children[:3]) or "nothing"
        holder.fail(f"a point or a shape out of {', '.join(SHAPES)}", found)
    return shapes


def _extent(shape: XmlElement) -> Extent:
    corners_m = _corners(shape)
    low_m, high_m = corners_m.min(axis=0), corners_m.max(axis=0)
    (length_m, width_m), (x_m, y_m) = (high_m - low_m).tolist(), (0.5 * (low_m + high_m)).tolist()
    return Extent(length_m=length_m, width_m=width_m, middle_m=(x_m, y_m))


def _corners(shape: XmlElement) -> Float64[np.ndarray, "N 2"]:
    if shape.tag == "polygon":
        return points_of(shape, at_least=FEWEST_CORNERS)
    center = shape.first("center")
    middle_m = np.array(point_of(center)) if center is not None else np.zeros(2)
    if shape.tag == "circle":
        radius_m = _positive(shape.one("radius"))
        angle = np.arange(16) * (np.pi / 8.0)
        return np.asarray(middle_m + radius_m * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    half_m = 0.5 * np.array([_positive(shape.one("length")), _positive(shape.one("width"))])
    turn = shape.first("orientation")
    angle_rad = 0.0 if turn is None else (turn.text_number() if turn.text.strip() else scalar_of(turn))
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    local_m = half_m * np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    return np.asarray(middle_m + local_m @ np.array([[cos, sin], [-sin, cos]]))


def _positive(element: XmlElement) -> float:
    value = element.text_number()
    if value <= 0.0:
        element.fail("a positive number", f"{value:g}")
    return value
