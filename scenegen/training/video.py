"""`recipe=video`: train the native video network on a scenegen data set. Resumable, deterministic per step.

Three stages, all scored by `diffusion.scoring`:

1. The pointwise encoder alone, on single pixels (`training.pixels`).
2. Everything: two draws of the clean frame behind a noisy one against the truth. Three steps of four train on single
   windows, whose carried previous frame is true but often damaged or dropped; the fourth trains on a clip of two
   neighbouring views whose history is the network's own.
3. Every other step paints a clip twice, from independent noise with independent histories, and scores the two
   rollouts against the truth, frames and changes between frames alike. With a shared history, as in stage 2, the best
   draw ignores what was painted before, because the true texture is another one: it flickers.

Pedestrians weigh more. All randomness hangs on (seed, step, rank): one process on a CPU in fp32 makes the same bytes
whether it was interrupted or not. Several processes (`training.team`) draw windows of their own and average gradients.
"""

from __future__ import annotations

import os
import time
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from scenegen.config import TrainConfig
from scenegen.diffusion.flow import mix_with_noise, noise_levels
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.scoring import energy_score
from scenegen.training.checkpoint import load_checkpoint, save_checkpoint
from scenegen.training.damage import damage_history
from scenegen.training.loader import read_ahead
from scenegen.training.pictures import open_picture_writer
from scenegen.training.pixels import train_pixels
from scenegen.training.plan import StepPlan
from scenegen.training.report import TrainingReport
from scenegen.training.rollout import NUM_VIEWS, SAMPLING_STEPS, clip_partners, paint_clip, repeat_conditions
from scenegen.training.team import Team, open_team
from scenegen.training.window_cache import WindowCache, open_window_cache
from scenegen.training.windows import Windows, check_clips, half_width, read_windows, sample_clip, sample_windows
from scenegen.types import Material, random_generator, random_key
from scenegen.video.backbones.native import save_network
from scenegen.video.history import HISTORY_KEEP, contract_history
from scenegen.video.network import SIZES, EncodedConditions, VideoNetwork

WEIGHTS_NAME = "native.safetensors"
"""The weight file in the output folder."""
CLIP_STEPS = 3
CLIP_EVERY = 4
"""In stage 2, one optimiser step of this many trains on a clip."""
JOINT_FROM = 0.555
"""Share of the steps after which stage 3 begins."""
JOINT_EVERY = 2
DROP_SHARE = {2: 0.4, 3: 0.3}
"""Share of windows without history in each stage, as at the first step of a scene."""
DAMAGED_SHARE = 0.25
"""In stage 3, share of windows whose history is damaged; before, all are."""
PURE_NOISE = 0.4
"""Share of windows at t = 1, the only level every sampler visits."""
ANCHORED_SHARE = 0.75
"""Share of windows with world-anchored noise; the others get independent noise."""
KEEP_RANGE = {2: (0.4, 0.8), 3: (HISTORY_KEEP, HISTORY_KEEP)}
"""How much of the carried frame's difference from the expected colour is seen, by stage."""
EMA_DECAY = 0.999
WARM_UP_STEPS = 100
DECAY_FROM = 0.6
PEDESTRIAN = (Material.SKIN, Material.CLOTH_UPPER, Material.CLOTH_LOWER, Material.HAIR)


