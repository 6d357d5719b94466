"""Weight files: what comes back, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.errors import WeightsError
from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.network import MaskedNetwork, build_network
from scenegen.occupancy.masked.weights import load_network, save_network

VOCABULARY = Vocabulary(num_codes=12, sha256="ab" * 32)


def build() -> MaskedNetwork:
    torch.manual_seed(0)
    network = build_network("nano", vocabulary=VOCABULARY, num_channels=2, num_style=3, mixer="bi_rwkv7")
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    network = build()
    save_network(network, tmp_path / "a.safetensors", vocabulary=VOCABULARY, notes={"licence": "Apache-2.0"})
    loaded, sha256 = load_network(tmp_path / "a.safetensors", vocabulary=VOCABULARY)
    assert loaded.size == network.size
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, network.state_dict()[name].half().float())
        assert not value.requires_grad
    save_network(loaded, tmp_path / "b.safetensors", vocabulary=VOCABULARY, notes={"licence": "Apache-2.0"})
    assert load_network(tmp_path / "b.safetensors", vocabulary=VOCABULARY)[1] == sha256


@pytest.mark.parametrize("other", [Vocabulary(num_codes=13, sha256="ab" * 32), Vocabulary(num_codes=12, sha256="cd")])
def test_another_vocabulary_is_refused(tmp_path: Path, other: Vocabulary) -> None:
    save_network(build(), tmp_path / "a.safetensors", vocabulary=VOCABULARY)
    with pytest.raises(WeightsError, match=r"vocabulary of .* codes.*found of 12 codes, tokenizer abab"):
        load_network(tmp_path / "a.safetensors", vocabulary=other)


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(WeightsError, match="found no file"):
        load_network(path, vocabulary=VOCABULARY)
    save_network(build(), path, vocabulary=VOCABULARY)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="damaged"):
        load_network(path, vocabulary=VOCABULARY)
    write_tensors(path, {"x": torch.zeros(1)}, metadata={})
    with pytest.raises(WeightsError, match="does not name"):
        load_network(path, vocabulary=VOCABULARY)


def test_another_network_or_no_number_is_refused(tmp_path: Path) -> None:
    path, network = tmp_path / "a.safetensors", build()
    del network.stack.tail[0]
    save_network(network, path, vocabulary=VOCABULARY)
    with pytest.raises(WeightsError, match="another network"):
        load_network(path, vocabulary=VOCABULARY)
    network = build()
    torch.nn.init.constant_(network.cell_in.bias, float("nan"))
    save_network(network, path, vocabulary=VOCABULARY)
    with pytest.raises(WeightsError, match=r"NaN or infinity in cell_in\.bias"):
        load_network(path, vocabulary=VOCABULARY)
