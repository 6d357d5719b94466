"""Preset `raw`: the data set's own conventions as tensors. World frame, V T C H W, pictures as uint8 sRGB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from scenegen.dataset.detection_boxes import class_labels
from scenegen.dataset.torch_view.options import SampleOptions
from scenegen.dataset.torch_view.scene_view import SceneView
from scenegen.dataset.torch_view.window import Moments
from scenegen.errors import DatasetError
from scenegen.geometry.rigid import transform_points


def build_sample(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """Return pictures, calibration, poses, and the labels asked for.

    `rgb` V T 3 H W, uint8 (float32 if normalized); `cam2img` V 3 3, of these pixels; `cam2ego` V 4 4; `ego2global`
    T 4 4, float64; `timestamp_us` T; `can_bus` T 18; `meta`; labels under their names.

    Raises:
        DatasetError: the cameras have different sizes and none was asked for.
    """
    steps = list(moments.steps)
    scene = view.scene
    sample: dict[str, Any] = {
        "rgb": _pictures(view, steps, options),
        "cam2img": torch.from_numpy(view.K.astype(np.float32)),
        "cam2ego": torch.from_numpy(view.cam2ego.astype(np.float32)),
        "ego2global": torch.from_numpy(scene.ego2global[steps]),
        "timestamp_us": torch.from_numpy(scene.timestamps_us[steps]),
        "can_bus": torch.from_numpy(view.can_bus[steps]),
        "meta": {
            "scene_id": scene.scene_id,
            "steps": moments.steps,
            "is_own": moments.is_own,
            "cameras": tuple(camera.name for camera in view.cameras),
            "camera_models": tuple(camera.lens.model for camera in view.cameras),
        },
    }
    for name in options.labels:
        sample.update(LABELS[name](view, moments, options))
    return sample


def _pictures(view: SceneView, steps: list[int], options: SampleOptions) -> torch.Tensor:
    """Return V T 3 H W, each picture written once to where it belongs."""
    sizes = {fit.size_hw for fit in view.fits}
    if len(sizes) > 1:
        raise DatasetError(
            "pictures of one size",
            found=", ".join(map(str, sorted(sizes))),
            where=f"scene {view.scene.scene_id}",
            fix="give image_size=, or choose cameras=",
        )
    normalization = options.normalization
    dtype = torch.uint8 if normalization is None else torch.float32
    stack = torch.empty((len(view.cameras), len(steps), 3, *sizes.pop()), dtype=dtype)
    for camera in range(len(view.cameras)):
        for place, step in enumerate(steps):
            pixels = view.picture(camera, step)
            if normalization is None:
                stack[camera, place].numpy()[...] = pixels.transpose(2, 0, 1)
            else:
                stack[camera, place] = normalization.apply(pixels)
    return stack


def _boxes(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`boxes`: one dict per step of the window; `num_lidar_pts` only where stored."""
    rows = []
    for step in moments.steps:
        boxes = view.scene.boxes(step)
        rows.append(
            {
                "center_world_m": torch.tensor(boxes.center_world_m),
                "size_lwh_m": torch.tensor(boxes.size_lwh_m),
                "rotation_wxyz": torch.tensor(boxes.rotation_wxyz),
                "velocity_world_mps": torch.tensor(boxes.velocity_world_mps),
                "track_id": torch.tensor(boxes.track_id),
                "label": torch.tensor(class_labels(boxes, options.classes)),
                "visibility": torch.tensor(boxes.visibility),
                "visible_fraction": torch.tensor(boxes.visible_fraction),
            }
        )
        if boxes.stored_lidar_pts is not None:
            rows[-1]["num_lidar_pts"] = torch.tensor(boxes.stored_lidar_pts)
    return {"boxes": rows}


