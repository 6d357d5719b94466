"""The training-value protocol: boxes, average precision, the detector, and the whole run on a tiny data set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.detector import Boxes, Found, average_precision, build_targets, detect, train_detector
from benchmarks.labelled_frames import LabelledFrames, boxes_of_instances, boxes_of_rows, read_real
from benchmarks.training_value import ARMS, compose_arm
from benchmarks.training_value import main as run_protocol
from scenegen.errors import DatasetError
from tests.conftest import TINY_JOB, run_scenegen
from tests.unit.dataset.tiny_scene import tiny_layout


def found(*rows: tuple[float, float, float, float, float]) -> Found:
    """Vehicles of (left, top, right, bottom, score)."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Found(box_px=table[:, :4], kind=np.zeros(len(table), np.uint8), score=table[:, 4])


def vehicles(*rows: tuple[float, float, float, float]) -> Boxes:
    return boxes_of_rows([(*row, 0) for row in rows])


def test_boxes_enclose_what_is_visible_of_vehicles_and_people() -> None:
    instance = np.zeros((40, 60), np.uint16)
    instance[10:22, 5:30] = 1  # the car
    instance[8:30, 40:46] = 2  # the walker
    instance[12:18, 42:60] = 0x8001  # a tree before it
    boxes = boxes_of_instances(instance, tiny_layout())
    assert boxes.box_px.tolist() == [[5.0, 10.0, 30.0, 22.0], [40.0, 8.0, 46.0, 30.0]]
    assert boxes.kind.tolist() == [0, 1] and boxes.is_asked.all()
    instance[:, :] = 0
    instance[10:16, 5:30] = 1
    assert boxes_of_instances(instance, tiny_layout()).is_asked.tolist() == [False]


def test_average_precision_by_hand() -> None:
    truth = [vehicles((0, 0, 20, 20), (40, 0, 60, 20))]
    right, wrong, late = (0, 0, 20, 20, 0.9), (80, 40, 90, 60, 0.8), (41, 0, 61, 20, 0.7)
    assert average_precision([found(right, late)], truth, kind=0, by_iou=True) == 1.0
    # precision 1 up to half of the recall, then 2 of 3
    assert average_precision([found(right, wrong, late)], truth, kind=0, by_iou=True) == pytest.approx(0.5 + 1 / 3)
    assert average_precision([found(wrong)], truth, kind=0, by_iou=True) == 0.0
    assert average_precision([found()], truth, kind=0, by_iou=False) == 0.0
    assert np.isnan(average_precision([found(right)], truth, kind=1, by_iou=False))


def test_an_agent_counts_once_and_small_ones_count_for_nothing() -> None:
    once, again, on_small = (0, 0, 20, 20, 0.9), (1, 0, 21, 20, 0.95), (30, 0, 40, 6, 0.99)
    truth = [vehicles((0, 0, 20, 20), (30, 0, 40, 6))]
    assert average_precision([found(on_small, again)], truth, kind=0, by_iou=False) == 1.0
    twice = average_precision([found(again, once)], [vehicles((0, 0, 20, 20), (90, 0, 110, 20))], kind=0, by_iou=False)
    assert twice == 0.5
    far = (5, 0, 25, 20, 0.9)  # IoU 0.6, centre 5 px off
    assert average_precision([found(far)], truth, kind=0, by_iou=True) == 1.0
    assert average_precision([found(far)], truth, kind=0, by_iou=False) == 0.0


def test_targets_have_their_peak_where_the_centre_lies() -> None:
    targets = build_targets([vehicles((8, 4, 18, 16)), vehicles()], size=(32, 64))
    assert targets.heat.shape == (2, 2, 8, 16)
    assert targets.heat[0, 0, 2, 3] == 1.0 and targets.heat[1].sum() == 0.0 and (targets.heat == 1.0).sum() == 1
    np.testing.assert_allclose(targets.offset_and_size[0], [0.25, 0.5, np.log(2.5), np.log(3.0)], rtol=1e-6)


def test_the_detector_learns_what_it_is_shown_and_finds_it_elsewhere() -> None:
    frames, boxes = bright_squares(np.random.default_rng(0), num=48)
    detector = train_detector(frames, boxes, epochs=16, seed=0)
    unseen, truth = bright_squares(np.random.default_rng(1), num=16)
    assert average_precision(detect(detector, unseen), truth, kind=0, by_iou=True) > 0.8
    wide = np.pad(unseen, ((0, 0), (0, 3), (0, 5), (0, 0)), mode="edge")  # a size that is no multiple of the stride
    assert average_precision(detect(detector, wide), truth, kind=0, by_iou=False) > 0.8


def bright_squares(generator: np.random.Generator, *, num: int) -> tuple[np.ndarray, list[Boxes]]:
    frames = generator.integers(0, 80, (num, 32, 48, 3)).astype(np.uint8)
    boxes = []
    for frame in frames:
        left, top, side = (int(generator.integers(*span)) for span in ((0, 32), (0, 16), (11, 16)))
        frame[top : top + side, left : left + side] = 220
        boxes.append(vehicles((left, top, left + side, top + side)))
    return frames, boxes


def test_arms_share_frames_and_differ_in_pixels_only() -> None:
    num = 8
    boxes = tuple(vehicles((n, 0, n + 20, 20)) for n in range(num))
    looks = [
        LabelledFrames(frames=np.full((num, 4, 4, 3), value, np.uint8), boxes=boxes, is_night=np.zeros(num, np.bool_))
        for value in (1, 2)
    ]
    for arm in ARMS:
        frames, own = compose_arm(arm, generated=looks[0], truth=looks[1])
        assert (frames == 1).all(axis=(1, 2, 3)).sum() == arm.generated * num
        left = sorted(one.box_px[0, 0] for one in own)
        assert left == (sorted([*range(num), *range(num)]) if len(own) == 2 * num else list(range(num)))


def test_the_protocol_runs_on_a_tiny_data_set_and_names_what_does_not_fit(whole_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "value.json"
    data = ["--generated", str(whole_dataset), "--truth", str(whole_dataset), "--test", str(whole_dataset)]
    few = ["--every", "2", "--quick", "--json", str(out)]
    run_protocol([*data, *few])
    result = json.loads(out.read_text())
    assert {row["arm"] for row in result["runs"]} == {"truth", "generated", "50 % generated"}
    row = result["table"]["other worlds, vehicle, center"]["arms"]
    assert row["truth"]["mean"] == row["generated"]["mean"]  # the same pixels and seed
    other = tmp_path / "other"
    made = run_scenegen("generate", *TINY_JOB, "layouts=[procedural:3]", "duration_s=0.5", f"output={other}")
    assert made.returncode == 0, made.stderr
    with pytest.raises(DatasetError, match="same layouts"):
        run_protocol(["--generated", str(other), *data[2:], *few])


def test_calibrated_real_frames_are_read_at_the_scale_of_the_training_frames(shared_data: Path, tmp_path: Path) -> None:
    frames = read_real(shared_data, focal_px=158.0)
    assert {frame.source for frame in frames} == {"kitti", "nuscenes", "dgp"}
    kitti = [frame for frame in frames if frame.source == "kitti"]
    scale = 158.0 / 707.0493
    assert kitti[0].rgb.shape == (round(370 * scale), round(1224 * scale), 3)
    np.testing.assert_allclose(kitti[0].boxes.box_px[0], scale * np.array([712.40, 143.00, 810.73, 307.92]), rtol=1e-5)
    assert kitti[0].boxes.kind.tolist() == [1]
    assert read_real(tmp_path, focal_px=158.0) == []
