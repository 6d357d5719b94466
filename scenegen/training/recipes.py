"""Look up a training recipe by name and run it."""

from __future__ import annotations

from pathlib import Path

from scenegen.config import TrainConfig
from scenegen.errors import ConfigError


def run_recipe(config: TrainConfig) -> Path:
    """Run the recipe a configuration names; returns the file of weights it wrote."""
    name = config.recipe.name
    if name == "video":
        from scenegen.training.video import train_video

        return train_video(config)
    if name == "judge":
        from scenegen.training.judge import train_judge

        return train_judge(config)
    if name == "autoencoder":
        from scenegen.training.autoencoder import train_autoencoder

        return train_autoencoder(config)
    raise ConfigError("recipe=video, recipe=judge or recipe=autoencoder", found=repr(name), where="recipe.name")
