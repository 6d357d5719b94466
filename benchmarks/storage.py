r"""What storing pictures costs beside the codec, and beside the formats that people would use instead.

    python -m benchmarks.storage [--quick] [--json FILE]

Frames of six cameras: ray-cast previews of a library scene, at 224x400 pixels and, under names that begin with
`small_`, at 112x200 as in the demo. In one process the ways take turns, A B C C B A; a figure is the median over rounds
of a ratio of processor time.

- `write_vs_codec`: `SceneStore.write_steps` of a shard of JPEG q95 pictures per camera, with index, checksums, metadata
  and files, over encoding the same pictures to memory by the same encoder. At most 1.6.
- `random_vs_decode`: clips of eight steps and six cameras from random places through our reader, over decoding the
  same bytes from memory. At most 1.4.
- `sequential_vs_webdataset`: pictures per second of our reader in order, over those of a tar of the same JPEGs, read
  with `tarfile`: the layout of webdataset without the cost of its package. At least 0.8.
- `random_vs_h264`: the same random clips from H.264 videos (CRF 17, twelve steps a group), one per camera, by PyAV on
  one thread, over our reader. At least 2.5.
- `lossless_size_vs_zstd`: bytes of zstd level 1 over those of `image_codec=jxl`, of frames that the shipped model
  painted. At least 2.5. `lossless_cost_vs_zstd` is the ratio of what encoding costs, shown for comparison.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numcodecs.zstd import Zstd
from PIL import Image

from benchmarks.figure import Figure, figure_of, parse_options, print_figures, ratios_of, take_turns
from benchmarks.loader import empty_record, write_dataset, write_tar
from scenegen.cli.compose import compose_config
from scenegen.config import GenerateConfig
from scenegen.dataset import open_dataset
from scenegen.dataset.jpeg_codec import JpegCodec, JxlCodec
from scenegen.dataset.picture_files import PictureFiles
from scenegen.dataset.store import SceneStore
from scenegen.dataset.video_file import VideoFile
from scenegen.streaming import stream
from scenegen.types import SceneRecord

LAYOUT = "school_zone"
LARGE_PX, SMALL_PX = (400, 224), (200, 112)
ROUNDS, QUICK_ROUNDS = 15, 9
STEPS, QUICK_STEPS = 48, 18
CLIP_STEPS, CLIPS, SHARD_STEPS = 8, 2, 60
GROUP_STEPS, CRF = 12, 17
RATE_HZ = 12.0
PAINTED_STEPS = 2

Frames = UInt8[np.ndarray, "V T H W 3"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """How much is measured."""

    num_steps: int
    rounds: int


def draw(video: str, *, num_steps: int, size_px: tuple[int, int]) -> Frames:
    """Return frames of a library scene."""
    width, height = size_px
    overrides = [
        f"layouts=[{LAYOUT}]", f"video={video}", f"duration_s={num_steps / RATE_HZ}", f"rate_hz={RATE_HZ}",
        f"rig.image.width_px={width}", f"rig.image.height_px={height}", "num_steps_per_chunk=1", "dataset.lidar=none",
    ]  # fmt: skip
    steps = [moment.chunk.rgb for moment in stream(compose_config(GenerateConfig, "generate", overrides))]
    return np.concatenate(steps, axis=1)


def measure_pictures(folder: Path, job: Job, frames: Frames) -> dict[str, Figure]:
    """Let writers and readers of pictures take turns."""
    size_px = (frames.shape[3], frames.shape[2])
    write_dataset(folder / "ds", empty_record(job.num_steps, size_px), np.split(frames, job.num_steps, axis=1))
    (scene,) = open_dataset(folder / "ds")
    shard = np.resize(frames.swapaxes(0, 1), (SHARD_STEPS, len(frames), *frames.shape[2:])).swapaxes(0, 1)
    record = empty_record(SHARD_STEPS, size_px)
    write_tar(folder / "pictures.tar", scene)
    videos = [write_video(folder / f"{view}.mp4", camera, size_px) for view, camera in enumerate(frames)]
    readers = [PictureFiles(scene, camera) for camera in scene.cameras]
    contents = [[reader[step].content for step in range(job.num_steps)] for reader in readers]
    rng = np.random.default_rng(0)
    starts = rng.integers(0, job.num_steps - CLIP_STEPS + 1, CLIPS).tolist()

    def read_clips(read: Callable[[int, int], object]) -> None:
        for start in starts:
            for view in range(len(readers)):
                read(view, start)

    seconds = take_turns(
        {
            "codec": partial(encode_all, shard),
            "write": partial(write_all, folder, record, shard),
            "decode": partial(read_clips, lambda view, start: decode_clip(contents[view], start)),
            "clips": partial(
                read_clips, lambda view, start: [readers[view].pixels(start + k) for k in range(CLIP_STEPS)]
            ),
            "h264": partial(read_clips, lambda view, start: decode_video(videos[view], start)),
            "order": lambda: [reader.pixels(step) for step in range(job.num_steps) for reader in readers],
            "tar": partial(read_tar, folder / "pictures.tar"),
        },
        rounds=job.rounds,
    )
    return {
        "write_vs_codec": figure_of(ratios_of(seconds, "write", "codec"), most=1.6),
        "random_vs_decode": figure_of(ratios_of(seconds, "clips", "decode"), most=1.4),
        "sequential_vs_webdataset": figure_of(ratios_of(seconds, "tar", "order"), least=0.8),
        "random_vs_h264": figure_of(ratios_of(seconds, "h264", "clips"), least=2.5),
    }


def measure_lossless(job: Job) -> dict[str, Figure]:
    """Compare size and cost of lossless pictures, painted by the shipped model."""
    painted = draw("native", num_steps=PAINTED_STEPS, size_px=SMALL_PX)
    frames = painted.reshape(-1, *painted.shape[2:])
    zstd, jxl = Zstd(level=1), JxlCodec()
    sizes = [len(bytes(zstd.encode(frame))) / len(jxl.encode_picture(frame)) for frame in frames]
    seconds = take_turns(
        {
            "zstd": lambda: [zstd.encode(frame) for frame in frames],
            "jxl": lambda: [jxl.encode_picture(frame) for frame in frames],
        },
        rounds=job.rounds,
    )
    return {
        "lossless_size_vs_zstd": figure_of(sizes, least=2.5),
        "lossless_cost_vs_zstd": figure_of(ratios_of(seconds, "jxl", "zstd")),
    }


def encode_all(frames: Frames) -> None:
    """Encode all pictures to memory."""
    codec = JpegCodec()
    for camera in frames:
        for frame in camera:
            codec.encode_picture(frame)


def write_all(folder: Path, record: SceneRecord, frames: Frames) -> None:
    """Write all pictures as a scene's shards."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        root = Path(temporary) / "scene.zarr"
        store = SceneStore(root, record, image_codec="jpeg", jpeg_quality=95, num_steps_per_shard=frames.shape[1])
        cameras = zip(record.rig.cameras, frames, strict=True)
        store.write_steps(0, {f"cameras/{camera.name}/rgb": pictures for camera, pictures in cameras})


