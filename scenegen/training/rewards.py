"""Rewards of `recipe=rtdmd`: does a picture obey its layout, do pictures agree? A number per picture, more is better.

- layout: the probability that the reward network gives each pixel's true class, averaged by class. Differentiable.
- agents: found agents against true ones, 2 hits / (asked + reported). Counted, so not differentiable.
- temporal: minus the change along exact motion since the frame before. Differentiable.
- cross_view: minus the difference between two views where they show the same surface. Differentiable.

The last two alone are best for a blur; distribution matching and the diversity guard stand against that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from scenegen.checks.classes import AGENT_KINDS, JudgeClass, judge_labels
from scenegen.checks.judge_targets import FoundAgents, TrueAgents, match_agents
from scenegen.training.judge_crops import AgentTable
from scenegen.training.reward_network import CELL_PX, RewardMaps
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import Windows

REWARDS = ("layout", "agents", "temporal", "cross_view")
DIFFERENTIABLE = ("layout", "temporal", "cross_view")
MIN_SCORE = 0.35
"""An agent counts as found from this heat on."""
MIN_CLASS_PX = 30
"""A class counts in a picture from this many pixels on."""
STRIDE_PX = 3
"""Distance between the pixels that are looked for in the other view."""
DEPTH_TOLERANCE = 0.03


@dataclass(frozen=True, kw_only=True)
class RewardTruth:
    """What pictures should show.

    Attributes:
        labels: `JudgeClass` of every pixel.
        agents: of each picture, in its own pixels.
    """

    labels: Int[Tensor, "B H W"]
    agents: tuple[TrueAgents, ...]

    def repeat(self, times: int) -> RewardTruth:
        """Return the truth of rollouts stacked after one another."""
        return RewardTruth(labels=self.labels.repeat(times, 1, 1), agents=self.agents * times)


@dataclass(frozen=True, kw_only=True)
class SamePoints:
    """Pixels of pictures and those of others that show the same surface point, as indices into (B H W)."""

    here: Int[Tensor, " P"]
    there: Int[Tensor, " P"]


def read_truth(
    cache: WindowCache, table: AgentTable, picks: list[tuple[int, int, int]], *, crop_width: int
) -> RewardTruth:
    """Read what the windows (entry, view, left column) of `picks` should show."""
    views = cache.pixels["material"].shape[1]
    labels, agents = [], []
    for n, v, left in picks:
        crop = slice(left, left + crop_width)
        labels.append(judge_labels(*(cache.pixels[name][n, v][:, crop] for name in ("semantic", "material"))))
        whole = table.of_frame(n * views + v)
        inside = (whole.center_px[:, 0] >= left) & (whole.center_px[:, 0] < left + crop_width)
        part = whole.select(inside)
        fields = {name: getattr(part, name) for name in TrueAgents.__dataclass_fields__}
        agents.append(TrueAgents(**{**fields, "center_px": part.center_px - np.array([left, 0], np.float32)}))
    return RewardTruth(labels=torch.from_numpy(np.stack(labels)).long(), agents=tuple(agents))


def layout_agreement(scores: Float[Tensor, "B K H W"], labels: Int[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Return the mean probability of the true class, averaged over the classes of each picture."""
    probability = scores.softmax(1).gather(1, labels[:, None])[:, 0].flatten(1)
    member = functional.one_hot(labels.flatten(1), len(JudgeClass)).to(probability.dtype)
    count = member.sum(dim=1)
    mean = (probability[..., None] * member).sum(dim=1) / count.clamp(min=1.0)
    present = (count >= MIN_CLASS_PX).to(mean.dtype)
    return (mean * present).sum(dim=1) / present.sum(dim=1).clamp(min=1.0)


@torch.no_grad()
def agent_agreement(heat: Float[Tensor, "B A H2 W2"], agents: tuple[TrueAgents, ...]) -> Float[Tensor, " B"]:
    """Return 2 hits / (asked + reported) of each picture; 1 where there is nothing to find and nothing is reported."""
    score = heat.sigmoid()
    peak = (score == functional.max_pool2d(score, 3, stride=1, padding=1)) & (score >= MIN_SCORE)
    values = []
    for b, truth in enumerate(agents):
        kind, row, column = (index.numpy() for index in peak[b].nonzero(as_tuple=True))
        found = FoundAgents(
            kind=np.array(AGENT_KINDS, np.uint8)[kind],
            center_px=(np.stack([column, row], axis=1) * CELL_PX + CELL_PX / 2).astype(np.float32),
            range_m=np.ones(len(kind), np.float32),
            score=score[b][peak[b]].numpy(),
        )
        match = match_agents(found, truth)
        hits = int(((match.found_of_true >= 0) & truth.is_asked).sum())
        counted = int(truth.is_asked.sum()) + hits + int(match.is_false.sum())
        values.append(2.0 * hits / counted if counted else 1.0)
    return torch.tensor(values)


