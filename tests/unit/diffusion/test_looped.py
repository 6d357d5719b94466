"""Looped depth: the plain stack at one loop, shared weights, gradients through every loop, the stop rule."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from scenegen.diffusion.looped import LoopedStack, bell_loops, constant_loops, draw_loops


class Add(nn.Module):
    """Moves tokens by a learned map, scaled by the context."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x: Tensor, context: float) -> Tensor:
        return x + context * torch.tanh(self.map(x))


class Halve(nn.Module):
    """Halves the distance to a target: converges."""

    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: Tensor, _context: float) -> Tensor:
        return (x + self.target) / 2


def build_stack() -> LoopedStack[float]:
    torch.manual_seed(0)
    return LoopedStack(head=[Add()], mid=[Add(), Add()], tail=[Add()])


def tokens() -> Tensor:
    return torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))


def test_one_loop_is_the_plain_stack_bit_for_bit() -> None:
    stack = build_stack()
    plain = tokens()
    for block in (*stack.head, *stack.mid, *stack.tail):
        plain = block(plain, 0.3)
    assert torch.equal(stack(tokens(), 0.3, loops=1), plain)


def test_loops_run_the_middle_again_with_the_same_weights() -> None:
    stack = build_stack()
    plain = stack.head[0](tokens(), 0.3)
    for _ in range(3):
        for block in stack.mid:
            plain = block(plain, 0.3)
    states: list[Tensor] = []
    out = stack(tokens(), 0.3, loops=3, states=states)
    assert torch.equal(out, stack.tail[0](plain, 0.3))
    assert len(states) == 3
    assert torch.equal(states[-1], plain)
    assert stack.num_applications(3) == 8


def test_gradient_reaches_every_loop() -> None:
    stack = build_stack()
    states: list[Tensor] = []
    out = stack(tokens(), 0.3, loops=3, states=states)
    gradients = torch.autograd.grad(out.square().sum(), states)
    assert all(float(gradient.abs().max()) > 0 for gradient in gradients)
    assert not torch.equal(gradients[0], gradients[1])


def test_each_sample_stops_by_itself_and_never_after_the_cap() -> None:
    """Distances 8, 0.08 and 0 from targets of size 1: halving them changes a sample by less than 1 % after 9, 3, 1."""
    target = torch.ones(3, 5, 4)
    stack: LoopedStack[float] = LoopedStack(head=[], mid=[Halve(target)], tail=[])
    x = target + torch.tensor([8.0, 0.08, 0.0]).view(3, 1, 1)
    states: list[Tensor] = []
    out = stack(x, 0.0, loops=50, tolerance=0.01, states=states)
    left = (out - target)[:, 0, 0]
    torch.testing.assert_close(left, torch.tensor([8.0 / 2**10, 0.08 / 2**3, 0.0]), atol=1e-6, rtol=0)
    assert len(states) == 10
    alone: LoopedStack[float] = LoopedStack(head=[], mid=[Halve(target[:1])], tail=[])
    assert torch.equal(alone(x[1:2], 0.0, loops=50, tolerance=0.01), out[1:2])
    capped: list[Tensor] = []
    stack(x, 0.0, loops=4, tolerance=0.01, states=capped)
    assert len(capped) == 4


def test_no_loop_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        build_stack()(tokens(), 0.3, loops=0)


def test_schedules_have_a_number_for_every_step() -> None:
    levels = [1.0, 0.75, 0.5, 0.25, 0.0]
    assert constant_loops(levels, loops=3) == [3, 3, 3, 3]
    assert bell_loops(levels, loops=1) == [1, 1, 1, 1]
    bell = bell_loops([1.0 - k / 16 for k in range(17)], loops=8)
    assert bell[0] == 1
    assert max(bell) == bell[8] == 8
    assert bell[1:] == bell[:0:-1]


def test_every_number_of_loops_has_the_same_chance() -> None:
    drawn = [draw_loops((k + 0.5) / 1000, max_loops=4) for k in range(1000)]
    assert [drawn.count(loops) for loops in range(1, 5)] == [250] * 4
