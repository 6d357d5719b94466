"""A DGP scene as a data set: its own pictures and numbers, labels that line up with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scenegen.cli import main
from scenegen.dataset import open_dataset
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.verify import verify_dataset
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.layout.importers.dgp import read_dgp_log
from scenegen.layout.sources import read_layout
from scenegen.layout.validate import validate_layout
from scenegen.scene import stored_stage
from tests.conftest import need_recorded
from tests.unit.logs.dgp_scene import GROUND_SLOPE, MOUNTS, RED, write_dgp_scene


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The small scene, through the command line."""
    folder = tmp_path_factory.mktemp("dgp")
    write_dgp_scene(folder / "street")
    assert main(["import-log", f"dgp:{folder / 'street'}", f"output={folder / 'ds'}", "dataset.image_codec=png"]) == 0
    dataset = open_dataset(folder / "ds")
    assert "recorded by real cameras" in (folder / "ds" / "README.md").read_text()
    return dataset[dataset.scene_ids[0]]


def test_pictures_are_the_recorded_ones(imported: Scene) -> None:
    folder = Path(imported.location).parents[3] / "street"
    for step in range(3):
        with Image.open(folder / f"rgb/CAM_B/{step}.jpg") as picture:
            assert np.array_equal(imported.rgb("CAM_B")[step], np.asarray(picture.convert("RGB")))


def test_a_scene_says_that_it_is_real_and_on_which_terms(imported: Scene) -> None:
    assert not imported.is_synthetic
    assert imported.attrs["model"]["model_id"] == "recorded"
    assert "CC BY-NC-SA" in imported.attrs["source"]["licence"]
    recording = imported.recording
    assert recording is not None and imported.record.recording == recording
    assert recording.stamps_us == (0, 1_000_000, 2_000_000)
    assert recording.camera_stamps_us["CAM_A"] == (30_000, 1_030_000, 2_030_000)
    assert "objects2d" in recording.derived
    assert any("no map" in what for what in recording.lost)


def test_maps_per_pixel_are_absent_and_unknown_voxels_masked(imported: Scene) -> None:
    assert not imported.has_array("cameras/CAM_A/depth")
    occupancy = imported.occupancy(0)
    assert 0 < occupancy.mask_camera.sum() < occupancy.mask_camera.size / 2
    assert not occupancy.mask_camera[:, 160:].any()  # behind the wall, 12 m to the left, nothing was seen


def test_counts_are_the_sources(imported: Scene) -> None:
    assert imported.boxes(1).num_lidar_pts.tolist() == [10, 20]


def test_the_wall_stands_and_the_car_does_not(imported: Scene) -> None:
    voxels = imported.world_voxels
    assert voxels is not None and voxels.is_recorded
    columns = np.argwhere((voxels.solid > 0).any(axis=2))
    places_m = np.array(voxels.origin_world_m) + 0.4 * (columns + 0.5)
    ego_from_world = invert_rigid(imported.ego2global[0])
    left_m = transform_points(ego_from_world, np.column_stack([places_m, np.zeros(len(places_m))]))[:, 1]
    assert len(left_m) > 50
    assert np.abs(left_m - 12.0).max() < 1.2


def test_the_car_keeps_its_roll_over_the_ground(imported: Scene) -> None:
    up_in_ego = imported.ego2global[0][2, :3]
    assert up_in_ego[1] == pytest.approx(-GROUND_SLOPE, abs=1e-3)


def test_rendered_instances_lie_on_the_pictures_of_their_agents(imported: Scene) -> None:
    stage = stored_stage(imported)
    conditions = stage.render_conditions(0, 1)
    for view, name in enumerate(MOUNTS):
        is_red = (np.abs(imported.rgb(name)[0].astype(int) - RED).max(axis=2) < 60) & True
        is_car = conditions.instance[view, 0] == 1
        assert is_red.sum() > 150
        assert (is_car & ~is_red).sum() <= 0.04 * is_car.sum()  # within its box's outline, which has corners to spare
        assert (is_car & is_red).sum() > 0.75 * is_red.sum()


def test_annotated_boxes_are_kept_and_bound_the_instances(imported: Scene) -> None:
    drawn, seen = imported.annotated2d(2, "CAM_A"), imported.boxes2d(2, "CAM_A")
    assert drawn.word == ("Car",) and drawn.track_id.tolist() == [0]
    own = seen.xyxy_px[imported.boxes(2).track_id[seen.box] == 0][0]
    assert np.abs(own - drawn.xyxy_px[0]).max() < 3.0


def test_all_labels_agree(imported: Scene) -> None:
    report = verify_dataset(Path(imported.location).parents[2], deep=True)
    assert [str(damage) for damage in report.damages] == []


def test_importing_again_writes_nothing_and_a_smaller_size_scales_intrinsics(imported: Scene, tmp_path: Path) -> None:
    folder = Path(imported.location).parents[3]
    before = (folder / "ds" / "manifest.json").read_bytes()
    assert main(["import-log", f"dgp:{folder / 'street'}", f"output={folder / 'ds'}", "dataset.image_codec=png"]) == 0
    assert (folder / "ds" / "manifest.json").read_bytes() == before
    small = ("width_px=80", "dataset.lidar=none", "world=none")
    assert main(["import-log", f"dgp:{folder / 'street'}", f"output={tmp_path / 'ds'}", *small]) == 0
    dataset = open_dataset(tmp_path / "ds")
    scene = dataset[dataset.scene_ids[0]]
    assert scene.rig.cameras[0].size_px == (80, 48)
    assert np.array_equal(scene.cam2img("CAM_A"), np.diag([0.5, 0.5, 1.0]) @ imported.cam2img("CAM_A"))
    assert scene.world_voxels is None and not scene.has_array("lidar/points")
    assert not scene.occupancy(0).mask_camera.any()


def test_a_layout_stands_on_flat_ground(imported: Scene) -> None:
    layout = read_layout(f"dgp:{Path(imported.location).parents[3] / 'street'}")
    validate_layout(layout)
    assert layout.agents[0].center_world_m[0, 2] == pytest.approx(0.75)
    assert layout.report is not None and layout.report.counts["3-D boxes"] == 6


def test_the_recorded_scene_has_the_counts_of_its_readme(shared_data: Path) -> None:
    log = read_dgp_log(need_recorded(shared_data / "tri_dgp" / "scene_01"))
    assert [len(step.boxes) for step in log.steps] == [95, 96, 95]
    inside = dict.fromkeys((camera.name for camera in log.cameras), 0)
    for step in log.steps:
        centers_m = np.stack([box.ego_from_box[:3, 3] for box in step.boxes])
        for camera in log.cameras:
            cam_from_ego = invert_rigid(step.images[camera.name].source_from_cam) @ step.source_from_ego
            in_cam_m = transform_points(cam_from_ego, centers_m)
            uv_px = (in_cam_m @ camera.K.T)[:, :2] / in_cam_m[:, 2:]
            is_inside = (in_cam_m[:, 2] > 0) & (uv_px >= 0).all(axis=1) & (uv_px < camera.size_px).all(axis=1)
            inside[camera.name] += int(is_inside.sum())
    assert inside == {"CAMERA_01": 71, "CAMERA_05": 67, "CAMERA_06": 21}
