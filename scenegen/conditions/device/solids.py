"""Solids entered into the hits of many pixels: `view_kernel.find_solids` for tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scenegen.conditions.device.entry import KINDS, Entry, SolidRays, enter_kind
from scenegen.conditions.device.hits import Hits
from scenegen.conditions.raycast import FAR_M
from scenegen.conditions.surfaces import SURFACE_SHAPE
from scenegen.types import STATIC_INSTANCE_OFFSET

MOST_PAIRS = 1 << 20
"""Pairs of a pixel and a solid that are looked at together: about half a gigabyte of intermediate results."""
NO_SOLID = 1 << 40
"""Above all numbers of solids."""


@dataclass(frozen=True, kw_only=True)
class Solids:
    """S solids of one step on a device, and their kinds on the host."""

    kind: np.ndarray
    half: Tensor
    taper: Tensor
    world_from_shape: Tensor
    instance: Tensor

    def pair(self, solid: Tensor, origin: tuple[Tensor, ...], direction: tuple[Tensor, ...]) -> SolidRays:
        """Return rays in the frames of solids; `origin` is relative to the middle of the solid, in the world's axes."""
        half, taper = self.half[solid], self.taper[solid]
        return SolidRays(
            half=(half[:, 0], half[:, 1], half[:, 2]),
            taper=(taper[:, 0], taper[:, 1]),
            o=into_solid(self.world_from_shape[solid], *origin),
            d=into_solid(self.world_from_shape[solid], *direction),
        )


