"""`recipe=rtdmd`: a few-step student of the native network, by reward-tilted distribution matching. Resumable.

1. Cold start: AC-DMD. The student paints a moment by CPS; a random step's result is matched with the teacher's law at
   the levels above it. The fake score follows the student all the time, the student moves every few steps.
2. Reinforcement: the same, and the rewards' hybrid gradient (SubGRPO, and the last step's own).

Faithful to RTDMD (arXiv 2605.26108): CPS policy, sub-intervals, both losses, consistency term, SubGRPO, and the hybrid
gradient. Ours: the bridge kernel and variance-matching re-noise (`diffusion.consistency`, `diffusion.renoise`), a
teacher that draws x_0 (its estimate is the mean of a few draws) and has no guidance, pixels instead of latents, a
causal student under its own history, full weights of the denoiser instead of low-rank ones with the condition encoder
frozen, and the guard. All randomness hangs on (seed, step): the same bytes whether a run was interrupted or not.
"""

from __future__ import annotations

import json
import logging
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from scenegen.checks.judge import Judge, load_judge
from scenegen.config import RtdmdConfig, TrainConfig
from scenegen.diffusion.sampler import Sampler
from scenegen.errors import ConfigError, WeightsError
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.judge_crops import AgentTable, open_agent_table
from scenegen.training.report import TrainingReport
from scenegen.training.reward_network import RewardNetwork, load_reward_network
from scenegen.training.rewards import find_same_points, read_truth
from scenegen.training.rollout import NUM_VIEWS
from scenegen.training.rtdmd_guard import (
    REFERENCE,
    HeldOut,
    Measurement,
    compare,
    diversity_error,
    measure,
    open_held_out,
)
from scenegen.training.rtdmd_losses import (
    draw_step,
    fake_loss,
    group_points,
    matching_loss,
    num_pictures,
    renoise_result,
    reward_losses,
)
from scenegen.training.rtdmd_moments import PAST_SHARE, Clips, Moment, paint_moment, prepare_moment, read_clips
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import check_clips, half_width
from scenegen.types import random_generator, random_key
from scenegen.video.backbones.native import load_network, sampler_notes, save_network
from scenegen.video.build import SHIPPED_WEIGHTS
from scenegen.video.network import VideoNetwork

log = logging.getLogger(__name__)

WEIGHTS_NAME = "student.safetensors"
"""The weight file in the output folder."""
ENCODER = ("pixel", "style_in", "detail_block", "to_patches")
"""Parts of the network that encode conditions: the teacher's, for all."""
FAKE_FIRST_STEPS = 60
"""Steps that the fake score takes before the student moves."""
WARM_UP_STEPS = 20
EMA_DECAY = 0.98


@dataclass(kw_only=True)
class RtdmdRun:
    """Networks and optimizers of a run; the teacher and the reward network stay as they are."""

    teacher: VideoNetwork
    student: VideoNetwork
    average: VideoNetwork
    fake: VideoNetwork
    rewards: RewardNetwork | None
    optimizers: dict[str, torch.optim.AdamW]
    sampler: Sampler
    notes: dict[str, str]

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What a checkpoint holds."""
        return {"student": self.student, "average": self.average, "fake": self.fake}


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Held-out moments and what the teacher makes of them."""

    held: HeldOut
    judge: Judge
    teacher: Measurement


def train_rtdmd(config: TrainConfig) -> Path:
    """Train, resuming from the output folder's checkpoint; returns the student's weight file.

    Raises:
        ConfigError: rewards are needed and not named.
        DatasetError: the data set is not usable, or the windows belong to another one.
        WeightsError: teacher, student, rewards or checkpoint are missing, damaged, or of another size of network.
        TrainingError: diversity fell below what the guard allows.
    """
    rtdmd, folder = settings_of(config), Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    cache = open_window_cache(Path(config.data), Path(config.windows))
    check_clips(cache, num_steps=len(PAST_SHARE))
    run = start_run(config)
    first = load_checkpoint(folder, modules=run.modules, optimizers=run.optimizers)
    table = open_agent_table(Path(config.data), cache, folder / "agents.npz")
    guard = open_guard(run, config, cache, table)
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    weights, total = folder / WEIGHTS_NAME, config.recipe.steps
    try:
        for step in range(first, total):
            losses = train_step(run, cache, table, step=step, config=config)
            done = step + 1
            report.step_done(done, losses, total=total)
            if done % config.recipe.save_every_steps == 0 or done == total:
                save_checkpoint(folder, step=done, modules=run.modules, optimizers=run.optimizers)
                save_network(run.average, weights, notes={**run.notes, "training_steps": str(done)})
            if done % rtdmd.guard_every_steps == 0 or done == total:
                watch(run, guard, folder=folder, done=done, config=rtdmd)
    finally:
        report.close()
    return weights


