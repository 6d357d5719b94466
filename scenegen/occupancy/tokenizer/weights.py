"""Weight files of the tokenizer: half precision, with the size in the header."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch

from scenegen.diffusion.tensor_file import write_tensors
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
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not path.is_file():
        raise WeightsError("a weight file", found="nothing", where=str(path), fix=RETRAIN)
    content = path.read_bytes()
    try:
        state = {name: value.float() for name, value in load(content).items()}
        length = int.from_bytes(content[:8], "little")
        notes = json.loads(content[8 : 8 + length])["__metadata__"]
        facts = json.loads(notes["size"])
        size = TokenizerSize(**{**facts, "grid": tuple(facts["grid"])})
        spoken = json.loads(notes["vocabulary"])
        network = TokenizerNetwork(size)
    except SafetensorError as error:
        raise _no_weights(path, f"a damaged file ({error})") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _no_weights(path, "a file that does not name its size of network and its vocabulary") from error
    if spoken != vocabulary_of(network):
        raise WeightsError(
            f"a tokenizer of the vocabulary {vocabulary_of(network)}", found=f"{spoken}", where=str(path), fix=RETRAIN
        )
    for name, value in state.items():
        if not bool(torch.isfinite(value).all()):
            raise _no_weights(path, f"NaN or infinity in {name}")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise _no_weights(path, f"weights of another network: {' '.join(str(error).split())[:160]}") from error
    network.eval().requires_grad_(False)
    return network, hashlib.sha256(content).hexdigest()


def _no_weights(path: Path, found: str) -> WeightsError:
    return WeightsError("weights of the occupancy tokenizer", found=found, where=str(path), fix=RETRAIN)
