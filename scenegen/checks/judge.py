"""The judge: a network that sees pixels and the calibration only, and never the scene. Never a training reward.

It names a class and a distance for every pixel and finds agents one by one. It is trained on preview renders of
other worlds, shares nothing with the generator, and counts only as far as it is good on ground-truth renders itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.nn import functional

from scenegen.checks.classes import AGENT_KINDS, JudgeClass
from scenegen.checks.judge_targets import FoundAgents
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.weight_file import read_weights

SHIPPED_JUDGE = Path(__file__).parent.parent / "weights" / "judge.safetensors"
FOUND_SCORE = (0.35, 0.35, 0.5, 0.45)
"""An agent counts as found from this score on, per kind of `AGENT_KINDS`; set on training worlds (weights/judge.md)."""
STRIDE = 2
"""Pixels per cell of the maps of agent centres."""
LOG_RANGE_MIDDLE = math.log(15.0)
"""Networks predict the logarithm of a distance in metres less this."""
FRAMES_PER_BATCH = 12
FEATURE_SIZE = 128


@dataclass(frozen=True, kw_only=True)
class JudgeMaps:
    """What the network returns for B images.

    Attributes:
        scores: of every `JudgeClass`, before the softmax.
        log_range: of every pixel, less LOG_RANGE_MIDDLE; sky has none.
        heat: of every kind of `AGENT_KINDS`, before the sigmoid.
        offset_px: from the middle of the cell to the agent's centre, in pixels of the image (x, y).
        center_log_range: of the agent's centre, less LOG_RANGE_MIDDLE.
    """

    scores: Float[Tensor, "B K H W"]
    log_range: Float[Tensor, "B H W"]
    heat: Float[Tensor, "B A H2 W2"]
    offset_px: Float[Tensor, "B 2 H2 W2"]
    center_log_range: Float[Tensor, "B H2 W2"]

    def float(self) -> JudgeMaps:
        """Return the same in single precision."""
        return JudgeMaps(**{name: getattr(self, name).float() for name in JudgeMaps.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a judge says of N frames.

    Attributes:
        labels: `JudgeClass` of every pixel.
        range_m: distance of every pixel along its ray; meaningless where `labels` is sky.
        agents: of every frame, those with enough score.
    """

    labels: UInt8[np.ndarray, "N H W"]
    range_m: Float32[np.ndarray, "N H W"]
    agents: tuple[FoundAgents, ...]


