r"""What reading samples costs beside decoding their pictures.

    python -m benchmarks.loader [--quick] [--json FILE]

Data sets of six cameras are written to a temporary folder: gradients with noise, JPEG q95, at 448x800 pixels, and under
names that begin with `small_` at 112x200, as in the demo. Then the readers take turns in one process, A B C A B C, each
with the same random steps:

- `bare`: the same JPEG bytes, already in memory, decoded by the same decoder;
- `random_vs_decode`: `SceneDataset[...]` of preset raw without labels, six pictures a sample, and its calibration;
- `zarr_vs_decode`: the same pictures through `scene.rgb(camera)[step]`, which is plain zarr-python, for comparison.

A figure is the median over rounds of CPU seconds divided by the CPU seconds of `bare` in the same round. The floor of
`random_vs_decode` is 1.4. Sequential reads are `sequential_vs_tar`: the loader's samples per CPU second, in order, over
those of a tar of the same JPEGs read with `tarfile` (the layout of webdataset, without its package); at least 0.8.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from benchmarks.figure import Figure
from scenegen.dataset import Scene, fold_receipts, open_dataset, open_scene_writer
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.torch_view import SceneDataset
from scenegen.types import (
    OCC3D_GRID,
    Camera,
    CameraRig,
    EgoTrack,
    Environment,
    Layout,
    Provenance,
    RoadMap,
    SceneChunk,
    SceneRecord,
    Timeline,
)

SIZES_PX = {"": (800, 448), "small_": (200, 112)}
"""Width and height by what the names of the figures begin with."""
NUM_CAMERAS = 6
FLOORS = {"random_vs_decode": 1.4, "sequential_vs_tar": 0.8, "zarr_vs_decode": None}
"""Ratios of cost may be at most, ratios of speed at least, this; None is shown for comparison."""
ROUNDS, QUICK_ROUNDS = 15, 9
SAMPLES, QUICK_SAMPLES = 24, 6
STEPS, QUICK_STEPS = 48, 12


def write_dataset(folder: Path, *, num_steps: int, size_px: tuple[int, int]) -> None:
    """Write one scene without agents, whose pictures are as hard to decode as photographs."""
    record = _record(num_steps, size_px)
    rng = np.random.default_rng(0)
    width, height = size_px
    shade = np.linspace(0, 120, height)[:, None, None] + np.linspace(0, 80, width)[None, :, None]
    noise = rng.normal(0.0, 6.0, (NUM_CAMERAS, height, width, 3))
    with open_scene_writer(folder, record) as writer:
        for step in range(num_steps):
            rgb = np.clip(shade + np.roll(noise, step, axis=2) + step, 0, 255).astype(np.uint8)[:, None]
            voxels = np.full((1, *OCC3D_GRID.shape), 17, np.uint8)
            nothing = np.zeros((1, 0), np.float32)
            writer.append(
                SceneChunk(
                    start_step=step,
                    rgb=rgb,
                    occupancy=voxels,
                    mask_camera=np.zeros_like(voxels),
                    visible_fraction=nothing,
                    visible_height_px=nothing,
                )
            )
        writer.commit(scores={}, cost={})
    fold_receipts(folder)


def _record(num_steps: int, size_px: tuple[int, int]) -> SceneRecord:
    width, height = size_px
    K = np.array([[500.0, 0.0, width / 2], [0.0, 500.0, height / 2], [0.0, 0.0, 1.0]])
    pose = np.eye(4)
    pose[:3, :3] = [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
    cameras = tuple(
        Camera(name=f"CAM_{index}", K=K, ego_from_cam=pose, size_px=size_px) for index in range(NUM_CAMERAS)
    )
    layout = Layout(
        layout_id="loader",
        source="file",
        licence="CC0-1.0",
        timeline=Timeline(rate_hz=12.0, num_steps=num_steps),
        road_map=RoadMap(lanes=(), lane_lines=(), areas=(), props=(), num_roads=1),
        agents=(),
        ego=EgoTrack(world_from_ego=np.tile(np.eye(4), (num_steps, 1, 1)), velocity_world_mps=np.zeros((num_steps, 2))),
        environment=Environment(),
    )
    provenance = Provenance(
        code_version="0",
        config_sha256="0" * 64,
        model_id="none",
        weights_sha256="",
        model_licence="CC0-1.0",
        source_licence="CC0-1.0",
    )
    rig = CameraRig(name="six", cameras=cameras)
    return SceneRecord(scene_id="loader-00000000", layout=layout, rig=rig, seed=0, split="train", provenance=provenance)


def write_tar(path: Path, scene: Scene) -> None:
    """Write the pictures of a scene as webdataset does: files of one sample side by side."""
    files = {camera: PictureFiles(scene, camera) for camera in scene.cameras}
    with tarfile.open(path, "w") as tar:
        for step in range(scene.num_steps):
            for camera, pictures in files.items():
                content = pictures[step].content
                entry = tarfile.TarInfo(f"{step:06d}.{camera}.jpg")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))


def decode(content: bytes) -> torch.Tensor:
    """Decode a JPEG to a tensor, as a loader has to."""
    with Image.open(io.BytesIO(content)) as picture:
        return torch.from_numpy(np.asarray(picture).transpose(2, 0, 1).copy())


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return what some work costs in all threads of this process."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(folder: Path, *, num_rounds: int, num_samples: int) -> dict[str, Figure]:
    """Let the readers take turns."""
    dataset = SceneDataset(folder, labels=[])
    scene = next(iter(open_dataset(folder)))
    files = [PictureFiles(scene, camera) for camera in scene.cameras]
    contents = [[pictures[step].content for pictures in files] for step in range(scene.num_steps)]
    tar = folder / "pictures.tar"
    write_tar(tar, scene)

    def read_tar() -> None:
        with tarfile.open(tar) as archive:
            for entry in archive:
                file = archive.extractfile(entry)
                assert file is not None
                decode(file.read())

    def read_bare(steps: list[int]) -> None:
        for step in steps:
            for content in contents[step]:
                decode(content)

    def read_ours(steps: list[int]) -> None:
        for step in steps:
            dataset[step]

    def read_zarr(steps: list[int]) -> None:
        for step in steps:
            for camera in scene.cameras:
                scene.rgb(camera)[step]

    ratios: dict[str, list[float]] = {name: [] for name in FLOORS}
    for number in range(num_rounds + 1):
        steps = np.random.default_rng(number).integers(0, len(dataset), num_samples).tolist()
        bare = cpu_seconds(partial(read_bare, steps))
        ours = cpu_seconds(partial(read_ours, steps))
        plain = cpu_seconds(partial(read_zarr, steps))
        in_order = cpu_seconds(partial(read_ours, list(range(len(dataset)))))
        of_tar = cpu_seconds(read_tar)
        if number:  # the first round warms up
            ratios["random_vs_decode"].append(ours / bare)
            ratios["zarr_vs_decode"].append(plain / bare)
            ratios["sequential_vs_tar"].append(of_tar / in_order)
    return {name: _figure(name, values) for name, values in ratios.items()}


def _figure(name: str, values: list[float]) -> Figure:
    ratio, floor = median(values), FLOORS[name]
    is_speed = name == "sequential_vs_tar"
    holds = floor is None or (ratio >= floor if is_speed else ratio <= floor)
    return Figure(ratio=ratio, min=min(values), max=max(values), floor=floor, holds=holds)


def report(figures: dict[str, Figure]) -> str:
    """Return the table."""
    lines = [f"{'':24} {'median':>7} {'min':>7} {'max':>7} {'floor':>7}"]
    for name, figure in figures.items():
        floor = "" if figure.floor is None else f"{figure.floor:.2f}"
        verdict = "" if figure.floor is None else "holds" if figure.holds else "FAILS"
        lines.append(f"{name:24} {figure.ratio:7.3f} {figure.min:7.3f} {figure.max:7.3f} {floor:>7} {verdict}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer samples and rounds: within a minute")
    parser.add_argument("--json", metavar="FILE", help="write the figures; - is standard output")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    figures: dict[str, Figure] = {}
    for prefix, size_px in SIZES_PX.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_dataset(folder, num_steps=QUICK_STEPS if options.quick else STEPS, size_px=size_px)
            measured = measure(
                folder,
                num_rounds=QUICK_ROUNDS if options.quick else ROUNDS,
                num_samples=QUICK_SAMPLES if options.quick else SAMPLES,
            )
        figures |= {prefix + name: figure for name, figure in measured.items()}
    document = json.dumps({name: vars(figure) for name, figure in figures.items()}, indent=2)
    if options.json == "-":
        print(document)
        print(report(figures), file=sys.stderr)
    else:
        print(report(figures))
        if options.json:
            Path(options.json).write_text(document + "\n")
    return 0 if all(figure.holds for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
