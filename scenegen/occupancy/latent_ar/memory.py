"""Past frames, brought into the present ego frame: what the causal time attention sees."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional

from scenegen.geometry.rigid import invert_rigid
from scenegen.occupancy.latent_ar.network import PastFrames
from scenegen.types import OCC3D_GRID

HALF_M = -OCC3D_GRID.origin_m[0]
"""The ego frame reaches this far to every side."""
MOTION_UNIT_M = 10.0


def recall_past(
    latents: Float[Tensor, "T L h w"], world_from_ego: Float64[np.ndarray, "T 4 4"], *, step: int, reach: int
) -> PastFrames:
    """Return the `reach` clean frames before a step as that step sees them, for a batch of one.

    Latents of `step` itself and later are not read.
    """
    first = max(step - reach, 0)
    count, missing = step - first, reach - (step - first)
    height, width = latents.shape[2:]
    moved = latents.new_zeros(reach, latents.shape[1], height, width)
    seen = latents.new_zeros(reach, 1, height, width)
    motion = np.zeros(3)
    if count:
        then_from_now = np.stack([invert_rigid(world_from_ego[at]) @ world_from_ego[step] for at in range(first, step)])
        moved[missing:], seen[missing:] = move_cells(latents[first:step], then_from_now)
        last = then_from_now[-1]
        motion[:] = (*(last[:2, 3] / MOTION_UNIT_M), np.arctan2(last[1, 0], last[0, 0]))
    is_there = torch.arange(reach, device=latents.device) >= missing
    return PastFrames(
        latents=moved[None],
        seen=seen[None],
        is_there=is_there[None],
        motion=torch.as_tensor(motion, dtype=latents.dtype, device=latents.device)[None],
    )


def move_cells(
    cells: Float[Tensor, "N L h w"], then_from_now: Float64[np.ndarray, "N 4 4"]
) -> tuple[Float[Tensor, "N L h w"], Float[Tensor, "N 1 h w"]]:
    """Read frames at the places where the cells of another ego frame lie, between neighbours linearly.

    Returns the cells, zero outside of the earlier frame, and how much of each was inside.
    """
    height, width = cells.shape[2:]
    x, y = (HALF_M * ((np.arange(size) + 0.5) * 2.0 / size - 1.0) for size in (height, width))
    now_m = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    then_m = np.einsum("nab,hwb->nhwa", then_from_now[:, :2, :2], now_m) + then_from_now[:, None, None, :2, 3]
    places = torch.as_tensor(then_m[..., ::-1] / HALF_M, dtype=cells.dtype, device=cells.device)  # columns come first
    both = torch.cat([cells, cells.new_ones(len(cells), 1, height, width)], dim=1)
    read = functional.grid_sample(both, places, mode="bilinear", padding_mode="zeros", align_corners=False)
    return read[:, :-1], read[:, -1:]


def join_past(parts: list[PastFrames]) -> PastFrames:
    """Stack pasts of single steps into a batch."""
    return PastFrames(
        latents=torch.cat([part.latents for part in parts]),
        seen=torch.cat([part.seen for part in parts]),
        is_there=torch.cat([part.is_there for part in parts]),
        motion=torch.cat([part.motion for part in parts]),
    )
