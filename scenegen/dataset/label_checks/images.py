"""Checks of what cameras see: boxes project into images, 2-D boxes agree with 3-D boxes and with instance maps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.label_checks.finding import Finding, Object2dRows, SceneLabels, unknown_agents
from scenegen.dataset.label_checks.objects import pointer_findings
from scenegen.dataset.label_checks.poses import describe
from scenegen.dataset.label_checks.projection import (
    axis_overlap,
    corners_world_m,
    points_inside,
    projected_bounds,
)
from scenegen.dataset.wireframe import project_edges
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import AgentCategory, Camera

IN_IMAGE_MARGIN_PX = 3.0
RIM_MARGIN_RAD = 0.1
CENTER_TOLERANCE_PX, DEPTH_TOLERANCE_M, FLOAT32_SHARE = 0.01, 1e-3, 1e-6
MIN_VISIBLE_PX = 50
MIN_WITHIN_SHARE = 0.99
WHOLE_FRACTION, MIN_OVERLAP = 0.9, 0.6
CYCLES = (AgentCategory.MOTORCYCLE, AgentCategory.BICYCLE)
FULL_WIDTH = (AgentCategory.CAR, AgentCategory.TRUCK, AgentCategory.BUS)
WITHIN_MARGIN_PX, WITHIN_MARGIN_SHARE = 1.0, 0.02
"""A pixel is the agent's by its middle, so that its edges lie up to half a pixel outside the agent's outline; the
share of the box's own extent is for lenses that bend its edges between the points that are projected."""


def check_seen_boxes_project_into_images(labels: SceneLabels) -> Iterator[Finding]:
    """On the key frames, what is said to be seen lies in the image of a camera."""
    scene, objects = labels.scene, labels.objects
    cameras = scene.rig.cameras
    is_seen = (objects.visible_fraction > 0.0) & scene.is_key_frame[objects.step]
    for row in np.flatnonzero(is_seen).tolist():
        step = int(objects.step[row])
        corners_m = corners_world_m(labels, row)
        if not any(_is_in_image(corners_m, camera, scene.ego2global[step]) for camera in cameras):
            yield Finding(
                array="objects/visible_fraction",
                step=step,
                box=int(objects.box[row]),
                expected="0 for a box that projects into no camera",
                found=f"{objects.visible_fraction[row]:.3f}",
            )


def check_object2d_pointers(labels: SceneLabels) -> Iterator[Finding]:
    """`objects2d/ptr` divides the 2-D boxes among steps and cameras, and each names a box of its step."""
    scene = labels.scene
    if not labels.has_objects2d:
        return
    pointers, box = scene.array("objects2d/ptr")[:], scene.array("objects2d/box")[:]
    num_views = scene.num_steps * len(scene.cameras)
    broken = list(pointer_findings("objects2d/ptr", pointers, num_parts=num_views, num_rows=len(box)))
    yield from broken
    if broken:
        return
    step = np.repeat(np.arange(num_views), np.diff(pointers)) // len(scene.cameras)
    num_boxes = np.diff(labels.frame_ptr)[step]
    for row in np.flatnonzero((box < 0) | (box >= num_boxes)).tolist():
        expected = f"one of {num_boxes[row]} boxes"
        yield Finding(array="objects2d/box", step=int(step[row]), expected=expected, found=str(box[row]))


def check_boxes2d(labels: SceneLabels) -> Iterator[Finding]:
    """2-D boxes lie inside their images, have pixels, and hold them."""
    if not labels.has_objects2d:
        return
    rows = labels.objects2d
    size_px = np.array([camera.size_px for camera in labels.scene.rig.cameras])[rows.view]
    low, high = rows.seen.xyxy_px[:, :2], rows.seen.xyxy_px[:, 2:]
    is_inside = (low >= 0.0).all(axis=1) & (high <= size_px).all(axis=1) & (low < high).all(axis=1)
    for row in np.flatnonzero(~is_inside).tolist():
        expected = f"a box inside {size_px[row][0]} x {size_px[row][1]} px"
        found = describe(rows.seen.xyxy_px[row])
        yield _finding_of(labels, rows, row, array="objects2d/xyxy", expected=expected, found=found)
    area_px = (high - low).prod(axis=1)
    for row in np.flatnonzero(is_inside & ((rows.seen.num_px < 1) | (rows.seen.num_px > area_px))).tolist():
        expected = f"1 to {area_px[row]:.0f} pixels, the area of its box"
        found = str(rows.seen.num_px[row])
        yield _finding_of(labels, rows, row, array="objects2d/num_px", expected=expected, found=found)
    for row in np.flatnonzero(~((rows.seen.visible_fraction > 0.0) & (rows.seen.visible_fraction <= 1.0))).tolist():
        found = str(rows.seen.visible_fraction[row])
        array = "objects2d/visible_fraction"
        yield _finding_of(labels, rows, row, array=array, expected="a share above 0, up to 1", found=found)


