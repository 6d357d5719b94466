"""Control scores on hand-made label images."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.checks.classes import JudgeClass, judge_labels
from scenegen.checks.control import ControlScore, frame_miou
from scenegen.types import Material, Semantic


def street() -> np.ndarray:
    truth = np.full((1, 40, 40), JudgeClass.ROAD, np.uint8)
    truth[:, :20] = JudgeClass.SKY
    truth[:, 12:28, 10:16] = JudgeClass.PEDESTRIAN
    return truth


def test_a_perfect_judgement_scores_one() -> None:
    score = ControlScore()
    score.add(street(), street())
    assert score.miou == 1.0
    assert score.class_iou() == {"sky": 1.0, "road": 1.0}  # 96 pixels of a pedestrian are too few to count


def test_missed_pixels_count_against_both_classes() -> None:
    truth = street()
    judged = np.where(truth == JudgeClass.PEDESTRIAN, np.uint8(JudgeClass.ROAD), truth)
    score = ControlScore()
    score.add(judged, truth)
    assert score.class_iou(min_class_px=1)["pedestrian"] == 0.0
    assert score.class_iou()["road"] == pytest.approx(752 / (752 + 96))


def test_scores_join_as_if_added_at_once() -> None:
    truth = street()
    judged = np.roll(truth, 3, axis=2)
    parts, whole = (ControlScore(), ControlScore()), ControlScore()
    parts[0].add(judged[:, :25], truth[:, :25])
    parts[1].add(judged[:, 25:], truth[:, 25:])
    parts[0].join(parts[1])
    whole.add(judged, truth)
    assert parts[0].miou == whole.miou < 1.0


def test_nothing_seen_is_not_a_number() -> None:
    assert np.isnan(ControlScore().miou)


def test_a_frame_is_scored_over_its_own_classes() -> None:
    truth = street()[0]
    judged = truth.copy()
    judged[truth == JudgeClass.PEDESTRIAN] = JudgeClass.CAR
    assert frame_miou(truth, truth) == 1.0
    assert frame_miou(judged, truth) == pytest.approx(2 / 3)


def test_markings_come_from_the_material() -> None:
    semantic = np.full((2,), Semantic.DRIVEABLE_SURFACE, np.uint8)
    material = np.array([Material.ASPHALT, Material.MARKING_WHITE], np.uint8)
    assert judge_labels(semantic, material).tolist() == [JudgeClass.ROAD, JudgeClass.MARKING]
