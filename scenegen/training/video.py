"""`recipe=video`: train the native video network on a scenegen data set. Resumable, deterministic per step.

Three stages, all scored by `diffusion.scoring`:

1. The pointwise encoder alone, on single pixels (`training.pixels`).
2. Everything: two draws of the clean frame behind a noisy one against the truth. Three steps of four train on single
   windows, whose carried previous frame is true but often damaged or dropped; the fourth trains on a clip of two
   neighbouring views whose history is the network's own.
3. Every other step paints a clip twice, from independent noise with independent histories, and scores the two
   rollouts against the truth, frames and changes between frames alike. With a shared history, as in stage 2, the best
   draw ignores what was painted before, because the true texture is another one: it flickers.

Pedestrians weigh more.
"""

from __future__ import annotations

import json
import logging
import time
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.config import TrainConfig
from scenegen.diffusion.flow import mix_with_noise, noise_levels
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.scoring import energy_score
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.damage import damage_history
from scenegen.training.pixels import train_pixels
from scenegen.training.rollout import SAMPLING_STEPS, clip_partners, paint_clip, repeat_conditions
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import Windows, read_windows, sample_clip, sample_windows
from scenegen.types import Material, random_generator, random_key
from scenegen.video.backbones.native import save_network
from scenegen.video.history import HISTORY_KEEP, contract_history
from scenegen.video.network import SIZES, EncodedConditions, VideoNetwork

log = logging.getLogger(__name__)

CROP_WIDTH = 100
CLIP_STEPS = 3
CLIP_EVERY = 4
"""In stage 2, one optimiser step of this many trains on a clip."""
JOINT_FROM = 0.555
"""Share of the steps after which stage 3 begins."""
JOINT_EVERY = 2
DROP_SHARE = {2: 0.4, 3: 0.3}
"""Share of windows without history in each stage, as at the first step of a scene."""
DAMAGED_SHARE = 0.25
"""In stage 3, share of windows whose history is damaged; before, all are."""
PURE_NOISE = 0.4
"""Share of windows at t = 1, the only level every sampler visits."""
ANCHORED_SHARE = 0.75
"""Share of windows with world-anchored noise; the others get independent noise."""
KEEP_RANGE = {2: (0.4, 0.8), 3: (HISTORY_KEEP, HISTORY_KEEP)}
"""How much of the carried frame's difference from the expected colour is seen, by stage."""
EMA_DECAY = 0.999
WARM_UP_STEPS = 100
DECAY_FROM = 0.6
PEDESTRIAN = (Material.SKIN, Material.CLOTH_UPPER, Material.CLOTH_LOWER, Material.HAIR)


@dataclass(kw_only=True)
class VideoRun:
    """Everything of a run that changes."""

    network: VideoNetwork
    average: VideoNetwork
    optimizer: torch.optim.AdamW


