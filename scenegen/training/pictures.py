"""Validation pictures: the truth beside what the averaged network paints on its own, always of the same moments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from scenegen.config import TrainConfig
from scenegen.training.rollout import paint_clip
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import read_windows
from scenegen.video.backbones.native import TEMPERATURE
from scenegen.video.network import VideoNetwork

NUM_SCENES = 4
MOST_STEPS = 3
GAP_PX = 4
JPEG_QUALITY = 92


class PictureWriter:
    """Writes `step_000200.jpg` and so on into a folder.

    Args:
        cache: windows to picture.
        folder: where the pictures go.
        every_steps: distance between pictures; None writes none.
    """

    def __init__(self, cache: WindowCache, folder: Path, *, every_steps: int | None) -> None:
        self._cache = cache
        self._folder = folder
        self._every_steps = every_steps

    def step_done(self, done: int, network: VideoNetwork) -> None:
        """Write a picture if it is time for one."""
        if self._every_steps is None or done % self._every_steps:
            return
        from PIL import Image

        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"step_{done:06d}.jpg"
        Image.fromarray(draw_grid(self._cache, network)).save(path, quality=JPEG_QUALITY, subsampling=0)


def open_picture_writer(config: TrainConfig, cache: WindowCache) -> PictureWriter:
    """Picture the held-out data set, or the training windows where there is none."""
    folder = Path(config.output)
    if config.held_out is not None and config.pictures_every_steps is not None:
        cache = open_window_cache(Path(config.held_out), folder / "held_out_windows")
    return PictureWriter(cache, folder / "pictures", every_steps=config.pictures_every_steps)


@torch.no_grad()
def draw_grid(cache: WindowCache, network: VideoNetwork) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a row for each of a few scenes spread over the cache: consecutive steps, true and then painted."""
    num_scenes = len(cache.tables)
    rows = []
    for index, scene in enumerate(sorted(set(np.linspace(0, num_scenes - 1, NUM_SCENES).round().astype(int).tolist()))):
        entries = np.flatnonzero(cache.scene == scene)[:MOST_STEPS].tolist()
        views, width = cache.pixels["material"].shape[1], cache.pixels["material"].shape[3]
        windows = read_windows(cache, [(n, index % views, 0) for n in entries], crop_width=width)
        clip = windows.to(next(network.parameters()).device)
        encoded = network.encode(clip.planes.contiguous(memory_format=torch.channels_last), clip.style)
        painted = paint_clip(network, clip, encoded, TEMPERATURE * clip.noise[:, :9], num_steps=len(entries)).frames
        missing = [np.full_like(to_bytes(windows.rgb)[0], 255)] * (MOST_STEPS - len(entries))
        rows.append(beside([*to_bytes(windows.rgb), *missing, *to_bytes(painted), *missing]))
    gap = np.full((GAP_PX, *rows[0].shape[1:]), 255, np.uint8)
    return np.concatenate([part for row in rows for part in (row, gap)][:-1])


def beside(pictures: list[np.ndarray]) -> UInt8[np.ndarray, "H W 3"]:
    """Join pictures of equal height with white gaps."""
    gap = np.full((pictures[0].shape[0], GAP_PX, 3), 255, np.uint8)
    return np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], axis=1)


def to_bytes(rgb: Float[Tensor, "B 3 H W"]) -> UInt8[np.ndarray, "B H W 3"]:
    """Turn frames in -1..1 into sRGB bytes."""
    scaled = ((rgb.float().permute(0, 2, 3, 1) + 1.0) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).cpu().contiguous().numpy()
