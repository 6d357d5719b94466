"""What `recipe=afd` holds up to its discriminator, what that learns from it, and how well it thinks of each part.

Source: AFD (arXiv 2605.26105), with DiffusionNFT's mapping of advantages (arXiv 2509.16117).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from scenegen.config import AfdConfig
from scenegen.diffusion.forward_process_update import clip_weights, group_advantages
from scenegen.diffusion.paired_discriminator import paired_loss, zero_centred_penalty
from scenegen.training.afd_discriminator import ClipDiscriminator, as_bytes, recompress, score_grid, see_clips
from scenegen.training.rollout import NUM_VIEWS
from scenegen.training.windows import Windows


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The part of clips that the discriminator looks at, ready for it; both streams came the same way.

    Attributes:
        teacher: one clip of each condition.
        student: rollouts of the same conditions, rollouts outermost.
        planes: condition planes of the clips.
        num_steps: steps of the part.
        first_step: where in a rollout it begins.
    """

    teacher: Float[Tensor, "B 7 H W"]
    student: Float[Tensor, "N B 7 H W"]
    planes: Float[Tensor, "B C H W"]
    num_steps: int
    first_step: int


def cut_part(
    clips: Windows,
    teacher: UInt8[Tensor, "B 3 H W"],
    student: Float[Tensor, "N B 3 H W"],
    generator: np.random.Generator,
    *,
    settings: AfdConfig,
) -> Bench:
    """Cut the same random steps out of the teacher's clips and the rollouts, and send both down the same road."""
    first = int(generator.integers(settings.rollout_steps - settings.clip_steps + 1))
    own = part_indices(len(teacher), settings=settings, first=first)
    conditions = take_windows(clips, own)
    seen = [
        see_clips(recompress(frames[own], generator), conditions, num_steps=settings.clip_steps)
        for frames in (teacher, *as_bytes(student.flatten(0, 1)).unflatten(0, student.shape[:2]))
    ]
    return Bench(
        teacher=seen[0],
        student=torch.stack(seen[1:]),
        planes=conditions.planes,
        num_steps=settings.clip_steps,
        first_step=first,
    )


def part_indices(batch: int, *, settings: AfdConfig, first: int) -> Int[Tensor, " b"]:
    """Return which of B frames belong to the steps that the discriminator sees."""
    frames = torch.arange(batch)
    step = frames % settings.rollout_steps
    return frames[(step >= first) & (step < first + settings.clip_steps)]


def take_windows(windows: Windows, own: Int[Tensor, " b"]) -> Windows:
    """Return some of the windows."""
    return replace(windows, **{name: getattr(windows, name)[own] for name in Windows.__dataclass_fields__})


def score_parts(discriminator: ClipDiscriminator, seen: Float[Tensor, "M 7 H W"], bench: Bench) -> Float[Tensor, "G K"]:
    """Score clips of a bench; M may hold several rollouts of all its clips."""
    return discriminator(seen, bench.planes, num_views=NUM_VIEWS, num_steps=bench.num_steps)


def credited(scores: Float[Tensor, "G K"], credit: str) -> Float[Tensor, "G k"]:
    """Return the scores that are compared: one for a clip, or one for each cell."""
    return scores.mean(dim=1, keepdim=True) if credit == "clip" else scores


def discriminator_loss(
    discriminator: ClipDiscriminator, bench: Bench, *, settings: AfdConfig
) -> tuple[Float[Tensor, ""], Float[Tensor, "C k"], Float[Tensor, "C N k"]]:
    """Return the loss with both penalties, and what was compared: the teacher's scores and the student's."""
    teacher_seen = bench.teacher.clone().requires_grad_()
    student_seen = bench.student.flatten(0, 1).clone().requires_grad_()
    of_teacher = score_parts(discriminator, teacher_seen, bench)
    of_student = score_parts(discriminator, student_seen, bench)
    teacher, student = credited(of_teacher, settings.credit), by_condition(of_student, len(bench.student), settings)
    loss = paired_loss(teacher, student)
    if settings.gradient_penalty > 0.0:
        # Slopes of all cells add up in the sum that is differentiated; the penalty is that of one.
        cells = of_teacher.shape[1] / (NUM_VIEWS * bench.num_steps)
        r1 = zero_centred_penalty(of_teacher, teacher_seen)
        r2 = zero_centred_penalty(of_student, student_seen)
        loss = loss + settings.gradient_penalty / 2.0 * (r1 + r2) / cells
    return loss, teacher.detach(), student.detach()


def by_condition(scores: Float[Tensor, "G K"], num_rollouts: int, settings: AfdConfig) -> Float[Tensor, "C N k"]:
    """Group scores of rollouts, which are outermost, by their condition."""
    return credited(scores, settings.credit).unflatten(0, (num_rollouts, -1)).transpose(0, 1)


@torch.no_grad()
def weigh(
    discriminator: ClipDiscriminator, bench: Bench, *, settings: AfdConfig, size_hw: tuple[int, int]
) -> Float[Tensor, "N B 1 H W"]:
    """Return w of every pixel of the part that was looked at."""
    scores = by_condition(score_parts(discriminator, bench.student.flatten(0, 1), bench), len(bench.student), settings)
    weight = clip_weights(group_advantages(scores)).transpose(0, 1)
    frames = NUM_VIEWS * bench.num_steps
    if settings.credit == "clip":
        of_frames = weight.repeat_interleave(frames, dim=1)[..., None, None]
        return of_frames.expand(*of_frames.shape[:2], 1, *size_hw)
    grid = weight.flatten(0, 1).unflatten(1, (frames, 1, *score_grid(*size_hw))).flatten(0, 1)
    grown = functional.interpolate(grid, size=size_hw, mode="bilinear", align_corners=False)
    return grown.unflatten(0, (len(bench.student), -1))
