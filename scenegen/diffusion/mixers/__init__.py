"""Mixers of tokens over a grid, by name."""

from __future__ import annotations

from typing import Literal, get_args

from scenegen.diffusion.mixers.attention import GridAttention
from scenegen.diffusion.mixers.bi_rwkv7 import BiRwkv7
from scenegen.diffusion.mixers.interface import Mixer, StreamMemory, TokenPlace
from scenegen.diffusion.mixers.triplet_rwkv7 import NUM_COPIES, TripletRwkv7

MixerName = Literal["attention", "bi_rwkv7", "triplet_rwkv7"]
MIXERS: tuple[MixerName, ...] = get_args(MixerName)

__all__ = ["MIXERS", "NUM_COPIES", "Mixer", "MixerName", "StreamMemory", "TokenPlace", "build_mixer"]


def build_mixer(
    name: str, channels: int, *, index: int, block_rows: int, head_size: int = 32
) -> GridAttention | BiRwkv7 | TripletRwkv7:
    """Return the mixer of layer `index`: scans run along rows in even layers and along columns in odd ones.

    Args:
        name: which mixer.
        channels: of a token.
        index: of the layer.
        block_rows: rows of a block; only `triplet_rwkv7` has blocks.
        head_size: channels of a head.

    Raises:
        ValueError: there is no mixer of that name, or no head divides the channels.
    """
    if name == "attention":
        return GridAttention(channels, head_size=head_size)
    if name == "bi_rwkv7":
        return BiRwkv7(channels, along="rows" if index % 2 == 0 else "columns", head_size=head_size)
    if name != "triplet_rwkv7":
        raise ValueError(f"mixer must be one of {', '.join(MIXERS)}, got {name}")
    return TripletRwkv7(channels, block_rows=block_rows, head_size=head_size)
