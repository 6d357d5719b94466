"""Point files of recorded sweeps, in frame `lidar` (x forward, y left, z up)."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8

from scenegen.errors import RecordingError
from scenegen.types.recorded_log import RecordedSweep

UNKNOWN_RING = 255
MOST_POINTS = 4_000_000
FARTHEST_M = 1000.0
LEAST_POINTS = 200


@dataclass(frozen=True, kw_only=True)
class Points:
    """The points of a sweep.

    Attributes:
        intensity: 0..1.
        ring: beam; `UNKNOWN_RING` where the file has none.
    """

    points_lidar_m: Float32[np.ndarray, "P 3"]
    intensity: Float32[np.ndarray, " P"]
    ring: UInt8[np.ndarray, " P"]


def read_points(sweep: RecordedSweep) -> Points:
    """Read a sweep.

    Raises:
        RecordingError: missing, truncated, of an odd length, not finite, or nearly empty.
    """
    table = _READERS[sweep.format](sweep.path)
    where = str(sweep.path)
    if len(table) < LEAST_POINTS:
        raise RecordingError(f"at least {LEAST_POINTS} points", found=f"{len(table)}", where=where)
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise RecordingError("finite points", found=f"NaN or infinity at row {row}", where=where)
    farthest_m = float(np.abs(table[:, :3]).max())
    if farthest_m > FARTHEST_M:
        raise RecordingError(f"points within {FARTHEST_M:g} m", found=f"{farthest_m:g} m", where=where)
    points, intensity = table[:, :3], table[:, 3]
    if sweep.format == "nuscenes_bin":  # x right, y forward
        points = np.stack([points[:, 1], -points[:, 0], points[:, 2]], axis=1)
        intensity = intensity / 255.0
    if not ((intensity >= 0.0) & (intensity <= 1.0)).all():
        raise RecordingError("intensities of the format's range", found=f"{float(intensity.max()):g}", where=where)
    ring = np.full(len(table), UNKNOWN_RING, np.uint8)
    if table.shape[1] > 4:
        if not ((table[:, 4] >= 0) & (table[:, 4] < UNKNOWN_RING)).all():
            raise RecordingError("beam numbers below 255", found=f"{float(table[:, 4].max()):g}", where=where)
        ring = table[:, 4].astype(np.uint8)
    return Points(
        points_lidar_m=np.ascontiguousarray(points, np.float32), intensity=intensity.astype(np.float32), ring=ring
    )


def _read_floats(path: Path, columns: int) -> Float32[np.ndarray, "P C"]:
    content = _content(path, most_bytes=MOST_POINTS * 4 * columns)
    if len(content) % (4 * columns):
        found = f"{len(content)} bytes"
        raise RecordingError(f"rows of {columns} float32, {4 * columns} bytes each", found=found, where=str(path))
    return np.frombuffer(content, "<f4").reshape(-1, columns)


def _read_npz(path: Path) -> Float32[np.ndarray, "P 4"]:
    content = _content(path, most_bytes=MOST_POINTS * 32)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if names != ["data.npy"]:
            raise RecordingError("one array `data`", found=", ".join(names)[:80], where=str(path))
        if unpacked > MOST_POINTS * 40:
            raise RecordingError(f"at most {MOST_POINTS} points", found=f"{unpacked} bytes unpacked", where=str(path))
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            table = stored["data"]
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, OSError) as error:
        raise RecordingError("a complete .npz file", found=f"{error}", where=str(path)) from error
    if table.ndim != 2 or table.shape[1] != 4 or table.dtype.kind != "f":
        raise RecordingError("rows of x, y, z, intensity", found=f"{table.dtype} {table.shape}", where=str(path))
    return np.asarray(table, np.float32)


def _content(path: Path, *, most_bytes: int) -> bytes:
    try:
        size = path.stat().st_size
        if size > most_bytes:
            raise RecordingError(f"at most {most_bytes} bytes", found=f"{size}", where=str(path))
        return path.read_bytes()
    except OSError as error:
        raise RecordingError("a readable file", found=error.strerror or str(error), where=str(path)) from error


def _read_nuscenes(path: Path) -> Float32[np.ndarray, "P 5"]:
    return _read_floats(path, 5)


def _read_kitti(path: Path) -> Float32[np.ndarray, "P 4"]:
    return _read_floats(path, 4)


_READERS: dict[str, Callable[[Path], Float32[np.ndarray, "P C"]]] = {
    "dgp_npz": _read_npz,
    "nuscenes_bin": _read_nuscenes,
    "kitti_bin": _read_kitti,
}
