"""What a job can be told: frozen dataclasses, and the one way from plain dictionaries to them.

Hydra composes YAML into plain dictionaries in `scenegen.cli`; here they become typed values or a one-line
`ConfigError` that names the key. Defaults live in `conf/` only, so no field has one here.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from scenegen.errors import ConfigError

VIDEO_NAMES = ("native", "preview")
OCCUPANCY_NAMES = ("rules",)
RUN_NAMES = ("serial", "ray")
SPLITS = ("train", "val", "test")
PROGRESS_NAMES = ("auto", "rich", "plain")
IMAGE_CODECS = ("jpeg", "png", "zstd")
RECIPES = ("video", "judge")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ImageSizeConfig:
    """Width and height of an image in pixels."""

    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        _require_positive(self, "width_px", "height_px")


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """One camera as a calibration file gives it.

    Attributes:
        name: unique in the rig.
        translation_m: position of the camera in the ego frame.
        rotation_wxyz: `ego_from_cam` as a quaternion.
        K: intrinsics at the rig's source image size.
    """

    name: str
    translation_m: tuple[float, float, float]
    rotation_wxyz: tuple[float, float, float, float]
    K: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True, kw_only=True)
class RigConfig:
    """The cameras, the image size their K belongs to, and the size that is stored."""

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
        history: carry the previous frame forward; false paints every step from its conditions alone.
    """

    name: str
    steps: int
    weights: str | None
    history: bool

    def __post_init__(self) -> None:
        _require_choice(self, "name", VIDEO_NAMES)
        _require_positive(self, "steps")


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """How images are stored."""

    image_codec: str
    jpeg_quality: int

    def __post_init__(self) -> None:
        _require_choice(self, "image_codec", IMAGE_CODECS)
        if not 1 <= self.jpeg_quality <= 100:
            raise ConfigError("jpeg_quality from 1 to 100", found=str(self.jpeg_quality))


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

    def content_sha256(self) -> str:
        """Hash everything here that decides bytes of a scene: not the layouts, the place, or the workers."""
        decisive = asdict(self)
        for key in ("layouts", "prompt", "output", "progress", "run", "seed"):
            del decisive[key]
        # The weights' own hash stands in the provenance; their path decides nothing.
        del decisive["video"]["weights"]
        decisive["threads_per_scene"] = self.run.threads_per_scene
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """What is learned and for how long; one file per recipe in `conf/recipe/`.

    Attributes:
        name: `video` or `judge`.
        steps: optimiser steps in all; a resumed run continues to this number.
        batch_size: windows per step.
        learning_rate: peak rate.
        save_every_steps: distance between checkpoints.
    """

    name: str
    steps: int
    batch_size: int
    learning_rate: float
    save_every_steps: int

    def __post_init__(self) -> None:
        _require_choice(self, "name", RECIPES)
        _require_positive(self, "steps", "batch_size", "learning_rate", "save_every_steps")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run: what to learn, from which data set, into which folder."""

    recipe: RecipeConfig
    data: str
    output: str
    seed: int
    progress: str

    def __post_init__(self) -> None:
        _require_choice(self, "progress", PROGRESS_NAMES)


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
        if value.get(field.name, "???") == "???":
            raise ConfigError(f"a value for {prefix + field.name!r}", fix=f"add {prefix}{field.name}=...")
    converted = {name: _convert(value[name], hint, where=prefix + name) for name, hint in hints.items()}
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
