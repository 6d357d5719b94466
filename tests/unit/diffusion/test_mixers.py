"""Mixers against their definitions, token by token."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from scenegen.diffusion.mixers import MIXERS, StreamMemory, TokenPlace, build_mixer
from scenegen.diffusion.mixers.attention import GridAttention, grid_angles, turn
from scenegen.diffusion.mixers.bi_rwkv7 import BiRwkv7, shift_four_ways
from scenegen.diffusion.mixers.triplet_rwkv7 import TripletRwkv7
from scenegen.diffusion.rwkv7 import Rwkv7Mixer, scan_tokens

M = TypeVar("M", bound=nn.Module)
CHANNELS, HEAD_SIZE = 32, 16
PLACE = TokenPlace(rows=4, columns=5)
BLOCK_ROWS = 2


def awake(mixer: M) -> M:
    """A layer in double precision whose every parameter matters: some start at zero."""
    torch.manual_seed(1)
    for parameter in mixer.parameters():
        nn.init.normal_(parameter, std=0.2)
    return mixer.double()


def draw(num_tokens: int) -> Tensor:
    return torch.randn(2, num_tokens, CHANNELS, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def read_one_by_one(cell: Rwkv7Mixer, x: Tensor, before: Tensor, *, backwards: bool) -> Tensor:
    """What every token reads from those on one side of it, by the token loop."""
    tokens, _ = cell.project(x, before)
    order = {name: getattr(tokens, name).flip(2) if backwards else getattr(tokens, name) for name in "rwkvab"}
    y, _ = scan_tokens(replace(tokens, **order), cell.first_state(len(x), x).memory)
    return y.flip(2) if backwards else y


def test_two_scans_equal_two_token_loops() -> None:
    mixer = awake(BiRwkv7(CHANNELS, along="rows", head_size=HEAD_SIZE))
    x = draw(20)
    before = torch.zeros(2, 4, 5, CHANNELS, dtype=torch.float64)
    grid, quarter = x.view(2, 4, 5, CHANNELS), CHANNELS // 4
    before[:, 1:, :, :quarter] = grid[:, :-1, :, :quarter]
    before[:, :-1, :, quarter : 2 * quarter] = grid[:, 1:, :, quarter : 2 * quarter]
    before[:, :, 1:, 2 * quarter : 3 * quarter] = grid[:, :, :-1, 2 * quarter : 3 * quarter]
    before[:, :, :-1, 3 * quarter :] = grid[:, :, 1:, 3 * quarter :]
    assert torch.equal(shift_four_ways(grid), before)
    before = before.flatten(1, 2)
    y = sum(read_one_by_one(mixer.cell, x, before, backwards=backwards) for backwards in (False, True))
    tokens, gate = mixer.cell.project(x, before)
    torch.testing.assert_close(mixer(x, PLACE), mixer.cell.combine(y, tokens, gate), rtol=1e-6, atol=1e-9)


def test_scan_along_columns_is_the_scan_of_the_transposed_grid() -> None:
    along_rows = awake(BiRwkv7(CHANNELS, along="rows", head_size=HEAD_SIZE))
    along_columns = awake(BiRwkv7(CHANNELS, along="columns", head_size=HEAD_SIZE))
    x = draw(20)
    turned = x.view(2, 4, 5, CHANNELS).transpose(1, 2).flatten(1, 2)
    found = along_rows(turned, TokenPlace(rows=5, columns=4)).view(2, 5, 4, CHANNELS).transpose(1, 2).flatten(1, 2)
    torch.testing.assert_close(along_columns(x, PLACE), found)


def test_triplets_equal_the_sampler_token_by_token() -> None:
    """For block i the token loop reads clean 1 .. i - 1, masked i, masked i, as the sampler of B3D-RWKV does."""
    mixer = awake(TripletRwkv7(CHANNELS, block_rows=BLOCK_ROWS, head_size=HEAD_SIZE))
    size, num_blocks = BLOCK_ROWS * PLACE.columns, 3
    x = draw(num_blocks * 3 * size)
    place = TokenPlace(rows=num_blocks * BLOCK_ROWS, columns=PLACE.columns, copies=3)
    found = mixer(x, place).view(2, num_blocks, 3, size, CHANNELS)
    blocks = x.view(2, num_blocks, 3, size, CHANNELS)

    def loop(line: Tensor) -> Tensor:
        before = torch.cat([torch.zeros_like(line[:, :1]), line[:, :-1]], dim=1)
        tokens, gate = mixer.cell.project(line, before)
        y = read_one_by_one(mixer.cell, line, before, backwards=False)
        return mixer.cell.combine(y, tokens, gate)

    clean = blocks[:, :, 2].flatten(1, 2)
    torch.testing.assert_close(found[:, :, 2].flatten(1, 2), loop(clean), rtol=1e-6, atol=1e-9)
    for index in range(num_blocks):
        line = torch.cat([clean[:, : index * size], blocks[:, index, 0], blocks[:, index, 1]], dim=1)
        wanted = loop(line)[:, -2 * size :].view(2, 2, size, CHANNELS)
        torch.testing.assert_close(found[:, index, :2], wanted, rtol=1e-6, atol=1e-9)


def test_triplets_refuse_what_is_no_block() -> None:
    mixer = TripletRwkv7(CHANNELS, block_rows=BLOCK_ROWS, head_size=HEAD_SIZE)
    with pytest.raises(ValueError, match="blocks of 2"):
        mixer(torch.zeros(1, 3 * 3 * 5, CHANNELS), TokenPlace(rows=3, columns=5, copies=3))
    with pytest.raises(ValueError, match="memory"):
        mixer(torch.zeros(1, 10, CHANNELS), TokenPlace(rows=2, columns=5))
    with pytest.raises(ValueError, match="2 rows"):
        mixer(torch.zeros(1, 20, CHANNELS), TokenPlace(rows=4, columns=5, memory=StreamMemory()))


def test_attention_knows_distances_and_no_places() -> None:
    """Products of turned queries and keys are those of cells as far apart elsewhere."""
    angle = grid_angles(6, 7, head_size=HEAD_SIZE, device=torch.device("cpu")).double()
    q, k = torch.randn(2, HEAD_SIZE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def product(a: tuple[int, int], b: tuple[int, int]) -> float:
        there, here = (angle[row * 7 + column][None] for row, column in (a, b))
        turned = turn(q.view(1, 1, 1, -1), there.cos(), there.sin()), turn(k.view(1, 1, 1, -1), here.cos(), here.sin())
        return float((turned[0] * turned[1]).sum())

    assert product((0, 1), (2, 5)) == pytest.approx(product((3, 2), (5, 6)), rel=1e-5)
    assert product((0, 1), (2, 5)) != pytest.approx(product((0, 1), (5, 2)), rel=1e-2)
    assert product((1, 1), (1, 1)) == pytest.approx(float(q @ k))


@pytest.mark.parametrize("name", MIXERS)
def test_mixers_work_under_autocast(name: str) -> None:
    mixer = awake(build_mixer(name, CHANNELS, index=1, block_rows=BLOCK_ROWS, head_size=HEAD_SIZE)).float()
    copies = 3 if name == "triplet_rwkv7" else 1
    x, place = draw(20 * copies).float(), replace(PLACE, copies=copies)
    with torch.autocast("cpu", torch.bfloat16):
        out = mixer(x, place)
    wanted = mixer(x, place)
    assert float((out.float() - wanted).detach().abs().max() / wanted.detach().abs().max()) < 0.05


def test_unknown_mixers_and_heads_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one of attention, bi_rwkv7, triplet_rwkv7"):
        build_mixer("mamba", CHANNELS, index=0, block_rows=2)
    for name in MIXERS:
        with pytest.raises(ValueError, match="multiple"):
            build_mixer(name, 40, index=0, block_rows=2)
    assert isinstance(build_mixer("attention", 64, index=0, block_rows=2), GridAttention)
