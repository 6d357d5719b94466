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

import io
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from benchmarks.figure import Figure, cpu_seconds, figure_of, parse_options, print_figures
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


def noisy_steps(*, num_steps: int, size_px: tuple[int, int]) -> Iterator[UInt8[np.ndarray, "V 1 H W 3"]]:
    """Yield step after step of pictures that are as hard to decode as photographs."""
    rng = np.random.default_rng(0)
    width, height = size_px
    shade = np.linspace(0, 120, height)[:, None, None] + np.linspace(0, 80, width)[None, :, None]
    noise = rng.normal(0.0, 6.0, (NUM_CAMERAS, height, width, 3))
    for step in range(num_steps):
        yield np.clip(shade + np.roll(noise, step, axis=2) + step, 0, 255).astype(np.uint8)[:, None]


def write_dataset(folder: Path, record: SceneRecord, steps: Iterable[UInt8[np.ndarray, "V 1 H W 3"]]) -> None:
    """Write one scene without agents that shows these pictures."""
    with open_scene_writer(folder, record) as writer:
        for step, rgb in enumerate(steps):
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


def empty_record(num_steps: int, size_px: tuple[int, int]) -> SceneRecord:
    """Return the header of a scene of six cameras on an empty plain."""
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
    is_speed = name == "sequential_vs_tar"
    return figure_of(values, least=FLOORS[name]) if is_speed else figure_of(values, most=FLOORS[name])


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit code 1 where a bound is missed."""
    options = parse_options("loader", __doc__, arguments)
    torch.set_num_threads(1)
    num_steps = QUICK_STEPS if options.quick else STEPS
    figures: dict[str, Figure] = {}
    for prefix, size_px in SIZES_PX.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            steps = noisy_steps(num_steps=num_steps, size_px=size_px)
            write_dataset(folder, empty_record(num_steps, size_px), steps)
            measured = measure(
                folder,
                num_rounds=QUICK_ROUNDS if options.quick else ROUNDS,
                num_samples=QUICK_SAMPLES if options.quick else SAMPLES,
            )
        figures |= {prefix + name: figure for name, figure in measured.items()}
    return print_figures(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
