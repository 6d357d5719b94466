"""The YAML file that describes a scene, as pydantic types. `layouts/README.md` explains it with an example.

Units are in the keys. Ground-plane points are `[x, y]` in metres, world frame. Headings are in degrees,
counter-clockwise from world x.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Positive = Annotated[float, Field(gt=0.0)]
Spacing = Annotated[float, Field(ge=0.2)]
RoadLength = Annotated[float, Field(gt=0.0, le=5000.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Width = Annotated[float, Field(ge=0.0, le=100.0)]
Coordinate = Annotated[float, Field(ge=-1e7, le=1e7)]
"""Metres; as in importers, northings on a transverse Mercator grid stay below."""
Along = Annotated[float, Field(ge=-1e5, le=1e5)]
"""Metres along or beside a road."""
Point = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]
PointMaybeZ = Annotated[list[Coordinate], Field(min_length=2, max_length=3)]
Side = Literal["left", "right"]
Arm = Literal["east", "north", "west", "south"]
Marking = Literal["double", "solid", "dashed", "none"]
CategoryName = Literal[
    "car", "truck", "bus", "trailer", "construction_vehicle", "pedestrian", "motorcycle", "bicycle", "traffic_cone",
    "barrier", "animal", "other",
]  # fmt: skip
Color = Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)]


class Spec(BaseModel):
    """One mapping of the file; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class EnvironmentSpec(Spec):
    """Weather, light and words."""

    weather: Literal["clear", "overcast", "rain", "fog"] = "clear"
    time_of_day: Literal["day", "dusk", "night"] = "day"
    prompt: str = ""
    reference_image: str | None = None
    style: Annotated[
        Literal["dense_city", "suburb", "rural", "highway", "industrial"] | None,
        Field(description="kind of place around the roads; any mixture where it is not given"),
    ] = None


class SectionSpec(Spec):
    """Cross section of a road; left and right as seen along its centre line."""

    lanes: Annotated[int, Field(ge=1, le=6)] | None = Field(None, description="lanes per direction; default 1")
    lanes_forward: Annotated[int, Field(ge=0, le=6)] | None = None
    lanes_backward: Annotated[int, Field(ge=0, le=6)] | None = None
    lane_width_m: Annotated[float, Field(ge=2.0, le=8.0)] = 3.5
    sidewalk_m: Width = 2.5
    parking_left_m: Width = 0.0
    parking_right_m: Width = 0.0
    marking: Marking = "double"
    edge_marking: bool = True
    speed_limit_mps: Positive | None = None


class CenterlineRoadSpec(SectionSpec):
    """A road along points; a smooth curve is passed through them."""

    id: str
    centerline: Annotated[list[Point], Field(min_length=2)]


class TemplateRoadSpec(SectionSpec):
    """A road of a named shape that starts at `position`."""

    id: str
    template: Literal["straight", "curve", "s_curve"]
    position: Point = Field(default_factory=lambda: [0.0, 0.0])
    heading_deg: float = 0.0
    length_m: RoadLength = 200.0
    radius_m: Positive = 60.0
    angle_deg: Annotated[float, Field(ge=-270.0, le=270.0)] = 60.0


class JunctionSpec(SectionSpec):
    """A junction around `position`; its arms share a cross section except where `arms` says otherwise."""

    id: str
    template: Literal["crossroads", "t_junction"]
    position: Point = Field(default_factory=lambda: [0.0, 0.0])
    heading_deg: float = 0.0
    arms: list[Arm] | dict[Arm, SectionSpec | None] | None = Field(None, description="default: all, or all but south")
    arm_length_m: RoadLength | dict[Arm, RoadLength] = 100.0
    corner_radius_m: Positive = 6.0
    crossings: list[Arm] = Field(default_factory=list)


class RoundaboutSpec(SectionSpec):
    """A one-lane roundabout around `position`."""

    id: str
    template: Literal["roundabout"]
    position: Point = Field(default_factory=lambda: [0.0, 0.0])
    heading_deg: float = 0.0
    arms: list[Arm] | dict[Arm, SectionSpec | None] | None = None
    arm_length_m: RoadLength | dict[Arm, RoadLength] = 100.0
    ring_radius_m: Annotated[float, Field(ge=9.0, le=60.0)] = 14.0
    ring_width_m: Positive = 6.0
    crossings: list[Arm] = Field(default_factory=list)


_FORM_OF_TEMPLATE = {
    "straight": "shape",
    "curve": "shape",
    "s_curve": "shape",
    "crossroads": "junction",
    "t_junction": "junction",
    "roundabout": "roundabout",
}


