"""Weight files: what comes back, and every way in which a file is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from torch import nn

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.diffusion.weight_file import WeightFile, read_weights
from scenegen.errors import WeightsError


def write(path: Path, module: nn.Module, **notes: str) -> Path:
    write_tensors(path, {f"part/{k}": v.half() for k, v in module.state_dict().items()}, metadata=notes)
    return path


def read(path: Path) -> WeightFile:
    return read_weights(path, what="weights of a test", fix="make them")


def test_tensors_facts_and_hash_come_back(tmp_path: Path) -> None:
    module, other = nn.Linear(2, 3), nn.Linear(2, 3)
    path = write(tmp_path / "x.safetensors", module, size='{"width": 3}')
    file = read(path)
    file.fill(other, prefix="part/")
    assert torch.equal(other.weight, module.weight.half().float())
    assert file.fact("size") == {"width": 3}
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("notes", [{}, {"size": "{"}])
def test_a_fact_that_is_not_there_is_refused(notes: dict[str, str], tmp_path: Path) -> None:
    file = read(write(tmp_path / "x.safetensors", nn.Linear(2, 3), **notes))
    with pytest.raises(WeightsError, match="does not name its size"):
        file.fact("size")


def test_tensors_of_another_network_are_refused(tmp_path: Path) -> None:
    file = read(write(tmp_path / "x.safetensors", nn.Linear(2, 3)))
    with pytest.raises(WeightsError, match=r"weights of a test, found weights of another network: .* Make them"):
        file.fill(nn.Linear(3, 3), prefix="part/")
    with pytest.raises(WeightsError, match="another network"):
        file.fill(nn.Linear(2, 3))


def test_files_that_are_missing_damaged_or_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="found no file"):
        read(tmp_path / "none.safetensors")
    path = write(tmp_path / "x.safetensors", nn.Linear(2, 3))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(WeightsError, match="a damaged file"):
        read(path)
    broken = nn.Linear(2, 3)
    nn.init.constant_(broken.bias, float("inf"))
    with pytest.raises(WeightsError, match="NaN or infinity in part/bias"):
        read(write(path, broken))
