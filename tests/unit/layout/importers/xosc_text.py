"""Small OpenSCENARIO files as text, on a straight road of 500 m with two lanes each way."""

from __future__ import annotations

from pathlib import Path

from tests.unit.layout.importers.xodr_text import LINE, lane, network, road, section

CAR = (
    '<Vehicle name="car" vehicleCategory="car"><BoundingBox><Center x="1.4" y="0" z="0.75"/>'
    '<Dimensions length="5" width="2" height="1.5"/></BoundingBox></Vehicle>'
)
HEADER = '<FileHeader revMajor="1" revMinor="1" date="" description="" author=""/>'
EGO_START = '<LanePosition roadId="1" laneId="-1" s="100"/>'


def entity(name: str, body: str = CAR) -> str:
    return f'<ScenarioObject name="{name}">{body}</ScenarioObject>'


def teleport(position: str) -> str:
    return f"<PrivateAction><TeleportAction><Position>{position}</Position></TeleportAction></PrivateAction>"


def speed(target: str, dynamics: str = 'dynamicsShape="step" dynamicsDimension="time" value="0"') -> str:
    target = target if target.startswith("<") else f'<AbsoluteTargetSpeed value="{target}"/>'
    return (
        f"<PrivateAction><LongitudinalAction><SpeedAction><SpeedActionDynamics {dynamics}/>"
        f"<SpeedActionTarget>{target}</SpeedActionTarget></SpeedAction></LongitudinalAction></PrivateAction>"
    )


def lane_change(target: str, dynamics: str = 'dynamicsShape="sinusoidal" dynamicsDimension="time" value="3"') -> str:
    return (
        f"<PrivateAction><LateralAction><LaneChangeAction><LaneChangeActionDynamics {dynamics}/>"
        f"<LaneChangeTarget>{target}</LaneChangeTarget></LaneChangeAction></LateralAction></PrivateAction>"
    )


def trajectory(vertices: str, timing: str = "<None/>") -> str:
    return (
        "<PrivateAction><RoutingAction><FollowTrajectoryAction><Trajectory name='t' closed='false'><Shape><Polyline>"
        f"{vertices}</Polyline></Shape></Trajectory><TimeReference>{timing}</TimeReference>"
        '<TrajectoryFollowingMode followingMode="follow"/></FollowTrajectoryAction></RoutingAction></PrivateAction>'
    )


def vertex(time_s: float, x_m: float, y_m: float) -> str:
    return f'<Vertex time="{time_s}"><Position><WorldPosition x="{x_m}" y="{y_m}"/></Position></Vertex>'


def after(time_s: float) -> str:
    return when(f'<ByValueCondition><SimulationTimeCondition value="{time_s}" rule="greaterThan"/></ByValueCondition>')


def when(condition: str, *, edge: str = "none", delay: str = "0") -> str:
    condition = f'<Condition name="c" delay="{delay}" conditionEdge="{edge}">{condition}</Condition>'
    return f"<ConditionGroup>{condition}</ConditionGroup>"


def event(action: str, trigger: str, *, name: str = "e") -> str:
    return (
        f'<Event name="{name}" priority="parallel"><Action name="a">{action}</Action>'
        f"<StartTrigger>{trigger}</StartTrigger></Event>"
    )


def story(actor: str, *events: str) -> str:
    return (
        '<Story name="s"><Act name="act"><ManeuverGroup name="g" maximumExecutionCount="1">'
        f'<Actors selectTriggeringEntities="false"><EntityRef entityRef="{actor}"/></Actors>'
        f'<Maneuver name="m">{"".join(events)}</Maneuver></ManeuverGroup></Act></Story>'
    )


def init(**actions: str) -> str:
    return "".join(f'<Private entityRef="{name}">{text}</Private>' for name, text in actions.items())


def scenario(
    *,
    entities: str = entity("Ego"),
    actions: str | None = None,
    stories: str = "",
    parameters: str = "",
    catalogs: str = "<CatalogLocations/>",
    logic: str = '<LogicFile filepath="../xodr/road.xodr"/>',
    stop: str = "",
    header: str = HEADER,
) -> str:
    actions = init(Ego=teleport(EGO_START) + speed("10")) if actions is None else actions
    return (
        f'<?xml version="1.0"?><OpenSCENARIO>{header}<ParameterDeclarations>{parameters}</ParameterDeclarations>'
        f"{catalogs}<RoadNetwork>{logic}</RoadNetwork><Entities>{entities}</Entities>"
        f"<Storyboard><Init><Actions>{actions}</Actions></Init>{stories}<StopTrigger>{stop}</StopTrigger></Storyboard>"
        "</OpenSCENARIO>"
    )


def write_scenario(folder: Path, text: str) -> Path:
    """Write a scenario beside its road, whose lanes are 3.5 m wide and whose reference line runs along x."""
    for name in ("xosc", "xodr"):
        (folder / name).mkdir(exist_ok=True)
    lanes = section(left=lane(2) + lane(1), right=lane(-1) + lane(-2))
    plan = LINE.replace('length="100"', 'length="500"')
    (folder / "xodr" / "road.xodr").write_text(network(road(length="500", plan=plan, sections=lanes)))
    path = folder / "xosc" / "bad.xosc"
    path.write_bytes(text.encode())
    return path
