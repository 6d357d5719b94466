"""Pictures of worlds for the documents: one layout with several seeds and in every style, from above and from the car.

    python -m benchmarks.occupancy_gallery crossing_pedestrian --output out/occupancy.jpg
    python -m benchmarks.occupancy_gallery crossing_pedestrian --source rules --output out/rules.jpg

Above: buildings the lighter the higher, trees green, road grey, paved land light, everything within 60 m of the ego.
Below: the front camera of `rig=front1`, painted by the preview. First row seeds, second row styles.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.layout.sources import read_layout
from scenegen.occupancy.model import OccupancyModel, load_occupancy_model
from scenegen.occupancy.voxels import SolidClass, voxelise_world
from scenegen.rig import build_rig
from scenegen.scene import SceneStage
from scenegen.types import CameraRig, Layout, Material, World
from scenegen.types.layout import STYLES
from scenegen.video.build import load_backbone

REACH_M = 60.0
SIDE_PX = 300
GROUND_RGB = {
    Material.GRASS: (150, 178, 120), Material.SIDEWALK: (205, 200, 192), Material.KERB: (170, 165, 158),
    Material.ASPHALT: (95, 97, 102), Material.PARKING: (120, 118, 124), Material.MARKING_WHITE: (240, 240, 240),
    Material.MARKING_YELLOW: (235, 200, 80), Material.CROSSING: (240, 240, 240),
}  # fmt: skip


def draw_above(world: World, *, middle_world_m: np.ndarray) -> np.ndarray:
    """Draw a square of the world from above, x to the right and y up."""
    lut = np.zeros((256, 3), np.float32)
    for material, rgb in GROUND_RGB.items():
        lut[material] = rgb
    factor = round(world.grid.voxel_m / world.ground_cell_m)
    picture = lut[world.ground]
    voxels = voxelise_world(world)
    for kind, low, high in (
        (SolidClass.MANMADE, (120, 70, 60), (250, 225, 205)),
        (SolidClass.VEGETATION, (30, 90, 40), (90, 170, 80)),
    ):
        there = voxels.solid == kind
        top = np.where(there.any(axis=2), there.shape[2] - np.argmax(there[..., ::-1], axis=2), 0)
        share = np.clip(top / 50.0, 0.0, 1.0)[..., None]
        color = np.array(low) * (1 - share) + np.array(high) * share
        color = color.repeat(factor, 0).repeat(factor, 1)
        mask = (top > 0).repeat(factor, 0).repeat(factor, 1)
        picture[: mask.shape[0], : mask.shape[1]][mask] = color[mask]
    cells = np.floor((middle_world_m - np.asarray(world.ground_origin_m)) / world.ground_cell_m).astype(int)
    reach = int(REACH_M / world.ground_cell_m)
    low_cell = np.maximum(cells - reach, 0)
    cut = picture[low_cell[0] : cells[0] + reach, low_cell[1] : cells[1] + reach]
    image = Image.fromarray(np.ascontiguousarray(cut.transpose(1, 0, 2)[::-1]).astype(np.uint8))
    return np.asarray(image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BOX))


def draw_tile(layout: Layout, rig: CameraRig, model: OccupancyModel | None, *, seed: int, step: int) -> np.ndarray:
    """Draw one world, from above and from the car."""
    voxels = None if model is None else model.sample(layout, seed=seed)
    stage = SceneStage(layout, rig=rig, seed=seed, world_voxels=voxels)
    preview = load_backbone("preview", steps=1, weights=None).open_session(stage.context)
    frame = preview.paint(stage.render_conditions(step, step + 1), start_step=step)[0, 0]
    height = round(frame.shape[0] * SIDE_PX / frame.shape[1])
    front = np.asarray(Image.fromarray(frame).resize((SIDE_PX, height), Image.Resampling.LANCZOS))
    above = draw_above(stage.world, middle_world_m=layout.ego.position_world_m[step, :2])
    return np.pad(np.concatenate([above, front]), ((2, 2), (2, 2), (0, 0)), constant_values=255)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("layout")
    parser.add_argument("--source", choices=("masked", "rules"), default="masked")
    parser.add_argument("--weights", help="default: the shipped ones")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--loops", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2, 3, 4))
    parser.add_argument("--width", type=int, default=600, help="of the camera's picture, in pixels")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sampling = {"steps": options.steps, "loops": options.loops} if options.source == "masked" else {}
    model = load_occupancy_model(options.source, **sampling, weights=options.weights)
    config = compose_config(
        GenerateConfig,
        "generate",
        ["rig=front1", f"rig.image.width_px={options.width}", f"rig.image.height_px={options.width * 9 // 128 * 8}"],
    )
    rig, plain = build_rig(config.rig), read_layout(options.layout)
    step = plain.timeline.num_steps // 3
    by_seed = [draw_tile(plain, rig, model, seed=seed, step=step) for seed in options.seeds]
    styled = [replace(plain, environment=replace(plain.environment, style=style)) for style in STYLES]
    by_style = [draw_tile(layout, rig, model, seed=options.seeds[0], step=step) for layout in styled]
    rows = [np.concatenate(row, axis=1) for row in (by_seed, by_style)]
    widest = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    Image.fromarray(np.concatenate(rows)).save(options.output, quality=88)


if __name__ == "__main__":
    main()