def _road_form(value: Any) -> str | None:
    if not isinstance(value, dict):
        return getattr(value, "template", "centerline")
    if "centerline" in value:
        return "centerline"
    template = value.get("template")
    return _FORM_OF_TEMPLATE.get(str(template))


RoadSpec = Annotated[
    Annotated[CenterlineRoadSpec, Tag("centerline")]
    | Annotated[TemplateRoadSpec, Tag("shape")]
    | Annotated[JunctionSpec, Tag("junction")]
    | Annotated[RoundaboutSpec, Tag("roundabout")],
    Discriminator(
        _road_form,
        custom_error_type="road_form",
        custom_error_message="`centerline`, or `template` out of straight, curve, s_curve, crossroads, "
        "t_junction, roundabout",
    ),
]


class CrosswalkSpec(Spec):
    """A zebra crossing over a road at a distance along it, or any outline."""

    road: str | None = None
    at_m: Along | None = None
    depth_m: Positive = 3.5
    stop_lines: bool = True
    polygon: Annotated[list[Point], Field(min_length=3)] | None = None


class SidewalkSpec(Spec):
    """A footpath along points."""

    centerline: Annotated[list[Point], Field(min_length=2)]
    width_m: Annotated[float, Field(gt=0.0, le=100.0)] = 2.0


class LaneSpec(Spec):
    """A lane given explicitly, in driving direction."""

    id: str
    centerline: Annotated[list[PointMaybeZ], Field(min_length=2)]
    width_m: Positive = 3.5
    kind: Literal["vehicle", "bike", "bus", "walk"] = "vehicle"
    is_intersection: bool = False
    speed_limit_mps: Positive | None = None


class LaneLineSpec(Spec):
    """A painted line given explicitly."""

    points: Annotated[list[PointMaybeZ], Field(min_length=2)]
    kind: Literal["solid", "dashed", "double_solid"] = "solid"
    color: Literal["white", "yellow"] = "white"
    width_m: Positive = 0.15


class BoxSpec(Spec):
    """A rectangle: `size` is (along heading, across)."""

    center: Point
    size: Annotated[list[Annotated[float, Field(gt=0.0, le=1e5)]], Field(min_length=2, max_length=2)]
    heading_deg: float = 0.0


class AreaSpec(Spec):
    """An area on the ground, by corners or as a rectangle. `height_m` is for buildings."""

    kind: Literal["drivable", "sidewalk", "crossing", "parking", "grass", "building", "construction"]
    polygon: Annotated[list[Point], Field(min_length=3)] | None = None
    box: BoxSpec | None = None
    holes: list[Annotated[list[Point], Field(min_length=3)]] = Field(default_factory=list)
    height_m: NotNegative = 0.0


class RowSpec(Spec):
    """A row along a road: from, to, every so many metres, `left_m` of the centre line (negative: right)."""

    road: str
    from_m: Along
    to_m: Along
    every_m: Spacing
    left_m: Along


class PropSpec(Spec):
    """A static thing at a point, or a row of them."""

    kind: Literal["tree", "pole", "street_lamp", "traffic_light", "sign", "bollard", "hedge"]
    position: Point | None = None
    row: RowSpec | None = None
    heading_deg: float = 0.0
    heading_rad: float | None = Field(None, description="instead of heading_deg, where every digit counts")
    height_m: Positive | None = None


class WaypointSpec(Spec):
    """Where an agent is at a time; optionally its heading and velocity there."""

    t_s: NotNegative
    x_m: Coordinate
    y_m: Coordinate
    heading_deg: float | None = None
    vx_mps: float | None = None
    vy_mps: float | None = None


class StopSpec(Spec):
    """Where the front of the agent waits, between two times."""

    at_m: Along
    from_s: NotNegative = 0.0
    to_s: Positive


class SpeedSpec(Spec):
    """From this distance on, this speed is wished."""

    from_m: Along
    speed_mps: NotNegative


class ShiftSpec(Spec):
    """A change of lateral place, `over_m` long: to `left_m` of the lane's centre (negative: right)."""

    at_m: Along
    over_m: Positive = 30.0
    left_m: Along


class DriveSpec(Spec):
    """How to move along lanes."""

    start_m: Along = 0.0
    speed_mps: NotNegative
    start_speed_mps: NotNegative | None = None
    stops: list[StopSpec] = Field(default_factory=list)
    speeds: list[SpeedSpec] = Field(default_factory=list)
    shifts: list[ShiftSpec] = Field(default_factory=list)
    left_m: Along = 0.0


class FollowSpec(DriveSpec):
    """Follow one lane, or several that join end to end."""

    lane: str | Annotated[list[str], Field(min_length=1)]


