"""Turn a scene's header into the columns of its store: ego, objects, map. Pure numpy; paths are those of `schema`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64, UInt8

from scenegen.dataset.attributes import lens_to_dict
from scenegen.types import AgentCategory, EgoTrack, Layout, RoadMap, SceneRecord, Timeline, WorldVoxels
from scenegen.types.layout import AREA_KINDS, LANE_KINDS, LINE_COLORS, LINE_KINDS, PROP_KINDS

GRAVITY_MPS2 = 9.81
VISIBILITY_BOUNDS = (0.4, 0.6, 0.8)
"""Upper ends of the nuScenes visibility levels 1, 2 and 3, as visible fractions."""


@dataclass(frozen=True)
class Column:
    """One small array, ready to be written, with the attributes beyond unit and frame."""

    path: str
    values: np.ndarray[Any, Any]
    attributes: dict[str, Any] = field(default_factory=dict)


def header_columns(record: SceneRecord) -> list[Column]:
    """Build every column that is known before the first pixel."""
    layout = record.layout
    columns = [
        Column("time/timestamp_us", layout.timeline.timestamps_us()),
        Column("time/is_key_frame", layout.timeline.is_key_frame()),
        Column("ego/ego2global", np.asarray(layout.ego.world_from_ego, np.float64)),
        Column("ego/velocity", layout.ego.velocity_world_mps.astype(np.float32)),
        Column("ego/can_bus", can_bus_of(layout.ego, layout.timeline)),
    ]
    for camera in record.rig.cameras:
        model = {**lens_to_dict(camera.lens), "size_px": list(camera.size_px)}
        columns.append(Column(f"cameras/{camera.name}/cam2img", np.asarray(camera.K, np.float64), model))
        columns.append(Column(f"cameras/{camera.name}/cam2ego", np.asarray(camera.ego_from_cam, np.float64)))
    return columns + _object_columns(layout) + _map_columns(layout.road_map)


def world_columns(voxels: WorldVoxels) -> list[Column]:
    """Build the columns of a sampled world."""
    grid = {"origin_m": [*voxels.origin_world_m, 0.0], "voxel_m": voxels.voxel_m}
    return [Column("world/solid", voxels.solid, grid), Column("world/ground", voxels.ground, grid)]


def measured_columns(
    layout: Layout,
    *,
    visible_fraction: Float32[np.ndarray, "T A"],
    visible_height_px: Float32[np.ndarray, "T A"],
    found_share: Float32[np.ndarray, " A"],
    num_lidar_pts: Int32[np.ndarray, "T A"] | None = None,
) -> list[Column]:
    """Build the columns of `objects` that only the rendered and judged scene knows, in the order of its boxes."""
    step_idx, agent_idx = _box_order(layout)
    fraction = visible_fraction[step_idx, agent_idx].astype(np.float32)
    columns = [
        Column("objects/visibility", visibility_level(fraction)),
        Column("objects/visible_fraction", fraction),
        Column("objects/visible_height", visible_height_px[step_idx, agent_idx].astype(np.float32)),
        Column("objects/found_share", found_share[agent_idx].astype(np.float32)),
    ]
    if num_lidar_pts is not None:
        columns.append(Column("objects/num_lidar_pts", num_lidar_pts[step_idx, agent_idx]))
    return columns


def visibility_level(visible_fraction: Float32[np.ndarray, "*N"]) -> UInt8[np.ndarray, "*N"]:
    """Return the nuScenes level 1..4 of visible fractions.

    >>> visibility_level(np.array([0.0, 0.4, 0.5, 0.8, 1.0], np.float32)).tolist()
    [1, 1, 2, 3, 4]
    """
    bounds = np.array(VISIBILITY_BOUNDS, np.float32)
    return (1 + np.searchsorted(bounds, visible_fraction, side="left")).astype(np.uint8)


def can_bus_of(ego: EgoTrack, timeline: Timeline) -> Float32[np.ndarray, "T 18"]:
    """Build BEVFormer's 18 signals from the ego track; `schema` documents the order and what is derived."""
    from scipy.spatial.transform import Rotation

    steps = timeline.num_steps
    world_from_ego = Rotation.from_matrix(ego.world_from_ego[:, :3, :3])
    velocity_world = np.zeros((steps, 3))
    velocity_world[:, :2] = ego.velocity_world_mps
    force_world = np.zeros((steps, 3))
    rate_ego = np.zeros((steps, 3))
    if steps > 1:
        force_world = np.gradient(velocity_world, 1.0 / timeline.rate_hz, axis=0)
        before, after = np.maximum(np.arange(steps) - 1, 0), np.minimum(np.arange(steps) + 1, steps - 1)
        turn = (world_from_ego[before].inv() * world_from_ego[after]).as_rotvec()
        rate_ego = turn * (timeline.rate_hz / (after - before))[:, None]
    force_world[:, 2] += GRAVITY_MPS2
    yaw_rad = np.mod(ego.heading_rad, 2.0 * np.pi)
    ego_from_world = world_from_ego.inv()
    signals = (
        ego.position_world_m,
        _wxyz(world_from_ego.as_quat()),
        ego_from_world.apply(force_world),
        rate_ego,
        ego_from_world.apply(velocity_world),
        yaw_rad[:, None],
        np.degrees(yaw_rad)[:, None],
    )
    can_bus: Float32[np.ndarray, "T 18"] = np.concatenate(signals, axis=1).astype(np.float32)
    return can_bus


