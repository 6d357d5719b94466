"""The vector map of a nuScenes scene: the map expansion 1.3 around the ego's way, by the devkit's `NuScenesMap`.

* A lane or connector is its arcline path at a point per metre. A lane is as wide as twice the median distance of its
  path from the edge of its polygon; connectors, whose polygons overlap, are as wide as the median lane.
* Lane dividers are painted by the type of each segment, runs of one type as one line; `NIL` is not painted. Double
  dashed and zigzag strokes become the nearest kind. Road dividers have no type and are solid yellow, as in ScenarioNet.
* Areas are cut to the neighbourhood of the ego's way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.ground import areas_of
from scenegen.layout.importers.source_tracks import (
    PLAUSIBLE_WIDTH_M,
    open_ring,
    require_plausible,
    width_in_polygon_m,
)
from scenegen.types.layout import Area, Lane, LaneLine, RoadMap

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

NEARBY_M = 120.0
LANE_STEP_M = 1.0
LONGEST_LANE_M = 10_000.0
NOMINAL_WIDTH_M = 3.5
AREA_OF_LAYER = {
    "drivable_area": "drivable",
    "ped_crossing": "crossing",
    "walkway": "sidewalk",
    "carpark_area": "parking",
}
LANE_LAYERS = ("lane", "lane_connector")
LINE_LAYERS = ("lane_divider", "road_divider")
LOST_LAYERS = ("stop_line", "traffic_light")
LANE_KIND_OF_TYPE = {"BIKE": "bike"}
"""Every other lane type of the map is for vehicles."""
LINE_KIND_OF_STROKES = {
    "SINGLE_SOLID": "solid",
    "DOUBLE_SOLID": "double_solid",
    "SINGLE_DASHED": "dashed",
    "DOUBLE_DASHED": "dashed",
    "SINGLE_ZIGZAG": "solid",
}


def read_expansion(
    path: Path, ego_xy_m: Float64[np.ndarray, "T 2"], *, origin_m: Float64[np.ndarray, "2"]
) -> tuple[RoadMap, dict[str, int], list[str]]:
    """Read what lies within 120 m of the box around the ego's way.

    Args:
        path: `ROOT/maps/expansion/LOCATION.json`.
        ego_xy_m: the ego's way in the world.
        origin_m: the world's origin on the map.

    Returns:
        The map in the world, numbers of records nearby by layer, and what is lost.

    Raises:
        LayoutError: a damaged file or record, which is named.
    """
    import shapely

    near = (*(ego_xy_m.min(axis=0) + origin_m - NEARBY_M), *(ego_xy_m.max(axis=0) + origin_m + NEARBY_M))
    vector_map = _named(path, "the file", lambda: _load(path))
    layers = (*LANE_LAYERS, *LINE_LAYERS, *AREA_OF_LAYER, *LOST_LAYERS)
    found: dict[str, list[str]] = _named(
        path, "a polygon or line", lambda: vector_map.get_records_in_patch(near, list(layers), mode="intersect")
    )
    reader = _Reader(vector_map, path, origin_m)
    unknown: Counter[str] = Counter()
    lines = [reader.divider(token, unknown) for token in found["lane_divider"]]
    region = shapely.box(*(np.array(near) - np.tile(origin_m, 2)))
    road_map = RoadMap(
        lanes=reader.lanes(found["lane"], found["lane_connector"]),
        lane_lines=(
            *(line for pieces in lines for line in pieces),
            *(
                LaneLine(points_world_m=reader.line("road_divider", token), kind="solid", color="yellow")
                for token in found["road_divider"]
            ),
        ),
        areas=tuple(
            area
            for layer, kind in AREA_OF_LAYER.items()
            for area in _areas(kind, [reader.area(layer, token) for token in found[layer]], region)
        ),
    )
    counts = {f"map {layer}": len(found[layer]) for layer in layers}
    lost = [f"{len(found[layer])} {layer} records nearby" for layer in LOST_LAYERS if found[layer]]
    if found["road_divider"]:
        lost.append(
            f"what {len(found['road_divider'])} road dividers look like: the map does not say, they are solid yellow"
        )
    lost += [f"{count} segments of lane dividers of type {kind!r}: solid white" for kind, count in unknown.items()]
    return road_map, counts, lost


def _load(path: Path) -> Any:
    """Open the devkit's map without letting its import change matplotlib's style."""
    import matplotlib

    with matplotlib.rc_context():
        from nuscenes.map_expansion.map_api import NuScenesMap
    vector_map = NuScenesMap(dataroot=str(path.parents[2]), map_name=path.stem)
    for node in vector_map.node:
        place_m = np.array([[node["x"], node["y"]]], np.float64)
        require_plausible(place_m, name="x and y", where=f"{path}: node {node['token']!r}")
    return vector_map


def _named(path: Path, what: str, action: Callable[[], Any]) -> Any:
    """Do something with the devkit's map; it trusts its file, so any failure means a damaged one."""
    try:
        return action()
    except LayoutError:
        raise
    except Exception as error:  # the devkit itself raises bare ones
        raise LayoutError(
            "a nuScenes map expansion of version 1.3 that nuscenes-devkit reads",
            found=f"{type(error).__name__}: {error}",
            where=f"{path}: {what}",
        ) from error


def _areas(kind: str, polygons: list[BaseGeometry], region: BaseGeometry) -> list[Area]:
    """Unite drivable areas, keep others by themselves, and cut all to a region."""
    import shapely

    groups = [shapely.union_all(polygons)] if kind == "drivable" and polygons else polygons
    return [area for group in groups for area in areas_of(shapely.intersection(group, region), kind)]


