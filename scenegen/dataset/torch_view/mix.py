"""Several data sets as one, for example real and synthetic: the same samples, one numbering of classes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Protocol

import torch

from scenegen.dataset.torch_view.dataset import SceneDataset
from scenegen.errors import ConfigError, DatasetError


class SampleSource(Protocol):
    """Anything that gives samples by number: a `SceneDataset`, or somebody's reader of a real data set."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> dict[str, Any]: ...


class MixedDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """One data set after the other. Weights are the sampler's: `EpochSampler(mixed.lengths, weights=...)`.

    Real recordings come in through the reader of their own code base, if its samples have the keys of the preset; it
    has to number the classes alike and to be free of mmcv's `DataContainer`.

    Raises:
        ConfigError: the scenegen data sets differ in preset, classes, image size, normalization or labels.
    """

    def __init__(self, datasets: Sequence[SampleSource]) -> None:
        if not datasets:
            raise ConfigError("at least one data set", found="none", where="MixedDataset")
        self.datasets = tuple(datasets)
        self._ends = list(accumulate(self.lengths))
        for one, other in pairwise(dataset for dataset in self.datasets if isinstance(dataset, SceneDataset)):
            _check_alike(one, other)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Samples of each data set."""
        return tuple(len(dataset) for dataset in self.datasets)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a sample.

        Raises:
            DatasetError: a data set of another kind gives samples with other keys.
        """
        source = self.source_of(index)
        dataset = self.datasets[source]
        sample = dataset[index - self._ends[source] + len(dataset)]
        if not isinstance(dataset, SceneDataset) and set(sample) != self._keys:
            raise DatasetError(
                f"samples with the keys {', '.join(sorted(self._keys))}",
                found=", ".join(sorted(sample)),
                where=f"MixedDataset, data set {source} ({type(dataset).__name__})",
            )
        return sample

    def source_of(self, index: int) -> int:
        """Return which data set a sample is from."""
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return bisect_right(self._ends, index)

    @cached_property
    def _keys(self) -> frozenset[str]:
        """Keys of a sample: those of the first scenegen data set, or else of the first one."""
        ours = [dataset for dataset in self.datasets if isinstance(dataset, SceneDataset)]
        return frozenset((ours or self.datasets)[0][0])


def _check_alike(one: SceneDataset, other: SceneDataset) -> None:
    shape, other_shape = _shape_of(one), _shape_of(other)
    different = [key for key in shape if shape[key] != other_shape[key]]
    if different:
        raise ConfigError(
            "data sets that differ in nothing but their scenes",
            found=", ".join(f"{key} {shape[key]} and {other_shape[key]}" for key in different),
            where=f"{one.path} and {other.path}",
        )


def _shape_of(dataset: SceneDataset) -> dict[str, object]:
    return {
        "preset": dataset.preset,
        "classes": dataset.options.classes,
        "image_size": dataset.image_size,
        "normalization": dataset.options.normalization,
        "labels": dataset.options.labels,
    }
