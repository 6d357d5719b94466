"""The vector map and ground height of an Argoverse 2 log.

Lanes come as left and right boundaries; the centre line is their mean at equal shares of their lengths, the width
the median distance between them there. A boundary that two lanes share is painted once. Marks that our line kinds
cannot tell apart become the nearest one: dash-solid and solid-dash are solid, double dash is dashed, blue is white.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.record import Record
from scenegen.layout.importers.source_tracks import open_ring, path_length_m
from scenegen.types import Area, Lane, LaneLine, RoadMap

LANE_KIND_OF_TYPE = {"VEHICLE": "vehicle", "BIKE": "bike", "BUS": "bus"}
CENTERLINE_STEP_M = 2.0

LINE_OF_MARK: dict[str, tuple[str, str] | None] = {
    "SOLID_WHITE": ("solid", "white"),
    "SOLID_YELLOW": ("solid", "yellow"),
    "SOLID_BLUE": ("solid", "white"),
    "DASHED_WHITE": ("dashed", "white"),
    "DASHED_YELLOW": ("dashed", "yellow"),
    "DOUBLE_SOLID_WHITE": ("double_solid", "white"),
    "DOUBLE_SOLID_YELLOW": ("double_solid", "yellow"),
    "DOUBLE_DASH_WHITE": ("dashed", "white"),
    "DOUBLE_DASH_YELLOW": ("dashed", "yellow"),
    "DASH_SOLID_WHITE": ("solid", "white"),
    "DASH_SOLID_YELLOW": ("solid", "yellow"),
    "SOLID_DASH_WHITE": ("solid", "white"),
    "SOLID_DASH_YELLOW": ("solid", "yellow"),
    "NONE": None,
    "UNKNOWN": None,
}
"""Mark type to (kind, colour); None where nothing is painted, or nobody knows."""


@dataclass(frozen=True, kw_only=True)
class GroundHeight:
    """A raster of ground heights; image coordinates are `scale * (R @ xy_city + t)`."""

    raster_m: Float64[np.ndarray, "Y X"]
    rotation: Float64[np.ndarray, "2 2"]
    translation_m: Float64[np.ndarray, "2"]
    scale: float

    def height_m(self, xy_city_m: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, " N"]:
        """Look up the ground under points; NaN where the raster has none."""
        image = (xy_city_m @ self.rotation.T + self.translation_m) * self.scale
        column, row = np.floor(image).astype(np.int64).T
        inside = (column >= 0) & (row >= 0) & (column < self.raster_m.shape[1]) & (row < self.raster_m.shape[0])
        height_m = np.full(len(xy_city_m), np.nan)
        height_m[inside] = self.raster_m[row[inside], column[inside]]
        return height_m


def read_ground_height(map_folder: Path) -> GroundHeight | None:
    """Read the ground height raster of a log, or return None where the log has none.

    Raises:
        LayoutError: the raster or its placement is damaged, or one of the two is missing.
    """
    rasters = sorted(map_folder.glob("*_ground_height_surface____*.npy"))
    if not rasters:
        return None
    placements = sorted(map_folder.glob("*___img_Sim2_city.json"))
    if not placements:
        raise LayoutError("a *___img_Sim2_city.json beside the raster", found="none", where=str(rasters[0]))
    placement = _read_json(placements[0])
    try:
        raster_m = np.load(rasters[0], allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise LayoutError("a ground height raster", found=str(error), where=str(rasters[0])) from error
    if raster_m.ndim != 2 or raster_m.dtype.kind != "f":
        raise LayoutError("a 2-D raster of floats", found=f"{raster_m.dtype} {raster_m.shape}", where=str(rasters[0]))
    return GroundHeight(
        raster_m=raster_m.astype(np.float64),
        rotation=placement.numbers("R", (4,)).reshape(2, 2),
        translation_m=placement.numbers("t", (2,)),
        scale=placement.number("s"),
    )


def read_vector_map(map_folder: Path, *, origin_city_m: Float64[np.ndarray, "3"]) -> RoadMap:
    """Read `log_map_archive_*.json` into the world frame, flat at z = 0.

    Raises:
        LayoutError: the file is missing or damaged; the message names the entry.
    """
    files = sorted(map_folder.glob("log_map_archive_*.json"))
    if not files:
        raise LayoutError("a vector map log_map_archive_*.json", found="none", where=str(map_folder))
    archive = _read_json(files[0])
    segments = {name: archive.child("lane_segments").child(name) for name in archive.child("lane_segments")}
    drivable = archive.child("drivable_areas")
    crossings = archive.child("pedestrian_crossings")
    return RoadMap(
        lanes=tuple(_lane_of(segment, name, origin_city_m) for name, segment in segments.items()),
        lane_lines=_lane_lines_of(segments.values(), origin_city_m),
        areas=(
            *(_drivable_of(drivable.child(name), origin_city_m) for name in drivable),
            *(_crossing_of(crossings.child(name), origin_city_m) for name in crossings),
        ),
    )


def _read_json(path: Path) -> Record:
    """Read a JSON object."""
    try:
        return Record(json.loads(path.read_text(encoding="utf-8")), where=str(path))
    except json.JSONDecodeError as error:
        raise LayoutError("a JSON file", found=error.msg, where=f"{path}:{error.lineno}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError("a readable JSON file", found=str(error), where=str(path)) from error


def _points_of(entry: Record, key: str, origin_city_m: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "N 2"]:
    """Return a polyline of {x, y, z} objects as world x and y."""
    points = entry.children(key)
    if len(points) < 2:
        raise LayoutError(f"at least two points in {key}", found=f"{len(points)}", where=entry.where)
    points_city_m = np.array([[point.number("x"), point.number("y")] for point in points])
    moved_m: Float64[np.ndarray, "N 2"] = points_city_m - origin_city_m[:2]
    return moved_m


def _lane_of(segment: Record, name: str, origin_city_m: Float64[np.ndarray, "3"]) -> Lane:
    """Build a lane from its boundaries."""
    left_m = _points_of(segment, "left_lane_boundary", origin_city_m)
    right_m = _points_of(segment, "right_lane_boundary", origin_city_m)
    longest_m = max(path_length_m(left_m), path_length_m(right_m))
    num_points = max(len(left_m), len(right_m), int(np.ceil(longest_m / CENTERLINE_STEP_M)) + 1)
    left_m, right_m = _resample(left_m, num_points), _resample(right_m, num_points)
    width_m = float(np.median(np.linalg.norm(left_m - right_m, axis=1)))
    if longest_m <= 0.0 or width_m <= 0.0:
        raise LayoutError("boundaries apart from each other", found=f"width {width_m:.3f} m", where=segment.where)
    return Lane(
        lane_id=name,
        centerline_world_m=_on_ground((left_m + right_m) / 2.0),
        width_m=width_m,
        kind=LANE_KIND_OF_TYPE[segment.choice("lane_type", LANE_KIND_OF_TYPE)],
        is_intersection=segment.flag("is_intersection"),
    )


def _resample(points_m: Float64[np.ndarray, "N 2"], num_points: int) -> Float64[np.ndarray, "M 2"]:
    """Place points at equal distances along a polyline, ends included."""
    along_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points_m, axis=0), axis=1))])
    wanted_m = np.linspace(0.0, along_m[-1], num_points)
    return np.column_stack([np.interp(wanted_m, along_m, points_m[:, axis]) for axis in (0, 1)])


def _on_ground(points_m: Float64[np.ndarray, "N 2"]) -> Float64[np.ndarray, "N 3"]:
    """Append z = 0."""
    return np.column_stack([points_m, np.zeros(len(points_m))])


def _lane_lines_of(segments: Iterable[Record], origin_city_m: Float64[np.ndarray, "3"]) -> tuple[LaneLine, ...]:
    """Collect the painted boundaries, each once whatever its direction, in file order."""
    painted: dict[frozenset[tuple[float, float]], LaneLine] = {}
    for segment in segments:
        for side in ("left", "right"):
            line = LINE_OF_MARK[segment.choice(f"{side}_lane_mark_type", LINE_OF_MARK)]
            if line is None:
                continue
            points_m = _points_of(segment, f"{side}_lane_boundary", origin_city_m)
            place = frozenset((float(x), float(y)) for x, y in points_m.round(2))
            painted.setdefault(place, LaneLine(points_world_m=_on_ground(points_m), kind=line[0], color=line[1]))
    return tuple(painted.values())


def _drivable_of(entry: Record, origin_city_m: Float64[np.ndarray, "3"]) -> Area:
    """Build a drivable area."""
    return Area(kind="drivable", polygon_world_m=_ring_of(_points_of(entry, "area_boundary", origin_city_m), entry))


def _crossing_of(entry: Record, origin_city_m: Float64[np.ndarray, "3"]) -> Area:
    """Join the two edges of a crossing into a ring that does not cross itself."""
    edge_m = _points_of(entry, "edge1", origin_city_m)
    other_m = _points_of(entry, "edge2", origin_city_m)
    if np.dot(edge_m[-1] - edge_m[0], other_m[-1] - other_m[0]) > 0.0:
        other_m = other_m[::-1]
    return Area(kind="crossing", polygon_world_m=_ring_of(np.concatenate([edge_m, other_m]), entry))


def _ring_of(points_m: Float64[np.ndarray, "N 2"], entry: Record) -> Float64[np.ndarray, "M 2"]:
    """Return the corners of a polygon, at least three."""
    ring_m = open_ring(points_m)
    if len(ring_m) < 3:
        raise LayoutError("a polygon of at least three corners", found=f"{len(ring_m)}", where=entry.where)
    return ring_m
