"""The report as nested values that JSON can hold. `docs/evaluation.md` says what each key means."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from scenegen.checks.drift import BIN_S, relative_drift
from scenegen.checks.world_encoder import encoder_sha256, load_encoder
from scenegen.evaluation.distances import diversity, fid_of_bin, fidelity_figures
from scenegen.evaluation.evaluate import Evaluation, LookedAt
from scenegen.evaluation.figures import Figures, figures_of, ratio, without_history
from scenegen.evaluation.intervals import bootstrap
from scenegen.evaluation.occupancy.stored import CROP_SPACING_M, MIN_CROPS, occupancy_figures
from scenegen.evaluation.tally import Block, join_blocks

MIN_JUDGE_MIOU = 0.75
MIN_JUDGE_RECALL = 0.8
"""A judge counts only from these figures on ground truth on."""
MIN_SEEDS = 3
DRIFTING = (
    "control.miou_ratio",
    "control.agent_recall_ratio",
    "temporal.warp_error_ratio",
    "temporal.flicker_ratio",
    "views.overlap_error_ratio",
    "fidelity.sharpness_ratio",
)
"""Figures whose last bin is compared with the first."""

Report = dict[str, Any]


def build_report(evaluation: Evaluation) -> Report:
    """Turn tallies into the report. Every key is always there; what could not be measured is None, with a note."""
    scenes = evaluation.scenes
    blocks = [block for scene in scenes for _, block in sorted(scene.finding.blocks.items())]
    whole = join_blocks(blocks)
    scored = figures_of(whole)
    diverse, compared = diversity(scenes)
    worlds = occupancy_figures([scene.world for scene in scenes], encoder=load_encoder())
    figures = {**scored, **drift_figures(scenes), **fidelity_figures(scenes), "diversity": diverse, **worlds}
    intervals = {
        **bootstrap(blocks, lambda chosen: figures_of(join_blocks(chosen))),
        **bootstrap(scenes, drift_figures),
    }
    report: Report = {
        "dataset": str(evaluation.plan.dataset_dir),
        "reference": "preview" if evaluation.plan.reference_dir is None else str(evaluation.plan.reference_dir),
        "scenes": [scene.scene_id for scene in scenes],
        "seeds": sorted({scene.seed for scene in scenes}),
        "models": sorted({scene.model_id for scene in scenes}),
        "every": evaluation.plan.every,
        "num_moments": int(sum(len(scene.finding.moment_bins) for scene in scenes)),
        "num_blocks": len(blocks),
        "judge": _judge_values(evaluation, whole),
        **nest(figures),
    }
    report["control"]["class_iou"] = _class_iou(whole)
    report["control"]["counts"] = _counts(whole)
    report["control"]["velocity_error_mps"]["over_s"] = sorted({scene.finding.velocity_s for scene in scenes})
    report["drift"]["bins"] = drift_bins(scenes)
    report["diversity_of"] = compared
    report["occupancy"]["fidelity"]["encoder_sha256"] = encoder_sha256()
    report["intervals"] = {name: [rounded(low), rounded(high)] for name, (low, high) in intervals.items()}
    report["notes"] = {name: _why(name, evaluation) for name, value in figures.items() if not math.isfinite(value)}
    report["warnings"] = warnings_of(evaluation, report)
    return report


def drift_figures(scenes: Sequence[LookedAt]) -> Figures:
    """Return the last bin over the first, over all scenes of two bins or more."""
    long = [scene.finding.blocks for scene in scenes if len(scene.finding.blocks) > 1]
    first = join_blocks(blocks[min(blocks)] for blocks in long)
    last = join_blocks(blocks[max(blocks)] for blocks in long)
    begins, ends = figures_of(first), figures_of(last)
    control_begins, control_ends = without_history(first), without_history(last)
    changes = {f"drift.last_over_first_of.{name}": ratio(ends[name], begins[name]) for name in DRIFTING}
    name = "control.miou_ratio"
    change, control = ratio(ends[name], begins[name]), ratio(control_ends[name], control_begins[name])
    return {
        "drift.last_over_first": change,
        "drift.last_over_first_no_history": control,
        "drift.last_over_first_relative": relative_drift(change, control),
        **changes,
    }


def drift_bins(scenes: Sequence[LookedAt]) -> list[Report]:
    """Return all scores per bin of five seconds, with those of the model without history beside them."""
    indices = sorted({index for scene in scenes for index in scene.finding.blocks})
    bins: list[Report] = []
    for index in indices:
        block = join_blocks(s.finding.blocks[index] for s in scenes if index in s.finding.blocks)
        figures = {name: value for name, value in figures_of(block).items() if not name.startswith("leak.")}
        bins.append(
            {
                "start_s": index * BIN_S,
                "stop_s": (index + 1) * BIN_S,
                **nest({**figures, "fidelity.fid": fid_of_bin(scenes, index)}),
                "no_history": nest(without_history(block)),
            }
        )
    return bins


def warnings_of(evaluation: Evaluation, report: Report) -> list[str]:
    """Say what a reader of the numbers must not overlook."""
    warnings = []
    judge = report["judge"]
    if not judge["counts"]:
        warnings.append(
            f"weak judge: mIoU {judge['miou']} and pedestrian recall {judge['pedestrian_recall']} on ground truth, "
            f"wanted {MIN_JUDGE_MIOU} and {MIN_JUDGE_RECALL}. Ratios near 1 under a weak judge say nothing"
        )
    if len(report["seeds"]) < MIN_SEEDS:
        warnings.append(f"{len(report['seeds'])} seed(s), wanted {MIN_SEEDS}: how much luck is in it is not known")
    if report["num_blocks"] < 10:
        warnings.append(f"intervals from {report['num_blocks']} block(s) of 5 s are rough or missing")
    sharpness = report["fidelity"]["sharpness_ratio"]
    for name in ("warp_error_ratio", "flicker_ratio"):
        value = report["temporal"][name]
        if value is not None and sharpness is not None and value < 0.95 and sharpness < 0.95:
            warnings.append(f"temporal.{name} {value} below truth goes with sharpness {sharpness}: blur, not merit")
    if evaluation.no_model:
        warnings.append(f"no control without history and no leak test: {evaluation.no_model}")
    return warnings


def nest(figures: Figures) -> Report:
    """Turn dotted names into nested values; NaN becomes None.

    >>> nest({"a.b": 1.0, "a.c.d": float("nan"), "e": 2.0})
    {'a': {'b': 1.0, 'c': {'d': None}}, 'e': 2.0}
    """
    nested: Report = {}
    for name, value in figures.items():
        *path, last = name.split(".")
        level = nested
        for key in path:
            level = level.setdefault(key, {})
        level[last] = rounded(value)
    return nested


def rounded(value: float) -> float | None:
    """Round to five significant digits; None of NaN."""
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _judge_values(evaluation: Evaluation, whole: Block) -> Report:
    truth = whole["truth"]
    miou, recall = truth.control.miou, truth.agents.recall("pedestrians")
    return {
        "name": evaluation.judge_name,
        "weights_sha256": evaluation.judge_sha256,
        "miou": rounded(miou),
        "pedestrian_recall": rounded(recall),
        "num_pedestrians": int(truth.agents.num_asked[0]),
        "counts": bool(miou >= MIN_JUDGE_MIOU and recall >= MIN_JUDGE_RECALL),
    }


def _class_iou(whole: Block) -> Report:
    generated, truth = whole["generated"].control.class_iou(), whole["truth"].control.class_iou()
    return {name: {"generated": rounded(generated[name]), "truth": rounded(truth[name])} for name in truth}


def _counts(whole: Block) -> Report:
    tally = whole["truth"]
    generated, truth = whole["generated"].agents, tally.agents
    return {
        "pedestrians": int(truth.num_asked[0]),
        "vehicles": int(truth.num_asked[1]),
        "reported": generated.num_reported,
        "reported_truth": truth.num_reported,
        "velocities": int(np.sum([len(part) for part in generated.velocity_error_mps])),
        "lane_frames": len(tally.lane_px.values),
        "sightings_of_cars": tally.identity.count,
    }


def _why(name: str, evaluation: Evaluation) -> str:
    """Say why a figure is missing."""
    needs_model = name.startswith("leak.") or name.endswith(("_no_history", "_relative"))
    if needs_model and evaluation.no_model:
        return evaluation.no_model
    if name.startswith("drift."):
        return f"no scene is longer than one bin of {BIN_S:g} s, or a bin has nothing to measure"
    if name.startswith("leak."):
        return "no scene is long enough for a leak test"
    for start, reason in (
        ("control.position", "no such agent of enough height was found"),
        ("control.velocity", "no such agent was found at two moments half a second apart"),
        ("control.invented", "the judge reports no agent"),
        ("control.lane", "no frame shows enough lane marking"),
        ("control.", "no such agent or class is visible"),
        ("temporal.identity", "no car was seen often enough"),
        ("temporal.", "no scene has three steps"),
        ("views.", "no two cameras see the same surface"),
        ("fidelity.f", "too few frames or blocks for a covariance"),
        ("occupancy.static", "the scenes have no instances of voxels"),
        ("occupancy.fidelity", f"fewer than {MIN_CROPS} places of {CROP_SPACING_M:g} m apart"),
        ("diversity", "one scene, or no two of the same shape"),
    ):
        if name.startswith(start):
            return reason
    return "nothing to measure"
