"""How recordings go on beyond their end: `python -m benchmarks.extension av2:DIR scenarionet:FILE ...`.

Every layout is extended at its own rate, so that the recorded part can be compared bit for bit. Printed per layout:

* whether the recorded part is untouched;
* pairs of boxes that overlap only after the end of the recording, and agents whose presence had to be ended;
* |acceleration| of vehicles by differences of speed, its share within 4 m/s2 and its greatest value, beside the
  same of the recording's last ten seconds; and sideways;
* the greatest jump at the seam: of position against the last recorded velocity, of speed, of heading;
* the share of vehicle steps within two metres of a lane that runs their way.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.layout.extend import extend_layout
from scenegen.layout.overlap import ego_as_agent, new_overlaps
from scenegen.layout.sources import expand_references, read_layout
from scenegen.types.layout import AgentTrack, Layout
from scenegen.types.taxonomy import VEHICLE_CATEGORIES

COMFORTABLE_MPS2 = 4.0
EMERGENCY_MPS2 = 8.0
ON_LANE_M = 2.0
MOVING_MPS = 0.5


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What was measured of one layout."""

    layout_id: str
    recorded_s: float
    seconds: float
    num_moving: int
    num_on_foot: int
    is_untouched: bool
    num_overlaps: int
    num_ended: int
    comfortable_share: float
    hardest_mps2: float
    sideways_mps2: float
    seam_position_m: float
    seam_speed_mps: float
    seam_heading_rad: float
    on_lane_share: float
    recorded_on_lane_share: float
    ego_way_m: float
    ego_end_mps: float


def measure(reference: str, *, duration_s: float) -> Figures:
    """Extend one layout and measure what was added."""
    layout = read_layout(reference)
    began = time.process_time()
    longer = extend_layout(layout, duration_s=duration_s, rate_hz=layout.timeline.rate_hz)
    seconds = time.process_time() - began
    seam = layout.timeline.num_steps - 1
    rate_hz = layout.timeline.rate_hz
    tracks = [*longer.agents, ego_as_agent(longer.ego)]
    present = [track for track in tracks if track.valid[seam]]
    vehicles = [track for track in present if track.category in VEHICLE_CATEGORIES and _moves(track, seam)]
    on_foot = [track for track in present if track.category not in VEHICLE_CATEGORIES and _moves(track, seam)]
    along = np.concatenate([_acceleration(track, seam, rate_hz) for track in vehicles] or [np.zeros(1)])
    ego_m = longer.ego.position_world_m[:, :2]
    return Figures(
        layout_id=layout.layout_id,
        recorded_s=layout.timeline.duration_s,
        seconds=round(seconds, 2),
        num_moving=len(vehicles),
        num_on_foot=len(on_foot),
        is_untouched=_is_untouched(layout, longer),
        num_overlaps=len(new_overlaps(longer, since=seam)),
        num_ended=sum(not track.valid[-1] for track in present),
        comfortable_share=float((np.abs(along) <= COMFORTABLE_MPS2 + 1e-6).mean()),
        hardest_mps2=float(np.abs(along).max()),
        sideways_mps2=max((_sideways(track, seam, rate_hz) for track in vehicles), default=0.0),
        seam_position_m=max((_seam_position(track, seam, rate_hz) for track in vehicles + on_foot), default=0.0),
        seam_speed_mps=max((_seam_speed(track, seam) for track in vehicles + on_foot), default=0.0),
        seam_heading_rad=max((_seam_heading(track, seam) for track in vehicles), default=0.0),
        on_lane_share=_on_lane(longer, vehicles, slice(seam + 1, None)),
        recorded_on_lane_share=_on_lane(longer, vehicles, slice(None, seam + 1)),
        ego_way_m=float(np.linalg.norm(np.diff(ego_m[seam:], axis=0), axis=1).sum()),
        ego_end_mps=float(np.linalg.norm(longer.ego.velocity_world_mps[-1])),
    )


def _moves(track: AgentTrack, seam: int) -> bool:
    way_m = track.center_world_m[seam:, :2][track.valid[seam:]]
    return bool(np.linalg.norm(way_m - way_m[0], axis=1).max() > 0.5)


def _is_untouched(layout: Layout, longer: Layout) -> bool:
    steps = layout.timeline.num_steps
    same = longer.recorded_until_step == steps
    same &= np.array_equal(layout.ego.world_from_ego, longer.ego.world_from_ego[:steps])
    same &= np.array_equal(layout.ego.velocity_world_mps, longer.ego.velocity_world_mps[:steps])
    for before, after in zip(layout.agents, longer.agents, strict=True):
        for name in ("center_world_m", "heading_rad", "velocity_world_mps", "valid"):
            same &= np.array_equal(getattr(before, name), getattr(after, name)[:steps])
    return bool(same)


