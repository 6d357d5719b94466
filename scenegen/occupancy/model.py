"""The occupancy model of a job, by name: what samples the open part of a world, or nothing where rules fill it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Protocol

from scenegen.errors import ConfigError, WeightsError
from scenegen.types import Layout, WorldVoxels

WEIGHTS_DIR = Path(__file__).parent.parent / "weights"


class OccupancyModel(Protocol):
    """Samples static worlds."""

    @property
    def model_id(self) -> str:
        """Name and size, for example `masked-tiny`."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Hash of everything learned that decides bytes."""
        ...

    def sample(self, layout: Layout, *, seed: int) -> WorldVoxels:
        """Return the voxels of a layout's world, with everything that it fixes set to its value.

        Raises:
            WorldError: there is no road near the ego, or the world is too large.
        """
        ...


def shipped_weights(mixer: str) -> Path:
    """Return where the weights for a mixer lie, where they ship."""
    return WEIGHTS_DIR / ("occupancy_masked.safetensors" if mixer == "attention" else f"occupancy_{mixer}.safetensors")


@lru_cache(maxsize=2)
def load_occupancy_model(
    name: str,
    *,
    steps: int = 8,
    loops: int = 1,
    tolerance: float | None = None,
    mixer: str = "attention",
    weights: str | None = None,
    weights_sha256: str | None = None,
) -> OccupancyModel | None:
    """Load the model called `name`, once per process; None for `rules`, which learn nothing.

    Args:
        name: `rules` or `masked`.
        steps: sampling steps per tile.
        loops: how often the middle of the network runs in each.
        tolerance: relative change below which the loops end early; None never.
        mixer: what the weights must be trained for.
        weights: a safetensors file; None for the shipped one.
        weights_sha256: what the file must hash to; None takes any.

    Raises:
        ConfigError: the name is unknown, or an option does not go with it.
        WeightsError: the weights are missing, damaged, of another tokenizer or mixer, or others than expected.
    """
    if name == "rules":
        for key, value in (("weights", weights), ("weights_sha256", weights_sha256)):
            if value is not None:
                raise ConfigError("no weights with occupancy=rules", found=value, where=f"occupancy.{key}")
        return None
    if name != "masked":
        raise ConfigError("occupancy=rules or occupancy=masked", found=repr(name), where="occupancy.name")
    from scenegen.occupancy.masked.build import load_masked

    path = shipped_weights(mixer) if weights is None else Path(weights)
    if path.suffix != ".safetensors":
        raise WeightsError("a .safetensors file", found=path.name, where="occupancy.weights")
    model = load_masked(weights=path, mixer=mixer, steps=steps, loops=loops, tolerance=tolerance)
    if weights_sha256 not in (None, model.file_sha256):
        raise WeightsError(f"weights with sha256 {weights_sha256}", found=model.file_sha256, where=str(path))
    return model
