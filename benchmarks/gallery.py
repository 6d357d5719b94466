"""Twelve frames for the documents, chosen by a fixed rule instead of by eye; and the worst ones of an evaluation.

    scenegen generate layouts=[library:*,procedural:1-2] duration_s=1 output=out/gallery
    python -m benchmarks.gallery out/gallery --output docs/frames.jpg
    python -m benchmarks.gallery --worst out/eval.html --output docs/failures.jpg

The rule: scenes in the order of their names, the last step of each, camera number (index of the scene) modulo the
number of cameras. Below each frame stands the ground-truth render of the same conditions. The worst frames are the
first six of the page that `scenegen eval --html` writes: generated, true, and what the judge says of the generated one.
"""

from __future__ import annotations

import argparse
import base64
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from scenegen.dataset import open_dataset
from scenegen.scene import stored_stage
from scenegen.video.build import load_backbone

NUM_FRAMES = 12
COLUMNS = 4
SCALE = 2
NUM_WORST = 6
WORST_PX = 300
"""Width of each picture of a worst frame."""


def draw_frames(folder: Path) -> Image.Image:
    """Draw the frames of the rule above their ground truth."""
    dataset = open_dataset(folder)
    preview = load_backbone("preview", steps=1, weights=None)
    tiles = []
    for index, scene_id in enumerate(sorted(dataset.scene_ids)[:NUM_FRAMES]):
        scene = dataset[scene_id]
        camera, step = index % len(scene.cameras), len(scene.timestamps_us) - 1
        stage = stored_stage(scene)
        truth = preview.open_session(stage.context).paint(stage.render_conditions(step, step + 1), start_step=step)
        frame = np.asarray(scene.rgb(scene.cameras[camera])[step])
        height, width = frame.shape[:2]
        tiles.append(np.concatenate([frame, truth[camera, 0, :height, :width]]))
        print(f"{index}: {scene_id} {scene.cameras[camera]} step {step}")
    rows = [np.concatenate(tiles[k : k + COLUMNS], axis=1) for k in range(0, len(tiles), COLUMNS)]
    picture = Image.fromarray(np.concatenate(rows))
    return picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)


def draw_worst(page: Path) -> Image.Image:
    """Join the pictures of the worst frames of an evaluation's page, two frames to a row."""
    encoded = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page.read_text(encoding="utf-8"))
    pictures = [Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in encoded[: 3 * NUM_WORST]]
    if not pictures:
        raise SystemExit(f"{page} shows no frames; write it with `scenegen eval DATASET --html {page}`")
    size = pictures[0].width * WORST_PX // pictures[0].width, pictures[0].height * WORST_PX // pictures[0].width
    tiles = [np.asarray(picture.resize(size, Image.Resampling.NEAREST)) for picture in pictures]
    rows = [np.concatenate(tiles[k : k + 6], axis=1) for k in range(0, len(tiles), 6)]
    return Image.fromarray(np.concatenate(rows))


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("dataset", type=Path, nargs="?")
    source.add_argument("--worst", type=Path, metavar="HTML", help="page of an evaluation")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    picture = draw_frames(arguments.dataset) if arguments.worst is None else draw_worst(arguments.worst)
    picture.save(arguments.output, quality=88)


if __name__ == "__main__":
    main()