def check_centers_reproject(labels: SceneLabels) -> Iterator[Finding]:
    """Centres and depths of 2-D boxes are those of the 3-D boxes, projected; tolerances plus what float32 rounds."""
    if not labels.has_objects2d:
        return
    scene, rows = labels.scene, labels.objects2d
    for view, camera in enumerate(scene.rig.cameras):
        of_view = np.flatnonzero(rows.view == view)
        cam_from_world = invert_rigid(scene.ego2global @ camera.ego_from_cam)[rows.step[of_view]]
        center_world_m = labels.objects.center_world_m[rows.row[of_view]]
        center_cam_m = np.einsum("nij,nj->ni", cam_from_world[:, :3, :3], center_world_m) + cam_from_world[:, :3, 3]
        expected_px = project_points(center_cam_m, camera)
        found_px = rows.seen.center_px[of_view].astype(np.float64)
        tolerance_px = CENTER_TOLERANCE_PX + FLOAT32_SHARE * np.abs(expected_px)
        is_close = np.abs(found_px - expected_px) <= tolerance_px
        is_nowhere = np.isnan(expected_px) & np.isnan(found_px)
        for idx in np.flatnonzero(~(is_close | is_nowhere).all(axis=1)).tolist():
            expected, found = f"({describe(expected_px[idx])}) px", f"({describe(found_px[idx])}) px"
            row = int(of_view[idx])
            yield _finding_of(labels, rows, row, array="objects2d/center", expected=expected, found=found)
        depth_m, found_m = center_cam_m[:, 2], rows.seen.depth_m[of_view]
        is_off = ~(np.abs(found_m - depth_m) <= DEPTH_TOLERANCE_M + FLOAT32_SHARE * np.abs(depth_m))
        for idx in np.flatnonzero(is_off).tolist():
            expected, found = f"{depth_m[idx]:.4f} m", f"{found_m[idx]:.4f} m"
            row = int(of_view[idx])
            yield _finding_of(labels, rows, row, array="objects2d/depth", expected=expected, found=found)


def check_boxes2d_within_projections(labels: SceneLabels) -> Iterator[Finding]:
    """At least 99 % of the 2-D boxes of `MIN_VISIBLE_PX` and more lie within the bounds of their projected 3-D boxes.

    Boxes that reach beyond the field of view of a bent lens have no such bounds, and are left out.
    """
    if not labels.has_objects2d:
        return
    rows, scene = labels.objects2d, labels.scene
    outside: list[tuple[int, str]] = []
    num_compared = 0
    for row in np.flatnonzero(rows.seen.num_px >= MIN_VISIBLE_PX).tolist():
        camera = scene.rig.cameras[rows.view[row]]
        corners_m = corners_world_m(labels, int(rows.row[row]))
        bounds_px = projected_bounds(corners_m, camera, scene.ego2global[rows.step[row]])
        if bounds_px is None:
            continue
        num_compared += 1
        extent_px = bounds_px[2:] - bounds_px[:2]
        margin_px = WITHIN_MARGIN_PX + (0.0 if camera.lens.model == "pinhole" else WITHIN_MARGIN_SHARE) * extent_px
        low, high = bounds_px[:2] - margin_px, bounds_px[2:] + margin_px
        if (rows.seen.xyxy_px[row, :2] < low).any() or (rows.seen.xyxy_px[row, 2:] > high).any():
            outside.append((row, f"within {describe(bounds_px)} px, its projected box"))
    yield from _too_many(labels, rows, outside, num_compared)


def check_boxes2d_fill_projections(labels: SceneLabels) -> Iterator[Finding]:
    """At least 99 % of the 2-D boxes that show an agent whole reach over most of its projected 3-D box.

    Whole: `MIN_VISIBLE_PX` and more, `WHOLE_FRACTION` of the agent's own pixels, and a projection inside the picture.
    Bodies stand as tall as their boxes, so that heights must agree, but for cycles, whose boxes have room for a rider;
    widths must where bodies are as long and wide, too (`FULL_WIDTH`). A cuboid is looser than what stands in it, and a
    pedestrian fills half of its box's length: no more can be asked of the area.
    """
    if not labels.has_objects2d:
        return
    rows, scene = labels.objects2d, labels.scene
    is_tall = ~np.isin(labels.objects.category[rows.row], CYCLES)
    is_large = (rows.seen.num_px >= MIN_VISIBLE_PX) & (rows.seen.visible_fraction >= WHOLE_FRACTION)
    apart: list[tuple[int, str]] = []
    num_compared = 0
    for row in np.flatnonzero(is_large & is_tall).tolist():
        camera, agent = scene.rig.cameras[rows.view[row]], int(rows.row[row])
        bounds_px = projected_bounds(corners_world_m(labels, agent), camera, scene.ego2global[rows.step[row]])
        if bounds_px is None or (bounds_px[:2] < 0.0).any() or (bounds_px[2:] > camera.size_px).any():
            continue
        num_compared += 1
        width_overlap, height_overlap = axis_overlap(bounds_px, rows.seen.xyxy_px[row].astype(np.float64))
        is_full_width = labels.objects.category[agent] in FULL_WIDTH
        overlap = min(width_overlap, height_overlap) if is_full_width else height_overlap
        if overlap < MIN_OVERLAP:
            apart.append((row, f"most of {describe(bounds_px)} px, its projected box"))
    yield from _too_many(labels, rows, apart, num_compared)