def train_video(config: TrainConfig, *, size_name: str = "tiny") -> Path:
    """Train, resuming from the output folder's checkpoint; returns the weight file."""
    folder = Path(config.output)
    cache = open_window_cache(Path(config.data), folder / "windows")
    run = start_run(config, size_name)
    modules = {"network": run.network, "average": run.average}
    optimizers = {"network": run.optimizer}
    first = load_checkpoint(folder, modules=modules, optimizers=optimizers)
    if first == 0:
        train_pixels(run.network.pixel, cache, seed=config.seed)
        run.average.load_state_dict(run.network.state_dict())
    total = config.recipe.steps
    weights = folder / "native.safetensors"
    began, losses = time.monotonic(), []
    for step in range(first, total):
        losses.append(train_step(run, cache, step=step, config=config))
        done = step + 1
        if done % 50 == 0:
            rate = (done - first) / (time.monotonic() - began)
            keys = sorted({key for entry in losses for key in entry})
            mean = {key: round(float(np.mean([entry[key] for entry in losses if key in entry])), 5) for key in keys}
            record = {"step": done, "steps_per_s": round(rate, 3), "eta_s": round((total - done) / rate), **mean}
            log.info("%s", record)
            with (folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
            losses.clear()
        if done % config.recipe.save_every_steps == 0 or done == total:
            save_checkpoint(folder, step=done, modules=modules, optimizers=optimizers)
            notes = {"steps": str(done), "seed": str(config.seed), "windows": str(len(cache.scene))}
            save_network(run.average, weights, notes=notes)
    return weights


def start_run(config: TrainConfig, size_name: str) -> VideoRun:
    """Make a fresh network and its optimizer, seeded."""
    torch.manual_seed(random_key(config.seed, "train-video") % (1 << 63))
    network = channels_last(VideoNetwork(SIZES[size_name]))
    return VideoRun(
        network=network,
        average=deepcopy(network).requires_grad_(False),
        optimizer=torch.optim.AdamW(network.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=1e-4),
    )


def train_step(run: VideoRun, cache: WindowCache, *, step: int, config: TrainConfig) -> dict[str, float]:
    """Do one optimiser step; all its randomness hangs on (seed, step)."""
    generator = random_generator(config.seed, "train-video", stage="windows", chunk=step)
    torch.manual_seed(random_key(config.seed, "train-video", step) % (1 << 63))
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(step, config)
    stage = 3 if step >= JOINT_FROM * config.recipe.steps else 2
    every = JOINT_EVERY if stage == 3 else CLIP_EVERY
    is_clip = step % every == every - 1
    if is_clip:
        picks = sample_clip(cache, generator, num_steps=CLIP_STEPS, crop_width=CROP_WIDTH)
        clip = read_windows(cache, picks, crop_width=CROP_WIDTH)
        loss, mse = joint_loss(run.network, clip) if stage == 3 else clip_loss(run, clip)
    else:
        windows = sample_windows(cache, generator, batch_size=config.recipe.batch_size, crop_width=CROP_WIDTH)
        carried = damage_history(windows.carried, drop_share=DROP_SHARE[stage])
        if stage == 3:
            dropped = windows.carried * (torch.rand(len(carried), 1, 1, 1) >= DROP_SHARE[3])
            carried = torch.where(torch.rand(len(carried), 1, 1, 1) < DAMAGED_SHARE, carried, dropped)
        loss, mse = draw_loss(run.network, windows, carried, num_steps=1, keep_range=KEEP_RANGE[stage])
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimizer.step()
    update_average(run, step)
    kind = "clip" if is_clip else "window"
    return {f"{kind}_loss": float(loss.detach()), f"{kind}_mse": mse}


def clip_loss(run: VideoRun, clip: Windows) -> tuple[Float[Tensor, ""], float]:
    """Train a clip of views and steps with the averaged network's own frames as one history of both draws."""
    with torch.no_grad():
        encoded = encode_windows(run.average, clip)
    rollout = paint_clip(run.average, clip, encoded, clip.noise[:, :9], num_steps=CLIP_STEPS)
    return draw_loss(run.network, clip, rollout.carried, num_steps=CLIP_STEPS, keep_range=KEEP_RANGE[2])


def joint_loss(network: VideoNetwork, clip: Windows) -> tuple[Float[Tensor, ""], float]:
    """Score two rollouts of a clip with histories of their own: the frames, and how they change from step to step."""
    batch = len(clip.rgb)
    noise = clip.noise if float(torch.rand(())) < ANCHORED_SHARE else torch.randn_like(clip.noise)
    sets = noise[:, :9], noise[:, 9:]
    encoded = encode_windows(network, clip)
    rollouts = [paint_clip(network, clip, encoded, part, num_steps=CLIP_STEPS) for part in sets]
    k = int(torch.randint(SAMPLING_STEPS, ()))
    t = noise_levels(SAMPLING_STEPS)[k]
    carried = torch.cat([rollout.carried for rollout in rollouts])
    twice = repeat_conditions(encoded)
    draws, _ = network(
        torch.cat([rollout.noisy[k] for rollout in rollouts]).contiguous(memory_format=torch.channels_last),
        torch.full((2 * batch,), t),
        conditions=twice,
        carried=contract_history(carried, twice.base.detach(), keep=HISTORY_KEEP).contiguous(
            memory_format=torch.channels_last
        ),
        noise=torch.cat([part[:, 3 + 3 * k : 6 + 3 * k] for part in sets]),
        partners=double_partners(clip_partners(clip, num_steps=CLIP_STEPS), batch),
        num_steps=CLIP_STEPS,
    )
    draw, other = draws.chunk(2)
    weight = pixel_weight(clip)
    score = energy_score(draw, other, clip.rgb, weight=weight)
    valid = rollouts[0].carried[:, 3:] * clip.carried[:, 3:]
    changes = [
        valid * (frame - past[:, :3])
        for frame, past in zip(
            (draw, other, clip.rgb), (rollouts[0].carried, rollouts[1].carried, clip.carried), strict=True
        )
    ]
    change = energy_score(*changes, weight=weight)
    return ((0.5 + t) * (score + change)).mean(), float((draw.detach() - clip.rgb).square().mean())


def draw_loss(
    network: VideoNetwork,
    windows: Windows,
    carried: Float[Tensor, "B 4 H W"],
    *,
    num_steps: int,
    keep_range: tuple[float, float],
) -> tuple[Float[Tensor, ""], float]:
    """Score two draws of every window; returns the loss and, to watch, the squared error of the first draw."""
    batch = len(windows.rgb)
    anchored = (torch.rand(batch, 1, 1, 1) < ANCHORED_SHARE).expand(batch, 9, 1, 1)
    own = windows.noise[:, :9]
    noise = torch.where(anchored, own, torch.randn_like(own))
    t = sample_levels(batch)
    noisy = mix_with_noise(windows.rgb, noise[:, :3], t)
    encoded = encode_windows(network, windows)
    keep = keep_range[0] + (keep_range[1] - keep_range[0]) * torch.rand(batch, 1, 1, 1)
    seen = contract_history(carried, encoded.base.detach(), keep=keep)
    draws, _ = network(
        torch.cat([noisy, noisy]).contiguous(memory_format=torch.channels_last),
        torch.cat([t, t]),
        conditions=repeat_conditions(encoded),
        carried=torch.cat([seen, seen]).contiguous(memory_format=torch.channels_last),
        noise=torch.cat([noise[:, 3:6], noise[:, 6:9]]),
        partners=double_partners(clip_partners(windows, num_steps=num_steps) if num_steps > 1 else None, batch),
        num_steps=num_steps,
    )
    draw, other = draws.chunk(2)
    score = energy_score(draw, other, windows.rgb, weight=pixel_weight(windows))
    return ((0.5 + t) * score).mean(), float((draw.detach() - windows.rgb).square().mean())


def encode_windows(network: VideoNetwork, windows: Windows) -> EncodedConditions:
    """Encode the condition planes of windows."""
    return network.encode(windows.planes.contiguous(memory_format=torch.channels_last), windows.style)


def double_partners(partners: Int[Tensor, "B P h w"] | None, batch: int) -> Int[Tensor, "2*B P h w"] | None:
    """Stack partners twice, for two draws of the same pictures; the second finds its own among the second."""
    if partners is None:
        return None
    moved = torch.where(partners >= 0, partners + batch * partners.shape[-2] * partners.shape[-1], -1)
    return torch.cat([partners, moved])


def pixel_weight(windows: Windows) -> Float[Tensor, "B H W"]:
    """Weigh agents and, more, pedestrians: they are few pixels and many people's reason to be here."""
    pedestrian = torch.isin(windows.material, torch.tensor([int(m) for m in PEDESTRIAN]))
    agent = windows.material >= int(Material.BODY)
    return 1.0 + 0.7 * agent.float() + 2.0 * pedestrian.float()


def sample_levels(batch: int) -> Float[Tensor, " B"]:
    """Draw noise levels: a share at exactly 1, the rest denser towards 1."""
    t = 0.02 + 0.98 * torch.rand(batch).sqrt()
    return torch.where(torch.rand(batch) < PURE_NOISE, torch.ones(batch), t)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, flat, then linear decay to a twentieth."""
    peak, share = config.recipe.learning_rate, step / config.recipe.steps
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    fade = 1.0 if share < DECAY_FROM else 1.0 - 0.95 * (share - DECAY_FROM) / (1.0 - DECAY_FROM)
    return peak * warm * fade


@torch.no_grad()
def update_average(run: VideoRun, step: int) -> None:
    """Move the averaged weights towards the current ones; faster at the start."""
    decay = min(EMA_DECAY, (1.0 + step) / (10.0 + step))
    for average, current in zip(run.average.parameters(), run.network.parameters(), strict=True):
        average.lerp_(current, 1.0 - decay)
