"""The head's clock counts what lies between two layers, and nothing else."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from benchmarks.clip import HeadClock


def test_the_clock_runs_from_one_layer_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 13.0, 20.0, 21.5])
    first, between, last = torch.nn.Identity(), torch.nn.Identity(), torch.nn.Identity()
    clock = HeadClock(first, last)
    monkeypatch.setattr("benchmarks.clip.time.process_time", lambda: next(ticks))
    for _ in range(2):
        last(between(first(torch.zeros(1))))
    assert clock.seconds == 4.5
