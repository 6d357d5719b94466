"""`recipe=segmenter`: train the judge of `scenegen.checks` on preview renders. Resumable."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from scenegen.checks.segmenter import JudgeClass, Segmenter, judge_labels
from scenegen.config import TrainConfig
from scenegen.diffusion.memory import channels_last
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.types import random_generator, random_key

log = logging.getLogger(__name__)

CROP_WIDTH = 100
FOCUS_SHARE = 0.6
"""Share of crops that are placed on something rare."""
RARE = (JudgeClass.PEDESTRIAN, JudgeClass.TWO_WHEELER, JudgeClass.LARGE_VEHICLE, JudgeClass.TRAFFIC_OBJECT)
CLASS_WEIGHT = {
    JudgeClass.PEDESTRIAN: 3.0,
    JudgeClass.TWO_WHEELER: 3.0,
    JudgeClass.TRAFFIC_OBJECT: 3.0,
    JudgeClass.MARKING: 1.5,
}


def train_segmenter(config: TrainConfig) -> Path:
    """Train the judge, resuming from the output folder's checkpoint; returns the weight file."""
    from safetensors.torch import save_file

    folder = Path(config.output)
    cache = open_window_cache(Path(config.data), folder / "windows")
    torch.manual_seed(random_key(config.seed, "train-segmenter") % (1 << 63))
    judge = channels_last(Segmenter())
    optimizer = torch.optim.AdamW(judge.parameters(), lr=config.recipe.learning_rate, weight_decay=1e-3)
    first = load_checkpoint(folder, modules={"judge": judge}, optimizers={"judge": optimizer})
    weights, total = folder / "judge_segmenter.safetensors", config.recipe.steps
    began, losses = time.monotonic(), []
    for step in range(first, total):
        for group in optimizer.param_groups:
            group["lr"] = config.recipe.learning_rate * min(1.0, (step + 1) / 100) * (1.0 - 0.97 * step / total)
        losses.append(train_step(judge, optimizer, cache, step=step, config=config))
        done = step + 1
        if done % 50 == 0:
            rate = (done - first) / (time.monotonic() - began)
            record = {"step": done, "loss": float(np.mean(losses)), "eta_s": round((total - done) / rate)}
            log.info("%s", record)
            with (folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")
            losses.clear()
        if done % config.recipe.save_every_steps == 0 or done == total:
            save_checkpoint(folder, step=done, modules={"judge": judge}, optimizers={"judge": optimizer})
            tensors = {name: value.detach().half().contiguous() for name, value in judge.state_dict().items()}
            save_file(tensors, str(weights), metadata={"steps": str(done), "seed": str(config.seed)})
    return weights


def train_step(
    judge: Segmenter, optimizer: torch.optim.Optimizer, cache: WindowCache, *, step: int, config: TrainConfig
) -> float:
    """Do one step on random crops, mirrored half of the time."""
    generator = random_generator(config.seed, "train-segmenter", stage="windows", chunk=step)
    rgb, labels = read_crops(cache, generator, batch_size=config.recipe.batch_size)
    scores = judge(rgb.contiguous(memory_format=torch.channels_last))
    loss = segmentation_loss(scores, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


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


def read_crops(cache: WindowCache, generator: np.random.Generator, *, batch_size: int) -> tuple[Tensor, Tensor]:
    """Draw crops: frames in -1..1 (B 3 H W) and their classes (B H W)."""
    num, views, _, width = cache.pixels["material"].shape
    frames: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    while len(frames) < batch_size:
        n, v = int(generator.integers(num)), int(generator.integers(views))
        left = int(generator.integers(width - CROP_WIDTH + 1))
        truth = judge_labels(cache.pixels["semantic"][n, v], cache.pixels["material"][n, v])
        if generator.random() < FOCUS_SHARE:
            wanted = RARE[int(generator.integers(len(RARE)))]
            columns = np.nonzero((truth == wanted).any(axis=0))[0]
            if len(columns) == 0:
                continue
            middle = int(generator.choice(columns)) - int(generator.integers(10, CROP_WIDTH - 10))
            left = int(np.clip(middle, 0, width - CROP_WIDTH))
        crop = slice(left, left + CROP_WIDTH)
        rgb, truth = cache.pixels["rgb"][n, v][:, crop], truth[:, crop]
        if generator.random() < 0.5:
            rgb, truth = rgb[:, ::-1], truth[:, ::-1]
        frames.append(np.ascontiguousarray(rgb))
        labels.append(np.ascontiguousarray(truth))
    gain = torch.from_numpy(generator.uniform(0.85, 1.15, (batch_size, 1, 1, 1))).float()
    rgb_signed = (torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2).float() / 127.5 * gain).clamp(0, 2) - 1.0
    return rgb_signed, torch.from_numpy(np.stack(labels)).long()
