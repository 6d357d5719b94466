"""A layout that exists is complete and finite."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import planar_poses
from scenegen.types import AgentCategory, AgentTrack, Area, EgoTrack, Environment, Layout, RoadMap, Timeline

STEPS = 4


def agent(**changes: Any) -> AgentTrack:
    given: dict[str, Any] = {
        "agent_id": "a",
        "category": AgentCategory.CAR,
        "size_lwh_m": np.array([4.0, 2.0, 1.5]),
        "center_world_m": np.zeros((STEPS, 3)),
        "heading_rad": np.zeros(STEPS),
        "velocity_world_mps": np.zeros((STEPS, 2)),
        "valid": np.ones(STEPS, bool),
    }
    return AgentTrack(**given | changes)


def ego(steps: int = STEPS) -> EgoTrack:
    return EgoTrack(
        world_from_ego=planar_poses(np.zeros((steps, 3)), np.zeros(steps)), velocity_world_mps=np.zeros((steps, 2))
    )


def layout(**changes: Any) -> Layout:
    given: dict[str, Any] = {
        "layout_id": "small",
        "source": "file",
        "licence": "CC0-1.0",
        "timeline": Timeline(rate_hz=12.0, num_steps=STEPS),
        "road_map": RoadMap(),
        "agents": (agent(),),
        "ego": ego(),
    }
    return Layout(**given | changes)


def test_a_complete_layout_is_accepted_and_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        layout().layout_id = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"center_world_m": np.full((STEPS, 3), np.nan)}, ("'a'", "finite center_world_m")),
        ({"heading_rad": np.full(STEPS, np.inf)}, ("'a'", "finite heading_rad")),
        ({"velocity_world_mps": np.full((STEPS, 2), -np.inf)}, ("'a'", "finite velocity_world_mps")),
        ({"size_lwh_m": np.array([4.0, 0.0, 1.5])}, ("'a'", "positive size")),
        ({"size_lwh_m": np.array([4.0, np.nan, 1.5])}, ("'a'", "finite size_lwh_m")),
    ],
)
def test_an_agent_with_bad_numbers_is_refused_by_name(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(LayoutError) as caught:
        agent(**changes)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agents": (agent(), agent())}, ("small", "unique agent ids", "'a' twice")),
        ({"ego": ego(STEPS - 1)}, ("small", "4 ego poses", "found 3")),
        ({"timeline": Timeline(rate_hz=12.0, num_steps=STEPS + 1), "ego": ego(STEPS + 1)}, ("small", "'a'", "5 steps")),
    ],
)
def test_a_layout_that_does_not_fit_together_is_refused(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(LayoutError) as caught:
        layout(**changes)
    assert all(word in str(caught.value) for word in words)


def test_ego_poses_must_be_finite() -> None:
    good = ego()
    with pytest.raises(LayoutError, match="ego"):
        replace(good, world_from_ego=good.world_from_ego * np.nan)


@pytest.mark.parametrize(("key", "value"), [("weather", "hail"), ("time_of_day", "noon")])
def test_environment_names_what_it_knows(key: str, value: str) -> None:
    with pytest.raises(LayoutError, match=rf"environment\.{key}.*{value}"):
        Environment(**{key: value})


def test_ego_heading_is_the_yaw_of_its_x_axis() -> None:
    heading_rad = np.array([0.0, 1.0, -3.0])
    track = EgoTrack(world_from_ego=planar_poses(np.ones((3, 3)), heading_rad), velocity_world_mps=np.zeros((3, 2)))
    np.testing.assert_allclose(track.heading_rad, heading_rad)
    np.testing.assert_array_equal(track.position_world_m, np.ones((3, 3)))


def test_areas_are_found_by_kind_in_order() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    kinds = ("drivable", "crossing", "drivable")
    areas = tuple(Area(kind=kind, polygon_world_m=square + idx) for idx, kind in enumerate(kinds))
    assert RoadMap(areas=areas).areas_of("drivable") == (areas[0], areas[2])
