"""LeRobot data set v3: parquet rows a step, an H.264 file a camera and scene, and `meta`. A scene is an episode.

| feature | what |
|---|---|
| `observation.images.<camera>` | video |
| `observation.state` | speed (m/s), yaw rate (rad/s), acceleration forward and to the left (m/s2) of the ego |
| `observation.pose` | x, y, z (m) and quaternion w, x, y, z of the ego in the scene's world frame |
| `action` | acceleration along the path (m/s2) and yaw rate (rad/s) from this step to the next; zero at the last |

The task of an episode is its prompt. Episodes are ordered by split, and `meta/info.json` has the ranges. The
acceleration in `observation.state` is of motion alone: what an accelerometer adds for gravity is not in it.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from scenegen.dataset.columns import GRAVITY_MPS2
from scenegen.dataset.export import ExportJob
from scenegen.dataset.export.arrow import import_pyarrow
from scenegen.dataset.rotations import rotation_wxyz
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.video_file import VideoFile
from scenegen.errors import DatasetError

CODEBASE_VERSION = "v3.0"
FILES_PER_CHUNK = 1000
CRF, GROUP_STEPS = 18, 2
"""A picture is at most one picture from the one it is decoded from: training reads at random."""
SPLITS = ("train", "val", "test")
STATE = ("speed_mps", "yaw_rate_radps", "accel_forward_mps2", "accel_left_mps2")
POSE = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz")
ACTION = ("accel_mps2", "yaw_rate_radps")
NUMBERS = ("timestamp", "frame_index", "episode_index", "index", "task_index")
STATISTICS = ("min", "max", "mean", "std", "count")


@dataclass(kw_only=True)
class Totals:
    """Running least, greatest, sum and sum of squares of a feature's columns."""

    low: Float64[np.ndarray, " D"]
    high: Float64[np.ndarray, " D"]
    total: Float64[np.ndarray, " D"]
    squares: Float64[np.ndarray, " D"]
    count: int = 0

    @classmethod
    def of_width(cls, width: int) -> Totals:
        """Return empty totals."""
        return cls(
            low=np.full(width, np.inf), high=np.full(width, -np.inf), total=np.zeros(width), squares=np.zeros(width)
        )

    def add(self, rows: Float64[np.ndarray, "N D"], *, count: int | None = None) -> None:
        """Add rows; `count` is how many samples they are, where they are not one each."""
        self.low, self.high = np.minimum(self.low, rows.min(axis=0)), np.maximum(self.high, rows.max(axis=0))
        weight = 1.0 if count is None else count / len(rows)
        self.total += weight * rows.sum(axis=0)
        self.squares += weight * (rows**2).sum(axis=0)
        self.count += len(rows) if count is None else count

    def merge(self, other: Totals) -> None:
        """Add what other totals hold."""
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self.total, self.squares = self.total + other.total, self.squares + other.squares
        self.count += other.count

    def statistics(self) -> dict[str, Any]:
        """Return what `meta/stats.json` holds of the feature."""
        mean = self.total / self.count
        std = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0.0))
        values = (self.low.tolist(), self.high.tolist(), mean.tolist(), std.tolist(), [self.count])
        return dict(zip(STATISTICS, values, strict=True))


@dataclass(kw_only=True)
class Book:
    """What is known of the episodes so far."""

    tasks: dict[str, int] = field(default_factory=dict)
    episodes: list[dict[str, Any]] = field(default_factory=list)
    totals: dict[str, Totals] = field(default_factory=dict)
    num_frames: int = 0


def write(job: ExportJob) -> None:
    """Write the scenes of a job."""
    import_pyarrow()
    split_of = {entry.scene_id: entry.split for entry in job.dataset.manifest.scenes}
    ordered = sorted(job.scene_ids, key=lambda scene_id: (SPLITS.index(split_of[scene_id]), scene_id))
    book, first = Book(), job.dataset[ordered[0]]
    for scene_id in ordered:
        scene = job.dataset[scene_id]
        _check_alike(scene, first)
        _write_episode(job, scene, book)
    _write_meta(job.folder / "meta", first, book, [split_of[scene_id] for scene_id in ordered])


