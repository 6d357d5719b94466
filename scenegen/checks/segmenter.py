"""The judge of layout obedience: a segmenter that sees only pixels. Never a training reward.

Twelve classes that can be told apart in a picture; the finer Occ3D classes join their group. It is trained on
preview renders of other worlds, and counts only as far as it is good on ground-truth renders itself.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from scenegen.diffusion.memory import channels_last
from scenegen.errors import WeightsError
from scenegen.types import Material, Semantic

SHIPPED_JUDGE = Path(__file__).parent.parent / "weights" / "judge_segmenter.safetensors"


class JudgeClass(IntEnum):
    """What the judge tells apart."""

    SKY = 0
    ROAD = 1
    MARKING = 2
    SIDEWALK = 3
    TERRAIN = 4
    MANMADE = 5
    VEGETATION = 6
    CAR = 7
    LARGE_VEHICLE = 8
    TWO_WHEELER = 9
    PEDESTRIAN = 10
    TRAFFIC_OBJECT = 11


_OF_SEMANTIC = {
    Semantic.OTHERS: JudgeClass.TRAFFIC_OBJECT,
    Semantic.BARRIER: JudgeClass.TRAFFIC_OBJECT,
    Semantic.BICYCLE: JudgeClass.TWO_WHEELER,
    Semantic.BUS: JudgeClass.LARGE_VEHICLE,
    Semantic.CAR: JudgeClass.CAR,
    Semantic.CONSTRUCTION_VEHICLE: JudgeClass.LARGE_VEHICLE,
    Semantic.MOTORCYCLE: JudgeClass.TWO_WHEELER,
    Semantic.PEDESTRIAN: JudgeClass.PEDESTRIAN,
    Semantic.TRAFFIC_CONE: JudgeClass.TRAFFIC_OBJECT,
    Semantic.TRAILER: JudgeClass.LARGE_VEHICLE,
    Semantic.TRUCK: JudgeClass.LARGE_VEHICLE,
    Semantic.DRIVEABLE_SURFACE: JudgeClass.ROAD,
    Semantic.OTHER_FLAT: JudgeClass.ROAD,
    Semantic.SIDEWALK: JudgeClass.SIDEWALK,
    Semantic.TERRAIN: JudgeClass.TERRAIN,
    Semantic.MANMADE: JudgeClass.MANMADE,
    Semantic.VEGETATION: JudgeClass.VEGETATION,
    Semantic.FREE: JudgeClass.SKY,
}
_TABLE = np.array([_OF_SEMANTIC[Semantic(code)] for code in range(len(Semantic))], np.uint8)
_PAINT = (Material.MARKING_WHITE, Material.MARKING_YELLOW, Material.CROSSING)


def judge_labels(semantic: UInt8[np.ndarray, "*N"], material: UInt8[np.ndarray, "*N"]) -> UInt8[np.ndarray, "*N"]:
    """Return the judge's classes of condition maps: the truth it is held against."""
    labels = _TABLE[semantic]
    return np.where(np.isin(material, _PAINT), np.uint8(JudgeClass.MARKING), labels)


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(4, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(4, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(x + self.body(x))


class Segmenter(nn.Module):
    """A small U-Net; works at half resolution with a full-resolution finish."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 12, 3, padding=1)
        self.to_half = nn.Sequential(nn.Conv2d(12, 40, 3, padding=1), _Block(40))
        self.quarter = nn.Sequential(nn.Conv2d(40, 80, 3, stride=2, padding=1), _Block(80))
        self.eighth = nn.Sequential(nn.Conv2d(80, 112, 3, stride=2, padding=1), _Block(112))
        self.sixteenth = nn.Sequential(nn.Conv2d(112, 128, 3, stride=2, padding=1), _Block(128), _Block(128))
        self.join_eighth = nn.Sequential(nn.Conv2d(128 + 112, 112, 1), _Block(112))
        self.join_quarter = nn.Sequential(nn.Conv2d(112 + 80, 80, 1), _Block(80))
        self.join_half = nn.Sequential(nn.Conv2d(80 + 40, 40, 1), _Block(40))
        self.spread = nn.Conv2d(40, 24 * 4, 1)
        self.finish = nn.Sequential(nn.Conv2d(24 + 12, 32, 3, padding=1), nn.SiLU(), nn.Conv2d(32, len(JudgeClass), 1))

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B K H W"]:
        """Return class scores of frames in -1..1."""
        fine = functional.silu(self.fine(rgb))
        half = self.to_half(functional.pixel_unshuffle(rgb, 2))
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        deep = self.sixteenth(eighth)
        eighth = self.join_eighth(torch.cat([_grow(deep, eighth), eighth], dim=1))
        quarter = self.join_quarter(torch.cat([_grow(eighth, quarter), quarter], dim=1))
        half = self.join_half(torch.cat([_grow(quarter, half), half], dim=1))
        spread = functional.pixel_shuffle(self.spread(half), 2)
        return self.finish(torch.cat([functional.silu(spread), fine], dim=1))


def _grow(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


@torch.no_grad()
def segment_frames(judge: Segmenter, frames: UInt8[np.ndarray, "N H W 3"]) -> UInt8[np.ndarray, "N H W"]:
    """Return the most likely `JudgeClass` of every pixel."""
    rgb = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    parts = [judge(part.contiguous(memory_format=torch.channels_last)).argmax(1) for part in rgb.split(12)]
    return torch.cat(parts).to(torch.uint8).numpy()


def load_judge(path: Path = SHIPPED_JUDGE) -> Segmenter:
    """Load the judge's weights.

    Raises:
        WeightsError: the file is missing or does not fit.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise WeightsError(
            "the judge's weights", found="nothing", where=path.name, fix="scenegen train recipe=segmenter"
        )
    judge = Segmenter()
    try:
        judge.load_state_dict({name: value.float() for name, value in load_file(str(path)).items()})
    except RuntimeError as error:
        raise WeightsError("weights of the judge", found=str(error)[:200], where=str(path)) from error
    return channels_last(judge.eval().requires_grad_(False))
