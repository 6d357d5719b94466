"""A training run: what is learned, from which data, by how many processes."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.config.afd import AfdConfig
from scenegen.config.generate import MIXER_NAMES, PROGRESS_NAMES
from scenegen.config.require import require_choice, require_positive
from scenegen.config.rtdmd import RtdmdConfig
from scenegen.errors import ConfigError

RECIPES = (
    "video",
    "rtdmd",
    "reward",
    "judge",
    "autoencoder",
    "occupancy",
    "occupancy_tokenizer",
    "occupancy_tokenizer_fine",
    "occupancy_latent_ar",
    "occupancy_encoder",
    "afd",
)
SIZE_NAMES = {"video": ("nano", "lean", "tiny", "small", "base"), "occupancy": ("nano", "tiny", "small")}
"""Sizes of the network, of the recipes that have any."""
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class RecipeConfig:
    """What is learned and for how long; one file per recipe in `conf/recipe/`.

    Attributes:
        name: one of RECIPES.
        size: of the network, where the recipe has sizes; what `TrainConfig.size` is unless it is given.
        steps: optimiser steps in all; a resumed run continues to this number.
        time_budget_s: fewer steps, as many as fit into this time at the speed of the first ones; None for all.
        batch_size: windows per step and process.
        learning_rate: peak rate.
        save_every_steps: distance between checkpoints.
        mixer: of the occupancy network, where the recipe has one.
        training_flops: for `occupancy_latent_ar`, what its transformer may spend; decides `steps` when given.
        afd: for `afd`, what it alone can be told.
        rtdmd: for `rtdmd`, the rest of it.
    """

    name: str
    size: str | None
    steps: int
    time_budget_s: float | None
    batch_size: int
    learning_rate: float
    save_every_steps: int
    mixer: str | None = None
    training_flops: float | None = None
    afd: AfdConfig | None = None
    rtdmd: RtdmdConfig | None = None

    def __post_init__(self) -> None:
        require_choice(self, "name", RECIPES)
        if self.training_flops is not None:
            require_positive(self, "training_flops")
        if (self.rtdmd is not None) != (self.name == "rtdmd"):
            raise ConfigError("keys below rtdmd with recipe=rtdmd, and with no other", found=repr(self.name))
        require_positive(self, "steps", "batch_size", "learning_rate", "save_every_steps")
        if self.mixer is not None:
            require_choice(self, "mixer", MIXER_NAMES)
        if self.time_budget_s is not None:
            require_positive(self, "time_budget_s")
        if (self.afd is not None) != (self.name == "afd"):
            raise ConfigError("settings of afd with recipe=afd, and only there", found=f"name {self.name}", where="afd")


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
        require_positive(self, "num_workers", "num_threads")
        if self.num_loaders is not None and self.num_loaders < 0:
            raise ConfigError("num_loaders of zero or more", found=str(self.num_loaders))


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run: what to learn, from which data set, into which folder.

    Attributes:
        recipe: what is learned.
        size: of the network, for recipes that have sizes.
        data: a scenegen data set; for recipes of occupancy, layout references joined by `+`.
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
        require_choice(self, "device", DEVICES)
        require_choice(self, "precision", PRECISIONS)
        require_choice(self, "progress", PROGRESS_NAMES)
        if self.seed < 0:
            raise ConfigError("a seed of zero or more", found=str(self.seed))
        if self.pictures_every_steps is not None:
            require_positive(self, "pictures_every_steps")
        if self.recipe.name in SIZE_NAMES:
            if self.size is None:
                raise ConfigError("a size of the network", found="nothing", fix="add size=tiny")
            require_choice(self, "size", SIZE_NAMES[self.recipe.name])
        elif self.size is not None:
            raise ConfigError(f"no size with recipe={self.recipe.name}", found=repr(self.size), where="size")
