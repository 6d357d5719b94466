"""How near a student's rollouts are to a teacher's clips under held-out conditions."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from scenegen.checks.fidelity import clip_features, frechet_distance
from scenegen.checks.judge import judge_features, load_judge
from scenegen.config import AfdConfig
from scenegen.diffusion.paired_discriminator import pair_accuracy
from scenegen.training.afd_bench import credited, cut_part, discriminator_loss, score_parts
from scenegen.training.afd_discriminator import ClipDiscriminator, as_bytes
from scenegen.training.afd_teacher import ClipPlaces, StoredTeacher
from scenegen.training.afd_update import noise_channels, roll_out
from scenegen.training.rollout import NUM_VIEWS
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import Windows, half_width
from scenegen.types import random_generator
from scenegen.video.network import VideoNetwork

SCORING_STEPS = 40
SCORING_RATE = 3e-3
SCORING_CLIPS = 3
SCORING_SEED = 77


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """One clip of every held-out scene: conditions, and what the teacher made of them."""

    clips: Windows
    teacher: UInt8[Tensor, "B 3 H W"]
    num_clips: int
    num_steps: int


@dataclass(frozen=True, kw_only=True)
class Nearness:
    """Figures of one student.

    Attributes:
        cell_accuracy: of a discriminator trained from nothing on half of the conditions, on the other half, cell by
            cell; 0.5 is a student that cannot be told from its teacher, 1 one that always can.
        clip_accuracy: the same for whole clips.
        fid: Frechet distance of the judge's features of frames, student to teacher.
        fvd: the same of clips.
        color_levels: mean distance of a frame's mean colour from the teacher's, in levels of 255.
        rms_levels: root mean square distance of pixels, which has a floor in what both draw by chance.
        spread_levels: root mean square distance of two rollouts of the same conditions, by the square root of two.
    """

    cell_accuracy: float
    clip_accuracy: float
    fid: float
    fvd: float
    color_levels: float
    rms_levels: float
    spread_levels: float


def read_held_out(cache: WindowCache, *, settings: AfdConfig) -> HeldOut:
    """Read the first steps of every scene."""
    teacher, crop_width = StoredTeacher(cache), half_width(cache)
    width = cache.pixels["material"].shape[3]
    picks: list[tuple[int, int, int]] = []
    for scene in range(len(cache.tables)):
        first = int(np.flatnonzero(cache.scene == scene)[0])
        # The right half of the left view and the left half of the right one: where they meet.
        for view, left in ((0, width - crop_width), (1, 0)):
            picks += [(first + step, view, left) for step in range(settings.rollout_steps)]
    places = ClipPlaces(picks=tuple(picks), num_clips=len(cache.tables), num_steps=settings.rollout_steps)
    return HeldOut(
        clips=teacher.conditions(places, num_noise=noise_channels(settings), noise_seed=SCORING_SEED),
        teacher=teacher.sample(places),
        num_clips=places.num_clips,
        num_steps=places.num_steps,
    )


def score_student(network: VideoNetwork, held_out: HeldOut, *, settings: AfdConfig) -> Nearness:
    """Let a network paint all held-out clips twice and measure."""
    frames = roll_out(network, held_out.clips, settings=replace(settings, rollouts=2)).frames
    painted = as_bytes(frames.flatten(0, 1)).unflatten(0, (2, -1))
    cell, clip = fresh_accuracies(frames[:1], held_out, settings=settings)
    own, true = features_of(painted[0], held_out), features_of(held_out.teacher, held_out)
    difference = painted[0].float() - held_out.teacher.float()
    return Nearness(
        cell_accuracy=cell,
        clip_accuracy=clip,
        fid=frechet_distance(flat(own), flat(true)),
        fvd=frechet_distance(clip_features(own), clip_features(true)),
        color_levels=float(difference.mean(dim=(2, 3)).abs().mean()),
        rms_levels=float(difference.square().mean().sqrt()),
        spread_levels=float((painted[0].float() - painted[1].float()).square().mean().sqrt()) / 2.0**0.5,
    )


def teacher_floor(held_out: HeldOut) -> tuple[float, float]:
    """Return the Frechet distances of one half of the teacher's clips from the other: frames, clips."""
    true = features_of(held_out.teacher, held_out)
    half = len(true) // 2 // NUM_VIEWS * NUM_VIEWS
    one, other = true[:half], true[half:]
    return frechet_distance(flat(one), flat(other)), frechet_distance(clip_features(one), clip_features(other))


def fresh_accuracies(
    frames: Float[Tensor, "1 B 3 H W"], held_out: HeldOut, *, settings: AfdConfig
) -> tuple[float, float]:
    """Train a discriminator on the first half of the clips; returns its accuracy on the others: cells, whole clips."""
    settings = replace(settings, credit="cell", clip_steps=settings.rollout_steps, gradient_penalty=0.0)
    torch.manual_seed(SCORING_SEED)
    discriminator = ClipDiscriminator()
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=SCORING_RATE)
    generator = random_generator(SCORING_SEED, "afd-scores", stage="clips")
    size, half = NUM_VIEWS * held_out.num_steps, held_out.num_clips // 2

    def part(first: int, last: int) -> tuple[Windows, Tensor, Tensor]:
        own = slice(first * size, last * size)
        return held_out.clips.part(own), held_out.teacher[own], frames[:, own]

    for _ in range(SCORING_STEPS):
        first = int(generator.integers(half - SCORING_CLIPS + 1))
        bench = cut_part(*part(first, first + SCORING_CLIPS), generator, settings=settings)
        loss, _, _ = discriminator_loss(discriminator, bench, settings=settings)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    bench = cut_part(*part(half, held_out.num_clips), generator, settings=settings)
    with torch.no_grad():
        of_teacher = score_parts(discriminator, bench.teacher, bench)
        of_student = score_parts(discriminator, bench.student[0], bench)
    cells, clips = (
        pair_accuracy(credited(of_teacher, credit), credited(of_student, credit)[:, None])
        for credit in ("cell", "clip")
    )
    return cells, clips


def features_of(frames: UInt8[Tensor, "B 3 H W"], held_out: HeldOut) -> Float32[np.ndarray, "N T F"]:
    """Return the judge's features of clips of one view; a turn of the rig about the vertical changes none."""
    pictures = frames.permute(0, 2, 3, 1).contiguous().numpy()
    found = judge_features(load_judge(), pictures, ray_ego=held_out.clips.ray_world.numpy())
    return found.reshape(-1, held_out.num_steps, found.shape[-1])


def flat(features: Float32[np.ndarray, "N T F"]) -> Float32[np.ndarray, "M F"]:
    """Return the features of frames."""
    return features.reshape(-1, features.shape[-1])
