"""What the surfaces are that rays met: `view_kernel.describe_surfaces` for tensors, without the sun."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scenegen.conditions.device.hits import Hits
from scenegen.conditions.surfaces import SURFACE_GROUND, SURFACE_NONE, SURFACE_SHAPE, SURFACE_VOXEL
from scenegen.conditions.view_kernel import semantic_of_ground
from scenegen.types import STATIC_INSTANCE_OFFSET, Material, Semantic

FACADE, WALL, ROOF, FOLIAGE = (int(m) for m in (Material.FACADE, Material.WALL, Material.ROOF, Material.FOLIAGE))


@dataclass(frozen=True, kw_only=True)
class ShapeTables:
    """What each of S solids is."""

    instance: Tensor
    semantic: Tensor
    material: Tensor
    box_from_world: Tensor


@dataclass(frozen=True, kw_only=True)
class Surfaces:
    """What P pixels see; sky where nothing: see `ConditionMaps`. Vectors are (3, P), float64, and zero for sky."""

    semantic: Tensor
    material: Tensor
    instance: Tensor
    point: Tensor
    normal: Tensor
    canonical: Tensor


class SurfaceTables:
    """What ground and voxels of a world are, on a device; `tables` are of `packing.pack_tables`."""

    def __init__(self, tables: tuple[Any, ...], *, device: torch.device) -> None:
        semantics, column_instance, material, thing_from_world, size_m = tables
        self._semantics = torch.from_numpy(semantics).to(device)
        self._thing = torch.from_numpy(column_instance.astype(np.int64)).to(device)
        self._material = torch.from_numpy(material.astype(np.int64)).to(device)
        self._thing_from_world = torch.from_numpy(thing_from_world).to(device)
        self._size_m = torch.from_numpy(np.ascontiguousarray(size_m, np.float64)).to(device)
        self._of_ground = torch.from_numpy(semantic_of_ground().astype(np.int64)).to(device)

    def classes(self, hits: Hits, shapes: ShapeTables) -> Tensor:
        """Return the class of every pixel (P), int64: `view_kernel.name_surfaces`."""
        semantic = torch.full_like(hits.surface, int(Semantic.FREE))
        for kind, name in ((SURFACE_GROUND, self._ground), (SURFACE_VOXEL, self._voxels)):
            at = torch.nonzero(hits.surface == kind)[:, 0]
            semantic[at] = name(hits.detail[:, at])
        at = torch.nonzero(hits.surface == SURFACE_SHAPE)[:, 0]
        semantic[at] = shapes.semantic[hits.detail[0, at]]
        return semantic

    def _ground(self, detail: Tensor) -> Tensor:
        return self._of_ground[detail[0]]

    def _voxels(self, detail: Tensor) -> Tensor:
        return self._semantics[detail[0], detail[1], detail[2]].long()

    def describe(self, hits: Hits, shapes: ShapeTables) -> Surfaces:
        """Return what every pixel sees."""
        material = torch.full_like(hits.surface, int(Material.SKY))
        instance = torch.zeros_like(hits.surface)
        normal, canonical = torch.zeros_like(hits.normal), torch.zeros_like(hits.normal)
        view = torch.arange(len(hits.depth), device=hits.depth.device) // (hits.height * hits.width)
        point = hits.origin[view].T + hits.depth * hits.direction
        point = torch.where(hits.surface == SURFACE_NONE, 0.0, point)

        at = torch.nonzero(hits.surface == SURFACE_GROUND)[:, 0]
        material[at] = hits.detail[0, at]
        normal[:, at] = face_normals(hits.face[at])

        at = torch.nonzero(hits.surface == SURFACE_VOXEL)[:, 0]
        row = self._thing[hits.detail[0, at], hits.detail[1, at]]
        instance[at] = STATIC_INSTANCE_OFFSET + row
        material[at], normal[:, at], canonical[:, at] = self._place_on_things(
            row, point[:, at], face_normals(hits.face[at])
        )

        at = torch.nonzero(hits.surface == SURFACE_SHAPE)[:, 0]
        solid = hits.detail[0, at]
        instance[at], material[at] = shapes.instance[solid], shapes.material[solid]
        normal[:, at] = hits.normal[:, at]
        canonical[:, at] = transform(shapes.box_from_world[solid], point[:, at])
        return Surfaces(
            semantic=self.classes(hits, shapes),
            material=material,
            instance=instance,
            point=point,
            normal=normal,
            canonical=canonical,
        )

    def _place_on_things(self, row: Tensor, point: Tensor, normal: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return material, normal and canonical coordinates of points on voxels: `view_kernel.place_on_thing`."""
        g, size, material = self._thing_from_world[row], self._size_m[row], self._material[row]
        lx, ly, lz = transform(g, point)
        is_wall = (material == FACADE) | (material == WALL)
        is_flat = (normal[2] > 0.5) | (normal[2] < -0.5)
        is_x = lx.abs() - 0.5 * size[:, 0] > ly.abs() - 0.5 * size[:, 1]
        sign = torch.where(torch.where(is_x, lx, ly) > 0, 1.0, -1.0).to(lx)
        upright = is_wall & ~is_flat
        out_of_wall = sign * torch.where(is_x, g[:, 0, :3].T, g[:, 1, :3].T)
        zero = torch.zeros_like(lx)
        on_wall = torch.stack([torch.where(is_x, ly * sign, -lx * sign), lz, zero])
        in_box = torch.stack([lx / size[:, 0], ly / size[:, 1], lz / size[:, 2] - 0.5])
        canonical = torch.where(is_wall, torch.where(is_flat, zero, on_wall), in_box)
        rx, ry, rz = in_box[0], in_box[1], in_box[2] + 0.1
        length = torch.sqrt(rx * rx + ry * ry + rz * rz) + 1e-9
        outward = torch.stack([(g[:, 0, a] * rx + g[:, 1, a] * ry + g[:, 2, a] * rz) / length for a in range(3)])
        normal = torch.where(upright, out_of_wall, torch.where(material == FOLIAGE, outward, normal))
        return torch.where((material == FACADE) & is_flat, ROOF, material), normal, canonical


def face_normals(face: Tensor) -> Tensor:
    """Return the normals (3, N) of sides of voxels, +x, -x, +y, -y, +z, -z."""
    away = torch.where((face & 1) == 1, -1.0, 1.0).double()
    return torch.stack([torch.where(face >> 1 == a, away, 0.0) for a in range(3)])


def transform(dst_from_src: Tensor, point: Tensor) -> Tensor:
    """Move points (3, N) by a transform of each (N, 4, 4), summed as the kernels sum."""
    m, (x, y, z) = dst_from_src, point
    return torch.stack([m[:, a, 0] * x + m[:, a, 1] * y + m[:, a, 2] * z + m[:, a, 3] for a in range(3)])
