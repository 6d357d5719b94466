"""A world's codes, drawn tile by tile along the ego path; whatever one tile has drawn, the next ones keep.

Every tile has a generator of its own, so the codes of a world follow from its channels, its seed and the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float32, Float64, Int64

from scenegen.diffusion.masked_path import NUM_DRAWS, Reveal, sample_codes
from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.network import MaskedNetwork
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
    maps = torch.from_numpy(np.ascontiguousarray(channels.transpose(2, 0, 1)))[None]
    about = torch.from_numpy(style)[None]

    def predict(noisy: torch.Tensor, t: torch.Tensor, step: int) -> torch.Tensor:
        return network(noisy, maps, about, t, loops=options.loops, tolerance=options.tolerance)

    uniforms = key.generator().random((options.steps, NUM_DRAWS, 1, *codes.shape), dtype=np.float32)
    drawn = sample_codes(
        predict,
        torch.from_numpy(np.ascontiguousarray(codes))[None],
        levels=np.linspace(1.0, 0.0, options.steps + 1).tolist(),
        uniforms=torch.from_numpy(uniforms),
        mask_id=vocabulary.mask_id,
        reveal=options.reveal,
        temperature=options.temperature,
    )
    return drawn[0].numpy()
