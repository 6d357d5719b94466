"""`examples/train_bev.py` on hand-made scenes: geometry, scores, and that it runs from data set to picture."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from scenegen.dataset import fold_receipts
from scenegen.types import SceneRecord
from tests.unit.dataset.conftest import write_scene
from tests.unit.dataset.tiny_scene import tiny_record, tiny_rig

torch = pytest.importorskip("torch")
EXAMPLES = str(Path(__file__).parents[3] / "examples")


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    """The script, with its neighbours in reach as when it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield importlib.import_module("train_bev")


def record_of(name: str) -> SceneRecord:
    record = tiny_record(num_steps=2, scene_id=f"{name}-0", rig=tiny_rig(names=("CAM_FRONT", "CAM_BACK")))
    return replace(record, layout=replace(record.layout, layout_id=name))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bev")
    for name in ("a", "b"):
        write_scene(folder, record_of(name))
    fold_receipts(folder)
    return folder


def test_grid_points_lie_where_the_camera_shows_them(example: ModuleType) -> None:
    place = example.place_grid(tiny_rig().cameras[:1])
    assert place.shape == (1, 3, 100, 100, 2)
    # cell (63, 49): x = 10.8 m, y = -0.4 m on the ground; the camera is at x = 1, z = 1.5, focal length 28.563 px
    u_px, v_px = 20.0 + 28.563 * 0.4 / 9.8, 12.0 + 28.563 * 1.5 / 9.8
    np.testing.assert_allclose(place[0, 0, 63, 49], [u_px / 20.0 - 1.0, v_px / 12.0 - 1.0], rtol=1e-4)
    assert (place[0, :, :50] == 9.0).all()  # behind the camera


def test_truth_shows_the_car_and_the_road(example: ModuleType, dataset: Path) -> None:
    moments = example.read_moments(dataset, image_size=(24, 40))
    assert [moment.layout_id for moment in moments] == ["a", "a", "b", "b"]
    drivable, vehicle = moments[0].truth.numpy()
    # the road is 12 m wide and longer than the grid, the car 4.5 x 1.9 m about (15, 0)
    assert drivable.sum() * example.CELL_M**2 == pytest.approx(80.0 * 12.0, rel=0.1)
    cells_m = (np.argwhere(vehicle) + 0.5) * example.CELL_M - example.EXTENT_M
    assert np.abs(cells_m.mean(axis=0) - [15.0, 0.0]).max() < 0.4
    assert 8 <= len(cells_m) <= 24


def test_mirroring_twice_changes_nothing_and_once_swaps_sides(example: ModuleType, dataset: Path) -> None:
    moment = example.read_moments(dataset, image_size=(24, 40))[0]
    mirrored, twice = moment.mirrored(), moment.mirrored().mirrored()
    for name in ("rgb", "place", "truth"):
        assert torch.equal(getattr(twice, name), getattr(moment, name)), name
    assert torch.equal(mirrored.is_seen, moment.is_seen.flip(-1))
    # what a cell sees in its own picture, the cell on the other side sees in the mirrored one
    pixel = np.floor((moment.place[0, 0, 63, 45].numpy() + 1.0) * [20.0, 12.0]).astype(int)
    other = np.floor((mirrored.place[0, 0, 63, 54].numpy() + 1.0) * [20.0, 12.0]).astype(int)
    assert torch.equal(moment.rgb[0, :, pixel[1], pixel[0]], mirrored.rgb[0, :, other[1], other[0]])


@pytest.mark.parametrize("yaw_rad", [0.5, np.pi / 2, -2.0])
def test_turning_moves_pictures_and_truth_together(example: ModuleType, dataset: Path, yaw_rad: float) -> None:
    moment = example.read_moments(dataset, image_size=(24, 40))[0]
    turned = moment.turned(yaw_rad)
    middle_m = (np.arange(example.NUM_CELLS) + 0.5) * example.CELL_M - example.EXTENT_M
    x_m, y_m = np.meshgrid(middle_m, middle_m, indexing="ij")
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    old_m = np.stack([cos * x_m - sin * y_m, sin * x_m + cos * y_m])
    is_known = (np.abs(old_m) < example.EXTENT_M - example.CELL_M).all(axis=0)
    old = np.floor((old_m[:, is_known] + example.EXTENT_M) / example.CELL_M).astype(int)
    agrees = turned.truth.numpy()[:, is_known] == moment.truth.numpy()[:, old[0], old[1]]
    assert agrees.mean() > 0.99
    # a cell's picture is that of the old cell it lies in, but for half a cell, of those whose neighbours are seen too
    far = (np.abs(old_m[0]) > 10.0) & is_known
    old_far = np.floor((old_m[:, far] + example.EXTENT_M) / example.CELL_M).astype(int)
    new_place, old_place = turned.place[:, 0].numpy()[:, far], moment.place[:, 0].numpy()[:, old_far[0], old_far[1]]
    is_in_both = (np.abs(new_place) <= 1.0).all(axis=-1) & (np.abs(old_place) <= 1.0).all(axis=-1)
    assert is_in_both.any()
    assert np.abs(new_place - old_place)[is_in_both].max() < 0.15


