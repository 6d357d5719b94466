"""`examples/train_bev.py` on hand-made scenes: geometry, scores, and that it runs from data set to picture."""

from __future__ import annotations

import importlib.util
import json
import sys
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
EXAMPLE = Path(__file__).parents[3] / "examples" / "train_bev.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_bev", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_bev"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


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
    cells_m = (np.argwhere(vehicle) + 0.5) * example.CELL_M - example.RANGE_M
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


def test_iou_counts_seen_cells_of_all_moments_together(example: ModuleType) -> None:
    chance = np.array([[[0.9, 0.9, 0.1, 0.9]], [[0.9, 0.1, 0.1, 0.1]]], np.float32)
    truth = np.array([[[1, 0, 1, 1]], [[1, 0, 0, 1]]], np.float32)
    is_seen = np.array([[[1, 1, 1, 0]], [[1, 1, 1, 1]]], bool)
    # both: 2; either: 2 + 1 (false alarm) + 2 (missed)
    assert example.iou_at(chance, truth, is_seen, threshold=0.5) == pytest.approx(2.0 / 5.0)


def test_layouts_are_never_on_both_sides(example: ModuleType, dataset: Path) -> None:
    moments = example.read_moments(dataset, image_size=(24, 40))
    training, held_out = example.split_layouts(moments, seed=3)
    assert len(training) == len(held_out) == 2
    assert not {moment.layout_id for moment in training} & {moment.layout_id for moment in held_out}
    with pytest.raises(SystemExit, match="two layouts"):
        example.split_layouts(training, seed=0)


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
    before = float(example.loss_of(network(moment), moment).detach())
    example.train(network, [moment], num_steps=8, seed=0, peak_rate=3e-3)
    assert float(example.loss_of(network(moment), moment).detach()) < 0.8 * before
