"""Training windows of a data set, unpacked once: frames beside the condition maps of their own world.

The data set stores pixels, layout and seed; the world and its maps are rebuilt from these and written as
flat arrays, so that an optimiser step reads only what it needs. N steps of V views. This is what a latent model's
cache of latents would be: the network works on pixels, so pixels and maps are what is kept.

    python -m scenegen.training.window_cache --data out/excerpts --output out/windows
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from scenegen.dataset.read import Dataset, open_dataset
from scenegen.errors import DatasetError
from scenegen.scene import stored_stage
from scenegen.types import ConditionMaps
from scenegen.video.planes import appearance_row, join_appearance, style_vector
from scenegen.video.traits import trait_salt

log = logging.getLogger(__name__)

PIXEL_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "rgb": ("uint8", (3,)),
    "semantic": ("uint8", ()),
    "material": ("uint8", ()),
    "row": ("int16", ()),
    "instance": ("uint16", ()),
    "depth_m": ("float16", ()),
    "normal": ("int8", (3,)),
    "canonical": ("float16", (3,)),
    "motion_px": ("float16", (2,)),
    "sun_visible": ("uint8", ()),
}


@dataclass(frozen=True, kw_only=True)
class SceneTables:
    """What all steps of a scene share."""

    appearance: np.ndarray
    style: np.ndarray
    sun_world: np.ndarray
    K: np.ndarray
    num_agents: int
    noise_key: int


@dataclass(frozen=True, kw_only=True)
class WindowCache:
    """Windows as memory-mapped arrays (N V H W ...), with the scene and predecessor of each step.

    Attributes:
        pixels: arrays of `PIXEL_ARRAYS`.
        world_from_cam: (N V 4 4).
        scene: (N) index into `tables`.
        has_previous: (N) whether entry n - 1 is the step before n of the same scene.
        tables: per scene.
    """

    pixels: dict[str, np.ndarray]
    world_from_cam: np.ndarray
    scene: np.ndarray
    has_previous: np.ndarray
    tables: tuple[SceneTables, ...]


def open_window_cache(data: Path, folder: Path) -> WindowCache:
    """Return the windows of data set `data`, unpacking them into `folder` on the first call.

    Raises:
        DatasetError: nothing to unpack, or the folder holds the windows of other scenes.
    """
    done = folder / "index.json"
    if not done.is_file():
        unpack_windows(data, folder)
    index = json.loads(done.read_text())
    if index.get("content_sha256") != content_sha256(open_dataset(data)):
        raise DatasetError(
            f"windows of the scenes of {data}",
            found="those of other scenes",
            where=str(folder),
            fix="remove the folder, or name another one: windows=...",
        )
    pixels = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in PIXEL_ARRAYS}
    tables = []
    with np.load(folder / "tables.npz") as stored:
        for s in range(index["num_scenes"]):
            tables.append(
                SceneTables(
                    appearance=stored[f"appearance{s}"],
                    style=stored[f"style{s}"],
                    sun_world=stored[f"sun{s}"],
                    K=stored[f"K{s}"],
                    num_agents=int(stored[f"agents{s}"]),
                    noise_key=s,
                )
            )
        return WindowCache(
            pixels=pixels,
            world_from_cam=stored["world_from_cam"],
            scene=stored["scene"],
            has_previous=stored["has_previous"],
            tables=tuple(tables),
        )


def content_sha256(dataset: Dataset) -> str:
    """Hash what a data set holds, in order: scene ids and the hashes of their bytes."""
    lines = [f"{scene.scene_id} {scene.content_sha256}\n" for scene in dataset.manifest.scenes]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def unpack_windows(data: Path, folder: Path) -> None:
    """Rebuild worlds and maps of every scene of `data` and write them beside the frames.

    Raises:
        DatasetError: no scenes, or pictures of several sizes or numbers of cameras.
    """
    dataset = open_dataset(data)
    if not dataset.scene_ids:
        raise DatasetError("at least one scene to train on", found="none", where=str(data))
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [dataset[scene_id] for scene_id in dataset.scene_ids]
    shapes = {(len(scene.cameras), *{camera.size_px for camera in scene.rig.cameras}) for scene in scenes}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        raise DatasetError("one number of cameras and one size of pictures", found=str(sorted(shapes)), where=str(data))
    counts = [len(scene.timestamps_us) for scene in scenes]
    width, height = scenes[0].rig.size_px
    num_views = len(scenes[0].cameras)
    for name, (dtype, extra) in PIXEL_ARRAYS.items():
        shape = (sum(counts), num_views, height, width, *extra)
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape).flush()
    stored: dict[str, np.ndarray] = {
        "world_from_cam": np.zeros((sum(counts), num_views, 4, 4)),
        "scene": np.repeat(np.arange(len(scenes)), counts),
        "has_previous": np.ones(sum(counts), np.bool_),
    }
    starts = np.cumsum([0, *counts[:-1]]).tolist()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        jobs = [
            pool.submit(unpack_scene, data, scene_id, folder, start)
            for scene_id, start in zip(dataset.scene_ids, starts, strict=True)
        ]
        for s, job in enumerate(jobs):
            tables = job.result()
            poses = tables.pop("world_from_cam")
            stored["world_from_cam"][starts[s] : starts[s] + counts[s]] = poses
            stored["has_previous"][starts[s]] = False
            stored.update({f"{name}{s}": value for name, value in tables.items()})
            if s % 20 == 0:
                log.info("unpacked scene %d of %d", s + 1, len(scenes))
    np.savez(folder / "tables.npz", **stored)
    index = {"num_scenes": len(scenes), "content_sha256": content_sha256(dataset)}
    (folder / "index.json").write_text(json.dumps(index))


def unpack_scene(data: Path, scene_id: str, folder: Path, start: int) -> dict[str, np.ndarray]:
    """Write the pixels of one scene from entry `start` on; returns its tables."""
    scene = open_dataset(data)[scene_id]
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in PIXEL_ARRAYS}
    stage = stored_stage(scene)
    context, num_agents = stage.context, len(stage.layout.agents)
    steps = stage.layout.timeline.num_steps
    maps = stage.render_conditions(0, steps)
    end = start + steps
    write_maps(maps, arrays, start, num_agents=num_agents)
    for v, camera in enumerate(scene.cameras):
        arrays["rgb"][start:end, v] = scene.rgb(camera)[0:steps]
    for array in arrays.values():
        array.flush()
    salt = trait_salt(context.seed, context.scene_id)
    return {
        "world_from_cam": maps.world_from_cam.swapaxes(0, 1),
        "appearance": join_appearance(context.agents, context.statics, salt=salt),
        "style": style_vector(context.lighting),
        "sun": context.lighting.sun_direction_world.astype(np.float32),
        "K": maps.K,
        "agents": np.array(num_agents),
    }


def write_maps(maps: ConditionMaps, arrays: dict[str, np.ndarray], start: int, *, num_agents: int) -> None:
    """Write condition maps in the cache's compact types; views and time swap places."""
    end = start + maps.material.shape[1]

    def put(name: str, value: np.ndarray) -> None:
        arrays[name][start:end] = value.swapaxes(0, 1)

    put("semantic", maps.semantic)
    put("material", maps.material)
    put("instance", maps.instance)
    put("row", appearance_row(maps.instance, num_agents=num_agents))
    put("depth_m", maps.depth_m)
    put("normal", np.round(maps.normal_world * 127.0))
    put("canonical", maps.canonical)
    put("motion_px", np.clip(maps.motion_px, -3e4, 3e4))
    put("sun_visible", maps.sun_visible)


def main() -> None:
    """Unpack the windows of a data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a scenegen data set")
    parser.add_argument("--output", type=Path, required=True, help="for windows=... of scenegen train")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    open_window_cache(arguments.data, arguments.output)


if __name__ == "__main__":
    main()
