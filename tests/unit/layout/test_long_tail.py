"""Rare events: they happen before the ego, touch nobody, and come as often as a mix says."""

from dataclasses import replace

import numpy as np
import pytest

from scenegen.errors import ConfigError, LayoutError
from scenegen.layout.long_tail import EVENT_STYLES, EVENTS, SEEN_WITHIN_M, seen_steps
from scenegen.layout.overlap import find_overlaps
from scenegen.layout.procedural import build_procedural_layout
from scenegen.layout.procedural_reference import parse_procedural, read_procedural
from scenegen.layout.sources import expand_references, read_layout
from scenegen.layout.traffic_mix import DRAWN_MIX, EventChances, TrafficMix, VehicleShares
from scenegen.layout.validate import validate_layout
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.layout_json import layout_sha256
from scenegen.types.taxonomy import AgentCategory

HARDEST_BRAKING_MPS2 = 6.0


def agent_of(layout: Layout, agent_id: str) -> AgentTrack:
    return next(agent for agent in layout.agents if agent.agent_id == agent_id)


@pytest.mark.parametrize("kind", EVENTS)
@pytest.mark.parametrize("seed", [1, 4])
def test_event_happens_before_the_ego_and_nobody_touches(kind: str, seed: int) -> None:
    layout = read_layout(f"procedural:{kind}/{seed}")
    assert find_overlaps(layout) == []
    actor = agent_of(layout, kind)
    seen = seen_steps(layout.ego, actor)
    assert seen.sum() >= layout.timeline.rate_hz
    apart_m = np.linalg.norm(actor.center_world_m[:, :2] - layout.ego.position_world_m[:, :2], axis=1)
    assert apart_m[seen].min() < 0.5 * SEEN_WITHIN_M
    speed_mps = np.linalg.norm(layout.ego.velocity_world_mps, axis=1)
    assert np.diff(speed_mps).min() * layout.timeline.rate_hz > -HARDEST_BRAKING_MPS2
    assert speed_mps.min() < 0.9 * speed_mps.max()  # the ego minds
    assert layout.layout_id == f"procedural_{kind}_{seed}"


def test_jaywalker_is_hidden_by_the_bus_and_then_in_the_egos_lane() -> None:
    layout = build_procedural_layout(4, event="jaywalker")
    person, bus = agent_of(layout, "jaywalker"), agent_of(layout, "hiding_bus")
    begins = int(np.argmax(np.linalg.norm(person.velocity_world_mps, axis=1) > 0.5))
    eye_m, person_m = layout.ego.position_world_m[begins, :2], person.center_world_m[begins, :2]
    ray_m = eye_m + np.linspace(0.0, 1.0, 200)[:, None] * (person_m - eye_m)
    cos, sin = np.cos(bus.heading_rad[0]), np.sin(bus.heading_rad[0])
    inside = (
        np.abs((ray_m - bus.center_world_m[0, :2]) @ np.array([[cos, -sin], [sin, cos]])) < 0.5 * bus.size_lwh_m[:2]
    )
    assert inside.all(axis=1).any()
    way_m = layout.ego.position_world_m[:, :2]
    assert np.linalg.norm(person.center_world_m[:, None, :2] - way_m[None], axis=2).min() < 1.0


def test_emergency_vehicle_overtakes_and_wrong_way_cyclist_comes_towards() -> None:
    layout = build_procedural_layout(4, event="emergency_vehicle")
    vehicle = agent_of(layout, "emergency_vehicle")
    apart_m = vehicle.center_world_m[:, :2] - layout.ego.position_world_m[:, :2]
    ahead_m = (apart_m * layout.ego.world_from_ego[:, :2, 0]).sum(axis=1)[vehicle.valid]
    assert ahead_m[0] < -5.0
    assert ahead_m.max() > 20.0
    layout = build_procedural_layout(4, event="wrong_way_cyclist")
    cyclist = agent_of(layout, "wrong_way_cyclist")
    step = int(np.flatnonzero(seen_steps(layout.ego, cyclist))[0])
    assert np.cos(cyclist.heading_rad[step] - layout.ego.heading_rad[step]) < -0.9


