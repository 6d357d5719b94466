"""`recipe=reward`: train the network behind the rewards of `recipe=rtdmd`. Resumable.

Of the data set only every second scene is learned from; the judge of `scenegen eval` learned from other crops with
another seed and has another architecture (`training.reward_network`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from scenegen.config import TrainConfig
from scenegen.diffusion.memory import channels_last
from scenegen.errors import DatasetError
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.judge import center_loss, segmentation_loss
from scenegen.training.judge_crops import AgentTable, draw_batch, open_agent_table
from scenegen.training.report import TrainingReport
from scenegen.training.reward_network import RewardNetwork, save_reward_network
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.types import random_generator, random_key

WEIGHTS_NAME = "reward.safetensors"
"""The weight file in the output folder."""
HEAT_WEIGHT = 0.4
FOCUS_SHARE = 0.5
"""Share of crops that are placed on something rare."""
WARM_UP_STEPS = 50


def train_reward(config: TrainConfig) -> Path:
    """Train, resuming from the output folder's checkpoint; returns the weight file.

    Raises:
        DatasetError: the data set has fewer than two scenes, or the windows belong to another one.
        WeightsError: the checkpoint is damaged or of another network.
    """
    folder, recipe = Path(config.output), config.recipe
    folder.mkdir(parents=True, exist_ok=True)
    cache = open_window_cache(Path(config.data), Path(config.windows))
    table = open_agent_table(Path(config.data), cache, folder / "agents.npz")
    cache, table = take_half(cache, table)
    torch.manual_seed(random_key(config.seed, "train-reward") % (1 << 63))
    network = channels_last(RewardNetwork())
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=1e-3)
    first = load_checkpoint(folder, modules={"reward": network}, optimizers={"reward": optimizer})
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress)
    weights = folder / WEIGHTS_NAME
    try:
        for step in range(first, recipe.steps):
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * min((step + 1) / WARM_UP_STEPS, 1.0 - 0.99 * step / recipe.steps)
            losses = train_step(network, optimizer, cache, table, step=step, config=config)
            done = step + 1
            report.step_done(done, losses, total=recipe.steps)
            if done % recipe.save_every_steps == 0 or done == recipe.steps:
                save_checkpoint(folder, step=done, modules={"reward": network}, optimizers={"reward": optimizer})
                save_reward_network(network, weights, notes={"steps": str(done), "seed": str(config.seed)})
    finally:
        report.close()
    return weights


def take_half(cache: WindowCache, table: AgentTable) -> tuple[WindowCache, AgentTable]:
    """Return the steps of every second scene, copied into memory, and their agents.

    Raises:
        DatasetError: there is no second scene.
    """
    entries = np.flatnonzero(cache.scene % 2 == 1)
    if len(entries) == 0:
        raise DatasetError("at least two scenes, as every second one is learned from", found="one")
    views = cache.pixels["material"].shape[1]
    frames = (entries[:, None] * views + np.arange(views)).ravel()
    rows = np.flatnonzero(np.isin(table.frame, frames))
    half = replace(
        cache,
        pixels={name: cache.pixels[name][entries] for name in ("rgb", "semantic", "material", "depth_m")},
        world_from_cam=cache.world_from_cam[entries],
        scene=cache.scene[entries],
        has_previous=cache.has_previous[entries],
    )
    moved = np.searchsorted(frames, table.frame[rows])
    return half, replace(table, frame=moved, agents=table.agents.select(rows))


def train_step(
    network: RewardNetwork,
    optimizer: torch.optim.Optimizer,
    cache: WindowCache,
    table: AgentTable,
    *,
    step: int,
    config: TrainConfig,
) -> dict[str, float]:
    """Do one step on random crops; returns the losses."""
    generator = random_generator(config.seed, "train-reward", stage="windows", chunk=step)
    batch = draw_batch(cache, table, generator, batch_size=config.recipe.batch_size, focus_share=FOCUS_SHARE)
    rgb = batch.planes[:, :3].contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        maps = network(rgb)
    classes = segmentation_loss(maps.scores, batch.labels)
    heat = center_loss(maps.heat, batch.heat, batch.counts)
    optimizer.zero_grad(set_to_none=True)
    (classes + HEAT_WEIGHT * heat).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimizer.step()
    right = (maps.scores.argmax(1) == batch.labels).float().mean()
    return {"classes": float(classes.detach()), "heat": float(heat.detach()), "pixels_right": float(right)}
