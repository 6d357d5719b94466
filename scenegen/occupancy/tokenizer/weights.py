"""Weight files of the tokenizer: half precision, with the size in the header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from scenegen.diffusion.tensor_file import write_tensors
from scenegen.diffusion.weight_file import in_one_line, read_weights
from scenegen.errors import WeightsError
from scenegen.occupancy.tokenizer.network import TokenizerNetwork, TokenizerSize
from scenegen.occupancy.tokenizer.planes import NUM_CONTEXT

SHIPPED = Path(__file__).resolve().parents[2] / "weights" / "occupancy_tokenizer.safetensors"
RETRAIN = "reinstall scenegen, or train one with `scenegen train recipe=occupancy_tokenizer`"


def save_network(network: TokenizerNetwork, path: Path, *, notes: dict[str, str]) -> None:
    """Write weights as half-precision safetensors with size, vocabulary and notes in the header."""
    tensors = {name: value.detach().half() for name, value in network.state_dict().items()}
    facts = {"size": json.dumps(asdict(network.size)), "vocabulary": json.dumps(vocabulary_of(network))}
    write_tensors(path, tensors, metadata={**notes, **facts})


def vocabulary_of(network: TokenizerNetwork) -> dict[str, int]:
    """Return what decides how many codes there are and what they are read beside."""
    return {"num_codes": network.quantizer.num_codes, "num_context": NUM_CONTEXT}


def load_network(path: Path) -> tuple[TokenizerNetwork, str]:
    """Read weights into a network in evaluation mode, single precision; returns it and the file's sha256.

    Raises:
        WeightsError: the file is missing, damaged, of another network or of another vocabulary.
    """
    file = read_weights(path, what="weights of the occupancy tokenizer", fix=RETRAIN)
    facts, spoken = file.fact("size"), file.fact("vocabulary")
    try:
        network = TokenizerNetwork(TokenizerSize(**{**facts, "grid": tuple(facts["grid"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise file.refuse(f"a size that makes no network: {in_one_line(error)}") from error
    if spoken != vocabulary_of(network):
        raise WeightsError(
            f"a tokenizer of the vocabulary {vocabulary_of(network)}", found=f"{spoken}", where=str(path), fix=RETRAIN
        )
    file.fill(network)
    network.eval().requires_grad_(False)
    return network, file.sha256
