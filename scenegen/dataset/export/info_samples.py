"""What all info files of the mmdet3d family have in common: the key frames, and the files beside the pickle.

Tokens, file names, poses and stamps are those of the `nuscenes` export of the same scenes. Lay both on top of each
other and the stock evaluation finds its tables. Training code expects the folder, or a link to it, at `data/nuscenes`.
"""

from __future__ import annotations

import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.detection_boxes import NUSCENES_CAMERAS, detection_lidar2ego
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.keys import sample_token, token_of
from scenegen.dataset.export.nuscenes.lidar import CHANNEL, sweep_columns
from scenegen.dataset.export.nuscenes.scene_tables import ScenePlace, check_pinholes, picture_name, place_scene
from scenegen.dataset.export.nuscenes.sheet import build_sheet, shifted
from scenegen.dataset.export.nuscenes.taxonomy import box_attribute
from scenegen.dataset.labels import Boxes
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.stored_scene import Scene
from scenegen.types import Camera

VERSION = "v1.0-scenegen"
"""Of the tables that the stock evaluations open: those of the `nuscenes` export."""
DATA_ROOT = "./data/nuscenes"
"""Where training code expects the export, seen from its own folder."""
PICKLE_PROTOCOL = 4


class SceneSamples:
    """The key frames of one scene, and the files they name.

    Raises:
        DatasetError: a camera is no pinhole.
    """

    def __init__(self, scene: Scene, place: ScenePlace, *, format: str) -> None:
        check_pinholes(scene, format=format)
        self.scene = scene
        self.place = place
        self.steps: list[int] = np.flatnonzero(scene.is_key_frame).tolist()
        of_name = {camera.name: camera for camera in scene.rig.cameras}
        names = NUSCENES_CAMERAS if set(of_name) == set(NUSCENES_CAMERAS) else tuple(of_name)
        self.cameras: tuple[Camera, ...] = tuple(of_name[name] for name in names)
        self._pictures = {name: PictureFiles(scene, name) for name in names}
        self.lidar2ego: Float64[np.ndarray, "4 4"] = detection_lidar2ego(scene)
        self.ego2global: Float64[np.ndarray, "T 4 4"] = shifted(scene.ego2global, place.shift_m)
        self.has_sweeps = scene.has_array("lidar/lidar2ego")

    def samples(self) -> Iterator[Sample]:
        """Give the key frames in order."""
        return (Sample(self, frame_idx) for frame_idx in range(len(self.steps)))

    def write_files(self, step_done: Callable[[], None]) -> None:
        """Write the pictures, and the sweeps where the scene stores any, of all key frames.

        Raises:
            DatasetError: a file of the scene is missing or damaged.
        """
        root = self.place.root
        for channel in (*self._pictures, CHANNEL):
            (root / "samples" / channel).mkdir(parents=True, exist_ok=True)
        keys = set(self.steps)
        for step in range(self.scene.num_steps):
            if step in keys:
                for name, files in self._pictures.items():
                    (root / self.picture_path(name, step)).write_bytes(files[step].content)
                if self.has_sweeps:
                    (root / self.sweep_path(step)).write_bytes(sweep_columns(self.scene.lidar(step)).tobytes())
            step_done()

    def picture_path(self, camera: str, step: int) -> str:
        """Return the path of a picture inside the export."""
        return picture_name(self.scene, self.place, camera, step, self._pictures[camera].suffix)

    def sweep_path(self, step: int) -> str:
        """Return the path of a sweep inside the export."""
        return picture_name(self.scene, self.place, CHANNEL, step, ".pcd.bin")

    def data_token(self, channel: str, step: int) -> str:
        """Return the token of what one sensor recorded at one step."""
        return token_of(self.scene.scene_id, channel, step)

    @cached_property
    def nuscenes_attributes(self) -> dict[tuple[int, int], str]:
        """NuScenes attribute of every (step, track) of the key frames, '' where its category has none."""
        agents = self.scene.layout.agents
        attributes = {}
        for step in self.steps:
            boxes = self.scene.boxes(step)
            for idx, track in enumerate(boxes.track_id.tolist()):
                attributes[step, track] = box_attribute(boxes, idx, agents[track])
        return attributes


@dataclass(frozen=True)
class Sample:
    """One key frame of a scene."""

    of_scene: SceneSamples
    frame_idx: int

    @property
    def scene(self) -> Scene:
        """The scene."""
        return self.of_scene.scene

    @property
    def step(self) -> int:
        """The step."""
        return self.of_scene.steps[self.frame_idx]

    @property
    def token(self) -> str:
        """Token of the sample."""
        return sample_token(self.scene.scene_id, self.step)

    @property
    def previous(self) -> Sample | None:
        """The key frame before."""
        return Sample(self.of_scene, self.frame_idx - 1) if self.frame_idx else None

    @property
    def next(self) -> Sample | None:
        """The key frame after."""
        is_last = self.frame_idx + 1 == len(self.of_scene.steps)
        return None if is_last else Sample(self.of_scene, self.frame_idx + 1)

    @property
    def stamp_us(self) -> int:
        """Microseconds since 1970."""
        return int(self.of_scene.place.stamps_us[self.step])

    @property
    def ego2global(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the vehicle on the export's map."""
        return self.of_scene.ego2global[self.step]

    @cached_property
    def boxes(self) -> Boxes:
        """The agents, in the frame of the scene's own world."""
        return self.scene.boxes(self.step)

    @property
    def ego2world(self) -> Float64[np.ndarray, "4 4"]:
        """Pose of the vehicle in the scene's own world."""
        return self.scene.ego2global[self.step]


def write_infos(
    job: ExportJob,
    *,
    format: str,
    build_info: Callable[[Sample], dict[str, Any]],
    write_beside: Callable[[SceneSamples], None] = lambda samples: None,
) -> dict[str, list[dict[str, Any]]]:
    """Write the files of all scenes and return their infos by split, scene by scene, key frame by key frame.

    Memory holds the infos; pictures, sweeps and voxels pass through one at a time.
    """
    sheet = build_sheet(job.scenes())
    infos: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for scene in job.scenes():
        samples = SceneSamples(scene, place_scene(job, sheet, scene), format=format)
        samples.write_files(job.step_done)
        write_beside(samples)
        infos[scene.attrs["split"]].extend(build_info(sample) for sample in samples.samples())
    return dict(infos)


def write_pickle(path: Path, content: object) -> None:
    """Write a pickle of dicts, lists and numpy arrays, which Python 3.8 with numpy 1.19 reads."""
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=PICKLE_PROTOCOL)
