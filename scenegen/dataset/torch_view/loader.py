"""Batches that can be resumed: a torch `DataLoader` that knows which samples it has delivered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from scenegen.dataset.torch_view.collate import collate
from scenegen.dataset.torch_view.dataset import SceneDataset
from scenegen.dataset.torch_view.mix import MixedDataset
from scenegen.dataset.torch_view.sampler import EpochSampler


class SceneLoader:
    """Iterating gives the rest of an epoch; iterating again, the next one.

    Its state counts the batches that came out, not those that workers have fetched ahead.

    Args:
        dataset: a `SceneDataset`, or a `MixedDataset`.
        batch_size: samples per batch; the last, smaller batch of an epoch is left out.
        seed: of the order.
        weights: share of each data set of a `MixedDataset`.
        num_samples: samples of an epoch.
        num_workers: processes that read; 0 reads in this one. The order does not depend on it.
        start_method: of the workers: `spawn`, `forkserver` or `fork`.
        rank: which of `num_ranks` training processes this is.
        num_ranks: processes that train together.
    """

    def __init__(
        self,
        dataset: SceneDataset | MixedDataset,
        *,
        batch_size: int,
        seed: int,
        weights: Sequence[float] | None = None,
        num_samples: int | None = None,
        num_workers: int = 0,
        start_method: str = "forkserver",
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        lengths = dataset.lengths if isinstance(dataset, MixedDataset) else (len(dataset),)
        self.sampler = EpochSampler(
            lengths, seed=seed, weights=weights, num_samples=num_samples, rank=rank, num_ranks=num_ranks
        )
        self._batch_size = batch_size
        self._epoch, self._position = 0, 0
        self._batches = torch.utils.data.DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=self.sampler,
            num_workers=num_workers,
            collate_fn=collate,
            drop_last=True,
            persistent_workers=num_workers > 0,
            multiprocessing_context=start_method if num_workers else None,
        )

    def __len__(self) -> int:
        """Batches of a whole epoch."""
        return len(self.sampler) // self._batch_size

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.sampler.start_at(self._epoch, self._position)
        for batch in self._batches:
            self._position += self._batch_size
            yield batch
        self._epoch, self._position = self._epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return where the next batch begins."""
        return {**self.sampler.state_dict(), "epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the last batch that was delivered when the state was taken.

        Raises:
            ConfigError: the state belongs to another order.
        """
        self.sampler.load_state_dict(state)
        self._epoch, self._position = int(state["epoch"]), int(state["position"])
