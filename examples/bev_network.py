"""The grid that `train_bev.py` draws on, and the network that draws on it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import nn
from torch.nn import functional

CLASSES = ("drivable", "vehicle")
NUM_CELLS, CELL_M, EXTENT_M = 100, 0.8, 40.0
HEIGHTS_M = (0.0, 0.8, 1.6)
"""Where above the ground a cell looks for its features."""
NUM_RANGES, NEAREST_M, FARTHEST_M = 16, 3.0, 56.6
"""Distances that the network chooses among for every pixel, evenly spaced in their logarithm."""


class BevNetwork(nn.Module):
    """Pictures to maps. Half a million parameters."""

    def __init__(self, *, num_features: int = 16, width: int = 32) -> None:
        super().__init__()
        self.fine = nn.Sequential(*_layer(3, 16, stride=2), *_layer(16, 32, stride=2))
        self.coarse = nn.Sequential(
            *_layer(32, 64, stride=2), *_layer(64, 64, dilation=2), *_layer(64, 64, dilation=4), *_layer(64, 32)
        )
        self.features = nn.Conv2d(64, NUM_RANGES + num_features, 1)
        num_lifted = (2 * num_features + 1) * len(HEIGHTS_M)
        self.mix = nn.Sequential(nn.Conv2d(num_lifted + 2, width, 1), nn.ReLU())
        self.level1 = nn.Sequential(*_layer(width, width))
        self.level2 = nn.Sequential(*_layer(width, 2 * width, stride=2), *_layer(2 * width, 2 * width))
        self.level3 = nn.Sequential(
            *_layer(2 * width, 3 * width, stride=2),
            *_layer(3 * width, 3 * width, dilation=2),
            *_layer(3 * width, 3 * width, dilation=4),
        )
        self.narrow3, self.narrow2 = nn.Conv2d(3 * width, 2 * width, 1), nn.Conv2d(2 * width, width, 1)
        self.up2, self.up1 = nn.Sequential(*_layer(2 * width, 2 * width)), nn.Sequential(*_layer(width, width))
        self.head = nn.Conv2d(width, len(CLASSES), 1)
        middle = (torch.arange(NUM_CELLS) + 0.5) / (0.5 * NUM_CELLS) - 1.0
        x, y = torch.meshgrid(middle, middle, indexing="ij")
        self.register_buffer("position", torch.stack([x, y.abs()]))
        range_m = EXTENT_M * torch.hypot(x, y).clamp(min=NEAREST_M / EXTENT_M)
        level = (NUM_RANGES - 1) * torch.log(range_m / NEAREST_M) / np.log(FARTHEST_M / NEAREST_M)
        nearness = 1.0 - (level - torch.arange(NUM_RANGES)[:, None, None]).abs()
        self.register_buffer("is_range", nearness.clamp(min=0.0)[:, None])

    def forward(
        self, rgb: UInt8[torch.Tensor, "V 3 H W"], place: Float32[torch.Tensor, "V Z X Y 2"]
    ) -> Float[torch.Tensor, "2 X Y"]:
        """Return the logit of every cell; `place` says, in -1..1, where the grid's points lie in each picture."""
        fine = self.fine(rgb.float() / 127.5 - 1.0)
        features = self.features(torch.cat([fine, _resized(self.coarse(fine), fine)], dim=1))
        lifted = lift(features, place)
        # how much the picture speaks for something at just this distance
        chance = lifted[:NUM_RANGES].softmax(dim=0)
        agrees = NUM_RANGES * (chance * self.is_range).sum(dim=0, keepdim=True)
        plain = lifted[NUM_RANGES:]
        cells = torch.cat([torch.cat([plain, plain * agrees, agrees]).flatten(0, 1), self.position])
        level1 = self.level1(self.mix(cells[None]))
        level2 = self.level2(level1)
        level3 = self.level3(level2)
        level2 = self.up2(level2 + _resized(self.narrow3(level3), level2))
        level1 = self.up1(level1 + _resized(self.narrow2(level2), level1))
        logits: torch.Tensor = self.head(level1)[0]
        return logits


def lift(features: Float[torch.Tensor, "V F h w"], place: Float32[torch.Tensor, "V Z X Y 2"]) -> torch.Tensor:
    """Fetch the features (F Z X Y) of every point of the grid; the mean where several cameras see it."""
    num_features, num_points = features.shape[1], place[0, ..., 0].numel()
    total, count = torch.zeros(num_features, num_points), torch.zeros(num_points)
    for feature, uv in zip(features, place.flatten(1, 3), strict=True):
        seen = (uv.abs() <= 1.0).all(dim=-1).nonzero()[:, 0]
        fetched = functional.grid_sample(feature[None], uv[seen][None, None], align_corners=False)[0, :, 0]
        total = total.index_add(1, seen, fetched)
        count[seen] += 1.0
    return (total / count.clamp(min=1.0)).reshape(num_features, *place.shape[1:4])


def _resized(coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
    return functional.interpolate(coarse, size=fine.shape[-2:], mode="bilinear")


def _layer(num_in: int, num_out: int, *, stride: int = 1, dilation: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(num_in, num_out, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
    return [conv, nn.GroupNorm(8, num_out), nn.ReLU()]
