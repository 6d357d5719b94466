"""Generate the occupancy of a drive step by step, each from the layout and the model's own frames before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from scenegen.diffusion.flow import noise_levels, sample_euler
from scenegen.occupancy.latent_ar.codes import Surface
from scenegen.occupancy.latent_ar.frames import LayoutFrames
from scenegen.occupancy.latent_ar.memory import recall_past
from scenegen.occupancy.latent_ar.network import CELLS, STYLE_ROWS, LatentArNetwork, LayoutTokens, PastFrames
from scenegen.occupancy.latent_ar.weights import LatentArModel
from scenegen.types import OCC3D_GRID, RandomKey


@dataclass(frozen=True, kw_only=True)
class SamplerOptions:
    """Euler steps per frame; guidance 1 costs one network call per step, any other two; precision of products."""

    num_levels: int = 10
    guidance: float = 1.0
    precision: str = "fp32"


@torch.no_grad()
def roll_out(
    model: LatentArModel, told: LayoutFrames, *, key: RandomKey, options: SamplerOptions
) -> UInt8[np.ndarray, "T X Y Z"]:
    """Return a `Group` per voxel of every step; the history is only what the model has generated itself.

    Noise is drawn on the CPU from the key and the step, so that a step hangs on its key and on the steps before.
    """
    device = model.device
    network, reach = model.network, model.network.size.reach
    shape = (1, network.size.latent, CELLS, CELLS)
    latents = torch.zeros(len(told), *shape[1:], device=device)
    frames = np.zeros((len(told), *OCC3D_GRID.shape), np.uint8)
    for step in range(len(told)):
        noise = key.at("noise", step).generator().standard_normal(shape, dtype=np.float32)
        past = recall_past(latents, told.world_from_ego, step=step, reach=reach)
        with torch.autocast(device.type, torch.bfloat16, enabled=options.precision == "bf16"):
            layouts = [tell_layout(network, told, step)]
            if options.guidance != 1.0:
                layouts.append(blank_layout(network, told, step))
            latents[step] = _sample(network, torch.from_numpy(noise).to(device), layouts, past, options)[0]
        frames[step] = model.autoencoder.decode(latents[step : step + 1])[0].cpu().numpy()
    return frames


def tell_layout(network: LatentArNetwork, told: LayoutFrames, step: int) -> LayoutTokens:
    """Encode the layout picture of one step, as a batch of one."""
    device = network.age.device
    return network.read_layout(
        torch.from_numpy(told.surface[step : step + 1]).to(device),
        torch.from_numpy(told.agents[step : step + 1].max(axis=3)).to(device),
        torch.tensor([style_row(told.style)], device=device),
    )


def blank_layout(network: LatentArNetwork, told: LayoutFrames, step: int) -> LayoutTokens:
    """Encode the picture that says nothing, for guidance."""
    device = network.age.device
    surface = torch.full((1, *told.surface.shape[1:]), int(Surface.UNSAID), dtype=torch.uint8, device=device)
    return network.read_layout(surface, torch.zeros_like(surface), torch.tensor([0], device=device))


def style_row(style: str) -> int:
    """Return the row of a style's embedding; 0 for none, and for one that the model does not know."""
    return STYLE_ROWS.index(style) if style in STYLE_ROWS else 0


def _sample(
    network: LatentArNetwork,
    noise: Float[Tensor, "1 L h w"],
    layouts: list[LayoutTokens],
    past: PastFrames,
    options: SamplerOptions,
) -> Float[Tensor, "1 L h w"]:
    def predict_clean(x: Tensor, t: Tensor, _: int) -> Tensor:
        velocities = [network(x, t, layout=layout, past=past).float() for layout in layouts]
        velocity = velocities[0]
        if len(velocities) == 2:  # classifier-free guidance, Ho and Salimans 2022 (arXiv 2207.12598)
            velocity = velocities[1] + options.guidance * (velocities[0] - velocities[1])
        return x - t.view(-1, 1, 1, 1) * velocity

    return sample_euler(predict_clean, noise, levels=noise_levels(options.num_levels))
