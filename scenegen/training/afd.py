"""`recipe=afd`: bring a causal student nearer to a teacher that is known by its finished clips alone. Resumable.

In each step the network `old` paints clips under conditions that the teacher was given, each several times and each on
its own frames. A discriminator learns to tell them from the teacher's clips of the same conditions; what it says of a
rollout, against the other rollouts of its group, weighs the student's update on its own noised frames. `old` follows
the student, and the averaged student is what is written.

Source: AFD (Luo et al., 2026, arXiv 2605.26105). Ours: the discriminator's network, its view of changes along the exact
motion, weights per cell, the update of networks that draw x_0, clips instead of prompts. All randomness hangs on (seed,
step): an interrupted run makes the same bytes.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from scenegen.config import AfdConfig, TrainConfig
from scenegen.diffusion.paired_discriminator import pair_accuracy
from scenegen.training.afd_bench import cut_part, discriminator_loss, part_indices, weigh
from scenegen.training.afd_discriminator import ClipDiscriminator
from scenegen.training.afd_teacher import BlackBoxTeacher, StoredTeacher, check_clips_of_teacher
from scenegen.training.afd_update import draft_update, draw_anchors, noise_channels, roll_out, student_loss
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.report import TrainingReport
from scenegen.training.window_cache import open_window_cache
from scenegen.types import random_generator, random_key
from scenegen.video.backbones.native import load_network, save_network
from scenegen.video.build import SHIPPED_WEIGHTS
from scenegen.video.network import VideoNetwork

WEIGHTS_NAME = "native.safetensors"
"""The weight file in the output folder."""
AVERAGE_DECAY = 0.99
LEAST_GRADIENT = 1e-5
"""Adam's epsilon for the student. Weights of a half leave rounding errors as gradients; by the usual 1e-8 they would be
full steps."""


@dataclass(kw_only=True)
class AfdRun:
    """Everything of a run that changes, and the student it started from."""

    student: VideoNetwork
    old: VideoNetwork
    average: VideoNetwork
    reference: VideoNetwork
    discriminator: ClipDiscriminator
    student_optimizer: torch.optim.AdamW
    discriminator_optimizer: torch.optim.Adam

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The networks, by their names in a checkpoint."""
        return {
            "student": self.student,
            "old": self.old,
            "average": self.average,
            "reference": self.reference,
            "discriminator": self.discriminator,
        }

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizers, likewise."""
        return {"student": self.student_optimizer, "discriminator": self.discriminator_optimizer}


def train_afd(config: TrainConfig) -> Path:
    """Train, resuming from the output folder's checkpoint; returns the weight file.

    Raises:
        DatasetError: the teacher's clips are missing, of another rate, size or rig, or too short.
        WeightsError: the student is missing or of another architecture, or the checkpoint belongs to another student.
    """
    settings = settings_of(config)
    folder = Path(config.output)
    check_clips_of_teacher(Path(config.data), settings=settings)
    run = start_run(config)
    first = load_checkpoint(folder, modules=run.modules, optimizers=run.optimizers)
    folder.mkdir(parents=True, exist_ok=True)
    teacher = StoredTeacher(open_window_cache(Path(config.data), Path(config.windows)))
    return take_steps(run, teacher, config=config, first=first)


def settings_of(config: TrainConfig) -> AfdConfig:
    """Return what the recipe alone can be told."""
    assert config.recipe.afd is not None
    return config.recipe.afd


def start_run(config: TrainConfig) -> AfdRun:
    """Load the student four times and make a fresh discriminator, seeded.

    Raises:
        WeightsError: no weights of the native network.
    """
    settings = settings_of(config)
    path = SHIPPED_WEIGHTS if settings.student is None else Path(settings.student)
    reference, _ = load_network(path)
    torch.manual_seed(random_key(config.seed, "train-afd") % (1 << 63))
    student = deepcopy(reference).requires_grad_(True)
    discriminator = ClipDiscriminator()
    return AfdRun(
        student=student,
        old=deepcopy(reference),
        average=deepcopy(reference),
        reference=reference,
        discriminator=discriminator,
        student_optimizer=torch.optim.AdamW(
            student.parameters(),
            lr=config.recipe.learning_rate,
            betas=(0.9, 0.99),
            eps=LEAST_GRADIENT,
            weight_decay=1e-4,
        ),
        discriminator_optimizer=torch.optim.Adam(
            discriminator.parameters(), lr=settings.discriminator_learning_rate, betas=(0.5, 0.99)
        ),
    )


def take_steps(run: AfdRun, teacher: BlackBoxTeacher, *, config: TrainConfig, first: int) -> Path:
    """Take the steps that are missing, saving and logging on the way; returns the weight file."""
    folder, total = Path(config.output), config.recipe.steps
    weights = folder / WEIGHTS_NAME
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    try:
        for step in range(first, total):
            report.step_done(step + 1, train_step(run, teacher, step=step, config=config), total=total)
            done = step + 1
            if done % config.recipe.save_every_steps == 0 or done == total:
                save_checkpoint(folder, step=done, modules=run.modules, optimizers=run.optimizers)
                save_network(
                    run.average, weights, notes={"recipe": "afd", "steps": str(done), "seed": str(config.seed)}
                )
    finally:
        report.close()
    return weights


def train_step(run: AfdRun, teacher: BlackBoxTeacher, *, step: int, config: TrainConfig) -> dict[str, float]:
    """Do one step of both players."""
    settings = settings_of(config)
    generator = random_generator(config.seed, "train-afd", stage="clips", chunk=step)
    torch.manual_seed(random_key(config.seed, "train-afd", step) % (1 << 63))
    places = teacher.draw_places(generator, num_clips=config.recipe.batch_size, num_steps=settings.rollout_steps)
    noise_seed = int(generator.integers(1 << 31))
    clips = teacher.conditions(places, num_noise=noise_channels(settings), noise_seed=noise_seed)
    finished = teacher.sample(places)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        rollouts = roll_out(run.old, clips, settings=settings)
    set_rates(run, config)
    figures: dict[str, float] = {}
    for _ in range(settings.discriminator_updates):
        bench = cut_part(clips, finished, rollouts.frames, generator, settings=settings)
        loss, of_teacher, of_student = discriminator_loss(run.discriminator, bench, settings=settings)
        run.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        run.discriminator_optimizer.step()
        figures = {
            "discriminator_loss": float(loss.detach()),
            "pair_accuracy": pair_accuracy(of_teacher, of_student),
            "score_spread": float(of_student.std(dim=1).mean()),
            "score_gap": float((of_teacher[:, None] - of_student).mean()),
        }
    weight = weigh(run.discriminator, bench, settings=settings, size_hw=(clips.rgb.shape[2], clips.rgb.shape[3]))
    own = part_indices(len(clips.rgb), settings=settings, first=bench.first_step)
    for _ in range(settings.student_updates):
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            draft = draft_update(clips, rollouts, settings=settings)
            anchors = draw_anchors(run.old, run.reference, clips, draft, settings=settings)
            loss = student_loss(run.student, clips, rollouts, draft, anchors, weight=weight, own=own, settings=settings)
        run.student_optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(run.student.parameters(), 1.0)
        run.student_optimizer.step()
    follow(run.old, run.student, decay=settings.old_decay)
    follow(run.average, run.student, decay=min(AVERAGE_DECAY, (1.0 + step) / (10.0 + step)))
    return figures | {"student_loss": float(loss.detach()), "mean_weight": float(weight.mean())}


def set_rates(run: AfdRun, config: TrainConfig) -> None:
    """Take the learning rates from the configuration: a resumed run may be given others."""
    for group in run.student_optimizer.param_groups:
        group["lr"] = config.recipe.learning_rate
    for group in run.discriminator_optimizer.param_groups:
        group["lr"] = settings_of(config).discriminator_learning_rate


@torch.no_grad()
def follow(follower: nn.Module, leader: nn.Module, *, decay: float) -> None:
    """Move weights towards those of another network of the same kind."""
    for own, other in zip(follower.parameters(), leader.parameters(), strict=True):
        own.lerp_(other, 1.0 - decay)
