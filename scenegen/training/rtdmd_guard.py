"""What is measured on held-out windows while a student trains: the judge's view, the rewards', and diversity.

Rewards go up whatever happens; the judge of `scenegen eval`, which is no reward, tells whether pictures really got
better, and the gap between both whether the rewards are being pleased instead. Diversity is the mean distance between
draws under the same conditions, relative to the teacher's at 50 Euler steps, in deep features of the judge compared
place by place (as in LPIPS, Zhang et al., 2018, arXiv 1801.03924). A student that forgets chance scores 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from scenegen.checks.judge import Judge, judge_planes
from scenegen.diffusion.sampler import Sampler
from scenegen.errors import TrainingError
from scenegen.training.judge_crops import AgentTable
from scenegen.training.reward_network import RewardNetwork
from scenegen.training.rewards import RewardTruth, layout_agreement, read_truth, temporal_agreement
from scenegen.training.rollout import NUM_VIEWS, clip_partners
from scenegen.training.rtdmd_moments import Moment
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import half_width, read_windows, sample_clip
from scenegen.types import random_generator
from scenegen.video.backbones.native import TEMPERATURE
from scenegen.video.history import HISTORY_KEEP, contract_history
from scenegen.video.network import VideoNetwork

NUM_CLIPS = 6
NUM_DRAWS = 3
REFERENCE = Sampler(name="euler", steps=50)
"""How the teacher paints what the student is held against."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What was measured, per moment of two views.

    Attributes:
        judge_layout: layout agreement as `rewards.layout_agreement`, by the judge.
        reward_layout: the same by the reward network; None where there is none.
        temporal: agreement with the true frame before.
        distance: mean distance between draws.
    """

    judge_layout: Float[Tensor, " M"]
    reward_layout: Float[Tensor, " M"] | None
    temporal: Float[Tensor, " M"]
    distance: Float[Tensor, " M"]


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Moments to measure on, with their true past as history, so that conditions are the same for every model."""

    moment: Moment
    truth: RewardTruth
    seed: int


def open_held_out(
    cache: WindowCache, table: AgentTable, *, encoder: VideoNetwork, seed: int, num_clips: int = NUM_CLIPS
) -> HeldOut:
    """Pick moments spread over the cache, always the same for a seed."""
    generator = random_generator(seed, "rtdmd-held-out", stage="windows")
    width = half_width(cache)
    picks: list[tuple[int, int, int]] = []
    for _ in range(num_clips):
        picks += sample_clip(cache, generator, num_steps=2, crop_width=width)[1::2]
    windows = read_windows(cache, picks, crop_width=width, num_noise=0)
    with torch.no_grad():
        conditions = encoder.encode(windows.planes.contiguous(memory_format=torch.channels_last), windows.style)
    seen = contract_history(windows.carried, conditions.base, keep=HISTORY_KEEP)
    moment = Moment(
        windows=windows,
        conditions=conditions,
        carried=windows.carried,
        seen=seen.contiguous(memory_format=torch.channels_last),
        partners=clip_partners(windows, num_steps=1),
        stack=windows.noise,
    )
    return HeldOut(moment=moment, truth=read_truth(cache, table, picks, crop_width=width), seed=seed)


@torch.no_grad()
def draw_frames(network: VideoNetwork, held: HeldOut, *, sampler: Sampler, draw: int) -> Float[Tensor, "B 3 H W"]:
    """Paint the moments from noise of one's own, at the temperature in use."""
    generator = torch.Generator().manual_seed(held.seed * 1000 + draw)
    _, _, height, width = held.moment.carried.shape
    stack = TEMPERATURE * torch.randn(len(held.moment), sampler.num_noise, height, width, generator=generator)

    def predict(x: Tensor, t: Tensor, k: int) -> Tensor:
        return held.moment.draw_clean(network, x, t, sampler.fresh_noise(stack, k))

    return sampler.sample(predict, stack).clamp(-1.0, 1.0)


@torch.no_grad()
def measure(
    network: VideoNetwork, held: HeldOut, *, sampler: Sampler, judge: Judge, rewards: RewardNetwork | None
) -> Measurement:
    """Paint a few draws of every moment and measure them."""
    rays = held.moment.windows.ray_world.float()
    draws = [draw_frames(network, held, sampler=sampler, draw=draw) for draw in range(NUM_DRAWS)]
    features = [judge.encode(judge_planes(frames, rays)) for frames in draws]
    pairs = [feature_distance(a, b) for a, b in combinations(features, 2)]
    first = draws[0]
    by_judge = layout_agreement(judge(judge_planes(first, rays)).scores.float(), held.truth.labels)
    by_rewards = None if rewards is None else layout_agreement(rewards(first).scores, held.truth.labels)
    return Measurement(
        judge_layout=_by_moment(by_judge),
        reward_layout=None if by_rewards is None else _by_moment(by_rewards),
        temporal=_by_moment(temporal_agreement(first, held.moment.carried)),
        distance=_by_moment(torch.stack(pairs).mean(dim=0)),
    )


def feature_distance(one: list[Tensor], other: list[Tensor]) -> Float[Tensor, " B"]:
    """Return the mean distance of feature vectors of unit length, place by place, averaged over scales."""
    parts = [
        (functional.normalize(a, dim=1) - functional.normalize(b, dim=1)).norm(dim=1).mean(dim=(1, 2))
        for a, b in zip(one, other, strict=True)
    ]
    return torch.stack(parts).mean(dim=0)


def compare(student: Measurement, teacher: Measurement) -> dict[str, float]:
    """Return the figures of a log line."""
    figures = {
        "held_out_judge_layout": float(student.judge_layout.mean()),
        "held_out_judge_layout_teacher": float(teacher.judge_layout.mean()),
        "held_out_temporal": float(student.temporal.mean()),
        "held_out_temporal_teacher": float(teacher.temporal.mean()),
        "diversity": float(student.distance.mean() / teacher.distance.mean()),
    }
    if student.reward_layout is not None and teacher.reward_layout is not None:
        gained = student.reward_layout.mean() - teacher.reward_layout.mean()
        figures["held_out_reward_layout"] = float(student.reward_layout.mean())
        figures["held_out_reward_layout_teacher"] = float(teacher.reward_layout.mean())
        figures["reward_judge_gap"] = float(gained - (student.judge_layout.mean() - teacher.judge_layout.mean()))
    return figures


def diversity_error(diversity: float, *, least: float, step: int) -> TrainingError:
    """Say that draws under the same conditions became too much alike."""
    return TrainingError(
        f"draws at least {least:.2f} as far apart as the teacher's",
        found=f"{diversity:.2f}",
        where=f"step {step}",
        fix="raise recipe.rtdmd.distribution_weight or lower the weights of the rewards; guard=warn goes on",
    )


def _by_moment(values: Float[Tensor, " B"]) -> Float[Tensor, " M"]:
    count = NUM_VIEWS if len(values) % NUM_VIEWS == 0 else 1
    return values.view(-1, count).mean(dim=1)