def _wxyz(xyzw: Float64[np.ndarray, "N 4"]) -> Float64[np.ndarray, "N 4"]:
    """Reorder quaternions and pick the sign with w >= 0."""
    wxyz = xyzw[:, [3, 0, 1, 2]]
    return np.where(wxyz[:, :1] < 0.0, -wxyz, wxyz)


def _box_order(layout: Layout) -> tuple[Int64[np.ndarray, " P"], Int64[np.ndarray, " P"]]:
    """Return (step, agent) of every box: by step, then by the layout's order of agents."""
    if not layout.agents:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    step_idx, agent_idx = np.nonzero(np.stack([agent.valid for agent in layout.agents], axis=1))
    return step_idx.astype(np.int64), agent_idx.astype(np.int64)


def _object_columns(layout: Layout) -> list[Column]:
    step_idx, agent_idx = _box_order(layout)
    counts = np.bincount(step_idx, minlength=layout.timeline.num_steps)
    agents = layout.agents
    attribute_labels = sorted({""} | {agent.attribute for agent in agents})
    center = _per_box([agent.center_world_m for agent in agents], step_idx, agent_idx, (3,))
    velocity = _per_box([agent.velocity_world_mps for agent in agents], step_idx, agent_idx, (2,))
    half_yaw = 0.5 * _per_box([agent.heading_rad for agent in agents], step_idx, agent_idx, ())
    rotation = np.zeros((len(step_idx), 4))
    rotation[:, 0], rotation[:, 3] = np.cos(half_yaw), np.sin(half_yaw)
    size = np.array([agent.size_lwh_m for agent in agents], np.float64).reshape(-1, 3)
    category = np.array([agent.category for agent in agents], np.uint8)
    attribute = np.array([attribute_labels.index(agent.attribute) for agent in agents], np.uint8)
    return [
        Column("objects/frame_ptr", pointers(counts)),
        Column("objects/center", center),
        Column("objects/size_lwh", size[agent_idx]),
        Column("objects/rotation_wxyz", rotation),
        Column("objects/velocity", velocity),
        Column("objects/track_id", agent_idx.astype(np.int32), {"agent_ids": [agent.agent_id for agent in agents]}),
        Column("objects/category", category[agent_idx], {"labels": [kind.label for kind in AgentCategory]}),
        Column("objects/attribute", attribute[agent_idx], {"labels": attribute_labels}),
    ]


