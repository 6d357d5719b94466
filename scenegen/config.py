"""What a job can be told: frozen dataclasses, and the one way from plain dictionaries to them.

Hydra composes YAML into plain dictionaries in `scenegen.cli`; here they become typed values or a one-line
`ConfigError` that names the key. Defaults live in `conf/` only, so no field has one here, except what a camera of a rig
file may leave out.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from scenegen.errors import ConfigError

VIDEO_NAMES = ("native", "preview")
OCCUPANCY_NAMES = ("rules",)
RUN_NAMES = ("serial", "ray")
SPLITS = ("train", "val", "test")
PROGRESS_NAMES = ("auto", "rich", "plain")
IMAGE_CODECS = ("jpeg", "png", "zstd")
LABEL_STORES = ("stored", "rendered")
LIDAR_STORES = ("key_frames", "none")
MIN_FLICKER_STEPS = 3
"""Consecutive steps without which no flicker can be told from steady change."""
RECIPES = ("video", "judge", "autoencoder")
SIZE_NAMES = ("nano", "tiny", "small", "base")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ImageSizeConfig:
    """Width and height of an image in pixels."""

    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        _require_positive(self, "width_px", "height_px")


@dataclass(frozen=True, kw_only=True)
class LensConfig:
    """A lens as a calibration file gives it.

    Attributes:
        model: `pinhole`, `brown_conrady`, `fisheye` or `f_theta`.
        coefficients: see `types.lens`; those of `f_theta` in pixels of the source image.
        max_angle_deg: half the field of view; None: as far as the farthest corner of the source image, at most 88.
    """

    model: str
    coefficients: tuple[float, ...]
    max_angle_deg: float | None = None


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """One camera as a calibration file gives it.

    Attributes:
        name: unique in the rig.
        translation_m: position of the camera in the ego frame.
        rotation_wxyz: `ego_from_cam` as a quaternion.
        K: intrinsics at the source image size.
        lens: None for a pinhole.
        source_image: the size that K belongs to; None for the rig's.
        image: the size that is stored; None for the rig's.
    """

    name: str
    translation_m: tuple[float, float, float]
    rotation_wxyz: tuple[float, float, float, float]
    K: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    lens: LensConfig | None = None
    source_image: ImageSizeConfig | None = None
    image: ImageSizeConfig | None = None


@dataclass(frozen=True, kw_only=True)
class RigConfig:
    """The cameras; the size that their K belongs to and the size that is stored, for cameras without their own."""

    name: str
    source_image: ImageSizeConfig
    image: ImageSizeConfig
    cameras: tuple[CameraConfig, ...]


@dataclass(frozen=True, kw_only=True)
class OccupancyConfig:
    """How the open parts of the world are filled."""

    name: str

    def __post_init__(self) -> None:
        _require_choice(self, "name", OCCUPANCY_NAMES)


@dataclass(frozen=True, kw_only=True)
class VideoConfig:
    """Which backbone paints, and how.

    Attributes:
        name: `native` or `preview`.
        steps: sampling steps per frame.
        weights: a safetensors file; None for the shipped one. Its size of network stands in the file.
        weights_sha256: what the file must hash to; None takes any.
        history: carry the previous frame forward; false paints every step from its conditions alone.
    """

    name: str
    steps: int
    weights: str | None
    weights_sha256: str | None
    history: bool

    def __post_init__(self) -> None:
        _require_choice(self, "name", VIDEO_NAMES)
        _require_positive(self, "steps")


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
        _require_choice(self, "image_codec", IMAGE_CODECS)
        _require_choice(self, "labels", LABEL_STORES)
        _require_choice(self, "lidar", LIDAR_STORES)
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
        _require_positive(self, "max_attempts")
        for name in ("min_control", "max_flicker"):
            if getattr(self, name) is not None:
                _require_positive(self, name)

    @property
    def is_asked(self) -> bool:
        """Whether scenes are judged at all."""
        return self.min_control is not None or self.max_flicker is not None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where scenes run. Nothing here but `threads_per_scene` may change a byte.

    Attributes:
        name: `serial`, or the name of an executor registered as entry point (`ray`).
        num_workers: scenes in flight.
        threads_per_scene: threads of one scene's arithmetic.
        max_failures: no new scene is started once more than this many have failed.
    """

    name: str
    num_workers: int
    threads_per_scene: int
    max_failures: int

    def __post_init__(self) -> None:
        _require_choice(self, "name", RUN_NAMES)
        _require_positive(self, "num_workers", "threads_per_scene")
        if self.max_failures < 0:
            raise ConfigError("max_failures of zero or more", found=str(self.max_failures))


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """The main job: which layouts become which data set."""

    layouts: tuple[str, ...]
    prompt: str | None
    seed: int
    output: str
    duration_s: float
    rate_hz: float
    split: str
    num_steps_per_chunk: int
    progress: str
    rig: RigConfig
    occupancy: OccupancyConfig
    video: VideoConfig
    dataset: DatasetConfig
    quality: QualityConfig
    run: RunConfig

    def __post_init__(self) -> None:
        if not self.layouts:
            raise ConfigError("at least one layout", found="layouts=[]", fix="name one: layouts=[crossing_pedestrian]")
        if self.seed < 0:
            raise ConfigError("a seed of zero or more", found=str(self.seed))
        if not self.output:
            raise ConfigError("a folder in `output`", found="an empty text")
        _require_positive(self, "duration_s", "rate_hz", "num_steps_per_chunk")
        _require_choice(self, "split", SPLITS)
        _require_choice(self, "progress", PROGRESS_NAMES)
        if self.quality.max_flicker is not None and self.num_steps_per_chunk < MIN_FLICKER_STEPS:
            raise ConfigError(
                f"num_steps_per_chunk of {MIN_FLICKER_STEPS} or more, within which flicker is seen",
                found=str(self.num_steps_per_chunk),
            )

    def content_sha256(self) -> str:
        """Hash everything here that decides bytes of a scene: not the layouts, the place, or the workers."""
        decisive = asdict(self)
        for key in ("layouts", "prompt", "output", "progress", "run", "seed"):
            del decisive[key]
        # The weights' own hash stands in the provenance; their path decides nothing.
        del decisive["video"]["weights"]
        del decisive["video"]["weights_sha256"]
        if not self.quality.is_asked:
            del decisive["quality"]
        decisive["threads_per_scene"] = self.run.threads_per_scene
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """What is learned and for how long; one file per recipe in `conf/recipe/`.

    Attributes:
        name: `video`, `judge` or `autoencoder`.
        size: of the network, where the recipe has sizes; what `TrainConfig.size` is unless it is given.
        steps: optimiser steps in all; a resumed run continues to this number.
        time_budget_s: fewer steps, as many as fit into this time at the speed of the first ones; None for all.
        batch_size: windows per step and process.
        learning_rate: peak rate.
        save_every_steps: distance between checkpoints.
    """

    name: str
    size: str | None
    steps: int
    time_budget_s: float | None
    batch_size: int
    learning_rate: float
    save_every_steps: int

    def __post_init__(self) -> None:
        _require_choice(self, "name", RECIPES)
        _require_positive(self, "steps", "batch_size", "learning_rate", "save_every_steps")
        if self.time_budget_s is not None:
            _require_positive(self, "time_budget_s")