def into_solid(m: Tensor, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return world vectors in the axes of solids of poses `m` (N, 4, 4)."""
    return (
        m[:, 0, 0] * x + m[:, 1, 0] * y + m[:, 2, 0] * z,
        m[:, 0, 1] * x + m[:, 1, 1] * y + m[:, 2, 1] * z,
        m[:, 0, 2] * x + m[:, 1, 2] * y + m[:, 2, 2] * z,
    )


def out_of_solid(m: Tensor, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return vectors in the axes of solids of poses `m` (N, 4, 4) in the world."""
    return (
        m[:, 0, 0] * x + m[:, 0, 1] * y + m[:, 0, 2] * z,
        m[:, 1, 0] * x + m[:, 1, 1] * y + m[:, 1, 2] * z,
        m[:, 2, 0] * x + m[:, 2, 1] * y + m[:, 2, 2] * z,
    )


@dataclass(frozen=True, kw_only=True)
class Rectangles:
    """R rectangles of pixels (host, int64): solid, view, first and one past the last column and row."""

    solid: np.ndarray
    view: np.ndarray
    u0: np.ndarray
    u1: np.ndarray
    v0: np.ndarray
    v1: np.ndarray

    @property
    def area_px(self) -> np.ndarray:
        """Number of pixels of each."""
        return (self.u1 - self.u0) * (self.v1 - self.v0)

    def take(self, index: np.ndarray | slice) -> Rectangles:
        """Return some of the rectangles."""
        return Rectangles(**{name: getattr(self, name)[index] for name in ("solid", "view", "u0", "u1", "v0", "v1")})

    def batches(self) -> Iterator[Rectangles]:
        """Yield runs of rectangles of about MOST_PAIRS pixels, never none."""
        ends = np.cumsum(self.area_px)
        first = 0
        while first < len(ends):
            before = ends[first - 1] if first else 0
            past = max(first + 1, int(np.searchsorted(ends, before + MOST_PAIRS, side="right")))
            yield self.take(slice(first, past))
            first = past


def expand(counts: Tensor) -> tuple[Tensor, Tensor]:
    """Return for groups of so many members: the group of each member, and its number within the group."""
    group = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    first = torch.cumsum(counts, 0) - counts
    return group, torch.arange(len(group), device=counts.device) - first[group]


def place_solids(
    solids: Solids, rectangles: Rectangles, hits: Hits, *, nearest_m: np.ndarray, near_m: Tensor, num_agents: int
) -> Tensor:
    """Enter solids into the hits of the pixels of their rectangles, where they are nearer.

    Args:
        solids: S of them.
        rectangles: pixels each may cover.
        hits: of V views; changed in place.
        nearest_m: z-depth (V, S) below which no point of a solid lies in a view.
        near_m: z-depth (V) up to which solids are not seen.
        num_agents: A.

    Returns:
        Pixels (V, A) that each agent covers by itself, int32.
    """
    num_views, height, width = hits.num_views, hits.height, hits.width
    covered = torch.zeros((max(num_agents, 1), num_views * height * width), dtype=torch.bool, device=near_m.device)
    kinds = solids.kind[rectangles.solid]
    # What is nearer is entered later: nearest of all, at a tie the first of the list, whatever the order of kinds.
    best_solid = torch.full((num_views * height * width,), -1, device=near_m.device)
    for kind in KINDS:
        for batch in rectangles.take(kinds == kind).batches():
            _place_batch(kind, solids, batch, hits, nearest_m, near_m, covered, best_solid)
    per_view = covered[:num_agents].reshape(num_agents, num_views, height * width)
    return per_view.sum(dim=2, dtype=torch.int32).T


def _place_batch(
    kind: int,
    solids: Solids,
    batch: Rectangles,
    hits: Hits,
    nearest_m: np.ndarray,
    near_m: Tensor,
    covered: Tensor,
    best_solid: Tensor,
) -> None:
    """Enter the solids of some rectangles, all of one kind."""
    device = near_m.device
    solid_r, view_r, u0, v0, width_r, area = (
        torch.from_numpy(np.ascontiguousarray(numbers)).to(device)
        for numbers in (batch.solid, batch.view, batch.u0, batch.v0, batch.u1 - batch.u0, batch.area_px)
    )
    nearest_r = torch.from_numpy(nearest_m[batch.view, batch.solid]).to(device)
    is_agent_r = solids.instance[solid_r] < STATIC_INSTANCE_OFFSET
    rect, number = expand(area)
    row, column = number // width_r[rect], number % width_r[rect]
    pixel = (view_r[rect] * hits.height + v0[rect] + row) * hits.width + u0[rect] + column
    keep = hits.is_seen[pixel] & (is_agent_r[rect] | (hits.depth[pixel] > nearest_r[rect]))
    rect, pixel = rect[keep], pixel[keep]
    solid = solid_r[rect]
    pose = solids.world_from_shape[solid]
    away = tuple(hits.origin[view_r[rect], a] - pose[:, a, 3] for a in range(3))
    entry = enter_kind(kind, solids.pair(solid, away, tuple(hits.direction[a, pixel] for a in range(3))))
    is_met = (entry.t < FAR_M) & (entry.t > near_m[view_r[rect]])
    of_agent = is_met & is_agent_r[rect]
    covered[solids.instance[solid][of_agent] - 1, pixel[of_agent]] = True
    _keep_nearest(solid, pixel, entry, is_met, pose, hits, best_solid)


def _keep_nearest(
    solid: Tensor, pixel: Tensor, entry: Entry, is_met: Tensor, pose: Tensor, hits: Hits, best_solid: Tensor
) -> None:
    """Keep the nearest solid per pixel; between equally near ones the first; ground and voxels before solids."""
    before = hits.depth[pixel]
    is_near = is_met & ((entry.t < before) | ((entry.t == before) & (solid < best_solid[pixel])))
    chosen = torch.nonzero(is_near)[:, 0]
    hits.depth.scatter_reduce_(0, pixel[chosen], entry.t[chosen], "amin")
    chosen = chosen[entry.t[chosen] == hits.depth[pixel[chosen]]]
    best_solid.scatter_(0, pixel[chosen], NO_SOLID)
    best_solid.scatter_reduce_(0, pixel[chosen], solid[chosen], "amin")
    chosen = chosen[solid[chosen] == best_solid[pixel[chosen]]]
    solid, pixel, pose = solid[chosen], pixel[chosen], pose[chosen]
    hits.surface[pixel] = SURFACE_SHAPE
    hits.detail[0, pixel] = solid
    normal = out_of_solid(pose, *(n[chosen] for n in entry.normal))
    for a in range(3):
        hits.normal[a, pixel] = normal[a]
