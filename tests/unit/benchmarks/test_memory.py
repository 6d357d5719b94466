"""The benchmark of memory makes scenes and weighs them."""

from __future__ import annotations

import pytest

from benchmarks import memory


def test_a_round_weighs_the_chunks_of_a_scene(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WARM_S", 0.25)
    monkeypatch.setattr(memory, "SCENE_S", 1.0)
    small = ("video=preview", "rig=front1", "rig.image.width_px=64", "rig.image.height_px=32", "num_steps_per_chunk=3")
    measured = memory.measure_in_this_process(*small)
    assert measured.chunk > 3 * 32 * 64 * 3
    assert 0 < measured.baseline <= measured.peak
