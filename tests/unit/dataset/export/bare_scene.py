"""A data set of one scene without the labels that a scene may do without."""

from __future__ import annotations

from pathlib import Path

from scenegen.dataset import fold_receipts, open_scene_writer
from tests.unit.dataset.tiny_scene import bare_chunks, tiny_record


def write_bare(dataset_dir: Path) -> None:
    """Write it; the scene's id is `tiny-00c0ffee`."""
    record = tiny_record()
    with open_scene_writer(dataset_dir, record, num_steps_per_shard=4) as writer:
        for chunk in bare_chunks(record):
            writer.append(chunk)
        writer.commit(scores={}, cost={})
    fold_receipts(dataset_dir)
