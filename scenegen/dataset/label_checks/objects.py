"""Checks of the boxes: pointers, geometry, tracks, motion, visibility."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float64, Int64

from scenegen.dataset.columns import visibility_level
from scenegen.dataset.label_checks.finding import Finding, ObjectRows, SceneLabels
from scenegen.dataset.label_checks.poses import describe

UNIT_TOLERANCE = 1e-6
WINDOW_S = 0.5
MAX_ACCELERATION_MPS2 = 20.0
"""Twice the hardest braking on a road."""
SHORTEST_INTERVAL_S = 0.1
"""Recorded tracks come at 10 Hz or less: between two of their stamps a higher rate knows nothing more."""
JITTER_SHARE = 0.1
"""Of the way: what annotators' boxes jitter by."""
OBJECT_COLUMNS = (
    "center", "size_lwh", "rotation_wxyz", "velocity", "track_id", "category", "attribute", "visibility",
    "visible_fraction", "visible_height", "found_share", "num_lidar_pts",
)  # fmt: skip


def check_object_pointers(labels: SceneLabels) -> Iterator[Finding]:
    """`frame_ptr` divides the boxes among the steps, and all columns have a row per box."""
    scene = labels.scene
    num_boxes = len(scene.array("objects/track_id"))
    yield from pointer_findings("objects/frame_ptr", labels.frame_ptr, num_parts=scene.num_steps, num_rows=num_boxes)
    for name in OBJECT_COLUMNS:
        path = f"objects/{name}"
        if scene.has_array(path) and len(scene.array(path)) != num_boxes:
            yield Finding(array=path, expected=f"{num_boxes} rows", found=f"{len(scene.array(path))}")


def check_map_pointers(labels: SceneLabels) -> Iterator[Finding]:
    """The pointers of lanes, lines and areas divide their points, which are finite."""
    scene = labels.scene
    rows_of_path = {
        "map/lanes/ptr": "map/lanes/points",
        "map/lane_lines/ptr": "map/lane_lines/points",
        "map/areas/ring_ptr": "map/areas/points",
    }
    for path, points_path in rows_of_path.items():
        pointers, points = scene.array(path)[:], scene.array(points_path)[:]
        yield from pointer_findings(path, pointers, num_parts=len(pointers) - 1, num_rows=len(points))
        if not np.isfinite(points).all():
            yield Finding(array=points_path, expected="finite points", found="others")
    num_rings = len(scene.array("map/areas/ring_ptr")) - 1
    num_areas = len(scene.array("map/areas/kind"))
    areas = scene.array("map/areas/ptr")[:]
    yield from pointer_findings("map/areas/ptr", areas, num_parts=num_areas, num_rows=num_rings)


def check_box_geometry(labels: SceneLabels) -> Iterator[Finding]:
    """Boxes are finite, have a size, and their rotations are unit quaternions."""
    objects = labels.objects
    columns = (
        ("objects/center", objects.center_world_m, np.isfinite(objects.center_world_m).all(axis=1), "finite metres"),
        ("objects/size_lwh", objects.size_lwh_m, _is_size(objects.size_lwh_m), "positive finite metres"),
        ("objects/rotation_wxyz", objects.rotation_wxyz, _is_unit(objects.rotation_wxyz), "a unit quaternion"),
        ("objects/velocity", objects.velocity_world_mps, np.isfinite(objects.velocity_world_mps).all(axis=1), "finite"),
    )
    for array, values, is_right, expected in columns:
        for row in np.flatnonzero(~is_right).tolist():
            yield _finding_of(objects, row, array=array, expected=expected, found=describe(values[row]))


def check_labels_of_boxes(labels: SceneLabels) -> Iterator[Finding]:
    """Codes of tracks, categories and attributes have names, and a track has one box per step."""
    objects, scene = labels.objects, labels.scene
    known = (
        ("track_id", objects.track_id, len(scene.array("objects/track_id").attrs["agent_ids"])),
        ("category", objects.category, len(scene.attrs["taxonomy"]["categories"])),
        ("attribute", objects.attribute, len(scene.array("objects/attribute").attrs["labels"])),
    )
    for name, codes, num_names in known:
        for row in np.flatnonzero((codes < 0) | (codes >= num_names)).tolist():
            expected = f"a code of {num_names} names"
            yield _finding_of(objects, row, array=f"objects/{name}", expected=expected, found=str(codes[row]))
    for row in _repeated(objects).tolist():
        found = f"track {objects.track_id[row]} twice"
        yield _finding_of(objects, row, array="objects/track_id", expected="one box per track and step", found=found)


def check_tracks_keep_what_they_are(labels: SceneLabels) -> Iterator[Finding]:
    """All boxes of a track have the same category and size."""
    objects = labels.objects
    _, first, of_track = np.unique(objects.track_id, return_index=True, return_inverse=True)
    first_row = first[of_track]
    changed = objects.category != objects.category[first_row]
    for row in np.flatnonzero(changed).tolist():
        expected = f"category {objects.category[first_row[row]]} of track {objects.track_id[row]}"
        found = str(objects.category[row])
        yield _finding_of(objects, row, array="objects/category", expected=expected, found=found)
    resized = (objects.size_lwh_m != objects.size_lwh_m[first_row]).any(axis=1)
    for row in np.flatnonzero(resized).tolist():
        expected = f"{describe(objects.size_lwh_m[first_row[row]])} m of track {objects.track_id[row]}"
        found = f"{describe(objects.size_lwh_m[row])} m"
        yield _finding_of(objects, row, array="objects/size_lwh", expected=expected, found=found)


