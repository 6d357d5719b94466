"""Finite scalar quantisation: indices count the grid, nothing else is reached, gradients pass."""

import pytest
import torch

from scenegen.occupancy.tokenizer.fsq import FiniteScalarQuantizer


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (3, 2), (4, 4, 4, 4, 4)])
def test_indices_and_codes_are_a_bijection(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    index = torch.arange(quantizer.num_codes).reshape(1, -1)
    codes = quantizer.from_index(index)
    assert torch.equal(quantizer.to_index(codes), index)
    assert len(torch.unique(codes[0], dim=1).T) == quantizer.num_codes


def test_every_input_goes_to_the_grid_and_every_point_is_reached() -> None:
    quantizer = FiniteScalarQuantizer((8, 5, 5, 5))
    z = torch.randn(1, 4, 200_000, generator=torch.Generator().manual_seed(0))
    codes = quantizer(z)
    assert torch.allclose(codes, quantizer.from_index(quantizer.to_index(codes)))
    assert len(torch.unique(quantizer.to_index(codes))) == 1000
    assert float(codes.abs().max()) <= 1.0


def test_gradients_are_those_of_the_bounded_input() -> None:
    quantizer = FiniteScalarQuantizer((5,))
    z = torch.tensor([[[-0.3, 0.0, 0.4]]], requires_grad=True)
    quantizer(z).sum().backward()
    assert z.grad is not None
    half = 2.0 * 1.001
    assert torch.allclose(z.grad, half / 2 * (1 - torch.tanh(z.detach()) ** 2))
