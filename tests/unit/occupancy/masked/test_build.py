"""`occupancy=masked` as it ships: worlds obey, follow from layout and seed, and differ by seed and style."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from scenegen.errors import ConfigError, WeightsError
from scenegen.layout.procedural import build_procedural_layout
from scenegen.layout.sources import read_layout
from scenegen.occupancy.build import begin_world
from scenegen.occupancy.fixed import fixed_voxels
from scenegen.occupancy.masked.read_world import read_world
from scenegen.occupancy.model import OccupancyModel, load_occupancy_model, shipped_weights
from scenegen.occupancy.voxels import SolidClass, voxelise_world
from scenegen.types import Layout


@pytest.fixture(scope="module")
def model() -> OccupancyModel:
    torch.set_num_threads(1)
    built = load_occupancy_model("masked", steps=2)
    assert built is not None
    return built


@pytest.fixture(scope="module")
def layout() -> Layout:
    return build_procedural_layout(20001, style="suburb", duration_s=2.0)


@pytest.mark.parametrize("reference", ["crossing_pedestrian", "procedural:highway/20002"])
def test_sampled_worlds_obey(model: OccupancyModel, reference: str) -> None:
    layout = read_layout(reference)
    fixed = fixed_voxels(begin_world(layout, seed=5).draft)
    voxels = model.sample(layout, seed=5)
    assert fixed.obedience(voxels) == 1.0
    assert fixed.obedience(voxelise_world(read_world(layout, seed=5, voxels=voxels))) == 1.0


def test_the_same_seed_gives_the_same_voxels_and_another_others(model: OccupancyModel, layout: Layout) -> None:
    first, again, other = (model.sample(layout, seed=seed) for seed in (0, 0, 1))
    assert first.solid.tobytes() == again.solid.tobytes()
    stands = [voxels.solid != SolidClass.FREE for voxels in (first, other)]
    assert (stands[0] ^ stands[1]).sum() > 0.2 * stands[0].sum()


def test_styles_change_what_is_built(model: OccupancyModel, layout: Layout) -> None:
    share = {}
    for style in ("dense_city", "rural"):
        styled = replace(layout, environment=replace(layout.environment, style=style))
        share[style] = float((model.sample(styled, seed=0).solid == SolidClass.MANMADE).mean())
    assert share["dense_city"] > 2 * share["rural"]


def test_an_agent_changes_nothing_but_what_it_passes(model: OccupancyModel, layout: Layout) -> None:
    empty = replace(layout, agents=())
    before, after = model.sample(empty, seed=0), model.sample(layout, seed=0)
    swept = fixed_voxels(begin_world(layout, seed=0).draft).swept_levels > 0
    changed = (before.solid != after.solid).any(axis=2)
    assert not (changed & ~swept).any()


def test_weights_of_another_mixer_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"occupancy\.mixer=bi_rwkv7"):
        load_occupancy_model("masked", mixer="bi_rwkv7", weights=str(shipped_weights("attention")))


def test_a_file_of_another_kind_and_another_hash_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="safetensors"):
        load_occupancy_model("masked", weights=str(tmp_path / "weights.pt"))
    with pytest.raises(WeightsError, match="sha256"):
        load_occupancy_model("masked", weights_sha256=64 * "0")
    with pytest.raises(ConfigError, match="occupancy=rules"):
        load_occupancy_model("rules", weights="some.safetensors")


def test_rules_sample_nothing() -> None:
    assert load_occupancy_model("rules") is None


def test_voxels_are_of_the_worlds_own_grid(model: OccupancyModel, layout: Layout) -> None:
    voxels = model.sample(layout, seed=3)
    grid = begin_world(layout, seed=3).draft.site.grid
    assert voxels.solid.shape == grid.shape
    assert voxels.origin_world_m == grid.origin_m[:2]
    assert np.isin(voxels.solid, list(SolidClass)).all()
