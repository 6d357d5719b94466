"""`recipe=occupancy_encoder`: train the frozen encoder of worlds (`checks.world_encoder`). Resumable.

Three tasks on crops of rule-made worlds: the style, where layouts have one; what the crop is like (`describe`); and
which of `DAMAGES` it has suffered. The last makes features notice what models get wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from scenegen.checks.world_encoder import NUM_FEATURES, WorldEncoder, encode_worlds, prepare_columns, save_encoder
from scenegen.config import TrainConfig
from scenegen.occupancy.crops import FRAME_LEVELS, Crops, crop_world, join_crops, sparse_steps
from scenegen.occupancy.latent_ar.network import STYLE_ROWS
from scenegen.training.autoencoder import rate_share, take_step
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.occupancy_frames import build_drives
from scenegen.training.report import TrainingReport
from scenegen.types import random_generator, random_key

log = logging.getLogger(__name__)

WEIGHTS_NAME = "world_encoder.safetensors"
SPACING_M = 20.0
MOST_PER_DRIVE = 8
LOW_SHARE = 0.5
"""Share of crops cut off at the height of an ego frame."""
WHOLE_SHARE = 0.4
"""Share of crops without damage."""
NUM_TRAITS = 7
STATISTICS_CROPS = 256


class EncoderTasks(nn.Module):
    """Heads on the encoder's features, thrown away after training."""

    def __init__(self) -> None:
        super().__init__()
        self.style = nn.Linear(NUM_FEATURES, len(STYLE_ROWS))
        self.traits = nn.Linear(NUM_FEATURES, NUM_TRAITS)
        self.damage = nn.Linear(NUM_FEATURES, len(DAMAGES))


def train_occupancy_encoder(config: TrainConfig) -> Path:
    """Train, resuming from the output folder's checkpoint; returns the weight file.

    Raises:
        LayoutError: `data` names no layouts.
        WeightsError: the checkpoint is damaged.
    """
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    crops, styles = read_crops(config.data, seed=config.seed)
    traits = np.stack([describe(solid, ground) for solid, ground in zip(crops.solid, crops.ground, strict=True)])
    middle, spread = traits.mean(axis=0), traits.std(axis=0) + 1e-3
    torch.manual_seed(random_key(config.seed, "train-occupancy-encoder") % (1 << 63))
    encoder, tasks = WorldEncoder(), EncoderTasks()
    optimizer = torch.optim.AdamW([*encoder.parameters(), *tasks.parameters()], lr=1.0, weight_decay=1e-2)
    modules, optimizers = {"encoder": encoder, "tasks": tasks}, {"encoder": optimizer}
    first, total = load_checkpoint(folder, modules=modules, optimizers=optimizers), config.recipe.steps
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    try:
        for step in range(first, total):
            generator = random_generator(config.seed, "train-occupancy-encoder", stage="crops", chunk=step)
            rows = generator.integers(len(crops), size=config.recipe.batch_size)
            solid, ground, damage, wanted = draw_batch(crops.take(rows), generator)
            scaled = torch.from_numpy(((wanted - middle) / spread).astype(np.float32))
            losses = task_losses(encoder, tasks, prepare_columns(solid, ground), styles[rows], scaled, damage)
            take_step(optimizer, sum_of(losses), rate=config.recipe.learning_rate * rate_share(step / total, step))
            report.step_done(step + 1, {k: float(v.detach()) for k, v in losses.items()}, total=total)
            if (step + 1) % config.recipe.save_every_steps == 0 or step + 1 == total:
                save_checkpoint(folder, step=step + 1, modules=modules, optimizers=optimizers)
    finally:
        report.close()
    set_scale(encoder, crops, seed=config.seed)
    notes = {"steps": str(total), "seed": str(config.seed), "layouts": config.data}
    save_encoder(encoder, folder / WEIGHTS_NAME, notes=notes)
    return folder / WEIGHTS_NAME


def read_crops(references: str, *, seed: int) -> tuple[Crops, Int64[np.ndarray, " N"]]:
    """Cut crops out of the worlds of layouts; returns them and the number of each one's style, 0 for none."""
    parts, styles = [], []
    for drive in build_drives(references, seed=seed):
        steps = sparse_steps(drive.told.world_from_ego, spacing_m=SPACING_M, at_most=MOST_PER_DRIVE)
        parts.append(crop_world(drive.voxels, drive.told.take(steps)))
        styles += [STYLE_ROWS.index(drive.told.style)] * len(steps)
    return join_crops(parts), np.array(styles, np.int64)


def draw_batch(
    crops: Crops, generator: np.random.Generator
) -> tuple[
    UInt8[np.ndarray, "B X Y Z"], UInt8[np.ndarray, "B X Y"], Int64[np.ndarray, " B"], Float32[np.ndarray, "B R"]
]:
    """Turn, mirror, cut off and damage crops; returns voxels, ground, the damage done, and the traits before it."""
    solids, grounds, damages, traits = [], [], [], []
    for whole, own in zip(crops.solid, crops.ground, strict=True):
        turns, mirrored = int(generator.integers(4)), bool(generator.integers(2))
        solid, ground = (np.rot90(array[::-1] if mirrored else array, k=turns).copy() for array in (whole, own))
        if generator.random() < LOW_SHARE:
            solid[..., FRAME_LEVELS:] = 0
        traits.append(describe(solid, ground))
        damage = 0 if generator.random() < WHOLE_SHARE else int(generator.integers(1, len(DAMAGES)))
        solids.append(DAMAGES[damage](solid, generator))
        grounds.append(ground)
        damages.append(damage)
    return np.stack(solids), np.stack(grounds), np.array(damages), np.stack(traits)


