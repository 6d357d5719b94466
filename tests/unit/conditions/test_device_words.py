"""Bit scans and sums of tensors are those of the compiled code."""

from __future__ import annotations

import numpy as np
import torch

from scenegen.conditions.device.words import add_up, highest_set, lowest_set


def test_scans_of_words_with_any_bits() -> None:
    rng = np.random.default_rng(0)
    words = [1 << k for k in range(64)] + [(1 << k) - 1 for k in range(1, 65)]
    words += [
        int(w) << int(k) & (2**64 - 1) or 1
        for w, k in zip(rng.integers(1, 2**63, 500), rng.integers(0, 64, 500), strict=True)
    ]
    tensor = torch.from_numpy(np.array(words, np.uint64).view(np.int64))
    assert highest_set(tensor).tolist() == [word.bit_length() - 1 for word in words]
    assert lowest_set(tensor).tolist() == [(word & -word).bit_length() - 1 for word in words]


def test_sums_of_steps_are_those_of_a_walk() -> None:
    rng = np.random.default_rng(13)
    step = np.concatenate([rng.uniform(0.05, 0.9, 4000), rng.integers(1, 64, 2000) / 64.0, np.full(200, 0.4)])
    t = rng.random(len(step)) * step
    adds = rng.integers(0, 400, len(step))
    expected = t.copy()
    for count in range(400):
        expected += np.where(count < adds, step, 0.0)
    found = add_up(torch.from_numpy(t), torch.from_numpy(step), torch.from_numpy(adds.astype(float)))
    assert found.numpy().tobytes() == expected.tobytes()
