"""From a recorded log to all that its data set is written from: layout, rig, placed sweeps, world."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float64

import scenegen
from scenegen.config.import_log import ImportLogConfig
from scenegen.errors import CameraError, RecordingError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.importers.log_layout import level_layout
from scenegen.logs.ground import fit_ground
from scenegen.logs.lidar_world import SeenWorld, build_lidar_world
from scenegen.logs.moments import StepPoints, place_points, points_ego_m
from scenegen.logs.occ3d import build_occ3d_world, check_axes, read_occ3d
from scenegen.logs.pictures import Resize, read_picture
from scenegen.logs.surface import areas_of_columns, with_seen_surface
from scenegen.logs.sweeps import read_points
from scenegen.types import Camera, CameraRig, Layout, Provenance, Recording, SceneRecord
from scenegen.types.layout_json import layout_sha256
from scenegen.types.record import RECORDED_MODEL_ID
from scenegen.types.recorded_log import RecordedCamera, RecordedLog

DERIVED = ("objects/visibility", "objects/visible_fraction", "objects/visible_height", "objects2d")
DERIVED_OCCUPANCY = ("occupancy/semantics", "occupancy/mask_camera", "occupancy/mask_lidar", "occupancy/instance")
"""Derived, too, where no Occ3D labels are given."""
MOST_AWAY_M, MOST_AWAY_RAD = 0.5, 0.05
"""How far one exposure's pose on the car may be from the middle one: beyond, poses or calibration are wrong."""


@dataclass(frozen=True, kw_only=True)
class PreparedLog:
    """A log that is whole: every file was read once.

    Attributes:
        points: per step; None where the step has no sweep.
        world: None where nothing says what stands.
        resize: of the pictures.
    """

    log: RecordedLog
    record: SceneRecord
    points: tuple[StepPoints | None, ...]
    world: SeenWorld | None
    resize: Resize


def prepare_log(log: RecordedLog, config: ImportLogConfig) -> PreparedLog:
    """Read every file of a log once, and build what its pictures are to be seen with.

    Raises:
        RecordingError: a file is missing, damaged, or contradicts the calibration.
        LayoutError, CameraError: boxes, poses or intrinsics that make no sense.
        ConfigError: the pictures cannot have the size that is asked for.
    """
    from scenegen.layout.validate import validate_layout

    resize = Resize(width_px=config.width_px)
    sha256 = _check_files(log, resize)
    layout = level_layout(log, [_ground_of(log, step_idx) for step_idx in range(len(log.steps))])
    validate_layout(layout)
    rig, lost = build_log_rig(log, resize)
    points = tuple(place_points(step, layout, step_idx=idx) for idx, step in enumerate(log.steps))
    world, kind = build_world_of(log, layout, points, config)
    lost_of_layout = layout.report.lost if layout.report else ()
    if world is not None and log.road_map is None:
        layout = with_seen_ground(layout, world)
        validate_layout(layout)
        lost_of_layout = tuple(what for what in lost_of_layout if "assumed road" not in what)
    recording = Recording(
        stamps_us=tuple(step.stamp_us - log.steps[0].stamp_us for step in log.steps),
        camera_stamps_us={
            camera.name: tuple(step.images[camera.name].stamp_us - log.steps[0].stamp_us for step in log.steps)
            for camera in log.cameras
        },
        recorded_size_px={camera.name: camera.size_px for camera in log.cameras},
        world=kind,
        derived=DERIVED if log.has_occupancy else DERIVED + DERIVED_OCCUPANCY,
        lost=(*lost_of_layout, *lost),
    )
    return PreparedLog(
        log=log,
        record=_record_of(layout, rig, recording, config, files_sha256=sha256),
        points=points,
        world=world,
        resize=resize,
    )


def build_log_rig(log: RecordedLog, resize: Resize) -> tuple[CameraRig, tuple[str, ...]]:
    """Return the rig of a log's stored pictures, and what it loses.

    A rig has one pose per camera, and exposures come some milliseconds beside the step's moment. So a camera's pose is
    the middle one (component by component, made orthonormal) of where it stood at its exposures, seen from the car at
    the step's moment. For logs of one step that is exact.

    Raises:
        CameraError: one exposure is far from the middle, so that poses and calibration contradict each other.
    """
    cameras, away_m = [], 0.0
    for camera in log.cameras:
        exposed = np.stack(
            [invert_rigid(step.source_from_ego) @ step.images[camera.name].source_from_cam for step in log.steps]
        )
        middle = _middle_pose(exposed)
        distance_m = np.linalg.norm(exposed[:, :3, 3] - middle[:3, 3], axis=1)
        _check_mount(camera, exposed, middle)
        away_m = max(away_m, float(distance_m.max()))
        stored = resize.camera(camera)
        cameras.append(Camera(name=camera.name, K=stored.K, ego_from_cam=middle, size_px=stored.size_px))
    lost = (
        f"where each camera was at each exposure: poses on the car are the middle ones, up to {away_m:.2f} m beside",
    )
    return CameraRig(name=log.source, cameras=tuple(cameras)), lost if away_m > 0.005 else ()


