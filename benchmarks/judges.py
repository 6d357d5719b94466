"""How good is the judge itself? Its own figures on ground-truth renders of worlds that it was not trained on.

    python -m benchmarks.judges --json judges.json

Two steps a second, all views. What counts as found is defined in `scenegen.checks.judge_targets`. Pedestrians and
vehicles are counted from 12 px of visible height on; positions and velocities are compared on the ground plane, of
one view at a time; a velocity is the difference of two judged positions of the same agent half a second apart.
`--sweep` prints recall and precision over the score that counts as found, for choosing it on training worlds.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from scenegen.checks.classes import AGENT_KINDS, JudgeClass, judge_labels
from scenegen.checks.control import ControlScore
from scenegen.checks.judge import FOUND_SCORE, Judge, Verdict, judge_frames, load_judge
from scenegen.checks.judge_targets import (
    FoundAgents,
    TrueAgents,
    agent_positions_ego_m,
    match_agents,
    rig_rays_ego,
    true_agents,
)
from scenegen.config import RigConfig, parse_config
from scenegen.geometry.rigid import transform_points
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import expand_references, read_layout
from scenegen.rig import build_rig
from scenegen.scene import SceneStage
from scenegen.training.excerpts import cut_excerpt
from scenegen.types import CameraRig
from scenegen.video.build import load_backbone

RATE_HZ = 2.0
MIN_HEIGHT_PX = 12
LOW_SCORE = 0.1
SWEEP = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)


@dataclass(kw_only=True)
class KindTally:
    """Agents of one kind, over all frames.

    Attributes:
        height_px, best_score: of every true agent asked for: its visible height, and the score it was found with
            (0 where it was not).
        false_score: scores of agents that are not there.
        position_error_m, range_error, velocity_error_mps: of agents of MIN_HEIGHT_PX found with enough score; the
            range error is relative.
    """

    height_px: list[int] = field(default_factory=list)
    best_score: list[float] = field(default_factory=list)
    false_score: list[float] = field(default_factory=list)
    position_error_m: list[float] = field(default_factory=list)
    range_error: list[float] = field(default_factory=list)
    velocity_error_mps: list[float] = field(default_factory=list)

    def recall(self, score: float, *, min_height_px: int) -> float:
        """Return the share found, of those at least so high."""
        is_tall = np.array(self.height_px) >= min_height_px
        return float((np.array(self.best_score)[is_tall] >= score).mean()) if is_tall.any() else float("nan")

    def precision(self, score: float) -> float:
        """Return the share of found agents that are there."""
        num_right = int((np.array(self.best_score) >= score).sum())
        num_false = int((np.array(self.false_score) >= score).sum())
        return num_right / max(num_right + num_false, 1)


@dataclass(kw_only=True)
class JudgeTally:
    """Everything measured."""

    control: ControlScore = field(default_factory=ControlScore)
    kinds: dict[JudgeClass, KindTally] = field(default_factory=lambda: {kind: KindTally() for kind in AGENT_KINDS})
    pixel_range_error: list[float] = field(default_factory=list)


def keep_score(found: FoundAgents, min_score: tuple[float, ...]) -> FoundAgents:
    """Return the agents whose score is enough for their kind."""
    wanted = np.array([min_score[AGENT_KINDS.index(JudgeClass(int(kind)))] for kind in found.kind])
    chosen = found.score >= wanted.reshape(found.score.shape)
    return FoundAgents(**{name: getattr(found, name)[chosen] for name in FoundAgents.__dataclass_fields__})


def add_scores(tally: JudgeTally, found: FoundAgents, truth: TrueAgents) -> None:
    """Add one frame to recall and precision at every score."""
    match = match_agents(found, truth)
    for i in np.nonzero(truth.is_asked | (truth.visible_height_px >= MIN_HEIGHT_PX))[0]:
        kind, partner = tally.kinds[JudgeClass(int(truth.kind[i]))], match.found_of_true[i]
        kind.height_px.append(int(truth.visible_height_px[i]))
        kind.best_score.append(float(found.score[partner]) if partner >= 0 else 0.0)
    for j in np.nonzero(match.is_false)[0]:
        tally.kinds[JudgeClass(int(found.kind[j]))].false_score.append(float(found.score[j]))


def judge_scene(
    tally: JudgeTally, judge: Judge, reference: str, *, rig: CameraRig, start_s: float, seconds: float
) -> None:
    """Render a scene as the preview does, judge it and add the figures."""
    whole = extend_layout(read_layout(reference), duration_s=start_s + seconds, rate_hz=RATE_HZ)
    layout = cut_excerpt(whole, start_step=round(start_s * RATE_HZ), num_steps=round(seconds * RATE_HZ))
    stage = SceneStage(layout, rig=rig, seed=0)
    session = load_backbone("preview", steps=1, weights=None).open_session(stage.context)
    rays = rig_rays_ego(rig)
    before: dict[tuple[int, int], np.ndarray] = {}
    for step in range(layout.timeline.num_steps):
        maps = stage.render_conditions(step, step + 1)
        rgb = session.paint(maps, start_step=step)[:, 0]
        verdict = judge_frames(judge, rgb, ray_ego=rays, min_score=(LOW_SCORE,) * len(AGENT_KINDS))
        tally.control.add(verdict.labels, judge_labels(maps.semantic[:, 0], maps.material[:, 0]))
        add_pixel_ranges(tally, verdict, maps.depth_m[:, 0], rays, rig)
        ego = layout.ego.world_from_ego[step]
        now: dict[tuple[int, int], np.ndarray] = {}
        for v, camera in enumerate(rig.cameras):
            truth = true_agents(layout, camera, step=step, instance=maps.instance[v, 0])
            add_scores(tally, verdict.agents[v], truth)
            found = keep_score(verdict.agents[v], FOUND_SCORE)
            partner = match_agents(found, truth).found_of_true
            for i in np.nonzero((partner >= 0) & (truth.visible_height_px >= MIN_HEIGHT_PX))[0]:
                j, index = partner[i : i + 1], int(truth.index[i])
                place = agent_positions_ego_m(found.center_px[j], found.range_m[j], camera=camera)
                place_world_m = transform_points(ego, place)[0, :2]
                kind = tally.kinds[JudgeClass(int(truth.kind[i]))]
                track = layout.agents[index].center_world_m
                kind.position_error_m.append(float(np.linalg.norm(place_world_m - track[step, :2])))
                kind.range_error.append(float(abs(found.range_m[j[0]] / truth.range_m[i] - 1.0)))
                now[v, index] = place_world_m
                if (v, index) in before:
                    moved_m = place_world_m - before[v, index] - (track[step, :2] - track[step - 1, :2])
                    kind.velocity_error_mps.append(float(np.linalg.norm(moved_m) * RATE_HZ))
        before = now


def add_pixel_ranges(
    tally: JudgeTally, verdict: Verdict, depth_m: np.ndarray, rays: np.ndarray, rig: CameraRig
) -> None:
    """Add the relative range errors of every 50th pixel that shows something nearer than 100 m."""
    forward = np.stack([rays[v] @ camera.ego_from_cam[:3, 2] for v, camera in enumerate(rig.cameras)])
    shown = (depth_m < 100.0) & (forward > 0.0)
    truth = depth_m[shown] / forward[shown]
    tally.pixel_range_error.extend(np.abs(verdict.range_m[shown] / truth - 1.0)[::50].tolist())


def spread(values: list[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return {f"p{q}": float(np.percentile(values, q)) if values else float("nan") for q in (50, 95)}


def summarise(tally: JudgeTally) -> dict[str, object]:
    """Turn tallies into figures."""
    agents = {
        kind.name.lower(): {
            "num_asked": int((np.array(values.height_px) >= MIN_HEIGHT_PX).sum()),
            "recall": values.recall(score, min_height_px=MIN_HEIGHT_PX),
            "precision": values.precision(score),
            "range_error_p50": spread(values.range_error)["p50"],
            **{f"position_error_m_{name}": value for name, value in spread(values.position_error_m).items()},
            **{f"velocity_error_mps_{name}": value for name, value in spread(values.velocity_error_mps).items()},
        }
        for (kind, values), score in zip(tally.kinds.items(), FOUND_SCORE, strict=True)
    }
    return {
        "miou": tally.control.miou,
        "class_iou": tally.control.class_iou(),
        "pixel_range_error": spread(tally.pixel_range_error),
        "agents": agents,
    }


def main() -> None:
    """Run the benchmark, print the figures, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", default=["crossing_pedestrian", "procedural:1-9"])
    parser.add_argument("--start-s", type=float, default=8.0)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rig", type=Path, default=Path("conf/rig/nuscenes6.yaml"))
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--sweep", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rig = build_rig(parse_config(RigConfig, yaml.safe_load(arguments.rig.read_text())))
    judge, tally = load_judge(arguments.weights), JudgeTally()
    references = expand_references(arguments.layouts)
    for reference in references:
        began = time.monotonic()
        judge_scene(tally, judge, reference, rig=rig, start_s=arguments.start_s, seconds=arguments.seconds)
        print(f"{reference}: {time.monotonic() - began:.0f} s", flush=True)
    result = summarise(tally) | {"layouts": references, "rig": rig.name, "found_score": FOUND_SCORE}
    print(json.dumps(result, indent=1))
    if arguments.sweep:
        for kind, values in tally.kinds.items():
            for score in SWEEP:
                recall, precision = values.recall(score, min_height_px=MIN_HEIGHT_PX), values.precision(score)
                print(f"{kind.name:13s} score {score:.2f}  recall {recall:.3f}  precision {precision:.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
