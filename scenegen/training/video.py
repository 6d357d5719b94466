"""`recipe=video`: train the native video network on a scenegen data set. Resumable, deterministic per step.

First the pointwise encoder alone, on single pixels (`training.pixels`), then everything, by flow matching with a
clean-frame target (see `scenegen/diffusion/flow.py`). Ours: half of the noise is
anchored to the world; the carried previous frame is dropped or damaged in most windows and sometimes is the
network's own work, so that the rollout does not drift; pedestrians weigh more; the last part of the run adds
a patch discriminator that sharpens what the mean squared error leaves soft.
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
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from scenegen.config import TrainConfig
from scenegen.diffusion.flow import mix_with_noise
from scenegen.diffusion.memory import channels_last
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.discriminator import PatchDiscriminator, discriminator_loss, finish_loss
from scenegen.training.pixels import train_pixels
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import Windows, sample_windows
from scenegen.types import Material, random_generator, random_key
from scenegen.video.backbones.native import save_network
from scenegen.video.network import SIZES, VideoNetwork

log = logging.getLogger(__name__)

CROP_WIDTH = 100
HISTORY_DROP = 0.45
HISTORY_OWN = 0.2
"""Share of the remaining windows whose carried frame is the network's own one-step estimate."""
PURE_NOISE = 0.3
"""Share of windows at t = 1, the only level every sampler visits."""
EMA_DECAY = 0.999
WARM_UP_STEPS = 100
DECAY_FROM = 0.6
FINISH_FROM = 0.65
"""Share of the run after which the discriminator joins."""
FINISH_WEIGHT = 0.02
MATCHING_WEIGHT = 3.0
DISCRIMINATOR_RATE = 2e-3
PEDESTRIAN = (Material.SKIN, Material.CLOTH_UPPER, Material.CLOTH_LOWER, Material.HAIR)


@dataclass(kw_only=True)
class VideoRun:
    """Everything of a run that changes."""

    network: VideoNetwork
    average: VideoNetwork
    discriminator: PatchDiscriminator
    optimizer: torch.optim.AdamW
    discriminator_optimizer: torch.optim.AdamW


def train_video(config: TrainConfig, *, size_name: str = "tiny") -> Path:
    """Train, resuming from the output folder's checkpoint; returns the weight file."""
    folder = Path(config.output)
    cache = open_window_cache(Path(config.data), folder / "windows")
    run = start_run(config, size_name)
    modules = {"network": run.network, "average": run.average, "discriminator": run.discriminator}
    optimizers = {"network": run.optimizer, "discriminator": run.discriminator_optimizer}
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
            mean = {key: float(np.mean([entry[key] for entry in losses if key in entry])) for key in losses[-1]}
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
    """Make fresh networks and optimizers, seeded."""
    torch.manual_seed(random_key(config.seed, "train-video") % (1 << 63))
    network = channels_last(VideoNetwork(SIZES[size_name]))
    discriminator = channels_last(PatchDiscriminator())
    return VideoRun(
        network=network,
        average=deepcopy(network).requires_grad_(False),
        discriminator=discriminator,
        optimizer=torch.optim.AdamW(network.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=1e-4),
        discriminator_optimizer=torch.optim.AdamW(discriminator.parameters(), lr=DISCRIMINATOR_RATE, betas=(0.0, 0.99)),
    )


def train_step(run: VideoRun, cache: WindowCache, *, step: int, config: TrainConfig) -> dict[str, float]:
    """Do one optimiser step; all its randomness hangs on (seed, step)."""
    generator = random_generator(config.seed, "train-video", stage="windows", chunk=step)
    torch.manual_seed(random_key(config.seed, "train-video", step) % (1 << 63))
    windows = sample_windows(cache, generator, batch_size=config.recipe.batch_size, crop_width=CROP_WIDTH)
    finishing = step >= FINISH_FROM * config.recipe.steps
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(step, config)
    carried = damage_history(run, windows)
    noise = torch.where(torch.rand(len(windows.rgb), 1, 1, 1) < 0.5, windows.noise, torch.randn_like(windows.rgb))
    t = sample_levels(len(windows.rgb))
    noisy = mix_with_noise(windows.rgb, noise, t).contiguous(memory_format=torch.channels_last)
    planes = windows.planes.contiguous(memory_format=torch.channels_last)
    encoded = run.network.encode(planes, windows.style)
    clean = run.network(noisy, t, conditions=encoded, carried=carried)
    loss = flow_loss(clean, windows, t)
    record = {"loss": float(loss.detach()), "mse": float(functional.mse_loss(clean.detach(), windows.rgb))}
    if finishing:
        record["discriminator"] = train_discriminator(run, clean.detach(), windows.rgb, planes)
        run.discriminator.requires_grad_(False)
        fake, real = run.discriminator(clean, planes), run.discriminator(windows.rgb, planes)
        loss = loss + FINISH_WEIGHT * finish_loss(real, fake, matching_weight=MATCHING_WEIGHT)
        run.discriminator.requires_grad_(True)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimizer.step()
    update_average(run, step)
    return record


