"""Holds steps back until a shard is complete, so that no shard is ever written twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numcodecs.zstd import Zstd

StepArrays = dict[str, np.ndarray[Any, Any]]

_HELD_CODEC = Zstd(level=1)
"""What is held is packed: voxels shrink to a fiftieth, and pixels a little, at a GB/s."""


class StepBuffer:
    """Cuts a stream of steps at shard boundaries; memory is bounded by a shard of one array, and packed steps."""

    def __init__(self, *, num_steps: int, num_steps_per_shard: int) -> None:
        self._num_steps = num_steps
        self._num_steps_per_shard = num_steps_per_shard
        self._start_step = 0
        self._num_held = 0
        self._held: dict[str, list[_PackedSteps]] = {}

    def push(self, arrays: StepArrays) -> Iterator[tuple[int, StepArrays]]:
        """Take steps (time first in every array); yield `(start_step, block)` for each shard they complete.

        A shard comes array by array, each in a block of its own. The caller may reuse its arrays once the iterator is
        exhausted.
        """
        taken = 0
        num_new = len(next(iter(arrays.values())))
        while taken < num_new:
            num_wanted = self._shard_length() - self._num_held
            part = {path: values[taken : taken + num_wanted] for path, values in arrays.items()}
            num_taken = min(num_wanted, num_new - taken)
            taken += num_taken
            if num_taken < num_wanted:
                for path, values in part.items():
                    self._held.setdefault(path, []).append(_PackedSteps.pack(values))
                self._num_held += num_taken
                return
            for path, values in part.items():
                yield self._start_step, {path: _join(self._held.pop(path, []), values)}
            self._start_step += self._num_held + num_taken
            self._num_held = 0

    def _shard_length(self) -> int:
        """Steps of the shard being filled; the last one may be short."""
        return min(self._num_steps_per_shard, self._num_steps - self._start_step)


@dataclass(frozen=True)
class _PackedSteps:
    """Consecutive steps of one array."""

    content: bytes
    num_steps: int

    @classmethod
    def pack(cls, values: np.ndarray[Any, Any]) -> Self:
        return cls(bytes(_HELD_CODEC.encode(np.ascontiguousarray(values))), len(values))

    def unpack_into(self, steps: np.ndarray[Any, Any]) -> None:
        _HELD_CODEC.decode(self.content, out=steps)


def _join(held: list[_PackedSteps], last: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if not held:
        return last
    num_held = sum(part.num_steps for part in held)
    block = np.empty((num_held + len(last), *last.shape[1:]), last.dtype)
    start = 0
    for part in held:
        part.unpack_into(block[start : start + part.num_steps])
        start += part.num_steps
    block[start:] = last
    return block
