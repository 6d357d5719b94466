"""Control scores on hand-made label images."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.checks.control import ControlScore, laplacian_energy
from scenegen.checks.classes import JudgeClass, judge_labels
from scenegen.types import Material, Semantic


def street() -> tuple[np.ndarray, np.ndarray]:
    truth = np.full((1, 40, 40), JudgeClass.ROAD, np.uint8)
    truth[:, :20] = JudgeClass.SKY
    truth[:, 12:28, 10:16] = JudgeClass.PEDESTRIAN
    instance = np.where(truth == JudgeClass.PEDESTRIAN, 5, 0).astype(np.uint16)
    return truth, instance


def test_a_perfect_judgement_scores_one() -> None:
    truth, instance = street()
    score = ControlScore()
    score.add(truth, truth, instance)
    assert score.pedestrian_recall == 1.0
    assert score.class_iou()["road"] == 1.0


def test_a_missed_pedestrian_is_a_missed_pedestrian() -> None:
    truth, instance = street()
    judged = np.where(truth == JudgeClass.PEDESTRIAN, np.uint8(JudgeClass.ROAD), truth)
    score = ControlScore()
    score.add(judged, truth, instance)
    assert score.pedestrian_recall == 0.0
    assert score.class_iou()["road"] == pytest.approx(752 / (752 + 96))
    assert "pedestrian" not in score.class_iou()  # 96 pixels: fewer than count as present


def test_small_pedestrians_do_not_count() -> None:
    truth, instance = street()
    score = ControlScore()
    score.add(truth, truth, instance, min_height_px=17)
    assert score.num_pedestrians == 0
    assert np.isnan(score.pedestrian_recall)


def test_markings_come_from_the_material() -> None:
    semantic = np.full((2,), Semantic.DRIVEABLE_SURFACE, np.uint8)
    material = np.array([Material.ASPHALT, Material.MARKING_WHITE], np.uint8)
    assert judge_labels(semantic, material).tolist() == [JudgeClass.ROAD, JudgeClass.MARKING]


def test_blur_loses_laplacian_energy() -> None:
    rng = np.random.default_rng(0)
    sharp = rng.integers(0, 256, (2, 30, 30, 3), dtype=np.uint8)
    blurred = ((sharp[:, 1:].astype(int) + sharp[:, :-1]) // 2).astype(np.uint8)
    assert laplacian_energy(blurred) < 0.7 * laplacian_energy(sharp)
    assert laplacian_energy(np.full((1, 9, 9, 3), 77, np.uint8)) == 0.0
