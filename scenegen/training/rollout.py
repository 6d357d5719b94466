"""Clips of the training set painted by the network itself, so that it learns to go on from its own frames.

Ours, in the spirit of training on own rollouts (Self Forcing, Huang et al., 2025, arXiv 2506.08009), without a
gradient through the rollout: frames are sampled as in use, then every step of the clip is trained at its own noise
level (Diffusion Forcing, Chen et al., 2024, arXiv 2407.01392) with the frames of the rollout as history.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.diffusion.flow import noise_levels, sample_euler
from scenegen.training.windows import Windows
from scenegen.video.cross_view import find_partners
from scenegen.video.history import HISTORY_KEEP, carry_forward, contract_history
from scenegen.video.network import EncodedConditions, TemporalState, VideoNetwork

SAMPLING_STEPS = 2
NUM_VIEWS = 2


@torch.no_grad()
def clip_partners(clip: Windows, *, num_steps: int) -> Int[Tensor, "B P h w"] | None:
    """Find partners among the views of each step; `clip` holds views outermost, flat indices as the network wants."""
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
    views, most, height, width = shapes[0]
    joined = torch.full((batch, most, height, width), -1)
    count = height * width
    for step, links in enumerate(found):
        if links is not None:
            view, cell = links.div(count, rounding_mode="floor"), links % count
            joined[step::num_steps] = torch.where(links >= 0, (view * num_steps + step) * count + cell, -1)
    return joined


@torch.no_grad()
def carry_own_frames(network: VideoNetwork, clip: Windows, *, num_steps: int) -> Float[Tensor, "B 4 H W"]:
    """Paint the clip step by step and return what each step saw of the step before (nothing at the first)."""
    device = clip.rgb.device
    carried_all = torch.zeros(len(clip.rgb), 4, *clip.rgb.shape[-2:], device=device)
    previous: Tensor | None = None
    memory: TemporalState | None = None
    for step in range(num_steps):
        own = slice(step, None, num_steps)
        conditions = network.encode(clip.planes[own].contiguous(memory_format=torch.channels_last), clip.style[own])
        carried = torch.zeros(len(conditions.base), 4, *clip.rgb.shape[-2:], device=device)
        if previous is not None:
            frame = carry_forward(
                previous,
                motion_px=clip.motion_px[own],
                code=clip.code[own],
                previous_code=clip.code[step - 1 :: num_steps],
            )
            carried = torch.cat([frame.rgb, frame.valid], dim=1)
        carried_all[own] = carried
        seen = contract_history(carried, conditions.base, keep=HISTORY_KEEP)
        previous, memory = sample_frame(network, clip.noise[own], conditions, seen, memory)
    return carried_all


def sample_frame(
    network: VideoNetwork,
    noise: Float[Tensor, "B 9 H W"],
    conditions: EncodedConditions,
    carried: Float[Tensor, "B 4 H W"],
    memory: TemporalState | None,
) -> tuple[Float[Tensor, "B 3 H W"], TemporalState | None]:
    """Sample one step of all views; the memory moves on once, with the last sampling step."""
    after: list[TemporalState | None] = [None]

    def predict(noisy: Tensor, t: Tensor, k: int) -> Tensor:
        fresh = noise[:, 3 + 3 * k : 6 + 3 * k]
        clean, after[0] = network(noisy, t, conditions=conditions, carried=carried, noise=fresh, memory=memory)
        return clean

    frame = sample_euler(predict, noise[:, :3], levels=noise_levels(SAMPLING_STEPS))
    return frame.clamp(-1.0, 1.0), after[0]


def repeat_clip(encoded: EncodedConditions) -> EncodedConditions:
    """Stack encoded conditions twice, for two draws of the same pictures."""
    return replace(
        encoded, **{name: torch.cat([getattr(encoded, name)] * 2) for name in EncodedConditions.__dataclass_fields__}
    )
