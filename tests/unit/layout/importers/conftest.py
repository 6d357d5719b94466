"""Small foreign logs that the tests write themselves."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NUM_STEPS = 6
START_NS = 315_000_000_000_000_000
EGO_YAW_RAD = np.pi / 2
EGO_START_CITY_M = np.array([1000.0, 500.0, 20.0])


def argoverse2_columns() -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Annotation and pose columns: the ego drives north at 5 m/s; a car 10 m ahead keeps its distance; a
    pedestrian stands 3 m to the left of the ego's start, seen from step 2 on."""
    pose_columns = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")
    box_columns = ("timestamp_ns", "track_uuid", "category", "length_m", "width_m", "height_m", *pose_columns)
    boxes: dict[str, list[Any]] = {name: [] for name in box_columns}
    poses: dict[str, list[Any]] = {name: [] for name in ("timestamp_ns", *pose_columns)}
    for step in range(NUM_STEPS):
        stamp = START_NS + step * 100_000_000
        half = EGO_YAW_RAD / 2
        ego = EGO_START_CITY_M + np.array([0.0, 0.5 * step, 0.0])
        for name, value in zip(poses, (stamp, np.cos(half), 0.0, 0.0, np.sin(half), *ego), strict=True):
            poses[name].append(value)
        rows = [(stamp, "car-1", "REGULAR_VEHICLE", 4.5, 2.0, 1.6, 1.0, 0.0, 0.0, 0.0, 10.0, 0.0, 0.8 - 0.33)]
        if step >= 2:
            left_of_start = (-0.5 * step, 3.0, 0.9 - 0.33)
            rows.append((stamp, "walker", "PEDESTRIAN", 0.6, 0.6, 1.8, 1.0, 0.0, 0.0, 0.0, *left_of_start))
        for row in rows:
            for name, value in zip(boxes, row, strict=True):
                boxes[name].append(value)
    return boxes, poses


def argoverse2_map() -> dict[str, Any]:
    """Two lanes that share a painted boundary, one drivable area, one crossing."""

    def points(*xy: tuple[float, float]) -> list[dict[str, float]]:
        return [{"x": 1000.0 + x, "y": 500.0 + y, "z": 20.0} for x, y in xy]

    def lane(left: list[dict[str, float]], right: list[dict[str, float]], marks: tuple[str, str]) -> dict[str, Any]:
        return {
            "is_intersection": False,
            "lane_type": "VEHICLE",
            "left_lane_boundary": left,
            "left_lane_mark_type": marks[0],
            "right_lane_boundary": right,
            "right_lane_mark_type": marks[1],
        }

    middle = points((-1.5, -20.0), (-1.5, 60.0))
    return {
        "lane_segments": {
            "1": lane(middle, points((2.0, -20.0), (2.0, 60.0)), ("DOUBLE_SOLID_YELLOW", "SOLID_WHITE")),
            "2": lane(middle[::-1], points((-5.0, 60.0), (-5.0, -20.0)), ("DOUBLE_SOLID_YELLOW", "NONE")),
        },
        "drivable_areas": {"7": {"area_boundary": points((-5.0, -20.0), (2.0, -20.0), (2.0, 60.0), (-5.0, 60.0))}},
        "pedestrian_crossings": {
            "9": {"edge1": points((-5.0, 30.0), (2.0, 30.0)), "edge2": points((-5.0, 33.0), (2.0, 33.0))}
        },
    }


