"""`verify --deep`: a generated scene passes every check, and every check notices exactly its label being changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.dataset import DatasetPaths, Scene, fold_receipts, open_dataset
from scenegen.dataset import label_checks as checks
from scenegen.dataset.label_checks import FRAME_CHECKS, LABEL_CHECKS, SHAPE_CHECKS, Check, SceneLabels
from scenegen.dataset.receipt import (
    content_sha256,
    file_entry,
    look_up_receipt,
    read_receipt,
    seal_files,
    write_receipt,
)
from scenegen.dataset.storage import open_storage
from scenegen.dataset.verify import verify_dataset
from scenegen.pipeline import SerialExecutor, generate
from scenegen.types import AgentCategory, AgentTrack, Layout
from tests.conftest import run_scenegen
from tests.unit.pipeline.conftest import STEPS, SilentReporter, make_street

CAR, BEHIND = 1, 2
"""Boxes of the car ahead and of the car that the front camera does not see; box 0 is a pedestrian."""
Change = Callable[[Any], None]


def street_with_cars(reference: str, **_: object) -> Layout:
    street = make_street(reference)
    time_s = np.arange(STEPS) / 12.0

    def car(agent_id: str, x_m: float) -> AgentTrack:
        return AgentTrack(
            agent_id=agent_id,
            category=AgentCategory.CAR,
            size_lwh_m=np.array([4.5, 1.9, 1.6]),
            center_world_m=np.stack([x_m + 6.0 * time_s, np.full(STEPS, 1.5), np.full(STEPS, 0.8)], axis=1),
            heading_rad=np.zeros(STEPS),
            velocity_world_mps=np.tile([6.0, 0.0], (STEPS, 1)),
            valid=np.ones(STEPS, np.bool_),
        )

    return replace(street, agents=(*street.agents, car("ahead", 11.0), car("behind", -12.0)))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated scene with every label; tests must not change it."""
    folder = tmp_path_factory.mktemp("sound") / "ds"
    overrides = ["video=preview", "rig=front1", "rig.image.width_px=64", "rig.image.height_px=32", "duration_s=1"]
    config = compose_config(GenerateConfig, "generate", [*overrides, "dataset.labels=stored", f"output={folder}"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scenegen.layout.sources.expand_references", list)
        patch.setattr("scenegen.layout.sources.read_layout", street_with_cars)
        patch.setattr("scenegen.layout.extend.extend_layout", lambda layout, **kwargs: layout)
        generate(
            replace(config, layouts=("a",)), executor=SerialExecutor(), reporter=SilentReporter()
        ).raise_on_failure()
    return folder


@pytest.fixture
def copied(sound: Path, tmp_path: Path) -> Iterator[Path]:
    folder = shutil.copytree(sound, tmp_path / "ds")
    yield folder
    shutil.rmtree(folder)


def change_array(folder: Path, path: str, change: Change) -> Scene:
    """Change one array and seal the scene again, as if it had been written so."""
    (entry,) = open_dataset(folder).manifest.scenes
    with zarr.config.set({"array.write_empty_chunks": True}):
        array = zarr.open_group(DatasetPaths(folder).scene(entry.scene_id), mode="r+")[path]
        values = array[...]
        change(values)
        array[...] = values
    return seal_again(folder, entry.scene_id)


def seal_again(folder: Path, scene_id: str) -> Scene:
    storage = open_storage(folder)
    receipt = read_receipt(storage, scene_id)
    files = seal_files(DatasetPaths(folder).scene(scene_id))
    previews = {name: file_entry(folder / name) for name in receipt.previews}
    sealed = replace(receipt, files=files, content_sha256=content_sha256(files), previews=previews)
    old = look_up_receipt(storage, scene_id).version
    assert write_receipt(storage, sealed, expected=old)
    fold_receipts(folder)
    return open_dataset(folder)[scene_id]


def put(index: Any, value: Any) -> Change:
    def change(values: np.ndarray) -> None:
        values[index] = value

    return change


def add(index: Any, amount: Any) -> Change:
    def change(values: np.ndarray) -> None:
        values[index] += np.asarray(amount).astype(values.dtype)

    return change


def scale(index: Any, factor: float) -> Change:
    def change(values: np.ndarray) -> None:
        values[index] *= factor

    return change


def erase(semantic: int) -> Change:
    def change(values: np.ndarray) -> None:
        values[values == semantic] = 17

    return change


def row_of(step: int, box: int) -> int:
    """All three agents are there at all steps."""
    return 3 * step + box


CASES: list[tuple[Check, str, Change, str]] = [
    (checks.check_timestamps, "time/timestamp_us", add(3, 1), "step 3: expected 250000 us"),
    (checks.check_key_frames, "time/is_key_frame", put(1, True), "step 1: expected False, found True"),
    (checks.check_ego_poses, "ego/ego2global", scale((2, 0, 0), 1.001), "step 2: expected a rigid transform"),
    (checks.check_sensor_poses, "cameras/CAM_FRONT/cam2ego", scale((slice(0, 3), 0), -1.0), "a rigid transform"),
    (checks.check_sensor_poses, "lidar/lidar2ego", put((3, 0), 0.1), "a rigid transform"),
    (checks.check_map_pointers, "map/lanes/ptr", put(-1, 10**6), "expected 0 to"),
    (checks.check_map_pointers, "map/areas/ptr", put(0, 1), "expected 0 to"),
    (checks.check_map_pointers, "map/lanes/points", put((0, 0), np.inf), "finite points"),
    (checks.check_object_pointers, "objects/frame_ptr", put(2, 12), "expected pointers that never fall"),
    (checks.check_object_pointers, "objects/frame_ptr", put(-1, 10**6), "expected 0 to 24"),
    (checks.check_object2d_pointers, "objects2d/ptr", put(3, 10**6), "expected pointers that never fall"),
    (checks.check_object2d_pointers, "objects2d/box", put(0, 3), "step 0: expected one of 3 boxes, found 3"),
    (checks.check_sweep_pointers, "lidar/ptr", put(1, -5), "expected pointers that never fall"),
    (
        checks.check_box_geometry,
        "objects/center",
        put((row_of(2, CAR), 1), np.nan),
        "step 2, box 1: expected fin",
    ),
    (checks.check_box_geometry, "objects/size_lwh", put((row_of(2, CAR), 2), 0.0), "step 2, box 1: expected pos"),
    (
        checks.check_box_geometry,
        "objects/rotation_wxyz",
        scale(row_of(1, 0), 1.01),
        "step 1, box 0: expected a u",
    ),
    (
        checks.check_box_geometry,
        "objects/velocity",
        put((row_of(1, 0), 0), np.inf),
        "step 1, box 0: expected fin",
    ),
    (checks.check_labels_of_boxes, "objects/category", put(row_of(4, CAR), 12), "step 4, box 1: expected a code"),
    (checks.check_labels_of_boxes, "objects/attribute", put(row_of(4, CAR), 9), "step 4, box 1: expected a code"),
    (checks.check_labels_of_boxes, "objects/track_id", put(row_of(4, CAR), 0), "step 4, box 1: expected one box"),
    (checks.check_intrinsics, "cameras/CAM_FRONT/cam2img", put((0, 2), 65.0), "principal point within 64 x 32"),
    (checks.check_intrinsics, "cameras/CAM_FRONT/cam2img", put((0, 0), -40.0), "positive focal lengths"),
    (checks.check_intrinsics, "cameras/CAM_FRONT/cam2img", add((0, 0), 1e-6), "the matrix of attribute rig"),
    (checks.check_can_bus, "ego/can_bus", add((3, 1), 0.01), "step 3: expected the position of ego2global"),
    (
        checks.check_can_bus,
        "ego/can_bus",
        put((3, slice(3, 7)), [0.8, 0.0, 0.0, 0.6]),
        "step 3: expected the rot",
    ),
    (checks.check_can_bus, "ego/can_bus", add((3, 16), 0.01), "step 3: expected the yaw"),
    (checks.check_can_bus, "ego/can_bus", add((3, 17), 1.0), "step 3: expected signal 16 in degrees"),
    (
        checks.check_tracks_keep_what_they_are,
        "objects/category",
        put(row_of(5, CAR), int(AgentCategory.TRUCK)),
        "step 5, box 1: expected category 0 of track 1, found 1",
    ),
    (
        checks.check_tracks_keep_what_they_are,
        "objects/size_lwh",
        scale((row_of(5, CAR), 0), 1.01),
        "step 5, box 1: expected [4.5 1.9 1.6] m of track 1",
    ),
    (checks.check_velocities, "objects/velocity", scale((slice(CAR, None, 3), 0), -1.0), "box 1: expected a way"),
    (checks.check_velocities, "objects/velocity", add((row_of(3, CAR), 1), 30.0), "box 1: expected a way"),
    (checks.check_velocities, "objects/center", add((row_of(7, CAR), 0), 1.0), "step 7, box 1: expected a way"),
    (checks.check_visibility, "objects/visibility", put(row_of(0, CAR), 2), "step 0, box 1: expected level 4"),
    (checks.check_visibility, "objects/visible_fraction", put(row_of(0, CAR), 1.5), "box 1: expected a share"),
    (
        checks.check_seen_boxes_project_into_images,
        "objects/visible_fraction",
        put(row_of(6, BEHIND), 0.3),
        "step 6, box 2: expected 0 for a box that projects into no camera",
    ),
    (
        checks.check_visible_means_seen_by_a_camera,
        "objects/visible_fraction",
        put(row_of(3, BEHIND), 0.3),
        "step 3, box 2: expected a camera that lists the box",
    ),
    (checks.check_visible_means_seen_by_a_camera, "objects2d/box", put(0, 1), "expected once per camera"),
    (
        checks.check_boxes2d,
        "objects2d/xyxy",
        put((0, 2), 65.0),
        "step 0, camera CAM_FRONT, box 0: expected a box",
    ),
    (checks.check_boxes2d, "objects2d/num_px", put(1, 0), "step 0, camera CAM_FRONT, box 1: expected 1 to"),
    (
        checks.check_boxes2d,
        "objects2d/visible_fraction",
        put(1, 0.0),
        "camera CAM_FRONT, box 1: expected a share",
    ),
    (
        checks.check_centers_reproject,
        "objects2d/center",
        add((1, 0), 0.02),
        "camera CAM_FRONT, box 1: expected (",
    ),
    (
        checks.check_centers_reproject,
        "objects2d/center",
        put((1, 0), np.nan),
        "camera CAM_FRONT, box 1: expected (",
    ),
    (checks.check_centers_reproject, "objects2d/depth", add(1, 0.01), "camera CAM_FRONT, box 1: expected"),
    (checks.check_boxes2d_within_projections, "objects2d/xyxy", add((1, 0), -4.0), "box 1: expected within ["),
    (checks.check_boxes2d_fill_projections, "objects2d/xyxy", add((1, 1), 6.0), "box 1: expected most of ["),
    (checks.check_boxes2d_bound_instances, "objects2d/num_px", add(0, 1), "box 0: expected"),
    (checks.check_boxes2d_bound_instances, "objects2d/xyxy", add((0, 3), 1.0), "box 0: expected"),
    (
        checks.check_boxes2d_bound_instances,
        "cameras/CAM_FRONT/instance",
        put((6, 0, 0), 9),
        "step 6, camera CAM_FRONT: expected 0, static things and agents of the step, found instance 9",
    ),
    (
        checks.check_seen_boxes_have_points,
        "objects/num_lidar_pts",
        put(row_of(3, CAR), 0),
        "step 3, box 1: expect",
    ),
    (checks.check_sweep_values, "lidar/intensity", put(7, 1.5), "step 0: expected 0 to 1"),
    (checks.check_sweep_values, "lidar/points", put((7, 2), np.nan), "step 0: expected finite metres"),
    (checks.check_sweep_values, "lidar/instance", put(7, 77), "step 0: expected 0, static things and agents"),
    (checks.check_points_in_boxes, "objects/num_lidar_pts", add(row_of(6, BEHIND), 1), "step 6, box 2: expected"),
    (
        checks.check_points_in_boxes,
        "lidar/points",
        add((slice(None), 0), 3.0),
        "expected all points of the agent",
    ),
    (checks.check_voxels_at_boxes, "occupancy/semantics", erase(7), "step 0, box 0: expected a voxel of class 7"),
    (checks.check_voxels_of_agents, "occupancy/semantics", erase(4), "box 1: expected class 4 in its voxels"),
    (checks.check_voxels_of_agents, "occupancy/instance", put((6, 3, 3, 9), 2), "step 6, box 1: expected"),
    (checks.check_voxels_of_agents, "occupancy/instance", put((6, 3, 3, 9), 99), "step 6: expected agents of"),
    (
        checks.check_free_voxels_belong_to_nothing,
        "occupancy/instance",
        put((6, 3, 3, 15), 0x8001),
        "step 6: expected instance 0 in free voxels, found 1 voxels",
    ),
]


def test_a_generated_scene_passes_every_check(sound: Path) -> None:
    (scene,) = open_dataset(sound)
    labels = SceneLabels(scene)
    assert len(labels.objects2d) >= 2 * STEPS and (labels.objects2d.seen.num_px >= 50).any()
    for check in (*FRAME_CHECKS, *SHAPE_CHECKS, *LABEL_CHECKS):
        assert list(check(labels)) == [], check.__name__
    assert verify_dataset(sound, deep=True).damages == ()


def test_every_check_has_a_case() -> None:
    assert {check for check, *_ in CASES} == {*FRAME_CHECKS, *SHAPE_CHECKS, *LABEL_CHECKS}


@pytest.mark.parametrize(
    ("check", "path", "change", "expected"), CASES, ids=[f"{case[0].__name__}-{case[1]}" for case in CASES]
)
def test_a_changed_label_is_found(copied: Path, check: Check, path: str, change: Change, expected: str) -> None:
    scene = change_array(copied, path, change)
    texts = [str(finding) for finding in check(SceneLabels(scene))]
    assert any(expected in text for text in texts), texts
    listed = list(checks.check_labels(scene))
    assert any(expected in text for text in listed), listed


@pytest.mark.parametrize(
    ("path", "index", "value", "expected"),
    [
        ("occupancy/semantics", (2, 0, 0, 0), 18, "occupancy/semantics: value 18, beyond 17"),
        ("occupancy/mask_camera", (2, 0, 0, 0), 2, "occupancy/mask_camera: value 2, beyond 1"),
        ("occupancy/mask_lidar", (2, 0, 0, 0), 2, "occupancy/mask_lidar: value 2, beyond 1"),
        ("cameras/CAM_FRONT/semantic", (2, 0, 0), 18, "cameras/CAM_FRONT/semantic: value 18, beyond 17"),
    ],
)
def test_a_value_out_of_range_is_found(copied: Path, path: str, index: Any, value: int, expected: str) -> None:
    change_array(copied, path, put(index, value))
    assert verify_dataset(copied, deep=False).damages == ()
    findings = [damage.finding for damage in verify_dataset(copied, deep=True).damages]
    assert expected in findings


@pytest.mark.parametrize("suffix", [".jpg", ".mp4"])
def test_a_preview_that_does_not_decode_is_found(copied: Path, suffix: str) -> None:
    (preview,) = (copied / "previews").glob(f"*{suffix}")
    content = preview.read_bytes()
    preview.write_bytes(content[: len(content) // 3])
    seal_again(copied, open_dataset(copied).scene_ids[0])
    (damage,) = verify_dataset(copied, deep=True).damages
    assert f"{preview.name}: expected" in damage.finding


def test_the_command_names_scene_array_step_and_box_and_fails(copied: Path) -> None:
    scene = change_array(copied, "objects2d/center", add((1, 0), 0.02))
    finished = run_scenegen("verify", str(copied), "--deep")
    assert finished.returncode == 2
    assert (
        f"damaged: {scene.scene_id}: objects2d/center, step 0, camera CAM_FRONT, box 1: expected (" in finished.stdout
    )
    assert "1 damages" in finished.stderr
    assert run_scenegen("verify", str(copied)).returncode == 0


def test_many_findings_of_one_kind_are_cut_short(copied: Path) -> None:
    scene = change_array(copied, "objects/visible_fraction", put(slice(None), 2.0))
    findings = list(checks.check_labels(scene))
    assert sum("expected a share of 0 to 1" in finding for finding in findings) == checks.MAX_FINDINGS_PER_CHECK
    assert "objects/visible_fraction: and more of this kind (check_visibility)" in findings
