"""A world's codes, drawn tile by tile along the ego path; whatever one tile has drawn, the next ones keep.

Every tile has a generator of its own, so the codes of a world follow from its channels, its seed and the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, Int64
from torch import Tensor

from scenegen.diffusion.flow import noise_levels
from scenegen.diffusion.masked_path import NUM_DRAWS, CodePredictor, Reveal, sample_codes
from scenegen.occupancy.masked.codes import CODES_PER_CELL, Vocabulary
from scenegen.occupancy.masked.network import MaskedNetwork
from scenegen.occupancy.masked.stream import open_stream
from scenegen.occupancy.masked.tiles import COLUMNS_PER_CODE, TILE_CODES, Tile, num_codes_of, plan_tiles
from scenegen.types import RandomKey


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How codes are drawn.

    Attributes:
        steps: sampling steps per tile.
        loops: how often the network's middle runs in each.
        tolerance: relative change of the tokens below which the middle stops early; None always runs all loops.
        reveal: by `chance` (the reverse process), or by `confidence` (likelier, less diverse).
        temperature: logits are divided by this.
    """

    steps: int
    loops: int
    tolerance: float | None = None
    reveal: Reveal = "chance"
    temperature: float = 1.0


def sample_world_codes(
    network: MaskedNetwork,
    vocabulary: Vocabulary,
    *,
    channels: Float32[np.ndarray, "X Y C"],
    is_fixed: Bool[np.ndarray, "CX CY"],
    style: Float32[np.ndarray, " S"],
    ego_path_codes: Float64[np.ndarray, "T 2"],
    options: SamplingOptions,
    key: RandomKey,
) -> Int64[np.ndarray, "CX CY"]:
    """Draw every code that the layout leaves open; the fixed ones come back as `Vocabulary.fixed_id`."""
    num_codes = num_codes_of((channels.shape[0], channels.shape[1]))
    side = [max(TILE_CODES, count + count % 2) for count in num_codes]
    codes = np.full(side, vocabulary.outside_id, np.int64)
    codes[: num_codes[0], : num_codes[1]] = np.where(is_fixed, vocabulary.fixed_id, vocabulary.mask_id)
    padded = np.zeros((side[0] * COLUMNS_PER_CODE, side[1] * COLUMNS_PER_CODE, channels.shape[2]), np.float32)
    padded[: channels.shape[0], : channels.shape[1]] = channels
    for tile in plan_tiles((side[0], side[1]), ego_path_codes=ego_path_codes):
        codes[tile.codes] = _sample_tile(
            network, vocabulary, codes[tile.codes], padded[tile.columns], style, options=options, key=_key_of(key, tile)
        )
    return codes[: num_codes[0], : num_codes[1]]


def _key_of(key: RandomKey, tile: Tile) -> RandomKey:
    return key.at("tile", tile.row, tile.column)


@torch.inference_mode()
def _sample_tile(
    network: MaskedNetwork,
    vocabulary: Vocabulary,
    codes: Int64[np.ndarray, "H W"],
    channels: Float32[np.ndarray, "X Y C"],
    style: Float32[np.ndarray, " S"],
    *,
    options: SamplingOptions,
    key: RandomKey,
) -> Int64[np.ndarray, "H W"]:
    """Draw what is masked of a tile: at once, or block by block where the mixer streams."""
    uniforms = key.generator().random((options.steps, NUM_DRAWS, 1, *codes.shape), dtype=np.float32)
    task = _TileTask(
        codes=torch.from_numpy(np.ascontiguousarray(codes))[None],
        maps=torch.from_numpy(np.ascontiguousarray(channels.transpose(2, 0, 1)))[None],
        style=torch.from_numpy(style)[None],
        uniforms=torch.from_numpy(uniforms),
    )
    if network.size.mixer == "triplet_rwkv7":
        return _draw_in_blocks(network, task, vocabulary, options)[0].numpy()

    def predict(noisy: Tensor, t: Tensor, step: int) -> Tensor:
        return network(noisy, task.maps, task.style, t, loops=options.loops, tolerance=options.tolerance)

    return _draw(predict, task.codes, task.uniforms, vocabulary, options)[0].numpy()


@dataclass(frozen=True, kw_only=True)
class _TileTask:
    """One tile as tensors, batch of one, with all its chance."""

    codes: Int[Tensor, "1 H W"]
    maps: Float[Tensor, "1 C X Y"]
    style: Float[Tensor, "1 S"]
    uniforms: Float[Tensor, "K 2 1 H W"]


def _draw_in_blocks(
    network: MaskedNetwork, task: _TileTask, vocabulary: Vocabulary, options: SamplingOptions
) -> Int[Tensor, "1 H W"]:
    """Draw blocks of rows one after the other; each sees those before it through the stream's memory."""
    stream = open_stream(network, task.style, loops=options.loops)
    height = network.size.block_rows * CODES_PER_CELL
    drawn = []
    for start in range(0, task.codes.shape[1], height):
        rows = slice(start, start + height)
        maps = task.maps[:, :, start * COLUMNS_PER_CODE : (start + height) * COLUMNS_PER_CODE]

        def predict(noisy: Tensor, t: Tensor, step: int, maps: Tensor = maps) -> Tensor:
            return stream.predict(noisy, maps, t)

        block = _draw(predict, task.codes[:, rows], task.uniforms[:, :, :, rows], vocabulary, options)
        stream.absorb(block, maps)
        drawn.append(block)
    return torch.cat(drawn, dim=1)


def _draw(
    predict: CodePredictor,
    codes: Int[Tensor, "1 H W"],
    uniforms: Float[Tensor, "K 2 1 H W"],
    vocabulary: Vocabulary,
    options: SamplingOptions,
) -> Int[Tensor, "1 H W"]:
    return sample_codes(
        predict,
        codes,
        levels=noise_levels(options.steps),
        uniforms=uniforms,
        mask_id=vocabulary.mask_id,
        reveal=options.reveal,
        temperature=options.temperature,
    )
