"""Occ3D-nuScenes: `gts/<scene>/<sample token>/labels.npz` and `annotations.json`, one label a key frame.

Scene names, sample tokens, poses and picture paths are those of the `nuscenes` export of the same scenes: lay the two
folders on top of each other and training code finds both.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.keys import sample_token, token_of
from scenegen.dataset.export.nuscenes.scene_tables import ScenePlace, check_pinholes, picture_name, place_scene
from scenegen.dataset.export.nuscenes.sheet import build_sheet, shifted
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.rotations import rotation_wxyz
from scenegen.dataset.stored_scene import Scene

END = "EOF"
"""Occ3D's word for no neighbour."""
SPLIT_KEYS = {"train": "train_split", "val": "val_split", "test": "test_split"}


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    sheet = build_sheet(job.scenes())
    annotations: dict[str, Any] = {key: [] for key in SPLIT_KEYS.values()}
    annotations["scene_infos"] = {}
    for scene in job.scenes():
        place = place_scene(job, sheet, scene)
        annotations[SPLIT_KEYS[scene.attrs["split"]]].append(place.name)
        annotations["scene_infos"][place.name] = _write_scene(job, scene, place)
    (job.folder / "annotations.json").write_text(json.dumps(annotations))


def _write_scene(job: ExportJob, scene: Scene, place: ScenePlace) -> dict[str, Any]:
    """Write the labels of a scene and return its part of the annotations."""
    check_pinholes(scene, format="occ3d")
    steps = np.flatnonzero(scene.is_key_frame).tolist()
    tokens = [sample_token(scene.scene_id, step) for step in steps]
    poses = shifted(scene.ego2global, place.shift_m)
    suffixes = {camera: PictureFiles(scene, camera).suffix for camera in scene.cameras}
    infos = {}
    for idx, (step, token) in enumerate(zip(steps, tokens, strict=True)):
        gt_path = f"gts/{place.name}/{token}/labels.npz"
        (job.folder / gt_path).parent.mkdir(parents=True)
        occupancy = scene.occupancy(step)
        np.savez_compressed(
            job.folder / gt_path,
            semantics=occupancy.semantics,
            mask_lidar=occupancy.mask_lidar,
            mask_camera=occupancy.mask_camera,
        )
        infos[token] = {
            "timestamp": str(int(place.stamps_us[step])),
            "camera_sensor": _cameras(scene, place, step, poses[step], suffixes),
            "ego_pose": _pose(poses[step]),
            "gt_path": gt_path,
            "prev": tokens[idx - 1] if idx else END,
            "next": tokens[idx + 1] if idx + 1 < len(tokens) else END,
        }
    for _ in range(scene.num_steps):
        job.step_done()
    return infos


def _cameras(
    scene: Scene, place: ScenePlace, step: int, pose: Float64[np.ndarray, "4 4"], suffixes: dict[str, str]
) -> dict[str, Any]:
    return {
        token_of(scene.scene_id, camera.name, step): {
            "img_path": picture_name(scene, place, camera.name, step, suffixes[camera.name]),
            "intrinsic": camera.K.tolist(),
            "extrinsic": _pose(camera.ego_from_cam),
            "ego_pose": _pose(pose),
        }
        for camera in scene.rig.cameras
    }


def _pose(pose: Float64[np.ndarray, "4 4"]) -> dict[str, list[float]]:
    return {"translation": pose[:3, 3].tolist(), "rotation": rotation_wxyz(pose[:3, :3]).tolist()}
