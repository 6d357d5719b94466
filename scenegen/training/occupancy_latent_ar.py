"""`recipe=occupancy_latent_ar`: train the latent reference design. Resumable.

First the autoencoder, on pieces of frames; then the transformer on the latents of all frames, with clean frames of the
truth as history (teacher forcing), some of them roughened, since a rollout's own frames are.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from scenegen.config import TrainConfig
from scenegen.diffusion.flow import mix_with_noise
from scenegen.occupancy.latent_ar.autoencoder import AutoencoderSize, OccupancyAutoencoder, to_patches
from scenegen.occupancy.latent_ar.codes import NUM_GROUPS, Group, Surface
from scenegen.occupancy.latent_ar.memory import join_past, recall_past
from scenegen.occupancy.latent_ar.network import (
    LatentArNetwork,
    NetworkSize,
    PastFrames,
    training_step_flops,
)
from scenegen.occupancy.latent_ar.rollout import style_row
from scenegen.occupancy.latent_ar.weights import LatentArModel, save_model
from scenegen.training.autoencoder import rate_share, take_step
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.occupancy_frames import FrameCache, open_frame_cache
from scenegen.training.report import TrainingReport
from scenegen.types import random_generator, random_key

log = logging.getLogger(__name__)

WEIGHTS_NAME = "occupancy_latent_ar.safetensors"
AUTOENCODER_STEPS = 1000
AUTOENCODER_RATE = 2e-3
AUTOENCODER_BATCH = 4
CROP = 100
"""Columns along the edge of what the autoencoder trains on."""
SMALL_WEIGHT = {Group.VEHICLE: 3.0, Group.CYCLE: 8.0, Group.PERSON: 8.0, Group.THING: 8.0, Group.FREE: 0.5}
"""Weights of classes in the autoencoder's loss, 1 for all others."""
AGENT_WEIGHT = 3.0
"""Further weight of latent cells with agents in the transformer's loss; more for all but vehicles."""
LATENT_NOISE = 0.05
LATENT_PULL = 1e-3
STATISTICS_FRAMES = 24
BLANK_SHARE = 0.1
"""Share of frames whose layout says nothing, for guidance."""
NO_PAST_SHARE = 0.15
ROUGH_SHARE, MOST_ROUGH = 0.7, 0.4
"""Share of histories that are mixed with noise, and the largest share of noise in them."""
EMA_DECAY = 0.999


@dataclass(kw_only=True)
class LatentRun:
    """The transformer, its average over steps, and its optimizer."""

    network: LatentArNetwork
    average: LatentArNetwork
    optimizer: torch.optim.AdamW


def train_occupancy_latent_ar(config: TrainConfig) -> Path:
    """Train both stages, resuming from the output folder's checkpoints; returns the weight file.

    Raises:
        LayoutError: `data` names no layouts.
        DatasetError: the folder of windows holds frames of other layouts.
        WeightsError: a checkpoint is damaged.
    """
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    cache = open_frame_cache(config.data, Path(config.windows), seed=config.seed)
    autoencoder = train_autoencoder_stage(config, cache)
    latents = code_frames(autoencoder, cache)
    run = start_run(config)
    total = planned_steps(config, run.network.size)
    flops = total * training_step_flops(run.network.size, batch_size=config.recipe.batch_size)
    log.info("%d steps, %.3g FLOPs in the transformer", total, flops)
    modules, optimizers = {"network": run.network, "average": run.average}, {"network": run.optimizer}
    first = load_checkpoint(folder, modules=modules, optimizers=optimizers)
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    try:
        for step in range(first, total):
            losses = train_step(run, cache, latents, step=step, total=total, config=config)
            report.step_done(step + 1, losses, total=total)
            if (step + 1) % config.recipe.save_every_steps == 0 or step + 1 == total:
                save_checkpoint(folder, step=step + 1, modules=modules, optimizers=optimizers)
    finally:
        report.close()
    notes = {"steps": str(total), "training_flops": f"{flops:.4g}", "seed": str(config.seed), "layouts": config.data}
    weights = folder / WEIGHTS_NAME
    save_model(LatentArModel(autoencoder=autoencoder, network=run.average), weights, notes=notes)
    return weights


