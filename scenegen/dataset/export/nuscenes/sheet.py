"""One map for all scenes: every road map gets its own tile of a sheet, and the scenes on it are moved there.

nuScenes has a few cities with coordinates that begin in the south-west corner; scenegen's scenes each have their own
origin. Scenes with the same road map share a tile. Moves are whole metres, so that no number loses a bit it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.durable import canonical_json, sha256_of_text
from scenegen.dataset.stored_scene import Scene
from scenegen.types import RoadMap
from scenegen.types.layout_json import layout_to_dict

MARGIN_M = 20.0
"""Around everything of a scene, and so at least twice this between two tiles."""
EGO_MARGIN_M = 100.0
"""Around the ego's path: readers cut squares of up to 60 m around it out of the mask, and do not look for its end."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One road map on the sheet.

    Attributes:
        key: hash of the road map.
        road_map: in its scenes' world frame.
        shift_m: from the world frame of its scenes to the sheet.
        corner_m: south-west corner on the sheet.
        size_m: width and height.
    """

    key: str
    road_map: RoadMap
    shift_m: Float64[np.ndarray, "2"]
    corner_m: Float64[np.ndarray, "2"]
    size_m: Float64[np.ndarray, "2"]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """The tiles, in rows from the south, and where each scene is."""

    rows: tuple[tuple[Tile, ...], ...]
    tile_key_of_scene: dict[str, str]
    size_m: Float64[np.ndarray, "2"]

    def tiles(self) -> Iterator[Tile]:
        """Give every tile, row by row."""
        return (tile for row in self.rows for tile in row)

    def shift_m(self, scene_id: str) -> Float64[np.ndarray, "2"]:
        """Return the move from a scene's world frame to the sheet."""
        key = self.tile_key_of_scene[scene_id]
        return next(tile.shift_m for tile in self.tiles() if tile.key == key)


@dataclass(frozen=True, kw_only=True)
class _Extent:
    key: str
    road_map: RoadMap
    low_m: Float64[np.ndarray, "2"]
    high_m: Float64[np.ndarray, "2"]


def shifted(pose: Float64[np.ndarray, "*T 4 4"], shift_m: Float64[np.ndarray, "2"]) -> Float64[np.ndarray, "*T 4 4"]:
    """Move poses in the horizontal plane, from a scene's world frame to the sheet."""
    moved = pose.copy()
    moved[..., :2, 3] += shift_m
    return moved


def build_sheet(scenes: Iterable[Scene]) -> Sheet:
    """Lay the road maps of scenes out side by side, in rows that make the sheet about square."""
    extents: dict[str, _Extent] = {}
    key_of_scene: dict[str, str] = {}
    for scene in scenes:
        found = _extent_of(scene)
        known = extents.get(found.key, found)
        extents[found.key] = _Extent(
            key=found.key,
            road_map=found.road_map,
            low_m=np.minimum(known.low_m, found.low_m),
            high_m=np.maximum(known.high_m, found.high_m),
        )
        key_of_scene[scene.scene_id] = found.key
    rows = _rows_of(list(extents.values()))
    ends = np.array([tile.corner_m + tile.size_m for row in rows for tile in row])
    return Sheet(rows=rows, tile_key_of_scene=key_of_scene, size_m=ends.max(axis=0))


def _extent_of(scene: Scene) -> _Extent:
    layout = scene.layout
    road_map = layout.road_map
    key = sha256_of_text(canonical_json(layout_to_dict(layout)["road_map"]))
    path = scene.ego2global[:, :2, 3]
    points = [agent.center_world_m[agent.valid, :2] for agent in layout.agents]
    points += [lane.centerline_world_m[:, :2] for lane in road_map.lanes]
    points += [line.points_world_m[:, :2] for line in road_map.lane_lines]
    points += [area.polygon_world_m for area in road_map.areas]
    every = np.concatenate([path, *points])
    return _Extent(
        key=key,
        road_map=road_map,
        low_m=np.floor(np.minimum(every.min(axis=0) - MARGIN_M, path.min(axis=0) - EGO_MARGIN_M)),
        high_m=np.ceil(np.maximum(every.max(axis=0) + MARGIN_M, path.max(axis=0) + EGO_MARGIN_M)),
    )


def _rows_of(extents: list[_Extent]) -> tuple[tuple[Tile, ...], ...]:
    width_m = np.sqrt(sum(float(np.prod(extent.high_m - extent.low_m)) for extent in extents))
    rows: list[list[Tile]] = [[]]
    corner_m = np.zeros(2)
    for extent in extents:
        size_m = extent.high_m - extent.low_m
        if rows[-1] and corner_m[0] + size_m[0] > width_m:
            corner_m = np.array([0.0, corner_m[1] + max(tile.size_m[1] for tile in rows[-1])])
            rows.append([])
        rows[-1].append(
            Tile(
                key=extent.key,
                road_map=extent.road_map,
                shift_m=corner_m - extent.low_m,
                corner_m=corner_m,
                size_m=size_m,
            )
        )
        corner_m = corner_m + np.array([size_m[0], 0.0])
    return tuple(tuple(row) for row in rows)