@dataclass(frozen=True, kw_only=True)
class TrainRunConfig:
    """The processes of a training run. All of it decides bytes, except `num_loaders`.

    Attributes:
        num_workers: processes that share every step: each reads its own windows, gradients are averaged.
        num_threads: threads of one process's arithmetic.
        num_loaders: threads of one process that read windows ahead; None for none on a CPU, all cores' beside a GPU.
    """

    num_workers: int
    num_threads: int
    num_loaders: int | None

    def __post_init__(self) -> None:
        _require_positive(self, "num_workers", "num_threads")
        if self.num_loaders is not None and self.num_loaders < 0:
            raise ConfigError("num_loaders of zero or more", found=str(self.num_loaders))


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run: what to learn, from which data set, into which folder.

    Attributes:
        recipe: what is learned.
        size: of the network, for recipes that have sizes.
        data: a scenegen data set.
        held_out: another one for validation pictures; None takes scenes of `data`.
        output: checkpoints, log, pictures and weights.
        windows: unpacked windows of `data`; runs on the same data may share them.
        seed: of all randomness.
        device: where the network is; `auto` is CUDA where there is a device.
        precision: of the network's products; `auto` is bf16 on CUDA and fp32 on a CPU.
        pictures_every_steps: distance between validation pictures; None for none.
        progress: how it is shown.
        run: the processes.
    """

    recipe: RecipeConfig
    size: str | None
    data: str
    held_out: str | None
    output: str
    windows: str
    seed: int
    device: str
    precision: str
    pictures_every_steps: int | None
    progress: str
    run: TrainRunConfig

    def __post_init__(self) -> None:
        _require_choice(self, "device", DEVICES)
        _require_choice(self, "precision", PRECISIONS)
        _require_choice(self, "progress", PROGRESS_NAMES)
        if self.seed < 0:
            raise ConfigError("a seed of zero or more", found=str(self.seed))
        if self.pictures_every_steps is not None:
            _require_positive(self, "pictures_every_steps")
        if self.recipe.name == "video":
            if self.size is None:
                raise ConfigError("a size of the network", found="nothing", fix="add size=tiny")
            _require_choice(self, "size", SIZE_NAMES)
        elif self.size is not None:
            raise ConfigError(f"no size with recipe={self.recipe.name}", found=repr(self.size), where="size")


def parse_config(kind: type[T], values: Mapping[str, Any]) -> T:
    """Turn a plain dictionary into the dataclass `kind`.

    Raises:
        ConfigError: a key is unknown, missing, of the wrong type, or its value makes no sense.

    >>> parse_config(ImageSizeConfig, {"width_px": 200, "height_px": 112})
    ImageSizeConfig(width_px=200, height_px=112)
    >>> parse_config(ImageSizeConfig, {"width_px": 200, "hight_px": 112})
    Traceback (most recent call last):
    scenegen.errors.ConfigError: expected a known key, found 'hight_px'. Did you mean 'height_px'?
    """
    return typing.cast(T, _convert(values, kind, where=""))


def known_keys(kind: type[Any], prefix: str = "") -> list[str]:
    """List every key of a configuration, dotted."""
    keys = []
    for name, hint in get_type_hints(kind).items():
        keys.append(prefix + name)
        if is_dataclass(hint):
            keys += known_keys(typing.cast(type, hint), f"{prefix}{name}.")
    return keys


def unknown_key_error(key: str, known: list[str]) -> ConfigError:
    """Say that a key does not exist, and which one was probably meant."""
    near = difflib.get_close_matches(key, known, n=1) or [k for k in known if k.rsplit(".", 1)[-1] == key][:1]
    fix = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(k for k in known if '.' not in k)}"
    return ConfigError("a known key", found=repr(key), fix=fix)


def _convert(value: Any, hint: Any, *, where: str) -> Any:
    if is_dataclass(hint):
        return _convert_dataclass(value, typing.cast(type, hint), where=where)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and types.NoneType in arguments:
            return None
        return _convert(value, next(a for a in arguments if a is not types.NoneType), where=where)
    if origin is tuple:
        return _convert_tuple(value, arguments, where=where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        found = "nothing" if value is None else f"{value!r} ({type(value).__name__})"
        raise ConfigError(f"{_TYPE_NAMES[hint]} for {where!r}", found=found)
    return value


_TYPE_NAMES = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}


def _convert_dataclass(value: Any, kind: type[Any], *, where: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"keys below {where or 'the root'!r}", found=f"{value!r}")
    hints = get_type_hints(kind)
    prefix = f"{where}." if where else ""
    for key in value:
        if key == "_target_":
            raise ConfigError("names that scenegen looks up in its own tables", found=f"{prefix}_target_")
        if key not in hints:
            raise unknown_key_error(f"{prefix}{key}", [f"{prefix}{name}" for name in hints])
    for field in fields(kind):
        if field.default is MISSING and value.get(field.name, "???") == "???":
            raise ConfigError(f"a value for {prefix + field.name!r}", fix=f"add {prefix}{field.name}=...")
    converted = {
        name: _convert(value[name], hint, where=prefix + name) for name, hint in hints.items() if name in value
    }
    try:
        return kind(**converted)
    except ConfigError as error:
        if error.where:
            raise
        raise ConfigError(error.expected, found=error.found, where=where, fix=error.fix) from None


def _convert_tuple(value: Any, arguments: tuple[Any, ...], *, where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"a list for {where!r}", found=repr(value), fix=f"write {where}=[{value}]")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_convert(item, arguments[0], where=f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise ConfigError(f"{len(arguments)} values for {where!r}", found=str(len(value)))
    return tuple(_convert(v, a, where=f"{where}[{i}]") for i, (v, a) in enumerate(zip(value, arguments, strict=True)))


def _require_choice(config: Any, name: str, choices: tuple[str, ...]) -> None:
    value = getattr(config, name)
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1)
        raise ConfigError(
            f"{name} in {', '.join(choices)}", found=repr(value), fix=f"did you mean {near[0]!r}?" if near else ""
        )


def _require_positive(config: Any, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ConfigError(f"{name} above zero", found=str(value))