def planned_steps(config: TrainConfig, size: NetworkSize) -> int:
    """Return the transformer's steps: as many as the allowed FLOPs are worth, rounded to the nearest."""
    allowed = config.recipe.training_flops
    if allowed is None:
        return config.recipe.steps
    return max(1, round(allowed / training_step_flops(size, batch_size=config.recipe.batch_size)))


def train_autoencoder_stage(config: TrainConfig, cache: FrameCache) -> OccupancyAutoencoder:
    """Train the autoencoder on random pieces of frames, and scale its latents."""
    folder = Path(config.output) / "autoencoder"
    torch.manual_seed(random_key(config.seed, "latent-ar-autoencoder") % (1 << 63))
    model = OccupancyAutoencoder(AutoencoderSize())
    optimizer = torch.optim.AdamW(model.parameters(), lr=AUTOENCODER_RATE, betas=(0.9, 0.99))
    modules, optimizers = {"model": model}, {"model": optimizer}
    folder.mkdir(parents=True, exist_ok=True)
    first = load_checkpoint(folder, modules=modules, optimizers=optimizers)
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    try:
        for step in range(first, AUTOENCODER_STEPS):
            torch.manual_seed(random_key(config.seed, "latent-ar-autoencoder", step) % (1 << 63))
            frames = read_pieces(cache, step, seed=config.seed)
            loss = reconstruction_loss(model, frames)
            take_step(optimizer, loss, rate=AUTOENCODER_RATE * rate_share(step / AUTOENCODER_STEPS, step))
            done = step + 1
            report.step_done(done, {"loss": float(loss.detach())}, total=AUTOENCODER_STEPS)
            if done == AUTOENCODER_STEPS:
                set_scale(model, cache, seed=config.seed)
            if done % config.recipe.save_every_steps == 0 or done == AUTOENCODER_STEPS:
                save_checkpoint(folder, step=done, modules=modules, optimizers=optimizers)
    finally:
        report.close()
    return model.eval().requires_grad_(False)


def read_pieces(cache: FrameCache, step: int, *, seed: int) -> UInt8[Tensor, "B X Y Z"]:
    """Draw pieces of CROP x CROP columns, turned and mirrored."""
    generator = random_generator(seed, "latent-ar", stage="pieces", chunk=step)
    rows = generator.integers(len(cache), size=AUTOENCODER_BATCH)
    pieces = []
    for frame in cache.read(rows):
        x, y = generator.integers(frame.shape[0] - CROP + 1, size=2)
        piece = np.rot90(frame[x : x + CROP, y : y + CROP], k=int(generator.integers(4)))
        pieces.append(piece[::-1] if generator.integers(2) else piece)
    return torch.from_numpy(np.stack(pieces))


def reconstruction_loss(model: OccupancyAutoencoder, frames: UInt8[Tensor, "B X Y Z"]) -> Float[Tensor, ""]:
    """Return the weighted cross entropy of decoded voxels, and a small pull of latents to zero."""
    weight = torch.ones(NUM_GROUPS)
    for group, value in SMALL_WEIGHT.items():
        weight[group] = value
    latent = model.encode(frames)
    scores = model.decode_logits(latent + LATENT_NOISE * torch.randn_like(latent))
    wrong = functional.cross_entropy(scores, frames.permute(0, 3, 1, 2).long(), weight=weight)
    return wrong + LATENT_PULL * latent.square().mean()


@torch.no_grad()
def set_scale(model: OccupancyAutoencoder, cache: FrameCache, *, seed: int) -> None:
    """Set mean and spread so that the latents of some frames have variance one."""
    generator = random_generator(seed, "latent-ar", stage="statistics")
    frames = torch.from_numpy(cache.read(generator.integers(len(cache), size=STATISTICS_FRAMES)))
    code = model.encode(frames) * model.spread[:, None, None] + model.mean[:, None, None]
    model.mean.copy_(code.mean(dim=(0, 2, 3)))
    model.spread.copy_(code.std(dim=(0, 2, 3)).clamp(min=1e-4))