@dataclass(kw_only=True)
class VideoRun:
    """Everything of a run that changes."""

    network: VideoNetwork
    average: VideoNetwork
    optimizer: torch.optim.AdamW

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The networks, by their names in a checkpoint."""
        return {"network": self.network, "average": self.average}

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The optimizer, likewise."""
        return {"network": self.optimizer}


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What a process trains on in one step.

    Attributes:
        windows: single windows, or clips of NUM_VIEWS views with their steps innermost.
        num_steps: consecutive steps of a clip; 1 for single windows.
        stage: 2 or 3.
    """

    windows: Windows
    num_steps: int
    stage: int


def train_video(config: TrainConfig) -> Path:
    """Train, resuming from the output folder's checkpoint; returns the weight file.

    Raises:
        ConfigError: processes or device are not those asked for.
        DatasetError: the data set is not usable, or the windows belong to another one.
        WeightsError: the checkpoint is damaged or of another size of network.
    """
    with open_team(config) as team:
        folder = Path(config.output)
        if team.is_leader:
            folder.mkdir(parents=True, exist_ok=True)
            open_window_cache(Path(config.data), Path(config.windows))
        team.wait()
        cache = open_window_cache(Path(config.data), Path(config.windows))
        check_clips(cache, num_steps=CLIP_STEPS)
        began_s = time.monotonic()
        run = start_run(config, device=team.device)
        first = load_checkpoint(folder, modules=run.modules, optimizers=run.optimizers)
        team.wait()
        if first == 0:
            if team.is_leader:
                train_pixels(run.network.pixel, cache, seed=config.seed)
            team.receive_from_leader(run.network)
            run.average.load_state_dict(run.network.state_dict())
        return take_steps(run, cache, plan=StepPlan(config, team, first=first, began_s=began_s), team=team)


def take_steps(run: VideoRun, cache: WindowCache, *, plan: StepPlan, team: Team) -> Path:
    """Take the steps that are missing, saving, logging and picturing on the way; returns the weight file."""
    config, folder, first = plan.config, Path(plan.config.output), plan.first
    weights = folder / WEIGHTS_NAME
    notes = {"seed": str(config.seed), "windows": str(len(cache.scene))}
    report = TrainingReport(folder / "log.jsonl", first=first, progress=config.progress) if team.is_leader else None
    pictures = open_picture_writer(config, cache) if team.is_leader else None

    def read(step: int) -> Batch:
        return read_batch(cache, step, config=plan.config, rank=team.rank)

    steps = range(first, config.recipe.steps)
    try:
        with closing(read_ahead(read, steps, num_threads=choose_num_loaders(config, team))) as batches:
            for step, batch in zip(steps, batches, strict=True):
                losses = train_step(run, batch, step=step, config=plan.config, team=team)
                done, total = step + 1, plan.step_done(step + 1)
                if report is not None and pictures is not None:
                    report.step_done(done, losses, total=total)
                    pictures.step_done(done, run.average)
                    if done % config.recipe.save_every_steps == 0 or done == total:
                        save_checkpoint(folder, step=done, modules=run.modules, optimizers=run.optimizers)
                        save_network(run.average, weights, notes={"steps": str(done), **notes})
                if done >= total:
                    break
    finally:
        if report is not None:
            report.close()
    return weights


def choose_num_loaders(config: TrainConfig, team: Team) -> int:
    """Return how many threads read ahead: where nothing else is said, none on a CPU, whose cores are busy anyway."""
    if config.run.num_loaders is not None:
        return config.run.num_loaders
    return 0 if team.device.type == "cpu" else max(1, (os.cpu_count() or 1) // team.size)


def start_run(config: TrainConfig, *, device: torch.device) -> VideoRun:
    """Make a fresh network and its optimizer, seeded."""
    assert config.size is not None
    torch.manual_seed(random_key(config.seed, "train-video") % (1 << 63))
    network = channels_last(VideoNetwork(SIZES[config.size])).to(device)
    return VideoRun(
        network=network,
        average=deepcopy(network).requires_grad_(False),
        optimizer=torch.optim.AdamW(network.parameters(), lr=1.0, betas=(0.9, 0.99), weight_decay=1e-4),
    )


def read_batch(cache: WindowCache, step: int, *, config: TrainConfig, rank: int) -> Batch:
    """Read the windows of a step: single ones, or clips of about as many windows in all."""
    generator = random_generator(config.seed, "train-video", stage="windows", chunk=step, view=rank)
    stage = 3 if step >= JOINT_FROM * config.recipe.steps else 2
    every = JOINT_EVERY if stage == 3 else CLIP_EVERY
    batch_size, crop_width = config.recipe.batch_size, half_width(cache)
    if step % every != every - 1:
        windows = sample_windows(cache, generator, batch_size=batch_size, crop_width=crop_width)
        return Batch(windows=windows, num_steps=1, stage=stage)
    picks = []
    for _ in range(max(1, batch_size // (NUM_VIEWS * CLIP_STEPS))):
        picks += sample_clip(cache, generator, num_steps=CLIP_STEPS, crop_width=crop_width)
    return Batch(windows=read_windows(cache, picks, crop_width=crop_width), num_steps=CLIP_STEPS, stage=stage)


def train_step(run: VideoRun, batch: Batch, *, step: int, config: TrainConfig, team: Team) -> dict[str, float]:
    """Do one optimiser step."""
    key = (config.seed, "train-video", step) if team.is_leader else (config.seed, "train-video", step, team.rank)
    torch.manual_seed(random_key(*key) % (1 << 63))
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(step, config)
    with torch.autocast(team.device.type, torch.bfloat16, enabled=uses_bf16(config, team.device)):
        loss, mse = batch_loss(run, batch.windows.to(team.device), num_steps=batch.num_steps, stage=batch.stage)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    team.average_gradients(run.network.parameters())
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), 1.0)
    run.optimizer.step()
    update_average(run, step)
    kind = "window" if batch.num_steps == 1 else "clip"
    return {f"{kind}_loss": float(loss.detach()), f"{kind}_mse": mse}


def uses_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Say whether products are rounded to bf16; weights, gradients, norms and losses stay in fp32."""
    return config.precision == "bf16" or (config.precision == "auto" and device.type == "cuda")


