"""`occupancy=masked`: a layout's world from codes that a masked diffusion model drew."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from scenegen.errors import WeightsError
from scenegen.occupancy.build import begin_world
from scenegen.occupancy.channels import layout_channels
from scenegen.occupancy.fixed import fixed_voxels
from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.network import MaskedNetwork
from scenegen.occupancy.masked.sample import SamplingOptions, sample_world_codes
from scenegen.occupancy.masked.tiles import COLUMNS_PER_CODE, path_in_codes
from scenegen.occupancy.masked.weights import load_network
from scenegen.occupancy.tokenizer.planes import is_coded
from scenegen.occupancy.tokenizer.tokenizer import OccupancyTokenizer, load_tokenizer
from scenegen.types import Layout, RandomKey, WorldVoxels
from scenegen.types.layout import STYLES


@dataclass(frozen=True, kw_only=True)
class MaskedOccupancy:
    """A tokenizer, a network and how it is sampled; see `OccupancyModel`.

    Attributes:
        file_sha256: of the network's weight file.
    """

    tokenizer: OccupancyTokenizer
    network: MaskedNetwork
    vocabulary: Vocabulary
    options: SamplingOptions
    file_sha256: str

    @property
    def model_id(self) -> str:
        """Name and mixer."""
        return f"masked-{self.network.size.mixer}"

    @property
    def weights_sha256(self) -> str:
        """Hash of network and tokenizer."""
        return hashlib.sha256(f"{self.file_sha256} {self.tokenizer.hash}".encode()).hexdigest()

    def sample(self, layout: Layout, *, seed: int) -> WorldVoxels:
        """Return the voxels of a layout's world; where agents pass decides nothing but what is cleared for them."""
        draft = begin_world(layout, seed=seed).draft
        fixed = fixed_voxels(draft)
        channels = layout_channels(draft.site, fixed)
        codes = sample_world_codes(
            self.network,
            self.vocabulary,
            channels=channels,
            is_fixed=~is_coded(fixed, patch=COLUMNS_PER_CODE),
            style=style_vector(layout.environment.style),
            ego_path_codes=path_in_codes(
                layout.ego.position_world_m[:, :2], origin_world_m=draft.site.column_frame.origin_m
            ),
            options=self.options,
            key=RandomKey(seed, layout.layout_id, "world/masked"),
        )
        return fixed.clamp(self.tokenizer.decode(codes.astype(np.int32), channels, fixed))


def style_vector(style: str | None) -> Float32[np.ndarray, " S"]:
    """Return a one-hot vector over `STYLES`; zero where the layout names none."""
    return np.array([name == style for name in STYLES], np.float32)


def load_masked(*, weights: Path, mixer: str, steps: int, loops: int, tolerance: float | None) -> MaskedOccupancy:
    """Load the shipped tokenizer, and the network that speaks its codes.

    Raises:
        WeightsError: missing, damaged, of another tokenizer, or trained for another mixer.
    """
    tokenizer = load_tokenizer()
    vocabulary = Vocabulary(num_codes=tokenizer.num_codes, sha256=tokenizer.hash)
    network, file_sha256 = load_network(weights, vocabulary=vocabulary)
    if network.size.mixer != mixer:
        raise WeightsError(
            f"weights trained with occupancy.mixer={mixer}", found=network.size.mixer, where=str(weights),
            fix=f"set occupancy.mixer={network.size.mixer}, or name other weights",
        )  # fmt: skip
    options = SamplingOptions(steps=steps, loops=loops, tolerance=tolerance)
    return MaskedOccupancy(
        tokenizer=tokenizer, network=network, vocabulary=vocabulary, options=options, file_sha256=file_sha256
    )
