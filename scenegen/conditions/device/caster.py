"""All cameras of one step on a device: `TensorCaster` fills the maps that `ConditionRenderer` returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from scenegen.conditions.device.cell_walk import Rays
from scenegen.conditions.device.describe import ShapeTables, Surfaces, SurfaceTables
from scenegen.conditions.device.ground import GroundCaster
from scenegen.conditions.device.hits import Hits
from scenegen.conditions.device.motion import measure_motion
from scenegen.conditions.device.solids import Rectangles, Solids, place_solids
from scenegen.conditions.device.sun import pack_sun, see_sun
from scenegen.conditions.device.voxels import VoxelCaster
from scenegen.conditions.lens_kernel import bound_solids
from scenegen.conditions.raycast import FAR_M
from scenegen.conditions.surfaces import FACE_UP, SURFACE_GROUND, SURFACE_NONE, SURFACE_VOXEL
from scenegen.errors import DependencyError
from scenegen.geometry.rigid import invert_rigid

MOST_RAYS = 1 << 21
"""Rays that are cast together: at most two gigabytes of intermediate results."""

ON_THE_WAY: dict[type, torch.dtype] = {
    np.uint8: torch.uint8,
    np.uint16: torch.int32,
    np.float32: torch.float32,
    np.bool_: torch.bool,
}
"""What maps are while they leave the device, by what they become."""


def open_device(name: str) -> torch.device:
    """Return a device that is there.

    Raises:
        DependencyError: a CUDA device is asked for and torch sees none.
    """
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DependencyError(
            "a CUDA device for the condition renderer",
            found="none that torch sees",
            where=f"device={name}",
            fix="cast on the processor, which gives the same maps: conditions=compiled",
        )
    return device


class TensorCaster:
    """Casts the rays of V cameras on a device.

    Args:
        rays: of every pixel in frame `cam` (V, H, W, 2), NaN where there is none.
        lenses: (packed lens, rays, spans) of each view, of `lens_kernel`.
        device: where to.
    """

    def __init__(
        self, rays: Float64[np.ndarray, "V H W 2"], lenses: list[tuple[Any, ...]], *, device: torch.device
    ) -> None:
        self._device = device
        self._lenses = lenses
        self._shape = rays.shape[:3]
        self._rays = torch.from_numpy(rays).to(device)

    def look_into(self, world: tuple[Any, ...], cells: np.ndarray, tables: tuple[Any, ...]) -> None:
        """Take a world to the device: `packing.pack_world`, `kerbs.cells_to_raised` of it, `packing.pack_tables`."""
        self._ground = GroundCaster(world, cells, device=self._device)
        self._voxels = VoxelCaster(world, device=self._device)
        self._tables = SurfaceTables(tables, device=self._device)

    def groups(self) -> Iterator[slice]:
        """Yield the views that are cast together."""
        num_views, height, width = self._shape
        size = max(1, MOST_RAYS // (height * width))
        for first in range(0, num_views, size):
            yield slice(first, min(first + size, num_views))

    def find(
        self,
        views: slice,
        world_from_cam: np.ndarray,
        solids: tuple[Any, ...],
        instance: np.ndarray,
        unoccluded_px: np.ndarray,
    ) -> Hits:
        """Cast the rays of some views.

        Args:
            views: which.
            world_from_cam: poses of all views (V, 4, 4).
            solids: (kind, half, taper, world_from_shape) of S of them.
            instance: of each.
            unoccluded_px: of all views (V, A), filled in.
        """
        hits = self._aim(views, world_from_cam[views])
        seen = torch.nonzero(hits.is_seen)[:, 0]
        view = seen // (hits.height * hits.width)
        origin, direction = hits.origin[view], hits.direction[:, seen]
        rays = Rays(
            ox=origin[:, 0], oy=origin[:, 1], oz=origin[:, 2], dx=direction[0], dy=direction[1], dz=direction[2]
        )
        self._find_static(rays, seen, hits)
        if len(instance):
            self._find_solids(views, world_from_cam[views], solids, instance, hits, unoccluded_px[views])
        return hits

    def _aim(self, views: slice, world_from_cam: np.ndarray) -> Hits:
        """Return the rays of some views, which have met nothing yet."""
        _, height, width = self._shape
        rays = self._rays[views]
        m = torch.from_numpy(np.ascontiguousarray(world_from_cam)).to(self._device)[:, None, None]
        x, y = rays[..., 0], rays[..., 1]
        direction = torch.stack([m[..., a, 0] * x + m[..., a, 1] * y + m[..., a, 2] for a in range(3)]).reshape(3, -1)
        pixels = direction.shape[1]
        return Hits(
            num_views=len(rays),
            height=height,
            width=width,
            is_seen=~x.isnan().reshape(-1),
            origin=m[:, 0, 0, :3, 3],
            direction=direction,
            depth=torch.full((pixels,), FAR_M, dtype=torch.float64, device=self._device),
            surface=torch.full((pixels,), SURFACE_NONE, dtype=torch.int64, device=self._device),
            face=torch.full((pixels,), FACE_UP, dtype=torch.int64, device=self._device),
            detail=torch.zeros((3, pixels), dtype=torch.int64, device=self._device),
            normal=torch.zeros((3, pixels), dtype=torch.float64, device=self._device),
        )

    def _find_static(self, rays: Rays, seen: Tensor, hits: Hits) -> None:
        """Enter ground and voxels."""
        ground = self._ground.cast(rays)
        is_ground = ground.t < FAR_M
        reach = torch.where(is_ground, ground.t, FAR_M)
        voxels = self._voxels.cast(rays, t_most=reach)
        is_voxel = voxels.t < reach
        hits.depth[seen] = torch.where(is_voxel, voxels.t, reach)
        nothing = torch.where(is_ground, SURFACE_GROUND, SURFACE_NONE)
        hits.surface[seen] = torch.where(is_voxel, SURFACE_VOXEL, nothing)
        hits.detail[0, seen] = torch.where(is_voxel, voxels.i, ground.material)
        hits.detail[1, seen], hits.detail[2, seen] = voxels.j, voxels.k
        d = torch.stack([rays.dx, rays.dy, rays.dz, torch.zeros_like(rays.dz)])
        is_ahead = d.gather(0, voxels.axis[None])[0] > 0.0
        side = torch.where(voxels.axis == 3, FACE_UP, 2 * voxels.axis + is_ahead.long())
        hits.face[seen] = torch.where(is_voxel, side, ground.face)

    def _find_solids(
        self,
        views: slice,
        world_from_cam: np.ndarray,
        solids: tuple[Any, ...],
        instance: np.ndarray,
        hits: Hits,
        unoccluded_px: np.ndarray,
    ) -> None:
        """Enter the solids, and count what agents cover."""
        _, half, _, pose = solids
        lenses = self._lenses[views]
        cam_from_world = np.ascontiguousarray(invert_rigid(world_from_cam))
        bounds = np.stack(
            [
                bound_solids(half, pose, m, lens, spans, hits.width, hits.height)
                for m, (lens, _, spans) in zip(cam_from_world, lenses, strict=True)
            ]
        )
        view, solid = np.nonzero((bounds[..., 0] < bounds[..., 1]) & (bounds[..., 2] < bounds[..., 3]))
        u0, u1, v0, v1 = bounds[view, solid].T
        depth_m = np.einsum("va,sa->vs", cam_from_world[:, 2, :3], pose[:, :3, 3]) + cam_from_world[:, 2, 3, None]
        num_agents = unoccluded_px.shape[1]
        counted = place_solids(
            self._solids(solids, instance),
            Rectangles(solid=solid, view=view, u0=u0, u1=u1, v0=v0, v1=v1),
            hits,
            nearest_m=depth_m - np.linalg.norm(half, axis=1) - 1e-6,
            near_m=self._send(np.array([lens[7] for lens, _, _ in lenses])),
            num_agents=num_agents,
        )
        unoccluded_px[:] = counted.cpu().numpy()

    def classes(self, hits: Hits, tables: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return class and z-depth (V, H, W) of what was found."""
        return self._image(self._tables.classes(hits, self._shape_tables(tables)), hits, np.uint8), self._depth(hits)

    def describe(
        self,
        views: slice,
        hits: Hits,
        tables: tuple[Any, ...],
        *,
        solids: tuple[Any, ...],
        light: tuple[Any, ...] | None,
        motion: tuple[np.ndarray, np.ndarray],
        previous_cam_from_world: np.ndarray | None,
    ) -> dict[str, np.ndarray]:
        """Return the maps of some views.

        Args:
            views: which.
            hits: what `find` found for them.
            tables: instance, class, material and box of each solid.
            solids: as for `find`.
            light: the sun and the solids that may hide it where, as the kernels want them; None where nothing casts
                shadows.
            motion: of `packing.agent_motion`.
            previous_cam_from_world: poses of all views one step earlier; None at the first step.
        """
        surfaces = self._tables.describe(hits, self._shape_tables(tables))
        images = {
            "semantic": self._image(surfaces.semantic, hits, np.uint8),
            "material": self._image(surfaces.material, hits, np.uint8),
            "instance": self._image(surfaces.instance, hits, np.uint16),
            "depth_m": self._depth(hits),
            "normal_world": self._image(surfaces.normal, hits, np.float32),
            "canonical": self._image(surfaces.canonical, hits, np.float32),
            "point_world_m": self._image(surfaces.point, hits, np.float32),
        }
        if previous_cam_from_world is not None:
            images["motion_px"] = self._image(
                self._motion(views, hits, surfaces, motion, previous_cam_from_world), hits, np.float32
            )
        if light is not None:
            at = torch.nonzero(hits.surface != SURFACE_NONE)[:, 0]
            is_lit = torch.ones_like(hits.is_seen)
            is_lit[at] = see_sun(
                pack_sun(light, device=self._device),
                self._voxels,
                self._solids(solids, tables[0]),
                point=surfaces.point[:, at],
                normal=surfaces.normal[:, at],
            )
            images["sun_visible"] = self._image(is_lit, hits, np.bool_)
        return images

    def _solids(self, solids: tuple[Any, ...], instance: np.ndarray) -> Solids:
        kind, half, taper, pose = solids
        return Solids(
            kind=kind,
            half=self._send(half),
            taper=self._send(taper),
            world_from_shape=self._send(pose),
            instance=self._send(instance.astype(np.int64)),
        )

    def _motion(
        self,
        views: slice,
        hits: Hits,
        surfaces: Surfaces,
        motion: tuple[np.ndarray, np.ndarray],
        previous_cam_from_world: np.ndarray,
    ) -> Tensor:
        return measure_motion(
            hits,
            surfaces,
            agents=(self._send(motion[0]), self._send(motion[1])),
            previous_cam_from_world=self._send(previous_cam_from_world[views]),
            lenses=[lens for lens, _, _ in self._lenses[views]],
        )

    def _shape_tables(self, tables: tuple[Any, ...]) -> ShapeTables:
        instance, semantic, material, box_from_world = tables
        return ShapeTables(
            instance=self._send(instance.astype(np.int64)),
            semantic=self._send(semantic.astype(np.int64)),
            material=self._send(material.astype(np.int64)),
            box_from_world=self._send(box_from_world),
        )

    def _depth(self, hits: Hits) -> np.ndarray:
        depth = torch.where(hits.surface == SURFACE_NONE, torch.inf, hits.depth)
        return self._image(depth, hits, np.float32)

    def _image(self, numbers: Tensor, hits: Hits, dtype: type) -> np.ndarray:
        """Return numbers (P) or (C, P) as an array (V, H, W) or (V, H, W, C)."""
        narrow = numbers.to(ON_THE_WAY[dtype])
        image = narrow.reshape(*numbers.shape[:-1], hits.num_views, hits.height, hits.width)
        image = image if image.ndim == 3 else image.permute(1, 2, 3, 0)
        return image.cpu().numpy().astype(dtype, copy=False)

    def _send(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
