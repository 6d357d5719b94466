"""From tallies to the figures of the report: dotted names to numbers, NaN where there was nothing to measure."""

from __future__ import annotations

import numpy as np

from scenegen.checks.agents import GROUPS
from scenegen.evaluation.tally import Block, Tally

Figures = dict[str, float]


def figures_of(block: Block) -> Figures:
    """Return every figure that adds up from blocks."""
    generated, truth = block["generated"], block["truth"]
    return {
        **control_figures(generated, truth),
        **_against_truth("temporal.warp_error", generated.warp.value, truth.warp.value),
        **_against_truth("temporal.flicker", generated.flicker.value, truth.flicker.value),
        "temporal.identity_ratio": ratio(generated.identity.value, truth.identity.value),
        **_against_truth("views.overlap_error", generated.overlap.value, truth.overlap.value),
        **_against_truth("fidelity.sharpness", generated.energy.value, truth.energy.value),
        "leak.zeroed_ratio": ratio(block["zeroed"].control.miou, block["leak_truth"].control.miou),
        "leak.shuffled_ratio": ratio(block["shuffled"].control.miou, block["leak_truth"].control.miou),
        "leak.shuffled_chance": block["shuffled_chance"].control.miou,
    }


def control_figures(tally: Tally, truth: Tally) -> Figures:
    """Return what one painter's frames show of the layout, with the same figures on true frames beside them."""
    own, true = tally.agents, truth.agents
    figures = {
        **_against_truth("control.miou", tally.control.miou, truth.control.miou),
        **_against_truth("control.agent_recall", own.recall(), true.recall()),
        **_against_truth("control.pedestrian_recall", own.recall("pedestrians"), true.recall("pedestrians")),
        **_against_truth("control.vehicle_recall", own.recall("vehicles"), true.recall("vehicles")),
        "control.invented_rate": own.invented_rate,
        "control.invented_rate_truth": true.invented_rate,
        "control.lane_error_px": percentile(tally.lane_px.values, 50),
        "control.lane_error_px_truth": percentile(truth.lane_px.values, 50),
    }
    for index, group in enumerate(GROUPS):
        for name, errors, true_errors in (
            ("position_error_m", own.position_error_m[index], true.position_error_m[index]),
            ("velocity_error_mps", own.velocity_error_mps[index], true.velocity_error_mps[index]),
        ):
            key = f"control.{name}.{group}"
            for q in (50, 95):
                figures[f"{key}.p{q}"] = percentile(errors, q)
                figures[f"{key}.p{q}_truth"] = percentile(true_errors, q)
            figures[f"{key}.p50_excess"] = figures[f"{key}.p50"] - figures[f"{key}.p50_truth"]
    return figures


def without_history(block: Block) -> Figures:
    """Return the control figures of the model without history, against the same truth."""
    figures = control_figures(block["no_history"], block["truth"])
    sharpness = ratio(block["no_history"].energy.value, block["truth"].energy.value)
    return {**figures, "fidelity.sharpness_ratio": sharpness}


def ratio(value: float, truth: float) -> float:
    """Return value over truth; NaN where the truth is zero or unknown."""
    return value / truth if truth else float("nan")


def percentile(values: list[float], q: float) -> float:
    """Return a percentile; NaN of nothing."""
    return float(np.percentile(values, q)) if values else float("nan")


def _against_truth(name: str, value: float, truth: float) -> Figures:
    return {f"{name}_ratio": ratio(value, truth), name: value, f"{name}_truth": truth}
