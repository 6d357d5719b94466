"""Worlds of any extent to codes and back: `load_tokenizer`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor

from scenegen.errors import WorldError
from scenegen.occupancy.fixed import FixedVoxels
from scenegen.occupancy.tokenizer.network import TokenizerNetwork
from scenegen.occupancy.tokenizer.planes import context_planes, is_coded, pad_to_patches, voxel_planes
from scenegen.occupancy.tokenizer.weights import SHIPPED, load_network
from scenegen.occupancy.voxels import SolidClass, WorldVoxels

STRIP_PATCHES = 24
"""Rows of patches that are worked on at once, so that memory grows with a world's width alone."""
HALO_PATCHES = 1
"""Rows of patches that a column's logits reach beyond its own."""


@dataclass(frozen=True)
class OccupancyTokenizer:
    """Codes of patches of columns: what the masked model speaks.

    Attributes:
        network: in evaluation mode, single precision.
        hash: sha256 of the weight file. The same code of another tokenizer means something else.
    """

    network: TokenizerNetwork
    hash: str

    @property
    def num_codes(self) -> int:
        """How many codes there are."""
        return self.network.quantizer.num_codes

    @property
    def patch(self) -> int:
        """Columns along each side of a patch."""
        return self.network.size.patch

    @torch.inference_mode()
    def encode(
        self, voxels: WorldVoxels, fixed: FixedVoxels, channels: Float32[np.ndarray, "X Y C"]
    ) -> Int32[np.ndarray, "x y"]:
        """Return the code of every patch, 0 to num_codes - 1; a patch that reaches over the edge counts as one.

        Patches that the layout fixes wholly (`is_coded` says no) have codes too, which `decode` does not read.

        Raises:
            WorldError: voxels or channels of another grid, or of another number of levels.
        """
        fixed.check(voxels)
        context = self._context(fixed, channels)
        planes = pad_to_patches(voxel_planes(voxels), patch=self.patch)[None]
        strips = [
            self.network.fold_patches(planes[:, :, rows], context[:, :, rows])
            for rows in self._strips(context.shape[2] // self.patch)
        ]
        point = self.network.quantize(torch.cat(strips, dim=2))
        return self.network.quantizer.to_index(point)[0].numpy().astype(np.int32)

    @torch.inference_mode()
    def decode(
        self, codes: Int32[np.ndarray, "x y"], channels: Float32[np.ndarray, "X Y C"], fixed: FixedVoxels
    ) -> WorldVoxels:
        """Return the most likely class of every voxel and column. What is fixed is not clamped: `fixed.clamp` does.

        Raises:
            WorldError: codes or channels of another grid, or a patch that is to be decoded has no code.
        """
        context = self._context(fixed, channels)
        coded = is_coded(fixed, patch=self.patch)
        if codes.shape != coded.shape:
            raise WorldError(f"codes of {coded.shape} patches", found=f"{codes.shape}", where="occupancy tokenizer")
        strange = coded & ((codes < 0) | (codes >= self.num_codes))
        if strange.any():
            raise WorldError(
                f"codes from 0 to {self.num_codes - 1}", found=f"{codes[strange][0]} at {np.argwhere(strange)[0]}",
                where="occupancy tokenizer", fix="decode only when no mask is left",
            )  # fmt: skip
        known = torch.from_numpy(np.where(coded, codes, 0).astype(np.int64))[None]
        point = self.network.quantizer.from_index(known)
        features = self.network.decode_patches(point, context, torch.from_numpy(coded)[None])
        shape = fixed.given.solid.shape
        solid, ground = self._classes(features, context)
        return WorldVoxels(
            solid=np.ascontiguousarray(solid[: shape[0], : shape[1]]),
            ground=np.ascontiguousarray(ground[: shape[0], : shape[1]]),
            origin_world_m=fixed.given.origin_world_m,
            voxel_m=fixed.given.voxel_m,
        )

    def _context(self, fixed: FixedVoxels, channels: Float32[np.ndarray, "X Y C"]) -> Float[Tensor, "1 K X Y"]:
        levels = fixed.given.solid.shape[2]
        if levels != self.network.size.num_levels:
            raise WorldError(
                f"worlds of {self.network.size.num_levels} levels", found=f"{levels}", where="occupancy tokenizer"
            )
        return pad_to_patches(context_planes(channels, fixed), patch=self.patch)[None]

    def _strips(self, num_rows: int) -> list[slice]:
        """Return the columns of strips of patches."""
        step = STRIP_PATCHES * self.patch
        return [slice(start, start + step) for start in range(0, num_rows * self.patch, step)]

    def _classes(
        self, features: Float[Tensor, "1 W x y"], context: Float[Tensor, "1 K X Y"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return classes of voxels (X, Y, Z) and of ground (X, Y)."""
        size_x, size_y = context.shape[2:]
        levels = self.network.size.num_levels
        solid = np.empty((size_x, size_y, levels), np.uint8)
        ground = np.empty((size_x, size_y), np.uint8)
        num_rows = features.shape[2]
        for start in range(0, num_rows, STRIP_PATCHES):
            stop = min(start + STRIP_PATCHES, num_rows)
            low, high = max(start - HALO_PATCHES, 0), min(stop + HALO_PATCHES, num_rows)
            logits = self.network.decode_columns(
                features[:, :, low:high], context[:, :, low * self.patch : high * self.patch]
            )
            inner = slice((start - low) * self.patch, (stop - low) * self.patch)
            rows = slice(start * self.patch, stop * self.patch)
            solid[rows], ground[rows] = _most_likely(logits[0, :, inner].permute(1, 2, 0).numpy(), levels=levels)
        return solid, ground


def _most_likely(logits: Float32[np.ndarray, "X Y P"], *, levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of the largest logits, that of free being zero."""
    manmade, vegetation, paved = logits[..., :levels], logits[..., levels : 2 * levels], logits[..., -1]
    solid = np.where(manmade >= vegetation, SolidClass.MANMADE, SolidClass.VEGETATION).astype(np.uint8)
    solid[np.maximum(manmade, vegetation) <= 0.0] = SolidClass.FREE
    return solid, (paved > 0.0).astype(np.uint8)


def load_tokenizer(path: Path = SHIPPED) -> OccupancyTokenizer:
    """Read a tokenizer, by default the one that ships.

    Raises:
        WeightsError: the file is missing, damaged, or of another network.
    """
    network, sha256 = load_network(path)
    return OccupancyTokenizer(network, sha256)
