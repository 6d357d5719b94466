"""Files of tensors: read back by the library, and the same bytes from every process."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from scenegen.diffusion.tensor_file import write_tensors

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.ones(3, dtype=torch.float16), "c": torch.tensor(7)}
NOTES = {name: name * 3 for name in ("steps", "seed", "windows", "size")}


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.safetensors"
    write_tensors(path, {**TENSORS, "b": TENSORS["b"].t()}, metadata=NOTES)
    read = load_file(path)
    assert read.keys() == TENSORS.keys()
    assert torch.equal(read["b"], TENSORS["b"].t())
    assert read["a"].dtype == torch.float16
    with safe_open(str(path), framework="pt") as file:
        assert file.metadata() == NOTES
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    write_tensors(tmp_path / "here", TENSORS, metadata=NOTES)
    program = (
        "import sys; sys.path.insert(0, '.');"
        "from pathlib import Path; from tests.unit.diffusion.test_tensor_file import *;"
        "write_tensors(Path(sys.argv[1]), dict(reversed(TENSORS.items())), metadata=dict(reversed(NOTES.items())))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "there")], check=True)
    hashes = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("here", "there")}
    assert len(hashes) == 1
