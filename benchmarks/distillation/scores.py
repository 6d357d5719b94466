"""What the judge says of clips, as sums that can be added, and figures over many clips with paired intervals.

The measures are those of `scenegen.checks`. Two painters are compared on the same clips: layouts are drawn anew with
replacement, both painters' figures are taken over the same draw, and their relative difference is kept (paired
bootstrap; clips of one layout stay together, for they share a world).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from benchmarks.distillation.clips import NUM_STEPS, PairClip
from scenegen.checks.agents import AgentScore, score_view
from scenegen.checks.classes import judge_labels
from scenegen.checks.control import ControlScore
from scenegen.checks.fidelity import frechet_distance, laplacian_energy
from scenegen.checks.judge_targets import rig_rays_ego, true_agents
from scenegen.checks.overlap import overlap_difference
from scenegen.checks.temporal import measure_change
from scenegen.evaluation.figures import percentile
from scenegen.evaluation.judging import LearnedJudge
from scenegen.geometry.rigid import invert_rigid, transform_points

NUM_DRAWS = 200
Frames = UInt8[np.ndarray, "V T H W 3"]


@dataclass(frozen=True, kw_only=True)
class ClipScore:
    """Sums over one clip of one painter; lists are per group of agents (pedestrians, vehicles)."""

    layout: str
    confusion: list[list[int]]
    asked: list[int]
    found: list[int]
    reported: int
    invented: int
    position_error_m: list[list[float]]
    energy: float
    warp: tuple[float, int]
    flicker: tuple[float, int]
    overlap: tuple[float, int]
    features: list[list[float]]


def score_clip(judge: LearnedJudge, clip: PairClip, frames: Frames) -> ClipScore:
    """Score all steps of a clip; change and overlap in the last."""
    control, agents = ControlScore(), AgentScore()
    features = []
    rays = rig_rays_ego(clip.rig)
    for step in range(NUM_STEPS):
        verdict = judge.verdict(frames[:, step], ray_ego=rays)
        features.append(judge.features(frames[:, step], ray_ego=rays))
        control.add(verdict.labels, judge_labels(clip.maps.semantic[:, step], clip.maps.material[:, step]))
        centers_m = np.array([agent.center_world_m[step] for agent in clip.layout.agents]).reshape(-1, 3)
        centers_ego_m = transform_points(invert_rigid(clip.layout.ego.world_from_ego[step]), centers_m)
        for view, camera in enumerate(clip.rig.cameras):
            instance = clip.maps.instance[view, step]
            truth = true_agents(clip.layout, camera, step=step, instance=instance)
            judged = score_view(verdict.agents[view], truth, camera=camera, instance=instance)
            agents.add_view(judged, centers_ego_m)
    change = measure_change(frames, clip.track)
    return ClipScore(
        layout=clip.key.reference,
        confusion=control.confusion.tolist(),
        asked=agents.num_asked.tolist(),
        found=agents.num_found.tolist(),
        reported=agents.num_reported,
        invented=agents.num_invented,
        position_error_m=[list(errors) for errors in agents.position_error_m],
        energy=laplacian_energy(frames),
        warp=(change.warp_sum, change.num_warp),
        flicker=(change.flicker_sum, change.num_flicker),
        overlap=overlap_difference(frames, clip.overlap),
        features=np.round(np.concatenate(features).astype(np.float64), 4).tolist(),
    )


def write_score(score: ClipScore, path: Path) -> None:
    """Keep a score."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_suffix(".part")
    staged.write_text(json.dumps(asdict(score)))
    staged.rename(path)


def read_score(path: Path) -> ClipScore:
    """Read a score that was kept."""
    values = json.loads(path.read_text())
    return ClipScore(**{**values, **{name: tuple(values[name]) for name in ("warp", "flicker", "overlap")}})


Scores = Sequence[ClipScore]


def _miou(scores: Scores) -> float:
    return ControlScore(confusion=np.sum([score.confusion for score in scores], axis=0, dtype=np.int64)).miou


