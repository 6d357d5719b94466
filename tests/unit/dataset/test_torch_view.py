"""`SceneDataset` by itself: pictures, calibration, windows, choice of samples, processes."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scenegen.dataset import fold_receipts, open_dataset  # noqa: E402
from scenegen.dataset.image_fit import fit_image  # noqa: E402
from scenegen.dataset.picture_files import PictureFiles  # noqa: E402
from scenegen.dataset.torch_view import SceneDataset, SceneLoader, collate  # noqa: E402
from scenegen.dataset.torch_view.window import check_window  # noqa: E402
from scenegen.errors import ConfigError, DatasetError  # noqa: E402
from tests.unit.dataset.tiny_scene import tiny_record, tiny_rig  # noqa: E402


@pytest.fixture(scope="module")
def two_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of 7 and 13 steps, which have 2 and 3 key frames."""
    from tests.unit.dataset.conftest import write_scene

    folder = tmp_path_factory.mktemp("two")
    write_scene(folder, tiny_record(scene_id="a-00000001"))
    write_scene(folder, tiny_record(scene_id="b-00000002", num_steps=13))
    fold_receipts(folder)
    return folder


def test_raw_pictures_and_boxes_are_those_of_the_reader(shared_dataset: Path) -> None:
    sample = SceneDataset(shared_dataset, window=[-1, 0])[2]  # anchors 1..6
    scene = open_dataset(shared_dataset)["tiny-00c0ffee"]
    assert sample["meta"]["steps"] == (2, 3)
    assert sample["rgb"].shape == (6, 2, 3, 24, 40)
    for view, camera in enumerate(scene.cameras):
        assert np.array_equal(sample["rgb"][view].permute(0, 2, 3, 1), scene.rgb(camera)[2:4])
    assert np.array_equal(sample["ego2global"], scene.ego2global[2:4])
    boxes = scene.boxes(3)
    assert np.array_equal(sample["boxes"][1]["center_world_m"], boxes.center_world_m)
    assert sample["boxes"][1]["label"].tolist() == [0, 5]  # car, pedestrian


@pytest.mark.parametrize("codec", ["jpeg", "png", "jxl", "zstd"])
def test_pictures_read_as_files_are_those_that_zarr_reads(
    tmp_path: Path, write: Callable[..., object], codec: str
) -> None:
    write(tmp_path, tiny_record(), image_codec=codec)
    fold_receipts(tmp_path)
    scene = open_dataset(tmp_path)["tiny-00c0ffee"]
    pictures = PictureFiles(scene, "CAM_BACK")
    for step in range(scene.num_steps):  # two shards, the second one short
        assert np.array_equal(pictures.pixels(step), scene.rgb("CAM_BACK")[step])
    assert pictures[0].content.startswith(b"\xff\xd8" if codec == "jpeg" else b"\x89PNG")
    with pytest.raises(DatasetError, match="a step in"):
        pictures.pixels(-1)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_shard_is_an_error_that_names_the_file(
    tmp_path: Path, write: Callable[..., object], damage: str
) -> None:
    write(tmp_path, tiny_record())
    fold_receipts(tmp_path)
    dataset = SceneDataset(tmp_path)
    dataset[0]  # opened while whole
    shard = next(tmp_path.glob("scenes/*/*/cameras/CAM_FRONT/rgb/c.1.0.0.0"))
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.unlink()
    if damage != "gone":
        shard.write_bytes(content if damage == "flip" else content[:50])
    with pytest.raises(DatasetError) as caught:
        dataset[4]
    assert "CAM_FRONT" in str(caught.value)
    assert shard.name in str(caught.value)


@pytest.mark.parametrize("image_size", [(12, 20), (16, 16), (24, 40), (9, 40), (50, 30)])
def test_new_intrinsics_project_where_the_old_pixel_went(shared_dataset: Path, image_size: tuple[int, int]) -> None:
    sample = SceneDataset(shared_dataset, image_size=image_size)[0]
    scene = open_dataset(shared_dataset)["tiny-00c0ffee"]
    fit = fit_image((24, 40), size_hw=image_size)
    left, top, right, bottom = fit.source_box_px
    point_cam_m = np.array([0.7, -0.4, 6.0])
    old = (scene.cam2img("CAM_FRONT") @ point_cam_m)[:2] / 6.0
    new = (sample["cam2img"][0].double().numpy() @ point_cam_m)[:2] / 6.0
    expected = (old - [left, top]) * [image_size[1] / (right - left), image_size[0] / (bottom - top)]
    assert np.allclose(new, expected, atol=1e-4)
    assert sample["rgb"].shape[-2:] == image_size


