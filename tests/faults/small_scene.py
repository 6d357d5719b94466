"""A scene of one small camera with few files, so that hundreds of commits and crashes cost seconds."""

from __future__ import annotations

from pathlib import Path

from scenegen.dataset import Receipt, open_scene_writer
from scenegen.types import CameraRig, SceneRecord
from tests.unit.dataset.tiny_scene import bare_chunks, tiny_record, tiny_rig

SCENE_ID = "small-00c0ffee"


def small_record(scene_id: str = SCENE_ID) -> SceneRecord:
    """The header: one camera, two steps."""
    rig = CameraRig(name="one", cameras=tiny_rig().cameras[:1])
    return tiny_record(num_steps=2, scene_id=scene_id, rig=rig)


def write_small(location: Path | str, scene_id: str = SCENE_ID) -> Receipt:
    """Write and commit the scene, with a preview."""
    record = small_record(scene_id)
    with open_scene_writer(location, record) as writer:
        for chunk in bare_chunks(record):
            writer.append(chunk)
        (writer.preview_dir / f"{scene_id}.jpg").write_bytes(b"not quite a picture")
        return writer.commit(scores={}, cost={})
