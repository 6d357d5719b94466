"""Weight files of the masked network: half precision, with the vocabulary they speak in the header."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch

from scenegen.diffusion.tensor_file import write_tensors
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
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError("a weight file", found="nothing", where=str(path), fix="train one or reinstall scenegen")
    try:
        with safe_open(str(path), framework="pt") as file:
            notes = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        size = NetworkSize(**json.loads(notes["size"]))
        spoken = Vocabulary(**json.loads(notes["vocabulary"]))
    except SafetensorError as error:
        raise _no_weights(path, f"a damaged file ({error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _no_weights(path, "a file that does not name its size of network and its vocabulary") from error
    if spoken != vocabulary:
        raise WeightsError(
            f"weights for the vocabulary {_describe(vocabulary)}", found=_describe(spoken), where=str(path), fix=RETRAIN
        )
    for name, value in state.items():
        if not bool(torch.isfinite(value).all()):
            raise WeightsError("finite weights", found=f"NaN or infinity in {name}", where=str(path), fix=RETRAIN)
    try:
        network = MaskedNetwork(size)
        network.load_state_dict(state)
    except (RuntimeError, ValueError) as error:
        raise _no_weights(path, f"weights of another network: {' '.join(str(error).split())[:160]}") from error
    network.eval().requires_grad_(False)
    return network, hashlib.sha256(path.read_bytes()).hexdigest()


def _describe(vocabulary: Vocabulary) -> str:
    return f"of {vocabulary.num_codes} codes, tokenizer {vocabulary.sha256[:12] or 'unnamed'}"


def _no_weights(path: Path, found: str) -> WeightsError:
    return WeightsError("weights of the masked occupancy network", found=found, where=str(path), fix=RETRAIN)
