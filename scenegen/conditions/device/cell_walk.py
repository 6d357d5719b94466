"""Walks of many rays over the cells of a plane, at once, with leaps over open ground.

Where a walk adds up its steps, this one computes each crossing from the number of the cell, which may round otherwise.
So it says UNSURE where a decision is closer than `TIE` to the other one, and of the last `FEW`; those rays are cast by
the compiled code.
Source: Amanatides and Woo 1987 for the walk; leaps as in `kerbs`, by the distance to the nearest cell of interest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from scenegen.conditions.device.words import add_up

NO_HIT = 1e30
TIE = 1e-7
"""In cells. Both ways of rounding stay below 1e-9 in grids of up to 10,000 cells."""
FEW = 256
"""Rays for which no further step is taken: the last go far, and a step costs a device as much for one as for all."""
MISS, STOPPED, UNSURE = 0, 1, 2
AT_START, LEAPT = 3, 4
"""Beside 0 and 1, the axis of the edge over which a cell was entered."""
LEAST_SLOPE = 1e-15


@dataclass(frozen=True, kw_only=True)
class Rays:
    """N rays in frame `world`, float64: a point is origin plus t times direction, in metres."""

    ox: Tensor
    oy: Tensor
    oz: Tensor
    dx: Tensor
    dy: Tensor
    dz: Tensor

    def take(self, index: Tensor) -> Rays:
        """Return some of the rays."""
        return Rays(**{name: getattr(self, name)[index] for name in ("ox", "oy", "oz", "dx", "dy", "dz")})


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A raster of the ground plane and, per cell, how far the nearest cell of interest is (`kerbs.cells_to_raised`).

    There are such distances (L, X, Y) for L layers: rays that go to other places take interest in other cells.
    """

    gaps: Tensor
    low_x: float
    low_y: float
    cell_m: float

    def at(self, rays: Rays, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cells that rays are in at `t`, int64, whether in the raster or not."""
        per_cell = 1.0 / self.cell_m
        return (
            whole((rays.ox + t * rays.dx - self.low_x) * per_cell),
            whole((rays.oy + t * rays.dy - self.low_y) * per_cell),
        )

    def is_inside(self, i: Tensor, j: Tensor) -> Tensor:
        """Return whether cells are in the raster."""
        _, num_x, num_y = self.gaps.shape
        return (i >= 0) & (j >= 0) & (i < num_x) & (j < num_y)

    def flat(self, i: Tensor, j: Tensor) -> Tensor:
        """Return the index of cells in the flattened raster; that of the nearest one for cells outside."""
        _, num_x, num_y = self.gaps.shape
        return i.clamp(0, num_x - 1) * num_y + j.clamp(0, num_y - 1)


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What stops rays in the cells they are in: whether, whether that is too close to call, and at which level."""

    is_stopped: Tensor
    is_unsure: Tensor
    level: Tensor


@dataclass(frozen=True, kw_only=True)
class Visit:
    """Rays (by number) in cells, from `t_in` to `t_out`; `t` of a start and of an end are exact."""

    ray: Tensor
    i: Tensor
    j: Tensor
    gap: Tensor
    t_in: Tensor
    t_out: Tensor
    is_start: Tensor
    is_end: Tensor


@dataclass(frozen=True, kw_only=True)
class Walked:
    """How N walks ended: MISS, STOPPED or UNSURE, and where."""

    state: Tensor
    i: Tensor
    j: Tensor
    level: Tensor
    axis: Tensor


def whole(numbers: Tensor) -> Tensor:
    """Return the floor as int64; numbers out of all rasters stay out of them."""
    return torch.floor(numbers).clamp(-1e9, 1e9).long()


def is_near_whole(numbers: Tensor) -> Tensor:
    """Return whether numbers are within TIE of whole ones."""
    return (numbers - torch.round(numbers)).abs() < TIE


def crossing(low: float, cell_m: float, cell: Tensor, origin: Tensor, direction: Tensor) -> Tensor:
    """Return t where rays leave their cells along an axis, NO_HIT where they run along its edges."""
    t = (low + cell_m * (cell + (direction > 0.0).long()).double() - origin) / direction
    return torch.where(direction.abs() > LEAST_SLOPE, t, NO_HIT)


def walk_cells(
    cells: Cells,
    rays: Rays,
    *,
    start: tuple[Tensor, Tensor],
    span: tuple[Tensor, Tensor],
    layer: Callable[[Tensor, Tensor], Tensor],
    look: Callable[[Visit], Looked],
    is_outside_seen: bool,
) -> Walked:
    """Walk rays through cells until `look` stops them or they end.

    Args:
        cells: what to walk over.
        rays: N of them.
        start: cell of each ray at its first t.
        span: first and last t of each ray.
        layer: returns the layer of cells that rays (by number) take interest in from some t on.
        look: called for every cell that no leap passes over.
        is_outside_seen: whether cells outside the raster are looked at too; otherwise walks end there.
    """
    per_cell = 1.0 / cells.cell_m
    gaps, per_layer = cells.gaps.reshape(-1), cells.gaps[0].numel()
    count = len(rays.ox)
    out = torch.zeros((5, count), dtype=torch.int64, device=rays.ox.device)
    lengths = torch.stack([rays.ox, rays.oy, rays.dx, rays.dy, span[1], span[0]])
    places = torch.stack([torch.arange(count, device=rays.ox.device), *start, torch.full_like(start[0], AT_START)])
    while places.shape[1] > FEW:
        ox, oy, dx, dy, t_end, t = lengths
        ray, i, j, axis = places
        gap = torch.where(cells.is_inside(i, j), gaps[layer(ray, t) * per_layer + cells.flat(i, j)].long(), 0)
        next_x = crossing(cells.low_x, cells.cell_m, i, ox, dx)
        next_y = crossing(cells.low_y, cells.cell_m, j, oy, dy)
        t_next = torch.minimum(next_x, next_y)
        cells_per_t = torch.maximum(dx.abs(), dy.abs()) * per_cell
        is_end, is_end_close = t_next >= t_end, (t_next - t_end).abs() * cells_per_t < TIE
        looked = look(
            Visit(
                ray=ray,
                i=i,
                j=j,
                gap=gap,
                t_in=t,
                t_out=torch.minimum(t_next, t_end),
                is_start=axis == AT_START,
                is_end=is_end & ~is_end_close,
            )
        )
        is_x = next_x < next_y
        i_next = i + torch.where(is_x, torch.where(dx > 0.0, 1, -1), 0)
        j_next = j + torch.where(is_x, 0, torch.where(dy > 0.0, 1, -1))
        is_leaving = ~cells.is_inside(i_next, j_next)
        matters = is_outside_seen | ~is_leaving
        is_close = matters & is_end_close
        is_close |= ~is_end & ((next_x - next_y).abs() * cells_per_t < TIE)
        # With nothing within two cells it does not matter which comes first.
        is_unsure = looked.is_unsure | (~looked.is_stopped & is_close & (gap <= 1))
        t_leap = t + (gap.double() - 1.01) / cells_per_t
        leaps = (gap > 1) & (t_leap > t_next)
        land_x = (ox + t_leap * dx - cells.low_x) * per_cell
        land_y = (oy + t_leap * dy - cells.low_y) * per_cell
        # Along an edge a ray changes sides at a t that rounding decides.
        is_unsure |= leaps & (t_leap < t_end) & (is_near_whole(land_x) | is_near_whole(land_y))
        is_over = is_end | (leaps & (t_leap >= t_end)) | (~matters & ~leaps)
        state = torch.where(is_unsure, UNSURE, torch.where(looked.is_stopped, STOPPED, MISS))
        out[:, ray] = torch.stack([state, i, j, looked.level, axis])
        keep = ~(is_unsure | looked.is_stopped | is_over)
        i_next = torch.where(leaps, whole(land_x), i_next)
        j_next = torch.where(leaps, whole(land_y), j_next)
        lengths = torch.stack([ox, oy, dx, dy, t_end, torch.where(leaps, t_leap, t_next)])[:, keep]
        places = torch.stack([ray, i_next, j_next, torch.where(leaps, LEAPT, torch.where(is_x, 0, 1))])[:, keep]
    out[0, places[0]] = UNSURE
    state, i, j, level, axis = out
    return Walked(state=state, i=i, j=j, level=level, axis=axis)


def edge_t(cells: Cells, rays: Rays, *, start: tuple[Tensor, Tensor], walked: Walked) -> Tensor:
    """Return t at the edge over which each ray entered its last cell, added up as a walk does, to the bit."""
    is_x = walked.axis == 0
    first = torch.where(
        is_x,
        crossing(cells.low_x, cells.cell_m, start[0], rays.ox, rays.dx),
        crossing(cells.low_y, cells.cell_m, start[1], rays.oy, rays.dy),
    )
    # A number over a tensor would be multiplied by the reciprocal, which rounds otherwise.
    step = torch.full_like(rays.dx, cells.cell_m) / torch.where(is_x, rays.dx, rays.dy).abs()
    adds = torch.where(is_x, (walked.i - start[0]).abs(), (walked.j - start[1]).abs()) - 1
    return add_up(first, step, torch.where(walked.axis < 2, adds, 0).double())
