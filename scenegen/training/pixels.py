"""First stage of `recipe=video`: teach the pointwise encoder which colour to expect at a single pixel.

Most of a rendered picture is material times light, which single pixels show. Learning it on shuffled pixels costs
minutes where the convolutional network would need hours. Texture, borders, chance and time come in the second stage.
"""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import half_width, sample_windows
from scenegen.types import random_generator, random_key
from scenegen.video.network import PixelEncoder

log = logging.getLogger(__name__)

NUM_BANKS = 3
WINDOWS_PER_BANK = 288
PIXELS_PER_WINDOW = 2400
STEPS_PER_BANK = 1000
WINDOWS_PER_STEP = 32
PIXELS_PER_STEP = 480
PEAK_RATE = 3e-3


def train_pixels(encoder: PixelEncoder, cache: WindowCache, *, seed: int) -> None:
    """Train the encoder's expected colour in place."""
    torch.manual_seed(random_key(seed, "train-pixels") % (1 << 63))
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    total = NUM_BANKS * STEPS_PER_BANK
    device = next(encoder.parameters()).device
    for bank in range(NUM_BANKS):
        planes, style, rgb = (part.to(device) for part in gather_pixels(cache, seed=seed, bank=bank))
        losses = []
        for step in range(STEPS_PER_BANK):
            share = (bank * STEPS_PER_BANK + step) / total
            rate = PEAK_RATE * min(1.0, (share * total + 1) / 100) * (0.02 + 0.49 * (1.0 + math.cos(math.pi * share)))
            for group in optimizer.param_groups:
                group["lr"] = rate
            windows = torch.randint(len(planes), (WINDOWS_PER_STEP, 1))
            pixels = torch.randint(PIXELS_PER_WINDOW, (WINDOWS_PER_STEP, PIXELS_PER_STEP))
            inputs = planes[windows, pixels].permute(0, 2, 1)[..., None]
            wanted = rgb[windows, pixels].permute(0, 2, 1)[..., None]
            error = encoder.expected_color(inputs, style[windows[:, 0]]) - wanted
            loss = (error.square().sum(1) + 0.05**2).sqrt().mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
        log.info("pixels: bank %d of %d, loss %.4f", bank + 1, NUM_BANKS, sum(losses[-200:]) / 200)


def gather_pixels(cache: WindowCache, *, seed: int, bank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Collect random pixels of random windows: planes (N P C), style (N S), rgb (N P 3)."""
    generator = random_generator(seed, "train-pixels", stage="windows", chunk=bank)
    planes, style, rgb = [], [], []
    for _ in range(WINDOWS_PER_BANK // 12):
        windows = sample_windows(cache, generator, batch_size=12, crop_width=half_width(cache))
        count = windows.rgb[0, 0].numel()
        picks = torch.from_numpy(generator.integers(count, size=PIXELS_PER_WINDOW))
        planes.append(windows.planes.flatten(2)[:, :, picks].permute(0, 2, 1).contiguous())
        style.append(windows.style)
        rgb.append(windows.rgb.flatten(2)[:, :, picks].permute(0, 2, 1).contiguous())
    return torch.cat(planes), torch.cat(style), torch.cat(rgb)
