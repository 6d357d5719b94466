"""From uint8 pictures to what a network takes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, UInt8


@dataclass(frozen=True)
class Normalization:
    """Subtract a mean, divide by a deviation, per channel, on the scale 0..255.

    Attributes:
        mean: in the order of `channels`.
        std: likewise.
        channels: `rgb` or `bgr`: the order that the network sees.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: str

    def apply(self, picture: UInt8[np.ndarray, "H W 3"]) -> Float32[torch.Tensor, "3 H W"]:
        """Normalize one sRGB picture."""
        ordered = picture[..., ::-1] if self.channels == "bgr" else picture
        scaled = (ordered.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1)))

    def img_norm_cfg(self) -> dict[str, object]:
        """Return the same as the entry of mmdet's `img_metas`."""
        return {
            "mean": np.array(self.mean, np.float32),
            "std": np.array(self.std, np.float32),
            "to_rgb": self.channels == "rgb",
        }


IMAGENET_RGB = Normalization((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), "rgb")
"""Backbones of torchvision: BEVDet, FlashOCC, StreamPETR with ResNet, BEVFormer-tiny."""
CAFFE_BGR = Normalization((103.53, 116.28, 123.675), (1.0, 1.0, 1.0), "bgr")
"""Backbones of Detectron: BEVFormer-small and -base."""