def test_turning_by_nothing_changes_nothing_and_what_the_maps_lack_is_not_seen(
    example: ModuleType, dataset: Path
) -> None:
    moment = example.read_moments(dataset, image_size=(24, 40))[0]
    still, turned = moment.turned(0.0), moment.turned(np.pi / 4)
    assert torch.equal(still.truth, moment.truth)
    torch.testing.assert_close(still.place, moment.place)
    assert not turned.is_seen[0, 0]  # 56 m away
    assert not turned.truth[:, 0, 0].any()


def test_a_constant_map_is_cut_where_it_suits_the_held_out_maps(example: ModuleType, dataset: Path) -> None:
    moment = example.read_moments(dataset, image_size=(24, 40))[0]
    everything = replace(moment, truth=torch.ones_like(moment.truth))
    # the training maps say nothing, all cells are right
    nothing = replace(moment, truth=torch.zeros_like(moment.truth))
    scores = example.score(example.BevNetwork(), [nothing], [everything])
    assert scores["drivable"]["constant_iou"] == scores["vehicle"]["constant_iou"] == 1.0
    # the training map is the truth
    scores = example.score(example.BevNetwork(), [moment], [moment])
    assert scores["drivable"]["constant_iou"] == scores["vehicle"]["constant_iou"] == 1.0


def test_lifted_features_are_those_of_the_pixel_and_the_mean_of_two_cameras(example: ModuleType) -> None:
    lift = importlib.import_module("bev_network").lift
    features = torch.arange(4.0).reshape(2, 1, 1, 2)  # two cameras, each a dark and a light half
    place = torch.full((2, 1, 1, 3, 2), 9.0)
    place[0, 0, 0, 0] = torch.tensor([-0.5, 0.0])
    place[:, 0, 0, 1] = torch.tensor([0.5, 0.0])
    assert lift(features, place)[0, 0, 0].tolist() == [0.0, 2.0, 0.0]


def test_iou_counts_seen_cells_of_all_moments_together(example: ModuleType) -> None:
    chance = np.array([[[0.9, 0.9, 0.1, 0.9]], [[0.9, 0.1, 0.1, 0.1]]], np.float32)
    truth = np.array([[[1, 0, 1, 1]], [[1, 0, 0, 1]]], np.float32)
    is_seen = np.array([[[1, 1, 1, 0]], [[1, 1, 1, 1]]], bool)
    # both: 2; either: 2 + 1 (false alarm) + 2 (missed)
    assert example.iou_at(chance, truth, is_seen, threshold=0.5) == pytest.approx(2.0 / 5.0)


def test_layouts_are_never_on_both_sides(example: ModuleType, dataset: Path) -> None:
    moments = example.read_moments(dataset, image_size=(24, 40))
    training, held_out = example.split_layouts(moments)
    assert len(training) == len(held_out) == 2
    assert not {moment.layout_id for moment in training} & {moment.layout_id for moment in held_out}
    with pytest.raises(SystemExit, match="two layouts"):
        example.split_layouts(training)


def test_layouts_of_the_held_out_data_set_are_not_learnt_from(example: ModuleType, dataset: Path) -> None:
    moments = example.read_moments(dataset, image_size=(24, 40))
    assert {moment.layout_id for moment in example.without_layouts(moments, {"a"})} == {"b"}
    with pytest.raises(SystemExit, match="found only"):
        example.main([str(dataset), "--held-out", str(dataset), "--steps", "1", "--image-size", "24", "40"])


def test_it_runs_from_data_set_to_scores_and_picture(
    example: ModuleType, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    png, figures = tmp_path / "bev.png", tmp_path / "bev.json"
    example.main([str(dataset), "--steps", "2", "--image-size", "24", "40", "--png", str(png), "--json", str(figures)])
    report, printed = json.loads(figures.read_text()), capsys.readouterr().out
    assert report["num_parameters"] < 1_000_000
    for name in ("drivable", "vehicle"):
        assert 0.0 <= report["scores"][name]["held_out_iou"] <= 1.0
        assert f"{name}: IoU" in printed
    # both layouts are the same street, so the training maps' mean is right wherever nothing has moved
    assert report["scores"]["drivable"]["constant_iou"] > 0.95
    with Image.open(png) as image:
        assert image.height == 2 * 304


def test_the_network_learns_one_moment(example: ModuleType, dataset: Path) -> None:
    moment = example.read_moments(dataset, image_size=(24, 40))[0]
    torch.manual_seed(0)
    network = example.BevNetwork()
    before = float(example.loss_of(network(moment.rgb, moment.place), moment).detach())
    example.train(network, [moment], num_steps=8, seed=0, peak_rate=3e-3)
    assert float(example.loss_of(network(moment.rgb, moment.place), moment).detach()) < 0.8 * before
