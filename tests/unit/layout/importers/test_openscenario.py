"""OpenSCENARIO: small scenarios whose tracks are known, and those of esmini."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scenegen.errors import LayoutError
from scenegen.layout.importers import read_openscenario
from scenegen.layout.sources import read_layout
from scenegen.types import AgentCategory, AgentTrack, Layout
from tests.conftest import need_recorded
from tests.unit.layout.importers.xosc_text import (
    CAR,
    EGO_START,
    after,
    entity,
    event,
    init,
    lane_change,
    scenario,
    speed,
    story,
    teleport,
    trajectory,
    vertex,
    when,
    write_scenario,
)

NAMES = ("acc-test", "alks_r157_cut_in_quick_brake", "cut-in", "cut-in_simple", "follow_ghost", "highway_merge",
         "ltap-od", "pedestrian", "swarm")  # fmt: skip


@pytest.fixture
def scenarios(shared_data: Path) -> Path:
    folder = shared_data / "opendrive_esmini" / "xosc"
    need_recorded(folder)
    return folder


def played(folder: Path, text: str) -> Layout:
    return read_openscenario(write_scenario(folder, text))


def agent_of(layout: Layout, name: str) -> AgentTrack:
    (found,) = (agent for agent in layout.agents if agent.agent_id == name)
    return found


def lost_of(layout: Layout) -> str:
    assert layout.report is not None
    return "\n".join(layout.report.lost)


def reference_m(agent: AgentTrack) -> np.ndarray:
    """Where the reference point is, frame of the file: 1.4 m behind the middle; the ego starts at (100, -1.75)."""
    ahead = np.stack([np.cos(agent.heading_rad), np.sin(agent.heading_rad)], axis=1)
    return np.asarray(agent.center_world_m[:, :2] - 1.4 * ahead + [100.0, -1.75])


@pytest.mark.parametrize(
    ("position", "place_m", "heading_rad"),
    [
        ('<WorldPosition x="50" y="1.75" h="3.14159265"/>', (50.0, 1.75), np.pi),
        ('<RelativeWorldPosition entityRef="Ego" dx="10" dy="-3.5"/>', (110.0, -5.25), 0.0),
        ('<RelativeObjectPosition entityRef="Ego" dx="-10" dy="-3.5"/>', (90.0, -5.25), 0.0),
        ('<RoadPosition roadId="1" s="200" t="-5"/>', (200.0, -5.0), 0.0),
        ('<RelativeRoadPosition entityRef="Ego" ds="20" dt="-3.5"/>', (120.0, -5.25), 0.0),
        ('<LanePosition roadId="1" laneId="-2" s="30" offset="0.5"/>', (30.0, -4.75), 0.0),
        ('<LanePosition roadId="1" laneId="2" s="30"/>', (30.0, 5.25), np.pi),
        ('<LanePosition roadId="1" laneId="2" s="30"><Orientation type="relative" h="3.14159265"/></LanePosition>',
         (30.0, 5.25), 0.0),
        ('<RelativeLanePosition entityRef="Ego" dLane="-1" ds="25"/>', (125.0, -5.25), 0.0),
        ('<RelativeLanePosition entityRef="Ego" dLane="1" ds="25"/>', (125.0, 1.75), np.pi),
    ],
)  # fmt: skip
def test_init_positions_of_every_kind(
    tmp_path: Path, position: str, place_m: tuple[float, float], heading_rad: float
) -> None:
    actions = init(Other=teleport(position), Ego=teleport(EGO_START))
    other = agent_of(played(tmp_path, scenario(entities=entity("Ego") + entity("Other"), actions=actions)), "Other")
    np.testing.assert_allclose(reference_m(other)[0], place_m, atol=1e-6)
    assert np.cos(other.heading_rad[0] - heading_rad) == pytest.approx(1.0)
    assert other.size_lwh_m.tolist() == [5.0, 2.0, 1.5]


def test_speeds_change_linearly_and_relative_speeds_are_kept(tmp_path: Path) -> None:
    relative = '<RelativeTargetSpeed entityRef="Ego" value="1.5" speedTargetValueType="factor" continuous="true"/>'
    actions = init(
        Ego=teleport(EGO_START) + speed("10"),
        Other=teleport('<LanePosition roadId="1" laneId="-2" s="10"/>') + speed(relative),
    )
    braking = event(speed("4", 'dynamicsShape="linear" dynamicsDimension="rate" value="-2"'), after(2.0))
    layout = played(
        tmp_path, scenario(entities=entity("Ego") + entity("Other"), actions=actions, stories=story("Ego", braking))
    )
    ego_mps = np.linalg.norm(layout.ego.velocity_world_mps, axis=1)
    assert ego_mps[12] == pytest.approx(10.0) and ego_mps[72] == pytest.approx(4.0)
    assert ego_mps[42] == pytest.approx(10.0 - 2.0 * 1.5, abs=0.15)
    other_mps = np.linalg.norm(agent_of(layout, "Other").velocity_world_mps, axis=1)
    np.testing.assert_allclose(other_mps[[12, 72]], [15.0, 6.0], atol=0.1)
    slope = np.diff(layout.ego.position_world_m[:, 0]) * 12.0
    np.testing.assert_allclose(ego_mps[1:-1], 0.5 * (slope[1:] + slope[:-1]), atol=1e-6)


def test_a_lane_change_ends_in_the_middle_of_its_lane_in_time(tmp_path: Path) -> None:
    change = event(lane_change('<RelativeTargetLane entityRef="Ego" value="-1"/>'), after(1.0))
    layout = played(tmp_path, scenario(stories=story("Ego", change)))
    y_m = layout.ego.position_world_m[:, 1]
    np.testing.assert_allclose(y_m[:12], 0.0, atol=1e-6)
    assert y_m[12 + 18] == pytest.approx(-1.75, abs=0.15)
    np.testing.assert_allclose(y_m[50:], -3.5, atol=1e-6)
    assert layout.ego.heading_rad[30] < -0.05 and abs(layout.ego.heading_rad[60]) < 1e-6


def test_a_timed_trajectory_is_met_at_its_vertices(tmp_path: Path) -> None:
    timing = '<Timing domainAbsoluteRelative="absolute" scale="1" offset="0"/>'
    walk = trajectory(vertex(0, 130, -9) + vertex(4, 130, -5) + vertex(10, 142, -5), timing)
    body = (
        '<Pedestrian name="p" mass="80" pedestrianCategory="pedestrian"><BoundingBox>'
        '<Center x="0" y="0" z="0.9"/><Dimensions length="0.6" width="0.5" height="1.8"/></BoundingBox></Pedestrian>'
    )
    text = scenario(
        entities=entity("Ego") + entity("walker", body),
        actions=init(Ego=teleport(EGO_START), walker=teleport('<WorldPosition x="130" y="-9"/>')),
        stories=story("walker", event(walk, after(-1.0))),
    )
    walker = agent_of(played(tmp_path, text), "walker")
    assert walker.category is AgentCategory.PEDESTRIAN
    at_m = walker.center_world_m[[0, 48, 120], :2] + [100.0, -1.75]
    np.testing.assert_allclose(at_m, [[130.0, -9.0], [130.0, -5.0], [142.0, -5.0]], atol=0.1)
    assert np.linalg.norm(walker.velocity_world_mps[24]) == pytest.approx(1.0, abs=0.02)
    assert np.linalg.norm(walker.velocity_world_mps[200]) == 0.0


def test_events_wait_for_other_entities(tmp_path: Path) -> None:
    headway = (
        '<ByEntityCondition><TriggeringEntities triggeringEntitiesRule="any"><EntityRef entityRef="Ego"/>'
        '</TriggeringEntities><EntityCondition><TimeHeadwayCondition entityRef="Other" value="2" freespace="false" '
        'rule="lessThan"/></EntityCondition></ByEntityCondition>'
    )
    stop = speed("0", 'dynamicsShape="linear" dynamicsDimension="rate" value="5"')
    text = scenario(
        entities=entity("Ego") + entity("Other"),
        actions=init(
            Ego=teleport(EGO_START) + speed("10"), Other=teleport('<LanePosition roadId="1" laneId="-1" s="160"/>')
        ),
        stories=story("Ego", event(stop, when(headway, edge="rising"))),
    )
    layout = played(tmp_path, text)
    # At 2 s headway it is 20 m behind, and needs 10 m to stop at 5 m/s^2.
    assert layout.ego.position_world_m[-1, 0] == pytest.approx(50.0, abs=1.0)


def test_parameters_catalogs_and_stop_triggers(tmp_path: Path) -> None:
    (tmp_path / "xosc" / "cat").mkdir(parents=True)
    bus = (
        '<Vehicle name="bus" vehicleCategory="bus"><ParameterDeclarations><ParameterDeclaration name="L" '
        'parameterType="double" value="9"/></ParameterDeclarations><BoundingBox><Center x="0" y="0" z="1.5"/>'
        '<Dimensions length="$L" width="2.5" height="3"/></BoundingBox></Vehicle>'
    )
    catalog = f'<OpenSCENARIO><FileHeader/><Catalog name="Cat">{bus}</Catalog></OpenSCENARIO>'
    (tmp_path / "xosc" / "cat" / "c.xosc").write_text(catalog)
    reference = (
        '<CatalogReference catalogName="Cat" entryName="bus"><ParameterAssignments>'
        '<ParameterAssignment parameterRef="L" value="12"/></ParameterAssignments></CatalogReference>'
    )
    text = scenario(
        parameters='<ParameterDeclaration name="V" parameterType="double" value="36"/>',
        entities=entity("Ego") + entity("Bus", reference),
        actions=init(
            Ego=teleport(EGO_START) + speed("${$V / 3.6}"),
            Bus=teleport('<LanePosition roadId="1" laneId="1" s="300"/>'),
        ),
        catalogs='<CatalogLocations><VehicleCatalog><Directory path="cat"/></VehicleCatalog></CatalogLocations>',
        stop=after(4.0),
    )
    layout = played(tmp_path, text)
    bus_track = agent_of(layout, "Bus")
    assert bus_track.category is AgentCategory.BUS and bus_track.size_lwh_m.tolist() == [12.0, 2.5, 3.0]
    assert np.linalg.norm(layout.ego.velocity_world_mps[0]) == pytest.approx(10.0)
    assert layout.timeline.duration_s == pytest.approx(4.1, abs=0.1)


def test_what_is_not_understood_is_reported(tmp_path: Path) -> None:
    condition = '<ByValueCondition><TrafficSignalCondition name="x" state="go"/></ByValueCondition>'
    visibility = '<PrivateAction><VisibilityAction graphics="true" traffic="true" sensors="true"/></PrivateAction>'
    text = scenario(
        entities=entity("Ego") + entity("Ghost"),
        actions=init(Ego=teleport(EGO_START) + visibility),
        stories=story("Ego", event(speed("3"), when(condition), name="never")),
    )
    lost = lost_of(played(tmp_path, text))
    for what in ("<VisibilityAction> of entity 'Ego'", "<TrafficSignalCondition>", "event 'never'", "entity 'Ghost'"):
        assert what in lost


def test_entities_come_go_and_collide(tmp_path: Path) -> None:
    add = (
        '<GlobalAction><EntityAction entityRef="Late"><AddEntityAction><Position>'
        '<LanePosition roadId="1" laneId="-1" s="150"/></Position></AddEntityAction></EntityAction></GlobalAction>'
    )
    delete = '<GlobalAction><EntityAction entityRef="Late"><DeleteEntityAction/></EntityAction></GlobalAction>'
    crash = (
        '<ByEntityCondition><TriggeringEntities triggeringEntitiesRule="any"><EntityRef entityRef="Ego"/>'
        '</TriggeringEntities><EntityCondition><CollisionCondition><EntityRef entityRef="Late"/></CollisionCondition>'
        "</EntityCondition></ByEntityCondition>"
    )
    events = event(add, after(1.0), name="add"), event(delete, when(crash), name="delete")
    layout = played(tmp_path, scenario(entities=entity("Ego") + entity("Late"), stories=story("Ego", *events)))
    valid = agent_of(layout, "Late").valid
    # Boxes of 5 m touch when the ego, at 10 m/s, has come 45 of the 50 m.
    assert np.flatnonzero(valid)[[0, -1]].tolist() == pytest.approx([12, 54], abs=1)


def test_the_ego_brakes_before_its_road_ends_and_others_leave(tmp_path: Path) -> None:
    text = scenario(
        entities=entity("Ego") + entity("Other", CAR),
        actions=init(
            Ego=teleport(EGO_START) + speed("20"),
            Other=teleport('<LanePosition roadId="1" laneId="-2" s="200"/>') + speed("20"),
        ),
    )
    layout = played(tmp_path, text)
    assert 380.0 < layout.ego.position_world_m[-1, 0] < 396.0
    other = agent_of(layout, "Other")
    assert other.valid[150] and not other.valid[190]


@pytest.mark.parametrize("name", NAMES)
def test_scenarios_of_esmini_are_valid_layouts(scenarios: Path, name: str) -> None:
    layout = read_layout(f"openscenario:{scenarios / name}.xosc")
    assert np.linalg.norm(np.ptp(layout.ego.position_world_m, axis=0)) > 40.0
    agents = {"highway_merge": 5, "follow_ghost": 0, "swarm": 0}.get(name, 1)
    assert len(layout.agents) == agents
    if name == "cut-in":
        other = agent_of(layout, "OverTaker")
        apart_m = np.linalg.norm(other.center_world_m[:, :2] - layout.ego.position_world_m[:, :2], axis=1)
        assert apart_m[0] == pytest.approx(np.hypot(25.0 - 1.4, 3.5), abs=0.5)
        assert np.linalg.norm(other.velocity_world_mps[12]) == pytest.approx(1.2 * 30.0, abs=0.1)
    if name == "pedestrian":
        walker = agent_of(layout, "pedestrian_adult")
        assert walker.category is AgentCategory.PEDESTRIAN and walker.size_lwh_m.tolist() == [0.6, 0.5, 1.8]
        assert np.linalg.norm(layout.ego.velocity_world_mps[-1]) == 0.0, "it brakes for who crosses"


def test_an_ego_that_leaves_the_road_is_refused(scenarios: Path) -> None:
    with pytest.raises(LayoutError, match="the ego on drivable areas"):
        read_layout(f"openscenario:{scenarios}/lane_change.xosc")
