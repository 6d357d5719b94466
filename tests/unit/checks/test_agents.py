"""Agents found by a judge, held against agents placed by hand before a camera that looks along the ego's x axis."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.checks.agents import AgentScore, ViewAgents, best_positions, score_view
from scenegen.checks.classes import JudgeClass
from scenegen.checks.judge_targets import FoundAgents, TrueAgents
from scenegen.types import Camera

EGO_FROM_CAM = np.array([[0.0, 0, 1, 1], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
CAMERA = Camera(
    name="CAM",
    K=np.array([[100.0, 0, 100], [0, 100, 50], [0, 0, 1]]),
    ego_from_cam=EGO_FROM_CAM,
    size_px=(200, 100),
)
CENTERS_EGO_M = np.array([[11.0, 0.0, 1.5], [11.0, 5.0, 1.5], [21.0, -4.0, 1.5]])
"""Ten metres before the camera in its middle, ten metres ahead to the left, twenty ahead to the right."""


def truth(**changes: np.ndarray) -> TrueAgents:
    values: dict[str, np.ndarray] = {
        "index": np.array([0, 1, 2]),
        "kind": np.array([JudgeClass.PEDESTRIAN, JudgeClass.CAR, JudgeClass.CAR], np.uint8),
        "center_px": np.array([[100, 50], [50, 50], [120, 50]], np.float32),
        "range_m": np.linalg.norm(CENTERS_EGO_M - [1.0, 0.0, 1.5], axis=1).astype(np.float32),
        "visible_px": np.array([90, 400, 100]),
        "visible_height_px": np.array([18, 16, 8]),
        "extent_px": np.array([[6, 18], [30, 16], [15, 8]], np.float32),
    }
    return TrueAgents(**(values | changes))


def found(**changes: np.ndarray) -> FoundAgents:
    exact = truth()
    values = {"kind": exact.kind, "center_px": exact.center_px, "range_m": exact.range_m}
    values["score"] = np.ones(3, np.float32)
    values |= changes
    return FoundAgents(**values)


def empty_image() -> np.ndarray:
    return np.zeros((100, 200), np.uint16)


def score(view: ViewAgents) -> AgentScore:
    total = AgentScore()
    total.add_view(view, CENTERS_EGO_M)
    return total


def test_exact_findings_have_no_error_and_small_agents_are_not_asked_for() -> None:
    total = score(score_view(found(), truth(), camera=CAMERA, instance=empty_image()))
    assert total.num_asked.tolist() == [1, 1]  # the far car is 8 px high
    assert total.recall() == 1.0 and total.invented_rate == 0.0
    assert max(total.position_error_m[0] + total.position_error_m[1]) < 1e-5


def test_a_wrong_distance_is_an_error_in_metres() -> None:
    view = score_view(found(range_m=truth().range_m + 2.0), truth(), camera=CAMERA, instance=empty_image())
    total = score(view)
    assert total.position_error_m[0] == pytest.approx([2.0], abs=1e-4)


def test_a_missed_pedestrian_lowers_its_groups_recall_only() -> None:
    keep = slice(1, 3)
    exact = found()
    fewer = FoundAgents(
        kind=exact.kind[keep], center_px=exact.center_px[keep], range_m=exact.range_m[keep], score=exact.score[keep]
    )
    total = score(score_view(fewer, truth(), camera=CAMERA, instance=empty_image()))
    assert total.recall("pedestrians") == 0.0 and total.recall("vehicles") == 1.0
    assert total.recall() == 0.5


def test_an_agent_in_an_empty_place_is_invented() -> None:
    center_px = truth().center_px.copy()
    center_px[0] = (180, 20)
    total = score(score_view(found(center_px=center_px), truth(), camera=CAMERA, instance=empty_image()))
    assert total.num_invented == 1 and total.invented_rate == pytest.approx(1 / 3)


def test_a_wrong_name_or_a_stray_centre_on_an_agent_is_no_invention() -> None:
    as_bus = truth().kind.copy()
    as_bus[1] = JudgeClass.LARGE_VEHICLE
    total = score(score_view(found(kind=as_bus), truth(), camera=CAMERA, instance=empty_image()))
    assert total.num_invented == 0 and total.recall("vehicles") == 0.0
    center_px = truth().center_px.copy()
    center_px[0] = (180, 20)
    image = empty_image()
    image[18:20, 181:183] = 9  # a few pixels of some agent
    total = score(score_view(found(center_px=center_px), truth(), camera=CAMERA, instance=image))
    assert total.num_invented == 0


def test_nobody_reported_is_no_rate() -> None:
    nobody = FoundAgents(
        kind=np.zeros(0, np.uint8),
        center_px=np.zeros((0, 2), np.float32),
        range_m=np.zeros(0, np.float32),
        score=np.zeros(0, np.float32),
    )
    total = score(score_view(nobody, truth(), camera=CAMERA, instance=empty_image()))
    assert np.isnan(total.invented_rate) and total.recall() == 0.0


def test_the_view_that_shows_most_of_an_agent_places_it() -> None:
    near = score_view(found(), truth(), camera=CAMERA, instance=empty_image())
    lower = truth(visible_height_px=np.array([13, 13, 13]))
    far = score_view(found(range_m=truth().range_m + 3.0), lower, camera=CAMERA, instance=empty_image())
    best = best_positions([far, near])
    assert best[0][0] == 0 and best[0][1] == pytest.approx(CENTERS_EGO_M[0, :2], abs=1e-4)
    assert best[2][1][0] > 23.0  # only the other view asked for the far car