def _recall(group: int) -> Callable[[Scores], float]:
    def recall(scores: Scores) -> float:
        asked = sum(score.asked[group] for score in scores)
        return sum(score.found[group] for score in scores) / asked if asked else float("nan")

    return recall


def _invented(scores: Scores) -> float:
    reported = sum(score.reported for score in scores)
    return sum(score.invented for score in scores) / reported if reported else float("nan")


def _position(group: int) -> Callable[[Scores], float]:
    return lambda scores: percentile([error for score in scores for error in score.position_error_m[group]], 50)


def _mean(name: str) -> Callable[[Scores], float]:
    def mean(scores: Scores) -> float:
        total = sum(getattr(score, name)[0] for score in scores)
        return float(total / max(sum(getattr(score, name)[1] for score in scores), 1))

    return mean


def _energy(scores: Scores) -> float:
    return float(np.mean([score.energy for score in scores]))


FIGURES: dict[str, Callable[[Scores], float]] = {
    "control mIoU": _miou,
    "vehicles found": _recall(1),
    "pedestrians found": _recall(0),
    "invented": _invented,
    "position of vehicles, m": _position(1),
    "position of pedestrians, m": _position(0),
    "warp": _mean("warp"),
    "flicker": _mean("flicker"),
    "overlap": _mean("overlap"),
    "sharpness": _energy,
}
FRECHET = "Frechet"
NAMES = (*FIGURES, FRECHET)
HIGHER_IS_BETTER = ("control mIoU", "vehicles found", "pedestrians found", "sharpness")
"""Of the others less is better. More sharpness is, as long as there is less than in the truth."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One figure of a painter, and how it differs from the teacher's: relative, with the middle 95 % of the draws."""

    value: float
    difference: float
    low: float
    high: float

    def verdict(self, name: str, margin: float) -> str:
        """Say whether the difference of figure `name` lies within a margin, beyond it, or cannot be told."""
        if max(abs(self.low), abs(self.high)) <= margin:
            return "within"
        if min(abs(self.low), abs(self.high)) <= margin or self.low * self.high < 0:
            return "open"
        return "better" if (self.low > 0) == (name in HIGHER_IS_BETTER) else "worse"


def figures_of(scores: Scores, truth: Scores) -> dict[str, float]:
    """Return every figure of a painter's clips; the Frechet distance is that to the truth's."""
    figures = {name: figure(scores) for name, figure in FIGURES.items()}
    return {**figures, FRECHET: frechet_distance(features_of(scores), features_of(truth))}


def features_of(scores: Scores) -> Float32[np.ndarray, "N F"]:
    """Return the judge's features of all frames."""
    return np.concatenate([np.array(score.features, np.float32) for score in scores])


def compare(painter: Scores, teacher: Scores, truth: Scores) -> dict[str, Comparison]:
    """Compare a painter with the teacher on the same clips."""
    layouts = sorted({score.layout for score in teacher})
    rows_of = {layout: [k for k, score in enumerate(teacher) if score.layout == layout] for layout in layouts}
    own, reference = figures_of(painter, truth), figures_of(teacher, truth)
    generator = np.random.default_rng(0)
    draws: dict[str, list[float]] = {name: [] for name in NAMES}
    for _ in range(NUM_DRAWS):
        rows = [k for index in generator.integers(len(layouts), size=len(layouts)) for k in rows_of[layouts[index]]]
        drawn = [[scores[k] for k in rows] for scores in (painter, teacher, truth)]
        ours, theirs = figures_of(drawn[0], drawn[2]), figures_of(drawn[1], drawn[2])
        for name in NAMES:
            draws[name].append(relative(ours[name], theirs[name]))
    return {
        name: Comparison(
            value=own[name],
            difference=relative(own[name], reference[name]),
            low=float(np.nanpercentile(draws[name], 2.5)),
            high=float(np.nanpercentile(draws[name], 97.5)),
        )
        for name in NAMES
    }


def relative(value: float, reference: float) -> float:
    """Return the difference as a share of the reference; NaN where that is zero and the value is not."""
    if reference == 0.0:
        return 0.0 if value == 0.0 else float("nan")
    return value / reference - 1.0
