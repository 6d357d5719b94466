"""A training run continues from its checkpoint exactly where it was."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from scenegen.training.checkpoint import load_checkpoint, save_checkpoint


def take_steps(module: nn.Linear, optimizer: torch.optim.AdamW, start: int, stop: int) -> None:
    for step in range(start, stop):
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        module(x).square().mean().backward()
        optimizer.step()


def fresh() -> tuple[nn.Linear, torch.optim.AdamW]:
    torch.manual_seed(0)
    module = nn.Linear(3, 2)
    return module, torch.optim.AdamW(module.parameters(), lr=0.1)


def test_resumed_run_equals_uninterrupted_run(tmp_path: Path) -> None:
    straight, optimizer = fresh()
    take_steps(straight, optimizer, 0, 10)

    module, optimizer = fresh()
    take_steps(module, optimizer, 0, 4)
    save_checkpoint(tmp_path, step=4, modules={"m": module}, optimizers={"o": optimizer})
    module, optimizer = fresh()
    assert load_checkpoint(tmp_path, modules={"m": module}, optimizers={"o": optimizer}) == 4
    take_steps(module, optimizer, 4, 10)
    assert torch.equal(module.weight, straight.weight)


def test_no_checkpoint_starts_at_zero(tmp_path: Path) -> None:
    module, optimizer = fresh()
    assert load_checkpoint(tmp_path, modules={"m": module}, optimizers={"o": optimizer}) == 0
