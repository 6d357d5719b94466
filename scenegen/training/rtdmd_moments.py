"""What `recipe=rtdmd` distils: one moment of two views, with the past that the student itself painted.

A causal student is matched with its teacher step by step, each under the history that the student made: as in use, both
see the student's last frame, carried to where its surfaces are now. Conditions are encoded by the teacher for all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.diffusion.cps import cps_mean, cps_std
from scenegen.diffusion.sampler import Sampler
from scenegen.training.rollout import NUM_VIEWS, clip_partners, paint_clip
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import Windows, half_width, read_windows, sample_clip
from scenegen.video.history import HISTORY_KEEP, carry_forward, contract_history
from scenegen.video.network import EncodedConditions, VideoNetwork

PAST_SHARE = (0.3, 0.5, 0.2)
"""Shares of moments before which no step (as at the start of a scene), one and two steps are painted."""
ANCHORED_SHARE = 0.75
"""Share of moments with world-anchored noise; the others get independent noise, as the teacher did in training."""
CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips of NUM_VIEWS views as read.

    Attributes:
        past: the steps before the moment, steps innermost; None where there are none.
        num_past: how many.
        now: the moment.
        picks: (entry, view, left column) of the windows of `now`.
    """

    past: Windows | None
    num_past: int
    now: Windows
    picks: list[tuple[int, int, int]]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """The last step of clips, ready to be painted.

    Attributes:
        windows: of that step, views innermost.
        conditions: encoded.
        carried: the student's last frame and its validity.
        seen: what a network is shown of it.
        partners: cells of the other view that show the same.
        stack: noise: that of the sampler, and behind it, as many pictures of noise as were asked for.
    """

    windows: Windows
    conditions: EncodedConditions
    carried: Float[Tensor, "B 4 H W"]
    seen: Float[Tensor, "B 4 H W"]
    partners: Int[Tensor, "B P h w"] | None
    stack: Float[Tensor, "B N H W"]

    def __len__(self) -> int:
        return len(self.carried)

    def repeat(self, times: int) -> Moment:
        """Stack the moment `times` times, for rollouts of their own; the noise is repeated as it is."""
        conditions = {
            name: torch.cat([getattr(self.conditions, name)] * times) for name in EncodedConditions.__dataclass_fields__
        }
        return replace(
            self,
            conditions=EncodedConditions(**conditions),
            carried=self.carried.repeat(times, 1, 1, 1),
            seen=_last(self.seen.repeat(times, 1, 1, 1)),
            partners=_repeat_partners(self.partners, times),
            stack=self.stack.repeat(times, 1, 1, 1),
        )

    def draw_clean(
        self, network: VideoNetwork, noisy: Float[Tensor, "B 3 H W"], t: Float[Tensor, " B"], fresh: Tensor
    ) -> Float[Tensor, "B 3 H W"]:
        """Run a network; no memory of earlier steps but the carried frame."""
        clean, _ = network(
            _last(noisy), t, conditions=self.conditions, carried=self.seen, noise=fresh, partners=self.partners
        )
        return clean.float()


@dataclass(frozen=True, kw_only=True)
class Painted:
    """A moment as the student painted it: x at every level from 1 down."""

    levels: tuple[Float[Tensor, "B 3 H W"], ...]


def read_clips(
    cache: WindowCache, generator: np.random.Generator, *, batch_size: int, sampler: Sampler, num_pictures: int
) -> Clips:
    """Read clips whose moments are about `batch_size` windows, with `num_pictures` of noise behind the sampler's."""
    num_past = int(generator.choice(len(PAST_SHARE), p=PAST_SHARE))
    width, num_noise = half_width(cache), sampler.num_noise + CHANNELS * num_pictures
    picks: list[tuple[int, int, int]] = []
    for _ in range(max(1, batch_size // NUM_VIEWS)):
        picks += sample_clip(cache, generator, num_steps=num_past + 1, crop_width=width)
    last = picks[num_past :: num_past + 1]
    before = [pick for index, pick in enumerate(picks) if index % (num_past + 1) != num_past]
    past = read_windows(cache, before, crop_width=width, num_noise=sampler.num_noise) if before else None
    now = read_windows(cache, last, crop_width=width, num_noise=num_noise)
    return Clips(past=past, num_past=num_past, now=now, picks=last)


@torch.no_grad()
def prepare_moment(clips: Clips, *, encoder: VideoNetwork, student: VideoNetwork, sampler: Sampler) -> Moment:
    """Let the student paint the steps before, and get the moment ready."""
    now, past = clips.now, clips.past
    is_anchored = float(torch.rand(())) < ANCHORED_SHARE
    carried = torch.zeros_like(now.carried)
    if past is not None:
        noise = past.noise if is_anchored else torch.randn_like(past.noise)
        encoded = encoder.encode(_last(past.planes), past.style)
        frames = paint_clip(student, past, encoded, noise, num_steps=clips.num_past, sampler=sampler).frames
        before = slice(clips.num_past - 1, None, clips.num_past)
        frame = carry_forward(frames[before], motion_px=now.motion_px, code=now.code, previous_code=past.code[before])
        carried = torch.cat([frame.rgb, frame.valid], dim=1)
    encoded = encoder.encode(_last(now.planes), now.style)
    return Moment(
        windows=now,
        conditions=encoded,
        carried=carried,
        seen=_last(contract_history(carried, encoded.base.float(), keep=HISTORY_KEEP)),
        partners=clip_partners(now, num_steps=1),
        stack=now.noise if is_anchored else torch.randn_like(now.noise),
    )


@torch.no_grad()
def paint_moment(network: VideoNetwork, moment: Moment, *, sampler: Sampler, num_steps: int | None = None) -> Painted:
    """Paint a moment by CPS, keeping every level; only the first `num_steps` sampling steps where that is given."""
    x = moment.stack[:, :CHANNELS]
    levels = [x]
    for k in range(sampler.steps if num_steps is None else num_steps):
        mean = policy_mean(network, moment, x, k, sampler=sampler)
        std = cps_std(s=sampler.levels[k + 1], eta=sampler.eta)
        x = mean + std * sampler.step_noise(moment.stack, k) if std > 0.0 else mean
        levels.append(x)
    return Painted(levels=tuple(levels))


def policy_mean(
    network: VideoNetwork, moment: Moment, x: Float[Tensor, "B 3 H W"], k: int, *, sampler: Sampler
) -> Float[Tensor, "B 3 H W"]:
    """Return where step k leads from `x` before new noise is added; the network's fresh noise is held."""
    t, s = sampler.levels[k : k + 2]
    clean = moment.draw_clean(network, x, torch.full((len(x),), t), sampler.fresh_noise(moment.stack, k))
    return cps_mean(x, clean, t=t, s=s, eta=sampler.eta)


def noise_picture(moment: Moment, index: int, *, sampler: Sampler) -> Float[Tensor, "B 3 H W"]:
    """Return one of the pictures of noise behind those of the sampler."""
    first = sampler.num_noise + CHANNELS * index
    return moment.stack[:, first : first + CHANNELS]


def _repeat_partners(partners: Tensor | None, times: int) -> Tensor | None:
    if partners is None:
        return None
    cells = len(partners) * partners.shape[-2] * partners.shape[-1]
    return torch.cat([torch.where(partners >= 0, partners + r * cells, -1) for r in range(times)])


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
