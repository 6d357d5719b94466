"""A teacher of whom nothing is known but finished clips: what it may be asked, and a data set in its place.

`BlackBoxTeacher` is all that `training.afd` sees: conditions, and a clip for them. No scores, no latents, no weights.
`StoredTeacher` answers from a scenegen data set whose frames are the teacher's: real logs imported, or another model's
output. It reads pictures, layouts, rigs and seeds (which fix the world and so the conditions), and no label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from scenegen.config import AfdConfig
from scenegen.dataset.read import open_dataset
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError
from scenegen.training.window_cache import WindowCache
from scenegen.training.windows import Windows, half_width, read_windows, sample_clip
from scenegen.video.network import PATCH


@dataclass(frozen=True, kw_only=True)
class ClipPlaces:
    """Where C clips are: which scene, steps, views and columns. The key that pairs a clip with its conditions.

    Attributes:
        picks: (entry, view, left column); clips outermost, then views, then steps.
        num_clips: C.
        num_steps: consecutive steps of each.
    """

    picks: tuple[tuple[int, int, int], ...]
    num_clips: int
    num_steps: int


class BlackBoxTeacher(Protocol):
    """All that is asked of a teacher."""

    def draw_places(self, generator: np.random.Generator, *, num_clips: int, num_steps: int) -> ClipPlaces:
        """Choose conditions to ask about."""
        ...

    def conditions(self, places: ClipPlaces, *, num_noise: int, noise_seed: int) -> Windows:
        """Return the conditions alone: `rgb` and `carried` are zero. Noise is the student's own."""
        ...

    def sample(self, places: ClipPlaces) -> UInt8[Tensor, "B 3 H W"]:
        """Return the teacher's finished clips under these conditions, sRGB."""
        ...


class StoredTeacher:
    """Clips out of the windows of a data set."""

    def __init__(self, cache: WindowCache) -> None:
        self._cache = cache
        self._crop_width = half_width(cache)

    def draw_places(self, generator: np.random.Generator, *, num_clips: int, num_steps: int) -> ClipPlaces:
        """Choose clips of two neighbouring views uniformly over scenes' steps."""
        picks: list[tuple[int, int, int]] = []
        for _ in range(num_clips):
            picks += sample_clip(self._cache, generator, num_steps=num_steps, crop_width=self._crop_width)
        return ClipPlaces(picks=tuple(picks), num_clips=num_clips, num_steps=num_steps)

    def conditions(self, places: ClipPlaces, *, num_noise: int, noise_seed: int) -> Windows:
        """Return planes, style, motion and surfaces, and no picture."""
        windows = read_windows(
            self._cache, list(places.picks), crop_width=self._crop_width, num_noise=num_noise, noise_seed=noise_seed
        )
        return replace(windows, rgb=torch.zeros_like(windows.rgb), carried=torch.zeros_like(windows.carried))

    def sample(self, places: ClipPlaces) -> UInt8[Tensor, "B 3 H W"]:
        """Return the stored frames."""
        frames = [
            np.array(self._cache.pixels["rgb"][n, v][:, left : left + self._crop_width]) for n, v, left in places.picks
        ]
        return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def check_clips_of_teacher(location: Path, *, settings: AfdConfig) -> None:
    """Check every scene's header before any window is unpacked.

    Raises:
        DatasetError: no scenes, another rate than the student's, pictures or cameras that differ between scenes or do
            not fit the network, or no scene as long as a rollout.
    """
    dataset = open_dataset(location)
    scenes = [dataset[scene_id] for scene_id in dataset.scene_ids]
    if not scenes:
        raise DatasetError("at least one finished clip", found="none", where=str(location))
    for scene in scenes:
        _check_rate(scene, rate_hz=settings.rate_hz)
        _check_rig(scene, like=scenes[0])
    longest = max(scene.num_steps for scene in scenes)
    if longest < settings.rollout_steps:
        raise DatasetError(
            f"a clip of at least {settings.rollout_steps} steps, as recipe.afd.rollout_steps says",
            found=f"{longest} at most",
            where=str(location),
            fix="ask for shorter rollouts, or give longer clips",
        )


def _check_rate(scene: Scene, *, rate_hz: float) -> None:
    if scene.rate_hz != rate_hz:
        raise DatasetError(
            f"clips at {rate_hz:g} Hz, as recipe.afd.rate_hz says",
            found=f"{scene.rate_hz:g} Hz",
            where=scene.location,
            fix="import them at that rate; a student's motion is that of its rate",
        )


def _check_rig(scene: Scene, *, like: Scene) -> None:
    sizes = _sizes(scene)
    if scene.cameras != like.cameras or sizes != _sizes(like):
        raise DatasetError(
            f"the cameras of the first scene, {_describe(like)}",
            found=_describe(scene),
            where=scene.location,
            fix="keep the clips of each rig in a data set of their own",
        )
    height, width = sizes[0][1], sizes[0][0]
    if len(set(sizes)) > 1 or height % PATCH or width < 2 * PATCH:
        raise DatasetError(
            f"pictures of one size, a multiple of {PATCH} pixels high",
            found=_describe(scene),
            where=scene.location,
            fix="store them so: rig.image.width_px and rig.image.height_px",
        )


def _sizes(scene: Scene) -> list[tuple[int, int]]:
    return [camera.size_px for camera in scene.rig.cameras]


def _describe(scene: Scene) -> str:
    parts: Sequence[str] = [f"{name} {w}x{h}" for name, (w, h) in zip(scene.cameras, _sizes(scene), strict=True)]
    return ", ".join(parts)
