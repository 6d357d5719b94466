"""The job: read every log, check it whole, write it as a scene, step by step, and commit.

files -> recorded log -> layout, rig, world -> for every step: pictures, sweep, labels -> disk -> commit
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from scenegen.config.import_log import ImportLogConfig
from scenegen.dataset.annotated2d import NO_TRACK, Annotated2d
from scenegen.logs.occ3d import read_occ3d
from scenegen.logs.pictures import read_picture
from scenegen.logs.prepare import PreparedLog, location_of, prepare_log
from scenegen.logs.sources import read_logs
from scenegen.scene import SceneStage
from scenegen.types import OCC3D_GRID, ConditionMaps, LidarLabels, SceneChunk

OnScene = Callable[[str, int, int], None]
"""Called before a scene is written, with its id, its number and how many there are."""


@dataclass(frozen=True, kw_only=True)
class ImportReport:
    """What an import did: scenes it committed, and those that were there already."""

    committed: tuple[str, ...]
    skipped: tuple[str, ...]


def import_logs(config: ImportLogConfig, *, on_scene: OnScene = lambda scene_id, number, total: None) -> ImportReport:
    """Write every log that a source names. The same call again writes only what is missing.

    All files of all logs are read before anything is written.

    Raises:
        SceneGenError: a file is missing, damaged or contradictory, or the output cannot be written.
    """
    from scenegen.dataset.fold import fold_receipts
    from scenegen.dataset.receipt import find_valid_receipt
    from scenegen.dataset.storage import open_storage

    logs = read_logs(config.source, occ3d=None if config.occ3d is None else Path(config.occ3d))
    for log in logs[1:]:  # the first is read when it is written; what is bad must be found before that
        prepare_log(log, config)
    location = location_of(config)
    committed, skipped = [], []
    for number, log in enumerate(logs, start=1):
        prepared = prepare_log(log, config)
        scene_id = prepared.record.scene_id
        if find_valid_receipt(open_storage(location), scene_id) is not None:
            skipped.append(scene_id)
            continue
        on_scene(scene_id, number, len(logs))
        write_log(prepared, config)
        committed.append(scene_id)
    fold_receipts(location)
    return ImportReport(committed=tuple(committed), skipped=tuple(skipped))


def write_log(prepared: PreparedLog, config: ImportLogConfig) -> None:
    """Write one scene and commit it.

    Raises:
        SceneGenError: a file changed meanwhile, or the output cannot be written.
    """
    from scenegen.dataset.preview import PreviewWriter
    from scenegen.dataset.write import open_scene_writer

    record = prepared.record
    voxels = None if prepared.world is None else prepared.world.voxels
    stage = SceneStage(record.layout, rig=record.rig, seed=record.seed, world_voxels=voxels)
    with open_scene_writer(
        location_of(config),
        record,
        image_codec=config.dataset.image_codec,
        jpeg_quality=config.dataset.jpeg_quality,
    ) as writer:
        if voxels is not None:
            writer.write_world(voxels)
        if any(image.boxes2d is not None for step in prepared.log.steps for image in step.images.values()):
            writer.write_annotated2d(annotated2d_of(prepared))
        with PreviewWriter(writer.preview_dir, record) as preview:
            for step_idx in range(len(prepared.log.steps)):
                chunk = chunk_of_step(prepared, stage, step_idx, keep_sweep=config.dataset.lidar != "none")
                writer.append(chunk)
                preview.append(chunk)
            preview.close()
        writer.commit(scores={}, cost={})


def chunk_of_step(prepared: PreparedLog, stage: SceneStage, step_idx: int, *, keep_sweep: bool) -> SceneChunk:
    """Return the pictures of one step with its labels: recorded ones, and those that follow from boxes and world."""
    from scenegen.conditions.visibility import agent_visibility, measure_agent_pixels

    conditions = stage.render_conditions(step_idx, step_idx + 1)
    pixels = measure_agent_pixels(conditions)
    visibility = agent_visibility(pixels)
    occupancy = occupancy_of_step(prepared, stage, conditions, step_idx)
    return SceneChunk(
        start_step=step_idx,
        rgb=pictures_of_step(prepared, step_idx),
        occupancy=occupancy.semantics[None],
        mask_camera=occupancy.mask_camera[None],
        visible_fraction=visibility.visible_fraction,
        visible_height_px=visibility.visible_height_px,
        occupancy_instance=None if occupancy.instance is None else occupancy.instance[None],
        agent_pixels=pixels,
        lidar=lidar_of_step(prepared, step_idx, mask=occupancy.mask_lidar, keep_sweep=keep_sweep),
    )


@dataclass(frozen=True, kw_only=True)
class StepOccupancy:
    """What is stored of a step's voxels; `instance` and `mask_lidar` may be unknown."""

    semantics: UInt8[np.ndarray, "X Y Z"]
    mask_camera: UInt8[np.ndarray, "X Y Z"]
    mask_lidar: UInt8[np.ndarray, "X Y Z"] | None
    instance: UInt16[np.ndarray, "X Y Z"] | None