def _per_box(
    tracks: Sequence[Float64[np.ndarray, "T ..."]],
    step_idx: Int64[np.ndarray, " P"],
    agent_idx: Int64[np.ndarray, " P"],
    item_shape: tuple[int, ...],
) -> Float64[np.ndarray, "P ..."]:
    """Pick the row of every box out of the agents' tracks."""
    if not tracks:
        return np.zeros((0, *item_shape))
    rows: Float64[np.ndarray, "P ..."] = np.stack(tracks, axis=1)[step_idx, agent_idx].astype(np.float64)
    return rows


def _map_columns(road_map: RoadMap) -> list[Column]:
    lanes, lines, areas, props = road_map.lanes, road_map.lane_lines, road_map.areas, road_map.props
    rings = [ring for area in areas for ring in (area.polygon_world_m, *area.holes_world_m)]
    return [
        Column("map/lanes/ptr", pointers(len(lane.centerline_world_m) for lane in lanes)),
        Column(
            "map/lanes/points",
            _rows([lane.centerline_world_m for lane in lanes], 3),
            {"lane_ids": [lane.lane_id for lane in lanes]},
        ),
        Column("map/lanes/width", _floats(lane.width_m for lane in lanes)),
        _coded("map/lanes/kind", [lane.kind for lane in lanes], LANE_KINDS),
        Column("map/lanes/is_intersection", np.array([lane.is_intersection for lane in lanes], np.bool_)),
        Column("map/lanes/speed_limit", _floats(_or_nan(lane.speed_limit_mps) for lane in lanes)),
        Column("map/lane_lines/ptr", pointers(len(line.points_world_m) for line in lines)),
        Column("map/lane_lines/points", _rows([line.points_world_m for line in lines], 3)),
        Column("map/lane_lines/width", _floats(line.width_m for line in lines)),
        _coded("map/lane_lines/kind", [line.kind for line in lines], LINE_KINDS),
        _coded("map/lane_lines/color", [line.color for line in lines], LINE_COLORS),
        Column("map/areas/ptr", pointers(1 + len(area.holes_world_m) for area in areas)),
        Column("map/areas/ring_ptr", pointers(len(ring) for ring in rings)),
        Column("map/areas/points", _rows(rings, 2)),
        _coded("map/areas/kind", [area.kind for area in areas], AREA_KINDS),
        Column("map/areas/height", _floats(area.height_m for area in areas)),
        Column("map/props/position", _rows([prop.position_world_m.reshape(1, 2) for prop in props], 2)),
        Column("map/props/heading", _floats(prop.heading_rad for prop in props)),
        _coded("map/props/kind", [prop.kind for prop in props], PROP_KINDS),
        Column("map/props/height", _floats(_or_nan(prop.height_m) for prop in props)),
    ]


def _coded(path: str, names: Sequence[str], known: Sequence[str]) -> Column:
    """Store names as codes; names the vocabulary does not know are added to the labels, in order."""
    labels = [*known, *sorted(set(names) - set(known))]
    return Column(path, np.array([labels.index(name) for name in names], np.uint8), {"labels": labels})


def pointers(counts: Iterable[int]) -> Int64[np.ndarray, " N1"]:
    """Return where each ragged row begins, and the end of the last.

    >>> pointers([2, 0, 3]).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(np.fromiter(counts, np.int64))]).astype(np.int64)


def _rows(parts: Sequence[Float64[np.ndarray, "_ D"]], columns: int) -> Float64[np.ndarray, "N D"]:
    rows: Float64[np.ndarray, "N D"] = np.concatenate([np.zeros((0, columns)), *parts]).astype(np.float64)
    return rows


def _floats(values: Iterable[float]) -> Float64[np.ndarray, " N"]:
    return np.fromiter(values, np.float64)


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
