r"""What is generated data worth for training? The protocol of Dream4Drive (2025, arXiv 2510.19195) at our scale.

    scenegen generate layouts=[procedural:2001-2016] duration_s=4 output=out/value_generated
    scenegen generate layouts=[procedural:2001-2016] duration_s=4 video=preview output=out/value_truth
    scenegen generate layouts=[procedural:3001-3014] duration_s=4 video=preview split=test output=out/value_test
    python -m benchmarks.training_value --generated out/value_generated --truth out/value_truth \
        --test out/value_test --real ../shared/data --json training_value.json

A small detector (`benchmarks.detector`) is trained from nothing on generated frames, on ground-truth renders of the
same moments, and on mixes; every arm with the same epochs, and with the same frames of the same scenes, so that only
the pixels differ. Adding frames also adds optimiser steps, so there is a control that sees ground truth alone for as
long. Tested on ground-truth renders of other worlds, on the pedestrians of those at night, and on calibrated real
frames with boxes. Average precision by centre distance (4 px), and by IoU 0.5 beside it; mean and standard deviation
over seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.detector import BATCH_SIZE, KINDS, Boxes, Detector, Found, average_precision, detect, train_detector
from benchmarks.labelled_frames import (
    LabelledFrames,
    RealFrame,
    plan_moments,
    read_labelled,
    read_moments,
    read_real,
)
from scenegen.dataset import open_dataset


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to compose the training frames.

    Attributes:
        generated: share of the moments whose frames are generated.
        truth: share of the moments whose frames are ground truth; with `generated` at most 1, each moment is seen
            once, beyond that some are seen in both looks.
        longer: factor on the epochs.
    """

    name: str
    generated: float
    truth: float
    longer: int = 1


ARMS = (
    Arm(name="truth", generated=0.0, truth=1.0),
    Arm(name="generated", generated=1.0, truth=0.0),
    Arm(name="25 % generated", generated=0.25, truth=0.75),
    Arm(name="50 % generated", generated=0.5, truth=0.5),
    Arm(name="75 % generated", generated=0.75, truth=0.25),
    Arm(name="truth + generated", generated=1.0, truth=1.0),
    Arm(name="truth, twice as long", generated=0.0, truth=1.0, longer=2),
)
QUICK_ARMS = ("truth", "generated", "50 % generated")


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Test images with one size each, and the kinds that are asked for in them."""

    name: str
    frames: tuple[np.ndarray, ...]
    boxes: tuple[Boxes, ...]
    kinds: tuple[str, ...] = KINDS

    def num_asked(self, kind: str) -> int:
        """Count agents of a kind that are asked for."""
        return sum(int((own.is_asked & (own.kind == KINDS.index(kind))).sum()) for own in self.boxes)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything. `frames` and `test_frames` are rounded up to whole moments of all views."""

    frames: int
    test_frames: int
    every: int
    epochs: int
    seeds: int
    arms: tuple[str, ...]


def compose_arm(arm: Arm, *, generated: LabelledFrames, truth: LabelledFrames) -> tuple[np.ndarray, tuple[Boxes, ...]]:
    """Take the first moments from the generated frames and the last ones from ground truth."""
    num = len(truth.frames)
    own, true = round(arm.generated * num), round(arm.truth * num)
    frames = np.concatenate([generated.frames[:own], truth.frames[num - true :]])
    return frames, (*generated.boxes[:own], *truth.boxes[num - true :])


def build_slices(test: LabelledFrames, real: Sequence[RealFrame]) -> list[Slice]:
    """Return the test slices that have anything in them."""
    night = test.select(test.is_night)
    slices = [
        Slice(name="other worlds", frames=tuple(test.frames), boxes=test.boxes),
        Slice(name="at night", frames=tuple(night.frames), boxes=night.boxes, kinds=("pedestrian",)),
        Slice(name="real", frames=tuple(one.rgb for one in real), boxes=tuple(one.boxes for one in real)),
    ]
    return [own for own in slices if own.frames]


def score_slice(detector: Detector, own: Slice) -> dict[str, dict[str, float]]:
    """Return the average precision of every kind, by centre and by IoU."""
    found: list[Found] = []
    start = 0
    while start < len(own.frames):  # images of one size together
        stop = start + 1
        while stop < len(own.frames) and own.frames[stop].shape == own.frames[start].shape:
            stop += 1
        found += detect(detector, np.stack(own.frames[start:stop]))
        start = stop
    return {
        kind: {
            name: average_precision(found, own.boxes, kind=KINDS.index(kind), by_iou=by_iou)
            for name, by_iou in (("center", False), ("iou", True))
        }
        for kind in own.kinds
    }


