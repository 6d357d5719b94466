"""Where many rays meet the ground: `raycast.cast_ground` for tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.conditions.device.cell_walk import STOPPED, UNSURE, Cells, Looked, Rays, Visit, edge_t, walk_cells
from scenegen.conditions.device.host import cast_ground_rays, to_host
from scenegen.conditions.raycast import FAR_M, NO_HIT
from scenegen.conditions.surfaces import FACE_UP
from scenegen.types import Material

GRASS, KERB = int(Material.GRASS), int(Material.KERB)


@dataclass(frozen=True, kw_only=True)
class GroundHits:
    """What N rays see of the ground; t is FAR_M or more where nothing, `face` as in `surfaces`."""

    t: Tensor
    material: Tensor
    face: Tensor


class GroundCaster:
    """The ground of a world on a device.

    Args:
        world: of `packing.pack_world`.
        cells: `kerbs.cells_to_raised` of its ground.
        device: where to cast.
    """

    def __init__(self, world: tuple[Any, ...], cells: np.ndarray, *, device: torch.device) -> None:
        _, _, _, _, ground, raised, corner_m, cell_m, kerb_m = world
        self._world = world
        self._kerb_m = kerb_m
        self._materials = torch.from_numpy(ground.astype(np.int64)).to(device).reshape(-1)
        self._raised = torch.from_numpy(raised).to(device)
        gaps = torch.from_numpy(cells.astype(np.int16)).to(device)
        self._cells = Cells(gaps=gaps[None], low_x=float(corner_m[0]), low_y=float(corner_m[1]), cell_m=cell_m)

    def cast(self, rays: Rays) -> GroundHits:
        """Cast N rays from anywhere."""
        oz, dz = rays.oz, rays.dz
        is_above = oz > self._kerb_m
        t_low, t_top = -oz / dz, (self._kerb_m - oz) / dz
        t_start = torch.where(is_above, t_top, 0.0)
        t_end = torch.where(dz < 0.0, t_low, torch.where(dz > 0.0, t_top, FAR_M))
        can_hit = (oz >= 0.0) & ~(is_above & (dz >= 0.0)) & ~dz.isnan()
        at_start = self._material_at(rays, t_start)
        hits_top = can_hit & is_above & self._raised[at_start]
        t = torch.where(hits_top, t_start, torch.where(can_hit & (dz < 0.0), t_low, NO_HIT))
        material = torch.where(hits_top, at_start, self._material_at(rays, t_low))
        face = torch.full_like(material, FACE_UP)
        walks = torch.nonzero(can_hit & ~hits_top)[:, 0]
        self._find_kerbs(
            rays.take(walks), walks, t_start[walks], t_end[walks], GroundHits(t=t, material=material, face=face)
        )
        return GroundHits(t=t, material=material, face=face)

    def _material_at(self, rays: Rays, t: Tensor) -> Tensor:
        i, j = self._cells.at(rays, t)
        return torch.where(self._cells.is_inside(i, j), self._materials[self._cells.flat(i, j)], GRASS)

    def _find_kerbs(self, rays: Rays, index: Tensor, t_start: Tensor, t_end: Tensor, hits: GroundHits) -> None:
        """Enter the faces of kerbs that stop rays between kerb height and the ground."""
        start = self._cells.at(rays, t_start)

        def look(visit: Visit) -> Looked:
            is_stopped = (visit.gap == 0) & ~visit.is_start
            return Looked(is_stopped=is_stopped, is_unsure=torch.zeros_like(is_stopped), level=visit.gap)

        walked = walk_cells(
            self._cells,
            rays,
            start=start,
            span=(t_start, t_end),
            layer=lambda ray, _: torch.zeros_like(ray),
            look=look,
            is_outside_seen=True,
        )
        is_stopped = walked.state == STOPPED
        t = edge_t(self._cells, rays, start=start, walked=walked)
        is_ahead = torch.where(walked.axis == 0, rays.dx, rays.dy) > 0.0
        hits.t[index] = torch.where(is_stopped, t, hits.t[index])
        hits.material[index] = torch.where(is_stopped, KERB, hits.material[index])
        hits.face[index] = torch.where(is_stopped, 2 * walked.axis + is_ahead.long(), FACE_UP)
        unsure = torch.nonzero(walked.state == UNSURE)[:, 0]
        if len(unsure):
            t_found, material, face = cast_ground_rays(self._world[4:], *to_host(rays.take(unsure)))
            at = index[unsure]
            for target, found in ((hits.t, t_found), (hits.material, material), (hits.face, face)):
                target[at] = torch.from_numpy(found).to(target)