def _occupancy(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`voxel_semantics`, `mask_camera` and, where stored, `mask_lidar` of the anchor: X Y Z, uint8, ego frame."""
    occupancy = view.scene.occupancy(moments.anchor)
    voxels = {
        "voxel_semantics": torch.from_numpy(occupancy.semantics),
        "mask_camera": torch.from_numpy(occupancy.mask_camera),
    }
    if occupancy.stored_mask_lidar is not None:
        voxels["mask_lidar"] = torch.from_numpy(occupancy.stored_mask_lidar)
    return voxels


def _boxes2d(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`boxes2d`: per step, per camera, a dict; pixels are those of the fitted picture, boxes are cut to it.

    `box` counts among the step's `boxes`. Boxes that the crop leaves nothing of are left out.
    """
    return {
        "boxes2d": [[_seen_boxes(view, camera, step) for camera in range(len(view.cameras))] for step in moments.steps]
    }


def _seen_boxes(view: SceneView, camera: int, step: int) -> dict[str, torch.Tensor]:
    seen, fit = view.scene.boxes2d(step, view.cameras[camera].name), view.fits[camera]
    xyxy = fit.move_boxes(seen.xyxy_px)
    kept = (xyxy[:, 1] > xyxy[:, 0]).all(axis=1)
    return {
        "box": torch.from_numpy(seen.box[kept]),
        "xyxy_px": torch.from_numpy(xyxy[kept].reshape(-1, 4).astype(np.float32)),
        "center_px": torch.from_numpy(fit.move(seen.center_px[kept]).astype(np.float32)),
        "depth_m": torch.from_numpy(seen.depth_m[kept]),
        "visible_fraction": torch.from_numpy(seen.visible_fraction[kept]),
    }


def _lidar(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`lidar`: the anchor's sweep, in the ego frame."""
    sweep = view.scene.lidar(moments.anchor)
    points_ego_m = transform_points(view.scene.lidar2ego, sweep.points_lidar_m.astype(np.float64))
    return {
        "lidar": {
            "points_ego_m": torch.from_numpy(points_ego_m.astype(np.float32)),
            "intensity": torch.from_numpy(sweep.intensity),
            "ring": torch.from_numpy(sweep.ring),
            "box": torch.from_numpy(sweep.box),
        }
    }


def _depth(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`depth_m`: V T H W, z-depth; infinite where nothing is hit or beyond 65.535 m."""

    def in_metres(millimetres: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.where(millimetres == 0, np.float32(np.inf), millimetres.astype(np.float32) / np.float32(1000.0))

    return {"depth_m": _maps(view, moments, "depth", in_metres)}


def _semantic(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`semantic`: V T H W, Occ3D classes, 17 sky."""
    return {"semantic": _maps(view, moments, "semantic", np.asarray)}


def _instance(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`instance`: V T H W, int32; 0 none, 1 + track id an agent."""
    return {"instance": _maps(view, moments, "instance", lambda codes: codes.astype(np.int32))}


def _optical_flow(view: SceneView, moments: Moments, options: SampleOptions) -> dict[str, Any]:
    """`optical_flow_px`: V T H W 2 (x, y), where it was one step earlier minus where it is, in fitted pixels."""
    stored = _maps(view, moments, "optical_flow", lambda flow: flow.astype(np.float32))
    scale = torch.tensor([fit.scale_xy for fit in view.fits], dtype=torch.float32)
    return {"optical_flow_px": stored * scale[:, None, None, None]}


def _maps(
    view: SceneView, moments: Moments, name: str, convert: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
) -> torch.Tensor:
    """Return maps of pixels, nearest neighbours of the stored ones."""
    of_views = []
    for camera, fit in zip(view.cameras, view.fits, strict=True):
        stored = getattr(view.scene, name)(camera.name)
        of_views.append(np.stack([fit.pick(convert(np.asarray(stored[step]))) for step in moments.steps]))
    return torch.from_numpy(np.stack(of_views))


LABELS: dict[str, Callable[[SceneView, Moments, SampleOptions], dict[str, Any]]] = {
    "boxes": _boxes,
    "boxes2d": _boxes2d,
    "occupancy": _occupancy,
    "lidar": _lidar,
    "depth": _depth,
    "semantic": _semantic,
    "instance": _instance,
    "optical_flow": _optical_flow,
}
"""Labels that can be asked for. The last four need a data set that stores them."""