def temporal_agreement(frames: Float[Tensor, "B 3 H W"], carried: Float[Tensor, "B 4 H W"]) -> Float[Tensor, " B"]:
    """Return minus the mean change of the pixels that have a past; 0 where none has."""
    valid = carried[:, 3]
    change = (frames - carried[:, :3]).abs().mean(dim=1)
    return -(valid * change).sum(dim=(1, 2)) / valid.sum(dim=(1, 2)).clamp(min=1.0)


def cross_view_agreement(frames: Float[Tensor, "B 3 H W"], points: SamePoints) -> Float[Tensor, " B"]:
    """Return minus the mean difference to other views; 0 for pictures without common points."""
    flat = frames.permute(0, 2, 3, 1).reshape(-1, 3)
    difference = (flat[points.here] - flat[points.there]).abs().mean(dim=1)
    owner = points.here // (frames.shape[-2] * frames.shape[-1])
    total = torch.zeros(len(frames)).index_add(0, owner, difference)
    count = torch.zeros(len(frames)).index_add(0, owner, torch.ones_like(difference))
    return -total / count.clamp(min=1.0)


@torch.no_grad()
def find_same_points(windows: Windows, *, num_views: int) -> SamePoints:
    """Find pixels that show the same surface point in pictures of one moment, `num_views` at a time.

    The pixel of the other view is the one whose viewing ray is nearest to the direction of the point.
    """
    batch, height, width = windows.depth_m.shape
    rows, columns = torch.arange(0, height, STRIDE_PX), torch.arange(0, width, STRIDE_PX)
    own = (rows[:, None] * width + columns[None]).flatten()
    here: list[Tensor] = []
    there: list[Tensor] = []
    for b in range(batch):
        first = b // num_views * num_views
        for other in range(first, first + num_views):
            if other == b:
                continue
            ray = windows.ray_world[other].reshape(-1, 3).float()
            center = windows.world_from_cam[other, :3, 3].float()
            offset = windows.point_world_m[b].reshape(-1, 3)[own].float() - center
            distance = offset.norm(dim=1)
            nearness, pixel = (functional.normalize(offset, dim=1) @ ray.T).max(dim=1)
            pixel_size = (windows.ray_world[other, :, 1:] - windows.ray_world[other, :, :-1]).norm(dim=-1).median()
            range_there = (windows.point_world_m[other].reshape(-1, 3)[pixel].float() - center).norm(dim=1)
            good = windows.depth_m[b].flatten()[own].isfinite() & windows.depth_m[other].flatten()[pixel].isfinite()
            good &= (2.0 - 2.0 * nearness).clamp(min=0.0).sqrt() < 0.75 * pixel_size
            good &= (range_there - distance).abs() < DEPTH_TOLERANCE * distance
            good &= windows.code[b].flatten()[own] == windows.code[other].flatten()[pixel]
            here.append(b * height * width + own[good])
            there.append(other * height * width + pixel[good])
    return SamePoints(here=torch.cat(here), there=torch.cat(there)) if here else SamePoints(here=own[:0], there=own[:0])


def repeat_points(points: SamePoints, *, times: int, num_pixels: int) -> SamePoints:
    """Return the points of rollouts stacked after one another; `num_pixels` is B H W of one of them."""
    shift = num_pixels * torch.arange(times)[:, None]
    return SamePoints(here=(points.here[None] + shift).flatten(), there=(points.there[None] + shift).flatten())


def score_frames(
    frames: Float[Tensor, "B 3 H W"],
    maps: RewardMaps,
    *,
    truth: RewardTruth,
    carried: Float[Tensor, "B 4 H W"],
    points: SamePoints,
) -> dict[str, Float[Tensor, " B"]]:
    """Return every reward of every picture; those of DIFFERENTIABLE with a graph where `frames` has one."""
    return {
        "layout": layout_agreement(maps.scores, truth.labels),
        "agents": agent_agreement(maps.heat.detach(), truth.agents),
        "temporal": temporal_agreement(frames, carried),
        "cross_view": cross_view_agreement(frames, points),
    }
