"""True agents of a view, and when an agent counts as found."""

from __future__ import annotations

import numpy as np
import pytest

from scenegen.checks.classes import JudgeClass
from scenegen.checks.judge_targets import (
    FoundAgents,
    TrueAgents,
    agent_positions_ego_m,
    match_agents,
    rig_rays_ego,
    true_agents,
)
from scenegen.types import (
    AgentCategory,
    AgentTrack,
    Camera,
    CameraRig,
    EgoTrack,
    Layout,
    RoadMap,
    Timeline,
)

EGO_FROM_CAM = np.array([[0.0, 0.0, 1.0, 1.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.5], [0.0, 0.0, 0.0, 1.0]])
CAMERA = Camera(
    name="CAM_FRONT",
    K=np.array([[100.0, 0.0, 50.0], [0.0, 100.0, 40.0], [0.0, 0.0, 1.0]]),
    ego_from_cam=EGO_FROM_CAM,
    size_px=(100, 80),
)


def standing(name: str, category: AgentCategory, center: tuple[float, float, float]) -> AgentTrack:
    return AgentTrack(
        agent_id=name,
        category=category,
        size_lwh_m=np.array([0.8, 0.6, 1.8]),
        center_world_m=np.array([center]),
        heading_rad=np.zeros(1),
        velocity_world_mps=np.zeros((1, 2)),
        valid=np.ones(1, np.bool_),
    )


def street() -> tuple[Layout, np.ndarray]:
    agents = (
        standing("ahead", AgentCategory.PEDESTRIAN, (11.0, 1.0, 0.9)),
        standing("cone", AgentCategory.TRAFFIC_CONE, (11.0, -1.0, 0.9)),
        standing("behind", AgentCategory.CAR, (-11.0, 0.0, 0.9)),
        standing("beside", AgentCategory.CAR, (3.0, 30.0, 0.9)),
    )
    layout = Layout(
        layout_id="street",
        source="test",
        licence="none",
        timeline=Timeline(rate_hz=2.0, num_steps=1),
        road_map=RoadMap(),
        agents=agents,
        ego=EgoTrack(world_from_ego=np.eye(4)[None], velocity_world_mps=np.zeros((1, 2))),
    )
    instance = np.zeros((80, 100), np.uint16)
    instance[37:55, 37:43] = 1
    instance[37:55, 57:63] = 2
    instance[:, :2] = 4
    instance[0, 50] = 0x8001
    return layout, instance


def test_true_agents_of_a_view() -> None:
    layout, instance = street()
    truth = true_agents(layout, CAMERA, step=0, instance=instance)
    assert truth.index.tolist() == [0]  # no cones, nothing unseen, no centres outside the image
    assert truth.kind.tolist() == [JudgeClass.PEDESTRIAN]
    np.testing.assert_allclose(truth.center_px, [[40.0, 46.0]], atol=1e-4)  # 1 m left and 0.6 m below, 10 m ahead
    assert truth.range_m[0] == pytest.approx(np.sqrt(100.0 + 1.0 + 0.36), rel=1e-6)
    assert truth.visible_px.tolist() == [18 * 6]
    assert truth.visible_height_px.tolist() == [18]
    np.testing.assert_allclose(truth.extent_px, [[7.0, 18.0]], atol=1e-4)
    assert truth.is_asked.tolist() == [True]


def test_position_comes_back_from_image_point_and_range() -> None:
    layout, instance = street()
    truth = true_agents(layout, CAMERA, step=0, instance=instance)
    position = agent_positions_ego_m(truth.center_px, truth.range_m, camera=CAMERA)
    np.testing.assert_allclose(position, [[11.0, 1.0, 0.9]], atol=1e-4)


def test_rays_are_unit_vectors_of_the_ego_frame() -> None:
    rays = rig_rays_ego(CameraRig(name="one", cameras=(CAMERA,)))
    np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(rays[0, 40, 50] / rays[0, 40, 50, 0], [1.0, -0.005, -0.005], atol=1e-6)


def people_at(*centers: tuple[float, float], height_px: int = 20) -> TrueAgents:
    num = len(centers)
    return TrueAgents(
        index=np.arange(num),
        kind=np.full(num, JudgeClass.PEDESTRIAN, np.uint8),
        center_px=np.array(centers, np.float32),
        range_m=np.full(num, 10.0, np.float32),
        visible_px=np.full(num, 100),
        visible_height_px=np.full(num, height_px),
        extent_px=np.full((num, 2), 10.0, np.float32),
    )


def found_at(*centers: tuple[float, float], kind: JudgeClass = JudgeClass.PEDESTRIAN) -> FoundAgents:
    num = len(centers)
    return FoundAgents(
        kind=np.full(num, kind, np.uint8),
        center_px=np.array(centers, np.float32).reshape(-1, 2),
        range_m=np.full(num, 10.0, np.float32),
        score=np.full(num, 0.9, np.float32),
    )


@pytest.mark.parametrize(
    ("height_px", "distance_px", "is_found"), [(20, 4.9, True), (20, 5.1, False), (8, 2.9, True), (8, 3.1, False)]
)
def test_found_means_within_a_quarter_of_the_height_or_three_pixels(
    height_px: int, distance_px: float, is_found: bool
) -> None:
    match = match_agents(found_at((30.0 + distance_px, 30.0)), people_at((30.0, 30.0), height_px=height_px))
    assert (match.found_of_true[0] == 0) == is_found
    assert match.is_false[0] != is_found


def test_one_finding_counts_for_one_agent_the_nearest() -> None:
    match = match_agents(found_at((31.0, 30.0)), people_at((28.0, 30.0), (32.0, 30.0)))
    assert match.found_of_true.tolist() == [-1, 0]


def test_another_kind_is_not_found() -> None:
    match = match_agents(found_at((30.0, 30.0), kind=JudgeClass.CAR), people_at((30.0, 30.0)))
    assert match.found_of_true.tolist() == [-1]
    assert match.is_false.tolist() == [True]


def test_nothing_found_in_an_empty_street() -> None:
    layout, instance = street()
    truth = true_agents(layout, CAMERA, step=0, instance=np.zeros_like(instance))
    match = match_agents(found_at(), truth)
    assert len(match.found_of_true) == len(match.is_false) == 0