def _check_alike(scene: Scene, first: Scene) -> None:
    """Refuse what one LeRobot data set cannot hold together.

    Raises:
        DatasetError: another rig or rate than the first scene's, or a rate that is no whole number.
    """

    def shape_of(one: Scene) -> tuple[Any, ...]:
        return (one.rate_hz, *((camera.name, camera.size_px) for camera in one.rig.cameras))

    if shape_of(scene) != shape_of(first):
        raise DatasetError(
            f"cameras, sizes and rate of scene {first.scene_id}: {shape_of(first)}",
            found=f"{shape_of(scene)}",
            where=f"scene {scene.scene_id}",
            fix="export the scenes of one rig at a time: --scenes",
        )
    if not scene.rate_hz.is_integer():
        raise DatasetError(
            "a whole number of steps per second", found=f"{scene.rate_hz:g}", where=f"scene {scene.scene_id}"
        )


def _place(episode: int) -> tuple[int, int]:
    """Return chunk and file of an episode."""
    return divmod(episode, FILES_PER_CHUNK)


def _write_episode(job: ExportJob, scene: Scene, book: Book) -> None:
    episode, length = len(book.episodes), scene.num_steps
    chunk, file = _place(episode)
    task = scene.attrs["prompt"] or "drive"
    task_idx = book.tasks.setdefault(task, len(book.tasks))
    columns = _vectors(scene)
    totals = {name: Totals.of_width(values.shape[1]) for name, values in columns.items()}
    for name, values in columns.items():
        totals[name].add(values.astype(np.float64))
    numbers = {
        "timestamp": (np.arange(length) / scene.rate_hz).astype(np.float32),
        "frame_index": np.arange(length),
        "episode_index": np.full(length, episode),
        "index": book.num_frames + np.arange(length),
        "task_index": np.full(length, task_idx),
    }
    for name, column in numbers.items():
        totals[name] = Totals.of_width(1)
        totals[name].add(column[:, None].astype(np.float64))
    _write_rows(job.folder / "data" / f"chunk-{chunk:03d}" / f"file-{file:03d}.parquet", columns, numbers)
    totals |= _write_videos(job, scene, episode)
    row = {
        "episode_index": episode,
        "tasks": [task],
        "length": length,
        "dataset_from_index": book.num_frames,
        "dataset_to_index": book.num_frames + length,
        **{f"data/{key}": value for key, value in (("chunk_index", chunk), ("file_index", file))},
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    for camera in scene.cameras:
        span = {"from_timestamp": 0.0, "to_timestamp": length / scene.rate_hz}
        where = {"chunk_index": chunk, "file_index": file, **span}
        row |= {f"videos/observation.images.{camera}/{key}": value for key, value in where.items()}
    for name, total in totals.items():
        row |= {f"stats/{name}/{key}": value for key, value in _shaped(name, total.statistics()).items()}
        book.totals.setdefault(name, Totals.of_width(len(total.low))).merge(total)
    book.episodes.append(row)
    book.num_frames += length


def _vectors(scene: Scene) -> dict[str, Float32[np.ndarray, "T _"]]:
    """Return the columns that hold a vector a step."""
    signals = scene.array("ego/can_bus")[:].astype(np.float64)
    rotation = scene.ego2global[:, :3, :3]
    accel = signals[:, 7:10] - np.einsum("tji,j->ti", rotation, [0.0, 0.0, GRAVITY_MPS2])
    speed = np.linalg.norm(signals[:, 13:16], axis=1)
    state = np.stack([speed, signals[:, 12], accel[:, 0], accel[:, 1]], axis=1)
    pose = np.concatenate([scene.ego2global[:, :3, 3], rotation_wxyz(rotation)], axis=1)
    heading = np.unwrap(np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]))
    action = np.zeros((scene.num_steps, len(ACTION)))
    action[:-1, 0] = np.diff(speed) * scene.rate_hz
    action[:-1, 1] = np.diff(heading) * scene.rate_hz
    columns = {"observation.state": state, "observation.pose": pose, "action": action}
    return {name: values.astype(np.float32) for name, values in columns.items()}


