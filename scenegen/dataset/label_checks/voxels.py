"""Checks of the occupancy against the boxes, in the ego frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from scenegen.dataset.label_checks.finding import Finding, SceneLabels
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import OCC3D_GRID, SEMANTIC_OF_CATEGORY, AgentCategory, Semantic, belongs_to_agent

VOXEL_REACH_M = 0.5 * np.sqrt(3.0) * OCC3D_GRID.voxel_m + 0.01
"""How far the middle of a voxel may lie outside a box of which it holds a point."""
MIN_HEIGHT_M = 0.8
"""Lower agents may vanish in the layer of the ground, which they never replace."""


def check_voxels_at_boxes(labels: SceneLabels) -> Iterator[Finding]:
    """On key frames, every box in the grid holds a voxel of its class, unless another box overlaps it or it is flat.

    Not asked of real logs: their labels are others' and need not agree with boxes.
    """
    scene, objects = labels.scene, labels.objects
    if not scene.is_synthetic:
        return
    for step in labels.key_steps:
        semantics = scene.array("occupancy/semantics")[step]
        rows = np.flatnonzero(objects.step == step)
        ego_from_world = invert_rigid(scene.ego2global[step])
        center_ego_m = transform_points(ego_from_world, objects.center_world_m[rows])
        for idx in np.flatnonzero(_is_well_inside(center_ego_m)).tolist():
            row = int(rows[idx])
            if objects.size_lwh_m[row, 2] < MIN_HEIGHT_M or _is_overlapped(labels, row, rows):
                continue
            category = AgentCategory(int(objects.category[row]))
            semantic = SEMANTIC_OF_CATEGORY[category]
            ego_from_agent = ego_from_world[:3, :3] @ objects.world_from_agent[row]
            reach_m = 0.5 * objects.size_lwh_m[row] + VOXEL_REACH_M
            is_near = _voxels_near(center_ego_m[idx], ego_from_agent, reach_m)
            if not _holds(semantics, is_near, semantic):
                yield Finding(
                    array="occupancy/semantics",
                    step=step,
                    box=int(objects.box[row]),
                    expected=f"a voxel of class {int(semantic)} ({semantic.name.lower()}) at the box",
                    found=f"classes {np.unique(semantics[is_near]).tolist()}",
                )


def check_voxels_of_agents(labels: SceneLabels) -> Iterator[Finding]:
    """On key frames, voxels that belong to an agent carry its class and lie at its box."""
    scene, objects = labels.scene, labels.objects
    if not scene.has_array("occupancy/instance"):
        return
    centers_ego_m = voxel_centers_ego_m()
    for step in labels.key_steps:
        instance = scene.array("occupancy/instance")[step]
        semantics = scene.array("occupancy/semantics")[step]
        row_of_track = {int(objects.track_id[row]): row for row in np.flatnonzero(objects.step == step).tolist()}
        agents = np.unique(instance[belongs_to_agent(instance)])
        for track_id in (agents.astype(np.int64) - 1).tolist():
            array, row = "occupancy/instance", row_of_track.get(track_id)
            if row is None:
                expected = "agents of the step"
                yield Finding(array=array, step=step, expected=expected, found=f"voxels of track {track_id}")
                continue
            box, is_own = int(objects.box[row]), instance == 1 + track_id
            semantic = SEMANTIC_OF_CATEGORY[AgentCategory(int(objects.category[row]))]
            found = np.setdiff1d(semantics[is_own], [int(semantic)])
            if len(found):
                expected = f"class {int(semantic)} in its voxels"
                yield Finding(array=array, step=step, box=box, expected=expected, found=f"classes {found.tolist()}")
            center_world_m = transform_points(scene.ego2global[step], centers_ego_m[is_own])
            beyond_m = (np.abs(objects.to_box(center_world_m, row)) - 0.5 * objects.size_lwh_m[row]).max()
            if beyond_m > VOXEL_REACH_M:
                expected = f"its voxels within {VOXEL_REACH_M:.2f} m of its box"
                yield Finding(array=array, step=step, box=box, expected=expected, found=f"one {beyond_m:.2f} m outside")


def check_free_voxels_belong_to_nothing(labels: SceneLabels) -> Iterator[Finding]:
    """On key frames, free voxels have no instance, and the ground none either."""
    scene = labels.scene
    if not scene.has_array("occupancy/instance"):
        return
    for step in labels.key_steps:
        semantics = scene.array("occupancy/semantics")[step]
        num_wrong = int(((semantics == Semantic.FREE) & (scene.array("occupancy/instance")[step] != 0)).sum())
        if num_wrong:
            found = f"{num_wrong} voxels with another"
            yield Finding(array="occupancy/instance", step=step, expected="instance 0 in free voxels", found=found)


def voxel_centers_ego_m() -> Float64[np.ndarray, "X Y Z 3"]:
    """Return the middle of every voxel of the occupancy view."""
    return _centers_ego_m(np.moveaxis(np.indices(OCC3D_GRID.shape), 0, -1))


def _centers_ego_m(index: Int64[np.ndarray, "*N 3"]) -> Float64[np.ndarray, "*N 3"]:
    return np.array(OCC3D_GRID.origin_m) + OCC3D_GRID.voxel_m * (index + 0.5)


def _is_well_inside(center_ego_m: Float64[np.ndarray, "N 3"]) -> Bool[np.ndarray, " N"]:
    low = np.array(OCC3D_GRID.origin_m)
    high = low + OCC3D_GRID.voxel_m * np.array(OCC3D_GRID.shape)
    return ((center_ego_m > low) & (center_ego_m < high)).all(axis=1)


def _is_overlapped(labels: SceneLabels, row: int, rows: np.ndarray) -> bool:
    """Return whether another box of the step may overlap a box: their circles around the centres do, from above."""
    objects = labels.objects
    radius_m = 0.5 * np.linalg.norm(objects.size_lwh_m[rows, :2], axis=1)
    away_m = np.linalg.norm(objects.center_world_m[rows, :2] - objects.center_world_m[row, :2], axis=1)
    own_radius_m = 0.5 * np.linalg.norm(objects.size_lwh_m[row, :2])
    return bool(((away_m < radius_m + own_radius_m) & (rows != row)).any())


def _voxels_near(
    center_ego_m: Float64[np.ndarray, "3"],
    ego_from_agent: Float64[np.ndarray, "3 3"],
    reach_m: Float64[np.ndarray, "3"],
) -> tuple[np.ndarray, ...]:
    """Return the indices of the voxels whose middle lies in a box of half extents `reach_m`."""
    radius = np.linalg.norm(reach_m)
    first = np.floor((center_ego_m - radius - OCC3D_GRID.origin_m) / OCC3D_GRID.voxel_m).astype(np.int64)
    last = np.ceil((center_ego_m + radius - OCC3D_GRID.origin_m) / OCC3D_GRID.voxel_m).astype(np.int64)
    first, last = np.maximum(first, 0), np.minimum(last, OCC3D_GRID.shape)
    index = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(first, last, strict=True)), indexing="ij"), axis=-1)
    index = index.reshape(-1, 3)
    in_box_m = (_centers_ego_m(index) - center_ego_m) @ ego_from_agent
    return tuple(index[(np.abs(in_box_m) <= reach_m).all(axis=1)].T)


def _holds(semantics: UInt8[np.ndarray, "X Y Z"], index: tuple[np.ndarray, ...], semantic: Semantic) -> bool:
    return bool((semantics[index] == semantic).any())