def test_the_picture_moves_with_its_intrinsics() -> None:
    """A bright square stays around the projection of its own middle, through a crop and a change of scale."""
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[60:70, 100:110] = 255
    for size_hw in ((45, 80), (60, 60), (30, 120), (180, 320)):
        fit = fit_image((90, 160), size_hw=size_hw)
        rows, columns = np.nonzero(fit.apply(picture)[..., 0] > 127)
        middle = fit.fitted_from_stored @ [105.0, 65.0, 1.0]
        assert np.allclose([columns.mean() + 0.5, rows.mean() + 0.5], middle[:2], atol=0.51)


def test_windows_never_cross_scenes(two_scenes: Path) -> None:
    dropped = SceneDataset(two_scenes, window=[-3, 0, 2])
    assert [dropped.sample_key(n) for n in range(len(dropped))] == [("a-00000001", 3), ("a-00000001", 4)] + [
        ("b-00000002", step) for step in range(3, 11)
    ]
    repeated = SceneDataset(two_scenes, window=[-3, 0, 2], edges="repeat_nearest")
    assert len(repeated) == 20
    for n in range(20):
        scene_id, anchor = repeated.sample_key(n)
        steps = repeated[n]["meta"]["steps"]
        last = 6 if scene_id.startswith("a") else 12
        assert steps[1] == anchor
        assert all(0 <= step <= last for step in steps)
    assert repeated[0]["meta"]["steps"] == (0, 0, 2)
    assert repeated[0]["meta"]["is_own"] == (False, True, True)
    assert repeated[7 + 12]["meta"]["steps"] == (9, 12, 12)


