"""The processes that train one network together, and the device each of them uses.

Started by `torchrun --no-python ... scenegen train ...` or by `ray_jobs.train`; alone otherwise. Every process draws
windows of its own, gradients are averaged after the backward pass, and so every process takes the same step. Process
0 is the leader: it alone writes, and it trains the pointwise encoder, which the others then receive.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed
from torch import Tensor, nn

from scenegen.config import TrainConfig
from scenegen.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Team:
    """This process's place among `size` processes.

    Attributes:
        rank: 0 is the leader.
        size: number of processes.
        device: where this process's networks are.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_leader(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def wait(self) -> None:
        """Return when every process has come this far."""
        self.agree_on_least(0)

    def agree_on_least(self, value: int) -> int:
        """Return the smallest value that any process gave."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, device=self.device)
        torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MIN)
        return int(shared)

    def receive_from_leader(self, module: nn.Module) -> None:
        """Give the module the leader's weights, in place."""
        if self.size == 1:
            return
        for value in module.state_dict().values():
            shared = value.contiguous()
            torch.distributed.broadcast(shared, src=0)
            value.copy_(shared)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their mean over the processes.

        A parameter without a gradient in every process keeps none; without one in some, these count as zero.
        """
        if self.size == 1:
            return
        owned = list(parameters)
        has_gradient = torch.tensor([float(p.grad is not None) for p in owned], device=self.device)
        torch.distributed.all_reduce(has_gradient, op=torch.distributed.ReduceOp.MAX)
        owned = [p for p, has in zip(owned, has_gradient.tolist(), strict=True) if has]
        flat = torch.cat([_gradient_of(p).flatten() for p in owned])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for parameter, part in zip(owned, flat.split([p.numel() for p in owned]), strict=True):
            parameter.grad = part.view(parameter.shape)


def _gradient_of(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


@contextmanager
def open_team(config: TrainConfig) -> Iterator[Team]:
    """Join the processes that were started together, or be alone, and pin threads and device.

    Raises:
        ConfigError: another number of processes than asked for, or a device that is not there.
    """
    torch.set_num_threads(config.run.num_threads)
    device = choose_device(config.device)
    own_group = not torch.distributed.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1
    if own_group:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        is_alone = not torch.distributed.is_initialized()
        rank = 0 if is_alone else torch.distributed.get_rank()
        size = 1 if is_alone else torch.distributed.get_world_size()
        _check_size(size, config.run.num_workers)
        yield Team(rank=rank, size=size, device=device)
    finally:
        if own_group:
            torch.distributed.destroy_process_group()


def _check_size(size: int, num_workers: int) -> None:
    if num_workers not in (1, size):
        raise ConfigError(
            f"{num_workers} processes, as run.num_workers says",
            found=str(size),
            where="run.num_workers",
            fix="start them with python -m ray_jobs.train, or with torchrun --no-python --nproc-per-node "
            f"{num_workers} scenegen train",
        )


def choose_device(name: str) -> torch.device:
    """Return the device called `name`; of several CUDA devices, the one of this process's local rank.

    Raises:
        ConfigError: CUDA is asked for and not there.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise ConfigError("a CUDA device", found="none", where="device", fix="use device=auto or device=cpu")
    if name == "cpu" or not has_cuda:
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device
