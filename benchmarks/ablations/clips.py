"""Short free-running clips of worlds nobody trained on: what a model under test is shown, and how it is rolled out.

`roll_out` does what `video.backbones.native` does, step by step, but each ingredient has a switch (`Use`); with the
defaults of `Use` both give the same frames (a test says so).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
import yaml
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from scenegen.checks.overlap import Overlap, find_overlap
from scenegen.checks.temporal import Track, follow_surfaces
from scenegen.config import RigConfig, parse_config
from scenegen.diffusion.flow import noise_levels, sample_euler
from scenegen.layout.extend import extend_layout
from scenegen.layout.sources import read_layout
from scenegen.rig import build_rig
from scenegen.scene import SceneStage
from scenegen.training.excerpts import cut_excerpt
from scenegen.types import STATIC_INSTANCE_OFFSET, CameraRig, ConditionMaps, Layout, random_key
from scenegen.video.backbones.native import TEMPERATURE, to_uint8
from scenegen.video.build import load_backbone
from scenegen.video.cross_view import find_partners
from scenegen.video.history import HISTORY_KEEP, carry_forward, contract_history
from scenegen.video.interface import SceneContext
from scenegen.video.network import TemporalState, VideoNetwork
from scenegen.video.noise import anchored_noise
from scenegen.video.planes import SurfaceMaps, build_planes, join_appearance, style_vector, surface_maps
from scenegen.video.traits import trait_salt

RATE_HZ = 12.0


@dataclass(frozen=True, kw_only=True)
class Use:
    """How a trained model is used.

    Attributes:
        history: the previous frame that is carried forward: the model's own, none, or (a trap) the true one.
        anchored: noise belongs to surfaces; otherwise fresh everywhere.
        partners: views are told which cells of other views show the same.
        memory: the recurrent memory goes from step to step.
        body: what the network computes at 1/4 and 1/8 resolution reaches its full-resolution head.
        keep: share of the carried frame's difference from the expected colour that is seen.
        steps: sampling steps.
        temperature: what all noise is multiplied by.
    """

    history: Literal["own", "none", "true"] = "own"
    anchored: bool = True
    partners: bool = True
    memory: bool = True
    body: bool = True
    keep: float = HISTORY_KEEP
    steps: int = 2
    temperature: float = TEMPERATURE


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A scene without its pixels, and the frames that a ground-truth renderer makes of it.

    Attributes:
        judged: steps that are scored.
        tracks: of each of these steps, where its surfaces were before.
        overlaps: of each of these steps, which pixels of two views show the same.
    """

    name: str
    layout: Layout
    rig: CameraRig
    context: SceneContext
    maps: ConditionMaps
    truth: UInt8[np.ndarray, "V T H W 3"]
    judged: tuple[int, ...]
    tracks: dict[int, Track]
    overlaps: dict[int, Overlap]


@dataclass(frozen=True, kw_only=True)
class StepInputs:
    """What a sampler may look at in one step of V views; noise has three channels, then three per sampling step."""

    planes: Float[Tensor, "V C H W"]
    style: Float[Tensor, "V S"]
    carried: Float[Tensor, "V 4 H W"]
    noise: Float[Tensor, "V N H W"]
    partners: Int[Tensor, "V P h w"] | None
    memory: TemporalState | None
    keep: float
    steps: int


class Sampler(Protocol):
    """A model under test."""

    def draw(self, step: StepInputs) -> tuple[Float[Tensor, "V 3 H W"], TemporalState | None]:
        """Draw the frames of a step, -1..1, and return the memory after it."""
        ...


@dataclass(frozen=True, kw_only=True)
class PixelSampler:
    """The native network as it is."""

    network: VideoNetwork

    def draw(self, step: StepInputs) -> tuple[Float[Tensor, "V 3 H W"], TemporalState | None]:
        encoded = self.network.encode(step.planes, step.style)
        seen = contract_history(step.carried, encoded.base, keep=step.keep)
        seen = seen.contiguous(memory_format=torch.channels_last)
        after: list[TemporalState | None] = [None]

        def predict(noisy: Tensor, t: Tensor, k: int) -> Tensor:
            clean, after[0] = self.network(
                noisy,
                t,
                conditions=encoded,
                carried=seen,
                noise=step.noise[:, 3 + 3 * k : 6 + 3 * k],
                partners=step.partners,
                memory=step.memory,
            )
            return clean

        rgb = sample_euler(predict, step.noise[:, :3], levels=noise_levels(step.steps))
        return rgb.clamp(-1.0, 1.0), after[0]


