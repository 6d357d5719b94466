"""Sources of real logs: `source:location`, and the readers behind them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenegen.errors import ConfigError, RecordingError
from scenegen.types.recorded_log import RecordedLog


def read_logs(source: str, *, occ3d: Path | None = None) -> list[RecordedLog]:
    """Read the logs that a source names, without pixels and points.

    Args:
        source: `dgp:DIR`, `kitti:DIR[/FRAME]`, `nuscenes:ROOT[/VERSION[/SCENE]]`, `nuscenes_keyframe:DIR`.
        occ3d: folder of Occ3D labels, for sources whose steps have tokens.

    Raises:
        ConfigError: no such source.
        RecordingError: nothing is there.
        LayoutError: a file is missing or damaged.
    """
    kind, colon, location = source.partition(":")
    if not colon or kind not in LOG_SOURCES or not location:
        raise ConfigError(
            f"SOURCE:LOCATION with a source out of {', '.join(LOG_SOURCES)}", found=repr(source), where="source"
        )
    path = Path(location).expanduser()
    if not path.exists() and not path.parent.exists():
        raise RecordingError("an existing folder", found=f"nothing at {location!r}", where=source)
    return LOG_SOURCES[kind](path, occ3d)


def _read_dgp(path: Path, occ3d: Path | None) -> list[RecordedLog]:
    from scenegen.layout.importers.dgp import read_dgp_log

    _refuse_occ3d(occ3d, "dgp")
    return [read_dgp_log(path)]


def _read_kitti(path: Path, occ3d: Path | None) -> list[RecordedLog]:
    from scenegen.layout.importers.kitti_object import read_kitti_logs

    _refuse_occ3d(occ3d, "kitti")
    return read_kitti_logs(path)


def _read_keyframe(path: Path, occ3d: Path | None) -> list[RecordedLog]:
    from scenegen.layout.importers.nuscenes_keyframe import read_keyframe_logs

    _refuse_occ3d(occ3d, "nuscenes_keyframe")
    return read_keyframe_logs(path)


def _read_nuscenes(path: Path, occ3d: Path | None) -> list[RecordedLog]:
    from scenegen.layout.importers.nuscenes.log import read_nuscenes_logs

    return read_nuscenes_logs(path, occ3d=occ3d)


def _refuse_occ3d(occ3d: Path | None, kind: str) -> None:
    if occ3d is not None:
        raise ConfigError("no Occ3D labels, which are of nuScenes", found=str(occ3d), where=f"{kind}: occ3d")


LOG_SOURCES: dict[str, Callable[[Path, Path | None], list[RecordedLog]]] = {
    "dgp": _read_dgp,
    "kitti": _read_kitti,
    "nuscenes": _read_nuscenes,
    "nuscenes_keyframe": _read_keyframe,
}
