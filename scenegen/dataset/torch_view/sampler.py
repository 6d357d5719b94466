"""The order of samples: a function of seed and epoch alone, so that it can be resumed and no worker matters to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from scenegen.errors import ConfigError
from scenegen.types.seeding import random_generator


class EpochSampler(torch.utils.data.Sampler[int]):
    """Shuffles one or several data sets. Each sample of a data set comes once before any comes again.

    With weights an epoch draws from every data set in proportion, and goes on in the next epoch where it stopped, so
    that a large data set with a small weight is seen as a whole in the course of several epochs.

    Args:
        lengths: samples of each data set; for one, `[len(dataset)]`.
        seed: of the order.
        weights: share of each data set in an epoch; by default in proportion to its length.
        num_samples: samples of an epoch over all ranks; all there are by default.
        rank: which of `num_ranks` processes this is; every process gets its own, equally many.
        num_ranks: processes that train together.

    Raises:
        ConfigError: an empty data set, a weight that is not positive, or a rank out of range.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        *,
        seed: int,
        weights: Sequence[float] | None = None,
        num_samples: int | None = None,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        self._lengths = tuple(int(length) for length in lengths)
        self._weights = tuple(float(weight) for weight in (self._lengths if weights is None else weights))
        self._num_samples = sum(self._lengths) if num_samples is None else num_samples
        self._seed, self._rank, self._num_ranks = seed, rank, num_ranks
        self._check()
        self._epoch, self._position = 0, 0

    def __len__(self) -> int:
        """Samples of an epoch of this rank."""
        return self._num_samples // self._num_ranks

    def __iter__(self) -> Iterator[int]:
        """Give the rest of the epoch, then stand at the start of the next one."""
        for index in self.order(self._epoch)[self._position :]:
            self._position += 1
            yield int(index)
        self.start_at(self._epoch + 1, 0)

    @property
    def epoch(self) -> int:
        """The epoch that comes or runs."""
        return self._epoch

    def start_at(self, epoch: int, position: int) -> None:
        """Go to a place of the order."""
        self._epoch, self._position = epoch, position

    def order(self, epoch: int) -> Int64[np.ndarray, " N"]:
        """Return the samples of an epoch of this rank; an index counts through the data sets one after the other."""
        starts = np.concatenate([[0], np.cumsum(self._lengths)])
        parts = [
            starts[source] + self._stream(source, epoch * count, count) for source, count in enumerate(self._counts())
        ]
        joined = np.concatenate(parts)
        shuffled = joined[self._generator("mix", epoch).permutation(len(joined))]
        return shuffled[self._rank :: self._num_ranks][: len(self)].astype(np.int64)

    def state_dict(self) -> dict[str, Any]:
        """Return the place, counted in samples handed out; and what makes the order."""
        return {**self._identity(), "epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a sampler of the same order stood.

        Raises:
            ConfigError: the state belongs to another order.
        """
        found = {key: state.get(key) for key in self._identity()}
        if found != self._identity():
            raise ConfigError(
                f"the state of a sampler with {self._identity()}",
                found=f"{found}",
                where="load_state_dict",
                fix="build data set and sampler as when the state was saved",
            )
        self.start_at(int(state["epoch"]), int(state["position"]))

    def _identity(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "lengths": list(self._lengths),
            "weights": list(self._weights),
            "num_samples": self._num_samples,
            "rank": self._rank,
            "num_ranks": self._num_ranks,
        }

    def _counts(self) -> list[int]:
        """Share an epoch out by weight; what rounding leaves over goes to the largest remainders."""
        shares = np.array(self._weights) / sum(self._weights) * self._num_samples
        counts = np.floor(shares).astype(int)
        most_left = np.argsort(-(shares - counts), kind="stable")
        counts[most_left[: self._num_samples - counts.sum()]] += 1
        return [int(count) for count in counts]

    def _stream(self, source: int, start: int, count: int) -> Int64[np.ndarray, " N"]:
        """Return a part of the endless row of shuffled passes through one data set."""
        length = self._lengths[source]
        first, last = start // length, (start + count - 1) // length
        passes = [self._generator(f"source-{source}", number).permutation(length) for number in range(first, last + 1)]
        row = np.concatenate([*passes, np.zeros(0, np.int64)])
        return row[start - first * length :][:count].astype(np.int64)

    def _generator(self, stage: str, number: int) -> np.random.Generator:
        return random_generator(self._seed, "", stage=f"sampler/{stage}", chunk=number)

    def _check(self) -> None:
        if not self._lengths or min(self._lengths) < 1:
            raise ConfigError("data sets with samples", found=f"lengths {self._lengths}", where="lengths")
        if len(self._weights) != len(self._lengths) or min(self._weights) <= 0.0:
            raise ConfigError(f"{len(self._lengths)} positive weights", found=f"{list(self._weights)}", where="weights")
        if not 0 <= self._rank < self._num_ranks <= self._num_samples:
            raise ConfigError(
                f"a rank below num_ranks, and at most {self._num_samples} ranks",
                found=f"rank {self._rank} of {self._num_ranks}",
                where="rank",
            )
