"""Look up a training recipe by name and run it."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from scenegen.config import RECIPES, TrainConfig
from scenegen.errors import ConfigError

BF16_RECIPES = (
    "rtdmd",
    "reward",
    "judge",
    "occupancy",
    "occupancy_tokenizer",
    "occupancy_tokenizer_fine",
    "occupancy_latent_ar",
    "afd",
)
"""Recipes for one CPU process whose products can be in bfloat16."""


def log_to_stderr() -> None:
    """Write log lines with the time of day."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)


def run_recipe(config: TrainConfig) -> Path:
    """Run the recipe a configuration names; returns the file of weights it wrote.

    Raises:
        ConfigError: the recipe does not run on that device or on several processes.
    """
    name = config.recipe.name
    if name == "video":
        from scenegen.training.video import train_video

        return train_video(config)
    require_plain_process(config)
    if name == "rtdmd":
        from scenegen.training.rtdmd import train_rtdmd

        return train_rtdmd(config)
    if name == "reward":
        from scenegen.training.reward import train_reward

        return train_reward(config)
    if name == "judge":
        from scenegen.training.judge import train_judge

        return train_judge(config)
    if name == "autoencoder":
        from scenegen.training.autoencoder import train_autoencoder

        return train_autoencoder(config)
    if name == "occupancy":
        from scenegen.training.occupancy import train_occupancy

        return train_occupancy(config)
    if name == "occupancy_tokenizer":
        from scenegen.training.occupancy_tokenizer import train_occupancy_tokenizer

        return train_occupancy_tokenizer(config)
    if name == "occupancy_tokenizer_fine":
        from scenegen.training.occupancy_tokenizer import train_fine_occupancy_tokenizer

        return train_fine_occupancy_tokenizer(config)
    if name == "occupancy_latent_ar":
        from scenegen.training.occupancy_latent_ar import train_occupancy_latent_ar

        return train_occupancy_latent_ar(config)
    if name == "occupancy_encoder":
        from scenegen.training.occupancy_encoder import train_occupancy_encoder

        return train_occupancy_encoder(config)
    if name == "afd":
        from scenegen.training.afd import train_afd

        return train_afd(config)
    raise ConfigError(f"a recipe out of {', '.join(RECIPES)}", found=repr(name), where="recipe.name")


def require_plain_process(config: TrainConfig) -> None:
    """Check that one process on a CPU is asked for, and pin its threads. Only BF16_RECIPES know bf16.

    Raises:
        ConfigError: something else is.
    """
    import torch

    asked = {
        "run.num_workers": config.run.num_workers > 1 or int(os.environ.get("WORLD_SIZE", "1")) > 1,
        "device": config.device == "cuda",
        "precision": config.precision == "bf16" and config.recipe.name not in BF16_RECIPES,
        "recipe.time_budget_s": config.recipe.time_budget_s is not None,
    }
    for key, is_asked in asked.items():
        if is_asked:
            raise ConfigError(
                f"one process on a CPU, which is what recipe={config.recipe.name} knows",
                found=f"another {key}",
                where=key,
            )
    torch.set_num_threads(config.run.num_threads)
