"""`recipe=autoencoder`: train the picture autoencoder of `scenegen.video.latent`. Resumable.

The loss is the distance part of the energy score (`diffusion.scoring`), with pedestrians weighing more: what an
autoencoder loses no flow in its latents can bring back.
"""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from scenegen.config import TrainConfig
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.scoring import energy_score
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.video import pixel_weight
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import Windows, sample_windows
from scenegen.types import random_generator, random_key
from scenegen.video.latent import AutoencoderSize, PictureAutoencoder, save_autoencoder

log = logging.getLogger(__name__)

CROP_WIDTH = 96
LATENT_NOISE = 0.05
"""Noise on latents, so that neighbouring codes mean similar pictures."""
LATENT_WEIGHT = 1e-3
SIZE = AutoencoderSize(factor=4, channels=8)
STATISTICS_WINDOWS = 48


def train_autoencoder(config: TrainConfig) -> Path:
    """Train, resuming from the output folder's checkpoint; returns the weight file."""
    folder = Path(config.output)
    cache = open_window_cache(Path(config.data), Path(config.windows))
    torch.manual_seed(random_key(config.seed, "train-autoencoder") % (1 << 63))
    model = channels_last(PictureAutoencoder(SIZE))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.recipe.learning_rate, betas=(0.9, 0.99))
    modules, optimizers = {"model": model}, {"model": optimizer}
    first, total = load_checkpoint(folder, modules=modules, optimizers=optimizers), config.recipe.steps
    weights = folder / "autoencoder.safetensors"
    began, losses = time.monotonic(), []
    for step in range(first, total):
        generator = random_generator(config.seed, "train-autoencoder", stage="windows", chunk=step)
        torch.manual_seed(random_key(config.seed, "train-autoencoder", step) % (1 << 63))
        windows = sample_windows(cache, generator, batch_size=config.recipe.batch_size, crop_width=CROP_WIDTH)
        loss = reconstruction_loss(model, windows.rgb, windows)
        take_step(optimizer, loss, rate=config.recipe.learning_rate * rate_share(step / total, step))
        losses.append(float(loss.detach()))
        done = step + 1
        if done % 50 == 0:
            rate = (done - first) / (time.monotonic() - began)
            record = {"step": done, "loss": float(np.mean(losses)), "eta_s": round((total - done) / rate)}
            log.info("%s", record)
            with (folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
            losses.clear()
        if done % config.recipe.save_every_steps == 0 or done == total:
            save_checkpoint(folder, step=done, modules=modules, optimizers=optimizers)
    scale_latents(model, cache, seed=config.seed)
    save_autoencoder(model, weights, notes={"steps": str(total), "seed": str(config.seed)})
    return weights


def reconstruction_loss(
    model: PictureAutoencoder,
    picture: Float[Tensor, "B 3 H W"],
    windows: Windows,
    guide: Float[Tensor, "B G H W"] | None = None,
) -> Float[Tensor, ""]:
    """Return the distance of decoded from coded pictures, over scales, and a small pull of latents to zero."""
    latent = model.encode(picture)
    decoded = model.decode(latent + LATENT_NOISE * torch.randn_like(latent), guide)
    distance = energy_score(decoded, decoded, picture, weight=pixel_weight(windows))
    return distance.mean() + LATENT_WEIGHT * latent.square().mean()


def take_step(optimizer: torch.optim.Optimizer, loss: Float[Tensor, ""], *, rate: float) -> None:
    """Do one optimiser step at a learning rate, with the gradient clipped to length one."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
    optimizer.step()


def rate_share(share: float, step: int) -> float:
    """Return the learning rate's share of its peak: a linear start of 50 steps, flat, linear decay from 60 % on.

    Args:
        share: how much of the training is over, 0..1.
        step: optimiser steps before this one.
    """
    return min(1.0, (step + 1) / 50) * min(1.0, max(0.05, (1.0 - share) / 0.4))


@torch.no_grad()
def scale_latents(model: PictureAutoencoder, cache: WindowCache, *, seed: int) -> None:
    """Set mean and spread from a fixed draw of windows, coded as plain pictures."""
    generator = random_generator(seed, "train-autoencoder", stage="statistics")
    windows = sample_windows(cache, generator, batch_size=STATISTICS_WINDOWS, crop_width=CROP_WIDTH)
    set_scale(model, windows.rgb)


@torch.no_grad()
def set_scale(model: PictureAutoencoder, pictures: Float[Tensor, "B 3 H W"]) -> None:
    """Set mean and spread so that the latents of these pictures have variance one."""
    code = model.encoder(pictures)
    model.mean.copy_(code.mean(dim=(0, 2, 3)))
    model.spread.copy_(code.std(dim=(0, 2, 3)).clamp(min=1e-4))
