"""Twelve frames for the documents, chosen by a fixed rule instead of by eye.

    scenegen generate layouts=[library:*,procedural:1-2] duration_s=2 output=out/gallery
    python -m benchmarks.gallery out/gallery --output docs/frames.jpg

The rule: scenes in the order of their names, the last step of each, camera number (index of the scene) modulo the
number of cameras. Below each frame stands the ground-truth render of the same conditions.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.dataset import open_dataset
from scenegen.scene import SceneStage
from scenegen.video.build import load_backbone

NUM_FRAMES = 12
COLUMNS = 4
SCALE = 2


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--output", type=Path, default=Path("docs/frames.jpg"))
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.dataset)
    preview = load_backbone("preview", steps=1, weights=None)
    tiles = []
    for index, scene_id in enumerate(sorted(dataset.scene_ids)[:NUM_FRAMES]):
        scene = dataset[scene_id]
        camera, step = index % len(scene.cameras), len(scene.timestamps_us) - 1
        stage = SceneStage(scene.layout, rig=scene.rig, seed=int(scene.attrs["seed"]))
        truth = preview.open_session(stage.context).paint(stage.render_conditions(step, step + 1), start_step=step)
        frame = np.asarray(scene.rgb(scene.cameras[camera])[step])
        height, width = frame.shape[:2]
        tiles.append(np.concatenate([frame, truth[camera, 0, :height, :width]]))
        print(f"{index}: {scene_id} {scene.cameras[camera]} step {step}")
    rows = [np.concatenate(tiles[k : k + COLUMNS], axis=1) for k in range(0, len(tiles), COLUMNS)]
    picture = Image.fromarray(np.concatenate(rows))
    picture = picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)
    picture.save(arguments.output, quality=88)


if __name__ == "__main__":
    main()
