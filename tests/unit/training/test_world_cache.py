"""Stored worlds: what comes back, crops that turn, layouts held out, and a training run that resumes exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.errors import DatasetError
from scenegen.layout.procedural import build_procedural_layout
from scenegen.occupancy.build import build_world
from scenegen.occupancy.channels import CHANNELS
from scenegen.occupancy.tokenizer.network import TokenizerSize
from scenegen.occupancy.voxels import voxelise_world
from scenegen.training import occupancy_tokenizer, world_cache
from scenegen.training.world_cache import WorldCache, WorldRequest, is_held_out, open_world_cache, store_world

REFERENCE = "procedural:suburb/3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("worlds")
    world_cache.store_worlds([WorldRequest(reference=REFERENCE, style=None, seed=0)], folder, num_workers=1)
    return folder


@pytest.fixture(scope="module")
def cache(folder: Path) -> WorldCache:
    return open_world_cache(folder)


def test_a_stored_world_is_the_world(cache: WorldCache) -> None:
    world = cache.train[0]
    layout = build_procedural_layout(3, style="suburb", duration_s=world_cache.SECONDS)
    truth = voxelise_world(build_world(layout, seed=0))
    stored = world.whole()
    np.testing.assert_array_equal(stored.voxels.solid, truth.solid)
    np.testing.assert_array_equal(stored.voxels.ground, truth.ground)
    assert stored.voxels.origin_world_m == truth.origin_world_m
    assert stored.fixed.obedience(stored.voxels) == 1.0
    assert (world.record.style, world.record.layout_id) == ("suburb", "procedural_suburb_3")


def test_crops_turn_with_all_that_belongs_to_them(cache: WorldCache) -> None:
    crop = cache.train[0].cut((150, 150), (96, 96))
    turned = crop.turned(quarter_turns=1, mirrored=True)
    assert turned.fixed.obedience(turned.voxels) == 1.0
    assert (turned.voxels.solid != crop.voxels.solid).any()
    back = turned
    for _ in range(3):
        back = back.turned(quarter_turns=1, mirrored=False)
    back = back.turned(quarter_turns=0, mirrored=True)
    np.testing.assert_array_equal(back.voxels.solid, crop.voxels.solid)
    np.testing.assert_allclose(back.channels, crop.channels, atol=1e-6)
    assert crop.channels[..., CHANNELS.index("inside")].min() == 1.0


def test_a_draw_is_the_same_for_ever(cache: WorldCache) -> None:
    first, second = (cache.draw_crops(np.random.default_rng(3), count=2, size=32) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.voxels.solid, b.voxels.solid)


def test_the_folder_of_other_layouts_is_refused(folder: Path, cache: WorldCache) -> None:
    assert world_cache.worlds_of(REFERENCE, folder).sha256 == cache.sha256
    with pytest.raises(DatasetError, match="other layouts"):
        world_cache.worlds_of(f"{REFERENCE}+procedural:rural/1-2", folder)


def test_one_layout_in_ten_is_held_out() -> None:
    share = np.mean([is_held_out(f"procedural_{seed}") for seed in range(2000)])
    assert 0.08 < share < 0.12


def test_a_style_that_is_asked_for_replaces_the_layouts_own(tmp_path: Path) -> None:
    record = store_world(WorldRequest(reference=REFERENCE, style="industrial", seed=0), tmp_path)
    assert (record.style, record.layout_id) == ("industrial", "procedural_suburb_3")


def test_no_worlds_and_other_formats_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no index\.json"):
        open_world_cache(tmp_path)
    text = (folder / "index.json").read_text()
    (tmp_path / "index.json").write_text(text.replace("swept_levels", "swept"))
    with pytest.raises(DatasetError, match="format"):
        open_world_cache(tmp_path)


def config(folder: Path, output: Path) -> TrainConfig:
    overrides = [
        "recipe=occupancy_tokenizer", f"data={REFERENCE}", f"windows={folder}", f"output={output}", "recipe.steps=4",
        "recipe.batch_size=2",
        "recipe.save_every_steps=2", "device=cpu", "precision=fp32", "progress=plain", "run.num_threads=1",
    ]  # fmt: skip
    return compose_config(TrainConfig, "train", overrides)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occupancy_tokenizer, "SIZE", TokenizerSize(width=16, column_width=8, num_decoder=1))
    monkeypatch.setattr(occupancy_tokenizer, "CROP_COLUMNS", 32)


@pytest.mark.usefixtures("small")
def test_training_resumes_to_the_same_weights(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_file(occupancy_tokenizer.train_occupancy_tokenizer(config(folder, tmp_path / "straight")))
    stopped = config(folder, tmp_path / "stopped")
    real, calls = occupancy_tokenizer.reconstruction_losses, []

    def stop_after_two(*arguments: object) -> dict[str, torch.Tensor]:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(occupancy_tokenizer, "reconstruction_losses", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        occupancy_tokenizer.train_occupancy_tokenizer(stopped)
    resumed = load_file(occupancy_tokenizer.train_occupancy_tokenizer(stopped))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.usefixtures("small")
def test_losses_fall_on_one_batch(cache: WorldCache) -> None:
    torch.manual_seed(0)
    network = occupancy_tokenizer.TokenizerNetwork(occupancy_tokenizer.SIZE)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    batch = occupancy_tokenizer.draw_batch(cache, seed=0, step=0, count=2, patch=4)
    totals = []
    for _ in range(30):
        loss = torch.stack(list(occupancy_tokenizer.reconstruction_losses(network, batch).values())).sum()
        occupancy_tokenizer.take_step(optimizer, loss, rate=3e-3)
        totals.append(float(loss.detach()))
    assert totals[-1] < 0.6 * totals[0]


def test_a_truncated_world_is_named(folder: Path, tmp_path: Path) -> None:
    whole = next(folder.glob("*.npy"))
    (tmp_path / whole.name).write_bytes(whole.read_bytes()[:-1000])
    (tmp_path / "index.json").write_bytes((folder / "index.json").read_bytes())
    with pytest.raises(DatasetError, match="whole stored world"):
        open_world_cache(tmp_path).train[0].whole()
