"""A device that is not there: tensors in this process's memory that refuse to meet others, as those of a GPU do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

ELSEWHERE = torch.device("cuda")


class Far(torch.Tensor):
    """A tensor that is taken to lie on the device."""


class Elsewhere(TorchFunctionMode):
    """While this is on, what is made on or moved to `cuda` is `Far`, and mixing it with other tensors is an error.

    As on a GPU, tensors without axes may come from the host, and arrays only from tensors that were copied back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.num_calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        tensors = list(_tensors([args, list(kwargs.values())]))
        is_far = any(isinstance(tensor, Far) for tensor in tensors)
        name = getattr(func, "__name__", str(func))
        if name == "__get__" and func == torch.Tensor.device.__get__:
            return ELSEWHERE if is_far else torch.device("cpu")
        devices = [value for value in (*args, *kwargs.values()) if isinstance(value, torch.device)]
        if is_far and name in ("numpy", "__array__"):
            raise TypeError(f"{name} of a tensor on {ELSEWHERE}: copy it to the host first")
        args, kwargs = _near(args), _near(kwargs)
        moves = name in ("to", "cpu", "cuda")
        if is_far and not moves:
            for tensor in tensors:
                if not isinstance(tensor, Far) and tensor.ndim > 0:
                    raise RuntimeError(f"{name}: tensors on {ELSEWHERE} and on the host")
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
        goes_far = _goes_far(name, devices, tensors[-1:] if moves else tensors)
        self.num_calls += goes_far
        return _far(result) if goes_far else result


def _goes_far(name: str, devices: list[torch.device], tensors: list[torch.Tensor]) -> bool:
    """Return whether a result lies on the device: as is told, or as what it is made from."""
    if name == "cpu":
        return False
    if devices:
        return devices[0] == ELSEWHERE
    return any(isinstance(tensor, Far) for tensor in tensors)


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)


def _near(values: Any) -> Any:
    """Return arguments as the processor takes them."""
    if isinstance(values, Far):
        return values.as_subclass(torch.Tensor)
    if isinstance(values, torch.device):
        return torch.device("cpu")
    if isinstance(values, dict):
        return {key: _near(value) for key, value in values.items()}
    if type(values) in (list, tuple):
        return type(values)(_near(value) for value in values)
    return values


def _far(result: Any) -> Any:
    if isinstance(result, torch.Tensor):
        return result.as_subclass(Far)
    if isinstance(result, (list, tuple)) and any(isinstance(value, torch.Tensor) for value in result):
        return type(result)([_far(value) for value in result])
    return result
