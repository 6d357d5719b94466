"""Labels made again on read: a data set opened with a renderer of what its scenes do not store.

ds = open_rendered("out/ds")
ds[ds.scene_ids[0]].depth("CAM_FRONT")[0:8]     # the bytes that dataset.labels=stored would have written

A scene's world follows from its layout, seed and rig, which it carries, so the same version of scenegen renders the
same labels. It lives above `scenegen.dataset`, which knows nothing of worlds; it needs the packages of `generate`.
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.read import Dataset, open_dataset
from scenegen.dataset.storage import Location
from scenegen.dataset.stored_scene import Scene
from scenegen.scene import SceneStage, stored_stage
from scenegen.types import ConditionMaps, DenseLabels, Sweep

STEPS_HELD = 4
"""Rendered steps that are kept, so that reading all cameras of a step renders it once."""


def open_rendered(location: Location) -> Dataset:
    """Open a data set whose scenes render what they do not store: maps per pixel, and sweeps between key frames.

    Raises:
        DatasetError: no data set, or its manifest is damaged or of another schema version.
    """
    return open_dataset(location, open_renderer=SceneRenderer)


class SceneRenderer:
    """Renders the labels of one scene, step by step. The world is built when the first step is asked for."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._stage: SceneStage | None = None
        self._held: OrderedDict[int, ConditionMaps] = OrderedDict()

    @property
    def lidar2ego(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the LiDAR on the vehicle."""
        return self._open_stage().lidar2ego

    def dense_labels(self, step: int) -> DenseLabels:
        """Return the labels of every pixel of one step (T = 1)."""
        from scenegen.conditions.dense import dense_labels

        return dense_labels(self._conditions(step))

    def sweep(self, step: int) -> Sweep:
        """Return the LiDAR sweep of one step."""
        return self._open_stage().sweep(step, conditions=self._conditions(step))

    def _conditions(self, step: int) -> ConditionMaps:
        if step not in self._held:
            self._held[step] = self._open_stage().render_conditions(step, step + 1)
            if len(self._held) > STEPS_HELD:
                self._held.popitem(last=False)
        return self._held[step]

    def _open_stage(self) -> SceneStage:
        if self._stage is None:
            self._stage = stored_stage(self._scene)
        return self._stage