def occupancy_of_step(
    prepared: PreparedLog, stage: SceneStage, conditions: ConditionMaps, step_idx: int
) -> StepOccupancy:
    """Return the Occ3D label of a step as it is, or else the world's voxels, known where beams passed."""
    from scenegen.occupancy.traverse import mark_returns

    file, points = prepared.log.steps[step_idx].occupancy, prepared.points[step_idx]
    if prepared.log.has_occupancy and file is not None:
        label = read_occ3d(file)
        return StepOccupancy(
            semantics=label.semantics, mask_camera=label.mask_camera, mask_lidar=label.mask_lidar, instance=None
        )
    view = stage.cut_occupancy(conditions, step=step_idx)
    known = np.zeros(OCC3D_GRID.shape, np.bool_)
    if prepared.world is not None:
        known = prepared.world.known_from(stage.layout.ego.world_from_ego[step_idx])
    mask_lidar = np.zeros(OCC3D_GRID.shape, np.bool_)
    if points is not None:
        origin_m = np.array(OCC3D_GRID.origin_m)
        mark_returns(mask_lidar, origin_m, OCC3D_GRID.voxel_m, points.sensor_ego_m, points.points_ego_m)
    return StepOccupancy(
        semantics=view.semantics,
        mask_camera=(view.mask_camera & known).astype(np.uint8),
        mask_lidar=mask_lidar.view(np.uint8) if points is not None else None,
        instance=view.instance.astype(np.uint16),
    )


def pictures_of_step(prepared: PreparedLog, step_idx: int) -> UInt8[np.ndarray, "V 1 H W 3"]:
    """Read the pictures of a step onto the rig's canvas."""
    width, height = prepared.record.rig.size_px
    rgb = np.zeros((len(prepared.log.cameras), 1, height, width, 3), np.uint8)
    for view, camera in enumerate(prepared.log.cameras):
        path = prepared.log.steps[step_idx].images[camera.name].path
        pixels = read_picture(path, camera, resize=prepared.resize)
        rgb[view, 0, : pixels.shape[0], : pixels.shape[1]] = pixels
    return rgb


def lidar_of_step(
    prepared: PreparedLog, step_idx: int, *, mask: UInt8[np.ndarray, "X Y Z"] | None, keep_sweep: bool
) -> LidarLabels | None:
    """Return the recorded sweep of a step and what is counted from it; counts are the source's where it has them."""
    points, step = prepared.points[step_idx], prepared.log.steps[step_idx]
    if points is None or step.sweep is None or mask is None:
        return None
    num_points = points.num_inside.copy()
    agent_of = {agent.agent_id: index for index, agent in enumerate(prepared.record.layout.agents)}
    for box in step.boxes:
        if box.num_lidar_pts is not None:
            num_points[agent_of[box.track_id]] = box.num_lidar_pts
    return LidarLabels(
        lidar2ego=step.sweep.ego_from_lidar,
        sweeps=(points.sweep(),) if keep_sweep else None,
        num_points=num_points[None],
        mask=mask[None],
    )


def annotated2d_of(prepared: PreparedLog) -> list[Annotated2d]:
    """Return the annotators' 2-D boxes of every picture, in stored pixels, by step, then camera."""
    agent_of = {agent.agent_id: index for index, agent in enumerate(prepared.record.layout.agents)}
    pictures = []
    for step in prepared.log.steps:
        in_step = {box.track_id for box in step.boxes}
        for camera in prepared.log.cameras:
            boxes = step.images[camera.name].boxes2d or ()
            scale = prepared.resize.scale(camera)
            width, height = prepared.resize.size_px(camera)
            xyxy = scale * np.array([box.xyxy_px for box in boxes], np.float64).reshape(-1, 4)
            xyxy = xyxy.clip(0.0, [width, height, width, height])
            track = [agent_of[box.track_id] if box.track_id in in_step else NO_TRACK for box in boxes]
            pictures.append(
                Annotated2d(
                    xyxy_px=xyxy.astype(np.float32),
                    track_id=np.array(track, np.int32),
                    word=tuple(box.source_category for box in boxes),
                )
            )
    return pictures
