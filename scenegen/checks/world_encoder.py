"""A frozen encoder of pieces of voxel worlds: features in which Frechet and kernel distances of worlds are measured.

It plays the part that an Inception network plays for pictures. It was trained on rule-made worlds to tell their style,
to read off what they are like, and to say what has been done to a damaged piece (`recipe=occupancy_encoder`), and is of
no use to any generator: none is trained against it.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn

from scenegen.diffusion.weight_file import read_weights

NUM_FEATURES = 64
NUM_LEVELS = 64
BANDS = (*range(8), *range(8, 16, 2), *range(16, NUM_LEVELS, 8), NUM_LEVELS)
"""Levels are averaged between these: one by one near the ground, in eights far above."""
NUM_BANDS = len(BANDS) - 1
NUM_GROUNDS = 3
WEIGHTS = Path(__file__).resolve().parents[1] / "weights" / "world_encoder.safetensors"
BATCH = 16


class WorldEncoder(nn.Module):
    """Strided convolutions over columns; the mean and the spread over places become features of variance one.

    `mean` and `spread` are set after training, on training worlds.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        widths = (2 * NUM_BANDS + NUM_GROUNDS, 32, 48, 64, 96)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(2 * widths[-1], NUM_FEATURES)
        self.register_buffer("mean", torch.zeros(NUM_FEATURES))
        self.register_buffer("spread", torch.ones(NUM_FEATURES))

    def forward(self, columns: Float[Tensor, "B C X Y"]) -> Float[Tensor, "B F"]:
        """Return features of prepared columns (`prepare_columns`)."""
        places = self.body(columns).flatten(2)
        pooled = torch.cat([places.mean(dim=2), (places.var(dim=2) + 1e-6).sqrt()], dim=1)
        return (self.out(pooled) - self.mean) / self.spread


def prepare_columns(
    solid: UInt8[np.ndarray, "B X Y Z"], ground: UInt8[np.ndarray, "B X Y"]
) -> Float[Tensor, "B C X Y"]:
    """Turn pieces of worlds into what the encoder reads: shares by band of levels and class, and the kind of ground.

    Args:
        solid: 0 free, 1 manmade, 2 vegetation; at most NUM_LEVELS levels, free above.
        ground: 0 or 1 open, 2 given by the layout.
    """
    planes: list[np.ndarray] = []
    for kind in (1, 2):
        is_kind = solid == kind
        for low, high in pairwise(BANDS):
            band = is_kind[..., low:high]
            planes.append(band.sum(axis=-1, dtype=np.float32) / (high - low))
    planes += [(ground == kind).astype(np.float32) for kind in range(NUM_GROUNDS)]
    return torch.from_numpy(np.stack(planes, axis=1))


@torch.no_grad()
def encode_worlds(
    encoder: WorldEncoder, solid: UInt8[np.ndarray, "N X Y Z"], ground: UInt8[np.ndarray, "N X Y"]
) -> Float32[np.ndarray, "N F"]:
    """Return the features of pieces of worlds, on the encoder's device."""
    device = encoder.mean.device
    parts = [
        encoder(prepare_columns(solid[i : i + BATCH], ground[i : i + BATCH]).to(device)).cpu().numpy()
        for i in range(0, len(solid), BATCH)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, NUM_FEATURES), np.float32)


def save_encoder(encoder: WorldEncoder, path: Path, *, notes: dict[str, str]) -> None:
    """Write half-precision weights."""
    from scenegen.diffusion.tensor_file import write_tensors

    write_tensors(path, {name: value.half() for name, value in encoder.state_dict().items()}, metadata=notes)


@cache
def load_encoder(path: Path = WEIGHTS) -> WorldEncoder:
    """Return the frozen encoder in evaluation mode.

    Raises:
        WeightsError: the file is missing or not of this network.
    """
    encoder = WorldEncoder()
    read_weights(path, what="weights of the world encoder", fix="scenegen train recipe=occupancy_encoder").fill(encoder)
    return encoder.eval().requires_grad_(False)


def encoder_sha256(path: Path = WEIGHTS) -> str:
    """Return the hash of the weight file: distances are comparable under the same one only."""
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()
