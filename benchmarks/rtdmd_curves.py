"""Curves of a distillation from its log: `python -m benchmarks.rtdmd_curves NAME=OUTPUT_FOLDER ... --output FILE.png`.

Diversity of a student's draws, and its held-out layout agreement by the judge and by the rewards' network, each
relative to the teacher in 50 steps, over training steps. Matplotlib comes with the extra `nuscenes`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PANELS = {
    "diversity (teacher in 50 steps: 1)": ("diversity", None),
    "layout agreement, judge, minus the teacher's": ("held_out_judge_layout", "held_out_judge_layout_teacher"),
    "layout agreement, rewards' network": ("held_out_reward_layout", "held_out_reward_layout_teacher"),
}


def read_curve(log: Path, key: str, minus: str | None) -> tuple[list[int], list[float]]:
    """Return training steps and values of a figure, where the log has it."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
    seen = [row for row in rows if key in row]
    return [row["step"] for row in seen], [row[key] - (row[minus] if minus else 0.0) for row in seen]


def main() -> int:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(PANELS), figsize=(12, 3.2), dpi=90)
    for axis, (title, (key, minus)) in zip(axes, PANELS.items(), strict=True):
        for run in options.runs:
            name, _, folder = run.partition("=")
            steps, values = read_curve(Path(folder) / "log.jsonl", key, minus)
            axis.plot(steps, values, marker=".", label=name)
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("training step", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