def test_key_frames_and_filters_choose_anchors(two_scenes: Path) -> None:
    def keys(**options: object) -> list[tuple[str, int]]:
        dataset = SceneDataset(two_scenes, **options)  # type: ignore[arg-type]
        return [dataset.sample_key(n) for n in range(len(dataset))]

    assert keys(key_frames_only=True) == [
        ("a-00000001", 0),
        ("a-00000001", 6),
        ("b-00000002", 0),
        ("b-00000002", 6),
        ("b-00000002", 12),
    ]
    assert keys(filter="num_pedestrians >= 1 and num_steps > 7", key_frames_only=True) == [
        ("b-00000002", 6),
        ("b-00000002", 12),
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"preset": "bevfusion"}, "streampetr"),
        ({"window": [0, -1]}, "rising step offsets"),
        ({"window": [-2, -1]}, "with 0 among them"),
        ({"window": [-1, 0, 1], "preset": "bevformer"}, "ends at 0"),
        ({"edges": "wrap"}, "repeat_nearest"),
        ({"cameras": ["CAM_FRONT", "CAM_TOP"]}, "CAM_TOP"),
        ({"image_size": (0, 40)}, "positive"),
        ({"filter": "wether == 'rain'"}, "did you mean weather"),
        ({"labels": ["boxes", "boxen"]}, "boxen"),
        ({"labels": ["boxes"], "preset": "bevdet"}, "has its own"),
    ],
)
def test_wrong_options_are_refused_before_any_sample(
    shared_dataset: Path, options: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        SceneDataset(shared_dataset, **options)  # type: ignore[arg-type]


def test_an_empty_choice_is_an_error(shared_dataset: Path) -> None:
    with pytest.raises(DatasetError, match="at least one sample"):
        SceneDataset(shared_dataset, filter="split == 'val'")
    with pytest.raises(DatasetError, match="at least one sample"):
        SceneDataset(shared_dataset, window=[-7, 0])


def test_cameras_come_in_the_order_asked_for(shared_dataset: Path) -> None:
    sample = SceneDataset(shared_dataset, cameras=["CAM_BACK", "CAM_FRONT"])[0]
    scene = open_dataset(shared_dataset)["tiny-00c0ffee"]
    assert sample["rgb"].shape[0] == 2
    assert np.array_equal(sample["rgb"][0, 0].permute(1, 2, 0), scene.rgb("CAM_BACK")[0])
    assert np.allclose(sample["cam2ego"][1], scene.cam2ego("CAM_FRONT"))


def test_labels_of_raw_are_chosen_by_name(shared_dataset: Path) -> None:
    sample = SceneDataset(shared_dataset, labels=["occupancy"])[3]
    scene = open_dataset(shared_dataset)["tiny-00c0ffee"]
    assert "boxes" not in sample
    assert np.array_equal(sample["voxel_semantics"], scene.occupancy(3).semantics)


@pytest.mark.parametrize("image_size", [None, (12, 20), (16, 16), (48, 80)])
def test_maps_are_those_of_the_pixels_that_new_pixels_fall_into(
    full_dataset: Path, image_size: tuple[int, int] | None
) -> None:
    names = ["depth", "semantic", "instance", "optical_flow"]
    sample = SceneDataset(full_dataset, labels=names, window=[-1, 0], image_size=image_size)[2]
    scene = open_dataset(full_dataset)["tiny-00c0ffee"]
    height, width = image_size or (24, 40)
    stored_from_fitted = np.linalg.inv(fit_image((24, 40), size_hw=image_size).fitted_from_stored)
    assert sample["semantic"].shape == sample["depth_m"].shape == (6, 2, height, width)
    depth_mm, flow = scene.depth("CAM_BACK")[2:4], scene.optical_flow("CAM_BACK")[2:4]
    semantic, instance = scene.semantic("CAM_BACK")[2:4], scene.instance("CAM_BACK")[2:4]
    view = scene.cameras.index("CAM_BACK")
    for row, column in ((0, 0), (height - 1, width - 1), (height // 2, width // 3)):
        u, v, _ = stored_from_fitted @ [column + 0.5, row + 0.5, 1.0]
        here, pixel = (view, 1, row, column), (1, int(v), int(u))
        assert sample["semantic"][here] == semantic[pixel]
        assert sample["instance"][here] == int(instance[pixel])
        expected_m = depth_mm[pixel] / 1000 if depth_mm[pixel] else np.inf
        assert np.isclose(sample["depth_m"][here], expected_m)
        scale = [1.0, 1.0] if image_size is None else fit_image((24, 40), size_hw=image_size).scale_xy
        assert np.allclose(sample["optical_flow_px"][here], flow[pixel].astype(float) * scale, rtol=1e-3)


def test_points_of_a_sweep_and_boxes_in_pictures(shared_dataset: Path) -> None:
    sample = SceneDataset(shared_dataset, labels=["lidar", "boxes", "boxes2d"], image_size=(12, 20))[6]
    scene = open_dataset(shared_dataset)["tiny-00c0ffee"]
    points = sample["lidar"]["points_ego_m"]
    assert np.allclose(points[:24, 2], 0.0, atol=1e-6)  # the ring on the ground
    ego_from_world = np.linalg.inv(scene.ego2global[6])
    for box, center_world_m in enumerate(scene.boxes(6).center_world_m):
        of_box = points[sample["lidar"]["box"] == box]
        expected = ego_from_world @ np.append(center_world_m, 1.0)
        assert np.allclose(of_box[0], expected[:3], atol=1e-5)
    seen = scene.boxes2d(6, "CAM_FRONT")
    found = sample["boxes2d"][0][scene.cameras.index("CAM_FRONT")]
    assert len(seen) > 0
    assert found["box"].tolist() == seen.box.tolist()
    assert np.allclose(found["xyxy_px"], 0.5 * seen.xyxy_px)
    assert np.allclose(found["center_px"], 0.5 * seen.center_px, atol=1e-4)


def test_pictures_of_different_sizes_need_an_image_size(tmp_path: Path, write: Callable[..., object]) -> None:
    write(tmp_path, tiny_record(scene_id="a-00000001"))
    write(tmp_path, tiny_record(scene_id="b-00000002", rig=tiny_rig(size_px=(48, 32))))
    fold_receipts(tmp_path)
    mixed = SceneDataset(tmp_path)
    with pytest.raises(DatasetError, match="image_size"):
        collate([mixed[0], mixed[7]])
    alike = SceneDataset(tmp_path, image_size=(24, 40))
    batch = collate([alike[0], alike[9]])
    assert batch["rgb"].shape == (2, 6, 1, 3, 24, 40)
    assert [len(boxes[0]["label"]) for boxes in batch["boxes"]] == [1, 2]


def test_ragged_labels_stay_lists_even_when_their_lengths_agree(shared_dataset: Path) -> None:
    dataset = SceneDataset(shared_dataset)
    batch = collate([dataset[3], dataset[4]])
    assert isinstance(batch["boxes"], list)
    assert batch["can_bus"].shape == (2, 1, 18)


def test_a_pickle_holds_nothing_open(shared_dataset: Path) -> None:
    dataset = SceneDataset(shared_dataset)
    expected = dataset[5]["rgb"]
    content = pickle.dumps(dataset)
    assert len(content) < 10_000
    assert torch.equal(pickle.loads(content)[5]["rgb"], expected)


@pytest.mark.parametrize("start_method", ["fork", "forkserver", "spawn"])
def test_workers_read_the_same_samples_in_the_same_order(two_scenes: Path, start_method: str) -> None:
    dataset = SceneDataset(two_scenes, cameras=["CAM_FRONT"])
    dataset[0]  # zarr's thread runs here before the workers start
    alone = [batch["rgb"] for batch in SceneLoader(dataset, batch_size=5, seed=3)]
    loader = SceneLoader(dataset, batch_size=5, seed=3, num_workers=2, start_method=start_method)
    together = [batch["rgb"] for batch in loader]
    assert len(alone) == 4
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


def test_check_window_keeps_the_offsets() -> None:
    assert check_window([-2, 0, 3], edges="drop").fits(6).tolist() == [False, False, True, False, False, False]
