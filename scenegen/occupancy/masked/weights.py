"""Weight files of the masked network: half precision, with the vocabulary they speak in the header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.diffusion.weight_file import in_one_line, read_weights
from scenegen.errors import WeightsError
from scenegen.occupancy.masked.codes import Vocabulary
from scenegen.occupancy.masked.network import MaskedNetwork, NetworkSize

RETRAIN = "train the network with `scenegen train recipe=occupancy`, on the codes of this tokenizer"


def save_network(
    network: MaskedNetwork, path: Path, *, vocabulary: Vocabulary, notes: dict[str, str] | None = None
) -> None:
    """Write weights as half-precision safetensors with size, vocabulary and notes in the header."""
    tensors = {name: value.detach().half() for name, value in network.state_dict().items()}
    facts = {"size": json.dumps(asdict(network.size)), "vocabulary": json.dumps(asdict(vocabulary))}
    write_tensors(path, tensors, metadata={**(notes or {}), **facts})


def load_network(path: Path, *, vocabulary: Vocabulary) -> tuple[MaskedNetwork, str]:
    """Read weights into a network in evaluation mode, single precision; returns it and the file's sha256.

    Raises:
        WeightsError: the file is missing, damaged, of another network, or speaks another vocabulary.
    """
    file = read_weights(path, what="weights of the masked occupancy network", fix=RETRAIN)
    try:
        network = MaskedNetwork(NetworkSize(**file.fact("size")))
        spoken = Vocabulary(**file.fact("vocabulary"))
    except (TypeError, ValueError) as error:
        raise file.refuse(f"a size or a vocabulary that makes no network: {in_one_line(error)}") from error
    if spoken != vocabulary:
        raise WeightsError(
            f"weights for the vocabulary {_describe(vocabulary)}", found=_describe(spoken), where=str(path), fix=RETRAIN
        )
    file.fill(network)
    network.eval().requires_grad_(False)
    return network, file.sha256


def _describe(vocabulary: Vocabulary) -> str:
    return f"of {vocabulary.num_codes} codes, tokenizer {vocabulary.sha256[:12] or 'unnamed'}"
