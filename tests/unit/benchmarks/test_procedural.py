"""The statistics of random layouts: what they count, and that a process more changes nothing."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.procedural import content_sha256, min_time_to_collision, run
from scenegen.layout.procedural import build_procedural_layout
from scenegen.types.layout import AgentTrack, EgoTrack, Layout, RoadMap
from scenegen.types.taxonomy import AgentCategory
from scenegen.types.timeline import Timeline

RATE_HZ = 2.0


def meeting(*, ego_mps: float, other_mps: float, other_x_m: float, other_y_m: float = 0.0) -> Layout:
    """An ego along x, and a car ahead of it that moves along x too; one second."""
    times_s = np.arange(2) / RATE_HZ
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[:, 0, 3] = ego_mps * times_s
    car = AgentTrack(
        agent_id="car", category=AgentCategory.CAR, size_lwh_m=np.array([4.0, 2.0, 1.5]),
        center_world_m=np.column_stack([other_x_m + other_mps * times_s, np.full(2, other_y_m), np.full(2, 0.75)]),
        heading_rad=np.zeros(2), velocity_world_mps=np.tile([other_mps, 0.0], (2, 1)), valid=np.ones(2, bool),
    )  # fmt: skip
    return Layout(
        layout_id="meeting", source="file", licence="CC0-1.0", timeline=Timeline(rate_hz=RATE_HZ, num_steps=2),
        road_map=RoadMap(), agents=(car,),
        ego=EgoTrack(world_from_ego=poses, velocity_world_mps=np.tile([ego_mps, 0.0], (2, 1))),
    )  # fmt: skip


def test_time_to_collision_is_gap_over_closing_speed() -> None:
    """By hand: the ego's front is at 1.4 + 2.35 m, the car's rear at 23.75 - 2 m; 18 m at 8 m/s are 2.25 s.

    That is a moment at which they only touch; the next, at 2.5 s, is the first at which they overlap.
    """
    assert min_time_to_collision(meeting(ego_mps=10.0, other_mps=2.0, other_x_m=23.75)) == 2.5
    assert min_time_to_collision(meeting(ego_mps=10.0, other_mps=2.0, other_x_m=23.70)) == 2.25
    assert min_time_to_collision(meeting(ego_mps=10.0, other_mps=10.0, other_x_m=10.0)) is None
    assert min_time_to_collision(meeting(ego_mps=10.0, other_mps=2.0, other_x_m=23.7, other_y_m=3.0)) is None


def test_many_seeds_are_sound_different_and_the_same_again() -> None:
    result = run("", range(2, 4), workers=2)
    assert result["problems"] == []
    assert (result["scenes"], result["different"], result["changed"]) == (2, 2, [])
    here = [content_sha256(build_procedural_layout(seed)) for seed in (2, 3)]
    assert result["sha256_of_all"] == hashlib.sha256("".join(here).encode()).hexdigest()
    assert sum(result["statistics"]["shares"]["road"].values()) == pytest.approx(1.0, abs=1e-3)
    assert result["statistics"]["per_scene"]["agents"]["least"] > 0


def test_content_is_told_from_the_name() -> None:
    layout = build_procedural_layout(3, duration_s=2.0)
    assert content_sha256(replace(layout, layout_id="other")) == content_sha256(layout)
    layout.agents[0].center_world_m[0, 0] += 1e-9
    assert content_sha256(layout) != content_sha256(build_procedural_layout(3, duration_s=2.0))
