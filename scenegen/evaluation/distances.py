"""Figures that compare clouds of features: distance to truth, its floor, and diversity between scenes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float32

from scenegen.checks.fidelity import feature_distance, frechet_distance
from scenegen.evaluation.evaluate import LookedAt
from scenegen.evaluation.figures import Figures, ratio


def fidelity_figures(scenes: Sequence[LookedAt]) -> Figures:
    """Return Frechet distances of frames (fid) and clips (fvd), generated against true.

    The floor is that of one half of the truth against the other; crossed, of one half generated against the other
    half true. Halves are made of alternate blocks, so these two have as many samples and share as little content,
    and can be compared with each other. `fid` itself uses everything, and shares the scenes.
    """
    figures: Figures = {}
    for name, kind in (("fid", "moments"), ("fvd", "clips")):
        generated, truth = _gather(scenes, "generated", kind), _gather(scenes, "truth", kind)
        is_even = _alternate_blocks(scenes, kind)
        figures[f"fidelity.{name}"] = frechet_distance(generated, truth)
        figures[f"fidelity.{name}_floor"] = frechet_distance(truth[is_even], truth[~is_even])
        figures[f"fidelity.{name}_crossed"] = 0.5 * (
            frechet_distance(generated[is_even], truth[~is_even])
            + frechet_distance(generated[~is_even], truth[is_even])
        )
    return figures


def fid_of_bin(scenes: Sequence[LookedAt], block_idx: int) -> float:
    """Return the Frechet distance of the frames of one bin of all scenes."""
    chosen = np.concatenate([np.repeat(s.finding.moment_bins == block_idx, _views(s)) for s in scenes])
    return frechet_distance(
        _gather(scenes, "generated", "moments")[chosen], _gather(scenes, "truth", "moments")[chosen]
    )


def diversity(scenes: Sequence[LookedAt]) -> tuple[float, str]:
    """Return how different scenes look, over how different the truth does; and which pairs were compared.

    Pairs are of one layout under different seeds, or, where there are none, of any two scenes. Frames of the same
    camera and moment are compared by the distance of their features.
    """
    pairs = [(a, b) for a, b in combinations(scenes, 2) if _shape_of(a) == _shape_of(b)]
    of_seeds = [(a, b) for a, b in pairs if a.layout_sha256 == b.layout_sha256 and a.seed != b.seed]
    chosen, kind = (of_seeds, "same layout, other seed") if of_seeds else (pairs, "other layout")
    if not chosen:
        return float("nan"), ""
    own, true = (
        float(np.mean([feature_distance(_moments(a, painter), _moments(b, painter)) for a, b in chosen]))
        for painter in ("generated", "truth")
    )
    return ratio(own, true), kind


def _moments(scene: LookedAt, painter: str) -> Float32[np.ndarray, "M V F"]:
    return scene.finding.features[painter].moments


def _views(scene: LookedAt) -> int:
    return int(_moments(scene, "truth").shape[1])


def _shape_of(scene: LookedAt) -> tuple[int, ...]:
    return _moments(scene, "truth").shape


def _gather(scenes: Sequence[LookedAt], painter: str, kind: str) -> Float32[np.ndarray, "N F"]:
    parts = [getattr(scene.finding.features[painter], kind) for scene in scenes]
    rows = [part.reshape(-1, part.shape[-1]) for part in parts if part.size]
    return np.concatenate(rows) if rows else np.zeros((0, 1), np.float32)


def _alternate_blocks(scenes: Sequence[LookedAt], kind: str) -> Bool[np.ndarray, " N"]:
    """Say of each feature whether its block, counted over all scenes, has an even number."""
    marks = [np.zeros(0, np.bool_)]
    first = 0
    for scene in scenes:
        finding = scene.finding
        bins = finding.moment_bins if kind == "moments" else finding.clip_bins
        marks.append(np.repeat((first + bins) % 2 == 0, _views(scene)))
        first += len(finding.blocks)
    return np.concatenate(marks)
