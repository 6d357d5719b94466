"""Label sanity: one check per function, each of which yields what cannot be right about one scene.

Checks run in three stages: `FRAME_CHECKS` (time, poses, pointers), `SHAPE_CHECKS` (single boxes and cameras) and
`LABEL_CHECKS`. A stage runs when the one before found nothing: with broken pointers no row belongs anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from scenegen.dataset.label_checks.finding import Check, Finding, SceneLabels
from scenegen.dataset.label_checks.images import (
    check_boxes2d,
    check_boxes2d_bound_instances,
    check_boxes2d_fill_projections,
    check_boxes2d_within_projections,
    check_centers_reproject,
    check_object2d_pointers,
    check_seen_boxes_project_into_images,
    check_visible_means_seen_by_a_camera,
)
from scenegen.dataset.label_checks.objects import (
    check_box_geometry,
    check_labels_of_boxes,
    check_map_pointers,
    check_object_pointers,
    check_tracks_keep_what_they_are,
    check_velocities,
    check_visibility,
)
from scenegen.dataset.label_checks.poses import (
    check_can_bus,
    check_ego_poses,
    check_intrinsics,
    check_key_frames,
    check_sensor_poses,
    check_timestamps,
)
from scenegen.dataset.label_checks.sweeps import (
    check_points_in_boxes,
    check_seen_boxes_have_points,
    check_sweep_pointers,
    check_sweep_values,
)
from scenegen.dataset.label_checks.voxels import (
    check_free_voxels_belong_to_nothing,
    check_voxels_at_boxes,
    check_voxels_of_agents,
)
from scenegen.dataset.stored_scene import Scene

FRAME_CHECKS: tuple[Check, ...] = (
    check_timestamps,
    check_key_frames,
    check_ego_poses,
    check_sensor_poses,
    check_map_pointers,
    check_object_pointers,
    check_object2d_pointers,
    check_sweep_pointers,
)
SHAPE_CHECKS: tuple[Check, ...] = (check_box_geometry, check_labels_of_boxes, check_intrinsics)
LABEL_CHECKS: tuple[Check, ...] = (
    check_can_bus,
    check_tracks_keep_what_they_are,
    check_velocities,
    check_visibility,
    check_seen_boxes_project_into_images,
    check_boxes2d,
    check_centers_reproject,
    check_boxes2d_within_projections,
    check_boxes2d_fill_projections,
    check_visible_means_seen_by_a_camera,
    check_boxes2d_bound_instances,
    check_seen_boxes_have_points,
    check_sweep_values,
    check_points_in_boxes,
    check_voxels_at_boxes,
    check_voxels_of_agents,
    check_free_voxels_belong_to_nothing,
)
MAX_FINDINGS_PER_CHECK = 10


def check_labels(scene: Scene) -> Iterator[str]:
    """Run the checks stage by stage; at most ten findings of a check are listed.

    Raises:
        DatasetError: an array cannot be read.
    """
    labels = SceneLabels(scene)
    for stage in (FRAME_CHECKS, SHAPE_CHECKS, LABEL_CHECKS):
        is_sound = True
        for check in stage:
            findings = list(itertools.islice(check(labels), MAX_FINDINGS_PER_CHECK + 1))
            yield from map(str, findings[:MAX_FINDINGS_PER_CHECK])
            if len(findings) > MAX_FINDINGS_PER_CHECK:
                yield f"{findings[-1].array}: and more of this kind ({check.__name__})"
            is_sound = is_sound and not findings
        if not is_sound:
            return


__all__ = ["FRAME_CHECKS", "LABEL_CHECKS", "SHAPE_CHECKS", "Check", "Finding", "SceneLabels", "check_labels"]