def run_protocol(
    plan: Plan, *, generated: LabelledFrames, truth: LabelledFrames, slices: Sequence[Slice]
) -> list[dict[str, object]]:
    """Train and test every arm with every seed; returns a row per run."""
    rows: list[dict[str, object]] = []
    for seed in range(plan.seeds):
        for arm in (one for one in ARMS if one.name in plan.arms):
            began = time.monotonic()
            frames, boxes = compose_arm(arm, generated=generated, truth=truth)
            epochs = plan.epochs * arm.longer
            detector = train_detector(frames, boxes, epochs=epochs, seed=seed)
            scores = {own.name: score_slice(detector, own) for own in slices}
            steps = epochs * (len(frames) // BATCH_SIZE)
            rows.append({"arm": arm.name, "seed": seed, "frames": len(frames), "steps": steps, "scores": scores})
            first = scores[slices[0].name]
            text = ", ".join(f"{kind} {values['center']:.3f}" for kind, values in first.items())
            print(f"seed {seed}, {arm.name}: {text} ({time.monotonic() - began:.0f} s)", flush=True)
    return rows


def summarise(rows: Sequence[dict], slices: Sequence[Slice], arms: Sequence[str]) -> dict[str, dict]:  # type: ignore[type-arg]
    """Return mean, standard deviation over seeds and ratio to ground truth by slice, kind, measure and arm."""
    table: dict[str, dict] = {}  # type: ignore[type-arg]
    for own in slices:
        for kind in own.kinds:
            for measure in ("center", "iou"):
                by_arm = {
                    arm: np.array([row["scores"][own.name][kind][measure] for row in rows if row["arm"] == arm])
                    for arm in arms
                }
                truth = float(by_arm["truth"].mean())
                table[f"{own.name}, {kind}, {measure}"] = {
                    "num_asked": own.num_asked(kind),
                    "arms": {
                        arm: {
                            "mean": float(values.mean()),
                            "std": float(values.std(ddof=1)) if len(values) > 1 else None,
                            "ratio_to_truth": float(values.mean()) / truth if truth > 0.0 else None,
                        }
                        for arm, values in by_arm.items()
                    },
                }
    return table


def print_table(table: dict[str, dict], arms: Sequence[str]) -> None:  # type: ignore[type-arg]
    """Print a Markdown table: a row per arm, a column per slice and kind, by centre distance and by IoU."""
    for measure in ("center", "iou"):
        columns = [name for name in table if name.endswith(measure)]
        heads = [f"{name.rsplit(',', 1)[0]} ({table[name]['num_asked']})" for name in columns]
        print(f"\nAverage precision by {measure}, mean ± standard deviation over seeds; agents asked for in brackets\n")
        print(f"| trained on | {' | '.join(heads)} |\n|---|{'---|' * len(columns)}")
        for arm in arms:
            cells = [table[name]["arms"][arm] for name in columns]
            texts = [f"{c['mean']:.3f}" + (f" ± {c['std']:.3f}" if c["std"] is not None else "") for c in cells]
            print(f"| {arm} | {' | '.join(texts)} |")


def model_of(folder: Path) -> list[str]:
    """Return what painted a data set."""
    models = {
        (scene.attrs["model"]["model_id"], scene.attrs["model"]["weights_sha256"]) for scene in open_dataset(folder)
    }
    return sorted(f"{name} {sha256[:12]}".strip() for name, sha256 in models)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the protocol, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generated", type=Path, required=True, help="data set of the model")
    parser.add_argument("--truth", type=Path, required=True, help="the same layouts and seed with video=preview")
    parser.add_argument("--test", type=Path, required=True, help="other layouts with video=preview")
    parser.add_argument("--real", type=Path, help="folder with kitti_object, nuscenes_mini, tri_dgp; any may be absent")
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--test-frames", type=int, default=240)
    parser.add_argument("--every", type=int, default=12, help="steps between moments")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="three arms, one seed, two epochs, few frames: a test")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    plan = Plan(
        frames=24 if options.quick else options.frames,
        test_frames=24 if options.quick else options.test_frames,
        every=options.every,
        epochs=2 if options.quick else options.epochs,
        seeds=1 if options.quick else options.seeds,
        arms=QUICK_ARMS if options.quick else tuple(arm.name for arm in ARMS),
    )
    began = time.monotonic()
    torch.set_num_threads(1)
    moments = plan_moments(options.truth, every=plan.every, num_frames=plan.frames)
    truth = read_labelled(options.truth, moments)
    generated = LabelledFrames(
        frames=read_moments(options.generated, moments), boxes=truth.boxes, is_night=truth.is_night
    )
    test = read_labelled(options.test, plan_moments(options.test, every=plan.every, num_frames=plan.test_frames))
    focal_px = float(next(iter(open_dataset(options.truth))).rig.cameras[0].K[0, 0])
    real = read_real(options.real, focal_px=focal_px) if options.real else []
    if not real:
        print("no calibrated real frames: skipped. Name their folder with --real")
    slices = build_slices(test, real)
    print(
        f"{len(truth.frames)} training frames, {len(test.frames)} test frames, {int(test.is_night.sum())} of them at "
        f"night, {len(real)} real ones; read in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    rows = run_protocol(plan, generated=generated, truth=truth, slices=slices)
    table = summarise(rows, slices, plan.arms)
    print_table(table, plan.arms)
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if options.json:
        models = {"generated": model_of(options.generated), "truth": model_of(options.truth)}
        result = {"plan": asdict(plan), "models": models, "table": table, "runs": rows}
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
