"""The layout: everything the user fixes about a scene, before a world or a pixel exists.

Frame `world`: scene-local, metres, z up, the ground at z = 0. All arrays are float64 unless said.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float64

from scenegen.errors import LayoutError
from scenegen.types.taxonomy import AgentCategory
from scenegen.types.timeline import Timeline

WEATHERS = ("clear", "overcast", "rain", "fog")
TIMES_OF_DAY = ("day", "dusk", "night")
STYLES = ("dense_city", "suburb", "rural", "highway", "industrial")
LINE_KINDS = ("solid", "dashed", "double_solid")
DASH_M, DASH_PERIOD_M = 3.0, 7.5
"""Dashes start at the first point of their line."""
DOUBLE_GAP_M = 0.14
"""Between the two strokes of a double line."""
LINE_COLORS = ("white", "yellow")
AREA_KINDS = ("drivable", "sidewalk", "crossing", "parking", "grass", "building", "construction")
MOVING_MPS = 0.2
"""Slower agents stand."""
LANE_KINDS = ("vehicle", "bike", "bus", "walk")
PROP_KINDS = ("tree", "pole", "street_lamp", "traffic_light", "sign", "bollard", "hedge")
USUAL_HEIGHT_M = {"pole": 6.0, "street_lamp": 7.0, "bollard": 0.9, "traffic_light": 3.6, "sign": 2.6}
"""Heights of props that the layout leaves open. What grows has none: the world draws it."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One lane: a centre line in driving direction, and its width."""

    lane_id: str
    centerline_world_m: Float64[np.ndarray, "N 3"]
    width_m: float
    kind: str = "vehicle"
    is_intersection: bool = False
    speed_limit_mps: float | None = None


@dataclass(frozen=True, kw_only=True)
class LaneLine:
    """A painted line on the road."""

    points_world_m: Float64[np.ndarray, "N 3"]
    kind: str = "solid"
    color: str = "white"
    width_m: float = 0.15


@dataclass(frozen=True, kw_only=True)
class Area:
    """A polygon on the ground, corners in order, first not repeated.

    `height_m` matters for kind `building` only. `holes_world_m` are rings cut out of the area.
    """

    kind: str
    polygon_world_m: Float64[np.ndarray, "N 2"]
    holes_world_m: tuple[Float64[np.ndarray, "_ 2"], ...] = ()
    height_m: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Prop:
    """A static thing the layout asks for by name: a tree, a pole, a lamp."""

    kind: str
    position_world_m: Float64[np.ndarray, "2"]
    heading_rad: float = 0.0
    height_m: float | None = None


@dataclass(frozen=True, kw_only=True)
class RoadMap:
    """The static part that the layout knows.

    `lanes` are for driving along; `areas` and `lane_lines` are what is painted on the ground.
    """

    lanes: tuple[Lane, ...] = ()
    lane_lines: tuple[LaneLine, ...] = ()
    areas: tuple[Area, ...] = ()
    props: tuple[Prop, ...] = ()
    num_roads: int = 0

    def areas_of(self, kind: str) -> tuple[Area, ...]:
        """Return the areas of one kind, in order."""
        return tuple(area for area in self.areas if area.kind == kind)


@dataclass(frozen=True, kw_only=True)
class AgentTrack:
    """One agent over the whole timeline. T is the timeline's number of steps.

    Where `valid` is False the other arrays hold finite but meaningless numbers. `center_world_m` is the
    box centre; `velocity_world_mps` is in the world frame and is what labels report.
    """

    agent_id: str
    category: AgentCategory
    size_lwh_m: Float64[np.ndarray, "3"]
    center_world_m: Float64[np.ndarray, "T 3"]
    heading_rad: Float64[np.ndarray, " T"]
    velocity_world_mps: Float64[np.ndarray, "T 2"]
    valid: Bool[np.ndarray, " T"]
    attribute: str = ""
    source_category: str = ""
    color_rgb: tuple[int, int, int] | None = None

    def __post_init__(self) -> None:
        steps = len(self.valid)
        where = f"agent {self.agent_id!r}"
        for name, array, shape in (
            ("size_lwh_m", self.size_lwh_m, (3,)),
            ("center_world_m", self.center_world_m, (steps, 3)),
            ("heading_rad", self.heading_rad, (steps,)),
            ("velocity_world_mps", self.velocity_world_mps, (steps, 2)),
        ):
            if array.shape != shape:
                raise LayoutError(f"{name} of shape {shape}", found=f"{array.shape}", where=where)
            if not np.isfinite(array).all():
                raise LayoutError(f"finite {name}", found="NaN or infinity", where=where)
        if (self.size_lwh_m <= 0.0).any():
            raise LayoutError("a positive size", found=f"{self.size_lwh_m.tolist()}", where=where)


