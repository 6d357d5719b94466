"""Look at a real log: outlines of its rendered instances, its boxes and its annotated 2-D boxes over the pictures.

python -m scenegen.logs.overlay DATASET [--scene SCENE] --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from PIL import Image, ImageDraw

from scenegen.dataset import open_dataset
from scenegen.dataset.bev_panel import CATEGORY_RGB
from scenegen.dataset.rotations import rotation_matrices
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.wireframe import project_edges
from scenegen.scene import SceneStage, stored_stage
from scenegen.types import AgentCategory, ConditionMaps, belongs_to_agent

WORLD_RGB = {15: (230, 120, 40), 16: (60, 200, 80), 13: (200, 90, 200), 14: (150, 190, 60), 11: (90, 130, 230)}
"""Tint of the static world's classes: manmade, vegetation, sidewalk, terrain, roadway."""
TINT = 0.35


def draw_overlay(scene: Scene, conditions: ConditionMaps, *, step: int, view: int) -> UInt8[np.ndarray, "H W 3"]:
    """Draw boxes as wires, instances as outlines and annotated 2-D boxes in white over one picture.

    `conditions` are those of the step (T = 1).
    """
    camera = scene.rig.cameras[view]
    width, height = camera.size_px
    picture = scene.rgb(camera.name)[step].astype(np.float32)
    instance = conditions.instance[view, 0, :height, :width]
    edge = outlines(instance)
    category_of = {1 + index: agent.category for index, agent in enumerate(scene.layout.agents)}
    for own in np.unique(instance[edge]):
        picture[edge & (instance == own)] = CATEGORY_RGB[AgentCategory(category_of[int(own)])]
    image = Image.fromarray(picture.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    boxes = scene.boxes(step)
    corners = np.stack(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5], indexing="ij"), axis=-1).reshape(-1, 3)
    for index in range(len(boxes)):
        world_from_box = rotation_matrices(boxes.rotation_wxyz[index : index + 1])[0]
        corners_m = corners * boxes.size_lwh_m[index] @ world_from_box.T + boxes.center_world_m[index]
        color = CATEGORY_RGB[AgentCategory(int(boxes.category[index]))]
        for start, end in project_edges(corners_m, camera, world_from_ego=scene.ego2global[step])[0].reshape(-1, 2, 2):
            draw.line([tuple(start), tuple(end)], fill=color)
    if scene.has_array("annotated2d/ptr"):
        for xyxy in scene.annotated2d(step, camera.name).xyxy_px:
            draw.rectangle([float(value) for value in xyxy], outline=(255, 255, 255))
    return np.asarray(image)


def draw_world(scene: Scene, conditions: ConditionMaps, *, step: int, view: int) -> UInt8[np.ndarray, "H W 3"]:
    """Tint one picture by the class of the static world, agents and sky left as they are."""
    width, height = scene.rig.cameras[view].size_px
    picture = scene.rgb(scene.rig.cameras[view].name)[step].astype(np.float32)
    semantic = conditions.semantic[view, 0, :height, :width]
    for value, rgb in WORLD_RGB.items():
        mask = semantic == value
        picture[mask] = (1.0 - TINT) * picture[mask] + TINT * np.array(rgb, np.float32)
    return picture.astype(np.uint8)


def outlines(instance: UInt16[np.ndarray, "H W"]) -> Bool[np.ndarray, "H W"]:
    """Return the pixels of agents that touch another instance.

    >>> outlines(np.array([[0, 1, 1, 1], [0, 1, 1, 1]], np.uint16)).tolist()
    [[False, True, False, False], [False, True, False, False]]
    """
    padded = np.pad(instance, 1, mode="edge")
    around = [padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1]]
    differs = np.any([other != instance for other in around], axis=0)
    return np.asarray(differs & belongs_to_agent(instance))


def write_overlays(scene: Scene, folder: Path) -> list[Path]:
    """Write two PNG files per step: every camera's overlay above its tint by world class."""
    stage: SceneStage = stored_stage(scene)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for step in range(scene.num_steps):
        conditions = stage.render_conditions(step, step + 1)
        for name, draw in (("boxes", draw_overlay), ("world", draw_world)):
            views = [draw(scene, conditions, step=step, view=view) for view in range(len(scene.cameras))]
            height = max(len(view) for view in views)
            row = [np.pad(view, ((0, height - len(view)), (0, 4), (0, 0))) for view in views]
            half = (len(row) + 2) // 3
            rows = [np.concatenate(row[i * 3 : i * 3 + 3], axis=1) for i in range(half)]
            width = max(part.shape[1] for part in rows if part.size)
            sheet = [np.pad(part, ((0, 4), (0, width - part.shape[1]), (0, 0))) for part in rows if part.size]
            file = folder / f"{scene.scene_id}-{step:03d}-{name}.png"
            Image.fromarray(np.concatenate(sheet)).save(file)
            files.append(file)
    return files


def main() -> None:
    """Write the overlays of one scene, or of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", metavar="DATASET")
    parser.add_argument("--scene", help="all by default")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset = open_dataset(options.dataset)
    for scene_id in [options.scene] if options.scene else dataset.scene_ids:
        for file in write_overlays(dataset[scene_id], options.out):
            print(file)  # noqa: T201


if __name__ == "__main__":
    main()