@pytest.fixture
def write_argoverse2(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the small log, after an edit of its columns or its map."""
    import pyarrow
    from pyarrow import feather

    def write(edit: Callable[[dict[str, Any], dict[str, Any], dict[str, Any]], None] | None = None) -> Path:
        folder = tmp_path / "small-log"
        (folder / "map").mkdir(parents=True)
        boxes, poses = argoverse2_columns()
        archive = argoverse2_map()
        if edit is not None:
            edit(boxes, poses, archive)
        feather.write_feather(pyarrow.table(boxes), folder / "annotations.feather")
        feather.write_feather(pyarrow.table(poses), folder / "city_SE3_egovehicle.feather")
        (folder / "map" / "log_map_archive_small-log____PIT_city_1.json").write_text(json.dumps(archive, indent=1))
        (folder / "map" / "small-log___img_Sim2_city.json").write_text(
            json.dumps({"R": [1.0, 0.0, 0.0, 1.0], "t": [-900.0, -400.0], "s": 0.5})
        )
        np.save(folder / "map" / "small-log_ground_height_surface____PIT.npy", np.full((150, 150), 19.67, np.float16))
        return folder

    return write


def scenarionet_record() -> dict[str, Any]:
    """A record: the ego drives east at 5 m/s, a cyclist is seen in steps 1 to 3, a lane, a connector, a line."""
    steps = np.arange(NUM_STEPS)

    def track(
        kind: str,
        source: str,
        xy: np.ndarray,
        velocity: tuple[float, float],
        valid: np.ndarray,
        size: tuple[float, ...],
    ) -> dict[str, Any]:
        velocity_mps = np.where(valid[:, None], velocity, 0.0)
        velocity_mps[np.flatnonzero(valid)[-1]] = 0.0
        return {
            "type": kind,
            "metadata": {"type": source, "object_id": source},
            "state": {
                "position": np.column_stack([xy, np.zeros(len(xy))]) * valid[:, None],
                "heading": np.zeros(NUM_STEPS),
                "velocity": velocity_mps,
                "valid": valid.astype(np.float64),
                **{
                    name: np.full((NUM_STEPS, 1), value) * valid[:, None]
                    for name, value in zip(("length", "width", "height"), size, strict=True)
                },
            },
        }

    always, sometimes = np.ones(NUM_STEPS, bool), (steps >= 1) & (steps <= 3)
    ego_xy = np.column_stack([600.0 + 0.5 * steps, np.full(NUM_STEPS, 1000.0)])
    bike_xy = np.column_stack([610.0 + 0.4 * steps, np.full(NUM_STEPS, 1002.0)])
    outline = [[580.0, 990.0], [700.0, 990.0], [700.0, 1010.0], [580.0, 1010.0], [580.0, 990.0]]
    island = [[640.0, 999.0], [644.0, 999.0], [644.0, 1001.0], [640.0, 1001.0], [640.0, 999.0]]
    return {
        "id": "scene-0001",
        "length": NUM_STEPS,
        "metadata": {
            "dataset": "nuscenes",
            "map": "singapore-onenorth",
            "coordinate": "right-handed",
            "sample_rate": 0.1,
            "ts": steps * 0.1,
            "sdc_id": "ego",
        },
        "tracks": {
            "ego": track("VEHICLE", "vehicle.car", ego_xy, (5.0, 0.0), always, (1.73, 4.08, 1.56)),
            "bike": track("CYCLIST", "vehicle.bicycle", bike_xy, (4.0, 0.0), sometimes, (1.8, 0.6, 1.5)),
        },
        "map_features": {
            "lane": {
                "type": "LANE_SURFACE_STREET",
                "polyline": [(590.0, 996.0, 0.0), (600.0, 996.0, 0.0), (630.0, 996.0, 0.0)],
                "polygon": [[590.0, 994.0], [630.0, 994.0], [630.0, 998.0], [590.0, 998.0]],
            },
            "connector": {
                "type": "LANE_SURFACE_STREET",
                "polyline": [(630.0, 996.0, 0.0), (660.0, 1004.0, 0.0)],
                "speed_limit_kmh": 100.0,
            },
            "boundary_0": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.array(outline)},
            "boundary_1": {"type": "ROAD_LINE_SOLID_SINGLE_WHITE", "polyline": np.array(island)},
            "divider": {"type": "ROAD_LINE_SOLID_SINGLE_YELLOW", "polyline": [[590.0, 1000.0], [630.0, 1000.0]]},
        },
    }


@pytest.fixture
def write_scenarionet(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the small record, after an edit."""

    def write(edit: Callable[[dict[str, Any]], None] | None = None) -> Path:
        record = scenarionet_record()
        if edit is not None:
            edit(record)
        path = tmp_path / "sd_small.pkl"
        path.write_bytes(pickle.dumps(record))
        return path

    return write
