"""Recipes of the latent reference design and of the encoder of worlds: resumed runs, equal compute, learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from scenegen.checks.world_encoder import encode_worlds, encoder_sha256, load_encoder
from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.errors import DatasetError, WeightsError
from scenegen.occupancy.latent_ar.autoencoder import AutoencoderSize, OccupancyAutoencoder
from scenegen.occupancy.latent_ar.network import NetworkSize, forward_flops
from scenegen.occupancy.latent_ar.weights import load_model
from scenegen.training import occupancy_encoder, occupancy_frames, occupancy_latent_ar
from scenegen.training.autoencoder import take_step
from scenegen.training.occupancy_frames import FrameCache, open_frame_cache
from scenegen.training.occupancy_latent_ar import planned_steps, read_past, reconstruction_loss

LAYOUTS = "crossing_pedestrian"
SMALL = NetworkSize(latent=4, width=32, depth=1, reach=2, surface=8)


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames") / "windows"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four frames, small networks, two steps of the autoencoder."""
    monkeypatch.setattr(occupancy_frames, "frame_steps", lambda layout: [0, 6, 12, 18])
    monkeypatch.setattr(occupancy_latent_ar, "NetworkSize", lambda: SMALL)
    size = AutoencoderSize(latent=4, deep=16, half=8, whole=8)
    monkeypatch.setattr(occupancy_latent_ar, "AutoencoderSize", lambda: size)
    for name, value in {"AUTOENCODER_STEPS": 2, "STATISTICS_FRAMES": 2, "AUTOENCODER_BATCH": 1, "CROP": 40}.items():
        monkeypatch.setattr(occupancy_latent_ar, name, value)


@pytest.fixture
def cache(windows: Path) -> FrameCache:
    return open_frame_cache(LAYOUTS, windows, seed=0)


def config(output: Path, windows: Path, recipe: str = "occupancy_latent_ar", *changes: str) -> TrainConfig:
    overrides = [f"recipe={recipe}", f"data={LAYOUTS}", f"output={output}", f"windows={windows}", "device=cpu",
                 "recipe.steps=2", "recipe.batch_size=2", "recipe.save_every_steps=1", "progress=plain",
                 "precision=fp32", "run.num_threads=1", *changes]  # fmt: skip
    return compose_config(TrainConfig, "train", overrides)


def test_a_stopped_run_resumes_to_the_same_weights(
    windows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_file(occupancy_latent_ar.train_occupancy_latent_ar(config(tmp_path / "straight", windows)))
    real, calls = occupancy_latent_ar.flow_loss, []

    def stop_after_one(*arguments: object, **named: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(occupancy_latent_ar, "flow_loss", stop_after_one)
    stopped = config(tmp_path / "stopped", windows)
    with pytest.raises(KeyboardInterrupt):
        occupancy_latent_ar.train_occupancy_latent_ar(stopped)
    path = occupancy_latent_ar.train_occupancy_latent_ar(stopped)
    resumed = load_file(path)
    assert len(calls) == 3
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert load_model(path).network.size == SMALL


def test_allowed_flops_decide_the_steps(tmp_path: Path) -> None:
    plain = config(tmp_path, tmp_path)
    assert planned_steps(plain, NetworkSize()) == 2
    allowed = replace(plain, recipe=replace(plain.recipe, training_flops=1e14, batch_size=4))
    steps = planned_steps(allowed, NetworkSize())
    assert steps * 4 * 3 * forward_flops(NetworkSize()) == pytest.approx(1e14, rel=1e-3)


def test_frames_come_back_and_other_layouts_are_refused(cache: FrameCache, windows: Path) -> None:
    assert len(cache) == 4
    frames = cache.read([0, 3])
    assert frames.shape == (2, 200, 200, 16)
    assert 0 < frames.max() < 11
    assert not np.array_equal(frames[0], frames[1])
    with pytest.raises(DatasetError, match="another folder"):
        open_frame_cache("procedural:1", windows, seed=0)


def test_the_past_of_a_frame_ends_where_its_drive_begins(cache: FrameCache) -> None:
    two = replace(cache, starts=(0, 2, 4), styles=("", ""))
    latents = torch.randn(4, 4, 50, 50)
    torch.manual_seed(1)
    counts = {row: {int(read_past(two, latents, row, reach=2).is_there.sum()) for _ in range(20)} for row in range(4)}
    assert counts == {0: {0}, 1: {0, 1}, 2: {0}, 3: {0, 1}}


def test_reconstruction_gets_better(cache: FrameCache) -> None:
    torch.manual_seed(0)
    model = OccupancyAutoencoder(AutoencoderSize(latent=4, deep=16, half=8, whole=8))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    frames = torch.from_numpy(cache.read([1])[:, 60:140, 60:140])
    losses = []
    for _ in range(25):
        loss = reconstruction_loss(model, frames)
        take_step(optimizer, loss, rate=5e-3)
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.6 * losses[0]


def test_the_encoder_recipe_resumes_to_the_same_weights(
    windows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = occupancy_encoder.task_losses
    path = occupancy_encoder.train_occupancy_encoder(config(tmp_path / "straight", windows, "occupancy_encoder"))
    calls = []

    def stop_after_one(*arguments: object) -> dict[str, torch.Tensor]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(occupancy_encoder, "task_losses", stop_after_one)
    stopped = config(tmp_path / "stopped", windows, "occupancy_encoder")
    with pytest.raises(KeyboardInterrupt):
        occupancy_encoder.train_occupancy_encoder(stopped)
    resumed = occupancy_encoder.train_occupancy_encoder(stopped)
    assert path.read_bytes() == resumed.read_bytes()
    assert len(encoder_sha256(path)) == 64
    encoder = load_encoder(path)
    solid = np.zeros((3, 128, 128, 14), np.uint8)
    assert encode_worlds(encoder, solid, solid[..., 0]).shape == (3, 64)


def test_damages_change_voxels_and_keep_classes() -> None:
    solid = np.zeros((128, 128, 64), np.uint8)
    solid[10:50, 20:60, :20], solid[70:80, :, 5:9] = 1, 2
    for damage in occupancy_encoder.DAMAGES:
        found = damage(solid, np.random.default_rng(3))
        assert found.shape == solid.shape
        assert found.dtype == np.uint8
        assert set(np.unique(found)) <= {0, 1, 2}
        assert np.array_equal(found, solid) == (damage is occupancy_encoder.leave)


def test_missing_weights_of_the_encoder_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="recipe=occupancy_encoder"):
        load_encoder(tmp_path / "none.safetensors")