def _check_mount(
    camera: RecordedCamera, exposed: Float64[np.ndarray, "T 4 4"], middle: Float64[np.ndarray, "4 4"]
) -> None:
    """Refuse exposures that are not where the calibration has the camera, give or take what a car moves meanwhile."""
    for pose in (*exposed, camera.ego_from_cam):
        away_m = float(np.linalg.norm(pose[:3, 3] - middle[:3, 3]))
        cos = (np.trace(pose[:3, :3].T @ middle[:3, :3]) - 1.0) / 2.0
        away_rad = float(np.arccos(np.clip(cos, -1.0, 1.0)))
        if away_m > MOST_AWAY_M * 4 or away_rad > MOST_AWAY_RAD:
            raise CameraError(
                f"poses of one camera within {4 * MOST_AWAY_M} m and {MOST_AWAY_RAD} rad of each other on the car",
                found=f"{away_m:.2f} m, {away_rad:.3f} rad",
                where=f"camera {camera.name!r}: calibration and poses",
            )


def _middle_pose(poses: Float64[np.ndarray, "T 4 4"]) -> Float64[np.ndarray, "4 4"]:
    middle = np.median(poses, axis=0)
    left, _, right = np.linalg.svd(middle[:3, :3])
    middle[:3, :3] = left @ right
    return middle


def _ground_of(log: RecordedLog, step_idx: int) -> Float64[np.ndarray, "4 4"]:
    """Return the ground below the car: fitted, or where the ego frame says it is without a sweep."""
    sweep = log.steps[step_idx].sweep
    if sweep is None:
        return np.eye(4)
    return fit_ground(points_ego_m(read_points(sweep), sweep), where=str(sweep.path))


def build_world_of(
    log: RecordedLog, layout: Layout, points: tuple[StepPoints | None, ...], config: ImportLogConfig
) -> tuple[SeenWorld | None, str]:
    """Return the static world, and what it was made from.

    Raises:
        RecordingError: it cannot be made from what is asked for.
    """
    from scenegen.occupancy.build import begin_world

    labelled = [step.occupancy for step in log.steps if step.occupancy is not None]
    swept = [step for step in points if step is not None]
    grid = begin_world(layout, seed=config.seed).draft.site.grid
    if config.world == "occ3d" or (config.world == "auto" and labelled):
        _require_all(len(labelled), log, "an Occ3D label")
        labels = [read_occ3d(path) for path in labelled]
        for step_idx, label in enumerate(labels):
            check_axes(label, layout, step=step_idx, where=str(labelled[step_idx]))
        return build_occ3d_world(labels, layout, grid=grid), "occ3d"
    if config.world == "none" or (config.world == "auto" and not swept):
        return None, "none"
    _require_all(len(swept), log, "a sweep")
    return build_lidar_world(swept, layout, grid=grid), "lidar"


def _require_all(count: int, log: RecordedLog, what: str) -> None:
    if count < len(log.steps):
        raise RecordingError(
            f"{what} at each of {len(log.steps)} steps", found=f"{count}", where=log.log_id, fix="choose another world="
        )


def with_seen_ground(layout: Layout, world: SeenWorld) -> Layout:
    """Return a layout whose ground is what was seen of it; lanes stay those of the assumed road."""
    areas = (
        *areas_of_columns(world.is_drivable, grid=world.grid, kind="drivable"),
        *areas_of_columns(world.is_walkway & ~world.is_drivable, grid=world.grid, kind="sidewalk"),
    )
    return replace(layout, road_map=with_seen_surface(layout.road_map, areas))


def _check_files(log: RecordedLog, resize: Resize) -> str:
    """Decode every picture, read every sweep, and hash their bytes."""
    digest = hashlib.sha256()
    camera_of = {camera.name: camera for camera in log.cameras}
    for step in log.steps:
        for name, image in sorted(step.images.items()):
            read_picture(image.path, camera_of[name], resize=resize)
            digest.update(image.path.read_bytes())
        if step.sweep is not None:
            read_points(step.sweep)
            digest.update(step.sweep.path.read_bytes())
        if step.occupancy is not None:
            read_occ3d(step.occupancy)
            digest.update(step.occupancy.read_bytes())
    return digest.hexdigest()


def _record_of(
    layout: Layout, rig: CameraRig, recording: Recording, config: ImportLogConfig, *, files_sha256: str
) -> SceneRecord:
    """Name a scene after its files, its layout, its size and the version of the importer."""
    dataset = config.dataset
    decisive = (
        files_sha256, layout_sha256(layout), config.width_px, recording.world, config.split, config.seed,
        dataset.image_codec, dataset.jpeg_quality, dataset.lidar, scenegen.__version__,
    )  # fmt: skip
    sha256 = hashlib.sha256(repr(decisive).encode()).hexdigest()
    return SceneRecord(
        scene_id=f"{layout.layout_id}-{sha256[:8]}",
        layout=layout,
        rig=rig,
        seed=config.seed,
        split=config.split,
        provenance=Provenance(
            code_version=scenegen.__version__,
            config_sha256=sha256,
            model_id=RECORDED_MODEL_ID,
            weights_sha256="",
            model_licence="none: pictures of real cameras",
            source_licence=layout.licence,
        ),
        recording=recording,
    )


OnScene = Callable[[str, int, int], None]
"""Called with a scene's id, its number among all, and how many there are."""


def location_of(config: ImportLogConfig) -> str:
    """Return the data set's place."""
    return str(Path(config.output)) if "://" not in config.output else config.output
