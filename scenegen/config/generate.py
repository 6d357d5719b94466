"""The main job: layouts, cameras, model, storage, bars and workers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from scenegen.config.conditions import ConditionsConfig
from scenegen.config.require import require_choice, require_positive
from scenegen.config.rig import RigConfig
from scenegen.config.run import RunConfig
from scenegen.config.split import AUTO_SPLIT, SPLITS, SplitSharesConfig
from scenegen.config.sweep import SweepConfig
from scenegen.errors import ConfigError
from scenegen.layout.traffic_mix import TrafficMix
from scenegen.types.layout import STYLES
from scenegen.types.lidar import LidarModel
from scenegen.types.record import FULL_PRECISION, HALF_PRECISION

VIDEO_NAMES = ("native", "preview")
VIDEO_MODELS = ("teacher", "student")
VIDEO_SIZES = ("tiny", "lean")
SAMPLER_NAMES = ("euler", "cps")
VIDEO_PRECISIONS = (FULL_PRECISION, HALF_PRECISION)
OCCUPANCY_NAMES = ("rules", "masked")
MIXER_NAMES = ("attention", "bi_rwkv7", "triplet_rwkv7")
PROGRESS_NAMES = ("auto", "rich", "plain")
IMAGE_CODECS = ("jpeg", "png", "jxl", "zstd")
LABEL_STORES = ("stored", "rendered")
LIDAR_STORES = ("key_frames", "none")
MIN_FLICKER_STEPS = 3
"""Consecutive steps without which no flicker can be told from steady change."""


@dataclass(frozen=True, kw_only=True)
class OccupancyConfig:
    """How the open parts of the world are filled.

    Attributes:
        name: `rules`, or `masked`, a diffusion model.
        style: kind of place, one of `types.layout.STYLES`, instead of the layout's own; None keeps that.
        steps: sampling steps per tile.
        loops: how often the middle of the network runs in each.
        tolerance: relative change of the tokens below which the loops of a step end early; None runs them all.
        mixer: how tokens are mixed; the weights must be trained for it.
        weights: a safetensors file; None for the shipped one.
        weights_sha256: what the file must hash to; None takes any.
    """

    name: str
    style: str | None
    steps: int
    loops: int
    tolerance: float | None
    mixer: str
    weights: str | None
    weights_sha256: str | None

    def __post_init__(self) -> None:
        require_choice(self, "name", OCCUPANCY_NAMES)
        require_choice(self, "mixer", MIXER_NAMES)
        require_positive(self, "steps", "loops")
        if self.tolerance is not None:
            require_positive(self, "tolerance")
        if self.style is not None:
            require_choice(self, "style", STYLES)

    def decisive(self) -> dict[str, Any]:
        """Return what decides bytes here: the style is part of the layout, and the weights' hash stands elsewhere."""
        if self.name == "rules":
            return {"name": self.name}
        kept = asdict(self)
        for key in ("style", "weights", "weights_sha256"):
            del kept[key]
        return kept


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Which backbone paints, and how.

    Attributes:
        name: `native` or `preview`.
        size: of the shipped weights: `tiny`, or `lean`, which takes a fraction of the time; None is tiny.
        model: `teacher`, or `student`: one distilled to few steps. None with `preview`, which has no model.
        sampler: `euler`, or `cps`, which draws part of the noise anew in each step; None for what the weights are for.
        steps: sampling steps per frame; None likewise.
        eta: share of new noise in each step of `cps`, 0..1; None likewise.
        precision: of the network's products: `fp32`, or `bf16`, faster where the processor multiplies bfloat16.
        temperature: what all noise is multiplied by, 0..1: less is steadier and flatter; None is the model's own.
        weights: a safetensors file; None for the shipped one. Its size of network stands in the file.
        weights_sha256: what the file must hash to; None takes any.
        history: carry the previous frame forward; false paints every step from its conditions alone.
    """

    name: str
    model: str | None
    sampler: str | None
    steps: int | None
    eta: float | None
    precision: str
    weights: str | None
    weights_sha256: str | None
    history: bool
    size: str | None = None
    temperature: float | None = None

    def __post_init__(self) -> None:
        require_choice(self, "name", VIDEO_NAMES)
        if self.size is not None:
            require_choice(self, "size", VIDEO_SIZES)
        if self.model is not None:
            require_choice(self, "model", VIDEO_MODELS)
        if self.sampler is not None:
            require_choice(self, "sampler", SAMPLER_NAMES)
        require_choice(self, "precision", VIDEO_PRECISIONS)
        if self.steps is not None:
            require_positive(self, "steps")
        if self.temperature is not None and not 0.0 <= self.temperature <= 1.0:
            raise ConfigError("video.temperature between 0 and 1", found=str(self.temperature))
        if self.eta is not None and not 0.0 <= self.eta <= 1.0:
            raise ConfigError("video.eta between 0 and 1", found=str(self.eta))
        if self.eta is not None and self.sampler == "euler":
            raise ConfigError("no video.eta with video.sampler=euler", found=str(self.eta), fix="it belongs to cps")

    def decisive(self) -> dict[str, Any]:
        """Return what decides bytes here: how frames are sampled and the weights' hash stand elsewhere."""
        return {"name": self.name, "history": self.history}


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """What is stored of a scene, and how.

    Attributes:
        image_codec, jpeg_quality: of the pictures.
        labels: maps per pixel (depth, semantic, instance, optical flow): `stored` with the scene, or `rendered` again
            from its layout when they are read; both give the same bytes.
        lidar: simulated sweeps at `key_frames`, or `none`. The labels counted from sweeps are stored either way.
    """

    image_codec: str
    jpeg_quality: int
    labels: str
    lidar: str

    def __post_init__(self) -> None:
        require_choice(self, "image_codec", IMAGE_CODECS)
        require_choice(self, "labels", LABEL_STORES)
        require_choice(self, "lidar", LIDAR_STORES)
        if not 1 <= self.jpeg_quality <= 100:
            raise ConfigError("jpeg_quality from 1 to 100", found=str(self.jpeg_quality))


