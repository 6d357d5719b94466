"""Holds steps back until a shard is complete, so that no shard is ever written twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

StepArrays = dict[str, np.ndarray[Any, Any]]


class StepBuffer:
    """Cuts a stream of steps at shard boundaries; memory is bounded by one shard and one chunk."""

    def __init__(self, *, num_steps: int, num_steps_per_shard: int) -> None:
        self._num_steps = num_steps
        self._num_steps_per_shard = num_steps_per_shard
        self._start_step = 0
        self._held: list[StepArrays] = []

    def push(self, arrays: StepArrays) -> Iterator[tuple[int, StepArrays]]:
        """Take steps (time first in every array); yield `(start_step, block)` for each shard they complete.

        The caller may reuse its arrays once the iterator is exhausted.
        """
        taken = 0
        num_new = _num_steps_of(arrays)
        while taken < num_new:
            wanted = self._shard_length() - sum(map(_num_steps_of, self._held))
            part = {path: values[taken : taken + wanted] for path, values in arrays.items()}
            taken += _num_steps_of(part)
            if _num_steps_of(part) < wanted:
                self._held.append({path: values.copy() for path, values in part.items()})
                return
            block = _join([*self._held, part])
            yield self._start_step, block
            self._start_step += _num_steps_of(block)
            self._held = []

    def _shard_length(self) -> int:
        """Steps of the shard being filled; the last one may be short."""
        return min(self._num_steps_per_shard, self._num_steps - self._start_step)


def _num_steps_of(arrays: StepArrays) -> int:
    return len(next(iter(arrays.values())))


def _join(parts: list[StepArrays]) -> StepArrays:
    if len(parts) == 1:
        return parts[0]
    return {path: np.concatenate([part[path] for part in parts]) for path in parts[0]}