class _Reader:
    """Records of a map, checked and moved to the world."""

    def __init__(self, vector_map: Any, path: Path, origin_m: Float64[np.ndarray, "2"]) -> None:
        self._map = vector_map
        self._path = path
        self._origin_m = origin_m

    def area(self, layer: str, token: str) -> BaseGeometry:
        """Return the area of a record."""
        import shapely

        record = self._map.get(layer, token)
        tokens = record["polygon_tokens"] if layer == "drivable_area" else [record["polygon_token"]]
        parts = [self._polygon(f"{layer} {token!r}", polygon) for polygon in tokens]
        return shapely.union_all(parts)

    def line(self, layer: str, token: str) -> Float64[np.ndarray, "N 3"]:
        """Return the points of a line, on the ground."""
        import shapely

        record = self._map.get(layer, token)
        where = f"{layer} {token!r}"
        line = _named(self._path, where, lambda: self._map.extract_line(record["line_token"]))
        return self._on_ground(shapely.get_coordinates(line), where)

    def divider(self, token: str, unknown: Counter[str]) -> list[LaneLine]:
        """Return the painted runs of a lane divider, and count types without a kind of ours."""
        points_m = self.line("lane_divider", token)
        segments = self._map.get("lane_divider", token)["lane_divider_segments"]
        where = f"lane_divider {token!r}"
        kinds = _named(self._path, where, lambda: [str(segment["segment_type"]) for segment in segments])
        pieces = []
        for kind, first, last in _runs(kinds[: len(points_m) - 1]):
            if kind == "NIL":
                continue
            strokes, _, color = kind.rpartition("_")
            if strokes not in LINE_KIND_OF_STROKES or color not in ("WHITE", "YELLOW"):
                unknown[kind] += last - first
            pieces.append(
                LaneLine(
                    points_world_m=points_m[first : last + 1],
                    kind=LINE_KIND_OF_STROKES.get(strokes, "solid"),
                    color="yellow" if color == "YELLOW" else "white",
                )
            )
        return pieces

    def lanes(self, lanes: list[str], connectors: list[str]) -> tuple[Lane, ...]:
        """Return lanes and connectors; a connector without a path is left out, as in the devkit."""
        center_m = {token: self._path_of(layer, token) for layer, token in _pairs(lanes, connectors)}
        polygon_m = {token: self._outline(token) for token in lanes}
        measured_m = {
            token: width_in_polygon_m(center_m[token][:, :2], ring_m)
            for token, ring_m in polygon_m.items()
            if len(center_m[token]) > 1
        }
        least_m, most_m = PLAUSIBLE_WIDTH_M
        width_m = {token: width for token, width in measured_m.items() if least_m <= width <= most_m}
        usual_m = float(np.median(list(width_m.values()))) if width_m else NOMINAL_WIDTH_M
        return tuple(
            Lane(
                lane_id=token,
                centerline_world_m=center_m[token],
                width_m=width_m.get(token, usual_m),
                kind=LANE_KIND_OF_TYPE.get(str(self._map.get(layer, token).get("lane_type")), "vehicle"),
                is_intersection=layer == "lane_connector",
            )
            for layer, token in _pairs(lanes, connectors)
            if len(center_m[token]) > 1
        )

    def _path_of(self, layer: str, token: str) -> Float64[np.ndarray, "N 3"]:
        where = f"{layer} {token!r}"

        def sample() -> Float64[np.ndarray, "N 2"]:
            pieces = self._map.arcline_path_3.get(token, [])
            length_m = sum(abs(float(part)) for piece in pieces for part in piece["segment_length"])
            if not length_m <= LONGEST_LANE_M:
                raise LayoutError(
                    f"a path of at most {LONGEST_LANE_M:g} m", found=f"{length_m:g} m", where=f"{self._path}: {where}"
                )
            poses = self._map.discretize_lanes([token], LANE_STEP_M)[token]
            return np.array([pose[:2] for pose in poses], np.float64).reshape(-1, 2)

        points_m = self._on_ground(_named(self._path, where, sample), where)
        is_new = np.linalg.norm(np.diff(points_m, axis=0, prepend=points_m[:1] - 1.0), axis=1) > 1e-6
        return points_m[is_new]

    def _outline(self, token: str) -> Float64[np.ndarray, "N 2"]:
        import shapely

        polygon = self._polygon(f"lane {token!r}", self._map.get("lane", token)["polygon_token"], valid=False)
        return open_ring(shapely.get_coordinates(polygon.exterior))

    def _polygon(self, where: str, token: str, *, valid: bool = True) -> BaseGeometry:
        import shapely

        polygon = _named(self._path, where, lambda: self._map.extract_polygon(token))
        require_plausible(shapely.get_coordinates(polygon), name="corners", where=f"{self._path}: {where}")
        moved = shapely.transform(polygon, lambda points_m: points_m - self._origin_m)
        return shapely.make_valid(moved) if valid else moved

    def _on_ground(self, points_m: Float64[np.ndarray, "N 2"], where: str) -> Float64[np.ndarray, "N 3"]:
        require_plausible(points_m, name="points", where=f"{self._path}: {where}")
        return np.column_stack([points_m - self._origin_m, np.zeros(len(points_m))])


def _pairs(lanes: list[str], connectors: list[str]) -> list[tuple[str, str]]:
    return [("lane", token) for token in lanes] + [("lane_connector", token) for token in connectors]


def _runs(kinds: list[str]) -> Iterator[tuple[str, int, int]]:
    """Group equal neighbours: kind, first and one past the last index.

    >>> list(_runs(["a", "a", "b"]))
    [('a', 0, 2), ('b', 2, 3)]
    """
    first = 0
    for idx in range(1, len(kinds) + 1):
        if idx == len(kinds) or kinds[idx] != kinds[first]:
            yield kinds[first], first, idx
            first = idx
