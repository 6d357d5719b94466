"""`recipe=judge`: train the judge of `scenegen.checks` on preview renders. Resumable."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from scenegen.checks.classes import JudgeClass
from scenegen.checks.judge import Judge, JudgeMaps
from scenegen.config import TrainConfig
from scenegen.diffusion.memory import channels_last
from scenegen.errors import ConfigError
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.judge_crops import (
    FOCUS_SHARE,
    FOCUS_UNTIL,
    AgentTable,
    JudgeBatch,
    draw_batch,
    open_agent_table,
)
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.types import random_generator, random_key

log = logging.getLogger(__name__)

CLASS_WEIGHT = {
    JudgeClass.PEDESTRIAN: 2.5,
    JudgeClass.TWO_WHEELER: 3.0,
    JudgeClass.TRAFFIC_OBJECT: 2.5,
    JudgeClass.MARKING: 1.5,
}
LOSS_WEIGHT = {"classes": 1.0, "range": 0.5, "heat": 0.4, "offset": 0.3, "center_range": 1.0}
AVERAGE_DECAY = 0.998
WARM_UP_STEPS = 100
LOG_EVERY_STEPS = 50


def train_judge(config: TrainConfig) -> Path:
    """Train the judge, resuming from the output folder's checkpoint; returns the weight file.

    The file holds a running average of the weights (Polyak averaging), as float16.

    Raises:
        ConfigError: the configuration asks for what only the video recipe has.
    """
    if config.recipe.time_budget_s is not None or config.run.num_workers != 1 or config.device == "cuda":
        raise ConfigError(
            "recipe.time_budget_s=null, run.num_workers=1 and device=auto or cpu for recipe=judge",
            found=f"{config.recipe.time_budget_s}, {config.run.num_workers} and {config.device}",
        )
    folder = Path(config.output)
    cache = open_window_cache(Path(config.data), Path(config.windows))
    table = open_agent_table(Path(config.data), cache, folder / "agents.npz")
    torch.manual_seed(random_key(config.seed, "train-judge") % (1 << 63))
    judge, average = channels_last(Judge()), channels_last(Judge()).requires_grad_(False)
    average.load_state_dict(judge.state_dict())
    optimizer = torch.optim.AdamW(judge.parameters(), lr=config.recipe.learning_rate, weight_decay=1e-3)
    modules: dict[str, nn.Module] = {"judge": judge, "average": average}
    first = load_checkpoint(folder, modules=modules, optimizers={"judge": optimizer})
    weights, total = folder / "judge.safetensors", config.recipe.steps
    began, records = time.monotonic(), []
    for step in range(first, total):
        for group in optimizer.param_groups:
            group["lr"] = config.recipe.learning_rate * min((step + 1) / WARM_UP_STEPS, 1.0 - 0.99 * step / total)
        records.append(train_step(judge, optimizer, cache, table, step=step, config=config))
        follow(average, judge, decay=min(AVERAGE_DECAY, (step + 1) / (step + 10)))
        done = step + 1
        if done % LOG_EVERY_STEPS == 0:
            means = {name: round(float(np.mean([record[name] for record in records])), 4) for name in records[0]}
            rate = (done - first) / (time.monotonic() - began)
            line = {"step": done, **means, "eta_s": round((total - done) / rate)}
            log.info("%s", line)
            with (folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            records.clear()
        if done % config.recipe.save_every_steps == 0 or done == total:
            save_checkpoint(folder, step=done, modules=modules, optimizers={"judge": optimizer})
            save_judge(average, weights, metadata={"steps": str(done), "seed": str(config.seed)})
    return weights


def save_judge(judge: Judge, path: Path, *, metadata: dict[str, str]) -> None:
    """Write weights that `load_judge` reads, as float16."""
    from safetensors.torch import save_file

    state = judge.state_dict()
    tensors = {name: value.half().contiguous() for name, value in state.items() if value.is_floating_point()}
    save_file(tensors, str(path), metadata=metadata)


@torch.no_grad()
def follow(average: Judge, judge: Judge, *, decay: float) -> None:
    """Move the averaged weights and normalisation statistics towards those of the trained network."""
    for mean, value in zip(average.state_dict().values(), judge.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1.0 - decay)


def train_step(
    judge: Judge,
    optimizer: torch.optim.Optimizer,
    cache: WindowCache,
    table: AgentTable,
    *,
    step: int,
    config: TrainConfig,
) -> dict[str, float]:
    """Do one step on random crops; returns the losses."""
    generator = random_generator(config.seed, "train-judge", stage="windows", chunk=step)
    focus_share = FOCUS_SHARE[step >= FOCUS_UNTIL * config.recipe.steps]
    batch = draw_batch(cache, table, generator, batch_size=config.recipe.batch_size, focus_share=focus_share)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
        maps = judge(batch.planes)
    losses = judge_losses(maps.float(), batch)
    total = torch.stack([LOSS_WEIGHT[name] * loss for name, loss in losses.items()]).sum()
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(judge.parameters(), 5.0)
    optimizer.step()
    return {name: float(loss.detach()) for name, loss in losses.items()}


def judge_losses(maps: JudgeMaps, batch: JudgeBatch) -> dict[str, Float[Tensor, ""]]:
    """Return the losses of the heads."""
    has_range = batch.log_range.isfinite()
    near = batch.near
    num_near = near.sum().clamp(min=1)
    offset_error = (maps.offset_px - batch.offset_px).abs().sum(dim=1)
    return {
        "classes": segmentation_loss(maps.scores, batch.labels),
        "range": (maps.log_range - batch.log_range)[has_range].abs().mean(),
        "heat": center_loss(maps.heat, batch.heat, batch.counts),
        "offset": offset_error[near].sum() / num_near,
        "center_range": (maps.center_log_range - batch.center_log_range)[near].abs().sum() / num_near,
    }


def segmentation_loss(scores: Float[Tensor, "B K H W"], labels: Tensor) -> Float[Tensor, ""]:
    """Cross entropy with rare classes weighted up, plus soft Dice over the classes in the batch."""
    weight = torch.ones(len(JudgeClass))
    for code, value in CLASS_WEIGHT.items():
        weight[int(code)] = value
    entropy = functional.cross_entropy(scores, labels, weight=weight)
    probability = scores.softmax(1)
    truth = functional.one_hot(labels, len(JudgeClass)).permute(0, 3, 1, 2).float()
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    size = probability.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 50
    dice = 1.0 - (2.0 * overlap / (size + 1.0))[present].mean()
    return entropy + 0.5 * dice


def center_loss(heat: Float[Tensor, "B A H W"], target: Float[Tensor, "B A H W"], counts: Tensor) -> Float[Tensor, ""]:
    """Penalty-reduced focal loss, per centre.

    Source: CenterNet (arXiv 1904.07850), equation 1, with alpha 2 and beta 4.
    """
    is_center = target == 1.0
    probability = heat.sigmoid()
    hit = functional.logsigmoid(heat) * (1.0 - probability) ** 2
    miss = functional.logsigmoid(-heat) * probability**2 * (1.0 - target) ** 4
    total = torch.where(is_center, hit, torch.where(counts, miss, 0.0)).sum()
    return -total / is_center.sum().clamp(min=1)
