"""Edits: what they change, what they leave, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.edits import (
    apply_edits,
    change_category,
    change_environment,
    cut_in,
    insert_agent,
    mirror_layout,
    move_agent,
    occlude_agent,
    remove_agents,
    retime_agent,
    view_from,
)
from scenegen.layout.overlap import ego_as_agent, find_overlaps
from scenegen.layout.sources import read_layout
from scenegen.layout.validate import validate_layout
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.layout_json import layout_from_dict, layout_sha256, layout_to_dict
from scenegen.types.taxonomy import AgentCategory


@pytest.fixture(scope="module")
def town() -> Layout:
    return read_layout("crossing_pedestrian")


@pytest.fixture(scope="module")
def avenue() -> Layout:
    """Two lanes each way; nobody else goes the ego's way."""
    layout = read_layout("cut_in")
    for pattern in ("left_*", "cutting_in", "lead_truck", "behind_1", "motorcycle"):
        layout = remove_agents(layout, pattern)
    return layout


def agent_of(layout: Layout, agent_id: str) -> AgentTrack:
    return next(agent for agent in layout.agents if agent.agent_id == agent_id)


def is_same(first: AgentTrack, second: AgentTrack) -> bool:
    return all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("center_world_m", "heading_rad", "velocity_world_mps", "valid", "size_lwh_m")
    )


def others_stay(before: Layout, after: Layout, *changed: str) -> bool:
    kept = [agent for agent in before.agents if agent.agent_id not in changed]
    return all(is_same(agent, agent_of(after, agent.agent_id)) for agent in kept)


def speeds_agree(track: AgentTrack, rate_hz: float, *, within_mps: float) -> bool:
    """Compare stated velocities with differences of positions over two steps."""
    implied = (track.center_world_m[2:, :2] - track.center_world_m[:-2, :2]) * (rate_hz / 2.0)
    seen = track.valid[2:] & track.valid[1:-1] & track.valid[:-2]
    off = np.linalg.norm(implied - track.velocity_world_mps[1:-1], axis=1)[seen]
    return bool(off.max() < within_mps)


def test_removed_agents_are_gone_and_the_others_as_before(town: Layout) -> None:
    after = remove_agents(town, "parked_right_1?")
    gone = {agent.agent_id for agent in town.agents} - {agent.agent_id for agent in after.agents}
    assert gone == {"parked_right_10", "parked_right_11", "parked_right_13", "parked_right_14", "parked_right_15",
                    "parked_right_16"}  # fmt: skip
    assert others_stay(town, after, *gone)


def test_inserted_pedestrian_walks_straight_from_its_place_and_time(town: Layout) -> None:
    after = insert_agent(town, "pedestrian", x_m=70.0, y_m=-9.0, heading_deg=180.0, speed_mps=1.5, from_s=2.0)
    walker = agent_of(after, "pedestrian_1")
    assert not walker.valid[:24].any() and walker.valid[24:].all()
    assert walker.center_world_m[24].tolist() == [70.0, -9.0, 0.875]
    assert np.allclose(walker.center_world_m[24 + 120, :2], [70.0 - 1.5 * 10.0, -9.0], atol=0.05)
    assert np.allclose(walker.velocity_world_mps[100], [-1.5, 0.0], atol=1e-6)
    assert others_stay(town, after)
    validate_layout(after)


def test_inserted_car_takes_the_direction_of_its_lane_and_leaves_with_it(avenue: Layout) -> None:
    after = insert_agent(avenue, "car", x_m=20.0, y_m=-1.75, speed_mps=25.0)
    car = agent_of(after, "car_1")
    assert abs(car.heading_rad[0]) < 1e-6
    assert car.valid[0] and not car.valid[-1]
    assert car.center_world_m[car.valid, 0].max() < 465.0
    assert speeds_agree(car, avenue.timeline.rate_hz, within_mps=0.3)


def test_moving_forward_keeps_speeds_and_lane(town: Layout) -> None:
    before, after = agent_of(town, "ahead"), agent_of(move_agent(town, "ahead", forward_m=15.0), "ahead")
    both = before.valid & after.valid
    moved_m = np.linalg.norm((after.center_world_m - before.center_world_m)[both, :2], axis=1)
    assert np.allclose(moved_m, 15.0, atol=0.02)
    speed = np.linalg.norm(before.velocity_world_mps, axis=1) - np.linalg.norm(after.velocity_world_mps, axis=1)
    assert np.abs(speed[both]).max() < 1e-6


def test_moving_along_a_bend_stays_on_the_lane() -> None:
    layout = read_layout("roundabout")
    rolling = [a for a in layout.agents if np.ptp(np.unwrap(a.heading_rad)[a.valid]) > 1.0 and a.valid.sum() > 100]
    moved = 0
    for agent in rolling:
        try:
            after = agent_of(move_agent(layout, agent.agent_id, forward_m=3.0), agent.agent_id)
        except LayoutError:
            continue  # somebody is there
        moved += 1
        seen = after.valid
        nearest_m = np.linalg.norm(
            after.center_world_m[seen, None, :2] - agent.center_world_m[None, agent.valid, :2], axis=2
        ).min(axis=1)
        assert np.percentile(nearest_m, 90) < 0.5
        assert speeds_agree(after, layout.timeline.rate_hz, within_mps=0.6)
    assert moved >= 1


