"""Names that several formats share: tokens, scene numbers, stamps. The same data set gives the same ones every time."""

from __future__ import annotations

import uuid

import numpy as np
from jaxtyping import Int64

from scenegen.dataset.read import Dataset
from scenegen.dataset.stored_scene import Scene
from scenegen.errors import DatasetError

TOKEN_SPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "scenegen")
FIRST_SCENE_NUMBER, LAST_SCENE_NUMBER = 2000, 9999
"""nuScenes' own scenes end at 1110, and its readers want four digits."""
EPOCH_US = 1_600_000_000_000_000
SECONDS_PER_SCENE = 1000


def token_of(*parts: str | int) -> str:
    """Return the token of a thing: 32 hex digits of a name-based UUID.

    >>> token_of("a", 1) == token_of("a", "1"), len(token_of("a", 1))
    (True, 32)
    """
    return uuid.uuid5(TOKEN_SPACE, "/".join(str(part) for part in parts)).hex


def sample_token(scene_id: str, step: int) -> str:
    """Return the token of a key frame; `nuscenes`, `occ3d` and whatever names samples agree on it."""
    return token_of(scene_id, "sample", step)


def scene_number(dataset: Dataset, scene_id: str) -> int:
    """Return a scene's number, from its place among all scenes of the data set.

    Raises:
        DatasetError: more scenes than four digits can number.
    """
    number = FIRST_SCENE_NUMBER + dataset.scene_ids.index(scene_id)
    if number > LAST_SCENE_NUMBER:
        raise DatasetError(
            f"at most {LAST_SCENE_NUMBER - FIRST_SCENE_NUMBER + 1} scenes, whose names are scene-2000 to scene-9999",
            found=f"{len(dataset)}",
            where=dataset.storage.location,
            fix="make several data sets",
        )
    return number


def scene_name(dataset: Dataset, scene_id: str) -> str:
    """Return a scene's name as nuScenes spells them, for example `scene-2000`."""
    return f"scene-{scene_number(dataset, scene_id):04d}"


def absolute_stamps_us(dataset: Dataset, scene: Scene) -> Int64[np.ndarray, " T"]:
    """Return microseconds since 1970 of every step, for formats that want them: no two scenes overlap."""
    start_us = EPOCH_US + scene_number(dataset, scene.scene_id) * SECONDS_PER_SCENE * 1_000_000
    return scene.timestamps_us + start_us
