"""The devkit's evaluations with our own labels as results."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

VERSION = "v1.0-scenegen"
SPLIT = "scenegen_all"
DETECTION_KEYS = ("detection_name", "detection_score", "attribute_name")
TRACKING_KEYS = ("tracking_id", "tracking_name", "tracking_score")


def score_detection(devkit: Any, folder: Path) -> Any:
    """Run DetectionEval."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.detection.evaluate import DetectionEval

    config = config_factory("detection_cvpr_2019")
    results = write_results(devkit, folder, leave_out=TRACKING_KEYS, classes=config.class_names)
    metrics, _ = DetectionEval(devkit, config, results, SPLIT, output_dir=str(folder), verbose=False).evaluate()
    return metrics


def score_tracking(devkit: Any, dataroot: Path, folder: Path) -> Any:
    """Run TrackingEval, which opens the data set itself."""
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking.evaluate import TrackingEval

    config = config_factory("tracking_nips_2019")
    evaluation = TrackingEval(
        config=config,
        result_path=write_results(devkit, folder, leave_out=DETECTION_KEYS, classes=config.tracking_names),
        eval_set=SPLIT,
        output_dir=str(folder),
        nusc_version=VERSION,
        nusc_dataroot=str(dataroot),
        verbose=False,
    )
    metrics, _ = evaluation.evaluate()
    return metrics


def write_results(devkit: Any, folder: Path, *, leave_out: Collection[str], classes: Collection[str]) -> str:
    """Write our annotations as results; without those of no LiDAR point, which are no ground truth to the devkit."""
    results: dict[str, list[dict[str, Any]]] = {}
    for sample in devkit.sample:
        found = [_result(devkit, token) for token in sample["anns"]]
        results[sample["token"]] = [
            {key: value for key, value in box.items() if key not in leave_out}
            for box in found
            if box["detection_name"] in classes and devkit.get("sample_annotation", box["token"])["num_lidar_pts"] > 0
        ]
        for box in results[sample["token"]]:
            del box["token"]
    modalities = {f"use_{name}": name == "camera" for name in ("camera", "lidar", "radar", "map", "external")}
    path = folder / "results.json"
    path.write_text(json.dumps({"meta": modalities, "results": results}))
    return str(path)


def _result(devkit: Any, token: str) -> dict[str, Any]:
    from nuscenes.eval.detection.utils import category_to_detection_name

    row = devkit.get("sample_annotation", token)
    name = category_to_detection_name(row["category_name"])
    names = [devkit.get("attribute", attribute)["name"] for attribute in row["attribute_tokens"]]
    return {
        **{key: row[key] for key in ("token", "sample_token", "translation", "size", "rotation")},
        "velocity": devkit.box_velocity(token)[:2].tolist(),
        "detection_name": name,
        "detection_score": 0.9,
        "attribute_name": names[0] if names else "",
        "tracking_id": row["instance_token"],
        "tracking_name": name,
        "tracking_score": 0.9,
    }
