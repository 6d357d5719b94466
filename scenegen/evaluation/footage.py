"""A stored scene with its world built again: what should be seen, what was painted, and the ground truth."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from scenegen.dataset.stored_scene import Scene
from scenegen.evaluation.moments import Moment
from scenegen.scene import stored_stage
from scenegen.types import ConditionMaps
from scenegen.video.build import load_backbone


@dataclass(frozen=True, kw_only=True)
class Window:
    """Consecutive steps that end at a judged moment.

    Attributes:
        moment: which.
        conditions: what the cameras see.
        generated: frames of the data set.
        truth: frames of the reference, or of the preview.
    """

    moment: Moment
    conditions: ConditionMaps
    generated: UInt8[np.ndarray, "V T H W 3"]
    truth: UInt8[np.ndarray, "V T H W 3"]


class Footage:
    """One scene, ready to be looked at.

    Args:
        scene: the stored scene to be judged.
        reference: the same scene with true frames; None to paint them with the preview.
    """

    def __init__(self, scene: Scene, *, reference: Scene | None) -> None:
        self.scene = scene
        self.rig = scene.rig
        self.layout = scene.layout
        self.stage = stored_stage(scene)
        self._reference = reference
        self._preview = load_backbone("preview", steps=1, weights=None).open_session(self.stage.context)

    def windows(self, moments: Iterable[Moment]) -> Generator[Window, None, None]:
        """Yield the windows in order, always one ahead of the caller in a thread."""
        coming = iter(moments)
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="footage") as thread:
            ahead = thread.submit(self.window, next(coming))
            for moment in coming:
                ready = ahead.result()
                ahead = thread.submit(self.window, moment)
                yield ready
            yield ahead.result()

    def window(self, moment: Moment) -> Window:
        """Cast the rays of one window and read its frames."""
        start, stop = moment.start_step, moment.step + 1
        conditions = self.stage.render_conditions(start, stop)
        if self._reference is None:
            painted = self._preview.paint(conditions, start_step=start)
            truth = np.where(conditions.is_seen[:, None, :, :, None], painted, np.uint8(0))
            truth = as_stored(self.scene, truth)
        else:
            truth = read_frames(self._reference, start, stop)
        return Window(moment=moment, conditions=conditions, generated=read_frames(self.scene, start, stop), truth=truth)


def read_frames(scene: Scene, start: int, stop: int) -> UInt8[np.ndarray, "V T H W 3"]:
    """Read steps of all views; smaller views lie in the top left corner of the canvas."""
    width, height = scene.rig.size_px
    frames = np.zeros((len(scene.cameras), stop - start, height, width, 3), np.uint8)
    for view, (name, camera) in enumerate(zip(scene.cameras, scene.rig.cameras, strict=True)):
        frames[view, :, : camera.size_px[1], : camera.size_px[0]] = scene.rgb(name)[start:stop]
    return frames


def as_stored(scene: Scene, frames: UInt8[np.ndarray, "V T H W 3"]) -> UInt8[np.ndarray, "V T H W 3"]:
    """Send frames through the picture codec of a scene, so that its losses are on both sides of a comparison."""
    out = frames.copy()
    for view, (name, camera) in enumerate(zip(scene.cameras, scene.rig.cameras, strict=True)):
        width, height = camera.size_px
        out[view, :, :height, :width] = scene.rgb(name).as_stored(frames[view, :, :height, :width])
    return out
