"""Labels that a scene may be written without: a chunk's share of them as steps, rows and columns of the store."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenegen.dataset.columns import Column, pointers
from scenegen.dataset.schema import LIDAR_TIMES
from scenegen.dataset.step_buffer import StepArrays
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import OCC3D_GRID, AgentPixels, Layout, SceneChunk, SceneRecord, Sweep

Expected = dict[str, tuple[np.ndarray[Any, Any], tuple[int, ...], Any]]
Rows = dict[str, np.ndarray[Any, Any]]


def parts_of(chunk: SceneChunk) -> frozenset[str]:
    """Return the names of the optional labels that a chunk has."""
    names = {
        name for name in ("occupancy_instance", "agent_pixels", "lidar", "dense") if getattr(chunk, name) is not None
    }
    if chunk.lidar is not None and chunk.lidar.sweeps is not None:
        names.add("sweeps")
    return frozenset(names)


def expected_arrays(chunk: SceneChunk, record: SceneRecord) -> Expected:
    """Return the optional arrays of a chunk with the shapes and types that they must have."""
    width, height = record.rig.size_px
    steps, agents, views = len(chunk.occupancy), len(record.layout.agents), len(record.rig.cameras)
    grid, canvas = (steps, *OCC3D_GRID.shape), (views, steps, height, width)
    expected: Expected = {}
    if chunk.occupancy_instance is not None:
        expected["occupancy_instance"] = (chunk.occupancy_instance, grid, np.uint16)
    if (pixels := chunk.agent_pixels) is not None:
        expected["num_px"] = (pixels.num_px, (views, steps, agents), np.int32)
        expected["unoccluded_px"] = (pixels.unoccluded_px, (views, steps, agents), np.int32)
        expected["xyxy_px"] = (pixels.xyxy_px, (views, steps, agents, 4), np.int32)
    if (lidar := chunk.lidar) is not None:
        expected["num_points"] = (lidar.num_points, (steps, agents), np.int32)
        expected["mask_lidar"] = (lidar.mask, grid, np.uint8)
    if (dense := chunk.dense) is not None:
        expected["depth_mm"] = (dense.depth_mm, canvas, np.uint16)
        expected["semantic"] = (dense.semantic, canvas, np.uint8)
        expected["instance"] = (dense.instance, canvas, np.uint16)
        expected["optical_flow_px"] = (dense.optical_flow_px, (*canvas, 2), np.float16)
    return expected


def step_arrays(chunk: SceneChunk, record: SceneRecord) -> StepArrays:
    """Return the optional arrays that are stored step by step, by path."""
    arrays: StepArrays = {}
    if chunk.occupancy_instance is not None:
        arrays["occupancy/instance"] = chunk.occupancy_instance
    if chunk.lidar is not None:
        arrays["occupancy/mask_lidar"] = chunk.lidar.mask
    if (dense := chunk.dense) is not None:
        maps = {
            "depth": dense.depth_mm,
            "semantic": dense.semantic,
            "instance": dense.instance,
            "optical_flow": dense.optical_flow_px,
        }
        for view, camera in enumerate(record.rig.cameras):
            width, height = camera.size_px
            for name, values in maps.items():
                arrays[f"cameras/{camera.name}/{name}"] = values[view, :, :height, :width]
    return arrays


def object2d_rows(pixels: AgentPixels, record: SceneRecord, *, start_step: int) -> Rows:
    """Return the rows of `objects2d` of consecutive steps, by step, then camera, then agent; `count` per view.

    A row is an agent with a visible pixel in a camera.
    """
    layout, cameras = record.layout, record.rig.cameras
    num_px = np.swapaxes(pixels.num_px, 0, 1)
    step_idx, view_idx, agent_idx = np.nonzero(num_px)
    unoccluded_px = np.swapaxes(pixels.unoccluded_px, 0, 1)[step_idx, view_idx, agent_idx]
    visible_px = num_px[step_idx, view_idx, agent_idx]
    center_px = np.zeros((len(step_idx), 2))
    depth_m = np.zeros(len(step_idx))
    for step, view in np.unique(np.stack([step_idx, view_idx], axis=1), axis=0):
        rows = (step_idx == step) & (view_idx == view)
        cam_from_world = invert_rigid(layout.ego.world_from_ego[start_step + step] @ cameras[view].ego_from_cam)
        center_world_m = np.stack([layout.agents[a].center_world_m[start_step + step] for a in agent_idx[rows]])
        center_cam_m = transform_points(cam_from_world, center_world_m)
        center_px[rows], depth_m[rows] = project_points(center_cam_m, cameras[view]), center_cam_m[:, 2]
    return {
        "count": (num_px > 0).sum(axis=2).reshape(-1).astype(np.int64),
        "box": _box_of_agent(layout, start_step, len(num_px))[step_idx, agent_idx],
        "xyxy": np.swapaxes(pixels.xyxy_px, 0, 1)[step_idx, view_idx, agent_idx].astype(np.float32),
        "center": center_px.astype(np.float32),
        "depth": depth_m.astype(np.float32),
        "visible_fraction": (visible_px / np.maximum(unoccluded_px, 1)).astype(np.float32),
        "num_px": visible_px.astype(np.int32),
    }


def object2d_columns(parts: list[Rows]) -> list[Column]:
    """Join the rows of all chunks."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    counts = joined.pop("count")
    return [
        Column("objects2d/ptr", pointers(counts)),
        *(Column(f"objects2d/{name}", values) for name, values in joined.items()),
    ]


def sweep_rows(sweep: Sweep) -> Rows:
    """Return the points of a sweep by path."""
    times = {} if sweep.time_offset_us is None else {LIDAR_TIMES: sweep.time_offset_us}
    return {
        "lidar/points": sweep.points_lidar_m,
        "lidar/intensity": sweep.intensity,
        "lidar/ring": sweep.ring,
        "lidar/instance": sweep.instance,
        **times,
    }


NO_POINTS = sweep_rows(
    Sweep(
        points_lidar_m=np.zeros((0, 3), np.float32),
        intensity=np.zeros(0, np.float32),
        ring=np.zeros(0, np.uint8),
        instance=np.zeros(0, np.uint16),
    )
)


def _box_of_agent(layout: Layout, start_step: int, num_steps: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the index that each agent's box has among the boxes of each step."""
    steps = slice(start_step, start_step + num_steps)
    valid = np.array([agent.valid[steps] for agent in layout.agents], np.bool_).reshape(-1, num_steps).T
    indices: np.ndarray[Any, np.dtype[np.int64]] = np.cumsum(valid, axis=1) - 1
    return indices