def check_visible_means_seen_by_a_camera(labels: SceneLabels) -> Iterator[Finding]:
    """A box has a visible fraction exactly where some camera has a 2-D box of it, once at most."""
    if not labels.has_objects2d:
        return
    objects, rows = labels.objects, labels.objects2d
    is_listed = np.zeros(len(objects), np.bool_)
    is_listed[rows.row] = True
    for row in np.flatnonzero(is_listed != (objects.visible_fraction > 0.0)).tolist():
        yield Finding(
            array="objects2d/box",
            step=int(objects.step[row]),
            box=int(objects.box[row]),
            expected=f"{'a' if objects.visible_fraction[row] > 0.0 else 'no'} camera that lists the box, whose "
            f"visible fraction is {objects.visible_fraction[row]:.3f}",
            found="one" if is_listed[row] else "none",
        )
    of_camera = rows.row * len(labels.scene.cameras) + rows.view
    _, first = np.unique(of_camera, return_index=True)
    for row in np.setdiff1d(np.arange(len(rows)), first).tolist():
        yield _finding_of(labels, rows, row, array="objects2d/box", expected="once per camera", found="again")


def check_boxes2d_bound_instances(labels: SceneLabels) -> Iterator[Finding]:
    """Where instance maps are stored, on key frames: 2-D boxes are tight around their pixels, and count them."""
    scene = labels.scene
    for view, camera in enumerate(scene.cameras):
        path = f"cameras/{camera}/instance"
        if not scene.has_array(path):
            continue
        for step in labels.key_steps:
            instance = scene.array(path)[step]
            yield from unknown_agents(labels, instance, array=path, step=step, camera=camera)
            if not labels.has_objects2d:
                continue
            rows = labels.objects2d
            for row in np.flatnonzero((rows.step == step) & (rows.view == view)).tolist():
                is_own = instance == 1 + labels.objects.track_id[rows.row[row]]
                if int(is_own.sum()) != rows.seen.num_px[row]:
                    expected, found = f"{is_own.sum()} pixels, as in {path}", str(rows.seen.num_px[row])
                    yield _finding_of(labels, rows, row, array="objects2d/num_px", expected=expected, found=found)
                    continue
                v, u = np.nonzero(is_own)
                bounds_px = np.array([u.min(), v.min(), u.max() + 1, v.max() + 1])
                if (rows.seen.xyxy_px[row] != bounds_px).any():
                    expected, found = f"{describe(bounds_px)} px, as in {path}", describe(rows.seen.xyxy_px[row])
                    yield _finding_of(labels, rows, row, array="objects2d/xyxy", expected=expected, found=found)


def _is_in_image(
    corners_m: Float64[np.ndarray, "8 3"], camera: Camera, world_from_ego: Float64[np.ndarray, "4 4"]
) -> bool:
    if camera.lens.model == "pinhole":
        points_px = project_edges(corners_m, camera, world_from_ego=world_from_ego)[0].reshape(-1, 2)
        if not len(points_px):
            return False
    else:
        points_cam_m = transform_points(invert_rigid(world_from_ego @ camera.ego_from_cam), points_inside(corners_m))
        points_px = project_points(points_cam_m, camera)
        points_px = points_px[np.isfinite(points_px).all(axis=1)]
        if not len(points_px):
            angle_rad = np.arctan2(np.linalg.norm(points_cam_m[:, :2], axis=1), points_cam_m[:, 2])
            return bool(angle_rad.min() < camera.lens.max_angle_rad + RIM_MARGIN_RAD)
    low, high = points_px.min(axis=0), points_px.max(axis=0)
    margin_px = IN_IMAGE_MARGIN_PX
    return bool((high > -margin_px).all() and (low < np.add(camera.size_px, margin_px)).all())


def _too_many(
    labels: SceneLabels, rows: Object2dRows, broken: list[tuple[int, str]], num_compared: int
) -> Iterator[Finding]:
    """Yield the broken rows, with what was expected of each, where they are more than one in a hundred."""
    if len(broken) <= (1.0 - MIN_WITHIN_SHARE) * num_compared:
        return
    for row, bounds in broken:
        expected = f"{bounds} ({len(broken)} of {num_compared} are not)"
        found = describe(rows.seen.xyxy_px[row])
        yield _finding_of(labels, rows, row, array="objects2d/xyxy", expected=expected, found=found)


def _finding_of(labels: SceneLabels, rows: Object2dRows, row: int, *, array: str, expected: str, found: str) -> Finding:
    return Finding(
        array=array,
        step=int(rows.step[row]),
        camera=labels.scene.cameras[rows.view[row]],
        box=int(rows.seen.box[row]),
        expected=expected,
        found=found,
    )
