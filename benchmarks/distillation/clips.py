"""The clips of the comparison: short, seen by two cameras that overlap, of worlds that nobody trained on.

A clip is cheap on purpose, for a teacher in 50 steps paints it too: three steps of two half-width views of `nuscenes6`.
Its first frame has no history, as the first of a scene; the third is where flicker can be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from time import process_time

import numpy as np
from jaxtyping import UInt8

from benchmarks.ablations.clips import RATE_HZ, read_rig
from scenegen.checks.overlap import Overlap, find_overlap
from scenegen.checks.temporal import Track, follow_surfaces
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.scene import SceneStage
from scenegen.training.excerpts import cut_excerpt
from scenegen.types import Camera, CameraRig, ConditionMaps, Layout, StaticTable
from scenegen.video.backbones.native import NativeBackbone
from scenegen.video.build import load_backbone
from scenegen.video.interface import SceneContext

RIG_FILE = Path("conf/rig/nuscenes6.yaml")
VIEW_WIDTH_PX = 96
NUM_STEPS = 3
START_STEPS = (36, 84, 60)
"""First steps of a layout's clips, in the order in which they are taken."""
LAYOUTS = ("library:*", "procedural:1301-1330")


@dataclass(frozen=True, kw_only=True)
class ClipKey:
    """Which clip.

    Attributes:
        start_step: its first step in the layout, at 12 Hz.
        attempt: which draw of the noise; the world stays.
    """

    reference: str
    seed: int
    start_step: int
    attempt: int = 0


@dataclass(frozen=True, kw_only=True)
class PairClip:
    """A scene of NUM_STEPS steps without its pixels, and what its last step is scored with."""

    key: ClipKey
    layout: Layout
    rig: CameraRig
    context: SceneContext
    maps: ConditionMaps
    track: Track
    overlap: Overlap

    @property
    def statics(self) -> StaticTable:
        """Static things of its world."""
        return self.context.statics


def plan_clips(references: list[str], *, seeds: tuple[int, ...], count: int) -> list[ClipKey]:
    """Return the first `count` clips, spread over layouts and seeds before a layout is asked for a second moment."""
    keys = (
        ClipKey(reference=reference, seed=seed, start_step=start)
        for start, reference, seed in product(START_STEPS, references, seeds)
    )
    return [key for key, _ in zip(keys, range(count), strict=False)]


def overlapping_pair() -> CameraRig:
    """Return the left half of the front camera and the right half of the one left of it, which see the same things."""
    rig = read_rig(RIG_FILE)
    cameras = {camera.name: camera for camera in rig.cameras}
    front, left = cameras["CAM_FRONT"], cameras["CAM_FRONT_LEFT"]
    views = (cut_view(front, left_px=0), cut_view(left, left_px=left.size_px[0] - VIEW_WIDTH_PX))
    return CameraRig(name="overlapping_pair", cameras=views)


def cut_view(camera: Camera, *, left_px: int) -> Camera:
    """Return a camera that sees VIEW_WIDTH_PX columns of another's picture, from `left_px` on."""
    K = camera.K.copy()
    K[0, 2] -= left_px
    return replace(camera, K=K, size_px=(VIEW_WIDTH_PX, camera.size_px[1]))


def build_pair_clip(key: ClipKey, rig: CameraRig) -> PairClip:
    """Build the world of a clip and cast its condition maps."""
    stop = key.start_step + NUM_STEPS
    layout = extend_layout(read_layout(key.reference), duration_s=stop / RATE_HZ, rate_hz=RATE_HZ)
    layout = cut_excerpt(layout, start_step=key.start_step, num_steps=NUM_STEPS)
    stage = SceneStage(layout, rig=rig, seed=key.seed)
    maps = stage.render_conditions(0, NUM_STEPS)
    return PairClip(
        key=key,
        layout=layout,
        rig=rig,
        context=replace(stage.context, attempt=key.attempt),
        maps=maps,
        track=follow_surfaces(maps, is_seen=maps.is_seen),
        overlap=find_overlap(maps, step=NUM_STEPS - 1, rig=rig, is_seen=maps.is_seen),
    )


def paint(
    backbone: NativeBackbone, clip: PairClip, *, maps: ConditionMaps | None = None
) -> UInt8[np.ndarray, "V T H W 3"]:
    """Paint a clip as a scene's first chunk, from its own conditions or others."""
    return backbone.open_session(clip.context).paint(clip.maps if maps is None else maps, start_step=0)


def paint_truth(clip: PairClip) -> UInt8[np.ndarray, "V T H W 3"]:
    """Paint the ground truth of a clip."""
    return load_backbone("preview", weights=None).open_session(clip.context).paint(clip.maps, start_step=0)


class PaintedClips:
    """Clips of one slow painter, kept on disk: what is there is not painted again.

    Args:
        folder: of all painters' clips.
        backbone: the painter; its weights and its sampler name the folder of its own.
    """

    def __init__(self, folder: Path, backbone: NativeBackbone) -> None:
        sampling = backbone.sampling
        self._backbone = backbone
        self._folder = folder / f"{backbone.weights_sha256[:12]}-{sampling.sampler}-{sampling.steps}-{sampling.eta}"

    def path(self, key: ClipKey) -> Path:
        """Return where a clip is kept."""
        name = key.reference.replace(":", "_").replace("/", "_")
        return self._folder / f"{name}-seed{key.seed}-from{key.start_step}-attempt{key.attempt}.npz"

    def has(self, key: ClipKey) -> bool:
        """Say whether a clip is there."""
        return self.path(key).is_file()

    def read(self, key: ClipKey) -> UInt8[np.ndarray, "V T H W 3"]:
        """Read a clip."""
        with np.load(self.path(key)) as file:
            return np.asarray(file["frames"])

    def read_seconds(self, key: ClipKey) -> float:
        """Return how much processor time its painting took."""
        with np.load(self.path(key)) as file:
            return float(file["cpu_s"])

    def add(self, clip: PairClip) -> None:
        """Paint a clip and keep it."""
        begun_s = process_time()
        frames = paint(self._backbone, clip)
        cpu_s = process_time() - begun_s
        path = self.path(clip.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_suffix(".part")
        with staged.open("wb") as file:
            np.savez_compressed(file, frames=frames, cpu_s=cpu_s)
        staged.rename(path)


def missing_clips(keys: list[ClipKey], painted: PaintedClips) -> Iterator[ClipKey]:
    """Yield the clips that are still to be painted."""
    return (key for key in keys if not painted.has(key))