def test_moving_to_a_place_turns_the_track_about_it(town: Layout) -> None:
    after = agent_of(move_agent(town, "walker_1", x_m=100.0, y_m=9.5, heading_deg=90.0), "walker_1")
    before = agent_of(town, "walker_1")
    assert np.allclose(after.center_world_m[0, :2], [100.0, 9.5])
    way = before.center_world_m[200, :2] - before.center_world_m[0, :2]
    turn = np.pi / 2 - before.heading_rad[0]
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ way
    assert np.allclose(after.center_world_m[200, :2] - after.center_world_m[0, :2], turned)
    assert np.allclose(
        np.linalg.norm(after.velocity_world_mps, axis=1), np.linalg.norm(before.velocity_world_mps, axis=1)
    )


def test_later_is_the_same_track_at_later_steps(town: Layout) -> None:
    before, after = (
        agent_of(town, "crossing_woman"),
        agent_of(retime_agent(town, "crossing_woman", later_s=2.0), "crossing_woman"),
    )
    assert np.allclose(after.center_world_m[24:], before.center_world_m[:-24], atol=1e-6)
    assert after.valid.all()
    assert speeds_agree(after, town.timeline.rate_hz, within_mps=0.2)


def test_earlier_goes_on_beyond_the_recording(avenue: Layout) -> None:
    layout = read_layout("cut_in")
    before = agent_of(layout, "left_1")
    after = agent_of(retime_agent(layout, "left_1", later_s=-1.0), "left_1")
    seen = np.flatnonzero(before.valid[12:] & after.valid[:-12])
    assert np.allclose(after.center_world_m[seen], before.center_world_m[seen + 12], atol=1e-6)
    assert speeds_agree(after, layout.timeline.rate_hz, within_mps=0.5)


def test_slower_covers_less_way_at_scaled_velocities(town: Layout) -> None:
    before = agent_of(town, "walker_5")
    after = agent_of(retime_agent(town, "walker_5", speed_factor=0.5), "walker_5")
    assert np.allclose(after.center_world_m[200, :2], before.center_world_m[100, :2], atol=1e-3)
    assert np.allclose(after.velocity_world_mps[200], 0.5 * before.velocity_world_mps[100], atol=1e-3)


def test_changed_category_has_its_box_and_stands_on_the_ground(town: Layout) -> None:
    after = agent_of(change_category(town, "oncoming_4", to="truck"), "oncoming_4")
    assert after.category is AgentCategory.TRUCK and after.size_lwh_m.tolist() == [8.2, 2.5, 3.2]
    assert np.allclose(after.center_world_m[:, 2], 1.6)
    assert np.array_equal(after.center_world_m[:, :2], agent_of(town, "oncoming_4").center_world_m[:, :2])


def test_new_car_cuts_in_with_the_gap_that_was_asked_for(avenue: Layout) -> None:
    layout = avenue
    after = cut_in(layout, at_s=12.0, gap_m=6.0, side="left")
    car, ego = agent_of(after, "cut_in_1"), ego_as_agent(after.ego)
    step = 12 * 12
    apart_m = car.center_world_m[step, :2] - ego.center_world_m[step, :2]
    assert np.isclose(np.linalg.norm(apart_m), 6.0 + 0.5 * (4.7 + 4.5), atol=0.1)
    before_m = car.center_world_m[9 * 12, :2] - ego.center_world_m[9 * 12, :2]
    assert np.isclose(before_m[1], 3.5, atol=0.1)
    assert speeds_agree(car, layout.timeline.rate_hz, within_mps=0.5)
    assert not [pair for pair in find_overlaps(after) if "cut_in_1" in pair]


def test_named_agent_cuts_in_from_where_it_is(avenue: Layout) -> None:
    layout = cut_in(avenue, at_s=25.0, gap_m=12.0)  # a car in the left lane until 22 s
    before = agent_of(layout, "cut_in_1")
    beside = int(round(20.0 * layout.timeline.rate_hz))
    ego = ego_as_agent(layout.ego)
    ahead_m = before.center_world_m[beside, 0] - ego.center_world_m[beside, 0]
    gap_m = ahead_m + 0.5 * 3.0 * 2.5 - 0.5 * (4.7 + 4.5)
    after = cut_in(layout, "cut_in_1", at_s=22.5, gap_m=max(float(gap_m), 1.0), over_s=2.5)
    changed = agent_of(after, "cut_in_1")
    assert np.array_equal(changed.center_world_m[:beside], before.center_world_m[:beside])
    assert abs(changed.center_world_m[270, 1] - ego.center_world_m[270, 1]) < 0.1
    assert speeds_agree(changed, layout.timeline.rate_hz, within_mps=0.6)


