"""One file for the whole reference design: autoencoder, transformer, and their sizes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.diffusion.weight_file import in_one_line, read_weights
from scenegen.occupancy.latent_ar.autoencoder import AutoencoderSize, OccupancyAutoencoder
from scenegen.occupancy.latent_ar.network import LatentArNetwork, NetworkSize


@dataclass(frozen=True, kw_only=True)
class LatentArModel:
    """The two networks, on one device."""

    autoencoder: OccupancyAutoencoder
    network: LatentArNetwork

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.network.age.device


def save_model(model: LatentArModel, path: Path, *, notes: dict[str, str]) -> None:
    """Write half-precision weights, with sizes and notes in the header."""
    sizes = {
        "autoencoder": json.dumps(asdict(model.autoencoder.size)),
        "network": json.dumps(asdict(model.network.size)),
    }
    parts = {"autoencoder": model.autoencoder, "network": model.network}
    tensors = {f"{name}/{key}": v.half() for name, part in parts.items() for key, v in part.state_dict().items()}
    write_tensors(path, tensors, metadata={**notes, **sizes})


def load_model(path: Path, *, device: torch.device | None = None) -> LatentArModel:
    """Read a model, in evaluation mode.

    Raises:
        WeightsError: the file is missing, damaged, or of another design.
    """
    file = read_weights(
        path, what="weights of the latent reference design", fix="scenegen train recipe=occupancy_latent_ar"
    )
    try:
        autoencoder = OccupancyAutoencoder(AutoencoderSize(**file.fact("autoencoder")))
        network = LatentArNetwork(NetworkSize(**file.fact("network")))
    except (TypeError, ValueError) as error:
        raise file.refuse(f"sizes that make no network: {in_one_line(error)}") from error
    file.fill(autoencoder, prefix="autoencoder/")
    file.fill(network, prefix="network/")
    for part in (autoencoder, network):
        part.eval().requires_grad_(False).to(device or torch.device("cpu"))
    return LatentArModel(autoencoder=autoencoder, network=network)
