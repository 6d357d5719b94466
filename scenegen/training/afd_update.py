"""The student's part of adversarial flow distillation: its rollouts, and its update on them.

No gradient runs through a rollout: rollouts are data. Source: AFD (arXiv 2605.26105) with DiffusionNFT's loss in x_0
space (arXiv 2509.16117); `diffusion.forward_process_update` says what is ours there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.config import AfdConfig
from scenegen.diffusion.flow import mix_with_noise
from scenegen.diffusion.forward_process_update import clean_nft_loss, prior_loss
from scenegen.diffusion.sampler import CHANNELS, Sampler
from scenegen.training.rollout import clip_partners, paint_clip
from scenegen.training.windows import Windows
from scenegen.video.history import HISTORY_KEEP, contract_history
from scenegen.video.network import EncodedConditions, VideoNetwork

UPDATE_NOISE = 3 * CHANNELS
"""Noise of the update: of the forward process, of the network's draw, and of the draw that anchors it."""
UNIFORM_LEVELS = 0.25
"""Share of noise levels drawn uniformly; the others are those that the sampler visits."""


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """N rollouts of each of C clips, rollouts outermost.

    Attributes:
        frames: what the student painted, -1..1.
        carried: what each of its steps saw of the step before.
    """

    frames: Float[Tensor, "N B 3 H W"]
    carried: Float[Tensor, "N B 4 H W"]


def noise_channels(settings: AfdConfig) -> int:
    """Return the channels of noise that a step needs for all rollouts of a clip."""
    return settings.rollouts * (sampler_of(settings).num_noise + UPDATE_NOISE)


def sampler_of(settings: AfdConfig) -> Sampler:
    """Return the sampler of rollouts."""
    return Sampler(name="euler", steps=settings.sampling_steps)


@torch.no_grad()
def roll_out(network: VideoNetwork, clips: Windows, *, settings: AfdConfig) -> Rollouts:
    """Let the network paint every clip `settings.rollouts` times from independent noise, each on its own frames."""
    sampler = sampler_of(settings)
    encoded = encode_clips(network, clips)
    painted = [
        paint_clip(network, clips, encoded, noise, num_steps=settings.rollout_steps, sampler=sampler)
        for noise in rollout_noise(clips, settings=settings)
    ]
    return Rollouts(
        frames=torch.stack([rollout.frames for rollout in painted]),
        carried=torch.stack([rollout.carried for rollout in painted]),
    )


def rollout_noise(clips: Windows, *, settings: AfdConfig) -> list[Float[Tensor, "B N H W"]]:
    """Return the noise of each rollout."""
    size = sampler_of(settings).num_noise
    return [
        settings.temperature * clips.noise[:, n * size : (n + 1) * size].contiguous() for n in range(settings.rollouts)
    ]


def update_noise(clips: Windows, *, settings: AfdConfig) -> Float[Tensor, "N B 9 H W"]:
    """Return the noise of each rollout's update, anchored to surfaces as all noise in use."""
    first = settings.rollouts * sampler_of(settings).num_noise
    own = clips.noise[:, first : first + settings.rollouts * UPDATE_NOISE]
    return settings.temperature * own.unflatten(1, (settings.rollouts, UPDATE_NOISE)).transpose(0, 1)


def encode_clips(network: VideoNetwork, clips: Windows) -> EncodedConditions:
    """Encode the condition planes of clips."""
    return network.encode(clips.planes.contiguous(memory_format=torch.channels_last), clips.style)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Noised rollouts, and all that three networks need to say what is behind them."""

    noisy: Float[Tensor, "M 3 H W"]
    t: Float[Tensor, " M"]
    carried: Float[Tensor, "M 4 H W"]
    noise: Float[Tensor, "M 9 H W"]
    partners: Int[Tensor, "M P h w"] | None
    num_rollouts: int
    num_steps: int


def draft_update(clips: Windows, rollouts: Rollouts, *, settings: AfdConfig) -> Draft:
    """Noise the student's own frames to levels that its sampler visits, each frame by itself, and some others."""
    noise = update_noise(clips, settings=settings).flatten(0, 1)
    count = len(noise)
    visited = torch.tensor(sampler_of(settings).levels[:-1])
    t = visited[torch.randint(len(visited), (count,))]
    t = torch.where(torch.rand(count) < UNIFORM_LEVELS, 0.02 + 0.98 * torch.rand(count), t)
    return Draft(
        noisy=mix_with_noise(rollouts.frames.flatten(0, 1), noise[:, :CHANNELS], t),
        t=t,
        carried=rollouts.carried.flatten(0, 1),
        noise=noise,
        partners=repeat_partners(
            clip_partners(clips, num_steps=settings.rollout_steps), settings.rollouts, len(clips.rgb)
        ),
        num_rollouts=settings.rollouts,
        num_steps=settings.rollout_steps,
    )


