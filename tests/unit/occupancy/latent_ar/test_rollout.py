"""Rolling out: the same key gives the same drive, no step hangs on later layouts; weight files are checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scenegen.errors import WeightsError
from scenegen.occupancy.latent_ar.autoencoder import AutoencoderSize, OccupancyAutoencoder
from scenegen.occupancy.latent_ar.frames import LayoutFrames
from scenegen.occupancy.latent_ar.network import LatentArNetwork, NetworkSize
from scenegen.occupancy.latent_ar.rollout import SamplerOptions, roll_out
from scenegen.occupancy.latent_ar.weights import LatentArModel, load_model, save_model
from scenegen.types import OCC3D_GRID, RandomKey

KEY = RandomKey(0, "test", "latent_ar")
FEW = SamplerOptions(num_levels=2, guidance=1.5)


@pytest.fixture(scope="module")
def model() -> LatentArModel:
    torch.manual_seed(0)
    autoencoder = OccupancyAutoencoder(AutoencoderSize(latent=4, deep=16, half=8, whole=8))
    network = LatentArNetwork(NetworkSize(latent=4, width=32, depth=1, reach=2, surface=8))
    for part in (autoencoder, network):
        part.eval().requires_grad_(False)
        for parameter in part.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return LatentArModel(autoencoder=autoencoder, network=network)


def told(count: int = 3) -> LayoutFrames:
    rng = np.random.default_rng(0)
    size_x, size_y, size_z = OCC3D_GRID.shape
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, 0, 3] = 2.0 * np.arange(count)
    return LayoutFrames(
        surface=rng.integers(0, 6, (count, size_x, size_y)).astype(np.uint8),
        agents=np.zeros((count, size_x, size_y, size_z), np.uint8),
        world_from_ego=poses,
        style="rural",
    )


def test_the_same_key_gives_the_same_drive(model: LatentArModel) -> None:
    one, again = (roll_out(model, told(), key=KEY, options=FEW) for _ in range(2))
    assert np.array_equal(one, again)
    other = roll_out(model, told(), key=RandomKey(1, "test", "latent_ar"), options=FEW)
    assert not np.array_equal(one, other)


def test_a_step_does_not_hang_on_what_comes_later(model: LatentArModel) -> None:
    whole = told()
    surface = whole.surface.copy()
    surface[2] = 1
    one = roll_out(model, whole, key=KEY, options=FEW)
    other = roll_out(model, replace(whole, surface=surface), key=KEY, options=FEW)
    assert np.array_equal(one[:2], other[:2])
    assert not np.array_equal(one[2], other[2])
    assert np.array_equal(roll_out(model, whole.take([0, 1]), key=KEY, options=FEW), one[:2])


def test_weights_come_back(model: LatentArModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model.safetensors", notes={"steps": "0"})
    read = load_model(tmp_path / "model.safetensors")
    assert read.network.size == model.network.size
    for one, other in zip(model.network.parameters(), read.network.parameters(), strict=True):
        assert torch.equal(one.half().float(), other)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="latent reference design"):
        load_model(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(WeightsError, match="latent reference design"):
        load_model(tmp_path / "bad.safetensors")


def test_the_autoencoder_keeps_the_size_of_frames(model: LatentArModel) -> None:
    frames = torch.zeros(2, 40, 48, 16, dtype=torch.uint8)
    latents = model.autoencoder.encode(frames)
    assert latents.shape == (2, 4, 10, 12)
    assert model.autoencoder.decode(latents).shape == frames.shape
