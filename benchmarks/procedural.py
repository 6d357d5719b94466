"""Random layouts, many of them: `python -m benchmarks.procedural --seeds 10000 --json FILE`.

Every seed is drawn, validated, tested for boxes that overlap at any step, and hashed without its name; every
hundredth is drawn again by another process at the end and must have the same hash. What fails is listed and makes the
exit code 1.
`--head rural/` or `--head jaywalker/` takes the seeds of a style or of an event (`procedural:jaywalker/SEED`).

Figures of a scene: agents by category; speeds (agents that move at all, means over their steps); kind of road and
number of arms that meet; crossings; the ego's way; its smallest time to collision, which is the first moment, within
four seconds, at which two boxes overlap that keep the velocity and heading of now (looked at once a second).
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import multiprocessing
import os
import resource
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenegen.layout.overlap import boxes_overlap, ego_as_agent, find_overlaps
from scenegen.layout.procedural_reference import read_procedural
from scenegen.layout.validate import find_problem
from scenegen.types.layout import MOVING_MPS, Layout
from scenegen.types.taxonomy import AgentCategory

AHEAD_S = np.arange(0.0, 4.01, 0.25)
NEAR_M = 70.0
KINDS = {
    "a street": "straight",
    "a bending street": "curve",
    "a winding street": "s_curve",
    "a crossroads": "crossroads",
    "a T-junction": "t_junction",
    "a roundabout": "roundabout",
}


@dataclass(frozen=True, kw_only=True)
class SceneFigures:
    """What was measured of one seed; `problem` is empty for a sound scene."""

    seed: int
    content_sha256: str
    problem: str
    kind: str
    num_arms: int
    num_crossings: int
    weather: str
    time_of_day: str
    agents: dict[str, int]
    num_moving: int
    speeds_mps: dict[str, list[float]]
    ego_way_m: float
    ego_mean_mps: float
    person_share: float
    min_ttc_s: float | None


def measure(location: str, seed: int) -> SceneFigures:
    """Draw one seed and measure it."""
    layout = read_procedural(f"{location}{seed}")
    found, overlaps = find_problem(layout), find_overlaps(layout)
    problem = "" if found is None else f"{found.subject}: expected {found.expected}, found {found.found}"
    if overlaps:
        problem = f"{problem} {overlaps[0]} overlap".strip()
    words = layout.environment.prompt
    speeds: dict[str, list[float]] = {}
    for agent in layout.agents:
        speed_mps = np.linalg.norm(agent.velocity_world_mps[agent.valid], axis=1)
        if len(speed_mps) and speed_mps.max() > MOVING_MPS:
            speeds.setdefault(agent.category.label, []).append(round(float(speed_mps.mean()), 2))
    ego_m = layout.ego.position_world_m[:, :2]
    way_m = float(np.linalg.norm(np.diff(ego_m, axis=0), axis=1).sum())
    return SceneFigures(
        seed=seed,
        content_sha256=content_sha256(layout),
        problem=problem,
        kind=next(kind for text, kind in KINDS.items() if words.startswith(text)),
        num_arms=layout.road_map.num_roads if layout.road_map.num_roads > 1 else 0,
        num_crossings=len(layout.road_map.areas_of("crossing")),
        weather=layout.environment.weather,
        time_of_day=layout.environment.time_of_day,
        agents=dict(Counter(agent.category.label for agent in layout.agents)),
        num_moving=sum(len(values) for values in speeds.values()),
        speeds_mps=speeds,
        ego_way_m=way_m,
        ego_mean_mps=way_m / layout.timeline.duration_s,
        person_share=_person_share(layout),
        min_ttc_s=min_time_to_collision(layout),
    )


def content_sha256(layout: Layout) -> str:
    """Hash the arrays and the words of a layout, but not its name: a fifth of the time of `layout_sha256`."""
    content = hashlib.sha256()
    parts: list[Any] = [layout.ego, layout.environment, *layout.road_map.props, *layout.agents]
    parts += [*layout.road_map.lanes, *layout.road_map.lane_lines, *layout.road_map.areas]
    for part in parts:
        for value in vars(part).values():
            rings = value if isinstance(value, tuple) else (value,)
            for ring in rings:
                content.update(
                    np.ascontiguousarray(ring).tobytes() if isinstance(ring, np.ndarray) else str(ring).encode()
                )
                content.update(b"|")
    return content.hexdigest()


def _person_share(layout: Layout) -> float:
    """Return the share of steps with somebody on foot within 20 m of the ego."""
    near = np.zeros(layout.timeline.num_steps, bool)
    for agent in layout.agents:
        if agent.category is AgentCategory.PEDESTRIAN:
            apart_m = agent.center_world_m[:, :2] - layout.ego.position_world_m[:, :2]
            near |= agent.valid & (np.abs(apart_m).max(axis=1) < 20.0)
    return float(near.mean())


def min_time_to_collision(layout: Layout) -> float | None:
    """Return the smallest time to collision of the ego in seconds, None where it is never below four.

    A pair collides at the first of `AHEAD_S` at which their boxes overlap if both keep velocity and heading.
    """
    ego, step_s = ego_as_agent(layout.ego), round(layout.timeline.rate_hz)
    steps = np.arange(0, layout.timeline.num_steps, step_s)
    best = np.inf
    for agent in layout.agents:
        apart_m = agent.center_world_m[steps, :2] - ego.center_world_m[steps, :2]
        rows = steps[agent.valid[steps] & (np.abs(apart_m).max(axis=1) < NEAR_M)]
        if not len(rows):
            continue
        moved_mps = agent.velocity_world_mps[rows] - ego.velocity_world_mps[rows]
        gone_m = (agent.center_world_m[rows, :2] - ego.center_world_m[rows, :2])[:, None]
        gone_m = (gone_m + AHEAD_S[None, :, None] * moved_mps[:, None]).reshape(-1, 2)
        reach_m = 0.5 * float(np.linalg.norm(agent.size_lwh_m[:2]) + np.linalg.norm(ego.size_lwh_m[:2]))
        near = np.flatnonzero((gone_m**2).sum(axis=1) < reach_m**2)
        near = near[AHEAD_S[near % len(AHEAD_S)] < best]
        if not len(near):
            continue
        step = rows[near // len(AHEAD_S)]
        hit = boxes_overlap(
            np.zeros((len(near), 2)),
            ego.heading_rad[step],
            np.tile(0.5 * ego.size_lwh_m[:2], (len(near), 1)),
            gone_m[near],
            agent.heading_rad[step],
            np.tile(0.5 * agent.size_lwh_m[:2], (len(near), 1)),
        )
        if hit.any():
            best = float(AHEAD_S[near[hit] % len(AHEAD_S)].min())
    return None if np.isinf(best) else best


def _measure_job(job: tuple[str, int]) -> SceneFigures:
    return measure(*job)


def _hash_job(job: tuple[str, int]) -> str:
    return content_sha256(read_procedural(f"{job[0]}{job[1]}"))


def summarise(rows: Sequence[SceneFigures]) -> dict[str, Any]:
    """Put the figures of many scenes together."""
    per_scene = {
        "agents": [sum(row.agents.values()) for row in rows],
        "moving agents": [row.num_moving for row in rows],
        **{
            f"{category.label}s": [row.agents.get(category.label, 0) for row in rows]
            for category in AgentCategory
            if any(category.label in row.agents for row in rows)
        },
        "crossings": [row.num_crossings for row in rows],
        "ego's way, m": [row.ego_way_m for row in rows],
        "ego's mean speed, m/s": [row.ego_mean_mps for row in rows],
        "share of steps with a person within 20 m": [row.person_share for row in rows],
    }
    speeds: dict[str, list[float]] = {}
    for row in rows:
        for category, values in row.speeds_mps.items():
            speeds.setdefault(category, []).extend(values)
    ttc = [row.min_ttc_s for row in rows if row.min_ttc_s is not None]
    return {
        "per_scene": {name: _spread(values) for name, values in per_scene.items()},
        "speeds_mps": {name: {**_spread(values), "agents": len(values)} for name, values in sorted(speeds.items())},
        "shares": {
            "road": _shares([row.kind for row in rows]),
            "arms": _shares([str(row.num_arms) for row in rows]),
            "crossings": _shares([str(row.num_crossings) for row in rows]),
            "weather": _shares([row.weather for row in rows]),
            "time of day": _shares([row.time_of_day for row in rows]),
        },
        "min_ttc": {
            "below_4_s": len(ttc) / len(rows),
            **{f"below_{bound:g}_s": float(np.mean([value < bound for value in ttc])) * len(ttc) / len(rows)
               for bound in (1.0, 2.0, 3.0)},
        } if ttc else {"below_4_s": 0.0},
    }  # fmt: skip


def _spread(values: Sequence[float]) -> dict[str, float]:
    array = np.asarray(values, np.float64)
    low, middle, high = (round(float(v), 3) for v in np.percentile(array, [5.0, 50.0, 95.0]))
    return {"mean": round(float(array.mean()), 3), "p5": low, "median": middle, "p95": high,
            "least": round(float(array.min()), 3), "most": round(float(array.max()), 3)}  # fmt: skip


def _shares(values: Sequence[str]) -> dict[str, float]:
    return {name: round(count / len(values), 4) for name, count in sorted(Counter(values).items())}


def run(location: str, seeds: range, workers: int) -> dict[str, Any]:
    """Measure seeds over processes and return everything as plain values."""
    began = time.perf_counter()
    jobs = [(location, seed) for seed in seeds]
    gc.freeze()  # what is loaded by now is no garbage: workers need not look through it
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        rows = list(pool.imap(_measure_job, jobs, chunksize=20))
        wall_s = time.perf_counter() - began
        again = pool.map(_hash_job, jobs[::100], chunksize=1)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    changed = [row.seed for row, sha256 in zip(rows[::100], again, strict=True) if row.content_sha256 != sha256]
    counts = Counter(row.content_sha256 for row in rows)
    together = hashlib.sha256("".join(row.content_sha256 for row in rows).encode()).hexdigest()
    return {
        "location": f"procedural:{location}{seeds.start}-{seeds.stop - 1}",
        "scenes": len(rows),
        "workers": workers,
        "clock_s": round(wall_s, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "different": len(counts),
        "drawn_again": len(again),
        "changed": changed,
        "sha256_of_all": together,
        "problems": [{"seed": row.seed, "problem": row.problem} for row in rows if row.problem],
        "statistics": summarise(rows),
    }


def main() -> int:
    """Print the counts and the statistics; write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--head", default="", help="what stands before the seed, for example rural/ or jaywalker/")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = run(options.head, range(options.first, options.first + options.seeds), options.workers)
    print(json.dumps({name: value for name, value in result.items() if name != "statistics"}, indent=1))
    for name, spread in result["statistics"]["per_scene"].items():
        print(f"{name:42} mean {spread['mean']:8.2f}   5 % {spread['p5']:8.2f}   median {spread['median']:8.2f}   "
              f"95 % {spread['p95']:8.2f}   most {spread['most']:8.2f}")  # fmt: skip
    print(json.dumps(result["statistics"]["shares"]), json.dumps(result["statistics"]["min_ttc"]))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    is_sound = not result["problems"] and not result["changed"] and result["different"] == result["scenes"]
    return 0 if is_sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