def repeat_partners(partners: Int[Tensor, "B P h w"] | None, times: int, batch: int) -> Int[Tensor, "M P h w"] | None:
    """Stack partners, each copy with partners in itself."""
    if partners is None:
        return None
    cells = batch * partners.shape[-2] * partners.shape[-1]
    return torch.cat([torch.where(partners >= 0, partners + n * cells, -1) for n in range(times)])


def predict(network: VideoNetwork, encoded: EncodedConditions, draft: Draft, *, draw: int) -> Float[Tensor, "M 3 H W"]:
    """Draw x_0 behind the noised rollouts; `draw` 1 or 2 says from which noise."""
    conditions = replace(
        encoded,
        **{
            name: torch.cat([getattr(encoded, name)] * draft.num_rollouts)
            for name in EncodedConditions.__dataclass_fields__
        },
    )
    seen = contract_history(draft.carried, conditions.base.detach(), keep=HISTORY_KEEP)
    drawn, _ = network(
        draft.noisy.contiguous(memory_format=torch.channels_last),
        draft.t,
        conditions=conditions,
        carried=seen.contiguous(memory_format=torch.channels_last),
        noise=draft.noise[:, draw * CHANNELS : (draw + 1) * CHANNELS],
        partners=draft.partners,
        num_steps=draft.num_steps,
    )
    return drawn.float()


@dataclass(frozen=True, kw_only=True)
class Anchors:
    """What does not change while the student is updated on a draft.

    Attributes:
        old: the sampling network's draws, from the noise that the student gets.
        other: its draws from other noise.
        reference: the first student's draws; None where no prior is asked for.
    """

    old: Float[Tensor, "M 3 H W"]
    other: Float[Tensor, "M 3 H W"]
    reference: Float[Tensor, "M 3 H W"] | None


@torch.no_grad()
def draw_anchors(
    old: VideoNetwork, reference: VideoNetwork, clips: Windows, draft: Draft, *, settings: AfdConfig
) -> Anchors:
    """Ask the frozen networks."""
    encoded = encode_clips(old, clips)
    first = predict(reference, encode_clips(reference, clips), draft, draw=1) if settings.prior > 0.0 else None
    return Anchors(
        old=predict(old, encoded, draft, draw=1), other=predict(old, encoded, draft, draw=2), reference=first
    )


def student_loss(
    student: VideoNetwork,
    clips: Windows,
    rollouts: Rollouts,
    draft: Draft,
    anchors: Anchors,
    *,
    weight: Float[Tensor, "N b 1 H W"],
    own: Int[Tensor, " b"],
    settings: AfdConfig,
) -> Float[Tensor, ""]:
    """Return L_NFT + lambda L_prior over the steps that the discriminator saw."""
    clean = predict(student, encode_clips(student, clips), draft, draw=1)

    def part(frames: Tensor) -> Tensor:
        return frames.unflatten(0, (draft.num_rollouts, -1))[:, own].flatten(0, 1)

    w = weight.flatten(0, 1)
    loss = clean_nft_loss(
        part(clean),
        old=part(anchors.old),
        anchor=part(anchors.other),
        sample=rollouts.frames[:, own].flatten(0, 1),
        weight=w,
        beta=settings.beta,
    ).mean()
    if anchors.reference is not None:
        loss = loss + settings.prior * prior_loss(part(clean), reference=part(anchors.reference), weight=w).mean()
    return loss
