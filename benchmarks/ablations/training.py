"""Train one arm for a number of processor seconds: the steps of `training.video`, with the switches of `arms.Arm`.

Processor time of one thread is the budget, so a cheaper network gets more steps. Equal time is not repeatable to the
byte; the seed fixes windows, noise and first weights, the clock only where the run ends.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from benchmarks.ablations.arms import GUIDE, SMALL, Arm
from benchmarks.ablations.clips import PixelSampler, Sampler, StepInputs
from benchmarks.ablations.latent_flow import LatentNetwork, LatentSampler
from scenegen.diffusion.flow import mix_with_noise
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.scoring import energy_score
from scenegen.training.autoencoder import rate_share, reconstruction_loss, set_scale, take_step
from scenegen.training.damage import damage_history
from scenegen.training.pixels import gather_pixels
from scenegen.training.rollout import SAMPLING_STEPS, clip_partners, repeat_conditions
from scenegen.training.video import (
    ANCHORED_SHARE,
    CLIP_EVERY,
    CLIP_STEPS,
    DAMAGED_SHARE,
    DROP_SHARE,
    JOINT_EVERY,
    JOINT_FROM,
    KEEP_RANGE,
    double_partners,
    joint_loss,
    pixel_weight,
    sample_levels,
)
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import Windows, read_windows, sample_clip
from scenegen.types import random_generator, random_key
from scenegen.video.history import HISTORY_KEEP, carry_forward, contract_history
from scenegen.video.latent import AutoencoderSize, PictureAutoencoder
from scenegen.video.network import PixelEncoder, TemporalState, VideoNetwork

CROP_WIDTH = 96
BATCH_SIZE = 6
PEAK_RATE = 1.2e-3
PIXEL_RATE = 3e-3
WINDOWS_PER_BANK = 32
PIXELS_PER_STEP = 480


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What came out of an arm: a sampler, and how far it got."""

    sampler: Sampler
    steps: int
    autoencoder_steps: int
    num_parameters: int


