"""The text files of a KITTI tracking sequence: labels, calibration and OXTS packets, with the line in every error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from scenegen.errors import LayoutError
from scenegen.geometry.rigid import invert_rigid
from scenegen.layout.importers.source_tracks import LARGEST

LARGEST_FILE = 64 * 2**20
MOST_FRAMES = 20_000
NUM_LABEL_COLUMNS = (17, 18)
"""The last one, a score, is in results only."""
NUM_OXTS_COLUMNS = 30
ORTHONORMAL = 1e-3
"""The largest entry of R R^T - 1 that rounding in the files explains."""
WORDS = {"R_rect": 9, "Tr_velo_cam": 12, "Tr_imu_velo": 12}
SYNONYMS = {"R0_rect": "R_rect", "Tr_velo_to_cam": "Tr_velo_cam", "Tr_imu_to_velo": "Tr_imu_velo"}
"""As the object benchmark calls them."""


@dataclass(frozen=True, kw_only=True)
class SequenceFiles:
    """Where the parts of one sequence lie."""

    sequence: str
    labels: Path
    calib: Path
    oxts: Path


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Boxes, one per row; places in the rectified frame of camera 0."""

    line: Int64[np.ndarray, " N"]
    frame: Int64[np.ndarray, " N"]
    track: Int64[np.ndarray, " N"]
    kind: np.ndarray
    size_lwh_m: Float64[np.ndarray, "N 3"]
    bottom_cam_m: Float64[np.ndarray, "N 3"]
    rotation_y_rad: Float64[np.ndarray, " N"]


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Rigid transforms between the instruments; `cam` is the rectified camera 0."""

    velo_from_cam: Float64[np.ndarray, "4 4"]
    imu_from_velo: Float64[np.ndarray, "4 4"]


@dataclass(frozen=True, kw_only=True)
class Oxts:
    """Packets of the inertial unit, one per frame. Yaw is counter-clockwise from east."""

    latitude_deg: Float64[np.ndarray, " T"]
    longitude_deg: Float64[np.ndarray, " T"]
    altitude_m: Float64[np.ndarray, " T"]
    roll_pitch_yaw_rad: Float64[np.ndarray, "T 3"]
    forward_mps: Float64[np.ndarray, " T"]


def sequence_names(root: Path) -> list[str]:
    """Return the sequences that have labels, sorted.

    Raises:
        LayoutError: no folder `label_02` here or under `training`.
    """
    return sorted(path.stem for path in (_folder_of(root) / "label_02").glob("*.txt"))


def find_sequence(path: Path) -> SequenceFiles:
    """Find the files of `ROOT/SEQUENCE`.

    Raises:
        LayoutError: one of them is missing.
    """
    folder, sequence = _folder_of(path.parent), path.name
    places = {part: folder / part / f"{sequence}.txt" for part in ("label_02", "calib", "oxts")}
    for place in places.values():
        if not place.is_file():
            known = ", ".join(sequence_names(path.parent)[:30])
            raise LayoutError(
                "label_02, calib and oxts of a sequence",
                found="no such file",
                where=str(place),
                fix=f"there are labels of {known or 'none'}",
            )
    return SequenceFiles(sequence=sequence, labels=places["label_02"], calib=places["calib"], oxts=places["oxts"])


def _folder_of(root: Path) -> Path:
    for folder in (root, root / "training"):
        if (folder / "label_02").is_dir():
            return folder
    raise LayoutError("a folder label_02, here or under training", found="none", where=str(root))


def read_labels(path: Path) -> Labels:
    """Read all labels, in any order; regions that nobody cares for are among them.

    Raises:
        LayoutError: naming the line.
    """
    lines, kinds, numbers = [], [], []
    for line, words in lines_of(path):
        where = f"{path}:{line}"
        if len(words) not in NUM_LABEL_COLUMNS:
            raise LayoutError("17 columns, or 18 with a score", found=f"{len(words)}", where=where)
        frame_track = [_whole(word, where=where) for word in words[:2]]
        if frame_track[0] < 0 or (frame_track[1] < 0 and words[2] != "DontCare"):
            raise LayoutError("a frame and a track from 0 on", found=f"{frame_track}", where=where)
        lines.append(line)
        kinds.append(words[2])
        numbers.append([*frame_track, *(number_of(word, where=where) for word in words[3:17])])
    if not lines:
        raise LayoutError("at least one label", found="none", where=str(path))
    table = np.array(numbers)
    return Labels(
        line=np.array(lines),
        frame=table[:, 0].astype(np.int64),
        track=table[:, 1].astype(np.int64),
        kind=np.array(kinds),
        size_lwh_m=table[:, [11, 10, 9]],
        bottom_cam_m=table[:, 12:15],
        rotation_y_rad=table[:, 15],
    )


def read_calibration(path: Path) -> Calibration:
    """Read where camera, LiDAR and inertial unit sit.

    Raises:
        LayoutError: a matrix is missing, of another size, or no rotation.
    """
    found: dict[str, Float64[np.ndarray, " N"]] = {}
    for line, words in lines_of(path):
        name = words[0].rstrip(":")
        name = SYNONYMS.get(name, name)
        if name not in WORDS:
            continue
        where = f"{path}:{line}: {name}"
        if len(words) != WORDS[name] + 1:
            raise LayoutError(f"{WORDS[name]} numbers", found=f"{len(words) - 1}", where=where)
        found[name] = np.array([number_of(word, where=where) for word in words[1:]])
    missing = [name for name in WORDS if name not in found]
    if missing:
        raise LayoutError(f"matrices {', '.join(WORDS)}", found=f"no {', '.join(missing)}", where=str(path))
    matrices = {name: _rigid(values, where=f"{path}: {name}") for name, values in found.items()}
    return Calibration(
        velo_from_cam=invert_rigid(matrices["R_rect"] @ matrices["Tr_velo_cam"]),
        imu_from_velo=invert_rigid(matrices["Tr_imu_velo"]),
    )


def _rigid(values: Float64[np.ndarray, " N"], *, where: str) -> Float64[np.ndarray, "4 4"]:
    """Fill a 4x4 matrix from a rotation (9 numbers) or a rotation with a place (12), row by row."""
    matrix = np.eye(4)
    matrix[:3, : len(values) // 3] = values.reshape(3, -1)
    off = np.abs(matrix[:3, :3] @ matrix[:3, :3].T - np.eye(3)).max()
    if off > ORTHONORMAL or np.linalg.det(matrix[:3, :3]) < 0.0:
        raise LayoutError("a rotation", found=f"one that is {off:.3g} off orthonormal, or mirrors", where=where)
    return matrix


def read_oxts(path: Path) -> Oxts:
    """Read the packets, one line per frame.

    Raises:
        LayoutError: naming the line.
    """
    rows = []
    for line, words in lines_of(path):
        where = f"{path}:{line}"
        if len(words) != NUM_OXTS_COLUMNS:
            raise LayoutError(f"{NUM_OXTS_COLUMNS} columns", found=f"{len(words)}", where=where)
        row = [number_of(word, where=where) for word in words]
        if not (abs(row[0]) < 89.0 and abs(row[1]) <= 180.0):
            raise LayoutError("a latitude and a longitude in degrees", found=f"{row[:2]}", where=where)
        rows.append(row)
    if not 0 < len(rows) <= MOST_FRAMES:
        raise LayoutError(f"1 to {MOST_FRAMES:,} packets", found=f"{len(rows):,}", where=str(path))
    table = np.array(rows)
    return Oxts(
        latitude_deg=table[:, 0],
        longitude_deg=table[:, 1],
        altitude_m=table[:, 2],
        roll_pitch_yaw_rad=table[:, 3:6],
        forward_mps=table[:, 8],
    )


def lines_of(path: Path) -> list[tuple[int, list[str]]]:
    """Split a small text file into its lines' words, numbered from 1, without empty lines."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise LayoutError(f"a text file of at most {LARGEST_FILE:,} bytes", found=f"{size:,}", where=str(path))
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise LayoutError("a readable text file", found=str(error), where=str(path)) from error
    return [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def number_of(word: str, *, where: str) -> float:
    """Return the finite number that a word spells, or raise `LayoutError`."""
    try:
        value = float(word)
    except ValueError as error:
        raise LayoutError("a number", found=f"{word!r:.40}", where=where) from error
    if not -LARGEST <= value <= LARGEST:
        raise LayoutError(f"a finite number of at most {LARGEST:g}", found=f"{word!r:.40}", where=where)
    return value


def _whole(word: str, *, where: str) -> int:
    value = number_of(word, where=where)
    if value != int(value):
        raise LayoutError("a whole number", found=f"{word!r:.40}", where=where)
    return int(value)