def settings_of(config: TrainConfig) -> RtdmdConfig:
    """Return the settings of the recipe.

    Raises:
        ConfigError: rewards are needed and not named.
    """
    rtdmd = config.recipe.rtdmd
    assert rtdmd is not None
    if config.recipe.steps > rtdmd.cold_start_steps and rtdmd.rewards is None:
        raise ConfigError(
            "weights of the reward network for stage 2",
            found="nothing",
            where="recipe.rtdmd.rewards",
            fix="make them with `scenegen train recipe=reward`, or end with stage 1: recipe.steps no more than "
            f"recipe.rtdmd.cold_start_steps={rtdmd.cold_start_steps}",
        )
    return rtdmd


def start_run(config: TrainConfig) -> RtdmdRun:
    """Load the networks and make the optimizers."""
    rtdmd = settings_of(config)
    path = SHIPPED_WEIGHTS if rtdmd.teacher is None else Path(rtdmd.teacher)
    teacher, sha256 = load_network(path)
    start = teacher
    if rtdmd.student is not None:
        start, _ = load_network(Path(rtdmd.student))
        if start.size != teacher.size:
            raise WeightsError(
                f"a student of its teacher's size, {teacher.size}", found=str(start.size), where=rtdmd.student
            )
    student, fake = deepcopy(start), deepcopy(teacher)
    optimizers = {
        "student": open_optimizer(student, config.recipe.learning_rate),
        "fake": open_optimizer(fake, rtdmd.fake_learning_rate),
    }
    sampler = Sampler(name="cps", steps=rtdmd.sampling_steps, eta=rtdmd.eta)
    return RtdmdRun(
        teacher=teacher,
        student=student,
        average=deepcopy(start),
        fake=fake,
        rewards=None if rtdmd.rewards is None else load_reward_network(Path(rtdmd.rewards)),
        optimizers=optimizers,
        sampler=sampler,
        notes={
            "seed": str(config.seed),
            "teacher_sha256": sha256,
            **sampler_notes(sampler),
        },
    )


