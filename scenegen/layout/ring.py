"""Random streets that close on themselves, with traffic that is back where it began after a lap: drives without end.

Everything moves with the lap as its period: both directions drive round once, people walk up and down.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.motion import EGO_CENTER_FROM_AXLE_M, Travel, default_attribute, track_along
from scenegen.layout.paths import Path, place
from scenegen.layout.procedural_draws import draw_size
from scenegen.layout.procedural_roads import Entry, RoadPlan, draw_section, lane_path
from scenegen.layout.procedural_traffic import FAR_PERSON_M, FAR_VEHICLE_M, Traffic
from scenegen.layout.road_style import MIXED_ROADS, ROAD_STYLES
from scenegen.layout.roads import build_road
from scenegen.layout.traffic_mix import DRAWN_MIX, TrafficMix
from scenegen.types.layout import AgentTrack
from scenegen.types.taxonomy import AgentCategory

LEAST_LAP_S = 20
CRUISE_MPS = (7.0, 9.0)
RADIUS_M = (20.0, 30.0)
MOST_SIDEWAYS_MPS2 = 2.5
LEAST_STRAIGHT_M = 25.0
STROLL_M = (2.0, 5.5)
"""Half of the way that people walk up and down in a lap of 30 s; longer in longer laps."""
TURN_M = 0.3
"""Half of the width of the loop in which they walk."""
EGO_GAP_M = 14.0
"""Centre to centre, along the lane."""


def plan_ring(rng: np.random.Generator, *, lap_s: float, style: str | None = None) -> RoadPlan:
    """Draw a closed street: two straights and two bends to the left, in the middle of one of which the ego starts.

    Raises:
        LayoutError: the lap is too short.
    """
    if lap_s < LEAST_LAP_S:
        raise LayoutError(f"a lap of at least {LEAST_LAP_S} s", found=f"{lap_s:g} s", where="procedural:ring")
    section = draw_section(rng, most_lanes=1, style=MIXED_ROADS if style is None else ROAD_STYLES[style])
    cruise_mps = float(rng.uniform(*CRUISE_MPS))
    comfortable_m = max(float(rng.uniform(*RADIUS_M)), cruise_mps**2 / MOST_SIDEWAYS_MPS2)
    lane_radius_m = min(comfortable_m, (cruise_mps * lap_s - 2.0 * LEAST_STRAIGHT_M) / (2.0 * np.pi))
    straight_m = 0.5 * cruise_mps * lap_s - np.pi * lane_radius_m
    line_m = closed_line(lane_radius_m - 0.5 * section.lane_width_m, straight_m)
    heading_rad = 0.5 * np.pi * int(rng.integers(4))
    road = build_road("road", place(line_m, at_m=(0.0, 0.0), heading_rad=heading_rad), section=section)
    entries = tuple(Entry(paths=(lane_path([lane]),)) for lane in road.lanes)
    return RoadPlan(
        kind="ring",
        pieces=(road,),
        lines=(),
        areas=(),
        entries=entries,
        crosswalks=(),
        ego_start_m=0.0,
        ego_cruise_mps=entries[0].paths[0].length_m / lap_s,
        duration_s=lap_s,
    )


def closed_line(radius_m: float, straight_m: float) -> Float64[np.ndarray, "N 2"]:
    """Return two straights joined by half circles, anticlockwise, from the middle of the lower one back to it."""
    half_m, bend = 0.5 * straight_m, np.linspace(-0.5 * np.pi, 0.5 * np.pi, max(16, int(np.pi * radius_m)))
    circle_m = radius_m * np.stack([np.cos(bend), np.sin(bend)], axis=1)
    aside_m, begin_m = np.array([half_m, 0.0]), np.array([[0.0, -radius_m]])
    line_m = np.concatenate([begin_m, circle_m + aside_m, -circle_m - aside_m, begin_m])
    return np.asarray(line_m - begin_m)


class RingTraffic(Traffic):
    """Traffic with the lap as its period."""

    def __init__(
        self,
        plan: RoadPlan,
        times_s: Float64[np.ndarray, " T"],
        rng: np.random.Generator,
        *,
        mix: TrafficMix = DRAWN_MIX,
    ) -> None:
        """Begin with the ego, which drives round once."""
        self._lap = times_s / plan.duration_s
        ego_m = plan.entries[0].paths[0].length_m
        travel = Travel(ego_m * self._lap, np.full(len(times_s), ego_m / plan.duration_s))
        super().__init__(plan, times_s, rng, ego_travel=travel, mix=mix)

    def fill(self) -> None:
        """Add vehicles of both directions, parked ones and people."""
        own, *others = (entry.paths[0] for entry in self._plan.entries)
        self._circulate(own, begin_m=EGO_CENTER_FROM_AXLE_M + EGO_GAP_M)
        for path in others:
            self._circulate(path, begin_m=0.0)
        for frame in self._plan.frames:
            self._add_parked(frame)
        for _ in range(self._mix.num_people(int(12 + self._rng.integers(0, 40) * self._density), self._way_km())):
            self._pace()

    def _circulate(self, path: Path, *, begin_m: float) -> None:
        """Spread vehicles over a lane; all go round once in the same time, so that none comes near another."""
        rng, shares = self._rng, self._mix.moving
        at_m = begin_m + float(rng.exponential(18.0 / self._density))
        while at_m < path.length_m - EGO_GAP_M:
            category = AgentCategory(int(rng.choice([c.value for c in shares], p=list(shares.values()))))
            size_lwh_m = draw_size(rng, category)
            s_m = (at_m + 0.5 * size_lwh_m[0] + path.length_m * self._lap) % path.length_m
            track = track_along(
                path,
                Travel(s_m, np.full(len(s_m), path.length_m / self._plan.duration_s)),
                agent_id=self._name(category),
                category=category,
                size_lwh_m=size_lwh_m,
            )
            self._accept(track, margin_m=0.4, reach_m=FAR_VEHICLE_M)
            at_m += size_lwh_m[0] + 7.0 + float(rng.exponential(26.0 / self._density))

    def _pace(self) -> None:
        """Let somebody stand at the roadside, or walk up and down once in a lap, turning at the ends."""
        rng, (frame,) = self._rng, self._plan.frames
        section = frame.section
        if section.sidewalk_m == 0.0:
            return
        side = float(rng.choice([-1.0, 1.0]))
        kerb_m = section.kerb_left_m if side > 0.0 else section.kerb_right_m
        left_m = kerb_m + side * float(rng.uniform(0.5, max(0.55, section.sidewalk_m - 0.5)))
        is_standing = rng.random() < 0.3
        reach_m = float(rng.uniform(*STROLL_M)) * self._plan.duration_s / 30.0
        middle_m = float(rng.uniform(reach_m, frame.path.length_m - reach_m))
        phase = 2.0 * np.pi * (float(rng.random()) + (np.zeros_like(self._lap) if is_standing else self._lap))
        at = frame.path.at(middle_m + reach_m * np.sin(phase))
        normal = np.stack([-np.sin(at.heading_rad), np.cos(at.heading_rad)], axis=1)
        position_m = at.position_m + (left_m + TURN_M * np.cos(phase))[:, None] * normal
        # Central differences round the lap.
        step_s = self._times_s[1] - self._times_s[0]
        velocity_mps = (np.roll(position_m, -1, axis=0) - np.roll(position_m, 1, axis=0)) / (2.0 * step_s)
        heading_rad = np.unwrap(np.arctan2(velocity_mps[:, 1], velocity_mps[:, 0]))
        if is_standing:
            heading_rad = at.heading_rad - side * 0.5 * np.pi + float(rng.normal(0.0, 0.6))
        category = AgentCategory.PEDESTRIAN
        size_lwh_m = draw_size(rng, category)
        track = AgentTrack(
            agent_id=self._name(category),
            category=category,
            size_lwh_m=np.asarray(size_lwh_m),
            center_world_m=np.column_stack([position_m, np.full(len(position_m), 0.5 * size_lwh_m[2])]),
            heading_rad=heading_rad,
            velocity_world_mps=velocity_mps,
            valid=np.ones(len(position_m), bool),
            attribute=default_attribute(category, float(np.linalg.norm(velocity_mps, axis=1).max())),
            source_category=category.label,
        )
        self._accept(track, margin_m=0.05, reach_m=FAR_PERSON_M)