def test_cut_in_from_where_no_lane_is_is_refused(town: Layout) -> None:
    with pytest.raises(LayoutError, match=r"lane of the ego's direction"):
        cut_in(town, at_s=5.0, gap_m=5.0)


def test_occluder_hides_the_agent_and_is_in_nobodys_way(town: Layout) -> None:
    import shapely

    layout = remove_agents(town, "parked_right_1*")
    after = occlude_agent(layout, "crossing_woman", at_s=5.0)
    van, woman = agent_of(after, "occluder_1"), agent_of(after, "crossing_woman")
    eye = ego_as_agent(after.ego).center_world_m[60, :2]
    half = 0.5 * van.size_lwh_m[:2]
    box = shapely.box(*(van.center_world_m[0, :2] - half), *(van.center_world_m[0, :2] + half))
    assert abs(np.sin(van.heading_rad[0])) < 1e-6
    assert box.intersects(shapely.LineString([eye, woman.center_world_m[60, :2]]))
    assert not [pair for pair in find_overlaps(after) if "occluder_1" in pair]


def test_weather_changes_and_a_prompt_that_says_otherwise_goes(town: Layout) -> None:
    after = change_environment(town, "rain", time_of_day="night")
    assert (after.environment.weather, after.environment.time_of_day, after.environment.prompt) == ("rain", "night", "")
    assert change_environment(town, "clear").environment.prompt == town.environment.prompt
    assert change_environment(town, prompt="a foggy evening").environment.weather == "fog"


@pytest.mark.parametrize("reference", ["crossing_pedestrian", "procedural:4", "unprotected_left"])
def test_mirroring_twice_is_nothing_and_once_changes_sides(reference: str) -> None:
    layout = read_layout(reference)
    once = mirror_layout(layout)
    validate_layout(once)
    assert layout_sha256(mirror_layout(once)) == layout_sha256(layout)
    assert np.array_equal(once.ego.position_world_m[:, 1], -layout.ego.position_world_m[:, 1])
    assert np.allclose(np.linalg.det(once.ego.world_from_ego), 1.0)
    assert np.allclose(once.ego.heading_rad, -layout.ego.heading_rad)


def test_view_from_another_vehicle_swaps_it_with_the_ego(town: Layout) -> None:
    after = view_from(town, "oncoming_1")
    validate_layout(after)
    seen = agent_of(town, "oncoming_1")
    steps = np.flatnonzero(seen.valid)
    middle = ego_as_agent(after.ego).center_world_m[:, :2]
    assert np.allclose(middle, seen.center_world_m[steps, :2])
    former = agent_of(after, "former_ego_1")
    assert np.array_equal(former.center_world_m, ego_as_agent(town.ego).center_world_m[steps])
    assert "oncoming_1" not in {agent.agent_id for agent in after.agents}


def test_edits_are_noted_and_ids_stay(town: Layout) -> None:
    after = apply_edits(town, ["remove( ahead )", "environment(weather=rain)"])
    assert after.edits == ("remove(ahead)", "environment(weather=rain)")
    assert after.layout_id == town.layout_id
    again = layout_from_dict(layout_to_dict(after))
    assert again.edits == after.edits and layout_sha256(again) == layout_sha256(after)
    assert layout_sha256(after) != layout_sha256(town)


def test_edits_never_change_their_input(town: Layout) -> None:
    before = layout_sha256(town)
    apply_edits(
        town, ["remove(parked_*)", "retime(walker_3, speed_factor=0.8)", "move(walker_4, left_m=0.3)", "mirror"]
    )
    assert layout_sha256(town) == before


def test_pairs_that_overlap_in_a_recording_may_go_on_doing_so(town: Layout) -> None:
    double = replace(agent_of(town, "walker_3"), agent_id="double")
    layout = replace(town, agents=(*town.agents, double))
    assert agent_of(move_agent(layout, "double", forward_m=0.2), "double").valid.any()
    apart = replace(double, center_world_m=double.center_world_m + np.array([0.0, 5.0, 0.0]))
    with pytest.raises(LayoutError, match="runs into 'walker_3'"):
        move_agent(replace(town, agents=(*town.agents, apart)), "double", left_m=5.0)


def test_worlds_of_edited_layouts_have_the_same_buildings(town: Layout) -> None:
    from scenegen.layout.extend import extend_layout
    from scenegen.occupancy.build import build_world

    short = extend_layout(town, duration_s=1.0, rate_hz=12.0)
    edited = apply_edits(short, ["remove(parked_right_4)", "move(walker_1, forward_m=4)", "environment(rain)",
                                 "category(oncoming_1, to=truck)", "insert(pedestrian, x_m=90, y_m=-9.2)"])  # fmt: skip
    before, after = build_world(short, seed=3), build_world(edited, seed=3)
    assert np.array_equal(before.semantics, after.semantics)
    assert np.array_equal(before.ground, after.ground)