def _speed(track: AgentTrack, seam: int) -> Float64[np.ndarray, " S"]:
    return np.asarray(np.linalg.norm(track.velocity_world_mps[seam + 1 :][track.valid[seam + 1 :]], axis=1))


def _acceleration(track: AgentTrack, seam: int, rate_hz: float) -> Float64[np.ndarray, " S"]:
    return np.asarray(np.diff(_speed(track, seam)) * rate_hz)


def _sideways(track: AgentTrack, seam: int, rate_hz: float) -> float:
    velocity = track.velocity_world_mps[seam + 1 :][track.valid[seam + 1 :]]
    turned = np.diff(np.unwrap(np.arctan2(velocity[:, 1], velocity[:, 0]))) * rate_hz
    speed = np.linalg.norm(velocity, axis=1)
    speed = np.minimum(speed[1:], speed[:-1])
    return float((np.abs(turned) * speed * (speed > 0.1)).max(initial=0.0))


def _seam_position(track: AgentTrack, seam: int, rate_hz: float) -> float:
    foreseen_m = track.center_world_m[seam, :2] + track.velocity_world_mps[seam] / rate_hz
    return float(np.linalg.norm(track.center_world_m[seam + 1, :2] - foreseen_m))


def _seam_speed(track: AgentTrack, seam: int) -> float:
    before, after = np.linalg.norm(track.velocity_world_mps[seam : seam + 2], axis=1)
    return float(abs(after - before))


def _seam_heading(track: AgentTrack, seam: int) -> float:
    turn = track.heading_rad[seam + 1] - track.heading_rad[seam]
    return float(abs(np.arctan2(np.sin(turn), np.cos(turn))))


def _on_lane(layout: Layout, vehicles: Sequence[AgentTrack], steps: slice) -> float:
    """Return the share of steps of moving vehicles that lie near a lane of their direction."""
    from scipy.spatial import cKDTree

    lanes = [lane.centerline_world_m[:, :2] for lane in layout.road_map.lanes if lane.kind != "walk"]
    points, courses = zip(*(_dense(line) for line in lanes), strict=True)
    tree, course = cKDTree(np.concatenate(points)), np.concatenate(courses)
    on = []
    for track in vehicles:
        moving = track.valid[steps] & (np.linalg.norm(track.velocity_world_mps[steps], axis=1) > MOVING_MPS)
        center_m, heading = track.center_world_m[steps, :2][moving], track.heading_rad[steps][moving]
        for position, rad in zip(center_m, heading, strict=True):
            near = tree.query_ball_point(position, ON_LANE_M)
            on.append(bool(near) and bool((np.cos(course[near] - rad) > np.cos(np.pi / 4)).any()))
    return float(np.mean(on)) if on else 1.0


def _dense(line_m: Float64[np.ndarray, "N 2"]) -> tuple[Float64[np.ndarray, "M 2"], Float64[np.ndarray, " M"]]:
    step_m = np.diff(line_m, axis=0)
    length_m = np.linalg.norm(step_m, axis=1)
    parts = [
        np.linspace(a, b, max(2, int(np.ceil(d)) + 1)) for a, b, d in zip(line_m, line_m[1:], length_m, strict=False)
    ]
    course = [np.full(len(part), np.arctan2(step[1], step[0])) for part, step in zip(parts, step_m, strict=True)]
    return np.concatenate(parts), np.concatenate(course)


def main() -> None:
    """Print a line per layout, and write all figures as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layouts", nargs="+", help="layout references")
    parser.add_argument("--duration-s", type=float, default=30.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = [measure(reference, duration_s=options.duration_s) for reference in expand_references(options.layouts)]
    for row in rows:
        print(
            f"{row.layout_id:24.24} {row.recorded_s:4.1f} s  cpu {row.seconds:5.1f} s  vehicles {row.num_moving:2d}  "
            f"on foot {row.num_on_foot:2d}  untouched {row.is_untouched}  overlaps {row.num_overlaps}  "
            f"ended {row.num_ended}  |a|<=4: {row.comfortable_share:.4f} max {row.hardest_mps2:.2f}  "
            f"sideways {row.sideways_mps2:.1f}  seam {row.seam_position_m:.2f} m {row.seam_speed_mps:.2f} m/s "
            f"{row.seam_heading_rad:.3f} rad  on lanes {row.on_lane_share:.3f} (recorded "
            f"{row.recorded_on_lane_share:.3f})  ego {row.ego_way_m:.0f} m, {row.ego_end_mps:.1f} m/s"
        )
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
