"""Safetensors files that are the same bytes for the same content.

The library keeps metadata in a hash map, so its files differ from process to process; here the header is sorted.
"""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

LENGTH_BYTES = 8
"""A file starts with the length of its header; the header is padded with spaces to a multiple of this."""


def write_tensors(path: Path, tensors: dict[str, Tensor], *, metadata: dict[str, str]) -> None:
    """Write named tensors and texts, replacing the file at once.

    Source: the format's description, https://github.com/huggingface/safetensors#format.
    """
    from safetensors.torch import save

    plain = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata=metadata)
    start = LENGTH_BYTES + int.from_bytes(plain[:LENGTH_BYTES], "little")
    header = json.loads(plain[LENGTH_BYTES:start])
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f"{path.name}.tmp")
    staged.write_bytes(len(text).to_bytes(LENGTH_BYTES, "little") + text + plain[start:])
    staged.replace(path)