@dataclass(frozen=True, kw_only=True)
class QualityConfig:
    """What a scene must reach before it is committed; nothing where both bars are None.

    Both bars are ratios to the same judge's figures on ground-truth renders of the same steps, and hold for the worst
    five seconds of a scene.

    Attributes:
        min_control: lowest share of the ground truth's mean IoU; None does not ask.
        max_flicker: highest multiple of the ground truth's flicker; None does not ask.
        max_attempts: how often a scene is painted at most, each time with other noise.
        keep_failed: commit the best painting of a scene that stays under the bar; its scores say so.
    """

    min_control: float | None
    max_flicker: float | None
    max_attempts: int
    keep_failed: bool

    def __post_init__(self) -> None:
        require_positive(self, "max_attempts")
        for name in ("min_control", "max_flicker"):
            if getattr(self, name) is not None:
                require_positive(self, name)

    @property
    def is_asked(self) -> bool:
        """Whether scenes are judged at all."""
        return self.min_control is not None or self.max_flicker is not None


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """The main job: which layouts become which data set.

    Attributes:
        layouts: references `source:location`.
        prompt: words for weather and time of day of all layouts; None keeps their own.
        split: `train`, `val`, `test`, or `auto`: every layout in one of them, by `split_shares`.
        sweep: what is varied beside the layouts.
        lidar: the simulated LiDAR.
        traffic: density and distribution of the traffic of `procedural` layouts.
        stream: give frames away as they are made, and store nothing.
        stream_laps: how often a drive that ends where it begins is streamed; 0 without end.
        stream_labels: file that gets a line of labels per step; None writes none.
    """

    layouts: tuple[str, ...]
    prompt: str | None
    seed: int
    output: str
    duration_s: float
    rate_hz: float
    split: str
    split_shares: SplitSharesConfig
    num_steps_per_chunk: int
    stream: bool
    stream_labels: str | None
    progress: str
    sweep: SweepConfig
    rig: RigConfig
    lidar: LidarModel
    traffic: TrafficMix
    occupancy: OccupancyConfig
    conditions: ConditionsConfig
    video: VideoConfig
    dataset: DatasetConfig
    quality: QualityConfig
    run: RunConfig
    stream_laps: int = 1

    def __post_init__(self) -> None:
        if not self.layouts:
            raise ConfigError("at least one layout", found="layouts=[]", fix="name one: layouts=[crossing_pedestrian]")
        if self.seed < 0:
            raise ConfigError("a seed of zero or more", found=str(self.seed))
        if not self.output:
            raise ConfigError("a folder or a URL in `output`", found="an empty text")
        require_positive(self, "duration_s", "rate_hz", "num_steps_per_chunk")
        require_choice(self, "split", (*SPLITS, AUTO_SPLIT))
        require_choice(self, "progress", PROGRESS_NAMES)
        if self.prompt is not None and (self.sweep.weather or self.sweep.time_of_day):
            raise ConfigError(
                "either a prompt or a sweep of weather and time of day",
                found=f"prompt={self.prompt!r} beside them",
                where="sweep",
                fix="put the prompt's words into sweep.weather",
            )
        self._check_stream()
        self._check_device()
        if self.quality.max_flicker is not None and self.num_steps_per_chunk < MIN_FLICKER_STEPS:
            raise ConfigError(
                f"num_steps_per_chunk of {MIN_FLICKER_STEPS} or more, within which flicker is seen",
                found=str(self.num_steps_per_chunk),
            )

    def _check_stream(self) -> None:
        """Refuse what does not go with `stream`."""
        if not self.stream:
            if self.stream_labels is not None:
                raise ConfigError("stream=true beside stream_labels", found="stream=false", where="stream_labels")
            if self.stream_laps != 1:
                raise ConfigError("stream=true beside stream_laps", found="stream=false", where="stream_laps")
            return
        if self.stream_laps < 0:
            raise ConfigError("stream_laps of 1 or more, or 0: without end", found=f"{self.stream_laps}")
        if self.run.name != "serial":
            raise ConfigError("run=serial with stream=true", found=f"run={self.run.name}", where="run")
        if self.sweep.rig:
            raise ConfigError("one rig in a stream", found="a sweep of rigs", where="sweep.rig")

    def _check_device(self) -> None:
        """Refuse actors that Ray would give no GPU to."""
        asks = self.conditions.device == "cuda" and self.run.name != "serial"
        if asks and self.run.gpus_per_worker == 0.0:
            raise ConfigError(
                "gpus_per_worker above zero with conditions.device=cuda",
                found="0",
                where="run.gpus_per_worker",
                fix="a fraction shares one GPU among several workers",
            )

    def content_sha256(self) -> str:
        """Hash everything here that decides bytes of a scene: not the layouts, the place, or the workers."""
        decisive = asdict(self)
        for key in (
            "layouts",
            "prompt",
            "output",
            "progress",
            "run",
            "seed",
            "split_shares",
            "stream",
            "stream_labels",
            "stream_laps",
            "sweep",
            "traffic",  # part of the layout
        ):
            del decisive[key]
        decisive["occupancy"] = self.occupancy.decisive()
        decisive["video"] = self.video.decisive()
        if self.lidar == LidarModel():  # as in scenes from before there was a choice
            del decisive["lidar"]
        del decisive["conditions"]
        decisive |= {"conditions": self.conditions.decisive()} if self.conditions.decisive() else {}
        if not self.quality.is_asked:
            del decisive["quality"]
        decisive["threads_per_scene"] = self.run.threads_per_scene
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()
