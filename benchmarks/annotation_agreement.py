"""How what is rendered of real logs lies over what annotators drew into their pictures.

    python -m benchmarks.annotation_agreement DATASET... [--json FILE]

For every annotated 2-D box that names a 3-D box of its moment, the instance map of the log's own rig and world is
rendered, and the tight box around the agent's pixels compared by intersection over union. Left out are boxes under
`LEAST_PX` pixels and agents of which less than `LEAST_FRACTION` is seen: what hides the rest may be missing in the
world, and annotators often draw the whole.

- `boxes`, `median`, `at least 0.5`: rendered instances against annotated boxes;
- `cuboid`: the same for the projected 3-D box, cut to the picture. It is looser than the body, and so are many drawn
  boxes; where those were made by projection, as nuScenes', it is their own test;
- `turned`: `median` when every picture is compared with all boxes of the camera after it: what chance gives.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from scenegen.conditions.visibility import measure_agent_pixels
from scenegen.dataset import Scene, open_dataset
from scenegen.dataset.annotated2d import NO_TRACK
from scenegen.dataset.label_checks import SceneLabels
from scenegen.dataset.label_checks.projection import corners_world_m, projected_bounds
from scenegen.scene import stored_stage

LEAST_PX = 12.0
"""Of the shorter side of an annotated box."""
LEAST_FRACTION = 0.7


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Figures of one data set; NaN where nothing could be compared."""

    data: str
    boxes: int
    median: float
    share_half: float
    cuboid: float
    turned: float


@dataclass(frozen=True, kw_only=True)
class _Pair:
    rendered: float
    cuboid: float
    turned: float


def measure(data: Path) -> Agreement:
    """Compare all scenes of a data set."""
    dataset = open_dataset(data)
    pairs = [pair for scene_id in dataset.scene_ids for pair in _pairs_of(dataset[scene_id])]
    rendered = np.array([pair.rendered for pair in pairs])
    return Agreement(
        data=data.name,
        boxes=len(pairs),
        median=_median(rendered),
        share_half=float((rendered >= 0.5).mean()) if len(pairs) else float("nan"),
        cuboid=_median(np.array([pair.cuboid for pair in pairs])),
        turned=_median(np.array([pair.turned for pair in pairs])),
    )


def _pairs_of(scene: Scene) -> list[_Pair]:
    stage, labels, pairs = stored_stage(scene), SceneLabels(scene), []
    for step in range(scene.num_steps):
        pixels = measure_agent_pixels(stage.render_conditions(step, step + 1))
        for view, camera in enumerate(scene.rig.cameras):
            drawn = scene.annotated2d(step, camera.name)
            for xyxy_px, track in zip(drawn.xyxy_px.astype(np.float64), drawn.track_id.tolist(), strict=True):
                if track == NO_TRACK or (xyxy_px[2:] - xyxy_px[:2]).min() < LEAST_PX:
                    continue
                num_px, unhidden_px = pixels.num_px[view, 0, track], pixels.unoccluded_px[view, 0, track]
                if num_px < max(1.0, LEAST_FRACTION * unhidden_px):
                    continue
                row = int(np.flatnonzero((labels.objects.step == step) & (labels.objects.track_id == track))[0])
                cuboid_px = projected_bounds(corners_world_m(labels, row), camera, scene.ego2global[step])
                other = (
                    pixels.xyxy_px[(view + 1) % len(scene.cameras), 0] if len(scene.cameras) > 1 else np.zeros((0, 4))
                )
                pairs.append(
                    _Pair(
                        rendered=overlap(xyxy_px, pixels.xyxy_px[view, 0, track].astype(np.float64)),
                        cuboid=0.0 if cuboid_px is None else overlap(xyxy_px, _cut(cuboid_px, camera.size_px)),
                        turned=max((overlap(xyxy_px, box.astype(np.float64)) for box in other), default=float("nan")),
                    )
                )
    return pairs


def overlap(a_px: Float64[np.ndarray, "4"], b_px: Float64[np.ndarray, "4"]) -> float:
    """Return intersection over union of two boxes x1 y1 x2 y2.

    >>> overlap(np.array([0.0, 0.0, 2.0, 2.0]), np.array([1.0, 0.0, 3.0, 2.0]))
    0.3333333333333333
    """
    shared = np.prod(np.clip(np.minimum(a_px[2:], b_px[2:]) - np.maximum(a_px[:2], b_px[:2]), 0.0, None))
    united = np.prod(a_px[2:] - a_px[:2]) + np.prod(b_px[2:] - b_px[:2]) - shared
    return float(shared / united) if united > 0.0 else 0.0


def _cut(xyxy_px: Float64[np.ndarray, "4"], size_px: tuple[int, int]) -> Float64[np.ndarray, "4"]:
    return xyxy_px.clip(0.0, [*size_px, *size_px])


def _median(values: Float64[np.ndarray, " N"]) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path, metavar="DATASET")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = [measure(data) for data in options.datasets]
    sys.stdout.write("| data | boxes | median | at least 0.5 | cuboid | turned |\n|---|---|---|---|---|---|\n")
    for row in found:
        sys.stdout.write(
            f"| {row.data} | {row.boxes} | {row.median:.2f} | {row.share_half:.2f} | {row.cuboid:.2f} "
            f"| {row.turned:.2f} |\n"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in found], indent=2) + "\n")


if __name__ == "__main__":
    main()
