"""Do cameras agree where they see the same thing at the same moment?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, UInt8

from scenegen.checks.surfaces import (
    Pixels,
    Places,
    keep_places,
    pixel_colors,
    place_points,
    same_surface,
    sample_places,
)
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import CameraRig, ConditionMaps, Material


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Pixels of some views and the places in other views that show the same surface."""

    here: Pixels
    there: Places


def find_overlap(maps: ConditionMaps, *, step: int, rig: CameraRig, is_seen: Bool[np.ndarray, "V H W"]) -> Overlap:
    """Project every surface point into all later views of the same step, and keep what is seen there too."""
    here: list[Pixels] = []
    there: list[Places] = []
    num_views = len(rig.cameras)
    cam_from_world = invert_rigid(maps.world_from_cam[:, step])
    for view in range(num_views - 1):
        row, column = np.nonzero(is_seen[view] & (maps.material[view, step] != Material.SKY))
        points_world_m = maps.point_world_m[view, step, row, column].astype(np.float64)
        for other in range(view + 1, num_views):
            points_cam_m = transform_points(cam_from_world[other], points_world_m)
            uv_px = project_points(points_cam_m, rig.cameras[other]).astype(np.float32)
            width, height = rig.cameras[other].size_px
            inside = np.nonzero((uv_px >= 0.0).all(axis=1) & (uv_px < (width, height)).all(axis=1))[0]
            pixels = Pixels(view=np.full(len(inside), view), step=step, row=row[inside], column=column[inside])
            places = place_points(uv_px[inside], view=np.full(len(inside), other), step=step)
            same = same_surface(maps, pixels, places) & is_seen[places.view, places.row, places.column]
            here.append(pixels.select(same))
            there.append(keep_places(places, same))
    return Overlap(here=_join_pixels(here, step), there=_join_places(there, step))


def overlap_difference(rgb: UInt8[np.ndarray, "V T H W 3"], overlap: Overlap) -> tuple[float, int]:
    """Return the sum of absolute colour differences, in levels of 0..255, and how many were summed."""
    difference = np.abs(pixel_colors(rgb, overlap.here) - sample_places(rgb, overlap.there))
    return float(difference.sum(dtype=np.float64)), difference.size


def _join_pixels(parts: list[Pixels], step: int) -> Pixels:
    empty = np.zeros(0, np.int64)
    return Pixels(
        view=np.concatenate([empty, *(part.view for part in parts)]),
        step=step,
        row=np.concatenate([empty, *(part.row for part in parts)]),
        column=np.concatenate([empty, *(part.column for part in parts)]),
    )


def _join_places(parts: list[Places], step: int) -> Places:
    uv_px = np.concatenate([np.zeros((0, 2), np.float32), *(part.uv_px for part in parts)])
    return place_points(uv_px, view=np.concatenate([np.zeros(0, np.int64), *(p.view for p in parts)]), step=step)
