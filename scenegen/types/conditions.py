"""Per-camera condition maps: what a camera sees of the world, before any appearance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, UInt8, UInt16


@dataclass(frozen=True, kw_only=True)
class ConditionMaps:
    """Exact maps of V views at T steps, on one canvas of H x W pixels.

    A pixel outside the stored image of its view, or outside the circle that its lens shows, sees nothing: it holds what
    sky holds, and its ray is NaN.

    Attributes:
        semantic: Occ3D class; 17 is sky.
        material: code of `taxonomy.Material`.
        instance: 0 nothing or ground, 1 + agent index, or STATIC_INSTANCE_OFFSET + row of the static table.
        depth_m: z-depth, +inf for sky.
        normal_world: unit outward normal of the surface (a building's wall plane, not its voxel's face);
            zero for sky.
        canonical: agents and props: position in the thing's own box, -0.5..0.5 per axis. Buildings:
            (metres along the wall from its middle, metres above ground, 0). Ground and sky: zero.
        point_world_m: the surface point; zero for sky.
        motion_px: where this surface point was one step earlier, minus where it is now, in pixels (x, y);
            NaN for sky, for the first step, and where it was behind the camera or outside its field of view.
        sun_visible: whether the surface point sees the sun; True for sky.
        unoccluded_px: pixels that each of the A agents would cover in each view if nothing stood before it.
        world_from_cam, K: pose and intrinsics used (K as in `Camera`: the lens around its axis).
        ray_cam: (x, y) of each pixel's ray at unit depth, in frame cam, so that a point is `depth_m * (x, y, 1)`.
        focal_px: `depth_m / focal_px` is the edge in metres of a pixel on a surface that faces it.
    """

    semantic: UInt8[np.ndarray, "V T H W"]
    material: UInt8[np.ndarray, "V T H W"]
    instance: UInt16[np.ndarray, "V T H W"]
    depth_m: Float32[np.ndarray, "V T H W"]
    normal_world: Float32[np.ndarray, "V T H W 3"]
    canonical: Float32[np.ndarray, "V T H W 3"]
    point_world_m: Float32[np.ndarray, "V T H W 3"]
    motion_px: Float32[np.ndarray, "V T H W 2"]
    sun_visible: Bool[np.ndarray, "V T H W"]
    unoccluded_px: Int32[np.ndarray, "V T A"]
    world_from_cam: Float64[np.ndarray, "V T 4 4"]
    K: Float64[np.ndarray, "V 3 3"]
    ray_cam: Float64[np.ndarray, "V H W 2"]
    focal_px: Float64[np.ndarray, "V H W"]

    @property
    def is_seen(self) -> Bool[np.ndarray, "V H W"]:
        """Whether a pixel belongs to the image of its view and to what the lens shows."""
        return np.isfinite(self.ray_cam[..., 0])

    def cut_steps(self, start: int, stop: int) -> ConditionMaps:
        """Return the maps of steps `start` to `stop - 1` of these."""
        maps = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return ConditionMaps(
            **{name: array if name in PER_VIEW else array[:, start:stop] for name, array in maps.items()}
        )


PER_VIEW = ("K", "ray_cam", "focal_px")
"""Arrays without a time axis."""
