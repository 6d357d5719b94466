"""`recipe=occupancy`: train the masked occupancy network on the codes of stored worlds. Resumable.

The loss is the NELBO of `diffusion.masked_path`. LoopMDM: the number of loops is drawn anew for every step. Ours: half
of the tiles have a known border, as tiles do that are drawn beside others; its codes are never masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from scenegen.config import TrainConfig
from scenegen.diffusion.looped import draw_loops
from scenegen.diffusion.masked_path import corrupt, nelbo_per_code, stratified_times
from scenegen.diffusion.mixers import MixerName
from scenegen.occupancy.channels import CHANNELS
from scenegen.occupancy.masked.build import style_vector
from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.network import SIZES, MaskedNetwork, NetworkSize
from scenegen.occupancy.masked.tiles import COLUMNS_PER_CODE, TILE_CODES
from scenegen.occupancy.masked.weights import save_network
from scenegen.occupancy.model import shipped_weights
from scenegen.occupancy.tokenizer.planes import is_coded
from scenegen.occupancy.tokenizer.tokenizer import OccupancyTokenizer, load_tokenizer
from scenegen.training.autoencoder import rate_share, take_step
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.report import TrainingReport
from scenegen.training.world_cache import StoredWorld, WorldCache, WorldExcerpt, worlds_of
from scenegen.types import random_generator, random_key
from scenegen.types.layout import STYLES

MAX_LOOPS = 4
"""The most loops that are drawn in training; more may be asked for when sampling."""
MARGIN_CODES = 2
"""Codes around a tile that the tokenizer sees and the network does not."""
KNOWN_BORDER_CHANCE = 0.5
KNOWN_CODES = (4, 20)
"""Least and most codes of a known border."""
AVERAGE_DECAY = 0.999
HELD_OUT_TILES = 64
COUNTED_TILES = 64
"""Tiles whose codes are counted before training."""
REPORT_HELD_OUT_EVERY = 500


@dataclass(frozen=True, kw_only=True)
class TileBatch:
    """Tiles of codes.

    Attributes:
        codes: the truth; `Vocabulary.fixed_id` where the map fixes the whole patch.
        is_free: codes that may be masked.
        channels: BEV channels of the columns.
        style: one-hot over STYLES, or zero.
    """

    codes: Int[Tensor, "B H W"]
    is_free: Bool[Tensor, "B H W"]
    channels: Float[Tensor, "B C X Y"]
    style: Float[Tensor, "B S"]


def train_occupancy(config: TrainConfig) -> Path:
    """Train on the worlds of the layouts that `data` names, resuming from the output folder's checkpoint.

    Returns the weight file, of the averaged network.
    """
    folder = Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    cache, tokenizer = worlds_of(config.data, Path(config.windows)), load_tokenizer()
    vocabulary = Vocabulary(num_codes=tokenizer.num_codes, sha256=tokenizer.hash)
    torch.manual_seed(random_key(config.seed, "train-occupancy") % (1 << 63))
    size = NetworkSize(
        num_codes=vocabulary.num_codes,
        num_channels=len(CHANNELS),
        num_style=len(STYLES),
        mixer=cast(MixerName, config.recipe.mixer or "attention"),
        **SIZES[config.size or "tiny"],
    )
    network, average = MaskedNetwork(size), MaskedNetwork(size)
    network.start_from_counts(count_codes(cache, tokenizer, vocabulary, seed=config.seed))
    average.load_state_dict(network.state_dict())
    average.requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.recipe.learning_rate, betas=(0.9, 0.98))
    modules, optimizers = {"network": network, "average": average}, {"network": optimizer}
    first, total = load_checkpoint(folder, modules=modules, optimizers=optimizers), config.recipe.steps
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    held_out = draw_held_out(cache, tokenizer, vocabulary)
    for step in range(first, total):
        generator = random_generator(config.seed, "train-occupancy", stage="tiles", chunk=step)
        batch = draw_batch(cache, tokenizer, vocabulary, generator, count=config.recipe.batch_size)
        loops = draw_loops(float(generator.random()), max_loops=MAX_LOOPS)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            loss = tile_loss(network, batch, vocabulary, generator, loops=loops)
        take_step(optimizer, loss, rate=config.recipe.learning_rate * rate_share(step / total, step))
        _follow(average, network, share=min(AVERAGE_DECAY, (step + 1) / (step + 10)))
        done = step + 1
        figures = {"nelbo": float(loss.detach())}
        if done % REPORT_HELD_OUT_EVERY == 0 or done == total:
            figures["held_out_nelbo"] = held_out_loss(average, held_out, vocabulary, loops=1)
        report.step_done(done, figures, total=total)
        if done % config.recipe.save_every_steps == 0 or done == total:
            save_checkpoint(folder, step=done, modules=modules, optimizers=optimizers)
    report.close()
    weights = folder / shipped_weights(size.mixer).name
    notes = {"steps": str(total), "seed": str(config.seed), "worlds_sha256": cache.sha256}
    save_network(average, weights, vocabulary=vocabulary, notes=notes)
    return weights


def draw_batch(
    cache: WorldCache,
    tokenizer: OccupancyTokenizer,
    vocabulary: Vocabulary,
    generator: np.random.Generator,
    *,
    count: int,
) -> TileBatch:
    """Draw tiles of random worlds, turned and mirrored at random; half of them have a known border."""
    chosen = [cache.train[int(index)] for index in generator.integers(len(cache.train), size=count)]
    batch = _read_tiles(chosen, tokenizer, vocabulary, generator)
    known = np.stack([draw_known_border(generator) for _ in range(count)])
    return TileBatch(
        codes=batch.codes,
        is_free=batch.is_free & ~torch.from_numpy(known),
        channels=batch.channels,
        style=batch.style,
    )


def count_codes(
    cache: WorldCache, tokenizer: OccupancyTokenizer, vocabulary: Vocabulary, *, seed: int
) -> Int[Tensor, " V"]:
    """Return how often every code occurs in tiles of the training worlds."""
    generator = random_generator(seed, "train-occupancy", stage="counts")
    batch = draw_batch(cache, tokenizer, vocabulary, generator, count=COUNTED_TILES)
    return batch.codes[batch.codes < vocabulary.num_codes].bincount(minlength=vocabulary.num_codes)


def draw_held_out(cache: WorldCache, tokenizer: OccupancyTokenizer, vocabulary: Vocabulary) -> TileBatch | None:
    """Return the same tiles of held-out worlds for every run; None where none is held out."""
    if not cache.held_out:
        return None
    generator = random_generator(0, "train-occupancy", stage="held-out")
    worlds = [cache.held_out[index % len(cache.held_out)] for index in range(HELD_OUT_TILES)]
    return _read_tiles(worlds, tokenizer, vocabulary, generator)


def _read_tiles(
    worlds: list[StoredWorld], tokenizer: OccupancyTokenizer, vocabulary: Vocabulary, generator: np.random.Generator
) -> TileBatch:
    crops = [world.draw_crop(generator, size=(TILE_CODES + 2 * MARGIN_CODES) * COLUMNS_PER_CODE) for world in worlds]
    codes, channels = zip(*(read_tile(crop, tokenizer, vocabulary) for crop in crops), strict=True)
    stacked = torch.from_numpy(np.stack(codes).astype(np.int64))
    return TileBatch(
        codes=stacked,
        is_free=stacked < vocabulary.num_codes,
        channels=torch.from_numpy(np.stack(channels)).permute(0, 3, 1, 2).contiguous(),
        style=torch.from_numpy(np.stack([style_vector(world.record.style) for world in worlds])),
    )


def read_tile(
    crop: WorldExcerpt, tokenizer: OccupancyTokenizer, vocabulary: Vocabulary
) -> tuple[np.ndarray, np.ndarray]:
    """Return codes (H, W) and channels (X, Y, C) of the middle of a crop."""
    codes = tokenizer.encode(crop.voxels, crop.fixed, crop.channels)
    codes = np.where(is_coded(crop.fixed, patch=COLUMNS_PER_CODE), codes, vocabulary.fixed_id)
    inner, columns = slice(MARGIN_CODES, -MARGIN_CODES), MARGIN_CODES * COLUMNS_PER_CODE
    return codes[inner, inner], crop.channels[columns:-columns, columns:-columns]


def draw_known_border(generator: np.random.Generator) -> Bool[np.ndarray, "H W"]:
    """Return codes that are known: none, or those along one or two neighbouring sides of a tile."""
    known = np.zeros((TILE_CODES, TILE_CODES), np.bool_)
    chance, both, turns, *widths = (
        generator.random(), generator.random() < 0.5, int(generator.integers(4)), *generator.integers(*KNOWN_CODES, 2),
    )  # fmt: skip
    if chance < KNOWN_BORDER_CHANCE:
        known[: widths[0]] = True
        if both:
            known[:, : widths[1]] = True
    return np.ascontiguousarray(np.rot90(known, turns))


def tile_loss(
    network: MaskedNetwork,
    batch: TileBatch,
    vocabulary: Vocabulary,
    generator: np.random.Generator,
    *,
    loops: int,
) -> Float[Tensor, ""]:
    """Return the mean NELBO in nats per free code of one corruption of every tile."""
    t = stratified_times(torch.tensor(generator.random(), dtype=torch.float32), num=len(batch.codes))
    uniforms = torch.from_numpy(generator.random(batch.codes.shape, dtype=np.float32))
    noisy = corrupt(batch.codes, is_free=batch.is_free, t=t, uniforms=uniforms, mask_id=vocabulary.mask_id)
    clean = batch.codes if network.size.mixer == "triplet_rwkv7" else None
    logits = network(noisy, batch.channels, batch.style, t, loops=loops, clean=clean)
    return nelbo_per_code(
        logits, batch.codes, noisy=noisy, is_free=batch.is_free, t=t, mask_id=vocabulary.mask_id
    ).mean()


@torch.inference_mode()
def held_out_loss(network: MaskedNetwork, batch: TileBatch | None, vocabulary: Vocabulary, *, loops: int) -> float:
    """Return the NELBO of held-out tiles with the same corruption in every run; NaN where there are none."""
    if batch is None:
        return float("nan")
    generator = random_generator(0, "train-occupancy", stage="held-out-noise")
    return float(tile_loss(network, batch, vocabulary, generator, loops=loops))


@torch.no_grad()
def _follow(average: MaskedNetwork, network: MaskedNetwork, *, share: float) -> None:
    """Move the averaged weights towards the trained ones."""
    for kept, new in zip(average.parameters(), network.parameters(), strict=True):
        kept.lerp_(new, 1.0 - share)