@dataclass(frozen=True, kw_only=True)
class EgoTrack:
    """Pose and velocity of the recording car (rear axle on the ground) at every step."""

    world_from_ego: Float64[np.ndarray, "T 4 4"]
    velocity_world_mps: Float64[np.ndarray, "T 2"]

    def __post_init__(self) -> None:
        if not np.isfinite(self.world_from_ego).all():
            raise LayoutError("finite ego poses", found="NaN or infinity", where="ego")

    @property
    def position_world_m(self) -> Float64[np.ndarray, "T 3"]:
        """Origin of the ego frame."""
        return self.world_from_ego[:, :3, 3]

    @property
    def heading_rad(self) -> Float64[np.ndarray, " T"]:
        """Yaw of the ego x axis, counter-clockwise from world x."""
        return np.arctan2(self.world_from_ego[:, 1, 0], self.world_from_ego[:, 0, 0])


@dataclass(frozen=True, kw_only=True)
class Environment:
    """What the scene looks like beyond geometry.

    Attributes:
        style: the kind of place that fills what the layout leaves open, one of STYLES; None for any mixture.
    """

    weather: str = "clear"
    time_of_day: str = "day"
    prompt: str = ""
    reference_image: str | None = None
    style: str | None = None

    def __post_init__(self) -> None:
        if self.style is not None and self.style not in STYLES:
            raise LayoutError(f"style in {STYLES}, or none", found=repr(self.style), where="environment.style")
        if self.weather not in WEATHERS:
            raise LayoutError(f"weather in {WEATHERS}", found=repr(self.weather), where="environment.weather")
        if self.time_of_day not in TIMES_OF_DAY:
            raise LayoutError(
                f"time_of_day in {TIMES_OF_DAY}", found=repr(self.time_of_day), where="environment.time_of_day"
            )


@dataclass(frozen=True, kw_only=True)
class SourceReport:
    """What an importer found in a source, for people to read; no part of a scene and of its hash.

    Attributes:
        counts: elements of the source by its own words.
        lost: what the source says and the layout does not, one plain sentence each; it quotes foreign names, so what
            does not print becomes a space.
        road_length_m: of the source's reference lines together, where it has any.
    """

    counts: dict[str, int] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    road_length_m: float | None = None

    def __post_init__(self) -> None:
        printed = tuple("".join(c if c.isprintable() else " " for c in what) for what in self.lost)
        object.__setattr__(self, "lost", printed)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A scene as its author or recorder gave it.

    Attributes:
        layout_id: unique name, used in scene ids.
        source: where it came from: `library`, `file`, `procedural`, `av2`, `scenarionet`, ...
        licence: licence of the source data; part of every data set made from it.
        timeline: the source's own rate and length until `extend_layout` resamples it.
        report: what the importer counted and what was lost; None for sources of our own.
        recorded_until_step: steps from this one on were added by `extend_layout`; None where none were.
        edits: what was changed since, in order, each as text that does it again (`layout.edits`). The id stays: it keys
            the world, with the seed, so an edited scene stands in the same place.
    """

    layout_id: str
    source: str
    licence: str
    timeline: Timeline
    road_map: RoadMap
    agents: tuple[AgentTrack, ...]
    ego: EgoTrack
    environment: Environment = field(default_factory=Environment)
    report: SourceReport | None = None
    recorded_until_step: int | None = None
    edits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        steps = self.timeline.num_steps
        if self.recorded_until_step is not None and not 0 < self.recorded_until_step < steps:
            raise LayoutError(
                f"recorded_until_step between 0 and {steps}", found=f"{self.recorded_until_step}", where=self.layout_id
            )
        if len(self.ego.world_from_ego) != steps:
            raise LayoutError(f"{steps} ego poses", found=f"{len(self.ego.world_from_ego)}", where=self.layout_id)
        seen: set[str] = set()
        for agent in self.agents:
            if agent.agent_id in seen:
                raise LayoutError("unique agent ids", found=f"{agent.agent_id!r} twice", where=self.layout_id)
            seen.add(agent.agent_id)
            if len(agent.valid) != steps:
                raise LayoutError(
                    f"{steps} steps", found=f"{len(agent.valid)}", where=f"{self.layout_id}: agent {agent.agent_id!r}"
                )

    def is_recorded(self) -> Bool[np.ndarray, " T"]:
        """Say which steps the source gave; the others were added by `extend_layout`."""
        until = self.recorded_until_step
        return np.arange(self.timeline.num_steps) < (self.timeline.num_steps if until is None else until)
