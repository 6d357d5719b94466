"""The tables of the comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.distillation.clips import NUM_STEPS, ClipKey
from benchmarks.distillation.painters import SHUFFLED, TRUTH, Comparing, Painter
from benchmarks.distillation.scores import NAMES, ClipScore, Comparison, compare
from scenegen.checks.fidelity import feature_distance

MARGIN = 0.02
"""What the student may differ from its teacher by, as a share."""
LEAST_DIVERSITY = 0.9


def table_of(compared: dict[str, dict[str, Comparison]], seconds: dict[str, float], teacher: str) -> str:
    """Lay figures out, one row per painter: the teacher's value, others' difference in per cent with its interval.

    Args:
        compared: by painter and figure.
        seconds: processor time per frame, of those that were painted here.
        teacher: row that stands for itself.
    """
    header = "| painter | CPU s per frame | " + " | ".join(NAMES) + " |\n|" + "---|" * (len(NAMES) + 2)
    rows = []
    for painter, figures in compared.items():
        speed = f"{seconds[painter]:.3f}" if painter in seconds else "-"
        cells = [_value(figures[name]) if painter == teacher else _cell(figures[name]) for name in NAMES]
        rows.append(f"| {painter} | {speed} | {' | '.join(cells)} |")
    return "\n".join([header, *rows])


def gate_of(figures: dict[str, Comparison]) -> str:
    """Say of every figure whether it lies within the margin, beyond it for better or worse, or cannot be told."""
    by_verdict: dict[str, list[str]] = {"within": [], "better": [], "worse": [], "open": []}
    for name in NAMES:
        by_verdict[figures[name].verdict(name, MARGIN)].append(name)
    return "; ".join(f"{verdict}: {', '.join(names) or 'none'}" for verdict, names in by_verdict.items())


def diversity_of(
    comparing: Comparing, painter: Painter, keys: Sequence[tuple[ClipKey, ClipKey]]
) -> tuple[float, float]:
    """Return how much two draws of the same clips differ: in levels of 0..255, and in the judge's features."""
    levels, features = [], []
    for one, other in keys:
        frames = [comparing.frames(painter, key).astype(np.float32) for key in (one, other)]
        levels.append(float(np.abs(frames[0] - frames[1]).mean()))
        vectors = [np.array(comparing.score(painter, key).features, np.float32) for key in (one, other)]
        features.append(feature_distance(vectors[0], vectors[1]))
    return float(np.mean(levels)), float(np.mean(features))


def compare_all(
    comparing: Comparing, painters: Sequence[Painter], keys: Sequence[ClipKey], *, num_shuffled: int
) -> tuple[dict[str, dict[str, Comparison]], dict[str, float]]:
    """Score all painters' clips, clip by clip, and compare them with the first painter's.

    The negative control, the second painter with the conditions of other clips, is made of the first `num_shuffled`.

    Returns:
        Comparisons by painter, with the truth and the negative control; processor seconds per frame by painter.
    """
    scores: dict[str, list[ClipScore]] = {painter.name: [] for painter in painters}
    truth: list[ClipScore] = []
    shuffled: list[ClipScore] = []
    tested = painters[1] if len(painters) > 1 else painters[0]
    for index, key in enumerate(keys):
        for painter in painters:
            scores[painter.name].append(comparing.score(painter, key))
        truth.append(comparing.score_truth(key))
        if index < num_shuffled:
            shuffled.append(comparing.score_shuffled(tested, key, keys[(index + 2) % len(keys)]))
    teacher = scores[painters[0].name]
    compared = {name: compare(own, teacher, truth) for name, own in scores.items()}
    if shuffled:
        few = len(shuffled)
        compared[f"{tested.name}, {SHUFFLED}"] = compare(shuffled, teacher[:few], truth[:few])
    compared[TRUTH] = compare(truth, teacher, truth)
    num_frames = 2 * NUM_STEPS
    seconds = {
        painter.name: float(np.median([painter.clips.read_seconds(key) for key in keys])) / num_frames
        for painter in painters
    }
    return compared, seconds


def _value(figure: Comparison) -> str:
    return f"{figure.value:.3g}"


def _cell(figure: Comparison) -> str:
    if not np.isfinite(figure.difference):
        return f"{figure.value:.3g}"
    return f"{100 * figure.difference:+.1f} % ({100 * figure.low:+.1f}..{100 * figure.high:+.1f})"
