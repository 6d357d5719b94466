"""Where things lie in a data set (DESIGN section 6), and nothing else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from scenegen.errors import DatasetError

SCENE_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class DatasetPaths:
    """All paths of one data set. Nothing is touched on disk."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The one file that readers open."""
        return self.root / "manifest.json"

    @property
    def card(self) -> Path:
        """The data set card."""
        return self.root / "README.md"

    @property
    def receipts(self) -> Path:
        """Folder of one JSON per committed scene."""
        return self.root / "receipts"

    @property
    def staging(self) -> Path:
        """Folder of unfinished scenes; no reader looks here."""
        return self.root / "staging"

    @property
    def lock(self) -> Path:
        """Lock of renames and of the manifest."""
        return self.staging / "commit.lock"

    def receipt(self, scene_id: str) -> Path:
        """Receipt of a scene."""
        return self.receipts / f"{check_scene_id(scene_id)}.json"

    def scene(self, scene_id: str) -> Path:
        """Zarr store of a scene.

        >>> DatasetPaths(Path("ds")).scene("crossing-0a1b2c3d").as_posix()
        'ds/scenes/c8/crossing-0a1b2c3d.zarr'
        """
        bucket = hashlib.sha256(check_scene_id(scene_id).encode()).hexdigest()[:2]
        return self.root / "scenes" / bucket / f"{scene_id}.zarr"

    def preview(self, scene_id: str, suffix: str) -> Path:
        """Preview of a scene; `suffix` is `.mp4` or `.jpg`."""
        return self.root / "previews" / f"{check_scene_id(scene_id)}{suffix}"

    def run(self, run_id: str) -> Path:
        """Folder of one run."""
        return self.root / "runs" / check_scene_id(run_id)


def check_scene_id(scene_id: str) -> str:
    """Return the id if it is a safe file name.

    Raises:
        DatasetError: empty, too long, hidden, or with characters beyond letters, digits, dot, dash, underscore.
    """
    if not SCENE_ID_PATTERN.fullmatch(scene_id):
        raise DatasetError(
            "an id of letters, digits, '.', '-' and '_'", found=repr(scene_id), where="scene id", fix="rename it"
        )
    return scene_id
