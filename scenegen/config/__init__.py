"""What a job can be told: frozen dataclasses, and the one way from plain dictionaries to them.

Hydra composes YAML into plain dictionaries in `scenegen.cli`; here they become typed values or a one-line
`ConfigError` that names the key. Defaults live in `conf/` only, so no field has one here, except what a camera of a rig
file may leave out.
"""

from scenegen.config.afd import AfdConfig
from scenegen.config.cluster import ClusterConfig, HeadConfig, WorkerGroupConfig
from scenegen.config.conditions import CONDITIONS_DEVICES, CONDITIONS_NAMES, ConditionsConfig
from scenegen.config.generate import (
    IMAGE_CODECS,
    LABEL_STORES,
    LIDAR_STORES,
    MIN_FLICKER_STEPS,
    OCCUPANCY_NAMES,
    PROGRESS_NAMES,
    SAMPLER_NAMES,
    VIDEO_MODELS,
    VIDEO_NAMES,
    DatasetConfig,
    GenerateConfig,
    OccupancyConfig,
    QualityConfig,
    VideoConfig,
)
from scenegen.config.import_log import ImportLogConfig
from scenegen.config.parse import known_keys, parse_config, unknown_key_error
from scenegen.config.rig import CameraConfig, ImageSizeConfig, LensConfig, RigConfig
from scenegen.config.rtdmd import RtdmdConfig
from scenegen.config.run import PLACEMENTS, RUN_NAMES, RunConfig
from scenegen.config.split import AUTO_SPLIT, SPLITS, SplitSharesConfig, split_of_layout
from scenegen.config.sweep import NO_SWEEP, SweepConfig, SweepPoint
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
    "AUTO_SPLIT",
    "CONDITIONS_DEVICES",
    "CONDITIONS_NAMES",
    "DEVICES",
    "IMAGE_CODECS",
    "LABEL_STORES",
    "LIDAR_STORES",
    "MIN_FLICKER_STEPS",
    "NO_SWEEP",
    "OCCUPANCY_NAMES",
    "PLACEMENTS",
    "PRECISIONS",
    "PROGRESS_NAMES",
    "RECIPES",
    "RUN_NAMES",
    "SAMPLER_NAMES",
    "SIZE_NAMES",
    "SPLITS",
    "VIDEO_MODELS",
    "VIDEO_NAMES",
    "AfdConfig",
    "CameraConfig",
    "ClusterConfig",
    "ConditionsConfig",
    "DatasetConfig",
    "GenerateConfig",
    "HeadConfig",
    "ImageSizeConfig",
    "ImportLogConfig",
    "LensConfig",
    "OccupancyConfig",
    "QualityConfig",
    "RecipeConfig",
    "RigConfig",
    "RtdmdConfig",
    "RunConfig",
    "SplitSharesConfig",
    "SweepConfig",
    "SweepPoint",
    "TrainConfig",
    "TrainRunConfig",
    "VideoConfig",
    "WorkerGroupConfig",
    "known_keys",
    "parse_config",
    "split_of_layout",
    "unknown_key_error",
]