def _convolution(num_in: int, num_out: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(num_in, num_out, size, stride=stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(num_out),
        nn.SiLU(),
    )


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(channels, channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(x + self.body(x))


class Judge(nn.Module):
    """A small U-Net at half resolution with a full-resolution finish for pixels, and a head for agents' centres.

    Source: U-Net, Ronneberger et al. 2015; agents as points, Zhou et al. 2019 (CenterNet, arXiv 1904.07850).
    """

    def __init__(self) -> None:
        super().__init__()
        self.fine = _convolution(5, 16)
        self.to_half = nn.Sequential(_convolution(20, 48), _Block(48))
        self.quarter = nn.Sequential(_convolution(48, 80, stride=2), _Block(80))
        self.eighth = nn.Sequential(_convolution(80, 112, stride=2), _Block(112))
        self.sixteenth = _convolution(112, FEATURE_SIZE, stride=2)
        self.deep = nn.Sequential(_Block(FEATURE_SIZE), _Block(FEATURE_SIZE))
        self.join_eighth = nn.Sequential(_convolution(FEATURE_SIZE + 112, 112, size=1), _Block(112))
        self.join_quarter = nn.Sequential(_convolution(112 + 80, 80, size=1), _Block(80))
        self.join_half = nn.Sequential(_convolution(80 + 48, 48, size=1), _Block(48))
        self.spread = nn.Conv2d(48, 16 * STRIDE * STRIDE, 1)
        self.pixels = nn.Sequential(_convolution(32, 32), nn.Conv2d(32, len(JudgeClass) + 1, 1))
        self.centers = nn.Sequential(_convolution(48, 40), nn.Conv2d(40, len(AGENT_KINDS) + 3, 1))
        last = self.centers[-1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        # Agents are rare: start from a score of 0.1 (CenterNet, section 5).
        nn.init.constant_(last.bias[: len(AGENT_KINDS)], -2.19)

    def encode(self, planes: Float[Tensor, "B 5 H W"]) -> list[Tensor]:
        """Return features at 1/2, 1/4, 1/8 and 1/16 of the resolution."""
        half = self.to_half(functional.pixel_unshuffle(planes, STRIDE))
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        return [half, quarter, eighth, self.deep(self.sixteenth(eighth))]

    def forward(self, planes: Float[Tensor, "B 5 H W"]) -> JudgeMaps:
        """Judge `judge_planes` of even height and width."""
        half, quarter, eighth, deep = self.encode(planes)
        eighth = self.join_eighth(torch.cat([_grow(deep, eighth), eighth], dim=1))
        quarter = self.join_quarter(torch.cat([_grow(eighth, quarter), quarter], dim=1))
        half = self.join_half(torch.cat([_grow(quarter, half), half], dim=1))
        spread = functional.silu(functional.pixel_shuffle(self.spread(half), STRIDE))
        pixels = self.pixels(torch.cat([spread, self.fine(planes)], dim=1))
        centers = self.centers(half)
        num = len(AGENT_KINDS)
        return JudgeMaps(
            scores=pixels[:, :-1],
            log_range=pixels[:, -1],
            heat=centers[:, :num],
            offset_px=centers[:, num : num + 2],
            center_log_range=centers[:, num + 2],
        )


def _grow(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def judge_planes(rgb: Float[Tensor, "B 3 H W"], ray_ego: Float[Tensor, "B H W 3"]) -> Float[Tensor, "B 5 H W"]:
    """Join frames in -1..1 with what the calibration says of each pixel.

    That is the sine of its elevation and the logarithm of its angular size; a turn of the camera about the
    vertical changes neither.
    """
    steps = (ray_ego[:, :, 1:] - ray_ego[:, :, :-1]).norm(dim=-1)
    steps = torch.cat([steps, steps[:, :, -1:]], dim=2)
    # The bounds keep pixels outside a lens's circle, whose rays are zero, within reach of what was trained on.
    size = ((steps.clamp(min=1e-6).log() + 5.0) * 2.0).clamp(-3.0, 3.0)
    planes = torch.cat([rgb, 3.0 * ray_ego[..., 2][:, None], size[:, None]], dim=1)
    return planes.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def judge_frames(
    judge: Judge,
    frames: UInt8[np.ndarray, "N H W 3"],
    *,
    ray_ego: Float32[np.ndarray, "N H W 3"],
    min_score: tuple[float, ...] = FOUND_SCORE,
) -> Verdict:
    """Judge frames, given the unit viewing direction of each pixel in the ego frame (`rig_rays_ego`)."""
    labels, ranges, agents = [], [], []
    height, width = frames.shape[1:3]
    for start in range(0, len(frames), FRAMES_PER_BATCH):
        part = slice(start, start + FRAMES_PER_BATCH)
        maps = judge(_planes_of_frames(frames[part], ray_ego[part]))
        labels.append(maps.scores.argmax(1).to(torch.uint8))
        ranges.append((maps.log_range + LOG_RANGE_MIDDLE).exp())
        agents += decode_centers(maps, min_score=min_score)
    return Verdict(
        labels=torch.cat(labels).numpy()[:, :height, :width],
        range_m=torch.cat(ranges).numpy()[:, :height, :width],
        agents=tuple(agents),
    )


@torch.no_grad()
def judge_features(
    judge: Judge, frames: UInt8[np.ndarray, "N H W 3"], *, ray_ego: Float32[np.ndarray, "N H W 3"]
) -> Float32[np.ndarray, "N F"]:
    """Return the deepest features of each frame, averaged over the image: what a Frechet distance compares."""
    parts = []
    for start in range(0, len(frames), FRAMES_PER_BATCH):
        part = slice(start, start + FRAMES_PER_BATCH)
        parts.append(judge.encode(_planes_of_frames(frames[part], ray_ego[part]))[-1].mean(dim=(2, 3)))
    return torch.cat(parts).numpy()


def _planes_of_frames(frames: np.ndarray, ray_ego: np.ndarray) -> Tensor:
    """Turn frames into planes; an odd last row or column is repeated, as the network needs even sizes."""
    rgb = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    planes = judge_planes(rgb, torch.from_numpy(np.ascontiguousarray(ray_ego)))
    height, width = planes.shape[-2:]
    return functional.pad(planes, (0, width % STRIDE, 0, height % STRIDE), mode="replicate")


def decode_centers(maps: JudgeMaps, *, min_score: tuple[float, ...]) -> list[FoundAgents]:
    """Read agents off the maps: cells whose score is the highest of its 3x3 neighbours, and at least `min_score`.

    Source: CenterNet (arXiv 1904.07850), section 4.
    """
    score = maps.heat.sigmoid()
    peak = (score == functional.max_pool2d(score, 3, stride=1, padding=1)) & (
        score >= score.new_tensor(min_score)[None, :, None, None]
    )
    kinds = np.array(AGENT_KINDS, np.uint8)
    found = []
    for b in range(len(score)):
        kind, row, column = peak[b].nonzero(as_tuple=True)
        middle = torch.stack([column, row], dim=-1) * STRIDE + STRIDE / 2.0
        found.append(
            FoundAgents(
                kind=kinds[kind.numpy()],
                center_px=(middle + maps.offset_px[b, :, row, column].T).float().numpy(),
                range_m=(maps.center_log_range[b, row, column] + LOG_RANGE_MIDDLE).exp().float().numpy(),
                score=score[b, kind, row, column].float().numpy(),
            )
        )
    return found


def load_judge(path: Path | None = None) -> Judge:
    """Load the weights of a judge, the shipped ones by default.

    Raises:
        WeightsError: the file is missing, damaged, or does not fit the network.
    """
    judge = Judge()
    counters = {name: value for name, value in judge.state_dict().items() if name.endswith("num_batches_tracked")}
    file = read_weights(path or SHIPPED_JUDGE, what="weights of the judge", fix="scenegen train recipe=judge")
    file.fill(judge, beside=counters)
    return channels_last(judge.eval().requires_grad_(False))