class PoseSpec(Spec):
    """A place to stand."""

    x_m: Coordinate
    y_m: Coordinate
    heading_deg: float = 0.0


class ParkedSpec(Spec):
    """Parked beside a road, in its parking strip where it has one."""

    road: str
    side: Side
    at_m: Along
    left_m: Along | None = Field(None, description="instead of the middle of the parking strip")


class WalkSpec(Spec):
    """Walk along a road's sidewalk. Negative speed walks against the centre line's direction."""

    road: str
    side: Side
    start_m: Along
    speed_mps: float
    kerb_m: NotNegative = Field(1.2, description="distance from the kerb")
    from_s: NotNegative = 0.0


class TrackSpanSpec(Spec):
    """Steps without a gap, exactly as recorded. A single number stands for the same number at every step."""

    first_step: Annotated[int, Field(ge=0)]
    num_steps: Annotated[int, Field(ge=1)]
    valid: bool = Field(
        True,
        description="false: the agent is not there; numbers without meaning, for layouts to come back bit by bit",
    )
    x_m: Coordinate | list[Coordinate]
    y_m: Coordinate | list[Coordinate]
    z_m: Coordinate | list[Coordinate]
    heading_rad: Coordinate | list[Coordinate]
    vx_mps: Coordinate | list[Coordinate]
    vy_mps: Coordinate | list[Coordinate]


class AgentSpec(Spec):
    """One agent; exactly one of `waypoints`, `follow`, `walk`, `pose`, `parked`, `track`."""

    id: str
    category: CategoryName
    size_lwh_m: Annotated[list[Positive], Field(min_length=3, max_length=3)] | None = None
    attribute: str | None = None
    source_category: str | None = None
    color: Color | None = Field(None, description="sRGB, 0 to 255")
    present_s: Annotated[list[NotNegative], Field(min_length=2, max_length=2)] | None = None
    waypoints: Annotated[list[WaypointSpec], Field(min_length=1)] | None = None
    follow: FollowSpec | None = None
    walk: WalkSpec | None = None
    pose: PoseSpec | None = None
    parked: ParkedSpec | None = None
    track: Annotated[list[TrackSpanSpec], Field(min_length=1)] | None = None


class AgentRowSpec(Spec):
    """A row of standing agents beside a road: parked cars, cones, barriers. `skip` leaves places empty."""

    id: str
    category: CategoryName = "car"
    size_lwh_m: Annotated[list[Positive], Field(min_length=3, max_length=3)] | None = None
    road: str
    side: Side | None = Field(None, description="in the parking strip of this side")
    left_m: Along | None = Field(None, description="or at this offset from the centre line")
    heading_deg: float = Field(0.0, description="added to the direction of traffic on that side")
    from_m: Along
    to_m: Along
    every_m: Spacing = 6.4
    skip: list[int] = Field(default_factory=list)


class EgoSpec(Spec):
    """The recording car: a route over lanes, or waypoints, or recorded poses (rear axle on the ground)."""

    route: Annotated[list[str], Field(min_length=1)] | None = None
    drive: DriveSpec | None = None
    waypoints: Annotated[list[WaypointSpec], Field(min_length=2)] | None = None
    world_from_ego: list[Annotated[list[Coordinate], Field(min_length=12, max_length=12)]] | None = None
    velocity_mps: list[Point] | None = None


class LayoutSpec(Spec):
    """A whole scene."""

    version: Literal[1]
    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    licence: str = "CC0-1.0"
    duration_s: Annotated[float, Field(gt=0.0, le=3600.0)] = 30.0
    rate_hz: Annotated[float, Field(gt=0.0, le=200.0)] = 12.0
    environment: EnvironmentSpec = Field(default_factory=EnvironmentSpec)
    edits: list[str] = Field(
        default_factory=list, description="what was changed of another layout, in order; it is not done again"
    )
    recorded_until_step: Annotated[int, Field(ge=1)] | None = Field(
        None, description="steps from this one on were added to a recording"
    )
    roads: list[RoadSpec] = Field(default_factory=list)
    num_roads: Annotated[int, Field(ge=0)] | None = None
    crosswalks: list[CrosswalkSpec] = Field(default_factory=list)
    sidewalks: list[SidewalkSpec] = Field(default_factory=list)
    lanes: list[LaneSpec] = Field(default_factory=list)
    lane_lines: list[LaneLineSpec] = Field(default_factory=list)
    areas: list[AreaSpec] = Field(default_factory=list)
    props: list[PropSpec] = Field(default_factory=list)
    agents: list[AgentSpec] = Field(default_factory=list)
    agent_rows: list[AgentRowSpec] = Field(default_factory=list)
    ego: EgoSpec
