"""Codes of a world: every open one is drawn once, fixed ones stay, and the same seed gives the same codes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.network import SIZES, MaskedNetwork, NetworkSize
from scenegen.occupancy.masked.sample import SamplingOptions, sample_world_codes
from scenegen.occupancy.masked.tiles import TILE_CODES, plan_tiles
from scenegen.types import RandomKey

VOCABULARY = Vocabulary(num_codes=16, sha256="test")
CHANNELS, STYLES = 3, 2


@pytest.fixture(scope="module", params=["attention", "bi_rwkv7", "triplet_rwkv7"])
def network(request: pytest.FixtureRequest) -> MaskedNetwork:
    torch.manual_seed(0)
    size = NetworkSize(num_codes=16, num_channels=CHANNELS, num_style=STYLES, mixer=request.param, **SIZES["nano"])
    built = MaskedNetwork(size)
    torch.nn.init.normal_(built.code_out.weight, std=2.0)
    return built.eval().requires_grad_(False)


def draw(network: MaskedNetwork, *, seed: int = 0, columns: tuple[int, int] = (170, 150), steps: int = 3) -> np.ndarray:
    generator = np.random.default_rng(1)
    shape = -(-columns[0] // 4), -(-columns[1] // 4)
    is_fixed = np.zeros(shape, bool)
    is_fixed[:, 18:22] = True
    return sample_world_codes(
        network,
        VOCABULARY,
        channels=generator.random((*columns, CHANNELS), dtype=np.float32),
        is_fixed=is_fixed,
        style=np.array([1.0, 0.0], np.float32),
        ego_path_codes=np.stack([np.linspace(0, shape[0], 20), np.full(20, 20.0)], axis=1),
        options=SamplingOptions(steps=steps, loops=1),
        key=RandomKey(seed, "layout", "test"),
    )


def test_every_open_code_is_drawn_and_fixed_ones_stay(network: MaskedNetwork) -> None:
    codes = draw(network)
    assert codes.shape == (43, 38)
    assert (codes[:, 18:22] == VOCABULARY.fixed_id).all()
    open_codes = np.delete(codes, np.s_[18:22], axis=1)
    assert ((open_codes >= 0) & (open_codes < VOCABULARY.num_codes)).all()
    assert len(np.unique(open_codes)) > 8


def test_the_same_seed_gives_the_same_codes_and_another_others(network: MaskedNetwork) -> None:
    assert np.array_equal(draw(network), draw(network))
    assert (draw(network) != draw(network, seed=1)).mean() > 0.3


def test_worlds_smaller_than_a_tile_are_drawn(network: MaskedNetwork) -> None:
    assert draw(network, columns=(90, 100)).shape == (23, 25)


def test_tiles_cover_the_grid_in_the_order_of_the_ego_path() -> None:
    path = np.stack([np.linspace(0, 200, 50), np.full(50, 47.0)], axis=1)
    tiles = plan_tiles((200, 94), ego_path_codes=path)
    covered = np.zeros((200, 94), int)
    for tile in tiles:
        covered[tile.codes] += 1
        assert tile.row + TILE_CODES <= 200
        assert tile.column + TILE_CODES <= 94
    assert (covered > 0).all()
    on_path = [tile.row for tile in tiles if tile.column == 24]
    assert on_path == sorted(on_path)
    assert tiles[0].row == 0