def _write_rows(path: Path, columns: dict[str, Any], numbers: dict[str, Any]) -> None:
    pa = import_pyarrow()
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        name: pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
        for name, values in columns.items()
    }
    pa.parquet.write_table(pa.table({**arrays, **numbers}), str(path))


def _write_videos(job: ExportJob, scene: Scene, episode: int) -> dict[str, Totals]:
    """Write an episode's videos and return the statistics of their pixels, channel by channel, from 0 to 1."""
    chunk, file = _place(episode)
    totals = {f"observation.images.{camera}": Totals.of_width(3) for camera in scene.cameras}
    with ExitStack() as stack:
        videos = {}
        for camera in scene.rig.cameras:
            key = f"observation.images.{camera.name}"
            path = job.folder / "videos" / key / f"chunk-{chunk:03d}" / f"file-{file:03d}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            videos[key] = VideoFile(
                path, rate_hz=scene.rate_hz, size_px=camera.size_px, crf=CRF, group_steps=GROUP_STEPS
            )
            stack.callback(videos[key].close)
        for step in range(scene.num_steps):
            for name in scene.cameras:
                key = f"observation.images.{name}"
                picture: UInt8[np.ndarray, "H W 3"] = scene.rgb(name)[step]
                videos[key].append(picture)
                totals[key].add(picture.reshape(-1, 3) / 255.0, count=1)
            job.step_done()
    return totals


def _shaped(name: str, statistics: dict[str, Any]) -> dict[str, Any]:
    """Return statistics of pictures with the channel before two axes of length 1."""
    if not name.startswith("observation.images."):
        return statistics
    return {key: value if key == "count" else [[[channel]] for channel in value] for key, value in statistics.items()}


def _write_meta(folder: Path, first: Scene, book: Book, splits: list[str]) -> None:
    pa = import_pyarrow()
    (folder / "episodes" / "chunk-000").mkdir(parents=True)
    episodes = {name: [row[name] for row in book.episodes] for name in book.episodes[0]}
    pa.parquet.write_table(pa.table(episodes), str(folder / "episodes" / "chunk-000" / "file-000.parquet"))
    _write_tasks(folder / "tasks.parquet", book.tasks)
    statistics = {name: _shaped(name, total.statistics()) for name, total in book.totals.items()}
    (folder / "stats.json").write_text(json.dumps(statistics, indent=4) + "\n")
    ranges = {
        split: f"{splits.index(split)}:{splits.index(split) + splits.count(split)}"
        for split in SPLITS
        if split in splits
    }
    info = {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": "scenegen_ego",
        "total_episodes": len(book.episodes),
        "total_frames": book.num_frames,
        "total_tasks": len(book.tasks),
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 500,
        "fps": int(first.rate_hz),
        "splits": ranges,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": _features(first),
    }
    (folder / "info.json").write_text(json.dumps(info, indent=4) + "\n")


def _features(scene: Scene) -> dict[str, Any]:
    features: dict[str, Any] = {}
    for camera in scene.rig.cameras:
        width, height = (length + length % 2 for length in camera.size_px)
        features[f"observation.images.{camera.name}"] = {
            "dtype": "video",
            "shape": [height, width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": height,
                "video.width": width,
                "video.codec": "h264",
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": int(scene.rate_hz),
                "video.channels": 3,
                "has_audio": False,
            },
        }
    for name, parts in (("observation.state", STATE), ("observation.pose", POSE), ("action", ACTION)):
        features[name] = {"dtype": "float32", "shape": [len(parts)], "names": list(parts)}
    for name in NUMBERS:
        features[name] = {"dtype": "float32" if name == "timestamp" else "int64", "shape": [1], "names": None}
    return features


def _write_tasks(path: Path, tasks: dict[str, int]) -> None:
    """Write the tasks as a pandas table whose index is the text; readers look numbers up by text and back."""
    pa = import_pyarrow()
    text = {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    number = {**text, "name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": [number, text], "pandas_version": "2.2.0"}
    table = pa.table({"task_index": pa.array(list(tasks.values()), pa.int64()), "task": pa.array(list(tasks))})
    pa.parquet.write_table(table.replace_schema_metadata({"pandas": json.dumps(pandas)}), str(path))
