"""Several data sets as one, for example real and synthetic: the same samples, one numbering of classes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch

from scenegen.dataset.torch_view.dataset import SceneDataset
from scenegen.errors import ConfigError


class MixedDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """One data set after the other. Weights are the sampler's: `EpochSampler(mixed.lengths, weights=...)`.

    Raises:
        ConfigError: the data sets differ in preset, classes, image size or normalization.
    """

    def __init__(self, datasets: Sequence[SceneDataset]) -> None:
        if not datasets:
            raise ConfigError("at least one data set", found="none", where="MixedDataset")
        self.datasets = tuple(datasets)
        self._ends = list(accumulate(self.lengths))
        first = _shape_of(self.datasets[0])
        for dataset in self.datasets[1:]:
            other = _shape_of(dataset)
            different = [key for key in first if first[key] != other[key]]
            if different:
                raise ConfigError(
                    "data sets that differ in nothing but their scenes",
                    found=", ".join(f"{key} {first[key]} and {other[key]}" for key in different),
                    where=f"{self.datasets[0].path} and {dataset.path}",
                )

    @property
    def lengths(self) -> tuple[int, ...]:
        """Samples of each data set."""
        return tuple(len(dataset) for dataset in self.datasets)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a sample."""
        source = self.source_of(index)
        return self.datasets[source][index - self._ends[source] + len(self.datasets[source])]

    def source_of(self, index: int) -> int:
        """Return which data set a sample is from."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return bisect_right(self._ends, index)


def _shape_of(dataset: SceneDataset) -> dict[str, object]:
    return {
        "preset": dataset.preset,
        "classes": dataset.options.classes,
        "image_size": dataset.image_size,
        "normalization": dataset.options.normalization,
        "labels": dataset.options.labels,
    }
