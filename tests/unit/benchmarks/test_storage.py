"""The storage benchmark at a size that says nothing about speed: all ways give the same pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks import storage


def plain_frames(video: str, *, num_steps: int, size_px: tuple[int, int]) -> np.ndarray:
    width, height = size_px
    ramp = np.add.outer(np.arange(height), np.arange(width))[None, None, :, :, None]
    shift = np.arange(num_steps)[None, :, None, None, None] * 5 + np.arange(6)[:, None, None, None, None]
    return np.broadcast_to((ramp + shift) % 200, (6, num_steps, height, width, 3)).astype(np.uint8)


def test_every_figure_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "draw", plain_frames)
    monkeypatch.setattr(storage, "LARGE_PX", (64, 32))
    monkeypatch.setattr(storage, "QUICK_ROUNDS", 1)
    storage.main(["--quick", "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text())
    pictures = ("write_vs_codec", "random_vs_decode", "sequential_vs_webdataset", "random_vs_h264")
    lossless = {"lossless_size_vs_zstd", "lossless_cost_vs_zstd"}
    assert set(figures) == {*pictures, *(f"small_{name}" for name in pictures)} | lossless


def test_a_clip_of_a_video_is_that_of_the_pictures(tmp_path: Path) -> None:
    frames = plain_frames("", num_steps=30, size_px=(64, 32))[0]
    video = storage.write_video(tmp_path / "a.mp4", frames, (64, 32))
    for start in (0, 5, 12, 22):
        clip = storage.decode_video(video, start)
        wanted = frames[start : start + storage.CLIP_STEPS].astype(int)
        assert np.abs(np.stack(clip).astype(int) - wanted).mean() < 4.0  # steps are 5 levels apart
