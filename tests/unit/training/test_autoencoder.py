"""The autoencoder recipe: shapes, scale of latents, learning, and a resumed run with the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from scenegen.config import RecipeConfig, TrainConfig, TrainRunConfig
from scenegen.training import autoencoder
from scenegen.training.window_cache import open_window_cache
from scenegen.training.windows import read_windows
from scenegen.video.latent import AutoencoderSize, PictureAutoencoder


@pytest.fixture(scope="module")
def windows(whole_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("windows") / "windows"
    open_window_cache(whole_dataset, folder)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoencoder, "CROP_WIDTH", 32)
    monkeypatch.setattr(autoencoder, "STATISTICS_WINDOWS", 4)


def config(data: Path, output: Path, windows: Path) -> TrainConfig:
    recipe = RecipeConfig(
        name="autoencoder",
        size=None,
        steps=4,
        time_budget_s=None,
        batch_size=2,
        learning_rate=1e-3,
        save_every_steps=2,
    )
    return TrainConfig(
        recipe=recipe,
        size=None,
        data=str(data),
        held_out=None,
        output=str(output),
        windows=str(windows),
        seed=0,
        device="cpu",
        precision="fp32",
        pictures_every_steps=None,
        progress="plain",
        run=TrainRunConfig(num_workers=1, num_threads=1, num_loaders=None),
    )


@pytest.mark.parametrize("factor", [4, 8])
@pytest.mark.parametrize("guide", [0, 5])
def test_decoded_pictures_have_the_size_of_the_coded(factor: int, guide: int) -> None:
    model = PictureAutoencoder(AutoencoderSize(factor=factor, channels=6, guide=guide))  # type: ignore[arg-type]
    latent = model.encode(torch.randn(2, 3, 24, 32))
    assert latent.shape == (2, 6, 24 // factor, 32 // factor)
    hint = torch.randn(2, guide, 24, 32) if guide else None
    assert model.decode(latent, hint).shape == (2, 3, 24, 32)


def test_scaled_latents_have_variance_one_and_decode_the_same() -> None:
    torch.manual_seed(0)
    model = PictureAutoencoder(AutoencoderSize(factor=4, channels=6)).requires_grad_(False)
    pictures = torch.randn(3, 3, 16, 16)
    before = model.decode(model.encode(pictures))
    autoencoder.set_scale(model, pictures)
    assert torch.allclose(model.encode(pictures).std(dim=(0, 2, 3)), torch.ones(6), atol=1e-4)
    assert torch.allclose(model.decode(model.encode(pictures)), before, atol=1e-4)


def test_reconstruction_gets_better(whole_dataset: Path, windows: Path) -> None:
    torch.manual_seed(0)
    cache = open_window_cache(whole_dataset, windows)
    model = PictureAutoencoder(autoencoder.SIZE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batch = read_windows(cache, [(0, 0, 0), (4, 0, 32)], crop_width=32)
    losses = []
    for _ in range(25):
        loss = autoencoder.reconstruction_loss(model, batch.rgb, batch)
        autoencoder.take_step(optimizer, loss, rate=2e-3)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_recipe_resumes_to_the_same_weights(
    whole_dataset: Path, windows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_file(autoencoder.train_autoencoder(config(whole_dataset, tmp_path / "straight", windows)))
    stopped = config(whole_dataset, tmp_path / "stopped", windows)
    real, calls = autoencoder.reconstruction_loss, []

    def stop_after_two(*arguments: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(autoencoder, "reconstruction_loss", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        autoencoder.train_autoencoder(stopped)
    resumed = load_file(autoencoder.train_autoencoder(stopped))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
