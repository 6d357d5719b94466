"""Weight files: safetensors with facts in the header, read whole, checked, and hashed as they were read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from scenegen.errors import WeightsError

HEADER_LENGTH_BYTES = 8
MOST_OF_AN_ERROR = 200


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """The content of a file of weights.

    Attributes:
        path: where it lies.
        what: what weights it should hold, for errors: "weights of ...".
        fix: what to do where it does not.
        tensors: by name, single precision.
        notes: texts of the header.
        sha256: of the file.
    """

    path: Path
    what: str
    fix: str
    tensors: dict[str, Tensor]
    notes: dict[str, str]
    sha256: str

    def fact(self, name: str) -> Any:
        """Return what the header says of `name`, which is JSON.

        Raises:
            WeightsError: it says nothing, or no JSON.
        """
        try:
            return json.loads(self.notes[name])
        except (KeyError, ValueError) as error:
            raise self.refuse(f"a file that does not name its {name}") from error

    def fill(self, module: nn.Module, *, prefix: str = "", beside: Mapping[str, Tensor] = MappingProxyType({})) -> None:
        """Load the tensors whose names begin with `prefix` into a module, and those `beside` that no file holds.

        Raises:
            WeightsError: names or shapes are those of another network.
        """
        held = {name[len(prefix) :]: value for name, value in self.tensors.items() if name.startswith(prefix)}
        try:
            module.load_state_dict(held | dict(beside))
        except RuntimeError as error:
            raise self.refuse(f"weights of another network: {in_one_line(error)}") from error

    def refuse(self, found: str) -> WeightsError:
        """Return the error that says what was found instead."""
        return WeightsError(self.what, found=found, where=str(self.path), fix=self.fix)


def read_weights(path: Path, *, what: str, fix: str) -> WeightFile:
    """Read a file of weights.

    Args:
        path: a .safetensors file.
        what: what it should hold, for errors.
        fix: what to do where it does not.

    Raises:
        WeightsError: the file is missing or damaged, or holds NaN or infinity.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    if not path.is_file():
        raise WeightsError(what, found="no file", where=str(path), fix=fix)
    content = path.read_bytes()
    try:
        tensors = {name: value.float() for name, value in load(content).items()}
    except SafetensorError as error:
        raise WeightsError(what, found=f"a damaged file ({in_one_line(error)})", where=str(path), fix=fix) from error
    length = int.from_bytes(content[:HEADER_LENGTH_BYTES], "little")
    header = json.loads(content[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + length])
    file = WeightFile(
        path=path,
        what=what,
        fix=fix,
        tensors=tensors,
        notes=header.get("__metadata__", {}),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    for name, value in tensors.items():
        if not bool(value.isfinite().all()):
            raise file.refuse(f"NaN or infinity in {name}")
    return file


def in_one_line(error: Exception) -> str:
    """Return the text of an error without line breaks, not too long."""
    return " ".join(str(error).split())[:MOST_OF_AN_ERROR]