def batch_loss(run: VideoRun, windows: Windows, *, num_steps: int, stage: int) -> tuple[Float[Tensor, ""], float]:
    """Return the loss of a batch and, to watch, the squared error of its first draws."""
    if num_steps > 1:
        return joint_loss(run.network, windows) if stage == 3 else clip_loss(run, windows)
    carried = damage_history(windows.carried, drop_share=DROP_SHARE[stage])
    if stage == 3:
        shape, device = (len(carried), 1, 1, 1), carried.device
        dropped = windows.carried * (torch.rand(shape, device=device) >= DROP_SHARE[3])
        carried = torch.where(torch.rand(shape, device=device) < DAMAGED_SHARE, carried, dropped)
    return draw_loss(run.network, windows, carried, num_steps=1, keep_range=KEEP_RANGE[stage])


def clip_loss(run: VideoRun, clip: Windows) -> tuple[Float[Tensor, ""], float]:
    """Train on clips of views and steps with the averaged network's own frames as one history of both draws."""
    with torch.no_grad():
        encoded = encode_windows(run.average, clip)
    rollout = paint_clip(run.average, clip, encoded, clip.noise[:, :9], num_steps=CLIP_STEPS)
    return draw_loss(run.network, clip, rollout.carried, num_steps=CLIP_STEPS, keep_range=KEEP_RANGE[2])


def joint_loss(network: VideoNetwork, clip: Windows) -> tuple[Float[Tensor, ""], float]:
    """Score two rollouts of a clip with histories of their own: the frames, and how they change from step to step."""
    batch = len(clip.rgb)
    noise = clip.noise if float(torch.rand(())) < ANCHORED_SHARE else torch.randn_like(clip.noise)
    sets = noise[:, :9], noise[:, 9:]
    encoded = encode_windows(network, clip)
    rollouts = [paint_clip(network, clip, encoded, part, num_steps=CLIP_STEPS) for part in sets]
    k = int(torch.randint(SAMPLING_STEPS, ()))
    t = noise_levels(SAMPLING_STEPS)[k]
    carried = torch.cat([rollout.carried for rollout in rollouts])
    twice = repeat_conditions(encoded)
    draws, _ = network(
        torch.cat([rollout.noisy[k] for rollout in rollouts]).contiguous(memory_format=torch.channels_last),
        torch.full((2 * batch,), t, device=clip.rgb.device),
        conditions=twice,
        carried=contract_history(carried, twice.base.detach(), keep=HISTORY_KEEP).contiguous(
            memory_format=torch.channels_last
        ),
        noise=torch.cat([part[:, 3 + 3 * k : 6 + 3 * k] for part in sets]),
        partners=double_partners(clip_partners(clip, num_steps=CLIP_STEPS), batch),
        num_steps=CLIP_STEPS,
    )
    draw, other = draws.float().chunk(2)
    weight = pixel_weight(clip)
    score = energy_score(draw, other, clip.rgb, weight=weight)
    valid = rollouts[0].carried[:, 3:] * clip.carried[:, 3:]
    changes = [
        valid * (frame - past[:, :3])
        for frame, past in zip(
            (draw, other, clip.rgb), (rollouts[0].carried, rollouts[1].carried, clip.carried), strict=True
        )
    ]
    change = energy_score(*changes, weight=weight)
    return ((0.5 + t) * (score + change)).mean(), float((draw.detach() - clip.rgb).square().mean())


