"""Print the tables of `docs/ablations.md`: `python -m benchmarks.ablations.report --switches DIR --retrained DIR`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.ablations.arms import ARMS, COMPARED_WITH, PLAIN_AUTOENCODERS
from benchmarks.ablations.scores import FIGURES, Unit, add_up, feature_distance, last_over_first, ratio_of
from benchmarks.ablations.switches import ROWS

COLUMNS = ("miou", "pedestrian_recall", "vehicle_recall", "sharpness", "warp_error", "overlap_error")


def read_rows(folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """Read the rows that were made."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.is_file()}


def cells(units: list[Unit], truth: list[Unit]) -> list[str]:
    """Return ratios to the truth with their intervals, and the distance of features."""
    ratios = [ratio_of(units, truth, figure) for figure in COLUMNS]
    return [str(ratio) for ratio in ratios] + [f"{feature_distance(units, truth):.2f}"]


def versus(units: list[Unit], other: list[Unit]) -> str:
    """Name the figures whose ratio to another row has an interval without 1, with that interval."""
    found = []
    for figure in COLUMNS:
        ratio = ratio_of(units, other, figure)
        if ratio.low > 1.0 or ratio.high < 1.0:
            found.append(f"{figure} {ratio}")
    return "; ".join(found) or "nothing"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def print_switches(folder: Path) -> None:
    """Print the rows of `switches`."""
    rows = read_rows(folder, ["truth", *ROWS])
    truth, full = rows["truth"]["units"], rows["full"]["units"]
    names = [name for name in rows if name != "truth"]
    drift = [("miou", "mIoU"), ("sharpness", "sharpness"), ("warp_error", "warp")]
    header = ["row", *COLUMNS, "features", *(f"last/first {label}" for _, label in drift)]
    lines = []
    for name in names:
        units = rows[name]["units"]
        lines.append(
            [name, *cells(units, truth), *(f"{last_over_first(units, truth, figure):.2f}" for figure, _ in drift)]
        )
    print(table(header, lines), "\n")
    print(table(["row", "differs from `full` in"], [[name, versus(rows[name]["units"], full)] for name in names[1:]]))
    print(f"\n{describe(truth)}\n")


def print_retrained(folder: Path) -> None:
    """Print the arms of `retrain`: free-running, on the unseen rig, and the autoencoders' pictures."""
    rows = read_rows(folder, ["truth", *ARMS, *(f"plain_{name}" for name in PLAIN_AUTOENCODERS)])
    truth = rows["truth"]
    lines, unseen, pictures, differences = [], [], [], []
    for name, row in rows.items():
        if "units_seen" in row and name != "truth":
            lines.append([name, str(row["steps"]), *cells(row["units_seen"], truth["units_seen"])])
            base = COMPARED_WITH.get(name, "full")
            if base in rows and base != name:
                differences.append([name, base, versus(row["units_seen"], rows[base]["units_seen"])])
        if "units_unseen" in row and name != "truth":
            unseen.append([name, *cells(row["units_unseen"], truth["units_unseen"])])
        if "units_reconstruction" in row:
            cost = cells(row["units_reconstruction"], truth["units_seen"])
            pictures.append([name, str(row["autoencoder_steps"]), *cost])
    print(table(["arm", "steps", *COLUMNS, "features"], lines), "\n")
    print(table(["arm", "compared with", "differs in"], differences), "\n")
    print(table(["arm, unseen rig", *COLUMNS, "features"], unseen), "\n")
    print(table(["autoencoder", "steps", *COLUMNS, "features"], pictures), "\n")
    print(describe(truth["units_seen"]), "\n")


def describe(units: list[Unit]) -> str:
    """Say what was judged."""
    clips = len({unit["clip"] for unit in units})
    frames = sum(len(unit["features"]) for unit in units)
    asked = add_up(units, "asked")
    recall = FIGURES["pedestrian_recall"](units)
    return (
        f"{clips} clips, {frames} judged frames, {asked[0]:.0f} pedestrians and {asked[1]:.0f} vehicles asked for; "
        f"judge on the truth: mIoU {FIGURES['miou'](units):.3f}, pedestrian recall {recall:.3f}"
    )


def main() -> None:
    """Print what there is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switches", type=Path)
    parser.add_argument("--retrained", type=Path)
    arguments = parser.parse_args()
    if arguments.switches:
        print_switches(arguments.switches)
    if arguments.retrained:
        print_retrained(arguments.retrained)


if __name__ == "__main__":
    main()
