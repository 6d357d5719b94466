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
from scenegen.training.rollout import NUM_VIEWS, clip_partners, paint_clip, take_conditions
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import Windows, half_width, read_windows, sample_clip
from scenegen.video.history import HISTORY_KEEP, contract_history
from scenegen.video.network import EncodedConditions, VideoNetwork

MOST_PAST = 2
"""Steps painted before the moment: 0 (as at the start of a scene) to this many."""
ANCHORED_SHARE = 0.75
"""Share of moments with world-anchored noise; the others get independent noise, as the teacher did in training."""
CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips of NUM_VIEWS views as read, steps innermost; `picks` are (entry, view, left column) of their last steps."""

    windows: Windows
    num_steps: int
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
    """A moment as the student painted it: x at every level from 1 down to 0."""

    levels: tuple[Float[Tensor, "B 3 H W"], ...]

    @property
    def frames(self) -> Float[Tensor, "B 3 H W"]:
        """The frames."""
        return self.levels[-1]


def read_clips(cache: WindowCache, generator: np.random.Generator, *, batch_size: int, num_noise: int) -> Clips:
    """Read clips whose last steps are about `batch_size` windows."""
    num_steps = 1 + int(generator.integers(MOST_PAST + 1))
    width = half_width(cache)
    picks: list[tuple[int, int, int]] = []
    for _ in range(max(1, batch_size // NUM_VIEWS)):
        picks += sample_clip(cache, generator, num_steps=num_steps, crop_width=width)
    windows = read_windows(cache, picks, crop_width=width, num_noise=num_noise)
    return Clips(windows=windows, num_steps=num_steps, picks=picks[num_steps - 1 :: num_steps])


@torch.no_grad()
def prepare_moment(clips: Clips, *, encoder: VideoNetwork, student: VideoNetwork, sampler: Sampler) -> Moment:
    """Let the student paint the steps before the last, and get the last one ready."""
    windows, num_steps = clips.windows, clips.num_steps
    is_anchored = float(torch.rand(())) < ANCHORED_SHARE
    stack = windows.noise if is_anchored else torch.randn_like(windows.noise)
    encoded = encoder.encode(_last(windows.planes), windows.style)
    carried = torch.zeros_like(windows.carried)
    if num_steps > 1:
        carried = paint_clip(student, windows, encoded, stack, num_steps=num_steps, sampler=sampler).carried
    own = slice(num_steps - 1, None, num_steps)
    now, conditions = windows.part(own), take_conditions(encoded, own)
    return Moment(
        windows=now,
        conditions=conditions,
        carried=carried[own],
        seen=_last(contract_history(carried[own], conditions.base.float(), keep=HISTORY_KEEP)),
        partners=clip_partners(now, num_steps=1),
        stack=stack[own],
    )


@torch.no_grad()
def paint_moment(network: VideoNetwork, moment: Moment, *, sampler: Sampler) -> Painted:
    """Paint a moment by CPS, keeping every level."""
    x = moment.stack[:, :CHANNELS]
    levels = [x]
    for k in range(sampler.steps):
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
