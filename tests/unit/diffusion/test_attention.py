"""Attention in windows: what can reach what, and that a stream may be cut anywhere."""

from __future__ import annotations

import pytest
import torch

from scenegen.diffusion.attention import PictureWindows, RecentPast

WINDOW = (4, 6)


def awake(module: torch.nn.Module) -> torch.nn.Module:
    """Give every parameter a part to play: the output starts at zero."""
    torch.manual_seed(3)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return module.requires_grad_(False)


def reach_of(layer: torch.nn.Module, x: torch.Tensor, row: int, column: int) -> torch.Tensor:
    """Return the cells that a change of one cell changes."""
    changed = x.clone()
    changed[:, :, row, column] += torch.linspace(-1.0, 1.0, x.shape[1])  # the layer norm hides a constant
    return (layer(changed) - layer(x)).abs().amax(dim=(0, 1)) > 1e-6


@pytest.mark.parametrize("shifted", [False, True])
def test_a_cell_reaches_its_whole_window_and_nothing_else(shifted: bool) -> None:
    layer = awake(PictureWindows(64, window=WINDOW, shifted=shifted))
    x = torch.randn(1, 64, 9, 13, generator=torch.Generator().manual_seed(0))
    top, left = (WINDOW[0] // 2, WINDOW[1] // 2) if shifted else (0, 0)
    rows, columns = (torch.arange(9) + top) // WINDOW[0], (torch.arange(13) + left) // WINDOW[1]
    for row, column in ((0, 0), (5, 7), (8, 12)):
        expected = (rows == rows[row])[:, None] & (columns == columns[column])
        assert torch.equal(reach_of(layer, x, row, column), expected)


def test_every_other_layer_joins_neighbouring_windows() -> None:
    x = torch.randn(1, 64, 8, 12, generator=torch.Generator().manual_seed(0))
    plain, shifted = (awake(PictureWindows(64, window=WINDOW, shifted=is_shifted)) for is_shifted in (False, True))
    assert not reach_of(plain, x, 3, 5)[4, 6]
    assert reach_of(shifted, x, 3, 5)[4, 6]


def test_picture_windows_start_as_the_identity() -> None:
    x = torch.randn(2, 64, 8, 12)
    assert torch.equal(PictureWindows(64, shifted=True)(x), x)


def test_the_past_split_anywhere_gives_the_same() -> None:
    layer = awake(RecentPast(64, reach=5))
    x = torch.randn(2, 17, 64, generator=torch.Generator().manual_seed(1))
    whole, end = layer(x, None)
    state, parts = None, []
    for piece in x.split([1, 2, 9, 5], dim=1):
        out, state = layer(piece, state)
        parts.append(out)
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)
    assert state is not None and state.count == end.count == 4
    assert torch.allclose(state.tokens, end.tokens, atol=1e-6)


def test_the_past_reaches_forward_only_and_only_so_far() -> None:
    layer = awake(RecentPast(64, reach=5))
    x = torch.randn(1, 17, 64, generator=torch.Generator().manual_seed(1))
    changed = x.clone()
    changed[:, 6] += torch.linspace(-1.0, 1.0, 64)
    moved = (layer(x, None)[0] - layer(changed, None)[0]).abs().amax(dim=(0, 2)) > 1e-6
    assert torch.nonzero(moved)[:, 0].tolist() == [6, 7, 8, 9, 10]


def test_a_short_past_is_not_padded_with_zeros() -> None:
    """The first token attends to itself alone: its output does not depend on how long the past could be."""
    x = torch.randn(1, 1, 64, generator=torch.Generator().manual_seed(1))
    short, long = (awake(RecentPast(64, reach=reach)) for reach in (2, 9))
    long.load_state_dict({**short.state_dict(), "age": long.age})
    assert torch.allclose(short(x, None)[0], long(x, None)[0], atol=1e-6)
