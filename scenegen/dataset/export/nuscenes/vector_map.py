"""The map expansion of nuScenes (version 1.3): polygons and lines over shared nodes, lanes with their connections.

Layouts know no stop lines, and lights only as props: `stop_line` and `traffic_light` are empty.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.export.keys import token_of
from scenegen.dataset.export.map_shapes import lane_connections
from scenegen.dataset.export.nuscenes.sheet import Sheet, Tile
from scenegen.dataset.export.nuscenes.taxonomy import LANE_TYPE_OF_KIND, LINE_OF_KIND
from scenegen.types import Area, Lane, LaneLine

MAP_VERSION = "1.3"
LAYERS = (
    "polygon",
    "line",
    "node",
    "drivable_area",
    "road_segment",
    "road_block",
    "lane",
    "lane_connector",
    "ped_crossing",
    "walkway",
    "stop_line",
    "carpark_area",
    "road_divider",
    "lane_divider",
    "traffic_light",
)
NODES_PER_M = 100
"""Corners that agree to the centimetre are one node, so that a lane's end is the beginning of the next."""
STRAIGHT_RADIUS_M = 1000.0
"""Lane paths are chains of straight pieces; the format wants a radius all the same."""
SIMPLIFIED_M = 0.02


class VectorMap:
    """The layers of the sheet, filled tile by tile."""

    def __init__(self, *, size_m: Float64[np.ndarray, "2"]) -> None:
        self._size_m = size_m
        self._layers: dict[str, list[dict[str, Any]]] = {name: [] for name in LAYERS}
        self._nodes: set[str] = set()
        self._paths: dict[str, list[dict[str, Any]]] = {}
        self._connectivity: dict[str, dict[str, list[str]]] = {}

    def add_tile(self, tile: Tile) -> None:
        """Add the road map of a tile."""
        for idx, area in enumerate(tile.road_map.areas):
            self._add_area(area, tile, token_of(tile.key, "area", idx))
        for idx, line in enumerate(tile.road_map.lane_lines):
            self._add_divider(line, tile, token_of(tile.key, "line", idx))
        lanes = [lane for lane in tile.road_map.lanes if lane.kind in LANE_TYPE_OF_KIND]
        tokens = [token_of(tile.key, "lane", lane.lane_id) for lane in lanes]
        for lane, token in zip(lanes, tokens, strict=True):
            self._add_lane(lane, tile, token)
        self._connectivity |= {token: {"incoming": [], "outgoing": []} for token in tokens}
        for before, after in lane_connections(lanes):
            self._connectivity[tokens[before]]["outgoing"].append(tokens[after])
            self._connectivity[tokens[after]]["incoming"].append(tokens[before])

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the file."""
        return {
            "version": MAP_VERSION,
            "canvas_edge": self._size_m.tolist(),
            **self._layers,
            "arcline_path_3": self._paths,
            "connectivity": self._connectivity,
        }

    def _add_area(self, area: Area, tile: Tile, token: str) -> None:
        layer = {
            "drivable": "drivable_area",
            "crossing": "ped_crossing",
            "sidewalk": "walkway",
            "parking": "carpark_area",
        }.get(area.kind)
        if layer is None:
            return
        rings = [ring + tile.shift_m for ring in (area.polygon_world_m, *area.holes_world_m)]
        polygon = self._add_polygon(rings, token)
        if layer == "drivable_area":
            self._add(layer, token, polygon_tokens=[polygon])
            segment = token_of(token, "road_segment")
            self._add("road_segment", segment, polygon_token=polygon, is_intersection=False, drivable_area_token=token)
            return
        more: dict[str, dict[str, Any]] = {
            "ped_crossing": {"road_segment_token": ""},
            "walkway": {},
            "carpark_area": {"orientation": 0.0, "road_block_token": ""},
        }
        self._add(layer, token, polygon_token=polygon, **more[layer])

    def _add_divider(self, line: LaneLine, tile: Tile, token: str) -> None:
        nodes = self._add_nodes(line.points_world_m[:, :2] + tile.shift_m, tile.key)
        line_token = token_of(token, "geometry")
        self._add("line", line_token, node_tokens=nodes)
        if line.color == "yellow":
            self._add("road_divider", token, line_token=line_token, road_segment_token="")
            return
        kind = f"{LINE_OF_KIND[line.kind]}_{line.color.upper()}"
        segments = [{"node_token": node, "segment_type": kind} for node in nodes]
        self._add("lane_divider", token, line_token=line_token, lane_divider_segments=segments)

    def _add_lane(self, lane: Lane, tile: Tile, token: str) -> None:
        import shapely

        points = lane.centerline_world_m[:, :2] + tile.shift_m
        center = shapely.LineString(points).simplify(SIMPLIFIED_M)
        outline = shapely.make_valid(center.buffer(0.5 * lane.width_m, cap_style="flat", join_style="mitre"))
        surface = max(getattr(outline, "geoms", [outline]), key=lambda part: part.area)
        rings = [np.array(ring.coords)[:-1] for ring in (surface.exterior, *surface.interiors)]
        polygon = self._add_polygon(rings, tile.key, token)
        path = np.array(center.coords)
        self._paths[token] = _straight_pieces(path)
        lane_type = LANE_TYPE_OF_KIND[lane.kind]
        if lane.is_intersection:
            self._add("lane_connector", token, polygon_token=polygon, lane_type=lane_type)
            return
        self._add(
            "lane",
            token,
            polygon_token=polygon,
            lane_type=lane_type,
            from_edge_line_token=self._add_edge(path[0], path[1] - path[0], lane.width_m, tile.key, f"{token}/from"),
            to_edge_line_token=self._add_edge(path[-1], path[-1] - path[-2], lane.width_m, tile.key, f"{token}/to"),
            left_lane_divider_segments=[],
            right_lane_divider_segments=[],
        )

    def _add_edge(
        self,
        end_m: Float64[np.ndarray, "2"],
        ahead: Float64[np.ndarray, "2"],
        width_m: float,
        tile_key: str,
        name: str,
    ) -> str:
        left = 0.5 * width_m * np.array([-ahead[1], ahead[0]]) / np.linalg.norm(ahead)
        token = token_of(name)
        self._add("line", token, node_tokens=self._add_nodes(np.stack([end_m + left, end_m - left]), tile_key))
        return token

    def _add_polygon(self, rings: list[Float64[np.ndarray, "_ 2"]], tile_key: str, name: str = "") -> str:
        token = token_of(tile_key, name, "polygon")
        outer, *holes = [self._add_nodes(ring, tile_key) for ring in rings]
        self._add("polygon", token, exterior_node_tokens=outer, holes=[{"node_tokens": hole} for hole in holes])
        return token

    def _add_nodes(self, points_m: Float64[np.ndarray, "N 2"], tile_key: str) -> list[str]:
        tokens = []
        for x_m, y_m in points_m.tolist():
            place = (round(x_m * NODES_PER_M), round(y_m * NODES_PER_M))
            token = token_of("node", *place)
            if token not in self._nodes:
                self._nodes.add(token)
                self._add("node", token, x=x_m, y=y_m)
            tokens.append(token)
        return tokens

    def _add(self, layer: str, token: str, **fields: Any) -> None:
        self._layers[layer].append({"token": token, **fields})


def write_vector_map(path: Path, sheet: Sheet, *, note: Mapping[str, str]) -> None:
    """Write the vector map of a whole sheet.

    Args:
        path: of the file.
        sheet: what is on the map.
        note: stored under the key `scenegen`.
    """
    vector_map = VectorMap(size_m=sheet.size_m)
    for tile in sheet.tiles():
        vector_map.add_tile(tile)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        json.dump({**vector_map.to_dict(), "scenegen": dict(note)}, file, allow_nan=False)


def _straight_pieces(path_m: Float64[np.ndarray, "N 2"]) -> list[dict[str, Any]]:
    """Return a polyline as arc-line paths: turn left, go straight, turn left, where both turns have no length."""
    pieces = []
    for start, end in itertools.pairwise(path_m):
        along = end - start
        heading = float(np.arctan2(along[1], along[0]))
        pieces.append(
            {
                "start_pose": [*start.tolist(), heading],
                "end_pose": [*end.tolist(), heading],
                "shape": "LSL",
                "radius": STRAIGHT_RADIUS_M,
                "segment_length": [0.0, float(np.hypot(*along)), 0.0],
            }
        )
    return pieces
