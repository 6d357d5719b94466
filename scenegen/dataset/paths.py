"""Where things lie in a data set (DESIGN section 6), and nothing else: keys below its root, and local paths of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from scenegen.dataset.storage.local import LOCK_KEY
from scenegen.errors import DatasetError

MANIFEST = "manifest.json"
CARD = "README.md"
RECEIPTS = "receipts"
SCENES = "scenes"
PREVIEWS = "previews"
STAGING = "staging"
CHECKPOINTS = f"{STAGING}/checkpoints"
RUNS = "runs"

SCENE_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def receipt_key(scene_id: str) -> str:
    """Return the key of a scene's receipt."""
    return f"{RECEIPTS}/{check_scene_id(scene_id)}.json"


def scene_key(scene_id: str, *, attempt: str = "") -> str:
    """Return the prefix of a scene's Zarr store.

    Args:
        scene_id: the scene.
        attempt: which writer's, on storages where several may write the same scene at once.

    >>> scene_key("crossing-0a1b2c3d"), scene_key("crossing-0a1b2c3d", attempt="5e6f")
    ('scenes/c8/crossing-0a1b2c3d.zarr', 'scenes/c8/crossing-0a1b2c3d/5e6f.zarr')
    """
    return f"{scene_root(scene_id)}{f'/{attempt}' if attempt else ''}.zarr"


def scene_root(scene_id: str) -> str:
    """Return what the keys of all attempts at a scene begin with, before a dot or a slash."""
    bucket = hashlib.sha256(check_scene_id(scene_id).encode()).hexdigest()[:2]
    return f"{SCENES}/{bucket}/{scene_id}"


def preview_key(scene_id: str, suffix: str, *, attempt: str = "") -> str:
    """Return the key of a scene's preview; `suffix` is `.mp4` or `.jpg`."""
    return f"{PREVIEWS}/{check_scene_id(scene_id)}{f'/{attempt}' if attempt else ''}{suffix}"


def checkpoint_key(scene_id: str) -> str:
    """Return the prefix of the checkpoints of a scene that is being made; no folder of a writer has such a name."""
    return f"{CHECKPOINTS}/{check_scene_id(scene_id)}"


def run_key(run_id: str) -> str:
    """Return the prefix of one run's records."""
    return f"{RUNS}/{check_scene_id(run_id)}"


@dataclass(frozen=True)
class DatasetPaths:
    """All paths of one data set in a local folder. Nothing is touched on disk."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The one file that readers open."""
        return self.root / MANIFEST

    @property
    def card(self) -> Path:
        """The data set card."""
        return self.root / CARD

    @property
    def receipts(self) -> Path:
        """Folder of one JSON per committed scene."""
        return self.root / RECEIPTS

    @property
    def staging(self) -> Path:
        """Folder of unfinished scenes; no reader looks here."""
        return self.root / STAGING

    @property
    def lock(self) -> Path:
        """Lock of renames and of the manifest."""
        return self.root / LOCK_KEY

    def receipt(self, scene_id: str) -> Path:
        """Receipt of a scene."""
        return self.root / receipt_key(scene_id)

    def scene(self, scene_id: str) -> Path:
        """Zarr store of a scene.

        >>> DatasetPaths(Path("ds")).scene("crossing-0a1b2c3d").as_posix()
        'ds/scenes/c8/crossing-0a1b2c3d.zarr'
        """
        return self.root / scene_key(scene_id)

    def preview(self, scene_id: str, suffix: str) -> Path:
        """Preview of a scene; `suffix` is `.mp4` or `.jpg`."""
        return self.root / preview_key(scene_id, suffix)

    def run(self, run_id: str) -> Path:
        """Folder of one run."""
        return self.root / run_key(run_id)


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
