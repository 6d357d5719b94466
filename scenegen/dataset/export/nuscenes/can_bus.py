"""CAN bus messages of a scene as nuScenes' CAN bus expansion has them: `pose` at every step, `route`, `meta`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.dataset.export.nuscenes.sheet import shifted
from scenegen.dataset.stored_scene import Scene


def write_can_bus(
    folder: Path,
    scene: Scene,
    *,
    name: str,
    stamps_us: Int64[np.ndarray, " T"],
    shift_m: Float64[np.ndarray, "2"],
) -> None:
    """Write the messages of one scene.

    Args:
        folder: `can_bus` of the export.
        scene: the scene.
        name: as nuScenes spells it.
        stamps_us: absolute time of every step.
        shift_m: from the scene's world frame to the map.
    """
    position_m = shifted(scene.ego2global, shift_m)[:, :3, 3]
    signals = scene.array("ego/can_bus")[:].astype(np.float64)
    poses = [
        {
            "accel": signals[step, 7:10].tolist(),
            "orientation": signals[step, 3:7].tolist(),
            "pos": position_m[step].tolist(),
            "rotation_rate": signals[step, 10:13].tolist(),
            "utime": int(stamps_us[step]),
            "vel": signals[step, 13:16].tolist(),
        }
        for step in range(scene.num_steps)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "pose": poses,
        "route": position_m[:, :2].tolist(),
        "meta": {"pose": _statistics(poses, stamps_us)},
    }
    for message, values in content.items():
        (folder / f"{name}_{message}.json").write_text(json.dumps(values))


def _statistics(poses: list[dict[str, Any]], stamps_us: Int64[np.ndarray, " T"]) -> dict[str, Any]:
    timespan_s = float(stamps_us[-1] - stamps_us[0]) / 1e6
    statistics = {}
    for key in poses[0]:
        values = np.array([pose[key] for pose in poses], np.float64)
        kinds = {"max": values.max(0), "mean": values.mean(0), "min": values.min(0), "std": values.std(0)}
        statistics[key] = {kind: np.asarray(value).tolist() for kind, value in kinds.items()}
    return {
        "message_count": len(poses),
        "message_freq": (len(poses) - 1) / timespan_s if timespan_s else 0.0,
        "timespan": timespan_s,
        "var_stats": statistics,
    }