def check_velocities(labels: SceneLabels) -> Iterator[Finding]:
    """Tracks move as their velocities say, over windows of `WINDOW_S`.

    The way of a centre over T seconds differs from the integral of its velocity (trapezoids of t seconds) by at most
    `a t T / 4` for every motion with an acceleration up to a = `MAX_ACCELERATION_MPS2`: at 12 Hz by 0.25 m. A tenth
    of the way comes on top, for recorded boxes, whose motion is not that of bodies.
    """
    objects, time_s = labels.objects, 1e-6 * labels.scene.timestamps_us
    step_s = max(1.0 / labels.scene.rate_hz, SHORTEST_INTERVAL_S)
    velocity = objects.velocity_world_mps
    for first, last, said_m in track_windows(objects, time_s):
        moved_m = (objects.center_world_m[last] - objects.center_world_m[first])[:, :2]
        window_s = np.maximum(time_s[objects.step[last]] - time_s[objects.step[first]], WINDOW_S)
        way_m = np.linalg.norm(moved_m, axis=1)
        bound_m = 0.25 * MAX_ACCELERATION_MPS2 * step_s * window_s + JITTER_SHARE * way_m
        away_m = np.linalg.norm(moved_m - said_m, axis=1)
        for window in np.flatnonzero(~(away_m <= bound_m)).tolist():
            row = int(last[window])
            since = int(objects.step[first[window]])
            expected = f"a way of {describe(said_m[window])} m since step {since}, within {bound_m[window]:.2f} m"
            found = f"{describe(moved_m[window])} m; its velocity here is {describe(velocity[row])} m/s"
            yield _finding_of(objects, row, array="objects/velocity", expected=expected, found=found)


def check_visibility(labels: SceneLabels) -> Iterator[Finding]:
    """Visible fractions are shares, and levels follow from them."""
    objects = labels.objects
    fraction = objects.visible_fraction
    is_share = (fraction >= 0.0) & (fraction <= 1.0)
    for row in np.flatnonzero(~is_share).tolist():
        array = "objects/visible_fraction"
        yield _finding_of(objects, row, array=array, expected="a share of 0 to 1", found=str(fraction[row]))
    expected_level = visibility_level(fraction)
    for row in np.flatnonzero(is_share & (objects.visibility != expected_level)).tolist():
        expected = f"level {expected_level[row]} of visible fraction {fraction[row]:.3f}"
        found = str(objects.visibility[row])
        yield _finding_of(objects, row, array="objects/visibility", expected=expected, found=found)


def pointer_findings(
    array: str, pointers: Int64[np.ndarray, " N1"], *, num_parts: int, num_rows: int
) -> Iterator[Finding]:
    """Yield what is wrong with pointers that divide `num_rows` rows into `num_parts` parts."""
    if len(pointers) != num_parts + 1:
        yield Finding(array=array, expected=f"{num_parts + 1} pointers", found=f"{len(pointers)}")
        return
    if pointers[0] != 0 or pointers[-1] != num_rows:
        yield Finding(array=array, expected=f"0 to {num_rows}", found=f"{pointers[0]} to {pointers[-1]}")
    for part in np.flatnonzero(np.diff(pointers) < 0).tolist():
        found = f"{pointers[part]}, then {pointers[part + 1]}, at row {part}"
        yield Finding(array=array, expected="pointers that never fall", found=found)


def track_windows(
    objects: ObjectRows, time_s: Float64[np.ndarray, " T"]
) -> Iterator[tuple[Int64[np.ndarray, " W"], Int64[np.ndarray, " W"], Float64[np.ndarray, "W 2"]]]:
    """Yield (first rows, last rows, integral of the velocity in metres) of every unbroken run of a track.

    Windows last `WINDOW_S`, or the whole run where that is shorter.
    """
    order = np.lexsort((objects.step, objects.track_id))
    track, step = objects.track_id[order], objects.step[order]
    breaks = np.flatnonzero((np.diff(track) != 0) | (np.diff(step) != 1)) + 1
    for rows in np.split(order, breaks):
        at_s = time_s[objects.step[rows]]
        if len(rows) < 2:
            continue
        velocity = objects.velocity_world_mps[rows]
        parts_m = 0.5 * (velocity[1:] + velocity[:-1]) * np.diff(at_s)[:, None]
        said_m = np.concatenate([np.zeros((1, 2)), np.cumsum(parts_m, axis=0)])
        length = min(len(rows) - 1, max(1, int(np.searchsorted(at_s, at_s[0] + WINDOW_S - 1e-3))))
        yield rows[:-length], rows[length:], said_m[length:] - said_m[:-length]


def _repeated(objects: ObjectRows) -> Int64[np.ndarray, " R"]:
    """Return the rows whose track has another row before them in the same step."""
    order = np.lexsort((objects.track_id, objects.step))
    step, track = objects.step[order], objects.track_id[order]
    return order[1:][(step[1:] == step[:-1]) & (track[1:] == track[:-1])]


def _is_size(size_lwh_m: Float64[np.ndarray, "N 3"]) -> Bool[np.ndarray, " N"]:
    return (np.isfinite(size_lwh_m) & (size_lwh_m > 0.0)).all(axis=1)


def _is_unit(wxyz: Float64[np.ndarray, "N 4"]) -> Bool[np.ndarray, " N"]:
    return np.abs(np.linalg.norm(wxyz, axis=1) - 1.0) <= UNIT_TOLERANCE


def _finding_of(objects: ObjectRows, row: int, *, array: str, expected: str, found: str) -> Finding:
    step, box = int(objects.step[row]), int(objects.box[row])
    return Finding(array=array, step=step, box=box, expected=expected, found=found)
