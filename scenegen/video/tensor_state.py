"""Tensors as arrays and back with their memory layout: convolutions round differently in another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Arrays = dict[str, np.ndarray[Any, Any]]


def arrays_of_tensor(name: str, tensor: Tensor) -> Arrays:
    """Return a tensor's values in the order in which they lie in memory, and which axes that order goes through."""
    strides = tensor.stride()
    order = sorted(range(tensor.dim()), key=lambda axis: -strides[axis])
    values = tensor.detach().cpu().permute(order).contiguous().numpy()
    return {name: values, f"{name}.order": np.array(order, np.int64)}


def tensor_of_arrays(name: str, arrays: Mapping[str, np.ndarray[Any, Any]]) -> Tensor:
    """Return the tensor, with strides as they were.

    >>> wide = torch.zeros(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    >>> tensor_of_arrays("x", arrays_of_tensor("x", wide)).stride() == wide.stride()
    True

    Raises:
        KeyError: there is no such tensor.
    """
    order = [int(axis) for axis in arrays[f"{name}.order"]]
    # A copy: what a session remembers must not be a read-only view of a file's content.
    return torch.from_numpy(np.array(arrays[name])).permute([order.index(axis) for axis in range(len(order))])
