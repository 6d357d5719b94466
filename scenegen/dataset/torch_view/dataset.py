"""`SceneDataset`: a data set as torch sees it, in the shape of one code base."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64

from scenegen.dataset.filter_fields import SceneFacts
from scenegen.dataset.manifest import SceneEntry
from scenegen.dataset.read import Dataset, open_dataset
from scenegen.dataset.step_filter import StepFilter, parse_filter
from scenegen.dataset.storage import Location, is_url
from scenegen.dataset.torch_view.normalization import Normalization
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.presets import Preset, find_preset
from scenegen.dataset.torch_view.scene_view import SceneView
from scenegen.dataset.torch_view.window import Window, check_window
from scenegen.errors import ConfigError, DatasetError
from scenegen.types import Timeline

BOX_RANGE_M = 51.2
MAX_OPEN_SCENES = 32


class SceneDataset(torch.utils.data.Dataset[dict[str, Any]]):
    """Samples of a data set: a window of steps around an anchor, with labels.

    Scenes are opened on first use and separately in every process, so workers may be started by spawn, forkserver or
    fork; from object stores not by fork, which is an error. Samples are ordered by scene id, then by step.

    Args:
        path: root of the data set: a folder, or a URL such as s3://bucket/prefix.
        preset: `raw`, or the code base whose samples are wanted: `bevformer`, `streampetr`, `bevdet`, `flashocc`.
        window: offsets of the pictures from the anchor, in steps, with 0 among them; the preset's own by default.
        edges: what happens where the window sticks out of the scene, of `window.EDGES`; the preset's own by default.
        cameras: names, in the order wanted; the preset's order by default.
        image_size: (height, width) to scale and crop to, intrinsics with them; None keeps the stored pictures.
        filter: which steps may be anchors, in the language of `step_filter`.
        key_frames_only: whether anchors are key frames only; the preset's own choice by default.
        classes: label n is category `classes[n]`; the preset's order by default.
        normalization: of pictures; the preset's own by default.
        labels: which labels, for preset `raw`.
        box_range_m: boxes with a centre further ahead or aside are left out, except in `raw`.
        open_with: opens the data set; `scenegen.rerender.open_rendered` adds maps and sweeps that it does not store.

    Raises:
        ConfigError: an option is unknown or does not fit the data set.
        DatasetError: no data set, a damaged one, or no sample is left.
    """

    def __init__(
        self,
        path: Location,
        *,
        preset: str = "raw",
        window: Sequence[int] | None = None,
        edges: str | None = None,
        cameras: Sequence[str] = (),
        image_size: tuple[int, int] | None = None,
        filter: str = "",
        key_frames_only: bool | None = None,
        classes: Sequence[str] | None = None,
        normalization: Normalization | None = None,
        labels: Sequence[str] | None = None,
        box_range_m: float = BOX_RANGE_M,
        open_with: Callable[[Location], Dataset] = open_dataset,
    ) -> None:
        self.path = path if is_url(path) else Path(path)
        self.preset = preset
        self._preset = find_preset(preset)
        self._cameras = tuple(cameras)
        self.image_size = _checked_size(image_size)
        self._key_frames_only = self._preset.key_frames_only if key_frames_only is None else key_frames_only
        self.options = SampleOptions(
            classes=tuple(classes or self._preset.classes),
            normalization=normalization or self._preset.normalization,
            labels=_checked_labels(labels, self._preset, preset),
            box_range_m=box_range_m,
        )
        self._window_steps = None if window is None else tuple(window)
        self._edges = self._preset.edges if edges is None else edges
        self._window_at(6)  # checks the window before any work
        self._dataset = open_with(self.path)
        self._scenes: OrderedDict[int, SceneView] = OrderedDict()
        self._process = os.getpid()
        self.scene_ids, self._scene_idx, self._anchor = self._find_anchors(parse_filter(filter))

    def __len__(self) -> int:
        return len(self._anchor)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return a sample.

        Raises:
            DatasetError: its scene is damaged, or was written without labels that the preset needs.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        view = self._view(int(self._scene_idx[index]))
        window = self._window_at(view.key_every)
        moments = window.moments(int(self._anchor[index]), num_steps=view.scene.num_steps)
        return self._preset.build(view, moments, self.options)

    def sample_key(self, index: int) -> tuple[str, int]:
        """Return scene id and anchor step of a sample."""
        return self.scene_ids[int(self._scene_idx[index])], int(self._anchor[index])

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what is open; the other process opens its own."""
        return {**self.__dict__, "_scenes": OrderedDict(), "_process": -1}

    def _view(self, scene_idx: int) -> SceneView:
        if self._process != os.getpid():
            self._scenes, self._process = OrderedDict(), os.getpid()
        if scene_idx not in self._scenes:
            scene = self._dataset[self.scene_ids[scene_idx]]
            self._scenes[scene_idx] = SceneView(scene, cameras=self._cameras_of(scene.cameras), size_hw=self.image_size)
            if len(self._scenes) > MAX_OPEN_SCENES:
                self._scenes.popitem(last=False)
        self._scenes.move_to_end(scene_idx)
        return self._scenes[scene_idx]

    def _cameras_of(self, rig: tuple[str, ...]) -> tuple[str, ...]:
        order = self._preset.camera_order
        return self._cameras or (order if order and set(order) <= set(rig) else rig)

    def _window_at(self, key_every: int) -> Window:
        steps = self._window_steps
        if steps is None:
            steps = tuple(frames * key_every for frames in self._preset.window_key_frames)
        window = check_window(steps, edges=self._edges)
        if self._preset.wants_past_only and window.offsets[-1] > 0:
            raise ConfigError(
                f"a window that ends at 0 for preset {self.preset}", found=f"{list(window.offsets)}", where="window"
            )
        return window

    def _find_anchors(
        self, step_filter: StepFilter
    ) -> tuple[tuple[str, ...], Int64[np.ndarray, " N"], Int64[np.ndarray, " N"]]:
        """Return the scenes that have samples; of every sample the place of its scene among them, and its anchor."""
        scene_ids: list[str] = []
        places, anchors = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for entry in self._dataset.manifest.scenes:
            self._check_cameras(entry)
            steps = np.flatnonzero(self._anchors_of(entry, step_filter))
            if len(steps):
                places.append(np.full(len(steps), len(scene_ids)))
                anchors.append(steps)
                scene_ids.append(entry.scene_id)
        if not scene_ids:
            raise DatasetError(
                "at least one sample",
                found=f"none in {len(self._dataset)} scenes",
                where=str(self.path),
                fix="loosen filter=, or use a shorter window",
            )
        return tuple(scene_ids), np.concatenate(places), np.concatenate(anchors)

    def _anchors_of(self, entry: SceneEntry, step_filter: StepFilter) -> np.ndarray[Any, np.dtype[np.bool_]]:
        is_key_frame = Timeline(rate_hz=entry.rate_hz, num_steps=entry.num_steps).is_key_frame()
        keys = np.flatnonzero(is_key_frame)
        key_every = int(keys[1]) if len(keys) > 1 else entry.num_steps
        fits = self._window_at(key_every).fits(entry.num_steps)
        if self._key_frames_only:
            fits = fits & is_key_frame
        if not fits.any():
            return fits
        return fits & step_filter.steps(SceneFacts(entry, lambda: self._dataset[entry.scene_id]))

    def _check_cameras(self, entry: SceneEntry) -> None:
        missing = [name for name in self._cameras if name not in entry.cameras]
        if missing:
            raise ConfigError(
                f"cameras among {', '.join(entry.cameras)}",
                found=", ".join(missing),
                where=f"cameras, scene {entry.scene_id}",
            )


def _checked_size(image_size: tuple[int, int] | None) -> tuple[int, int] | None:
    if image_size is None:
        return None
    if len(image_size) != 2 or min(image_size) < 1:
        raise ConfigError("a positive (height, width)", found=f"{image_size}", where="image_size")
    return int(image_size[0]), int(image_size[1])


def _checked_labels(labels: Sequence[str] | None, preset: Preset, name: str) -> tuple[str, ...]:
    if labels is None:
        return preset.label_names[:1]
    unknown = sorted(set(labels) - set(preset.label_names))
    if unknown:
        known = ", ".join(preset.label_names) or f"none, since preset {name} has its own"
        raise ConfigError(f"labels among {known}", found=", ".join(unknown), where="labels")
    return tuple(labels)