def test_stroller_is_pushed_over_a_crossing() -> None:
    layout = build_procedural_layout(1, event="stroller")
    pram, person = agent_of(layout, "stroller"), agent_of(layout, "pushing_person")
    assert pram.source_category == "stroller"
    assert person.category is AgentCategory.PEDESTRIAN
    assert np.linalg.norm(pram.center_world_m - person.center_world_m, axis=1).max() < 1.3
    assert len(layout.road_map.areas_of("crossing")) >= 1


def test_references_name_style_event_duration_and_seeds() -> None:
    place = parse_procedural("rural/animal/45s/3-4")
    assert (place.style, place.event, place.duration_s, list(place.seeds)) == ("rural", "animal", 45, [3, 4])
    assert expand_references(["procedural:debris/3-4"]) == ["procedural:debris/3", "procedural:debris/4"]
    assert read_layout("procedural:rural/animal/20s/3").layout_id == "procedural_rural_animal_3_20s"
    drawn = {read_layout(f"procedural:long_tail/{seed}").layout_id.rsplit("_", 1)[0] for seed in range(5)}
    assert drawn <= {f"procedural_{kind}" for kind in EVENTS}
    assert len(drawn) >= 2
    with pytest.raises(LayoutError, match=r"Did you mean 'jaywalker'"):
        parse_procedural("jaywlker/3")
    assert "highway" not in EVENT_STYLES["stroller"]
    with pytest.raises(LayoutError, match="an event that happens in highway"):
        parse_procedural("highway/stroller/3")


def test_event_that_does_not_fit_into_the_time_says_so() -> None:
    with pytest.raises(LayoutError, match="room for jaywalker within 6 s"):
        build_procedural_layout(1, event="jaywalker", duration_s=6.0)


def test_mix_of_defaults_changes_no_byte() -> None:
    assert layout_sha256(read_procedural("5", mix=TrafficMix())) == layout_sha256(read_procedural("5"))


def test_mix_sets_density_shares_and_people() -> None:
    def count(mix: TrafficMix, *categories: AgentCategory) -> int:
        agents = build_procedural_layout(3, duration_s=10.0, road_kind="straight", mix=mix).agents
        return sum(
            agent.category in categories and bool(np.ptp(agent.center_world_m[:, :2], axis=0).max() > 1.0)
            for agent in agents
        )

    people = (AgentCategory.PEDESTRIAN,)
    assert count(TrafficMix(people_per_km=0.0), *people) < 8 < count(TrafficMix(people_per_km=300.0), *people)
    sparse, dense = (TrafficMix(vehicles_per_lane_km=value) for value in (2.0, 60.0))
    vehicles = (AgentCategory.CAR, AgentCategory.TRUCK, AgentCategory.BUS)
    assert count(sparse, *vehicles) < count(dense, *vehicles)
    trucks = replace(dense, vehicle_shares=VehicleShares(car=0.0, truck=1.0, bus=0.0, motorcycle=0.0))
    assert count(trucks, AgentCategory.CAR, AgentCategory.BUS) == 0 < count(trucks, AgentCategory.TRUCK)


def test_events_come_as_often_as_the_mix_says() -> None:
    mix = TrafficMix(events=EventChances(animal=0.3, debris=0.2))
    drawn = [mix.draw_event(seed, "procedural") for seed in range(2000)]
    assert drawn.count("animal") / 2000 == pytest.approx(0.3, abs=0.04)
    assert drawn.count("debris") / 2000 == pytest.approx(0.2, abs=0.04)
    assert set(drawn) == {"animal", "debris", None}
    assert DRAWN_MIX.draw_event(1, "procedural") is None
    seed = drawn.index("animal")
    assert read_procedural(str(seed), mix=mix).layout_id == f"procedural_animal_{seed}"
    validate_layout(read_procedural(f"highway/{seed}", mix=mix))  # no animals there: the scene without an event


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda: TrafficMix(vehicles_per_lane_km=0.0), "vehicles_per_lane_km from"),
        (lambda: TrafficMix(parked_share=1.5), "parked_share from 0 to 1"),
        (lambda: VehicleShares(car=0.5), "sum to 1"),
        (lambda: EventChances(animal=0.7, debris=0.7), "sum to at most 1"),
        (lambda: EventChances(animal=-0.1), "a share from 0 to 1 for 'animal'"),
    ],
)
def test_impossible_mix_is_refused(broken, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigError, match=said):
        broken()