@torch.no_grad()
def code_frames(model: OccupancyAutoencoder, cache: FrameCache) -> Float[Tensor, "N L h w"]:
    """Return the latents of all frames in half precision."""
    parts = [model.encode(torch.from_numpy(cache.read([row]))).half() for row in range(len(cache))]
    return torch.cat(parts)


def start_run(config: TrainConfig) -> LatentRun:
    """Make a fresh network, its average and optimizer, seeded."""
    torch.manual_seed(random_key(config.seed, "latent-ar") % (1 << 63))
    network = LatentArNetwork(NetworkSize())
    return LatentRun(
        network=network,
        average=deepcopy(network).requires_grad_(False),
        optimizer=torch.optim.AdamW(network.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=1e-2),
    )


def train_step(
    run: LatentRun, cache: FrameCache, latents: Float[Tensor, "N L h w"], *, step: int, total: int, config: TrainConfig
) -> dict[str, float]:
    """Do one optimiser step."""
    torch.manual_seed(random_key(config.seed, "latent-ar", step) % (1 << 63))
    generator = random_generator(config.seed, "latent-ar", stage="frames", chunk=step)
    rows = generator.integers(len(cache), size=config.recipe.batch_size)
    past = join_past([read_past(cache, latents, int(row), reach=run.network.size.reach) for row in rows])
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        loss = flow_loss(run.network, cache, latents[torch.from_numpy(rows)].float(), rows=rows, past=past)
    take_step(run.optimizer, loss, rate=config.recipe.learning_rate * rate_share(step / total, step))
    decay = min(EMA_DECAY, (1.0 + step) / (10.0 + step))
    with torch.no_grad():
        for average, current in zip(run.average.parameters(), run.network.parameters(), strict=True):
            average.lerp_(current, 1.0 - decay)
    return {"loss": float(loss.detach())}


def read_past(cache: FrameCache, latents: Float[Tensor, "N L h w"], row: int, *, reach: int) -> PastFrames:
    """Return the true frames before a frame, as it sees them; none in a share of cases, roughened in another."""
    start = cache.starts[cache.drive_of(row)]
    if float(torch.rand(())) < NO_PAST_SHARE:
        start = row
    first = max(start, row - reach)
    window = latents[first : row + 1].float()
    if float(torch.rand(())) < ROUGH_SHARE:
        share = MOST_ROUGH * torch.rand(())
        window = mix_with_noise(window, torch.randn_like(window), share.expand(len(window)))
    return recall_past(window, cache.poses[first : row + 1], step=row - first, reach=reach)


def flow_loss(
    network: LatentArNetwork,
    cache: FrameCache,
    clean: Float[Tensor, "B L h w"],
    *,
    rows: np.ndarray,
    past: PastFrames,
) -> Float[Tensor, ""]:
    """Return the squared error of the velocity, cells with agents weighing more.

    Noise levels are the logistic function of normal draws (Esser et al. 2024, arXiv 2403.03206, section 3.1).
    """
    surface = torch.from_numpy(cache.surface[rows])
    agents = torch.from_numpy(cache.agents[rows])
    style = torch.tensor([style_row(cache.styles[cache.drive_of(int(row))]) for row in rows])
    weight = cell_weight(agents)
    blank = torch.rand(len(clean)) < BLANK_SHARE
    surface[blank], agents[blank], style[blank] = int(Surface.UNSAID), 0, 0
    t = torch.sigmoid(torch.randn(len(clean)))
    noise = torch.randn_like(clean)
    layout = network.read_layout(surface, agents, style)
    velocity = network(mix_with_noise(clean, noise, t), t, layout=layout, past=past)
    error = (velocity.float() - (noise - clean)).square().mean(dim=1)
    return (weight * error).sum() / weight.sum()


def cell_weight(agents: UInt8[Tensor, "B X Y"]) -> Float[Tensor, "B h w"]:
    """Return how much latent cells count: more where the layout has agents, most where these are small."""
    patches = to_patches(agents)
    has_agent = (patches != int(Group.FREE)).any(dim=1).float()
    has_small = (patches > int(Group.VEHICLE)).any(dim=1).float()
    return 1.0 + AGENT_WEIGHT * (has_agent + has_small)
