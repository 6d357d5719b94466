"""The rows of one scene: its samples in order, its annotations by instance, its ego poses by time; chains checked."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from scenegen.errors import LayoutError
from scenegen.layout.importers.nuscenes.tables import Row, find_version, open_tables, stamps_of

COVERED_S = 0.1
"""Ego poses may begin that much after the first key frame, and end that much before the last."""


@dataclass(frozen=True, kw_only=True)
class SceneRows:
    """One scene. Stamps count from the first sample; samples of a track are indices into `samples`."""

    scene: Row
    samples: list[Row]
    sample_s: Float64[np.ndarray, " S"]
    annotations: dict[str, list[Row]]
    sample_of: dict[str, int]
    ego_poses: list[Row]
    ego_s: Float64[np.ndarray, " E"]
    num_sample_data: int


@dataclass(frozen=True, kw_only=True)
class OpenScene:
    """One scene, the devkit's database that it is in, and the folder of its tables."""

    rows: SceneRows
    database: Any
    version: Path


def open_scene(path: Path) -> OpenScene:
    """Open the tables below a devkit root and collect the rows of one scene.

    Args:
        path: ROOT, ROOT/VERSION, or either with the scene's name behind it; what is left out must be the only one.

    Raises:
        LayoutError: no such scene, a table missing or damaged, a chain broken; with file and token.
        DependencyError: nuscenes-devkit is not installed.
    """
    folder, name = (path, "") if path.is_dir() else (path.parent, path.name)
    version = find_version(folder)
    database = open_tables(version)
    scene = _pick_scene(database.scene, name, version)
    return OpenScene(rows=rows_of_scene(database, scene, version), database=database, version=version)


def _pick_scene(scenes: list[Row], name: str, version: Path) -> Row:
    """Return the scene of a name, or the only one."""
    found = [row for row in scenes if not name or row["name"] == name]
    if len(found) == 1:
        return found[0]
    names = [str(row["name"]) for row in scenes]
    listing = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    raise LayoutError(
        f"a scene {name!r}" if name else "the name of one scene",
        found=f"{len(found)} of {len(names)}",
        where=str(version / "scene.json"),
        fix=f"the scenes are {listing}",
    )


def rows_of_scene(database: Any, scene: Row, folder: Path) -> SceneRows:
    """Collect the rows of a scene from the devkit's database.

    Raises:
        LayoutError: a chain that is broken, cyclic or not in order of time, or no ego pose; with file and token.
    """
    samples = _samples_of(database, scene, folder)
    sample_s = stamps_of(samples, file=folder / "sample.json")
    sample_of = {row["token"]: idx for idx, row in enumerate(samples)}
    for idx in range(1, len(samples)):
        if sample_s[idx] <= sample_s[idx - 1]:
            where = f"{folder / 'sample.json'}: {samples[idx]['token']!r}.timestamp"
            raise LayoutError("a time after the sample before", found=f"{samples[idx]['timestamp']}", where=where)
    by_instance: dict[str, list[Row]] = {}
    for sample in samples:
        for token in sample["anns"]:
            row = database.get("sample_annotation", token)
            by_instance.setdefault(row["instance_token"], []).append(row)
    for rows in by_instance.values():
        _check_track(rows, folder / "sample_annotation.json")
    sample_data = [row for row in database.sample_data if row["sample_token"] in sample_of]
    ego_poses, ego_s = _ego_poses_of(database, sample_data, samples, folder)
    return SceneRows(
        scene=scene,
        samples=samples,
        sample_s=sample_s,
        annotations=by_instance,
        sample_of=sample_of,
        ego_poses=ego_poses,
        ego_s=ego_s,
        num_sample_data=len(sample_data),
    )


def _samples_of(database: Any, scene: Row, folder: Path) -> list[Row]:
    """Follow the chain of samples."""
    file = folder / "sample.json"
    known = {row["token"]: row for row in database.sample if row["scene_token"] == scene["token"]}
    samples: list[Row] = []
    token, before = scene["first_sample_token"], ""
    while token:
        where = f"{file}: {token!r}"
        if token not in known:
            raise LayoutError(
                f"a sample of {scene['name']}", found=f"{token!r}", where=f"{file}: after {before or 'the start'!r}"
            )
        row = known[token]
        if len(samples) >= len(known):
            raise LayoutError("a chain of samples that ends", found="a cycle of next", where=where)
        if row["prev"] != before:
            raise LayoutError(f"prev {before!r}", found=f"{row['prev']!r}", where=where)
        samples.append(row)
        before, token = token, row["next"]
    if len(samples) != len(known) or len(samples) != scene["nbr_samples"]:
        found = f"{len(samples)} in the chain, {len(known)} in the table, {scene['nbr_samples']!r} in scene.json"
        raise LayoutError(f"all samples of {scene['name']} in one chain", found=found, where=str(file))
    return samples


def _check_track(rows: list[Row], file: Path) -> None:
    """Check the annotations of one instance, which are in the order of samples."""
    for before, row in pairwise(rows):
        if before["sample_token"] == row["sample_token"]:
            where = f"{file}: {row['token']!r}"
            raise LayoutError(f"one box of instance {row['instance_token']!r} per sample", found="two", where=where)
    for idx, row in enumerate(rows):
        expected = {
            "prev": rows[idx - 1]["token"] if idx else "",
            "next": rows[idx + 1]["token"] if idx + 1 < len(rows) else "",
        }
        for key, token in expected.items():
            if row[key] != token:
                raise LayoutError(
                    f"{key} {token!r}, by the order of samples",
                    found=f"{row[key]!r}",
                    where=f"{file}: {row['token']!r}",
                )


def _ego_poses_of(
    database: Any, sample_data: list[Row], samples: list[Row], folder: Path
) -> tuple[list[Row], Float64[np.ndarray, " E"]]:
    """Return the ego poses of the channel that has most (the LiDAR, in nuScenes), and their stamps."""
    by_channel: dict[str, list[Row]] = {}
    for row in sample_data:
        by_channel.setdefault(row["channel"], []).append(row)
    channel = max(by_channel, key=lambda name: (len(by_channel[name]), name.startswith("LIDAR"), name), default="")
    rows = by_channel.get(channel, [])
    file = folder / "sample_data.json"
    if not rows:
        raise LayoutError("sample_data of the scene", found="none", where=str(file))
    poses = [database.get("ego_pose", row["ego_pose_token"]) for row in rows]
    stamp_s = stamps_of([samples[0], *poses], file=folder / "ego_pose.json")[1:]
    order = np.argsort(stamp_s, kind="stable")
    stamp_s, poses = stamp_s[order], [poses[idx] for idx in order]
    twice = np.flatnonzero(np.diff(stamp_s) <= 0.0)
    if len(twice):
        where = f"{folder / 'ego_pose.json'}: {poses[twice[0] + 1]['token']!r}.timestamp"
        raise LayoutError(f"one ego pose of {channel} at a time", found="two at the same", where=where)
    end_s = stamps_of([samples[0], samples[-1]], file=folder / "sample.json")[1]
    if stamp_s[0] > COVERED_S or stamp_s[-1] < end_s - COVERED_S:
        found = f"from {stamp_s[0]:.2f} s to {stamp_s[-1]:.2f} s"
        raise LayoutError(f"ego poses of {channel} from 0 s to {end_s:.2f} s", found=found, where=str(file))
    return poses, stamp_s