def train_discriminator(run: VideoRun, fake: Tensor, real: Tensor, planes: Tensor) -> float:
    """Do one step of the discriminator on detached frames."""
    loss = discriminator_loss(run.discriminator(real, planes), run.discriminator(fake, planes))
    run.discriminator_optimizer.zero_grad(set_to_none=True)
    loss.backward()
    run.discriminator_optimizer.step()
    return float(loss.detach())


def flow_loss(clean: Float[Tensor, "B 3 H W"], windows: Windows, t: Float[Tensor, " B"]) -> Float[Tensor, ""]:
    """Weighted pseudo-Huber distance to the true frame; high noise and pedestrians weigh more."""
    pedestrian = torch.isin(windows.material, torch.tensor([int(m) for m in PEDESTRIAN]))
    agent = windows.material >= int(Material.BODY)
    weight = 1.0 + 0.7 * agent.float() + 2.0 * pedestrian.float()
    distance = ((clean - windows.rgb).square().sum(1) + 0.03**2).sqrt() - 0.03
    per_window = (weight * distance).mean(dim=(1, 2))
    return (per_window * (0.5 + t)).mean()


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
def damage_history(run: VideoRun, windows: Windows) -> Float[Tensor, "B 4 H W"]:
    """Drop, blur, tint, roughen or punch the carried frames, so that a rollout's own faults look familiar."""
    carried = windows.carried.clone()
    batch, _, height, width = carried.shape
    rgb, valid = carried[:, :3], carried[:, 3:]
    if float(torch.rand(())) < HISTORY_OWN:
        # The network's own one-step estimate stands in for the past: the same surfaces, its own faults.
        encoded = run.average.encode(windows.planes.contiguous(memory_format=torch.channels_last), windows.style)
        level = torch.ones(batch)
        own = run.average(torch.randn_like(rgb), level, conditions=encoded, carried=torch.zeros_like(carried))
        rgb = torch.where(torch.rand(batch, 1, 1, 1) < 0.5, own.clamp(-1.0, 1.0), rgb)
    blurred = functional.avg_pool2d(functional.pad(rgb, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    blur = torch.rand(batch, 1, 1, 1) * (torch.rand(batch, 1, 1, 1) < 0.5)
    rgb = rgb + blur * (blurred - rgb)
    tint = (torch.rand(batch, 1, 1, 1) < 0.5).float()
    rgb = rgb * (1.0 + 0.15 * tint * torch.randn(batch, 3, 1, 1)) + 0.08 * tint * torch.randn(batch, 3, 1, 1)
    rough = 0.15 * torch.rand(batch, 1, 1, 1) * (torch.rand(batch, 1, 1, 1) < 0.5)
    rgb = rgb + rough * torch.randn_like(rgb)
    coarse = (torch.rand(batch, 1, height // 8, (width + 7) // 8) > 0.15).float()
    holes = functional.interpolate(coarse, size=(height, width), mode="nearest")
    punched = torch.where(torch.rand(batch, 1, 1, 1) < 0.3, holes, torch.ones_like(holes))
    keep = (torch.rand(batch, 1, 1, 1) >= HISTORY_DROP).float()
    valid = valid * punched * keep
    return torch.cat([rgb * valid, valid], dim=1).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def update_average(run: VideoRun, step: int) -> None:
    """Move the averaged weights towards the current ones; faster at the start."""
    decay = min(EMA_DECAY, (1.0 + step) / (10.0 + step))
    for average, current in zip(run.average.parameters(), run.network.parameters(), strict=True):
        average.lerp_(current, 1.0 - decay)