def describe(solid: UInt8[np.ndarray, "X Y Z"], ground: UInt8[np.ndarray, "X Y"]) -> Float32[np.ndarray, " R"]:
    """Return what a crop is like: built and planted shares, heights and their spread, open and paved ground."""
    levels = np.arange(1, solid.shape[2] + 1)
    traits: list[float] = []
    for kind in (1, 2):
        tops = ((solid == kind) * levels).max(axis=2)
        stands = tops > 0
        traits += [stands.mean(), tops[stands].mean() if stands.any() else 0.0]
    tops = ((solid == 1) * levels).max(axis=2)
    traits += [tops.std(), (ground == 0).mean(), (ground == 1).mean()]
    return np.array(traits, np.float32)


def task_losses(
    encoder: WorldEncoder,
    tasks: EncoderTasks,
    columns: Float[Tensor, "B C X Y"],
    styles: Int64[np.ndarray, " B"],
    traits: Float[Tensor, "B R"],
    damages: Int64[np.ndarray, " B"],
) -> dict[str, Float[Tensor, ""]]:
    """Return the loss of every task. Crops without a style count for nothing in that one."""
    features = encoder(columns)
    losses = {
        "traits": functional.smooth_l1_loss(tasks.traits(features), traits),
        "damage": functional.cross_entropy(tasks.damage(features), torch.from_numpy(damages)),
    }
    if (styles > 0).any():
        target = torch.from_numpy(np.where(styles > 0, styles, -100))
        losses["style"] = functional.cross_entropy(tasks.style(features), target)
    return losses


def sum_of(losses: dict[str, Float[Tensor, ""]]) -> Float[Tensor, ""]:
    """Add up losses."""
    return torch.stack(list(losses.values())).sum()


def set_scale(encoder: WorldEncoder, crops: Crops, *, seed: int) -> None:
    """Set mean and spread so that the features of training crops, half of them cut off, have variance one."""
    generator = random_generator(seed, "train-occupancy-encoder", stage="statistics")
    rows = generator.permutation(len(crops))[:STATISTICS_CROPS]
    some = crops.take(rows)
    low = some.up_to(FRAME_LEVELS)
    features = np.concatenate([encode_worlds(encoder, own.solid, own.ground) for own in (some, low)])
    encoder.mean.add_(torch.from_numpy(features.mean(axis=0)) * encoder.spread)
    encoder.spread.mul_(torch.from_numpy(features.std(axis=0)).clamp(min=1e-4))


Damage = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def leave(solid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Do nothing."""
    return solid


def shuffle_levels(solid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Put the levels of an ego frame's height in another order."""
    order = np.arange(solid.shape[2])
    order[:FRAME_LEVELS] = generator.permutation(FRAME_LEVELS)
    return solid[..., order]


def sow_voxels(solid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Put single voxels of any class anywhere below 4 m."""
    out = solid.copy()
    low = out[..., :10]
    hit = generator.random(low.shape) < generator.uniform(0.002, 0.02)
    low[hit] = generator.integers(1, 3, size=int(hit.sum()))
    return out


def drop_voxels(solid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Take away single voxels."""
    return np.where(generator.random(solid.shape) < generator.uniform(0.05, 0.4), 0, solid).astype(np.uint8)


def swap_patches(solid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Exchange patches of 4 x 4 columns, as a model with good patches and no idea of their order would."""
    size_x, size_y = solid.shape[0] // 4, solid.shape[1] // 4
    patches = solid.reshape(size_x, 4, size_y, 4, -1).swapaxes(1, 2).reshape(size_x * size_y, 4, 4, -1).copy()
    some = np.nonzero(generator.random(len(patches)) < generator.uniform(0.05, 0.4))[0]
    patches[some] = patches[generator.permutation(some)]
    return patches.reshape(size_x, size_y, 4, 4, -1).swapaxes(1, 2).reshape(solid.shape)


def melt_edges(solid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Round everything off, as a mean of guesses does."""
    size = int(generator.choice([3, 5, 7]))
    is_solid = ndimage.uniform_filter((solid > 0).astype(np.float32), size=(size, size, 3)) > 0.5
    is_built = ndimage.uniform_filter((solid == 1).astype(np.float32), size=(size, size, 3))
    is_grown = ndimage.uniform_filter((solid == 2).astype(np.float32), size=(size, size, 3))
    return np.where(is_solid, np.where(is_built >= is_grown, 1, 2), 0).astype(np.uint8)


def swap_classes(solid: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Exchange the classes of what stands in patches of 8 x 8 columns."""
    chosen = generator.random((solid.shape[0] // 8, solid.shape[1] // 8)) < generator.uniform(0.05, 0.4)
    mask = np.kron(chosen, np.ones((8, 8), np.bool_))
    swapped = np.array([0, 2, 1], np.uint8)[solid]
    return np.where(mask[..., None], swapped, solid)


DAMAGES: tuple[Damage, ...] = (
    leave, shuffle_levels, sow_voxels, drop_voxels, swap_patches, melt_edges, swap_classes,
)  # fmt: skip
