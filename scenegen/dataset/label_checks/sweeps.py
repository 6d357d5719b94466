"""Checks of the simulated LiDAR: point counts of boxes, and the stored sweeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scenegen.dataset.label_checks.finding import Finding, SceneLabels, unknown_agents
from scenegen.dataset.label_checks.objects import pointer_findings
from scenegen.dataset.schema import LIDAR_TIMES
from scenegen.geometry.rigid import transform_points

INSIDE_MARGIN_M = 1e-3
"""Points of agents lie at least 2 mm inside their boxes, and all others at least 5 mm outside."""


def check_seen_boxes_have_points(labels: SceneLabels) -> Iterator[Finding]:
    """A box that a camera sees has at least one LiDAR point, and no box a negative number; real boxes may have none."""
    scene, objects = labels.scene, labels.objects
    if not scene.has_array("objects/num_lidar_pts"):
        return
    num_points = scene.array("objects/num_lidar_pts")[:]
    least = ((objects.visible_fraction > 0.0) & scene.is_synthetic).astype(np.int64)
    for row in np.flatnonzero(num_points < least).tolist():
        yield Finding(
            array="objects/num_lidar_pts",
            step=int(objects.step[row]),
            box=int(objects.box[row]),
            expected=f"at least {least[row]}, for a visible fraction of {objects.visible_fraction[row]:.3f}",
            found=str(num_points[row]),
        )


def check_sweep_pointers(labels: SceneLabels) -> Iterator[Finding]:
    """`lidar/ptr` divides the points among the steps, and all columns have a row per point."""
    scene = labels.scene
    if not scene.has_array("lidar/ptr"):
        return
    num_points = len(scene.array("lidar/points"))
    pointers = scene.array("lidar/ptr")[:]
    yield from pointer_findings("lidar/ptr", pointers, num_parts=scene.num_steps, num_rows=num_points)
    for name in ("intensity", "ring", "instance", *(("time_offset_us",) if scene.has_array(LIDAR_TIMES) else ())):
        if len(scene.array(f"lidar/{name}")) != num_points:
            found = f"{len(scene.array(f'lidar/{name}'))}"
            yield Finding(array=f"lidar/{name}", expected=f"{num_points} rows", found=found)


def check_sweep_values(labels: SceneLabels) -> Iterator[Finding]:
    """Points are finite, intensities shares, and instances static or agents of the step."""
    scene = labels.scene
    if not scene.has_array("lidar/ptr"):
        return
    pointers = scene.array("lidar/ptr")[:]
    points, intensity = scene.array("lidar/points")[:], scene.array("lidar/intensity")[:]
    instance = scene.array("lidar/instance")[:]
    for step in np.flatnonzero(np.diff(pointers)).tolist():
        part = slice(pointers[step], pointers[step + 1])
        if not np.isfinite(points[part]).all():
            yield Finding(array="lidar/points", step=step, expected="finite metres", found="others")
        if not ((intensity[part] >= 0.0) & (intensity[part] <= 1.0)).all():
            yield Finding(array="lidar/intensity", step=step, expected="0 to 1", found="values beyond")
        yield from unknown_agents(labels, instance[part], array="lidar/instance", step=step)


def check_points_in_boxes(labels: SceneLabels) -> Iterator[Finding]:
    """The points of a stored sweep inside each box are as many as `num_lidar_pts`, and an agent's own are inside.

    Not asked of real logs: their counts are the source's, of boxes with roll and pitch, often over several sweeps. What
    a rolling sensor met before the step may trail behind its moving agent: only its count is checked.
    """
    scene, objects = labels.scene, labels.objects
    if not (scene.is_synthetic and scene.has_array("lidar/ptr") and scene.has_array("objects/num_lidar_pts")):
        return
    pointers, points_lidar_m = scene.array("lidar/ptr")[:], scene.array("lidar/points")[:].astype(np.float64)
    instance, num_points = scene.array("lidar/instance")[:], scene.array("objects/num_lidar_pts")[:]
    is_late = scene.array(LIDAR_TIMES)[:] < 0 if scene.has_array(LIDAR_TIMES) else np.zeros(len(instance), np.bool_)
    for step in labels.key_steps:
        part = slice(pointers[step], pointers[step + 1])
        points_world_m = transform_points(scene.ego2global[step] @ scene.lidar2ego, points_lidar_m[part])
        for row in np.flatnonzero(objects.step == step).tolist():
            in_box_m = objects.to_box(points_world_m, row)
            is_inside = (np.abs(in_box_m) <= 0.5 * objects.size_lwh_m[row] + INSIDE_MARGIN_M).all(axis=1)
            box, track_id = int(objects.box[row]), int(objects.track_id[row])
            if int(is_inside.sum()) != num_points[row]:
                expected = f"{is_inside.sum()}, the points of the sweep inside the box"
                array, found = "objects/num_lidar_pts", str(num_points[row])
                yield Finding(array=array, step=step, box=box, expected=expected, found=found)
            num_outside = int((~is_inside & (instance[part] == 1 + track_id) & ~is_late[part]).sum())
            if num_outside:
                expected = "all points of the agent inside its box"
                found = f"{num_outside} outside"
                yield Finding(array="lidar/instance", step=step, box=box, expected=expected, found=found)
