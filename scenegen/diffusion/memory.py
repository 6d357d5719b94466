"""Memory layout of networks: convolutions on CPUs and tensor cores want channels last."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def channels_last(module: M) -> M:
    """Lay the weights of a module out with channels last, in place, and return it."""
    nn.Module.to(module, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module
