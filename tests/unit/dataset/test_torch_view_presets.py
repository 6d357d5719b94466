"""Samples of the presets, compared with the scene, with the info files of the same code base, and with its formulas."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from scenegen.dataset import fold_receipts, open_dataset  # noqa: E402
from scenegen.dataset.export import export_dataset  # noqa: E402
from scenegen.dataset.image_fit import fit_image  # noqa: E402
from scenegen.dataset.stored_scene import Scene  # noqa: E402
from scenegen.dataset.torch_view import CAFFE_BGR, IMAGENET_RGB, SceneDataset, SceneLoader, collate  # noqa: E402
from scenegen.errors import ConfigError  # noqa: E402
from scenegen.geometry.rigid import invert_rigid, transform_points  # noqa: E402
from scenegen.types import CameraRig, Lens  # noqa: E402
from tests.unit.dataset.tiny_scene import tiny_record, tiny_rig  # noqa: E402
from tests.unit.dataset.turning_scene import TRAIN_ID, VAL_ID  # noqa: E402

KEY_STEPS = (0, 6, 12, 18)
PRESETS = ("bevformer", "streampetr", "bevdet", "flashocc")


@pytest.fixture(scope="module")
def scene(turning: Path) -> Scene:
    return open_dataset(turning)[TRAIN_ID]


@pytest.fixture(scope="module")
def infos(turning: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[dict[str, Any]]]:
    root = tmp_path_factory.mktemp("infos")

    def read(name: str) -> list[dict[str, Any]]:
        if not (root / name).exists():
            export_dataset(turning, format=name, out=root / name, scene_ids=[TRAIN_ID])
        content: list[dict[str, Any]] = pickle.loads(next((root / name).glob("*.pkl")).read_bytes())["infos"]
        return content

    return read


def projected(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ matrix.T
    return homogeneous[:, :2] / homogeneous[:, 2:3]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_key_frame_gives_a_sample(turning: Path, preset: str) -> None:
    dataset = SceneDataset(turning, preset=preset, window=[0])
    keys = [dataset.sample_key(n) for n in range(len(dataset))]
    assert keys == [(scene_id, step) for scene_id in (TRAIN_ID, VAL_ID) for step in KEY_STEPS]


@pytest.mark.parametrize("image_size", [None, (16, 32)])
def test_bevformer_sample(
    turning: Path, scene: Scene, infos: Callable[[str], list[dict[str, Any]]], image_size: tuple[int, int] | None
) -> None:
    sample = SceneDataset(turning, preset="bevformer", image_size=image_size)[3]
    assert sample["img"].shape == (4, 6, 3, 32, 64 if image_size is None else 32)  # padded to multiples of 32
    assert sorted(sample["img_metas"]) == [0, 1, 2, 3]
    entries = infos("bevformer")
    meta, entry = sample["img_metas"][3], entries[3]
    for key, of_info in (("sample_idx", "token"), ("prev_idx", "prev"), ("next_idx", "next"), ("frame_idx",) * 2):
        assert meta[key] == entry[of_info]
    fit = fit_image((24, 40), size_hw=image_size)
    for view, cam in enumerate(entry["cams"].values()):
        lidar2cam = np.eye(4)
        lidar2cam[:3, :3] = cam["sensor2lidar_rotation"].T
        lidar2cam[:3, 3] = -cam["sensor2lidar_rotation"].T @ cam["sensor2lidar_translation"]
        K = np.eye(4)
        K[:3, :3] = fit.fitted_from_stored @ cam["cam_intrinsic"]
        assert np.allclose(meta["lidar2img"][view], K @ lidar2cam)
        assert meta["img_shape"][view] == (*sample["img"].shape[-2:], 3)
    bottom = entry["gt_boxes"].copy()
    bottom[:, 2] -= 0.5 * bottom[:, 5]
    known = np.array([name not in ("animal", "other") for name in entry["gt_names"]])
    expected = np.concatenate([bottom, entry["gt_velocity"]], axis=1)[known]
    assert np.allclose(sample["gt_bboxes_3d"], expected, atol=1e-4)
    assert sample["gt_labels_3d"].tolist()[:3] == [0, 1, 3]  # car, truck, bus in the order of the configuration


def test_bevformer_can_bus_is_absolute_differences_and_a_memory(
    turning: Path, infos: Callable[[str], list[dict[str, Any]]]
) -> None:
    """As `union2one` of BEVFormer computes it from the info file."""
    metas = SceneDataset(turning, preset="bevformer")[3]["img_metas"]
    can_bus = [entry["can_bus"] for entry in infos("bevformer")]
    assert [metas[place]["prev_bev"] for place in range(4)] == [False, True, True, True]
    assert np.allclose(metas[0]["can_bus"][[0, 1, 2, 17]], 0.0)
    for place in range(1, 4):
        difference = can_bus[place] - can_bus[place - 1]
        assert np.allclose(metas[place]["can_bus"][[0, 1, 2, 17]], difference[[0, 1, 2, 17]], atol=1e-4)
        assert np.allclose(metas[place]["can_bus"][3:17], can_bus[place][3:17], atol=1e-6)


def test_bevformer_repeats_the_first_step_at_the_start_of_a_scene(turning: Path) -> None:
    sample = SceneDataset(turning, preset="bevformer")[1]
    assert [meta["frame_idx"] for meta in sample["img_metas"].values()] == [0, 0, 0, 1]
    assert torch.equal(sample["img"][0], sample["img"][2])
    assert np.allclose(sample["img_metas"][2]["can_bus"][:3], 0.0)


@pytest.mark.parametrize("normalization", [CAFFE_BGR, IMAGENET_RGB])
def test_pictures_are_normalized_in_the_order_of_the_channels(turning: Path, scene: Scene, normalization: Any) -> None:
    sample = SceneDataset(turning, preset="bevformer", normalization=normalization)[0]
    pixels = scene.rgb("CAM_FRONT")[0].astype(np.float64)
    ordered = pixels[..., ::-1] if normalization is CAFFE_BGR else pixels
    expected = (ordered - normalization.mean) / normalization.std
    assert np.allclose(sample["img"][3, 0, :, :24, :40].permute(1, 2, 0), expected, atol=1e-4)
    assert sample["img"][3, 0, :, 24:].abs().max() == 0.0


def test_streampetr_sample(turning: Path, scene: Scene, infos: Callable[[str], list[dict[str, Any]]]) -> None:
    sample = SceneDataset(turning, preset="streampetr", window=[-12, -6, 0])[2]
    assert sample["img"].shape == (3, 6, 3, 32, 64)
    assert sample["prev_exists"].tolist() == [0.0, 1.0, 1.0]
    assert sample["timestamp"].tolist() == [0.0, 0.5, 1.0]
    assert sample["img_timestamp"].shape == (3, 6)
    poses = sample["ego_pose"].double() @ sample["ego_pose_inv"].double()
    assert torch.allclose(poses, torch.eye(4, dtype=torch.float64).expand(3, 4, 4), atol=1e-5)
    assert torch.allclose(sample["lidar2img"], sample["intrinsics"] @ sample["extrinsics"], atol=1e-3)
    for place, entry in enumerate(infos("streampetr")[:3]):
        bottom = np.concatenate([entry["gt_boxes"], entry["gt_velocity"]], axis=1)
        bottom[:, 2] -= 0.5 * bottom[:, 5]
        known = np.array([name not in ("animal", "other") for name in entry["gt_names"]])
        assert np.allclose(sample["gt_bboxes_3d"][place], bottom[known], atol=1e-4)
        center_world = transform_points(
            sample["ego_pose"][place].double().numpy(), sample["gt_bboxes_3d"][place][:, :3].double().numpy()
        )
        boxes = scene.boxes(KEY_STEPS[place])
        assert np.allclose(center_world[0, :2], boxes.center_world_m[0, :2], atol=1e-4)
        for view in range(6):
            large = (entry["bboxes2d"][view][:, 2:] - entry["bboxes2d"][view][:, :2] >= 2.0).all(axis=1)
            assert np.allclose(sample["gt_bboxes"][place][view], entry["bboxes2d"][view][large])
            assert sample["gt_labels"][place][view].tolist() == entry["labels2d"][view][large].tolist()
            assert np.allclose(sample["depths"][place][view], entry["depths"][view][large])


def test_streampetr_boxes_move_with_the_picture(turning: Path, scene: Scene) -> None:
    whole = SceneDataset(turning, preset="streampetr", window=[0])[0]
    small = SceneDataset(turning, preset="streampetr", window=[0], image_size=(12, 20))[0]
    size = whole["gt_bboxes"][0][0][:, 2:] - whole["gt_bboxes"][0][0][:, :2]
    kept = (size >= 4.0).all(dim=1)
    assert kept.any()
    assert torch.allclose(small["gt_bboxes"][0][0], 0.5 * whole["gt_bboxes"][0][0][kept], atol=1e-4)
    centers = small["gt_bboxes_3d"][0][:, :3] + torch.tensor([0.0, 0.0, 0.5]) * small["gt_bboxes_3d"][0][:, 5:6]
    pixels = projected(centers.double().numpy(), small["lidar2img"][0, 0].double().numpy())
    for center in small["centers2d"][0][0].numpy():
        inside = (center > 0.01).all() and (center < [19.99, 11.99]).all()  # others are clipped to the edge
        assert not inside or np.abs(pixels - center).max(axis=1).min() < 1e-2


def test_streampetr_starts_its_memory_anew_where_steps_are_missing(turning: Path) -> None:
    sample = SceneDataset(turning, preset="streampetr")[1]
    assert sample["prev_exists"].tolist() == [0.0] * 7 + [1.0]
    assert [meta["frame_idx"] for meta in sample["img_metas"]] == [0] * 7 + [1]


@pytest.mark.parametrize("image_size", [None, (16, 16), (12, 32)])
def test_bevdet_post_transforms_lead_to_the_fitted_pixels(
    turning: Path, scene: Scene, image_size: tuple[int, int] | None
) -> None:
    sample = SceneDataset(turning, preset="bevdet", image_size=image_size)[2]
    imgs, sensor2egos, ego2globals, intrins, post_rots, post_trans, bda = sample["img_inputs"]
    assert imgs.shape == (6, 3, *(image_size or (24, 40)))
    assert torch.equal(bda, torch.eye(3))
    names = sample["img_metas"]["cam_names"]
    assert names[:3] == ["CAM_FRONT_LEFT", "CAM_FRONT", "CAM_FRONT_RIGHT"]
    fit = fit_image((24, 40), size_hw=image_size)
    point_cam = np.array([0.4, 0.2, 5.0])
    for view, name in enumerate(names):
        assert np.allclose(intrins[view], scene.cam2img(name), atol=1e-5)
        assert np.allclose(sensor2egos[view], scene.cam2ego(name), atol=1e-6)
        assert np.allclose(ego2globals[view], scene.ego2global[12], atol=1e-5)
        pixel = intrins[view].double().numpy() @ point_cam / point_cam[2]
        fitted = post_rots[view].double().numpy() @ pixel + post_trans[view].double().numpy()
        new = fit.fitted_from_stored @ scene.cam2img(name) @ point_cam / point_cam[2]
        assert np.allclose(fitted, new, atol=1e-4)


def test_bevdet_boxes_are_those_of_its_info_file(turning: Path, infos: Callable[[str], list[dict[str, Any]]]) -> None:
    dataset = SceneDataset(turning, preset="bevdet")
    for place, entry in enumerate(infos("bevdet")):
        sample = dataset[place]
        rows, labels = entry["ann_infos"]
        bottom = np.array(rows)
        bottom[:, 2] -= 0.5 * bottom[:, 5]
        assert np.allclose(sample["gt_bboxes_3d"], bottom, atol=1e-4)
        assert sample["gt_labels_3d"].tolist() == labels


def test_bevdet4d_order_of_pictures_and_poses(turning: Path) -> None:
    """BEVDet4D views pictures as (cameras, frames) and everything else as (frames, cameras), newest first."""
    single = SceneDataset(turning, preset="bevdet")
    imgs, _, ego2globals, *_ = SceneDataset(turning, preset="bevdet", window=[-6, 0])[2]["img_inputs"]
    pictures = imgs.view(6, 2, 3, 24, 40)
    poses = ego2globals.view(2, 6, 4, 4)
    for frame, place in ((0, 2), (1, 1)):
        alone = single[place]["img_inputs"]
        assert torch.equal(pictures[:, frame], alone[0])
        assert torch.equal(poses[frame], alone[2])
    first = SceneDataset(turning, preset="bevdet", window=[-6, 0])[0]["img_inputs"]
    assert torch.equal(first[0][0], first[0][1])  # no step before: the current one again


@pytest.mark.parametrize("image_size", [None, (12, 20)])
def test_flashocc_sample(turning: Path, scene: Scene, image_size: tuple[int, int] | None) -> None:
    sample = SceneDataset(turning, preset="flashocc", image_size=image_size)[1]
    occupancy = scene.occupancy(6)
    assert np.array_equal(sample["voxel_semantics"], occupancy.semantics)
    assert np.array_equal(sample["mask_camera"], occupancy.mask_camera)
    assert np.array_equal(sample["mask_lidar"], occupancy.mask_lidar)
    height, width = image_size or (24, 40)
    assert sample["gt_depth"].shape == (6, height, width)
    fit = fit_image((24, 40), size_hw=image_size)
    points_ego = transform_points(scene.lidar2ego, scene.lidar(6).points_lidar_m.astype(np.float64))
    for view, name in enumerate(sample["img_metas"]["cam_names"]):
        points = transform_points(invert_rigid(scene.cam2ego(name)), points_ego)
        nearest: dict[tuple[int, int], float] = {}
        for point in points[(points[:, 2] >= 1.0) & (points[:, 2] < 45.0)]:
            u, v, _ = fit.fitted_from_stored @ scene.cam2img(name) @ point / point[2]
            if 0 <= u < width and 0 <= v < height:
                place = (int(v), int(u))
                nearest[place] = min(nearest.get(place, np.inf), float(point[2]))
        depth = sample["gt_depth"][view].numpy()
        assert {(int(v), int(u)) for v, u in zip(*np.nonzero(depth), strict=True)} == set(nearest)
        assert all(abs(depth[place] - value) < 1e-4 for place, value in nearest.items())


@pytest.mark.parametrize("preset", PRESETS)
def test_batches_of_every_preset(turning: Path, preset: str) -> None:
    window = [0] if preset == "streampetr" else None
    batches = list(SceneLoader(SceneDataset(turning, preset=preset, window=window), batch_size=4, seed=0))
    assert len(batches) == 2
    batch = batches[0]
    if preset in ("bevdet", "flashocc"):
        assert [part.shape[0] for part in batch["img_inputs"]] == [4] * 7
    else:
        assert batch["img"].shape[0] == 4
        assert len(batch["gt_bboxes_3d"]) == len(batch["img_metas"]) == 4


@pytest.mark.parametrize("preset", ["bevformer", "streampetr", "bevdet"])
def test_boxes_without_points_or_out_of_range_are_left_out(turning: Path, preset: str) -> None:
    near = SceneDataset(turning, preset=preset, window=[0], box_range_m=5.0)[0]
    rows = near["gt_bboxes_3d"][0] if preset == "streampetr" else near["gt_bboxes_3d"]
    assert rows.shape == (0, 9)
    assert collate([near, near])


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_that_know_pinholes_only_refuse_other_lenses(
    tmp_path: Path, write: Callable[..., object], preset: str
) -> None:
    lens = Lens(model="fisheye", coefficients=(0.01, 0.0, 0.0, 0.0), max_angle_rad=1.2)
    front = tiny_rig(names=("CAM_FRONT",)).cameras[0]
    rig = CameraRig(name="bent", cameras=(dataclasses.replace(front, lens=lens),))
    write(tmp_path, tiny_record(rig=rig))
    fold_receipts(tmp_path)
    with pytest.raises(ConfigError, match="CAM_FRONT"):
        SceneDataset(tmp_path, preset=preset)[0]
    assert SceneDataset(tmp_path)[0]["meta"]["camera_models"] == ("fisheye",)
