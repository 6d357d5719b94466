"""One file for the whole reference design: autoencoder, transformer, and their sizes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.errors import WeightsError
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
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        autoencoder = OccupancyAutoencoder(AutoencoderSize(**json.loads(facts["autoencoder"])))
        network = LatentArNetwork(NetworkSize(**json.loads(facts["network"])))
        for name, part in (("autoencoder", autoencoder), ("network", network)):
            part.load_state_dict({k.partition("/")[2]: v for k, v in tensors.items() if k.startswith(f"{name}/")})
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(
            "weights of the latent reference design",
            found=" ".join(str(error).split())[:200],
            where=str(path),
            fix="scenegen train recipe=occupancy_latent_ar",
        ) from error
    for part in (autoencoder, network):
        part.eval().requires_grad_(False).to(device or torch.device("cpu"))
    return LatentArModel(autoencoder=autoencoder, network=network)
