"""History is geometry: the previous frame, carried to where its surfaces are now."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

HISTORY_KEEP = 0.6
"""Share of the carried frame's difference from the expected colour that a step may see."""


@dataclass(frozen=True, kw_only=True)
class CarriedFrame:
    """The previous frame seen from now.

    Attributes:
        rgb: -1..1; zero where not valid.
        valid: 1 where the surface was seen in the previous frame of the same view.
    """

    rgb: Float[Tensor, "B 3 H W"]
    valid: Float[Tensor, "B 1 H W"]


def carry_forward(
    previous_rgb: Float[Tensor, "B 3 H W"],
    *,
    motion_px: Float[Tensor, "B H W 2"],
    code: Int[Tensor, "B H W"],
    previous_code: Int[Tensor, "B H W"],
) -> CarriedFrame:
    """Sample the previous frame where each surface point was.

    Args:
        previous_rgb: previous frame.
        motion_px: exact motion to the previous step; NaN where there is none.
        code: what each pixel shows now (instance and material).
        previous_code: what it showed then; a pixel is valid only where both agree.
    """
    batch, _, height, width = previous_rgb.shape
    device = previous_rgb.device
    rows = torch.arange(height, dtype=torch.float32, device=device) + 0.5
    columns = torch.arange(width, dtype=torch.float32, device=device) + 0.5
    v, u = torch.meshgrid(rows, columns, indexing="ij")
    u_then = u + motion_px[..., 0]
    v_then = v + motion_px[..., 1]
    known: Bool[Tensor, "B H W"] = torch.isfinite(u_then) & torch.isfinite(v_then)
    known = known & (u_then > 0) & (u_then < width) & (v_then > 0) & (v_then < height)
    u_then = torch.where(known, u_then, 0.5)
    v_then = torch.where(known, v_then, 0.5)
    column, line = u_then.long().clamp(0, width - 1), v_then.long().clamp(0, height - 1)
    then = previous_code[torch.arange(batch, device=code.device).view(-1, 1, 1), line, column]
    valid = (known & (then == code))[:, None].float()
    grid = torch.stack([2.0 * u_then / width - 1.0, 2.0 * v_then / height - 1.0], dim=-1)
    rgb = torch.nn.functional.grid_sample(
        previous_rgb, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return CarriedFrame(rgb=rgb * valid, valid=valid)


def no_history(batch: int, *, height: int, width: int) -> CarriedFrame:
    """Return what the network sees at the first step: nothing."""
    return CarriedFrame(rgb=torch.zeros(batch, 3, height, width), valid=torch.zeros(batch, 1, height, width))


def contract_history(
    carried: Float[Tensor, "B 4 H W"], expected: Float[Tensor, "B 3 H W"], *, keep: float | Tensor
) -> Float[Tensor, "B 4 H W"]:
    """Pull the carried frame (rgb and validity) towards the expected colour: a fault fades instead of feeding itself.

    Ours: without it, dark stains grow within seconds where the rig stands still and every pixel has a past.
    """
    rgb, valid = carried[:, :3], carried[:, 3:]
    return torch.cat([valid * (expected + keep * (rgb - expected)), valid], dim=1)
