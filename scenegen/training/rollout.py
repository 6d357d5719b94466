"""Clips of the training set painted by the network itself, so that it learns to go on from its own frames.

Ours, in the spirit of Self Forcing (Huang et al., 2025, arXiv 2506.08009): frames are sampled as in use, with the
frames of the rollout as history, and a sampling step that was made is then repeated with a gradient. No gradient runs
through the history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.diffusion.sampler import Sampler
from scenegen.training.windows import Windows
from scenegen.video.cross_view import find_partners
from scenegen.video.history import HISTORY_KEEP, carry_forward, contract_history
from scenegen.video.network import EncodedConditions, TemporalState, VideoNetwork

SAMPLING_STEPS = 2
IN_TRAINING = Sampler(name="euler", steps=SAMPLING_STEPS)
"""How the video recipe paints."""
NUM_VIEWS = 2


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """A painted clip.

    Attributes:
        frames: -1..1.
        carried: what each step saw of the step before, and where; nothing at the first step.
        noisy: x_t at the start of each sampling step.
    """

    frames: Float[Tensor, "B 3 H W"]
    carried: Float[Tensor, "B 4 H W"]
    noisy: Float[Tensor, "K B 3 H W"]


@torch.no_grad()
def clip_partners(clips: Windows, *, num_steps: int) -> Int[Tensor, "B P h w"] | None:
    """Find partners among the views of each step of each clip, as flat indices into (B h w); None where none has any.

    `clips` holds clips outermost, then their NUM_VIEWS views, then steps.
    """
    size = NUM_VIEWS * num_steps
    found = [partners_of(clips.part(slice(first, first + size)), num_steps) for first in range(0, len(clips.rgb), size)]
    shapes = [links.shape for links in found if links is not None]
    if not shapes:
        return None
    none = torch.full(shapes[0], -1, device=clips.rgb.device)
    cells = size * shapes[0][-2] * shapes[0][-1]
    return torch.cat(
        [none if links is None else torch.where(links >= 0, links + c * cells, -1) for c, links in enumerate(found)]
    )


def partners_of(clip: Windows, num_steps: int) -> Int[Tensor, "B P h w"] | None:
    """Do the same for one clip."""
    batch = len(clip.depth_m)
    found: list[Tensor | None] = []
    for step in range(num_steps):
        own = slice(step, batch, num_steps)
        found.append(
            find_partners(clip.point_world_m[own], clip.depth_m[own], clip.ray_world[own], clip.world_from_cam[own])
        )
    shapes = [links.shape for links in found if links is not None]
    if not shapes:
        return None
    _, most, height, width = shapes[0]
    joined = torch.full((batch, most, height, width), -1, device=clip.depth_m.device)
    count = height * width
    for step, links in enumerate(found):
        if links is not None:
            view, cell = links.div(count, rounding_mode="floor"), links % count
            joined[step::num_steps] = torch.where(links >= 0, (view * num_steps + step) * count + cell, -1)
    return joined


@torch.no_grad()
def paint_clip(
    network: VideoNetwork,
    clip: Windows,
    encoded: EncodedConditions,
    noise: Float[Tensor, "B N H W"],
    *,
    num_steps: int,
    sampler: Sampler = IN_TRAINING,
) -> Rollout:
    """Paint the clip step by step, each step with the painted step before as history.

    Args:
        network: paints.
        clip: B stacks clips and their views, and within each view `num_steps` consecutive steps.
        encoded: its conditions.
        noise: the stack that `sampler` takes.
        num_steps: steps of the clip.
        sampler: how each step is sampled.
    """
    carried_all = torch.zeros(len(clip.rgb), 4, *clip.rgb.shape[-2:], device=clip.rgb.device)
    noisy_all = torch.zeros(sampler.steps, *clip.rgb.shape, device=clip.rgb.device)
    frames = torch.zeros_like(clip.rgb)
    previous: Tensor | None = None
    memory: TemporalState | None = None
    for step in range(num_steps):
        own = slice(step, None, num_steps)
        conditions = take_conditions(encoded, own)
        if previous is not None:
            frame = carry_forward(
                previous,
                motion_px=clip.motion_px[own],
                code=clip.code[own],
                previous_code=clip.code[step - 1 :: num_steps],
            )
            carried_all[own] = torch.cat([frame.rgb, frame.valid], dim=1)
        seen = contract_history(carried_all[own], conditions.base, keep=HISTORY_KEEP)
        part = noise[own]
        after: list[TemporalState | None] = [None]

        def predict(
            noisy: Tensor,
            t: Tensor,
            k: int,
            *,
            own: slice = own,
            conditions: EncodedConditions = conditions,
            seen: Tensor = seen,
            part: Tensor = part,
            memory: TemporalState | None = memory,
            after: list[TemporalState | None] = after,
        ) -> Tensor:
            noisy_all[k, own] = noisy
            fresh = sampler.fresh_noise(part, k)
            clean, after[0] = network(noisy, t, conditions=conditions, carried=seen, noise=fresh, memory=memory)
            return clean

        sampled = sampler.sample(predict, part)
        previous = sampled.float().clamp(-1.0, 1.0)
        frames[own] = previous
        memory = after[0]
    return Rollout(frames=frames, carried=carried_all, noisy=noisy_all)


def take_conditions(encoded: EncodedConditions, own: slice) -> EncodedConditions:
    """Return the encoded conditions of some pictures, without their graph."""
    return replace(
        encoded, **{name: getattr(encoded, name)[own].detach() for name in EncodedConditions.__dataclass_fields__}
    )


def repeat_conditions(encoded: EncodedConditions) -> EncodedConditions:
    """Stack encoded conditions twice, for two draws of the same pictures."""
    return replace(
        encoded, **{name: torch.cat([getattr(encoded, name)] * 2) for name in EncodedConditions.__dataclass_fields__}
    )