def decode_clip(contents: list[bytes], start: int) -> list[np.ndarray]:
    """Decode consecutive pictures from memory."""
    return [np.asarray(Image.open(io.BytesIO(content))) for content in contents[start : start + CLIP_STEPS]]


def write_video(path: Path, camera: UInt8[np.ndarray, "T H W 3"], size_px: tuple[int, int]) -> Path:
    """Write the pictures of one camera as H.264."""
    video = VideoFile(path, rate_hz=RATE_HZ, size_px=size_px, crf=CRF, group_steps=GROUP_STEPS)
    for frame in camera:
        video.append(frame)
    video.close()
    return path


def decode_video(path: Path, start: int) -> list[np.ndarray]:
    """Decode consecutive pictures of a video: from the group's first picture on."""
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        assert stream.time_base is not None
        container.seek(round(start / RATE_HZ / stream.time_base), stream=stream)
        found: list[np.ndarray] = []
        for frame in container.decode(stream):
            assert frame.pts is not None
            if round(float(frame.pts * stream.time_base) * RATE_HZ) >= start:
                found.append(frame.to_ndarray(format="rgb24"))
            if len(found) == CLIP_STEPS:
                return found
    raise AssertionError(f"{path}: {len(found)} pictures from {start}")


def read_tar(path: Path) -> None:
    """Decode all pictures of a tar, in order."""
    with tarfile.open(path) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            assert file is not None
            np.asarray(Image.open(io.BytesIO(file.read())))


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit code 1 where a bound is missed."""
    options = parse_options("storage", __doc__, arguments)
    job = Job(num_steps=QUICK_STEPS, rounds=QUICK_ROUNDS) if options.quick else Job(num_steps=STEPS, rounds=ROUNDS)
    frames = draw("preview", num_steps=job.num_steps, size_px=LARGE_PX)
    figures: dict[str, Figure] = {}
    for prefix, pictures in (("", frames), ("small_", np.ascontiguousarray(frames[:, :, ::2, ::2]))):
        with tempfile.TemporaryDirectory() as folder:
            measured = measure_pictures(Path(folder), job, pictures)
        figures |= {prefix + name: figure for name, figure in measured.items()}
    figures |= measure_lossless(job)
    return print_figures(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
