"""Scores of rolled-out clips as sums that can be added, so that a bootstrap over clips costs nothing.

Nothing here is new: the measures are those of `scenegen.checks`. Figures of the tables are ratios to the same figure
of the ground-truth frames of the same clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.ablations.clips import Clip
from scenegen.checks.agents import AgentScore, score_view
from scenegen.checks.classes import judge_labels
from scenegen.checks.control import ControlScore
from scenegen.checks.fidelity import frechet_distance, laplacian_energy
from scenegen.checks.judge import Judge, judge_features, judge_frames
from scenegen.checks.judge_targets import rig_rays_ego, true_agents
from scenegen.checks.overlap import overlap_difference
from scenegen.checks.temporal import measure_change

NUM_DRAWS = 500
BLOCK_STEPS = 24

Unit = dict[str, Any]
"""Sums over one judged step of a clip, ready for JSON; `clip` and `step` name it."""


def score_clip(judge: Judge, clip: Clip, frames: np.ndarray) -> list[Unit]:
    """Score the judged steps of a clip's frames (V T H W 3)."""
    return [score_step(judge, clip, frames, step=step) for step in clip.judged]


def score_step(judge: Judge, clip: Clip, frames: np.ndarray, *, step: int) -> Unit:
    """Score all views of one step."""
    rays = rig_rays_ego(clip.rig)
    verdict = judge_frames(judge, frames[:, step], ray_ego=rays)
    control, agents = ControlScore(), AgentScore()
    control.add(verdict.labels, judge_labels(clip.maps.semantic[:, step], clip.maps.material[:, step]))
    centers = np.full((len(clip.layout.agents), 3), np.nan)
    for view, camera in enumerate(clip.rig.cameras):
        instance = clip.maps.instance[view, step]
        truth = true_agents(clip.layout, camera, step=step, instance=instance)
        agents.add_view(score_view(verdict.agents[view], truth, camera=camera, instance=instance), centers)
    change = measure_change(frames[:, step - 2 : step + 1], clip.tracks[step])
    overlap_sum, num_overlap = overlap_difference(frames, clip.overlaps[step])
    features = judge_features(judge, frames[:, step], ray_ego=rays)
    return {
        "clip": clip.name,
        "step": step,
        "confusion": control.confusion.tolist(),
        "asked": agents.num_asked.tolist(),
        "found": agents.num_found.tolist(),
        "reported": agents.num_reported,
        "invented": agents.num_invented,
        "energy": laplacian_energy(frames[:, step]),
        "steps": 1,
        "warp_sum": change.warp_sum,
        "num_warp": change.num_warp,
        "overlap_sum": overlap_sum,
        "num_overlap": num_overlap,
        "features": np.round(features, 4).tolist(),
    }


def add_up(units: Sequence[Unit], name: str) -> np.ndarray:
    """Add one sum over units."""
    return np.sum([unit[name] for unit in units], axis=0, dtype=np.float64)


def _miou(units: Sequence[Unit]) -> float:
    return ControlScore(confusion=add_up(units, "confusion").astype(np.int64)).miou


def _quotient(top: str, bottom: str) -> Callable[[Sequence[Unit]], float]:
    return lambda units: float(add_up(units, top) / max(float(add_up(units, bottom)), 1e-9))


def _recall(group: int) -> Callable[[Sequence[Unit]], float]:
    return lambda units: float(add_up(units, "found")[group] / max(add_up(units, "asked")[group], 1e-9))


FIGURES: dict[str, Callable[[Sequence[Unit]], float]] = {
    "miou": _miou,
    "pedestrian_recall": _recall(0),
    "vehicle_recall": _recall(1),
    "sharpness": _quotient("energy", "steps"),
    "warp_error": _quotient("warp_sum", "num_warp"),
    "overlap_error": _quotient("overlap_sum", "num_overlap"),
}


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A figure with the middle 95 % of what it is when blocks of clips are drawn anew, with replacement."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def ratio_of(model: Sequence[Unit], reference: Sequence[Unit], figure: str) -> Interval:
    """Divide a figure by that of a reference on the same units; blocks are drawn, and both together."""
    of, blocks = FIGURES[figure], find_blocks(model)
    generator = np.random.default_rng(0)
    draws = []
    for _ in range(NUM_DRAWS):
        picks = [k for block in generator.integers(len(blocks), size=len(blocks)) for k in blocks[block]]
        draws.append(of([model[k] for k in picks]) / max(of([reference[k] for k in picks]), 1e-9))
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return Interval(value=of(model) / max(of(reference), 1e-9), low=float(low), high=float(high))


def find_blocks(units: Sequence[Unit]) -> list[list[int]]:
    """Return the indices of the units of each block: of a clip, or of BLOCK_STEPS steps of a long one."""
    keys = [(unit["clip"], unit["step"] // BLOCK_STEPS) for unit in units]
    return [[k for k, key in enumerate(keys) if key == wanted] for wanted in dict.fromkeys(keys)]


def feature_distance(model: Sequence[Unit], reference: Sequence[Unit]) -> float:
    """Return the Frechet distance of the judge's features; for ranks only, the clips are few."""
    one, other = (np.concatenate([np.float32(unit["features"]) for unit in units]) for units in (model, reference))
    return frechet_distance(one, other)


def last_over_first(model: Sequence[Unit], reference: Sequence[Unit], figure: str) -> float:
    """Return the ratio to the reference in the last third of the steps over that in the first third."""
    last_step = max(unit["step"] for unit in model) + 1
    thirds = []
    for start, stop in ((0.0, 1 / 3), (2 / 3, 1.0)):
        picks = [k for k, unit in enumerate(model) if start * last_step <= unit["step"] < stop * last_step]
        of = FIGURES[figure]
        thirds.append(of([model[k] for k in picks]) / max(of([reference[k] for k in picks]), 1e-9))
    return thirds[1] / max(thirds[0], 1e-9)
