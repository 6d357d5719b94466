"""How the projected 3-D boxes of data sets lie over their own agents' pixels.

    python -m benchmarks.box_overlap DATASET... [--json FILE]

Of every 2-D box (the tight box around an agent's visible pixels in one picture) with 50 visible pixels and more, on key
frames: the cuboid of the 3-D labels is projected with the stored calibration, clipped to the picture, and compared.

- `literal`: share whose intersection over union is at least 0.7, whatever hides the agent or cuts it off;
- `whole`: the same where the agent is seen whole (0.9 of its own pixels, and a projection inside the picture);
- `height`, `width`: of those, the share whose extents down and across overlap by at least 0.7;
- `middle`: of those, how far the middles of both boxes lie apart, the 99th percentile, in shares of the projected box.

A cuboid is looser than the body in it, and pixels end where something hides them, so that `literal` says more about
bodies and traffic than about calibration; `height` and `middle` are those that a wrong pose would break.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.dataset import Scene, open_dataset
from scenegen.dataset.label_checks import SceneLabels
from scenegen.dataset.label_checks.projection import axis_overlap, corners_world_m, projected_bounds
from scenegen.types import AgentCategory

MIN_VISIBLE_PX = 50
WHOLE_FRACTION = 0.9
MIN_OVERLAP = 0.7


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One 2-D box and the projection of its cuboid."""

    category: str
    overlap: float
    extent_overlap: Float64[np.ndarray, "2"]
    middle_apart: float
    is_whole: bool


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One line of the report; shares are 0 to 1, None where there is nothing to share."""

    num_boxes: int
    literal: float | None
    num_whole: int
    whole: float | None
    height: float | None
    width: float | None
    middle: float | None


def compare_scene(scene: Scene) -> Iterator[Comparison]:
    """Compare the 2-D boxes of the key frames; those that the rim of a lens cuts have no bounds and are left out."""
    labels = SceneLabels(scene)
    rows, objects = labels.objects2d, labels.objects
    asked = (rows.seen.num_px >= MIN_VISIBLE_PX) & scene.is_key_frame[rows.step]
    for row in np.flatnonzero(asked).tolist():
        camera, agent = scene.rig.cameras[rows.view[row]], int(rows.row[row])
        bounds_px = projected_bounds(corners_world_m(labels, agent), camera, scene.ego2global[rows.step[row]])
        if bounds_px is None:
            continue
        limit_px = np.array([*camera.size_px, *camera.size_px], np.float64)
        clipped_px, pixels_px = np.clip(bounds_px, 0.0, limit_px), rows.seen.xyxy_px[row].astype(np.float64)
        apart_px = np.abs(clipped_px.reshape(2, 2).mean(axis=0) - pixels_px.reshape(2, 2).mean(axis=0))
        yield Comparison(
            category=AgentCategory(int(objects.category[agent])).label,
            overlap=intersection_over_union(clipped_px, pixels_px),
            extent_overlap=axis_overlap(clipped_px, pixels_px),
            middle_apart=float((apart_px / (clipped_px[2:] - clipped_px[:2])).max()),
            is_whole=bool(rows.seen.visible_fraction[row] >= WHOLE_FRACTION and (clipped_px == bounds_px).all()),
        )


def intersection_over_union(first_px: Float64[np.ndarray, "4"], second_px: Float64[np.ndarray, "4"]) -> float:
    """Return how far two boxes x1 y1 x2 y2 cover each other, 0 to 1."""
    shared_px = np.minimum(first_px[2:], second_px[2:]) - np.maximum(first_px[:2], second_px[:2])
    shared = float(np.prod(np.maximum(shared_px, 0.0)))
    areas = float(np.prod(first_px[2:] - first_px[:2]) + np.prod(second_px[2:] - second_px[:2]))
    return shared / (areas - shared)


def sum_up(comparisons: Sequence[Comparison]) -> Figures:
    """Return the figures of some comparisons."""
    whole = [comparison for comparison in comparisons if comparison.is_whole]

    def share(values: list[float]) -> float | None:
        return float(np.mean(np.array(values) >= MIN_OVERLAP)) if values else None

    return Figures(
        num_boxes=len(comparisons),
        literal=share([comparison.overlap for comparison in comparisons]),
        num_whole=len(whole),
        whole=share([comparison.overlap for comparison in whole]),
        height=share([comparison.extent_overlap[1] for comparison in whole]),
        width=share([comparison.extent_overlap[0] for comparison in whole]),
        middle=float(np.quantile([comparison.middle_apart for comparison in whole], 0.99)) if whole else None,
    )


def report(figures: dict[str, Figures]) -> str:
    """Return the table."""
    names = ("boxes", "literal", "whole", "IoU", "height", "width", "middle")
    lines = [f"{'':22}" + "".join(f"{name:>9}" for name in names)]
    for name, line in figures.items():
        cells = ["" if v is None else str(v) if isinstance(v, int) else f"{v:.3f}" for v in asdict(line).values()]
        lines.append(f"{name:22}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.box_overlap",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("datasets", nargs="+", type=Path, metavar="DATASET")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args(arguments)
    by_name: dict[str, list[Comparison]] = defaultdict(list)
    for folder in options.datasets:
        for scene in open_dataset(folder):
            for comparison in compare_scene(scene):
                by_name["all"].append(comparison)
                by_name[f"rig {scene.rig.name}"].append(comparison)
                by_name[comparison.category].append(comparison)
    figures = {name: sum_up(by_name[name]) for name in sorted(by_name)}
    print(report(figures))
    if options.json:
        options.json.write_text(json.dumps({name: asdict(line) for name, line in figures.items()}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
