"""Resumable state of a training run: tensors in safetensors, the rest in JSON, replaced atomically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.errors import WeightsError


def save_checkpoint(folder: Path, *, step: int, modules: Mapping[str, nn.Module], optimizers: dict[str, Any]) -> None:
    """Write everything that a run needs to continue from `step`."""
    tensors: dict[str, Tensor] = {}
    facts: dict[str, Any] = {"step": step, "groups": {}}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = value
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        for index, entry in state["state"].items():
            for key, value in entry.items():
                tensors[f"optimizer/{name}/{index}/{key}"] = torch.as_tensor(value)
        facts["groups"][name] = state["param_groups"]
    write_tensors(folder / "checkpoint.safetensors", tensors, metadata={"facts": json.dumps(facts)})


def load_checkpoint(folder: Path, *, modules: Mapping[str, nn.Module], optimizers: dict[str, Any]) -> int:
    """Restore a run in place and return its step; 0 where there is no checkpoint.

    A module or optimizer that the checkpoint does not hold keeps its fresh state.

    Raises:
        WeightsError: the checkpoint is damaged, or of another network.
    """
    from safetensors import SafetensorError, safe_open

    path = folder / "checkpoint.safetensors"
    if not path.is_file():
        return 0
    try:
        with safe_open(str(path), framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return _restore(facts, tensors, modules, optimizers)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            "a checkpoint of this network",
            found=" ".join(str(error).split())[:200],
            where=str(path),
            fix="train into another output, or with the size that the checkpoint has",
        ) from error


def _restore(
    facts: dict[str, Any], tensors: dict[str, Tensor], modules: Mapping[str, nn.Module], optimizers: dict[str, Any]
) -> int:
    for name, module in modules.items():
        prefix = f"module/{name}/"
        held = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        if held:
            module.load_state_dict(held)
    for name, optimizer in optimizers.items():
        prefix = f"optimizer/{name}/"
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, field = key[len(prefix) :].split("/")
                state.setdefault(int(index), {})[field] = value
        if state:
            optimizer.load_state_dict({"state": state, "param_groups": facts["groups"][name]})
    return int(facts["step"])