def draw_loss(
    network: VideoNetwork,
    windows: Windows,
    carried: Float[Tensor, "B 4 H W"],
    *,
    num_steps: int,
    keep_range: tuple[float, float],
) -> tuple[Float[Tensor, ""], float]:
    """Score two draws of every window; returns the loss and, to watch, the squared error of the first draw."""
    batch, device = len(windows.rgb), windows.rgb.device
    anchored = (torch.rand(batch, 1, 1, 1, device=device) < ANCHORED_SHARE).expand(batch, 9, 1, 1)
    own = windows.noise[:, :9]
    noise = torch.where(anchored, own, torch.randn_like(own))
    t = sample_levels(batch, device=device)
    noisy = mix_with_noise(windows.rgb, noise[:, :3], t)
    encoded = encode_windows(network, windows)
    keep = keep_range[0] + (keep_range[1] - keep_range[0]) * torch.rand(batch, 1, 1, 1, device=device)
    seen = contract_history(carried, encoded.base.detach(), keep=keep)
    draws, _ = network(
        torch.cat([noisy, noisy]).contiguous(memory_format=torch.channels_last),
        torch.cat([t, t]),
        conditions=repeat_conditions(encoded),
        carried=torch.cat([seen, seen]).contiguous(memory_format=torch.channels_last),
        noise=torch.cat([noise[:, 3:6], noise[:, 6:9]]),
        partners=double_partners(clip_partners(windows, num_steps=num_steps) if num_steps > 1 else None, batch),
        num_steps=num_steps,
    )
    draw, other = draws.float().chunk(2)
    score = energy_score(draw, other, windows.rgb, weight=pixel_weight(windows))
    return ((0.5 + t) * score).mean(), float((draw.detach() - windows.rgb).square().mean())


def encode_windows(network: VideoNetwork, windows: Windows) -> EncodedConditions:
    """Encode the condition planes of windows."""
    return network.encode(windows.planes.contiguous(memory_format=torch.channels_last), windows.style)


def double_partners(partners: Int[Tensor, "B P h w"] | None, batch: int) -> Int[Tensor, "2*B P h w"] | None:
    """Stack partners twice, for two draws of the same pictures; the second finds its own among the second."""
    if partners is None:
        return None
    moved = torch.where(partners >= 0, partners + batch * partners.shape[-2] * partners.shape[-1], -1)
    return torch.cat([partners, moved])


def pixel_weight(windows: Windows) -> Float[Tensor, "B H W"]:
    """Weigh agents and, more, pedestrians: they are few pixels and many people's reason to be here."""
    codes = torch.tensor([int(m) for m in PEDESTRIAN], device=windows.material.device)
    pedestrian = torch.isin(windows.material, codes)
    agent = windows.material >= int(Material.BODY)
    return 1.0 + 0.7 * agent.float() + 2.0 * pedestrian.float()


def sample_levels(batch: int, *, device: torch.device | None = None) -> Float[Tensor, " B"]:
    """Draw noise levels: a share at exactly 1, the rest denser towards 1."""
    t = 0.02 + 0.98 * torch.rand(batch, device=device).sqrt()
    return torch.where(torch.rand(batch, device=device) < PURE_NOISE, torch.ones_like(t), t)


def learning_rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, flat, then linear decay to a twentieth."""
    peak, share = config.recipe.learning_rate, step / config.recipe.steps
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    fade = 1.0 if share < DECAY_FROM else 1.0 - 0.95 * (share - DECAY_FROM) / (1.0 - DECAY_FROM)
    return peak * warm * fade


@torch.no_grad()
def update_average(run: VideoRun, step: int) -> None:
    """Move the averaged weights towards the current ones; faster at the start."""
    decay = min(EMA_DECAY, (1.0 + step) / (10.0 + step))
    for average, current in zip(run.average.parameters(), run.network.parameters(), strict=True):
        average.lerp_(current, 1.0 - decay)