class Budget:
    """Processor seconds of this process from now on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.began = time.process_time()

    def shares(self) -> Iterator[tuple[int, float]]:
        """Count steps, each with the share of the budget that is used, until it is used up."""
        step = 0
        while (share := (time.process_time() - self.began) / self.seconds) < 1.0:
            yield step, share
            step += 1


def train_pixel_encoder(cache: WindowCache, *, seconds: float, seed: int) -> PixelEncoder:
    """Teach a pointwise encoder the colour to expect: `training.pixels`, shorter. All arms start from it."""
    torch.manual_seed(random_key(seed, "ablation-pixels") % (1 << 63))
    encoder = PixelEncoder(SMALL.pixel, SMALL.detail)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=PIXEL_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    planes, style, rgb = gather_pixels(cache, seed=seed, bank=0)
    for step, share in Budget(seconds).shares():
        windows = torch.randint(len(planes), (WINDOWS_PER_BANK, 1))
        pixels = torch.randint(planes.shape[1], (WINDOWS_PER_BANK, PIXELS_PER_STEP))
        inputs = planes[windows, pixels].permute(0, 2, 1)[..., None]
        wanted = rgb[windows, pixels].permute(0, 2, 1)[..., None]
        error = encoder.expected_color(inputs, style[windows[:, 0]]) - wanted
        loss = (error.square().sum(1) + 0.05**2).sqrt().mean()
        take_step(optimizer, loss, rate=PIXEL_RATE * rate_share(share, step))
    return encoder


def train_arm(
    arm: Arm, cache: WindowCache, encoder: PixelEncoder, *, seconds: float, rig_K: Float[np.ndarray, "V 3 3"]
) -> Trained:
    """Train an arm from the common start. A latent arm spends half of its time on the autoencoder."""
    allowed = choose_entries(cache, arm, rig_K=rig_K)
    if arm.latent is None:
        network = start_network(arm)
        network.pixel.load_state_dict(encoder.state_dict())
        average, steps = train_flow(network, arm, cache, allowed, seconds=seconds)
        assert isinstance(average, VideoNetwork)
        sampler: Sampler = PixelSampler(network=average)
        return Trained(sampler=sampler, steps=steps, autoencoder_steps=0, num_parameters=count(average))
    autoencoder, guide, autoencoder_steps = train_guided_autoencoder(arm.latent, cache, encoder, seconds=seconds / 2)
    latent = LatentNetwork(arm.size, autoencoder)
    latent.pixel.load_state_dict(guide.state_dict())
    latent.pixel.requires_grad_(False)  # the decoder knows these features
    average, steps = train_flow(channels_last(latent), arm, cache, allowed, seconds=seconds / 2)
    assert isinstance(average, LatentNetwork)
    return Trained(
        sampler=LatentSampler(network=average),
        steps=steps,
        autoencoder_steps=autoencoder_steps,
        num_parameters=count(average),
    )


def start_network(arm: Arm) -> VideoNetwork:
    """Make the network of an arm; weights that the full network has too are the same as there."""
    torch.manual_seed(random_key(arm.seed, "ablation-start") % (1 << 63))
    full = VideoNetwork(SMALL).state_dict()
    network = VideoNetwork(arm.size)
    own = network.state_dict()
    shared = {name: full[name] for name in own if name in full and full[name].shape == own[name].shape}
    network.load_state_dict(own | shared)
    return channels_last(network)


def choose_entries(cache: WindowCache, arm: Arm, *, rig_K: np.ndarray) -> np.ndarray:
    """Return the steps of the cache that an arm may see."""
    is_plain = np.array(
        [table.K.shape == rig_K.shape and np.allclose(table.K, rig_K, rtol=1e-4) for table in cache.tables]
    )
    return is_plain[cache.scene] if not arm.random_rigs else np.ones(len(cache.scene), np.bool_)


def draw_windows(cache: WindowCache, allowed: np.ndarray, generator: np.random.Generator) -> Windows:
    """Draw single windows of the steps allowed."""
    _, views, _, width = cache.pixels["material"].shape
    entries = np.nonzero(allowed)[0]
    picks = [
        (
            int(generator.choice(entries)),
            int(generator.integers(views)),
            4 * int(generator.integers((width - CROP_WIDTH) // 4 + 1)),
        )
        for _ in range(BATCH_SIZE)
    ]
    return read_windows(cache, picks, crop_width=CROP_WIDTH)


def draw_clip(cache: WindowCache, allowed: np.ndarray, generator: np.random.Generator) -> Windows:
    """Draw a clip of two views of the steps allowed."""
    while True:
        picks = sample_clip(cache, generator, num_steps=CLIP_STEPS, crop_width=CROP_WIDTH)
        if allowed[picks[0][0]]:
            return read_windows(cache, picks, crop_width=CROP_WIDTH)


def train_flow(
    network: VideoNetwork | LatentNetwork, arm: Arm, cache: WindowCache, allowed: np.ndarray, *, seconds: float
) -> tuple[nn.Module, int]:
    """Train until the time is over; returns the averaged network and the number of steps."""
    average = deepcopy(network).requires_grad_(False)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=PEAK_RATE, betas=(0.9, 0.99), weight_decay=1e-4)
    for step, share in Budget(seconds).shares():
        generator = random_generator(arm.seed, "ablation", stage="windows", chunk=step)
        torch.manual_seed(random_key(arm.seed, "ablation", step) % (1 << 63))
        if arm.history == "joint" and share >= JOINT_FROM:
            assert isinstance(network, VideoNetwork)
            loss = third_stage_loss(network, arm, cache, allowed, generator, step=step)
        else:
            loss = second_stage_loss(network, average, arm, cache, allowed, generator, step=step)
        take_step(optimizer, loss, rate=PEAK_RATE * rate_share(share, step))
        decay = (1.0 + step) / (10.0 + step)
        with torch.no_grad():
            for kept, current in zip(average.parameters(), network.parameters(), strict=True):
                kept.lerp_(current, 1.0 - decay)
    return average, step + 1


def second_stage_loss(
    network: VideoNetwork | LatentNetwork,
    average: nn.Module,
    arm: Arm,
    cache: WindowCache,
    allowed: np.ndarray,
    generator: np.random.Generator,
    *,
    step: int,
) -> Float[Tensor, ""]:
    """Train on single windows, and now and then on a clip with one history for both draws."""
    if step % CLIP_EVERY != CLIP_EVERY - 1:
        windows = draw_windows(cache, allowed, generator)
        carried = damage(windows.carried, arm, drop_share=DROP_SHARE[2], damaged_share=1.0)
        return draw_loss(network, windows, carried, arm, num_steps=1, keep_range=KEEP_RANGE[2])
    clip = draw_clip(cache, allowed, generator)
    if arm.history == "true":
        carried = damage(clip.carried, arm, drop_share=DROP_SHARE[2], damaged_share=1.0)
    else:
        carried = carry_own_frames(sampler_of(average), clip, anchored=arm.anchored)
    return draw_loss(network, clip, carried, arm, num_steps=CLIP_STEPS, keep_range=KEEP_RANGE[2])


def third_stage_loss(
    network: VideoNetwork,
    arm: Arm,
    cache: WindowCache,
    allowed: np.ndarray,
    generator: np.random.Generator,
    *,
    step: int,
) -> Float[Tensor, ""]:
    """Train on single windows and, every other step, on a clip painted twice, each with its own history."""
    if step % JOINT_EVERY != JOINT_EVERY - 1:
        windows = draw_windows(cache, allowed, generator)
        carried = damage(windows.carried, arm, drop_share=DROP_SHARE[3], damaged_share=DAMAGED_SHARE)
        return draw_loss(network, windows, carried, arm, num_steps=1, keep_range=KEEP_RANGE[3])
    clip = draw_clip(cache, allowed, generator)
    if not arm.anchored:
        clip = replace(clip, noise=torch.randn_like(clip.noise))
    return joint_loss(network, clip)[0]


def sampler_of(network: nn.Module) -> Sampler:
    """Wrap a network of either kind."""
    if isinstance(network, LatentNetwork):
        return LatentSampler(network=network)
    assert isinstance(network, VideoNetwork)
    return PixelSampler(network=network)


def damage(
    carried: Float[Tensor, "B 4 H W"], arm: Arm, *, drop_share: float, damaged_share: float
) -> Float[Tensor, "B 4 H W"]:
    """Drop true history in a share of the windows and damage it in another, unless the arm leaves damage out."""
    dropped = carried * (torch.rand(len(carried), 1, 1, 1) >= drop_share)
    if not arm.damage:
        return dropped
    is_damaged = torch.rand(len(carried), 1, 1, 1) < damaged_share
    return torch.where(is_damaged, damage_history(carried, drop_share=drop_share), dropped)


def draw_loss(
    network: VideoNetwork | LatentNetwork,
    windows: Windows,
    carried: Float[Tensor, "B 4 H W"],
    arm: Arm,
    *,
    num_steps: int,
    keep_range: tuple[float, float],
) -> Float[Tensor, ""]:
    """Score draws of every window: `training.video.draw_loss` with the switches of the arm."""
    batch = len(windows.rgb)
    anchored = torch.rand(batch, 1, 1, 1) < (ANCHORED_SHARE if arm.anchored else 0.0)
    own = windows.noise[:, :9]
    noise = torch.where(anchored.expand_as(own), own, torch.randn_like(own))
    t = sample_levels(batch)
    encoded = network.encode(windows.planes.contiguous(memory_format=torch.channels_last), windows.style)
    keep = keep_range[0] + (keep_range[1] - keep_range[0]) * torch.rand(batch, 1, 1, 1)
    seen = contract_history(carried, encoded.base.detach(), keep=keep)
    partners = clip_partners(windows, num_steps=num_steps) if num_steps > 1 else None
    parts = [noise[:, :3], noise[:, 3:6], noise[:, 6:9]]
    truth, weight = windows.rgb, pixel_weight(windows)
    if isinstance(network, LatentNetwork):
        parts = [network.latent_noise(part) for part in parts]
        with torch.no_grad():
            truth = network.autoencoder.encode(windows.rgb - encoded.base)
        weight = torch.nn.functional.avg_pool2d(weight[:, None], network.autoencoder.size.factor)[:, 0]
    num_draws = 2 if arm.repulsion else 1
    noisy = mix_with_noise(truth, parts[0], t)
    draws, _ = network(
        torch.cat([noisy] * num_draws).contiguous(memory_format=torch.channels_last),
        torch.cat([t] * num_draws),
        conditions=repeat_conditions(encoded) if num_draws == 2 else encoded,
        carried=torch.cat([seen] * num_draws).contiguous(memory_format=torch.channels_last),
        noise=torch.cat(parts[1 : 1 + num_draws]),
        partners=double_partners(partners, batch) if num_draws == 2 else partners,
        memory=None,
        num_steps=num_steps,
    )
    draw, other = draws.chunk(2) if num_draws == 2 else (draws, draws)
    return ((0.5 + t) * energy_score(draw, other, truth, weight=weight)).mean()


@torch.no_grad()
def carry_own_frames(sampler: Sampler, clip: Windows, *, anchored: bool) -> Float[Tensor, "B 4 H W"]:
    """Paint a clip with a sampler of either kind, as `training.rollout.paint_clip` does with the native network."""
    carried_all = torch.zeros(len(clip.rgb), 4, *clip.rgb.shape[-2:])
    noise = clip.noise if anchored else torch.randn_like(clip.noise)
    previous: Tensor | None = None
    memory: TemporalState | None = None
    for step in range(CLIP_STEPS):
        own = slice(step, None, CLIP_STEPS)
        if previous is not None:
            frame = carry_forward(
                previous,
                motion_px=clip.motion_px[own],
                code=clip.code[own],
                previous_code=clip.code[step - 1 :: CLIP_STEPS],
            )
            carried_all[own] = torch.cat([frame.rgb, frame.valid], dim=1)
        inputs = StepInputs(
            planes=clip.planes[own].contiguous(memory_format=torch.channels_last),
            style=clip.style[own],
            carried=carried_all[own],
            noise=noise[own, :9],
            partners=None,
            memory=memory,
            keep=HISTORY_KEEP,
            steps=SAMPLING_STEPS,
        )
        previous, memory = sampler.draw(inputs)
    return carried_all


def train_guided_autoencoder(
    size: AutoencoderSize, cache: WindowCache, encoder: PixelEncoder, *, seconds: float
) -> tuple[PictureAutoencoder, PixelEncoder, int]:
    """Train an autoencoder of differences from the expected colour, together with the encoder that guides it."""
    assert size.guide == GUIDE + 3
    torch.manual_seed(random_key(0, "ablation-autoencoder") % (1 << 63))
    model, guide = channels_last(PictureAutoencoder(size)), deepcopy(encoder)
    optimizer = torch.optim.AdamW([*model.parameters(), *guide.parameters()], lr=PEAK_RATE, betas=(0.9, 0.99))
    allowed = np.ones(len(cache.scene), np.bool_)
    for step, share in Budget(seconds).shares():
        generator = random_generator(0, "ablation-autoencoder", stage="windows", chunk=step)
        windows = draw_windows(cache, allowed, generator)
        pixels = guide(windows.planes, windows.style)
        loss = reconstruction_loss(model, windows.rgb - pixels[:, :3], windows, pixels)
        take_step(optimizer, loss, rate=PEAK_RATE * rate_share(share, step))
    with torch.no_grad():
        generator = random_generator(0, "ablation-autoencoder", stage="statistics")
        windows = draw_windows(cache, allowed, generator)
        set_scale(model, windows.rgb - guide(windows.planes, windows.style)[:, :3])
    return model, guide, step + 1


def train_plain_autoencoder(
    size: AutoencoderSize, cache: WindowCache, *, seconds: float
) -> tuple[PictureAutoencoder, int]:
    """Train an autoencoder that sees pictures and nothing else."""
    torch.manual_seed(random_key(0, "ablation-autoencoder") % (1 << 63))
    model = channels_last(PictureAutoencoder(size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.99))
    allowed = np.ones(len(cache.scene), np.bool_)
    for step, share in Budget(seconds).shares():
        generator = random_generator(0, "ablation-autoencoder", stage="windows", chunk=step)
        windows = draw_windows(cache, allowed, generator)
        take_step(optimizer, reconstruction_loss(model, windows.rgb, windows), rate=PEAK_RATE * rate_share(share, step))
    return model, step + 1


def count(network: nn.Module) -> int:
    """Count the numbers of a network."""
    return sum(p.numel() for p in network.parameters())