def read_rig(path: Path) -> CameraRig:
    """Build the rig of a rig file."""
    return build_rig(parse_config(RigConfig, yaml.safe_load(path.read_text())))


def build_clip(reference: str, *, rig: CameraRig, start_s: float, num_steps: int, judged_every: int, seed: int) -> Clip:
    """Build a world, cast its condition maps and render the truth, `num_steps` steps from `start_s` on."""
    layout = extend_layout(read_layout(reference), duration_s=start_s + num_steps / RATE_HZ, rate_hz=RATE_HZ)
    layout = cut_excerpt(layout, start_step=round(start_s * RATE_HZ), num_steps=num_steps)
    stage = SceneStage(layout, rig=rig, seed=seed)
    maps = stage.render_conditions(0, num_steps)
    truth = load_backbone("preview", steps=1, weights=None).open_session(stage.context).paint(maps, start_step=0)
    judged = tuple(range(judged_every - 1, num_steps, judged_every))
    return Clip(
        name=reference,
        layout=layout,
        rig=rig,
        context=stage.context,
        maps=maps,
        truth=truth,
        judged=judged,
        tracks={k: follow_surfaces(maps.cut_steps(k - 2, k + 1), is_seen=maps.is_seen) for k in judged},
        overlaps={k: find_overlap(maps, step=k, rig=rig, is_seen=maps.is_seen) for k in judged},
    )


@torch.no_grad()
def roll_out(clip: Clip, sampler: Sampler, use: Use) -> UInt8[np.ndarray, "V T H W 3"]:
    """Paint a clip, each step from the model's own previous one (unless `use` says otherwise)."""
    context = clip.context
    salt = trait_salt(context.seed, context.scene_id)
    appearance = torch.from_numpy(join_appearance(context.agents, context.statics, salt=salt))
    style = torch.from_numpy(style_vector(context.lighting))
    frames = np.empty_like(clip.truth)
    previous: tuple[Tensor, Tensor] | None = None
    memory: TemporalState | None = None
    for step in range(frames.shape[1]):
        maps = surface_maps(
            clip.maps,
            step=step,
            appearance=appearance,
            num_agents=len(context.agents.primary_rgb),
            lighting=context.lighting,
        )
        code = maps.row * 32 + maps.material
        carried = torch.zeros(len(code), 4, *code.shape[1:])
        if previous is not None and use.history != "none":
            motion = torch.from_numpy(clip.maps.motion_px[:, step])
            frame = carry_forward(previous[0], motion_px=motion, code=code, previous_code=previous[1])
            carried = torch.cat([frame.rgb, frame.valid], dim=1)
        poses = torch.from_numpy(clip.maps.world_from_cam[:, step])
        noise = use.temperature * step_noise(clip, maps, use, step=step)
        inputs = StepInputs(
            planes=build_planes(maps).contiguous(memory_format=torch.channels_last),
            style=style.expand(len(code), -1),
            carried=carried,
            noise=noise.contiguous(memory_format=torch.channels_last),
            partners=find_partners(maps.point_world_m, maps.depth_m, maps.ray_world, poses) if use.partners else None,
            memory=memory if use.memory else None,
            keep=use.keep,
            steps=use.steps,
        )
        rgb, memory = sampler.draw(inputs)
        frames[:, step] = to_uint8(rgb)
        previous = (to_signed(clip.truth[:, step]) if use.history == "true" else rgb, code)
    return frames


def to_signed(frames: UInt8[np.ndarray, "B H W 3"]) -> Float[Tensor, "B 3 H W"]:
    """Turn frames into -1..1."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def step_noise(clip: Clip, maps: SurfaceMaps, use: Use, *, step: int) -> Float[Tensor, "V N H W"]:
    """Return the noise of a step: of the surfaces, or fresh."""
    context, channels = clip.context, 3 * (1 + use.steps)
    if use.anchored:
        return anchored_noise(
            maps,
            seed=random_key(context.seed, context.scene_id, "video", context.attempt) % (1 << 31),
            focal_px=torch.from_numpy(clip.maps.focal_px).float(),
            is_agent=(maps.instance > 0) & (maps.instance < STATIC_INSTANCE_OFFSET),
            num_channels=channels,
        )
    key = random_key(context.seed, context.scene_id, "fresh", step) % (1 << 63)
    views, height, width = maps.material.shape
    return torch.randn(views, channels, height, width, generator=torch.Generator().manual_seed(key))
