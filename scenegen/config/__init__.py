"""What a job can be told: frozen dataclasses, and the one way from plain dictionaries to them.

Hydra composes YAML into plain dictionaries in `scenegen.cli`; here they become typed values or a one-line
`ConfigError` that names the key. Defaults live in `conf/` only, so no field has one here, except what a camera of a rig
file may leave out.
"""

from scenegen.config.generate import (
    IMAGE_CODECS,
    LABEL_STORES,
    LIDAR_STORES,
    MIN_FLICKER_STEPS,
    OCCUPANCY_NAMES,
    PROGRESS_NAMES,
    RUN_NAMES,
    SPLITS,
    VIDEO_NAMES,
    DatasetConfig,
    GenerateConfig,
    OccupancyConfig,
    QualityConfig,
    RunConfig,
    VideoConfig,
)
from scenegen.config.parse import known_keys, parse_config, unknown_key_error
from scenegen.config.rig import CameraConfig, ImageSizeConfig, LensConfig, RigConfig
from scenegen.config.train import (
    DEVICES,
    PRECISIONS,
    RECIPES,
    SIZE_NAMES,
    RecipeConfig,
    TrainConfig,
    TrainRunConfig,
)

__all__ = [
    "DEVICES",
    "IMAGE_CODECS",
    "LABEL_STORES",
    "LIDAR_STORES",
    "MIN_FLICKER_STEPS",
    "OCCUPANCY_NAMES",
    "PRECISIONS",
    "PROGRESS_NAMES",
    "RECIPES",
    "RUN_NAMES",
    "SIZE_NAMES",
    "SPLITS",
    "VIDEO_NAMES",
    "CameraConfig",
    "DatasetConfig",
    "GenerateConfig",
    "ImageSizeConfig",
    "LensConfig",
    "OccupancyConfig",
    "QualityConfig",
    "RecipeConfig",
    "RigConfig",
    "RunConfig",
    "TrainConfig",
    "TrainRunConfig",
    "VideoConfig",
    "known_keys",
    "parse_config",
    "unknown_key_error",
]
