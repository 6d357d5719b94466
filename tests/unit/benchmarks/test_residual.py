from __future__ import annotations

import pytest
import torch

from benchmarks.residual import energy_by_scale


def test_shares_add_up_to_one() -> None:
    noise = torch.randn(2, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    assert sum(energy_by_scale(noise)) == pytest.approx(1.0, abs=1e-5)


def test_a_checkerboard_is_fine_and_an_even_shift_is_coarse() -> None:
    rows, columns = torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij")
    board = (2.0 * ((rows + columns) % 2) - 1.0).expand(1, 3, 16, 16)
    assert energy_by_scale(board) == pytest.approx([1.0, 0.0, 0.0, 0.0])
    assert energy_by_scale(torch.ones(1, 3, 16, 16)) == pytest.approx([0.0, 0.0, 0.0, 1.0])
