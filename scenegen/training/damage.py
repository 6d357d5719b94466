"""Faults that a rollout's own history may have, put on true frames so that they look familiar."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def damage_history(carried: Float[Tensor, "B 4 H W"], *, drop_share: float) -> Float[Tensor, "B 4 H W"]:
    """Drop, blur, tint, roughen or punch carried frames (rgb and validity), each in a share of the windows."""
    batch, _, height, width = carried.shape
    rgb, valid = carried[:, :3], carried[:, 3:]

    def draw() -> Tensor:
        return torch.rand(batch, 1, 1, 1, device=carried.device)

    blurred = functional.avg_pool2d(functional.pad(rgb, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    rgb = rgb + draw() * (draw() < 0.4) * (blurred - rgb)
    tint = (draw() < 0.5).float()
    rgb = rgb * (1.0 + 0.15 * tint * torch.randn(batch, 3, 1, 1, device=carried.device))
    rgb = rgb + 0.08 * tint * torch.randn(batch, 3, 1, 1, device=carried.device)
    rgb = rgb + 0.15 * draw() * (draw() < 0.4) * torch.randn_like(rgb)
    coarse = (torch.rand(batch, 1, -(-height // 8), -(-width // 8), device=carried.device) > 0.15).float()
    holes = functional.interpolate(coarse, size=(height, width), mode="nearest")
    punched = torch.where(draw() < 0.3, holes, torch.ones_like(holes))
    valid = valid * punched * (draw() >= drop_share)
    return torch.cat([rgb * valid, valid], dim=1)
