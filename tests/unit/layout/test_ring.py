"""Closed streets: everybody is back after a lap, nobody touches anybody, and another seed is another street."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.extend import extend_layout
from scenegen.layout.lap import require_lap, two_laps
from scenegen.layout.overlap import Crowd, ego_as_agent
from scenegen.layout.ring import MOST_SIDEWAYS_MPS2
from scenegen.layout.sources import expand_references, read_layout
from scenegen.layout.write_yaml import layout_to_yaml
from scenegen.types import Layout

REFERENCES = ("procedural:ring/7", "procedural:suburb/ring/45s/2")


@pytest.fixture(scope="module", params=REFERENCES)
def ring(request: pytest.FixtureRequest) -> Layout:
    return read_layout(request.param)


def test_everybody_is_back_after_a_lap_at_any_rate(ring: Layout) -> None:
    seconds = ring.timeline.num_steps / ring.timeline.rate_hz
    for rate_hz in (12.0, 10.0, 2.0):
        require_lap(extend_layout(ring, duration_s=seconds, rate_hz=rate_hz), reference="ring")
    longer = extend_layout(ring, duration_s=seconds + 5.0, rate_hz=12.0)
    with pytest.raises(LayoutError, match=r"ego .* m away"):
        require_lap(longer, reference="ring")
    shifted = replace(ring.agents[0], center_world_m=ring.agents[0].center_world_m + np.linspace(0, 3, 3))
    moved = replace(ring, agents=(replace(shifted, valid=ring.agents[0].valid & (np.arange(len(shifted.valid)) > 0)),))
    with pytest.raises(LayoutError, match="is there at one end and not at the other"):
        require_lap(moved, reference="ring")


def test_traffic_is_varied_moves_and_touches_nothing(ring: Layout) -> None:
    assert {"car", "pedestrian"} <= {agent.category.label for agent in ring.agents}
    speeds_mps = np.array([np.linalg.norm(agent.velocity_world_mps, axis=1).max() for agent in ring.agents])
    assert (speeds_mps > 4.0).sum() >= 4 and (speeds_mps == 0.0).any()
    crowd = Crowd(ring.timeline.num_steps)
    for track in (ego_as_agent(ring.ego), *ring.agents):
        assert crowd.first_conflict(track, margin_m=0.0) is None
        crowd.add(track)
    velocity_mps = ring.ego.velocity_world_mps
    sideways_mps2 = np.linalg.norm(np.diff(velocity_mps, axis=0), axis=1) * ring.timeline.rate_hz
    assert sideways_mps2.max() < 1.3 * MOST_SIDEWAYS_MPS2


def test_two_laps_are_the_same_twice(ring: Layout) -> None:
    twice, num_steps = two_laps(ring), ring.timeline.num_steps
    assert twice.timeline.num_steps == 2 * num_steps and twice.layout_id == ring.layout_id
    np.testing.assert_array_equal(twice.ego.world_from_ego[num_steps:], ring.ego.world_from_ego)
    for before, after in zip(ring.agents, twice.agents, strict=True):
        np.testing.assert_array_equal(after.center_world_m[num_steps:], before.center_world_m)
        np.testing.assert_array_equal(after.valid[:num_steps], before.valid)


def test_a_seed_is_one_street_for_ever() -> None:
    assert expand_references(["procedural:ring/3-4"]) == ["procedural:ring/3", "procedural:ring/4"]
    assert layout_to_yaml(read_layout("procedural:ring/3")) == layout_to_yaml(read_layout("procedural:ring/3"))
    assert layout_to_yaml(read_layout("procedural:ring/3")) != layout_to_yaml(read_layout("procedural:ring/4"))
    with pytest.raises(LayoutError, match=r"lap of at least 20 s.*10 s"):
        read_layout("procedural:ring/10s/3")
    with pytest.raises(LayoutError, match=r"Did you mean 'ring'"):
        read_layout("procedural:rings/3")