def open_optimizer(network: VideoNetwork, learning_rate: float) -> torch.optim.AdamW:
    """Let the denoiser learn, and not the encoder of conditions."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.split(".")[0] not in ENCODER)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(learned, lr=learning_rate, betas=(0.9, 0.999), weight_decay=0.0)


def train_step(
    run: RtdmdRun, cache: WindowCache, table: AgentTable, *, step: int, config: TrainConfig
) -> dict[str, float]:
    """Do one step of the fake score and, where it is time, of the student."""
    rtdmd = settings_of(config)
    torch.manual_seed(random_key(config.seed, "train-rtdmd", step) % (1 << 63))
    generator = random_generator(config.seed, "train-rtdmd", stage="windows", chunk=step)
    clips = read_clips(
        cache,
        generator,
        batch_size=config.recipe.batch_size,
        sampler=run.sampler,
        num_pictures=num_pictures(rtdmd),
    )
    is_rewarded = step >= rtdmd.cold_start_steps
    is_matched = not is_rewarded or rtdmd.distribution_weight > 0.0
    losses: dict[str, float] = {}
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        moment = prepare_moment(clips, encoder=run.teacher, student=run.student, sampler=run.sampler)
        parts: list[Tensor] = []
        if is_matched:
            k = draw_step(run.sampler)
            painted = paint_moment(run.student, moment, sampler=run.sampler, num_steps=k + 1)
            renoised = renoise_result(moment, painted.levels[-1], k, sampler=run.sampler)
            loss, losses = fake_loss(
                run.fake, moment, renoised, t_k=run.sampler.levels[k + 1], sampler=run.sampler, config=rtdmd
            )
            take_step(run, "fake", loss, step=step, peak=rtdmd.fake_learning_rate)
        if is_matched and (is_rewarded or is_turn_of_student(step, rtdmd)):
            matching = matching_loss(
                run.student,
                run.teacher,
                run.fake,
                moment=moment,
                painted=painted,
                k=k,
                sampler=run.sampler,
                config=rtdmd,
            )
            losses["matching"] = float(matching.detach())
            parts.append((rtdmd.distribution_weight if is_rewarded else 1.0) * matching)
        if is_rewarded:
            loss, figures = reward_part(run, moment, clips, cache, table, config=rtdmd)
            parts.append(loss)
            losses |= figures
    if parts:
        take_step(run, "student", torch.stack(parts).sum(), step=step, peak=config.recipe.learning_rate)
        follow(run.average, run.student)
    return losses


def is_turn_of_student(step: int, config: RtdmdConfig) -> bool:
    """Say whether the student moves in a step of stage 1."""
    return step >= FAKE_FIRST_STEPS and step % config.generator_every == config.generator_every - 1


def reward_part(
    run: RtdmdRun, moment: Moment, clips: Clips, cache: WindowCache, table: AgentTable, *, config: RtdmdConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return the rewards' loss of a moment."""
    assert run.rewards is not None
    points = find_same_points(moment.windows, num_views=NUM_VIEWS)
    return reward_losses(
        run.student,
        run.rewards,
        moment,
        truth=read_truth(cache, table, clips.picks, crop_width=half_width(cache)),
        points=group_points(moment, points, group_size=config.group_size),
        sampler=run.sampler,
        config=config,
    )


def take_step(run: RtdmdRun, name: str, loss: Tensor, *, step: int, peak: float) -> None:
    """Move one network along its loss, at a constant rate after a short warm-up."""
    optimizer = run.optimizers[name]
    for group in optimizer.param_groups:
        group["lr"] = peak * min(1.0, (step + 1) / WARM_UP_STEPS)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()


@torch.no_grad()
def follow(average: VideoNetwork, student: VideoNetwork) -> None:
    """Move the averaged weights towards the student's."""
    for mean, value in zip(average.parameters(), student.parameters(), strict=True):
        mean.lerp_(value, 1.0 - EMA_DECAY)


def open_guard(run: RtdmdRun, config: TrainConfig, cache: WindowCache, table: AgentTable) -> Guard:
    """Pick held-out moments, of `held_out` or else of the data set itself, and let the teacher paint them."""
    folder = Path(config.output)
    if config.held_out is not None:
        cache = open_window_cache(Path(config.held_out), folder / "held_out_windows")
        table = open_agent_table(Path(config.held_out), cache, folder / "held_out_agents.npz")
    held = open_held_out(cache, table, encoder=run.teacher, seed=config.seed)
    judge = load_judge()
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        teacher = measure(run.teacher, held, sampler=REFERENCE, judge=judge, rewards=run.rewards)
    return Guard(held=held, judge=judge, teacher=teacher)


def watch(run: RtdmdRun, guard: Guard, *, folder: Path, done: int, config: RtdmdConfig) -> None:
    """Measure the averaged student, write it to the log, and stop or warn where diversity is too low.

    Raises:
        TrainingError: it is, and the guard is to stop.
    """
    student = measure(run.average, guard.held, sampler=run.sampler, judge=guard.judge, rewards=run.rewards)
    figures = compare(student, guard.teacher)
    line = {"step": done, **{name: round(value, 4) for name, value in figures.items()}}
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")
    log.info("%s", line)
    if figures["diversity"] < config.least_diversity:
        error = diversity_error(figures["diversity"], least=config.least_diversity, step=done)
        if config.guard == "stop":
            raise error
        log.warning("%s", error)
