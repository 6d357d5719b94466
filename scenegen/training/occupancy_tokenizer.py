"""`recipe=occupancy_tokenizer`: train the tokenizer of `scenegen.occupancy.tokenizer` on stored worlds. Resumable.

The loss counts only what a layout leaves open: cross entropy of voxels, one minus the soft intersection over union of
each class (Rahman and Wang, 2016, "Optimizing intersection-over-union in deep neural networks", ISVC), and cross
entropy of open ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from scenegen.config import TrainConfig
from scenegen.diffusion.memory import channels_last
from scenegen.occupancy.tokenizer.network import TokenizerNetwork, TokenizerSize
from scenegen.occupancy.tokenizer.planes import context_planes, is_coded, open_voxels, voxel_planes
from scenegen.occupancy.tokenizer.weights import save_network
from scenegen.training.autoencoder import rate_share, take_step
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.report import TrainingReport
from scenegen.training.world_cache import WorldCache, WorldExcerpt, worlds_of
from scenegen.types import random_generator, random_key

CROP_COLUMNS = 64
VOXEL_WEIGHT, OVERLAP_WEIGHT, GROUND_WEIGHT = 5.0, 1.0, 1.5
SIZE = TokenizerSize()
FINE = TokenizerSize(num_levels=128, patch=8)
"""For voxels of 0.2 m; a code stands for the same 1.6 m."""


@dataclass(frozen=True, kw_only=True)
class TokenizerBatch:
    """Crops as tensors; Z levels, P = 2 Z + 1 planes of `voxel_planes`, K of `context_planes`.

    Attributes:
        is_open: voxels that the map leaves open.
        is_ground_open: the same of ground.
        coded: patches that have a code.
    """

    planes: Float[Tensor, "B P X Y"]
    context: Float[Tensor, "B K X Y"]
    is_open: Bool[Tensor, "B Z X Y"]
    is_ground_open: Bool[Tensor, "B X Y"]
    coded: Bool[Tensor, "B x y"]


def train_occupancy_tokenizer(config: TrainConfig) -> Path:
    """Train the tokenizer of voxels of 0.4 m; see `train_tokenizer`."""
    return train_tokenizer(config, SIZE, parts=1)


def train_fine_occupancy_tokenizer(config: TrainConfig) -> Path:
    """Train the tokenizer of voxels of 0.2 m; see `train_tokenizer`."""
    return train_tokenizer(config, FINE, parts=2)


def train_tokenizer(config: TrainConfig, size: TokenizerSize, *, parts: int) -> Path:
    """Train on the worlds of the layouts that `data` names, resuming from the output folder's checkpoint.

    Returns the weight file.
    """
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    cache = worlds_of(config.data, Path(config.windows), parts=parts)
    torch.manual_seed(random_key(config.seed, "train-occupancy-tokenizer") % (1 << 63))
    network = channels_last(TokenizerNetwork(size))
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.recipe.learning_rate, betas=(0.9, 0.98))
    modules, optimizers = {"network": network}, {"network": optimizer}
    first, total = load_checkpoint(folder, modules=modules, optimizers=optimizers), config.recipe.steps
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    for step in range(first, total):
        batch = draw_batch(cache, seed=config.seed, step=step, count=config.recipe.batch_size, patch=size.patch)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            losses = reconstruction_losses(network, batch)
        loss = torch.stack(list(losses.values())).sum()
        take_step(optimizer, loss, rate=config.recipe.learning_rate * rate_share(step / total, step))
        done = step + 1
        report.step_done(done, {name: float(value.detach()) for name, value in losses.items()}, total=total)
        if done % config.recipe.save_every_steps == 0 or done == total:
            save_checkpoint(folder, step=done, modules=modules, optimizers=optimizers)
    report.close()
    weights = folder / f"{config.recipe.name}.safetensors"
    notes = {"steps": str(total), "seed": str(config.seed), "worlds_sha256": cache.sha256}
    save_network(network, weights, notes=notes)
    return weights


def draw_batch(cache: WorldCache, *, seed: int, step: int, count: int, patch: int) -> TokenizerBatch:
    """Return the crops of a step."""
    generator = random_generator(seed, "train-occupancy-tokenizer", stage="crops", chunk=step)
    return stack_crops(cache.draw_crops(generator, count=count, size=CROP_COLUMNS), patch=patch)


def stack_crops(crops: list[WorldExcerpt], *, patch: int) -> TokenizerBatch:
    """Return crops of one size, whole patches wide, as tensors."""
    is_open = np.stack([open_voxels(crop.fixed) for crop in crops])
    return TokenizerBatch(
        planes=torch.stack([voxel_planes(crop.voxels) for crop in crops]),
        context=torch.stack([context_planes(crop.channels, crop.fixed) for crop in crops]),
        is_open=torch.from_numpy(is_open).permute(0, 3, 1, 2),
        is_ground_open=torch.from_numpy(np.stack([~crop.fixed.is_ground_fixed for crop in crops])),
        coded=torch.from_numpy(np.stack([is_coded(crop.fixed, patch=patch) for crop in crops])),
    )


def reconstruction_losses(network: TokenizerNetwork, batch: TokenizerBatch) -> dict[str, Float[Tensor, ""]]:
    """Return the weighted parts of the loss; their sum is what is learned from."""
    point = network.encode(batch.planes, batch.context)
    logits = network.decode(point, batch.context, batch.coded)
    levels = network.size.num_levels
    solid, ground = logits[:, : 2 * levels].float(), logits[:, -1].float()
    manmade, vegetation = solid[:, :levels], solid[:, levels:]
    total = torch.logaddexp(functional.softplus(manmade), vegetation)
    is_manmade, is_vegetation = batch.planes[:, :levels], batch.planes[:, levels : 2 * levels]
    weight = batch.is_open.float()
    surprise = (total - manmade * is_manmade - vegetation * is_vegetation) * weight
    ground_surprise = functional.binary_cross_entropy_with_logits(
        ground, batch.planes[:, -1], weight=batch.is_ground_open.float()
    )
    return {
        "voxels": VOXEL_WEIGHT * surprise.mean(),
        "manmade": OVERLAP_WEIGHT * missed_overlap((manmade - total).exp() * weight, is_manmade * weight),
        "vegetation": OVERLAP_WEIGHT * missed_overlap((vegetation - total).exp() * weight, is_vegetation * weight),
        "ground": GROUND_WEIGHT * ground_surprise,
    }


def missed_overlap(chance: Float[Tensor, "*S"], truth: Float[Tensor, "*S"]) -> Float[Tensor, ""]:
    """Return one minus the intersection over union of chances and a truth of 0 and 1; zero where both are empty."""
    shared = (chance * truth).sum()
    return 1.0 - (shared + 1.0) / (chance.sum() + truth.sum() - shared + 1.0)
